//! `read_file`: what is in the files that go with a run.

mod text;

use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::tool::READ_FILE;
use martlet_core::{ToolFlags, ToolOutput, ToolSpec};
use serde_json::{Map, Value, json};

use crate::arguments::ArgumentReader;
use crate::blocking::blocking;
use crate::files::File;
use crate::{Tool, ToolContext, ToolError};

/// The most characters that a model is shown at once.
const SHOWN: usize = 40_000;
/// The most characters that a program is given at once.
const FOR_PROGRAMS: usize = 500_000;
/// The time that reading may take.
const TIME: Duration = Duration::from_secs(20);

/// The tool `read_file`: reads the files that go with a run, in pieces where they are long.
///
/// Texts are read in the encoding that they are in; tables (CSV, TSV; with the feature `documents` also XLSX, ODS and XLS) row by
/// row, as CSV; PDF files page by page, with the same feature. A run that has files has this tool without being given it;
/// [`ToolContext::files`] are what it reads.
#[derive(Debug, Clone)]
pub struct ReadFile {
    spec: ToolSpec,
}

/// What is asked for.
#[derive(Debug, Clone)]
struct Asked {
    /// The first line, row or page, from 1.
    start: usize,
    /// The most lines or rows.
    count: Option<usize>,
    sheet: Option<String>,
    max_chars: usize,
}

impl ReadFile {
    /// The tool.
    pub fn new() -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "The name of the file."},
                "start": {
                    "type": "integer",
                    "minimum": 1,
                    "default": 1,
                    "description": "The line to begin with; in a table the row, in a PDF file the page.",
                },
                "count": {"type": "integer", "minimum": 1, "description": "How many lines, rows or pages to read at most."},
                "sheet": {"type": "string", "description": "The sheet of a spreadsheet; without it the first one."},
            },
            "required": ["name"],
            "additionalProperties": false,
        });
        let description = "Reads a file that came with the task: a text, a table (CSV, XLSX, XLS, ODS; given as CSV) or a PDF \
                           file. What is long is given in pieces.";
        let spec = ToolSpec::new(READ_FILE, description)
            .parameters(parameters)
            .returns(json!({"type": "string"}))
            .flags(ToolFlags { read_only: true, idempotent: true, ..ToolFlags::default() });
        Self { spec }
    }
}

impl Default for ReadFile {
    fn default() -> Self {
        Self::new()
    }
}

impl Tool for ReadFile {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let mut arguments = ArgumentReader::new(arguments);
            let name: String = arguments.required("name")?;
            let start: usize = arguments.or_default("start", || 1)?;
            let asked = Asked {
                start: start.max(1),
                count: arguments.optional("count")?,
                sheet: arguments.optional("sheet")?,
                // The note on what is left out needs room, too.
                max_chars: cx
                    .shown_chars()
                    .map_or(FOR_PROGRAMS, |shown| shown.saturating_sub(300).min(SHOWN)),
            };
            let Some(file) = cx.files().get(&name).cloned() else {
                let known: Vec<String> = cx.files().iter().map(|file| format!("`{}`", file.name)).collect();
                let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
                return Err(ToolError::arguments(format!(
                    "there is no file `{name}` with this task: {known}"
                )));
            };
            let what = format!("reading `{}`", file.name);
            let text = blocking(TIME, &what, move || read(&file, &asked)).await?.map_err(ToolError::new)?;
            Ok(ToolOutput::from(Value::String(text)))
        })
    }
}

