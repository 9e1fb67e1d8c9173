//! A story as messages of Gradio's queue.
//!
//! While a run goes on, the value of its endpoint is what it does; at the end it is the answer, and that alone.

use martlet_core::RunId;
use martlet_store::{ApprovalKind, ApprovalRow, RunRow};
use serde_json::{Value, json};

use crate::adapter::as_text;
use crate::adapter::telling::{self, Out, Then, cut_because, why};
use crate::adapter::told::{ANSWER, Kind, PROGRAM, Story, Told};
use crate::clock;

/// What is shown of the result of a call, in characters.
const SHOWN: usize = 500;

/// Which of Gradio's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// That of a session: all messages, and of values what changed.
    Queue,
    /// That of one call: whole values, under the names of events.
    Call,
}

/// The state of an event.
pub(super) struct Form {
    style: Style,
    event: RunId,
    began_ms: u64,
    is_running: bool,
    /// The value, as it should be.
    text: String,
    /// How much of it was sent; nothing if none was.
    sent: Option<usize>,
}

impl Form {
    pub(super) fn new(row: &RunRow, style: Style) -> Self {
        Self {
            style,
            event: row.id.clone(),
            began_ms: row.started_ms.unwrap_or_else(clock::now_ms),
            is_running: false,
            text: String::new(),
            sent: None,
        }
    }

    /// A message of the queue.
    fn message(&self, kind: &str, mut fields: Value, out: &mut Out) {
        fields["msg"] = kind.into();
        fields["event_id"] = self.event.as_str().into();
        out.data(&fields);
    }

    fn seconds(&self) -> f64 {
        std::time::Duration::from_millis(clock::now_ms().saturating_sub(self.began_ms)).as_secs_f64()
    }

    fn line(&mut self, line: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }

    /// Sends the value, or what is new of it.
    fn generating(&mut self, value: Value, out: &mut Out) {
        if self.style == Style::Call {
            return out.event("generating", &json!([value]));
        }
        let output = json!({ "data": [value], "is_generating": true });
        self.message("process_generating", json!({ "output": output, "success": true }), out);
    }

    fn failed(&self, error: &str, out: &mut Out) {
        match self.style {
            Style::Call => out.event("error", &json!({ "error": error })),
            Style::Queue => {
                let output = json!({ "error": error });
                self.message("process_completed", json!({ "output": output, "success": false }), out);
            }
        }
    }
}

impl telling::Form for Form {
    fn queued(&mut self, place: &Value, out: &mut Out) {
        if self.style == Style::Call {
            return;
        }
        let position = place.get("position").and_then(Value::as_u64).unwrap_or_default();
        let fields = json!({ "rank": position.saturating_sub(1), "queue_size": place["of"], "rank_eta": place["eta_s"] });
        self.message("estimation", fields, out);
    }

    fn running(&mut self, out: &mut Out) {
        if !std::mem::replace(&mut self.is_running, true) && self.style == Style::Queue {
            self.message("process_starts", json!({ "eta": null }), out);
        }
    }

    fn told(&mut self, _story: &Story, told: Told, out: &mut Out) {
        match told {
            Told::StepBegan { who: None, step } if self.style == Style::Queue => {
                let progress = json!({
                    "index": step, "length": null, "unit": "steps", "progress": null, "desc": format!("Step {step}"),
                });
                self.message("progress", json!({ "progress_data": [progress] }), out);
            }
            // The answer is told at the end, as the value.
            Told::Opened { piece, .. } | Told::More { piece, .. } if piece.ends_with(ANSWER) => {}
            Told::Opened { who: None, kind: Kind::Thought | Kind::Said, .. } => self.line(""),
            Told::More { who: None, text, .. } => self.text.push_str(&text),
            Told::Called { name, input, .. } if name == PROGRAM => {
                let code = input.get("code").map(as_text).unwrap_or_default();
                self.line(&format!("```python\n{}\n```", code.trim_end()));
            }
            Told::Called { name, input, .. } => {
                self.line(&format!("🛠️ `{name}` `{}`", cut(&input.to_string())))
            }
            Told::Returned { result: Ok(output), .. } => {
                let output = cut(&as_text(&output));
                if !output.trim().is_empty() {
                    self.line(&format!("```\n{}\n```", output.trim_end()));
                }
            }
            Told::Returned { result: Err(error), .. } => self.line(&format!("⚠️ {}", cut(&error))),
            Told::Denied { reason, .. } => self.line(&format!("🚫 not done: {}", cut(&reason))),
            Told::ChildBegan { name, .. } => self.line(&format!("🤖 `{name}` …")),
            _ => {}
        }
    }

    fn flush(&mut self, _story: &Story, out: &mut Out) {
        match self.sent {
            Some(sent) if sent == self.text.len() => {}
            Some(sent) if self.style == Style::Queue => {
                let rest = self.text.get(sent..).unwrap_or_default();
                self.sent = Some(self.text.len());
                self.generating(json!([["append", [], rest]]), out);
            }
            None if self.text.is_empty() => {}
            _ => {
                self.sent = Some(self.text.len());
                self.generating(self.text.as_str().into(), out);
            }
        }
    }

    fn quiet(&mut self, out: &mut Out) {
        match self.style {
            Style::Queue => out.data(&json!({ "msg": "heartbeat" })),
            Style::Call => out.event("heartbeat", &Value::Null),
        }
    }

    fn waiting(&mut self, story: &Story, asked: &[ApprovalRow], _last: u64, out: &mut Out) -> Then {
        for row in asked {
            let what = match row.kind {
                ApprovalKind::Call => format!("May `{}` be called?", row.tool),
                ApprovalKind::Question => row.arguments.get("question").map(as_text).unwrap_or_default(),
                ApprovalKind::Doubt => format!("Was `{}` done before the server was stopped?", row.tool),
            };
            let line = format!("⏸️ {what} Decide it in the web page, or at `/api/v1/approvals/{}`.", row.id);
            if self.style == Style::Queue {
                let fields = json!({
                    "log": line, "level": "warning", "duration": null, "visible": true,
                    "title": "Waiting for a person",
                });
                self.message("log", fields, out);
            }
            self.line(&line);
        }
        self.flush(story, out);
        Then::GoOn
    }

    fn ended(&mut self, row: &RunRow, _last: u64, out: &mut Out) {
        let answer = row.answer.as_ref().filter(|answer| !answer.is_null()).map(as_text);
        let Some(answer) = answer.or_else(|| {
            let is_done =
                row.error.is_none() && matches!(row.outcome.as_deref(), Some("succeeded" | "success"));
            is_done.then(String::new)
        }) else {
            return self.failed(&why(row), out);
        };
        if self.style == Style::Call {
            return out.event("complete", &json!([answer]));
        }
        // Who collects what is generated has the answer as the last of it.
        if self.sent.is_some() {
            self.generating(json!([["replace", [], answer]]), out);
        }
        let seconds = self.seconds();
        let output = json!({
            "data": [answer], "is_generating": false, "duration": seconds, "average_duration": seconds,
            "render_config": null, "changed_state_ids": [],
        });
        self.message("process_completed", json!({ "output": output, "success": true }), out);
    }

    fn cut(&mut self, reason: &'static str, out: &mut Out) {
        self.failed(&format!("run {}: {}", self.event, cut_because(reason)), out);
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
