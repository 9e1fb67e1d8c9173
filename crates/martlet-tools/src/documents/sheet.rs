//! The rows of spreadsheets.

mod ods;
mod xls;

use std::io::Cursor;

use calamine::{Data, DataRef, ExcelDateTime, Ods, Range, Reader as _, Xls, Xlsx};
use serde::{Deserialize, Serialize};

use super::archive;

/// The most cells of a sheet that are looked at.
const MAX_CELLS: usize = 5_000_000;
/// The most characters of one cell.
const MAX_CELL: usize = 32_767;

/// The formats of spreadsheets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Xlsx,
    Ods,
    Xls,
}

/// Some rows of a sheet.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rows {
    /// The sheet.
    pub(crate) sheet: String,
    /// All sheets.
    pub(crate) sheets: Vec<String>,
    /// The rows, from the one that was asked for.
    pub(crate) rows: Vec<Vec<String>>,
    /// The number of rows of the sheet, up to the last one with something in it.
    pub(crate) total: usize,
}

/// The rows of a sheet from `first` on, which counts from 1, until they have `max_chars` characters. Without a name it is
/// the first sheet.
///
/// # Errors
/// The file cannot be read or has no such sheet, in words for a model.
pub(crate) fn rows(
    bytes: &[u8],
    kind: Kind,
    sheet: Option<&str>,
    first: usize,
    max_chars: usize,
) -> Result<Rows, String> {
    if kind != Kind::Xls {
        archive::check(bytes)?;
    }
    let damaged = |error: &dyn std::fmt::Display| format!("the spreadsheet cannot be read ({error})");
    let mut window = Window::new(first, max_chars);
    match kind {
        Kind::Xlsx => {
            let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
            let (sheet, sheets) = chosen(workbook.sheet_names(), sheet)?;
            // Cell by cell: two cells in opposite corners would make a table of 17 thousand million.
            let mut cells = workbook.worksheet_cells_reader(&sheet).map_err(|error| damaged(&error))?;
            while let Some(cell) = cells.next_cell().map_err(|error| damaged(&error))? {
                let (row, column) = cell.get_position();
                window.put(row, column, || shown_ref(cell.get_value()))?;
            }
            drop(cells);
            Ok(window.into_rows(sheet, sheets))
        }
        Kind::Ods => {
            let content = archive::part(bytes, "content.xml");
            let content =
                content.ok_or("the spreadsheet cannot be read: it has no content, or one that is no text")?;
            ods::check(&content, MAX_CELLS)?;
            let mut workbook: Ods<_> = Ods::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
            let (sheet, sheets) = chosen(workbook.sheet_names(), sheet)?;
            let range = workbook.worksheet_range(&sheet).map_err(|error| damaged(&error))?;
            window.put_all(&range)?;
            Ok(window.into_rows(sheet, sheets))
        }
        Kind::Xls => {
            xls::check(bytes, MAX_CELLS)?;
            let mut workbook: Xls<_> = Xls::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
            let (sheet, sheets) = chosen(workbook.sheet_names(), sheet)?;
            let range = workbook.worksheet_range(&sheet).map_err(|error| damaged(&error))?;
            window.put_all(&range)?;
            Ok(window.into_rows(sheet, sheets))
        }
    }
}

/// The sheet of that name, or the first one.
fn chosen(sheets: Vec<String>, name: Option<&str>) -> Result<(String, Vec<String>), String> {
    let found = match name {
        None => sheets.first(),
        Some(name) => sheets.iter().find(|sheet| sheet.trim().eq_ignore_ascii_case(name.trim())),
    };
    match found {
        Some(sheet) => Ok((sheet.clone(), sheets)),
        None if sheets.is_empty() => Err("the spreadsheet has no sheets".to_owned()),
        None => {
            let known: Vec<String> = sheets.iter().map(|sheet| format!("`{sheet}`")).collect();
            Err(format!(
                "the spreadsheet has no sheet `{}`; there are {}",
                name.unwrap_or_default(),
                known.join(", ")
            ))
        }
    }
}

