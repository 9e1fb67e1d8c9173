//! `visit_webpage`: reading what is at an address.

use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::{Part, ToolFlags, ToolOutput, ToolSpec};
use serde_json::{Map, Value, json};

use super::client::{Client, Fetched, shown};
use super::page::{page, tidy};
use crate::arguments::ArgumentReader;
use crate::blocking::blocking;
use crate::encoding::decode;
use crate::picture::picture;
use crate::{Tool, ToolContext, ToolError};

/// The most characters of a page that are given at once.
const MAX_CHARS: usize = 40_000;
/// The time that a page may take to be read, once it is here.
const READING: Duration = Duration::from_secs(10);

/// The tool `visit_webpage`: reads a page of the web as Markdown.
///
/// Of a page it gives the article, or the whole page where there is none; texts, JSON and other data it gives as they are,
/// images as images, and PDF files as text (feature `documents`). What is longer than 40,000 characters is given in pieces.
#[derive(Debug, Clone)]
pub struct VisitWebpage {
    spec: ToolSpec,
    client: Client,
    max_chars: usize,
}

impl VisitWebpage {
    /// The tool, which goes where the client may.
    pub fn new(client: Client) -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {
                "url": {"type": "string", "description": "The address of the page."},
                "start": {
                    "type": "integer",
                    "minimum": 0,
                    "default": 0,
                    "description": "The character to begin with, to read on in a page that was cut.",
                },
            },
            "required": ["url"],
            "additionalProperties": false,
        });
        let description = "Visits the page at an address of the web and reads it as Markdown text.";
        let spec = ToolSpec::new("visit_webpage", description)
            .parameters(parameters)
            .returns(json!({"type": "string"}))
            .flags(ToolFlags { read_only: true, idempotent: true, ..ToolFlags::default() });
        Self { spec, client, max_chars: MAX_CHARS }
    }

    /// The most characters that one call gives. Default: 40,000.
    #[must_use]
    pub fn max_chars(mut self, chars: usize) -> Self {
        self.max_chars = chars.max(1);
        self
    }

    async fn visit(&self, url: &str, start: usize, cx: &ToolContext) -> Result<ToolOutput, ToolError> {
        let fetched = self.client.get_page(url).await?;
        let address = shown(&fetched.url);
        if let Ok(picture) = picture(&fetched.body) {
            let text = format!("The image at {address}: {}×{} pixels.", picture.width, picture.height);
            let image = Part::image(picture.media_type, fetched.body);
            return Ok(ToolOutput::Parts { parts: vec![Part::text(text), image] });
        }
        let was_cut = fetched.cut;
        let text = blocking(READING, "reading the page", move || text_of(&fetched)).await??;
        if text.is_empty() {
            let message =
                format!("the page at {address} holds no text: it may need a browser; use another source");
            return Err(ToolError::new(message));
        }
        // The note on what is left out needs room, too.
        let shown = cx.shown_chars().map_or(self.max_chars, |shown| shown.saturating_sub(300).max(1));
        window(&address, &text, start, self.max_chars.min(shown), was_cut)
            .map(|text| ToolOutput::from(Value::String(text)))
    }
}

/// The piece of a text that begins at `start`, of at most `most` characters.
fn window(address: &str, text: &str, start: usize, most: usize, was_cut: bool) -> Result<String, ToolError> {
    let total = text.chars().count();
    if start > 0 && start >= total {
        let message =
            format!("the page at {address} has {total} characters, so there is nothing from {start} on");
        return Err(ToolError::arguments(message));
    }
    let mut shown: String = text.chars().skip(start).take(most).collect();
    let end = start + shown.chars().count();
    if end < total {
        shown.push_str(&format!(
            "\n\n[… cut: these are the characters {start} to {end} of {total}. To read on, call visit_webpage again with \
             start={end} …]"
        ));
    } else if was_cut {
        shown.push_str("\n\n[… cut: the page is larger than what is read of one …]");
    }
    Ok(shown)
}

/// What a response says, as text.
fn text_of(fetched: &Fetched) -> Result<String, String> {
    let content_type = fetched.content_type.as_deref().unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let address = shown(&fetched.url);
    if kind == "application/pdf" || fetched.body.starts_with(b"%PDF-") {
        return pdf(fetched);
    }
    let begins_as_page = || {
        let head = fetched.body.get(..fetched.body.len().min(512)).unwrap_or_default().to_ascii_lowercase();
        let head = head.trim_ascii_start();
        head.starts_with(b"<!doctype html") || head.starts_with(b"<html")
    };
    let is_page =
        matches!(kind, "text/html" | "application/xhtml+xml") || (kind.is_empty() && begins_as_page());
    let named = charset(content_type).or_else(|| if is_page { meta_charset(&fetched.body) } else { None });
    let Some((text, _)) = decode(&fetched.body, named.as_deref()) else {
        let kind = if kind.is_empty() { "data" } else { kind };
        return Err(format!("what is at {address} is no text ({kind}): use another source"));
    };
    if !is_page {
        return Ok(tidy(&text));
    }
    let page = page(&text, &fetched.url);
    Ok(match page.title.is_empty() || page.text.starts_with("# ") {
        true => page.text,
        false => format!("# {}\n\n{}", page.title, page.text),
    })
}

#[cfg(feature = "documents")]
fn pdf(fetched: &Fetched) -> Result<String, String> {
    if fetched.cut {
        return Err(format!("the PDF file at {} is too large to be read", shown(&fetched.url)));
    }
    crate::documents::pdf_text(&fetched.body)
}

#[cfg(not(feature = "documents"))]
fn pdf(fetched: &Fetched) -> Result<String, String> {
    Err(format!(
        "what is at {} is a PDF file, which cannot be read here: look for a page",
        shown(&fetched.url)
    ))
}

/// The encoding that a media type names.
fn charset(content_type: &str) -> Option<String> {
    let named =
        content_type.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("charset="))?;
    Some(named.trim_matches(['"', '\'', ' ']).to_owned())
}

/// The encoding that a page names itself, near its beginning.
fn meta_charset(body: &[u8]) -> Option<String> {
    let head =
        String::from_utf8_lossy(body.get(..body.len().min(2048)).unwrap_or_default()).to_ascii_lowercase();
    let (_, rest) = head.split_once("charset=")?;
    let rest = rest.trim_start_matches(['"', '\'', ' ']);
    Some(rest.chars().take_while(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_')).collect())
}

impl Tool for VisitWebpage {
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
            let url: String = arguments.required("url")?;
            let start: usize = arguments.or_default("start", || 0)?;
            self.visit(&url, start, cx).await
        })
    }
}
