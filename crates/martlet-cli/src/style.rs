//! What standard error may be shown: colours, cursor movements, and no control characters of others.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};

/// What the terminal behind a stream understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Style {
    /// Colours.
    pub(crate) color: bool,
    /// Whether a person watches: text may appear piece by piece.
    pub(crate) terminal: bool,
    /// Lines may be erased again.
    pub(crate) cursor: bool,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Strong,
    Dim,
    Code,
    Tool,
    Error,
    Good,
}

impl Style {
    /// The style of standard error.
    pub(crate) fn stderr() -> Self {
        Self::decide(io::stderr().is_terminal(), |name| std::env::var_os(name))
    }

    /// The style of standard output.
    pub(crate) fn stdout() -> Self {
        Self::decide(io::stdout().is_terminal(), |name| std::env::var_os(name))
    }

    /// `NO_COLOR` wins over `CLICOLOR_FORCE`, which wins over `TERM` and over what the stream is.
    fn decide(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).is_some_and(|value| !value.is_empty());
        let forced = set("CLICOLOR_FORCE") && variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let color = !set("NO_COLOR") && (forced || (terminal && !dumb));
        Self { color, terminal, cursor: terminal && !dumb }
    }

    /// `text` in the colour of its kind.
    pub(crate) fn paint<'a>(&self, paint: Paint, text: &'a str) -> Cow<'a, str> {
        if !self.color || text.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(format!("{}{text}{RESET}", paint.start()))
    }
}

pub(crate) const RESET: &str = "\x1b[0m";

impl Paint {
    pub(crate) fn start(self) -> &'static str {
        match self {
            Self::Strong => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Code => "\x1b[36m",
            Self::Tool => "\x1b[35m",
            Self::Error => "\x1b[31m",
            Self::Good => "\x1b[32m",
        }
    }
}

/// The text without control characters other than line breaks and tabs: what a model or a tool writes must not
/// move the cursor or fake other output.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|letter| !is_control(*letter)).collect())
}

pub(crate) fn is_control(letter: char) -> bool {
    letter.is_control() && letter != '\n' && letter != '\t'
}

/// The text on one line, with everything written out that is not seen as it is: control characters, and those that
/// turn the direction of a text or take no space. Nobody is to be shown something else than there is.
pub(crate) fn escaped(text: &str) -> String {
    written_out(text, is_unseen, |letter, out| out.extend(letter.escape_default()))
}

/// The same for JSON, in the escapes of JSON.
pub(crate) fn unfaked(json: &str) -> String {
    written_out(json, is_unseen, |letter, out| {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

fn written_out(text: &str, is_unseen: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match is_unseen(letter) {
            true => escape(letter, &mut out),
            false => out.push(letter),
        }
    }
    out
}

fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(terminal: bool, variables: &[(&str, &str)]) -> Style {
        Style::decide(terminal, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn colours_follow_the_stream_and_the_variables() {
        for (terminal, variables, color) in [
            (true, &[][..], true),
            (false, &[], false),
            (true, &[("NO_COLOR", "1")], false),
            (true, &[("NO_COLOR", "")], true),
            (false, &[("CLICOLOR_FORCE", "1")], true),
            (false, &[("CLICOLOR_FORCE", "0")], false),
            (false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (true, &[("TERM", "dumb")], false),
        ] {
            assert_eq!(style(terminal, variables).color, color, "{terminal} {variables:?}");
        }
    }

    #[test]
    fn a_dumb_terminal_keeps_its_lines() {
        let dumb = style(true, &[("TERM", "dumb")]);
        assert!(dumb.terminal && !dumb.cursor);
        assert!(!style(false, &[("CLICOLOR_FORCE", "1")]).cursor);
    }

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(escaped("a\u{1b}[2J\nb\u{202e}c é"), "a\\u{1b}[2J\\nb\\u{202e}c é");
        assert_eq!(unfaked("\"\u{9b}1m\u{e0041}\""), r#""\u009b1m\udb40\udc41""#);
    }

    #[test]
    fn escape_sequences_of_others_are_taken_apart() {
        assert_eq!(printable("a\u{1b}[2Jb\rc\n\td"), "a[2Jbc\n\td");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
    }
}
