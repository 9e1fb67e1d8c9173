//! Reading PDF files and spreadsheets.
//!
//! Files come from anywhere, so nothing here trusts what a file says of its own size: what unfolds from it is counted
//! while it unfolds.

#[cfg(unix)]
mod apart;
mod archive;
mod pdf;
mod sheet;

#[cfg(unix)]
use apart::{Asked, Found};
#[cfg(unix)]
pub use apart::{read_with, reader_main};
pub(crate) use pdf::Pages;
pub(crate) use sheet::{Kind as SheetKind, Rows};

/// The most characters of a PDF file that is read in one go.
#[cfg(feature = "web")]
const MAX_CHARS: usize = 2_000_000;

/// The text of the pages of a PDF file from `first` on, at most `count` and as many as go into `max_chars`, but one at least.
///
/// # Errors
/// The file cannot be read, in words for a model.
pub(crate) fn pages(bytes: &[u8], first: usize, count: usize, max_chars: usize) -> Result<Pages, String> {
    #[cfg(unix)]
    match (Asked::Pages { first, count, max_chars }).read(bytes)? {
        Found::Pages(pages) => Ok(pages),
        _ => Err(strange()),
    }
    #[cfg(not(unix))]
    pdf::pages(bytes, first, count, max_chars)
}

/// The text of a whole PDF file.
///
/// # Errors
/// As [`pages`].
#[cfg(feature = "web")]
pub(crate) fn pdf_text(bytes: &[u8]) -> Result<String, String> {
    pages(bytes, 1, usize::MAX, MAX_CHARS).map(|pages| pages.text)
}

/// The rows of a sheet from `first` on, which counts from 1, until they have `max_chars` characters. Without a name it is
/// the first sheet.
///
/// # Errors
/// The file cannot be read or has no such sheet, in words for a model.
pub(crate) fn rows(
    bytes: &[u8],
    kind: SheetKind,
    sheet: Option<&str>,
    first: usize,
    max_chars: usize,
) -> Result<Rows, String> {
    #[cfg(unix)]
    match (Asked::Rows { kind, sheet: sheet.map(str::to_owned), first, max_chars }).read(bytes)? {
        Found::Rows(rows) => Ok(rows),
        _ => Err(strange()),
    }
    #[cfg(not(unix))]
    sheet::rows(bytes, kind, sheet, first, max_chars)
}

#[cfg(unix)]
fn strange() -> String {
    "the file cannot be read: its reader answered something else than it was asked".to_owned()
}
