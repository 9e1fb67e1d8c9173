//! Texts and tables, a piece at a time.

use std::borrow::Cow;

use serde_json::Value;

use super::Asked;

/// Some lines of a text.
pub(super) fn lines(text: &str, asked: &Asked) -> Result<String, String> {
    piece("lines", text.lines().map(Cow::Borrowed), asked)
}

/// JSON, with a line for each value where it was written without lines.
pub(super) fn json(text: &str, asked: &Asked) -> Result<String, String> {
    let dense = text.len() > 2_000 && text.lines().count() * 2_000 < text.len();
    let Some(value) = dense.then(|| serde_json::from_str::<Value>(text).ok()).flatten() else {
        return lines(text, asked);
    };
    lines(&serde_json::to_string_pretty(&value).unwrap_or_default(), asked)
}

/// Some rows of a table that is a text, as CSV with commas.
pub(super) fn table(text: &str, asked: &Asked) -> Result<String, String> {
    let delimiter = delimiter(text);
    let rows = Records { text, delimiter };
    piece("rows", rows.map(|row| Cow::Owned(csv(&row))), asked)
}

/// Rows from `asked.start` on, of a table of `total`, as CSV.
#[cfg(feature = "documents")]
pub(super) fn rows(rows: &[Vec<String>], total: usize, asked: &Asked) -> Result<String, String> {
    if total == 0 {
        return Err("the sheet is empty".to_owned());
    }
    let shown = rows.iter().take(asked.count.unwrap_or(usize::MAX)).map(|row| csv(row));
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        return Err(beyond("rows", total, asked.start));
    }
    let mut text = shown.join("\n");
    let end = asked.start + shown.len() - 1;
    if asked.start > 1 || end < total {
        text.push_str(&note("rows", asked.start, end, total));
    }
    Ok(text)
}

/// The lines or rows that were asked for, as many as there is room for, and a note on what is left out.
fn piece<'a>(what: &str, all: impl Iterator<Item = Cow<'a, str>>, asked: &Asked) -> Result<String, String> {
    let mut text = String::new();
    let (mut room, mut shown, mut total) = (asked.max_chars, 0, 0);
    let mut full = false;
    for line in all {
        total += 1;
        if total < asked.start || full || asked.count.is_some_and(|count| shown >= count) {
            continue;
        }
        let length = line.chars().count() + 1;
        if length > room && shown > 0 {
            full = true;
            continue;
        }
        if length > room {
            // The only line that there is room for, and there is no room for all of it.
            text.extend(line.chars().take(room));
            text.push_str(" [… the line goes on …]");
            full = true;
        } else {
            text.push_str(&line);
        }
        text.push('\n');
        room = room.saturating_sub(length);
        shown += 1;
    }
    if shown == 0 {
        return Err(if total == 0 {
            "the file is empty".to_owned()
        } else {
            beyond(what, total, asked.start)
        });
    }
    text.truncate(text.trim_end_matches('\n').len());
    let end = asked.start + shown - 1;
    if asked.start > 1 || end < total {
        text.push_str(&note(what, asked.start, end, total));
    }
    Ok(text)
}

fn note(what: &str, start: usize, end: usize, total: usize) -> String {
    let next = if end < total { format!("; to read on, use start={}", end + 1) } else { String::new() };
    format!("\n\n[these are the {what} {start} to {end} of {total}{next}]")
}

fn beyond(what: &str, total: usize, start: usize) -> String {
    format!("there are {total} {what}, so there is nothing from {start} on")
}

/// The character between the fields: the one that divides the first lines into the same number of fields, and into most.
fn delimiter(text: &str) -> char {
    let sample: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(10).collect();
    let fields = |delimiter: char| {
        let mut counts =
            sample.iter().map(|line| Records { text: line, delimiter }.next().map_or(0, |row| row.len()));
        let first = counts.next().unwrap_or(0);
        let same = counts.all(|count| count == first);
        (same && first > 1, first)
    };
    // The earlier one of equals.
    [',', ';', '\t', '|'].into_iter().rev().max_by_key(|delimiter| fields(*delimiter)).unwrap_or(',')
}

