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
    fn escape_sequences_of_others_are_taken_apart() {
        assert_eq!(printable("a\u{1b}[2Jb\rc\n\td"), "a[2Jbc\n\td");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
    }
}
