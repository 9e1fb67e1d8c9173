//! A model's reply as it is being written: words, and programs in their blocks.

use std::io::Write;

use crate::style::{Paint, RESET, Style, is_control};

/// One reply that streams. Everything is written as soon as it is clear that it is no mark of a block.
#[derive(Debug)]
pub(super) struct Live {
    place: Place,
    /// The beginning of a line that may still become a mark.
    held: String,
    /// A line has been begun.
    in_line: bool,
    shown: [bool; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Reasoning,
    Text,
    Code,
}

impl Live {
    /// `opened`: the reply begins inside of a program.
    pub(super) fn new(opened: bool) -> Self {
        let place = if opened { Place::Code } else { Place::Text };
        Self { place, held: String::new(), in_line: false, shown: [false; 3] }
    }

    pub(super) fn showed_text(&self) -> bool {
        self.was_shown(Place::Text)
    }

    pub(super) fn showed_reasoning(&self) -> bool {
        self.was_shown(Place::Reasoning)
    }

    /// Whether the program was shown; then it need not be shown again, but the next one of this reply has to.
    pub(super) fn take_code(&mut self) -> bool {
        let shown = self.was_shown(Place::Code);
        self.set_shown(Place::Code, false);
        shown
    }

    /// More of the reply's text.
    pub(super) fn text(&mut self, text: &str, style: Style, out: &mut impl Write) {
        if self.place == Place::Reasoning {
            self.end(style, out);
            self.place = Place::Text;
        }
        self.push(text, style, out);
    }

    /// More of what a reasoning model thinks aloud.
    pub(super) fn reasoning(&mut self, text: &str, style: Style, out: &mut impl Write) {
        if self.place != Place::Reasoning {
            self.end(style, out);
            self.place = Place::Reasoning;
        }
        self.push(text, style, out);
    }

    /// Ends the line that was begun.
    pub(super) fn end(&mut self, style: Style, out: &mut impl Write) {
        if !self.held.is_empty() {
            self.whole_line(style, out);
        }
        if self.in_line {
            let _ = writeln!(out);
            self.in_line = false;
        }
    }

    fn push(&mut self, text: &str, style: Style, out: &mut impl Write) {
        for letter in text.chars().filter(|letter| !is_control(*letter)) {
            if letter == '\n' {
                if self.in_line {
                    let _ = writeln!(out);
                    self.in_line = false;
                } else {
                    self.whole_line(style, out);
                }
                continue;
            }
            if self.in_line {
                self.write(letter.encode_utf8(&mut [0; 4]), style, out);
                continue;
            }
            self.held.push(letter);
            if !may_be_mark(&self.held) {
                self.begin_line(style, out);
            }
        }
    }

    /// A line is complete that was held so far: a mark, or a short one.
    fn whole_line(&mut self, style: Style, out: &mut impl Write) {
        let line = self.held.trim();
        let next = match self.place {
            Place::Reasoning => None,
            Place::Text if line.starts_with("```") || line == "<code>" => Some(Place::Code),
            Place::Code if line.starts_with("```") => {
                // A model may open the block again that was opened for it.
                Some(if line == "```" || self.was_shown(Place::Code) { Place::Text } else { Place::Code })
            }
            Place::Code if line == "</code>" => Some(Place::Text),
            _ => None,
        };
        if let Some(next) = next {
            self.place = next;
            self.held.clear();
            return;
        }
        // Blank lines at the beginning say nothing.
        if !line.is_empty() || self.was_shown(self.place) {
            self.begin_line(style, out);
            let _ = writeln!(out);
        }
        self.held.clear();
        self.in_line = false;
    }

    fn begin_line(&mut self, style: Style, out: &mut impl Write) {
        if self.place == Place::Code && !self.was_shown(Place::Code) {
            let _ = writeln!(out, "{}", style.paint(Paint::Dim, "  python"));
        }
        self.set_shown(self.place, true);
        let start = if self.place == Place::Code { "  | " } else { "  " };
        let _ = write!(out, "{}", style.paint(Paint::Dim, start));
        let held = std::mem::take(&mut self.held);
        self.in_line = true;
        self.write(&held, style, out);
    }

    fn write(&self, text: &str, style: Style, out: &mut impl Write) {
        let paint = match self.place {
            Place::Reasoning => Paint::Dim,
            Place::Text => Paint::Strong,
            Place::Code => Paint::Code,
        };
        let _ =
            if style.color { write!(out, "{}{text}{RESET}", paint.start()) } else { write!(out, "{text}") };
    }

    fn was_shown(&self, place: Place) -> bool {
        let [reasoning, text, code] = self.shown;
        match place {
            Place::Reasoning => reasoning,
            Place::Text => text,
            Place::Code => code,
        }
    }

    fn set_shown(&mut self, place: Place, shown: bool) {
        let [reasoning, text, code] = &mut self.shown;
        *match place {
            Place::Reasoning => reasoning,
            Place::Text => text,
            Place::Code => code,
        } = shown;
    }
}

/// Whether a line that begins like this may be the mark of a block.
fn may_be_mark(start: &str) -> bool {
    let start = start.trim_start();
    ["```", "<code>", "</code>"].iter().any(|mark| mark.starts_with(start)) || start.starts_with("```")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(opened: bool, pieces: &[&str]) -> String {
        let mut live = Live::new(opened);
        let mut out = Vec::new();
        for piece in pieces {
            live.text(piece, Style::default(), &mut out);
        }
        live.end(Style::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pieces_make_no_difference() {
        let reply = "I add them.\n\n```python\nx = 1\n\nprint(x)\n```\nDone.";
        let whole = shown(false, &[reply]);
        let letters: Vec<String> = reply.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(shown(false, &letters), whole);
        assert_eq!(whole, "  I add them.\n  \n  python\n  | x = 1\n  | \n  | print(x)\n  Done.\n");
    }

    #[test]
    fn a_reply_may_begin_inside_of_a_program() {
        assert_eq!(shown(true, &["print(1)", "\n"]), "  python\n  | print(1)\n");
        assert_eq!(shown(true, &["```python\nprint(1)\n```"]), "  python\n  | print(1)\n");
    }

    #[test]
    fn escape_sequences_do_not_pass() {
        assert_eq!(shown(false, &["a\u{1b}[2Jb\r"]), "  a[2Jb\n");
    }

    #[test]
    fn words_are_not_held_back() {
        let mut live = Live::new(false);
        let mut out = Vec::new();
        live.text("Wo", Style::default(), &mut out);
        assert_eq!(out, b"  Wo");
        assert!(live.showed_text() && !live.take_code());
    }
}
