//! Showing tool calls: what waits, what was decided, what is called, what came of it.

use std::io::Write;

use martlet::DecisionKind;
use serde_json::{Map, Value};

use super::{Renderer, seconds};
use crate::style::Paint;

/// A call as people write it: `temperature(city="Paris")`.
pub(crate) fn call(name: &str, arguments: &Map<String, Value>, cut: impl Fn(&str) -> String) -> String {
    let arguments: Vec<String> =
        arguments.iter().map(|(name, value)| format!("{name}={}", cut(&value.to_string()))).collect();
    format!("{name}({})", arguments.join(", "))
}

impl<W: Write> Renderer<W> {
    pub(super) fn approval_asked(
        &mut self,
        name: &str,
        arguments: &Map<String, Value>,
        reason: Option<&str>,
    ) {
        let call = self.call(name, arguments);
        let why = reason.map(|reason| format!(": {}", self.cut(reason))).unwrap_or_default();
        self.line(Paint::Tool, &format!("  ? {call} needs approval{why}"));
    }

    /// What a person decided on a call.
    pub(super) fn approval_decided(
        &mut self,
        name: &str,
        decision: DecisionKind,
        reason: Option<&str>,
        arguments: Option<&Map<String, Value>>,
    ) {
        match (decision, arguments) {
            (DecisionKind::Edited, Some(arguments)) => {
                let call = self.call(name, arguments);
                self.line(Paint::Tool, &format!("  * {name} is approved as {call}"));
            }
            (DecisionKind::Denied, _) => {
                let reason = self.cut_block(reason.unwrap_or_default());
                self.marked(Paint::Error, &format!("  x {name} is denied: "), &reason);
            }
            _ => self.line(Paint::Tool, &format!("  * {name} is approved")),
        }
    }

    pub(super) fn returned(
        &mut self,
        name: &str,
        output: Option<&str>,
        error: Option<&str>,
        elapsed_us: u64,
    ) {
        let time = seconds(elapsed_us);
        match (output, error) {
            (_, Some(error)) => {
                let error = self.cut_block(error);
                self.marked(Paint::Error, &format!("  ! {name}: "), &format!("{error} ({time})"));
            }
            (Some(output), None) => {
                let output = self.cut_block(output);
                self.marked(Paint::Dim, &format!("  < {name}: "), &format!("{output} ({time})"));
            }
            (None, None) => self.line(Paint::Dim, &format!("  < {name} ({time})")),
        }
    }

    pub(super) fn called(&mut self, name: &str, arguments: &Map<String, Value>) {
        let call = self.call(name, arguments);
        self.line(Paint::Tool, &format!("  > {call}"));
    }

    fn call(&self, name: &str, arguments: &Map<String, Value>) -> String {
        call(name, arguments, |value| self.cut(value))
    }
}