/// What is in a file, by what its bytes and its name say that it is.
fn read(file: &File, asked: &Asked) -> Result<String, String> {
    let bytes = &file.data.0;
    let ending =
        file.name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    if bytes.is_empty() {
        return Err(format!("the file `{}` is empty", file.name));
    }
    if bytes.starts_with(b"%PDF-") {
        return pdf(bytes, asked);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return archive(file, asked);
    }
    if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]) {
        return old_office(file, &ending, asked);
    }
    if file.media_type.starts_with("image/") {
        return Err(format!("`{}` is an image: it is shown and not read", file.name));
    }
    let named =
        file.media_type.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("charset="));
    let Some((text, _)) = crate::encoding::decode(bytes, named) else {
        return Err(format!("`{}` is no text, table or PDF file, so it cannot be read", file.name));
    };
    let kind = file.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match ending.as_str() {
        "csv" | "tsv" | "tab" => text::table(&text, asked),
        _ if matches!(kind.as_str(), "text/csv" | "text/tab-separated-values") => text::table(&text, asked),
        "json" => text::json(&text, asked),
        _ if kind == "application/json" => text::json(&text, asked),
        _ => text::lines(&text, asked),
    }
}

#[cfg(feature = "documents")]
fn pdf(bytes: &[u8], asked: &Asked) -> Result<String, String> {
    let pages =
        crate::documents::pages(bytes, asked.start, asked.count.unwrap_or(usize::MAX), asked.max_chars)?;
    let mut text = pages.text;
    if pages.last < pages.total {
        text.push_str(&format!(
            "\n\n[… these are the pages {} to {} of {}; to read on, use start={} …]",
            asked.start,
            pages.last,
            pages.total,
            pages.last + 1
        ));
    }
    Ok(text)
}

#[cfg(feature = "documents")]
fn archive(file: &File, asked: &Asked) -> Result<String, String> {
    use crate::documents::SheetKind;

    let head = file.data.0.get(..file.data.0.len().min(200)).unwrap_or_default();
    let is_ods = head.windows(8).any(|word| word == b"mimetype")
        && head.windows(11).any(|word| word == b"spreadsheet");
    let kind = match (is_ods, file.name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase())) {
        (true, _) => SheetKind::Ods,
        (false, Some(ending)) if matches!(ending.as_str(), "ods" | "ots") => SheetKind::Ods,
        (false, Some(ending))
            if matches!(ending.as_str(), "docx" | "pptx" | "odt" | "odp" | "zip" | "jar" | "epub") =>
        {
            return Err(format!("`{}` cannot be read: ask for it as text, PDF, CSV or XLSX", file.name));
        }
        _ => SheetKind::Xlsx,
    };
    sheet(file, kind, asked)
}

#[cfg(feature = "documents")]
fn sheet(file: &File, kind: crate::documents::SheetKind, asked: &Asked) -> Result<String, String> {
    let found =
        crate::documents::rows(&file.data.0, kind, asked.sheet.as_deref(), asked.start, asked.max_chars)?;
    let others: Vec<&str> =
        found.sheets.iter().map(String::as_str).filter(|sheet| *sheet != found.sheet).collect();
    let mut text = text::rows(&found.rows, found.total, asked)?;
    if asked.sheet.is_none() && !others.is_empty() {
        text.push_str(&format!(
            "\n\n[this is the sheet `{}`; there are also: {}]",
            found.sheet,
            others.join(", ")
        ));
    }
    Ok(text)
}

/// A file of Office before 2007: of them, spreadsheets can be read.
fn old_office(file: &File, ending: &str, asked: &Asked) -> Result<String, String> {
    #[cfg(feature = "documents")]
    if matches!(ending, "xls" | "xlt") {
        return sheet(file, crate::documents::SheetKind::Xls, asked);
    }
    let _ = (ending, asked);
    Err(format!(
        "`{}` is in a format of Office before 2007, which cannot be read: ask for it as XLSX, CSV or PDF",
        file.name
    ))
}

#[cfg(not(feature = "documents"))]
fn pdf(_: &[u8], _: &Asked) -> Result<String, String> {
    Err("PDF files cannot be read here: ask for it as text".to_owned())
}

#[cfg(not(feature = "documents"))]
fn archive(file: &File, _: &Asked) -> Result<String, String> {
    Err(format!("`{}` cannot be read here: ask for it as text or CSV", file.name))
}
