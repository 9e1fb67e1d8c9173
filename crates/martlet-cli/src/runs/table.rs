//! Lists for people.

use time::{Duration, OffsetDateTime};

use crate::exit::Failure;
use crate::output::Sink;

/// Rows below headings, as wide as they need to be.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Writes it to standard output; nothing if there is no row.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        if self.rows.len() > 1 {
            Sink::Stdout.line(&self.text())?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(console::measure_text_width(cell));
            }
        }
        let lines = self.rows.iter().map(|row| {
            let cells = row.iter().zip(widths).map(|(cell, width)| {
                let space = width.saturating_sub(console::measure_text_width(cell));
                format!("{cell}{:space$}", "")
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// How long ago a time was: `5 min ago`.
pub(crate) fn ago(then_ms: u64, now_ms: u64) -> String {
    match now_ms.saturating_sub(then_ms) / 1_000 {
        0 => "now".into(),
        seconds @ 1..60 => format!("{seconds} s ago"),
        seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

/// A time as a date of the calendar, in UTC: `2026-03-01 14:05:09 UTC`.
pub(crate) fn at(ms: u64) -> String {
    let at = OffsetDateTime::UNIX_EPOCH
        .saturating_add(Duration::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX)));
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(at(1_764_000_000_123), "2025-11-24 16:00:00 UTC");
        assert_eq!(at(4_107_542_399_000), "2100-02-28 23:59:59 UTC");
        assert_eq!(at(4_107_542_400_000), "2100-03-01 00:00:00 UTC");
    }

    #[test]
    fn what_was_is_told_in_words() {
        let now = 1_000_000_000;
        assert_eq!(ago(now + 5, now), "now");
        assert_eq!(ago(now - 59_999, now), "59 s ago");
        assert_eq!(ago(now - 3_599_000, now), "59 min ago");
        assert_eq!(ago(now - 86_400_000, now), "1 d ago");
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let mut table = Table::new(["A", "NAME"]);
        table.row(["long".into(), "x".into()]);
        table.row(["日本".into(), String::new()]);
        assert_eq!(table.text(), "A     NAME\nlong  x\n日本");
    }
}
