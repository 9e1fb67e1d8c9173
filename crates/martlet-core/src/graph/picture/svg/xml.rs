//! Text in XML: escaped, measured, cut to fit.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::graph::picture::words::{number, one_line};

/// Writes a text with its left end there.
pub(super) fn text(out: &mut String, class: &str, x: f64, y: f64, content: &str) {
    let _ = write!(
        out,
        "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>",
        number(x),
        number(y),
        escaped(&one_line(content))
    );
}

/// The full text of something, shown by most viewers when it is pointed at.
pub(super) fn title(content: &str) -> String {
    format!("<title>{}</title>", escaped(&one_line(content)))
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out.into()
}

/// About how wide a text is. There is no font to ask: these are the widths of the usual sans-serif ones, rounded up.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

fn advance(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' | '!' | '.' | ',' | ':' | ';' => 0.3,
        'f' | 't' | 'r' | ' ' | '(' | ')' | '[' | ']' | '-' | '/' | 'I' | '·' => 0.38,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '→' | '—' => 0.95,
        'A'..='Z' => 0.7,
        '<' | '>' | '=' | '+' | '#' | '&' | '~' | '^' => 0.82,
        '0'..='9' | '_' => 0.58,
        c if c.is_ascii() => 0.59,
        // Most other letters are as wide; those of East Asia and pictures fill a square.
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{ffff}' | '\u{10000}'.. => 1.1,
        _ => 0.68,
    }
}

/// The beginning of a text that fits into the width, with `…` where it was cut.
pub(super) fn fitted(content: &str, size: f64, most: f64) -> Cow<'_, str> {
    let mut used = 0.0;
    let room = most - advance('…') * size;
    let mut keep = 0;
    for (place, c) in content.char_indices() {
        used += advance(c) * size;
        if used <= room {
            keep = place + c.len_utf8();
        }
        if used > most {
            let kept = content.get(..keep).unwrap_or_default();
            return format!("{}…", kept.trim_end()).into();
        }
    }
    content.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut() {
        assert_eq!(fitted("report", 13.0, 100.0), "report");
        let cut = fitted("a name that is much longer than its box", 13.0, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 13.0) <= 100.0, "{cut}");
        assert_eq!(fitted("abc", 13.0, 1.0), "…");
    }

    #[test]
    fn nothing_leaves_its_text() {
        let mut out = String::new();
        text(&mut out, "t", 1.0, 2.0, "\"><script>&'\u{0}\n");
        assert_eq!(
            out,
            "<text class=\"t\" x=\"1\" y=\"2\">&quot;&gt;&lt;script&gt;&amp;&#39;\u{fffd} </text>"
        );
    }
}
