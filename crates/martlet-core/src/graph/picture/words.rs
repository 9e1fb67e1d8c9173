//! Words and signs that the formats share.

use std::borrow::Cow;

use crate::graph::{GraphStatus, NodeStatus};

/// A status as a word.
pub(super) fn status(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Pending => "pending",
        NodeStatus::Queued => "queued",
        NodeStatus::Running => "running",
        NodeStatus::Completed => "completed",
        NodeStatus::Failed => "failed",
        NodeStatus::Skipped => "skipped",
        NodeStatus::Cancelled => "cancelled",
    }
}

/// A status as a sign.
pub(super) fn sign(status: NodeStatus) -> char {
    match status {
        NodeStatus::Pending | NodeStatus::Queued => '⏸',
        NodeStatus::Running => '▶',
        NodeStatus::Completed => '✓',
        NodeStatus::Failed => '✗',
        NodeStatus::Skipped => '⊘',
        NodeStatus::Cancelled => '⊗',
    }
}

/// The end of a graph's run in words.
pub(super) fn ending(status: GraphStatus) -> &'static str {
    match status {
        GraphStatus::Success => "success",
        GraphStatus::Partial => "partial success",
        GraphStatus::Failed => "failed",
        GraphStatus::TimedOut => "timed out",
        GraphStatus::Cancelled => "cancelled",
    }
}

/// A number and its noun.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A length of time for people: three digits are enough.
pub(super) fn duration(us: u64) -> String {
    let ms = us as f64 / 1_000.0;
    let seconds = us / 1_000_000;
    match us {
        0 => "0 ms".into(),
        1..10_000 => format!("{} ms", number(ms)),
        10_000..1_000_000 => format!("{ms:.0} ms"),
        1_000_000..10_000_000 => format!("{:.2} s", ms / 1_000.0),
        10_000_000..60_000_000 => format!("{:.1} s", ms / 1_000.0),
        60_000_000..3_600_000_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A number with at most one decimal.
pub(super) fn number(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // `-0` is a number that nobody wants to read.
    if rounded == rounded.trunc() { format!("{:.0}", rounded + 0.0) } else { format!("{rounded:.1}") }
}

/// A text on one line that cannot act on its surroundings: control characters, line breaks and marks that turn the
/// direction of writing are replaced.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| replacement(c).is_some()) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| replacement(c).unwrap_or(c)).collect::<String>().into()
}

fn replacement(c: char) -> Option<char> {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' | '\u{85}' => Some(' '),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => Some('\u{fffd}'),
        // Two code points of each plane are no characters, and XML refuses them.
        c if c.is_control() || u32::from(c) & 0xfffe == 0xfffe => Some('\u{fffd}'),
        _ => None,
    }
}

/// The beginning of a text, of at most so many characters, with `…` where it was cut.
pub(super) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some(_) => {
            let kept = text.chars().take(most.saturating_sub(1)).collect::<String>();
            format!("{}…", kept.trim_end()).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let times = [0, 4, 400, 3_240, 120_000, 1_240_000, 12_340_000, 65_000_000, 3_660_000_000];
        assert_eq!(
            times.map(duration),
            ["0 ms", "0 ms", "0.4 ms", "3.2 ms", "120 ms", "1.24 s", "12.3 s", "1 min 5 s", "1 h 1 min"]
        );
    }

    #[test]
    fn lines_are_one() {
        assert_eq!(one_line("a\nb\u{202e}c\u{0}"), "a b\u{fffd}c\u{fffd}");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
