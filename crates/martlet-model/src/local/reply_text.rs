//! The reply's text as it grows: whole characters only, and nothing of a stop text.

use std::sync::Arc;

/// Turns the bytes of tokens into text that may be shown.
pub(super) struct ReplyText {
    stops: Vec<Arc<str>>,
    /// What may be shown, all of it.
    text: String,
    /// Characters that may turn out to be the beginning of a stop text.
    held: String,
    /// Bytes of an unfinished character.
    bytes: Vec<u8>,
}

/// Whether the reply goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    GoesOn,
    Stopped,
}

impl ReplyText {
    pub(super) fn new(stops: &[Arc<str>]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, text: String::new(), held: String::new(), bytes: Vec::new() }
    }

    /// Adds the bytes of one token.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Progress {
        self.bytes.extend_from_slice(bytes);
        self.take_whole_characters();
        let found = self.stops.iter().filter_map(|stop| self.held.find(&**stop)).min();
        if let Some(at) = found {
            self.held.truncate(at);
            self.text.push_str(&self.held);
            self.held.clear();
            self.bytes.clear();
            return Progress::Stopped;
        }
        let safe = self.held.len() - self.possible_stop();
        self.text.extend(self.held.drain(..safe));
        Progress::GoesOn
    }

    /// The text that is certain so far. It only grows.
    pub(super) fn certain(&self) -> &str {
        &self.text
    }

    /// The whole text, when no more comes.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str(&self.held);
        self.text.push_str(&String::from_utf8_lossy(&self.bytes));
        self.text
    }

    fn take_whole_characters(&mut self) {
        loop {
            let error = match std::str::from_utf8(&self.bytes) {
                Ok(text) => {
                    self.held.push_str(text);
                    self.bytes.clear();
                    return;
                }
                Err(error) => error,
            };
            let whole: Vec<u8> = self.bytes.drain(..error.valid_up_to()).collect();
            self.held.push_str(&String::from_utf8_lossy(&whole));
            // Without a length the character is only unfinished.
            let Some(broken) = error.error_len() else { return };
            self.bytes.drain(..broken);
            self.held.push(char::REPLACEMENT_CHARACTER);
        }
    }

    /// The length of the longest end of `held` with which a stop text begins.
    fn possible_stop(&self) -> usize {
        let longest = |stop: &Arc<str>| {
            let beginnings =
                stop.char_indices().map(|(at, char)| at + char.len_utf8()).filter(|at| *at < stop.len());
            beginnings.filter(|at| self.held.ends_with(&stop[..*at])).max().unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `text` in pieces of `size` bytes; gives what was shown after each piece and the whole.
    fn feed(text: &[u8], size: usize, stops: &[&str]) -> (Vec<String>, String) {
        let stops: Vec<Arc<str>> = stops.iter().map(|stop| Arc::from(*stop)).collect();
        let mut reply = ReplyText::new(&stops);
        let mut shown = Vec::new();
        for piece in text.chunks(size) {
            let progress = reply.push(piece);
            shown.push(reply.certain().to_owned());
            if progress == Progress::Stopped {
                break;
            }
        }
        (shown, reply.finish())
    }

    #[test]
    fn characters_are_shown_whole() {
        for size in 1..8 {
            let (shown, whole) = feed("für 10 € 🐦".as_bytes(), size, &[]);
            assert!(shown.iter().all(|text| "für 10 € 🐦".starts_with(text.as_str())));
            assert_eq!(whole, "für 10 € 🐦");
        }
    }

    #[test]
    fn stop_texts_are_cut_wherever_the_tokens_end() {
        for size in 1..12 {
            let (shown, whole) = feed(b"print(1)\n```\nDone ``` and more", size, &["```", "Done!"]);
            assert_eq!(whole, "print(1)\n");
            assert!(shown.iter().all(|text| "print(1)\n".starts_with(text.as_str())), "{shown:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_stop_is_shown_in_the_end() {
        let (shown, whole) = feed(b"a``b``", 1, &["```"]);
        assert_eq!(whole, "a``b``");
        assert_eq!(shown.last().unwrap(), "a``b");
    }

    #[test]
    fn the_earliest_stop_counts() {
        assert_eq!(feed(b"one two three", 13, &["three", "two"]).1, "one ");
    }

    #[test]
    fn broken_bytes_become_replacement_characters() {
        assert_eq!(feed(b"a\xff\xfeb\xe2\x82", 2, &[]).1, "a\u{fffd}\u{fffd}b\u{fffd}");
    }
}
