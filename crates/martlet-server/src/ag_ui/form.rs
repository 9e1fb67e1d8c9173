//! A story as events of AG-UI.

use std::collections::HashSet;

use martlet_core::{RunId, Usage};
use martlet_store::{ApprovalKind, ApprovalRow, RunRow};
use serde_json::{Value, json};

use super::input::RunAgentInput;
use super::{interrupt_id, response_schema};
use crate::adapter::as_text;
use crate::adapter::telling::{self, Out, Then, cut_because, why};
use crate::adapter::told::{Kind, Story, Told, Who};
use crate::api::display::show;
use crate::origin::agent::iso;

/// The version of the protocol.
const VERSION: &str = "1.0";

/// What was begun in this stream and has not ended.
pub(super) struct Form {
    thread: String,
    /// The client's name for it.
    run_id: String,
    run: RunId,
    model: Option<String>,
    steps: HashSet<(Who, u32)>,
}

impl Form {
    pub(super) fn new(input: &RunAgentInput, row: &RunRow, model: Option<String>) -> Self {
        Self {
            thread: input.thread_id.clone(),
            run_id: input.run_id.clone(),
            run: row.id.clone(),
            model,
            steps: HashSet::new(),
        }
    }

    fn end_steps(&mut self, is_of: impl Fn(&Who) -> bool, out: &mut Out) {
        let mut ended: Vec<_> = self.steps.iter().filter(|(who, _)| is_of(who)).cloned().collect();
        ended.sort();
        for (who, step) in ended {
            self.end_step(who, step, out);
        }
    }

    fn end_step(&mut self, who: Who, step: u32, out: &mut Out) {
        if self.steps.remove(&(who.clone(), step)) {
            send(out, &who, json!({ "type": "STEP_FINISHED", "stepName": step_name(step) }));
        }
    }

    fn usage(&self, usage: Usage) -> Value {
        let mut entry = json!({
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
            "totalTokens": usage.input_tokens + usage.output_tokens,
            "reasoningTokens": usage.reasoning_tokens,
            "cachedInputTokens": usage.cached_tokens,
        });
        if let Some(model) = &self.model {
            entry["model"] = model.as_str().into();
        }
        json!([entry])
    }

    fn dag(&self) -> String {
        format!("{}/dag", self.run)
    }

    fn began_child(&self, child: &RunId, name: &str, who: &Who, call: Option<&str>, out: &mut Out) {
        let mut event = json!({ "type": "SUBAGENT_STARTED", "subagentRunId": child, "name": name });
        if let Some(parent) = who {
            event["parentSubagentRunId"] = parent.as_str().into();
        }
        if let Some(call) = call {
            event["parentToolCallId"] = call.into();
        }
        out.data(&event);
    }

    fn result(who: &Who, call: &str, content: String, out: &mut Out) {
        let event = json!({
            "type": "TOOL_CALL_RESULT", "messageId": format!("{call}/result"), "toolCallId": call, "content": content,
            "role": "tool",
        });
        send(out, who, event);
    }

    fn interrupt(&self, story: &Story, row: &ApprovalRow, last: u64) -> Value {
        let (reason, message) = match row.kind {
            ApprovalKind::Call => ("tool_call", format!("May `{}` be called?", row.tool)),
            ApprovalKind::Question => {
                let question = row.arguments.get("question").map(as_text).unwrap_or_default();
                ("input_required", question)
            }
            ApprovalKind::Doubt => {
                let text =
                    format!("The server was stopped while `{}` was being called. Was it done?", row.tool);
                ("tool_call_in_doubt", text)
            }
        };
        let shown = show(&row.arguments);
        let mut interrupt = json!({
            "id": interrupt_id(&row.id, last), "reason": reason, "message": message,
            "responseSchema": response_schema(row.kind), "expiresAt": iso(row.expires_ms),
            "metadata": { "tool": row.tool, "display": shown.text, "warnings": shown.warnings },
        });
        let call = story.call_asked(&row.id).or_else(|| story.call_of(&row.tool));
        if let Some(call) = call {
            interrupt["toolCallId"] = call.into();
        }
        if row.effect.run != self.run {
            interrupt["subagentRunId"] = row.effect.run.as_str().into();
        }
        interrupt
    }
}

impl telling::Form for Form {
    fn begin(&mut self, out: &mut Out) {
        out.data(&json!({
            "type": "RUN_STARTED", "threadId": self.thread, "runId": self.run_id, "protocolVersion": VERSION,
            "metadata": { "run": self.run },
        }));
    }

    fn caught_up(&mut self, story: &Story, out: &mut Out) {
        if let Some(graph) = story.graph() {
            out.data(&json!({
                "type": "ACTIVITY_SNAPSHOT", "messageId": self.dag(), "activityType": "DAG",
                "content": graph.to_json(), "replace": true,
            }));
        }
        for (child, name, who) in story.children() {
            self.began_child(child, name, who, None, out);
        }
    }

    fn queued(&mut self, place: &Value, out: &mut Out) {
        out.data(&json!({ "type": "CUSTOM", "name": "queue", "value": place }));
    }

