//! What a program prints: collected up to a limit, and passed on as it comes.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use monty_types::{ExcType, MontyException, PrintWriterCallback};
use serde::{Deserialize, Serialize};

use super::Host;

/// Text is passed on when this much has come together ...
const CHUNK_BYTES: usize = 4 << 10;
/// ... or when it is this old.
const CHUNK_AGE: Duration = Duration::from_millis(50);

/// What a program has printed since it started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Printed {
    pub(crate) text: String,
    chars: usize,
    cut: bool,
}

/// The interpreter's `print`.
pub(super) struct Printer<'a> {
    pub(super) printed: Printed,
    limit: usize,
    /// Up to where [`Printed::text`] was passed on.
    passed: usize,
    passed_at: Instant,
    pub(super) host: &'a mut dyn Host,
}

impl<'a> Printer<'a> {
    pub(super) fn new(printed: Printed, limit: usize, host: &'a mut dyn Host) -> Self {
        let passed = printed.text.len();
        Self { printed, limit, passed, passed_at: Instant::now(), host }
    }

    /// Passes on what has not been passed on yet.
    pub(super) fn flush(&mut self) {
        if let Some(text) = self.printed.text.get(self.passed..).filter(|text| !text.is_empty()) {
            self.host.print(text);
        }
        self.passed = self.printed.text.len();
        self.passed_at = Instant::now();
    }

    /// Adds a line of our own, whatever the limit says.
    pub(super) fn note(&mut self, line: &str) {
        if !self.printed.text.is_empty() && !self.printed.text.ends_with('\n') {
            self.printed.text.push('\n');
        }
        self.printed.text.push_str(line);
        self.printed.text.push('\n');
    }

    fn add(&mut self, text: &str) {
        if self.printed.cut {
            return;
        }
        let room = self.limit.saturating_sub(self.printed.chars);
        match text.char_indices().nth(room) {
            None => {
                self.printed.chars += text.chars().count();
                self.printed.text.push_str(text);
            }
            Some((end, _)) => {
                self.printed.text.push_str(text.get(..end).unwrap_or_default());
                self.printed.cut = true;
                let limit = self.limit;
                self.note(&format!(
                    "[output cut: a program may print {limit} characters; print only what is needed]"
                ));
            }
        }
        if self.printed.text.len() - self.passed >= CHUNK_BYTES {
            self.flush();
        }
    }
}

impl PrintWriterCallback for Printer<'_> {
    fn stdout_write(&mut self, output: Cow<'_, str>) -> Result<(), MontyException> {
        self.add(&output);
        Ok(())
    }

    fn stdout_push(&mut self, end: char) -> Result<(), MontyException> {
        self.add(end.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    /// The interpreter calls this every few hundred instructions.
    fn poll_flush(&mut self) -> Result<(), MontyException> {
        if self.host.checkpoint().is_break() {
            return Err(MontyException::new(
                ExcType::KeyboardInterrupt,
                Some("the program was stopped".into()),
            ));
        }
        if self.passed < self.printed.text.len() && self.passed_at.elapsed() >= CHUNK_AGE {
            self.flush();
        }
        Ok(())
    }
}
