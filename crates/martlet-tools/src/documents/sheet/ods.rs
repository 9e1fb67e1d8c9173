//! OpenDocument spreadsheets: cells and rows that are written once and stand for many.

/// Counts the cells that the tables of a file unfold to, as the reader will hold them: from the first to the last one
/// with something in it.
///
/// # Errors
/// They are more than `limit`.
pub(super) fn check(content: &str, limit: usize) -> Result<(), String> {
    let mut all: usize = 0;
    let mut table = Table::default();
    let mut row = Row::default();
    for tag in content.split('<').skip(1) {
        let name = tag.split([' ', '>', '/', '\n', '\t', '\r']).next().unwrap_or_default();
        match name {
            "table:table" => {
                all = all.saturating_add(table.cells());
                table = Table::default();
            }
            "table:table-row" => {
                table.add(&row);
                row = Row { repeated: attribute(tag, "table:number-rows-repeated"), ..Row::default() };
            }
            "table:table-cell" | "table:covered-table-cell" => {
                row.width = row.width.saturating_add(attribute(tag, "table:number-columns-repeated"));
                let is_empty = tag.trim_end().ends_with("/>") && !tag.contains("office:value");
                if !is_empty {
                    row.used = row.width;
                }
            }
            _ => {}
        }
        // The end of a row is no tag of its own here: `/table:table-row` begins with a slash.
        if tag.starts_with("/table:table>") {
            table.add(&row);
            row = Row::default();
        }
    }
    all = all.saturating_add(table.cells());
    if all > limit {
        return Err(format!(
            "the spreadsheet unfolds to more than {limit} cells, which is too many to be read"
        ));
    }
    Ok(())
}

#[derive(Default)]
struct Table {
    rows: usize,
    used_rows: usize,
    width: usize,
}

impl Table {
    fn add(&mut self, row: &Row) {
        self.rows = self.rows.saturating_add(row.repeated);
        if row.used > 0 {
            self.used_rows = self.rows;
            self.width = self.width.max(row.used);
        }
        // Also empty cells are held while a row is read.
        self.width = self.width.max(if row.width > 100_000 { row.width } else { 0 });
    }

    fn cells(&self) -> usize {
        self.used_rows.max(1).saturating_mul(self.width)
    }
}

#[derive(Default)]
struct Row {
    repeated: usize,
    width: usize,
    used: usize,
}

/// How often something stands there: the number in an attribute, or 1.
fn attribute(tag: &str, name: &str) -> usize {
    // It may stand there under a name that only ends so, too: the largest counts.
    let values = tag.split(name).skip(1).map(|rest| rest.split(['"', '\'']).nth(1).unwrap_or_default());
    // What is no number is none for the reader either, or one that is too large.
    values.map(|value| value.trim().parse().unwrap_or(usize::MAX)).max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn cells_that_stand_for_many_are_counted() {
        let table = |inner: &str| {
            format!("<office:body><table:table table:name=\"a\">{inner}</table:table></office:body>")
        };
        let row = |times: usize, cells: &str| {
            format!("<table:table-row table:number-rows-repeated=\"{times}\">{cells}</table:table-row>")
        };
        let cell = |times: usize| {
            format!(
                "<table:table-cell office:value-type=\"float\" office:value=\"1\" table:number-columns-repeated='{times}'/>"
            )
        };
        let empty = |times: usize| format!("<table:table-cell table:number-columns-repeated=\"{times}\"/>");
        // What LibreOffice writes below and beside a table.
        let usual = table(&(row(2, &(cell(3) + &empty(16_381))) + &row(1_048_574, &empty(16_384))));
        assert_eq!(check(&usual, 6), Ok(()));
        assert!(check(&usual, 5).is_err());
        for bomb in [
            row(1_048_576, &cell(16_384)),
            row(1, &cell(1)) + &row(1_000_000, &empty(1)) + &row(1, &(empty(10_000) + &cell(1))),
            row(1, &cell(99_999_999)),
            row(usize::MAX, &cell(2)) + &row(usize::MAX, &cell(2)),
        ] {
            assert!(check(&table(&bomb), 5_000_000).is_err(), "{bomb}");
        }
        assert_eq!(check("", 1), Ok(()));
    }
}