    fn told(&mut self, _story: &Story, told: Told, out: &mut Out) {
        match told {
            Told::StepBegan { who, step } => {
                if self.steps.insert((who.clone(), step)) {
                    send(out, &who, json!({ "type": "STEP_STARTED", "stepName": step_name(step) }));
                }
            }
            Told::StepEnded { who, step, .. } => self.end_step(who, step, out),
            Told::Opened { who, kind: Kind::Said, piece } => {
                let event = json!({ "type": "TEXT_MESSAGE_START", "messageId": piece, "role": "assistant" });
                send(out, &who, event);
            }
            Told::Opened { who, kind: Kind::Thought, piece } => {
                send(out, &who, json!({ "type": "REASONING_START", "messageId": piece }));
                let event = json!({
                    "type": "REASONING_MESSAGE_START", "messageId": piece, "role": "reasoning",
                });
                send(out, &who, event);
            }
            Told::More { who, kind, piece, text } => {
                let kind = match kind {
                    Kind::Said => "TEXT_MESSAGE_CONTENT",
                    Kind::Thought => "REASONING_MESSAGE_CONTENT",
                };
                send(out, &who, json!({ "type": kind, "messageId": piece, "delta": text }));
            }
            Told::Closed { who, kind: Kind::Said, piece } => {
                send(out, &who, json!({ "type": "TEXT_MESSAGE_END", "messageId": piece }));
            }
            Told::Closed { who, kind: Kind::Thought, piece } => {
                send(out, &who, json!({ "type": "REASONING_MESSAGE_END", "messageId": piece }));
                send(out, &who, json!({ "type": "REASONING_END", "messageId": piece }));
            }
            Told::Called { who, step, call, name, input, .. } => {
                let of = who.as_ref().unwrap_or(&self.run);
                let message = format!("{of}/{step}/calls");
                let event = json!({
                    "type": "TOOL_CALL_START", "toolCallId": call, "toolCallName": name, "parentMessageId": message,
                });
                send(out, &who, event);
                let arguments = input.to_string();
                let event = json!({ "type": "TOOL_CALL_ARGS", "toolCallId": call, "delta": arguments });
                send(out, &who, event);
                send(out, &who, json!({ "type": "TOOL_CALL_END", "toolCallId": call }));
            }
            // The client that edited a call knows; others see what came of it.
            Told::Edited { .. } => {}
            Told::Denied { who, call, reason } => {
                Self::result(&who, &call, format!("Not done: {reason}"), out);
            }
            Told::Returned { who, call, result: Ok(output) } => {
                Self::result(&who, &call, as_text(&output), out);
            }
            Told::Returned { who, call, result: Err(error) } => {
                Self::result(&who, &call, format!("Error: {error}"), out);
            }
            Told::ChildBegan { who, child, name, call } => {
                self.began_child(&child, &name, &who, call.as_deref(), out);
            }
            Told::ChildEnded { child, error, .. } => {
                self.end_steps(|who| who.as_ref() == Some(&child), out);
                out.data(&match error {
                    None => json!({ "type": "SUBAGENT_FINISHED", "subagentRunId": child }),
                    Some(error) => {
                        json!({ "type": "SUBAGENT_ERROR", "subagentRunId": child, "message": error })
                    }
                });
            }
            Told::Graph { changes } => out.data(&json!({
                "type": "ACTIVITY_DELTA", "messageId": self.dag(), "activityType": "DAG", "patch": changes,
            })),
        }
    }

    fn waiting(&mut self, story: &Story, asked: &[ApprovalRow], last: u64, out: &mut Out) -> Then {
        self.end_steps(|_| true, out);
        let children: Vec<_> = story.children().map(|(child, ..)| child.clone()).collect();
        for child in children.iter().rev() {
            let own = asked.iter().filter(|row| row.effect.run == *child);
            let own: Vec<_> = own.map(|row| interrupt_id(&row.id, last)).collect();
            out.data(&json!({
                "type": "SUBAGENT_FINISHED", "subagentRunId": child,
                "outcome": { "type": "suspended", "interruptIds": own },
            }));
        }
        let interrupts: Vec<_> = asked.iter().map(|row| self.interrupt(story, row, last)).collect();
        out.data(&json!({
            "type": "RUN_FINISHED", "threadId": self.thread, "runId": self.run_id,
            "outcome": { "type": "interrupt", "interrupts": interrupts },
        }));
        Then::Stop
    }

    fn ended(&mut self, row: &RunRow, _last: u64, out: &mut Out) {
        self.end_steps(|_| true, out);
        let usage = self.usage(row.usage);
        let answer = row.answer.clone().filter(|answer| !answer.is_null());
        let mut finished = json!({
            "type": "RUN_FINISHED", "threadId": self.thread, "runId": self.run_id, "usage": usage,
        });
        let outcome = row.outcome.as_deref().unwrap_or("failed");
        if outcome == "cancelled" {
            finished["outcome"] = json!({ "type": "cancelled" });
        } else if row.error.is_none() && (answer.is_some() || matches!(outcome, "succeeded" | "success")) {
            finished["outcome"] = json!({ "type": "success" });
            if let Some(answer) = answer {
                finished["result"] = answer;
            }
        } else {
            finished = json!({ "type": "RUN_ERROR", "message": why(row), "code": outcome, "usage": usage });
        }
        out.data(&finished);
    }

    fn cut(&mut self, reason: &'static str, out: &mut Out) {
        out.data(&json!({ "type": "RUN_ERROR", "message": cut_because(reason), "code": reason }));
    }
}

/// An event, with whose it is.
fn send(out: &mut Out, who: &Who, mut event: Value) {
    if let Some(run) = who {
        event["subagentRunId"] = run.as_str().into();
    }
    out.data(&event);
}

fn step_name(step: u32) -> String {
    format!("step {step}")
}