/// The rows that are kept of all those that come by.
struct Window {
    first: usize,
    room: usize,
    rows: Vec<Vec<String>>,
    /// No more rows are kept.
    full: bool,
    total: usize,
    cells: usize,
}

impl Window {
    fn new(first: usize, max_chars: usize) -> Self {
        Self { first: first.max(1), room: max_chars, rows: Vec::new(), full: false, total: 0, cells: 0 }
    }

    /// Takes in the cells of a sheet that is held as a whole.
    fn put_all(&mut self, range: &Range<Data>) -> Result<(), String> {
        let (top, left) = range.start().unwrap_or_default();
        for (row, column, value) in range.used_cells() {
            let place =
                |offset: usize, start: u32| u32::try_from(offset).unwrap_or(u32::MAX).saturating_add(start);
            self.put(place(row, top), place(column, left), || shown(value))?;
        }
        Ok(())
    }

    fn put(&mut self, row: u32, column: u32, value: impl FnOnce() -> Option<String>) -> Result<(), String> {
        self.cells += 1;
        if self.cells > MAX_CELLS {
            return Err(format!("the sheet has more than {MAX_CELLS} cells, which is too many to be read"));
        }
        let (row, column) = (row as usize, column as usize);
        let Some(value) = value() else { return Ok(()) };
        self.total = self.total.max(row + 1);
        let Some(place) = (row + 1).checked_sub(self.first) else { return Ok(()) };
        if self.full && place >= self.rows.len() {
            return Ok(());
        }
        // Each row and each cell before it costs a character, so that corners far away cost as much as they take.
        let rows = (place + 1).saturating_sub(self.rows.len());
        let columns = (column + 1).saturating_sub(self.rows.get(place).map_or(0, Vec::len));
        let value: String = value.chars().take(MAX_CELL).collect();
        let cost = rows + columns + value.chars().count();
        if cost > self.room && !self.rows.is_empty() {
            self.full = true;
            // A row that is not whole is not shown, unless there is no other.
            if place + 1 == self.rows.len() && self.rows.len() > 1 {
                self.rows.pop();
            }
            return Ok(());
        }
        if cost > self.room.max(MAX_CELL * 2) {
            self.full = true;
            return Ok(());
        }
        self.room = self.room.saturating_sub(cost);
        if rows > 0 {
            self.rows.resize(place + 1, Vec::new());
        }
        if let Some(cells) = self.rows.get_mut(place) {
            if columns > 0 {
                cells.resize(column + 1, String::new());
            }
            if let Some(cell) = cells.get_mut(column) {
                *cell = value;
            }
        }
        Ok(())
    }

    fn into_rows(self, sheet: String, sheets: Vec<String>) -> Rows {
        Rows { sheet, sheets, rows: self.rows, total: self.total }
    }
}

fn shown(value: &Data) -> Option<String> {
    match value {
        Data::Int(value) => Some(value.to_string()),
        Data::Float(value) => Some(value.to_string()),
        Data::String(value) => text(value),
        Data::Bool(value) => Some(value.to_string()),
        Data::DateTime(value) => Some(date(value)),
        Data::DateTimeIso(value) | Data::DurationIso(value) => text(value),
        Data::Error(value) => Some(value.to_string()),
        _ => None,
    }
}

fn shown_ref(value: &DataRef<'_>) -> Option<String> {
    match value {
        DataRef::SharedString(value) => text(value),
        other => shown(&Data::from(other.clone())),
    }
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// A date and time as ISO 8601 writes them, or a duration in days.
fn date(value: &ExcelDateTime) -> String {
    if value.is_duration() {
        return value.as_f64().to_string();
    }
    let (year, month, day, hour, minute, second, _) = value.to_ymd_hms_milli();
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    let date = format!("{year:04}-{month:02}-{day:02}");
    match (value.as_f64() < 1.0, time == "00:00:00") {
        (true, _) => time,
        (false, true) => date,
        (false, false) => format!("{date}T{time}"),
    }
}
