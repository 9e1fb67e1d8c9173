//! The text of PDF files.

use lopdf::{Document, LoadOptions};
use serde::{Deserialize, Serialize};

/// The most bytes that one stream of a file may unfold to, and the content of one page.
const MAX_STREAM: usize = 16 * 1024 * 1024;
/// The most objects of a file.
const MAX_OBJECTS: usize = 500_000;

/// The text of some pages.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pages {
    /// Each page below its number.
    pub(crate) text: String,
    /// The last page that is there; 0 if none is.
    pub(crate) last: usize,
    /// How many pages the file has.
    pub(crate) total: usize,
}

/// The text of the pages from `first` on, at most `count` and as many as go into `max_chars`, but one at least.
///
/// # Errors
/// The file cannot be read, in words for a model.
pub(crate) fn pages(bytes: &[u8], first: usize, count: usize, max_chars: usize) -> Result<Pages, String> {
    let objects = bytes.windows(4).filter(|word| *word == b" obj").count();
    if objects > MAX_OBJECTS {
        return Err("the PDF file has too many parts to be read".to_owned());
    }
    let options = LoadOptions::with_max_decompressed_size(MAX_STREAM);
    let document = Document::load_mem_with_options(bytes, options)
        .map_err(|error| format!("the PDF file cannot be read ({error})"))?;
    if document.is_encrypted() {
        return Err("the PDF file is locked with a password: ask for one without".to_owned());
    }
    let numbers: Vec<u32> = document.get_pages().into_keys().collect();
    let total = numbers.len();
    if total == 0 {
        return Err("the PDF file has no pages".to_owned());
    }
    if first > total {
        return Err(format!("the PDF file has {total} pages, so there is no page {first}"));
    }
    let mut pages = Pages { text: String::new(), last: 0, total };
    let mut room = max_chars;
    let mut is_empty = true;
    for (place, number) in numbers.into_iter().enumerate().skip(first.saturating_sub(1)).take(count) {
        let text = match document.extract_text_with_limit(&[number], MAX_STREAM) {
            Ok(text) => tidy(&text),
            Err(_) => "[this page cannot be read]".to_owned(),
        };
        is_empty &= text.is_empty();
        let page = format!("--- page {} ---\n{text}\n", place + 1);
        let length = page.chars().count();
        if length > room && pages.last > 0 {
            break;
        }
        pages.text.extend(page.chars().take(max_chars));
        pages.last = place + 1;
        room = room.saturating_sub(length);
    }
    if is_empty && first <= 1 && pages.last == total {
        return Err("the PDF file holds no text: its pages are pictures".to_owned());
    }
    pages.text.truncate(pages.text.trim_end().len());
    Ok(pages)
}

/// Without characters that no text has, and without empty lines.
fn tidy(text: &str) -> String {
    let lines =
        text.lines().map(|line| line.trim_matches(|char: char| char.is_whitespace() || char.is_control()));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
