//! Reading PDF files and spreadsheets.
//!
//! Files come from anywhere, so nothing here trusts what a file says of its own size: what unfolds from it is counted
//! while it unfolds.

mod archive;
mod pdf;
mod sheet;

pub(crate) use pdf::pages;
#[cfg(feature = "web")]
pub(crate) use pdf::whole_text as pdf_text;
pub(crate) use sheet::{Kind as SheetKind, rows};
