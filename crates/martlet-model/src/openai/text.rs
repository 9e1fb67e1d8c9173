//! The text of a reply as it arrives: visible reasoning apart, a repeated prefill taken off, cut at the
//! first stop text. Where a reply is split into pieces makes no difference to the outcome.

use std::sync::Arc;

use martlet_core::Delta;

use crate::model::DeltaSink;

const THINK: &str = "<think>";
const END_OF_THINK: &str = "</think>";

/// Where in the reply we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It may still begin with `<think>`.
    Start,
    /// Between the tags.
    Thinking,
    /// Right behind the closing tag: white space is left out.
    AfterThinking,
    /// The server may still be repeating the prefill.
    Prefill,
    /// In the text itself.
    Text,
    /// A stop text came.
    Stopped,
}

/// The text of a reply as it arrives.
pub(super) struct TextPipe<'a> {
    place: Place,
    /// What came and cannot be judged yet.
    held: String,
    prefill: &'a str,
    stops: &'a [Arc<str>],
    sink: Option<&'a DeltaSink>,
    pub(super) text: String,
    pub(super) reasoning: String,
}

impl<'a> TextPipe<'a> {
    pub(super) fn new(prefill: &'a str, stops: &'a [Arc<str>], sink: Option<&'a DeltaSink>) -> Self {
        Self {
            place: Place::Start,
            held: String::new(),
            prefill,
            stops,
            sink,
            text: String::new(),
            reasoning: String::new(),
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.place == Place::Stopped
    }

    /// More of the content.
    pub(super) fn push(&mut self, piece: &str) {
        if self.place == Place::Text && self.held.is_empty() && self.stops.is_empty() {
            self.show(piece);
            return;
        }
        self.held.push_str(piece);
        while self.advance() {}
    }

    /// More of the reasoning, where the server sends it apart.
    pub(super) fn push_reasoning(&mut self, piece: &str) {
        if piece.is_empty() {
            return;
        }
        self.reasoning.push_str(piece);
        if let Some(sink) = self.sink {
            sink.send(Delta::Reasoning { text: piece.to_owned() });
        }
    }

    /// The reply is over: what is held is what it is.
    pub(super) fn finish(&mut self) {
        // What could still have become a tag or the prefill is text, in which a stop may stand.
        if self.place == Place::Start {
            self.place = Place::Prefill;
            while self.advance() {}
        }
        if self.place == Place::Prefill {
            self.place = Place::Text;
            while self.advance() {}
        }
        let held = std::mem::take(&mut self.held);
        match self.place {
            Place::Text => self.show(&held),
            Place::Thinking => self.push_reasoning(&held),
            _ => {}
        }
    }

    /// Judges what is held. Returns whether the place changed, so that the rest must be judged again.
    fn advance(&mut self) -> bool {
        match self.place {
            Place::Start => {
                let trimmed = self.held.trim_start();
                if trimmed.starts_with(THINK) {
                    let rest = self.held.len() - trimmed.len() + THINK.len();
                    self.held.drain(..rest);
                    self.go(Place::Thinking)
                } else if THINK.starts_with(trimmed) {
                    false
                } else {
                    self.go(Place::Prefill)
                }
            }
            Place::Thinking => {
                let (end, tag) = match self.held.find(END_OF_THINK) {
                    Some(end) => (end, END_OF_THINK.len()),
                    None => (self.held.len() - partial_suffix(&self.held, END_OF_THINK), 0),
                };
                let thought: String = self.held.drain(..end).collect();
                self.push_reasoning(&thought);
                self.held.drain(..tag);
                tag > 0 && self.go(Place::AfterThinking)
            }
            Place::AfterThinking => {
                let white = self.held.len() - self.held.trim_start().len();
                self.held.drain(..white);
                !self.held.is_empty() && self.go(Place::Prefill)
            }
            Place::Prefill => {
                if self.held.starts_with(self.prefill) {
                    self.held.drain(..self.prefill.len());
                } else if self.prefill.starts_with(self.held.as_str()) {
                    return false;
                }
                self.go(Place::Text)
            }
            Place::Text => {
                let (end, stopped) = match first_stop(&self.held, self.stops) {
                    Some(start) => (start, true),
                    None => {
                        let longest = self.stops.iter().map(|stop| partial_suffix(&self.held, stop)).max();
                        (self.held.len() - longest.unwrap_or(0), false)
                    }
                };
                let mut held = std::mem::take(&mut self.held);
                self.show(held.get(..end).unwrap_or_default());
                held.drain(..end);
                self.held = held;
                stopped && self.go(Place::Stopped)
            }
            Place::Stopped => {
                self.held.clear();
                false
            }
        }
    }

    fn go(&mut self, place: Place) -> bool {
        self.place = place;
        true
    }

    fn show(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        if let Some(sink) = self.sink {
            sink.send(Delta::Text { text: text.to_owned() });
        }
    }
}

/// Where the stop text begins that is complete first: what a server sees that reads along.
fn first_stop(text: &str, stops: &[Arc<str>]) -> Option<usize> {
    let found = stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| {
        let start = text.find(&**stop)?;
        Some((start + stop.len(), start))
    });
    found.min().map(|(_, start)| start)
}