/// The records of a table as RFC 4180 describes them, and as people write them.
struct Records<'a> {
    text: &'a str,
    delimiter: char,
}

impl Iterator for Records<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        if self.text.is_empty() {
            return None;
        }
        let mut row = Vec::new();
        let mut field = String::new();
        let mut quoted = false;
        let mut chars = self.text.char_indices().peekable();
        while let Some((place, char)) = chars.next() {
            match char {
                '"' if quoted => match chars.peek() {
                    Some((_, '"')) => {
                        chars.next();
                        field.push('"');
                    }
                    _ => quoted = false,
                },
                _ if quoted => field.push(char),
                '"' if field.is_empty() => quoted = true,
                '\n' => {
                    if field.ends_with('\r') {
                        field.pop();
                    }
                    row.push(field);
                    self.text = self.text.get(place + 1..).unwrap_or_default();
                    return Some(row);
                }
                _ if char == self.delimiter => row.push(std::mem::take(&mut field)),
                _ => field.push(char),
            }
        }
        self.text = "";
        row.push(field);
        Some(row)
    }
}

/// A row as a line of CSV.
fn csv(row: &[String]) -> String {
    let mut line = String::new();
    for (place, field) in row.iter().enumerate() {
        if place > 0 {
            line.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            line.push('"');
            line.push_str(&field.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(field);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(start: usize, count: Option<usize>, max_chars: usize) -> Asked {
        Asked { start, count, sheet: None, max_chars }
    }

    #[test]
    fn tables_are_read_whatever_stands_between_their_fields() {
        for (text, expected) in [
            ("a,b\n1,2\n", "a,b\n1,2"),
            ("a;b\r\n1,5;2\r\n", "a,b\n\"1,5\",2"),
            ("a\tb\n1\t\"x\"\"y\"\n", "a,b\n1,\"x\"\"y\""),
            ("a|b|c\n1|2|3", "a,b,c\n1,2,3"),
            ("name,note\nAnn,\"two\nlines\"\nBob,x", "name,note\nAnn,\"two\nlines\"\nBob,x"),
            ("alone\n1\n2\n", "alone\n1\n2"),
        ] {
            assert_eq!(table(text, &asked(1, None, 1_000)).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn pieces_say_what_they_are_of() {
        let text: String = (1..=9).map(|line| format!("line {line}\n")).collect();
        assert_eq!(
            lines(&text, &asked(8, None, 100)).unwrap(),
            "line 8\nline 9\n\n[these are the lines 8 to 9 of 9]"
        );
        assert_eq!(
            lines(&text, &asked(1, Some(1), 100)).unwrap(),
            "line 1\n\n[these are the lines 1 to 1 of 9; to read on, use start=2]"
        );
        let cut = lines(&text, &asked(2, None, 15)).unwrap();
        assert!(cut.starts_with("line 2\nline 3\n\n[these are the lines 2 to 3 of 9"), "{cut}");
        assert!(lines(&text, &asked(10, None, 100)).unwrap_err().contains("there are 9 lines"));
        let long = lines(&"x".repeat(50), &asked(1, None, 10)).unwrap();
        assert_eq!(long, "xxxxxxxxxx [… the line goes on …]");
    }

    #[test]
    fn dense_json_is_read_line_by_line() {
        let dense = format!("[{}]", vec!["{\"a\": 1}"; 1_000].join(","));
        let shown = json(&dense, &asked(1, Some(4), 100)).unwrap();
        assert!(shown.starts_with("[\n  {\n    \"a\": 1\n  },"), "{shown}");
        assert_eq!(json("{\"a\":1}", &asked(1, None, 100)).unwrap(), "{\"a\":1}");
    }
}