/// The length of the longest end of `text` with which `pattern` begins, without being all of it.
fn partial_suffix(text: &str, pattern: &str) -> usize {
    let longest = pattern.len().saturating_sub(1).min(text.len());
    let mut suffixes = (text.len() - longest..text.len()).filter_map(|start| text.get(start..));
    suffixes.find(|suffix| pattern.starts_with(suffix)).map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    /// Text, reasoning and what the watcher saw of both.
    fn run(pieces: &[&str], prefill: &str, stops: &[Arc<str>]) -> [String; 4] {
        let seen = Arc::new(Mutex::new((String::new(), String::new())));
        let sink = {
            let seen = Arc::clone(&seen);
            DeltaSink::new(move |delta| match delta {
                Delta::Text { text } => seen.lock().unwrap().0.push_str(&text),
                Delta::Reasoning { text } => seen.lock().unwrap().1.push_str(&text),
                _ => {}
            })
        };
        let mut pipe = TextPipe::new(prefill, stops, Some(&sink));
        for piece in pieces {
            pipe.push(piece);
        }
        pipe.finish();
        let (text, reasoning) = seen.lock().unwrap().clone();
        [pipe.text, pipe.reasoning, text, reasoning]
    }

    fn text(pieces: &[&str], prefill: &str, stops: &[&str]) -> (String, String) {
        let stops: Vec<Arc<str>> = stops.iter().map(|stop| Arc::from(*stop)).collect();
        let [text, reasoning, seen_text, seen_reasoning] = run(pieces, prefill, &stops);
        assert_eq!((&text, &reasoning), (&seen_text, &seen_reasoning));
        (text, reasoning)
    }

    fn pair(text: &str, reasoning: &str) -> (String, String) {
        (text.into(), reasoning.into())
    }

    #[test]
    fn text_is_cut_at_the_first_complete_stop() {
        assert_eq!(text(&["a``", "`b"], "", &["```"]), pair("a", ""));
        assert_eq!(text(&["abcd"], "", &["abcd", "c"]), pair("ab", ""));
        assert_eq!(text(&["a``"], "", &["```"]), pair("a``", ""));
        assert_eq!(text(&["a", "", "b"], "", &[""]), pair("ab", ""));
    }

    #[test]
    fn a_prefill_that_comes_back_is_taken_off_once() {
        assert_eq!(text(&["```p", "y\nx"], "```py\n", &["```"]), pair("x", ""));
        assert_eq!(text(&["x = 1"], "```py\n", &[]), pair("x = 1", ""));
        assert_eq!(text(&["``"], "```py\n", &[]), pair("``", ""));
    }

    #[test]
    fn thoughts_are_apart() {
        assert_eq!(text(&["\n<th", "ink>hm</thi", "nk>\n\n", " yes"], "", &[]), pair("yes", "hm"));
        assert_eq!(text(&["<think>hm"], "", &[]), pair("", "hm"));
        assert_eq!(text(&["a <think>b"], "", &[]), pair("a <think>b", ""));
        assert_eq!(text(&["<thin"], "", &[]), pair("<thin", ""));
        assert_eq!(text(&["<think>a END</think>b END c"], "", &["END"]), pair("b ", "a END"));
    }

    #[test]
    fn suffixes() {
        assert_eq!(partial_suffix("ab``", "```"), 2);
        assert_eq!(partial_suffix("ab", "```"), 0);
        assert_eq!(partial_suffix("", "```"), 0);
        assert_eq!(partial_suffix("xé", "éa"), 2);
        assert_eq!(partial_suffix("x", ""), 0);
    }

    proptest! {
        #[test]
        fn where_a_reply_is_split_makes_no_difference(
            pieces in proptest::collection::vec("(<think>|</think>|`{1,3}|[ab\n ]|é|<){0,3}", 0..10),
            prefill in "(``)?[ab]{0,2}",
            stops in proptest::collection::vec("(```|[abé]{1,3}|</)", 0..3),
        ) {
            let stops: Vec<Arc<str>> = stops.into_iter().map(Arc::from).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let whole = pieces.concat();
            let split = run(&pieces, &prefill, &stops);
            prop_assert_eq!(&split, &run(&[&whole], &prefill, &stops));
            prop_assert_eq!(&split[0], &split[2]);
            prop_assert_eq!(&split[1], &split[3]);
        }
    }
}
