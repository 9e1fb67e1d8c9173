//! A story as the parts of a UI message.

use martlet_core::{RunId, Usage};
use martlet_store::{ApprovalKind, ApprovalRow, RunRow};
use serde_json::{Value, json};

use super::{metadata, usage_json};
use crate::adapter::telling::{self, Out, Then, cut_because, why};
use crate::adapter::told::{ASKING, Kind, Story, Told};
use crate::api::display::show;
use crate::origin::agent::iso;

/// The state of the message.
pub(super) struct Form {
    run: RunId,
    agent: String,
    has_step: bool,
    /// A tool has a part in the step that is open.
    has_tool: bool,
    /// The graph changed since it was shown.
    is_graph_new: bool,
}

impl Form {
    pub(super) fn new(row: &RunRow) -> Self {
        Self {
            run: row.id.clone(),
            agent: row.name.clone(),
            has_step: false,
            has_tool: false,
            is_graph_new: false,
        }
    }

    fn end_step(&mut self, out: &mut Out) {
        if std::mem::take(&mut self.has_step) {
            out.data(&json!({ "type": "finish-step" }));
        }
        self.has_tool = false;
    }

    fn new_step(&mut self, out: &mut Out) {
        self.end_step(out);
        self.has_step = true;
        out.data(&json!({ "type": "start-step" }));
    }

    fn in_step(&mut self, out: &mut Out) {
        if !self.has_step {
            self.new_step(out);
        }
    }

    fn called(
        &mut self,
        story: &Story,
        call: &str,
        name: &str,
        input: &Value,
        is_asked: bool,
        out: &mut Out,
    ) {
        // Clients send answers when all tools of the last step have some: a call that goes on must not be in that step.
        let others_go_on = story.calls().any(|(id, is_asked)| id != call && !is_asked);
        if is_asked && self.has_tool && others_go_on {
            self.new_step(out);
        }
        self.in_step(out);
        self.has_tool = true;
        out.data(
            &json!({ "type": "tool-input-start", "toolCallId": call, "toolName": name, "dynamic": true }),
        );
        self.input(call, name, input, out);
    }

    fn input(&self, call: &str, name: &str, input: &Value, out: &mut Out) {
        out.data(&json!({
            "type": "tool-input-available", "toolCallId": call, "toolName": name, "input": input, "dynamic": true,
        }));
    }

    fn done(out: &mut Out) {
        out.raw("data: [DONE]\n\n");
    }
}

impl telling::Form for Form {
    fn begin(&mut self, out: &mut Out) {
        let mut metadata = metadata(&self.run, None, None);
        metadata["agent"] = self.agent.as_str().into();
        out.data(&json!({ "type": "start", "messageId": self.run, "messageMetadata": metadata }));
    }

    fn caught_up(&mut self, story: &Story, _out: &mut Out) {
        self.is_graph_new = story.graph().is_some();
    }

    fn queued(&mut self, place: &Value, out: &mut Out) {
        out.data(&json!({ "type": "data-queue", "data": place, "transient": true }));
    }

    fn told(&mut self, story: &Story, told: Told, out: &mut Out) {
        match told {
            Told::StepBegan { who: None, .. } => self.new_step(out),
            Told::StepEnded { who: None, step, usage } => {
                if usage != Usage::default() {
                    let mut data = usage_json(usage);
                    data["step"] = step.into();
                    out.data(&json!({ "type": "data-usage", "data": data, "transient": true }));
                }
                self.end_step(out);
            }
            Told::Opened { who: None, kind, piece } => {
                // Else a client could take the step for one that waits for answers.
                if kind == Kind::Said && self.has_tool {
                    self.new_step(out);
                }
                self.in_step(out);
                out.data(&json!({ "type": format!("{}-start", part(kind)), "id": piece }));
            }
            Told::More { who: None, kind, piece, text } => {
                out.data(&json!({ "type": format!("{}-delta", part(kind)), "id": piece, "delta": text }));
            }
            Told::Closed { who: None, kind, piece } => {
                out.data(&json!({ "type": format!("{}-end", part(kind)), "id": piece }));
            }
            Told::Called { call, name, input, approval, .. } => {
                let is_asked = approval.is_some() || name == ASKING;
                self.called(story, &call, &name, &input, is_asked, out);
                if let Some(approval) = approval {
                    out.data(&json!({
                        "type": "tool-approval-request", "approvalId": approval, "toolCallId": call,
                    }));
                }
            }
            Told::Edited { call, name, input } => self.input(&call, &name, &input, out),
            Told::Denied { call, .. } => {
                out.data(&json!({ "type": "tool-output-denied", "toolCallId": call }));
            }
            Told::Returned { call, result: Ok(output), .. } => {
                out.data(&json!({
                    "type": "tool-output-available", "toolCallId": call, "output": output, "dynamic": true,
                }));
            }
            Told::Returned { call, result: Err(error), .. } => {
                out.data(&json!({
                    "type": "tool-output-error", "toolCallId": call, "errorText": error, "dynamic": true,
                }));
            }
            Told::ChildBegan { child, name, .. } => {
                let data = json!({ "name": name, "status": "running" });
                out.data(&json!({ "type": "data-subagent", "id": child, "data": data }));
            }
            Told::ChildEnded { child, name, error } => {
                let status = if error.is_some() { "failed" } else { "completed" };
                let mut data = json!({ "name": name, "status": status });
                if let Some(error) = error {
                    data["error"] = error.into();
                }
                out.data(&json!({ "type": "data-subagent", "id": child, "data": data }));
            }
            Told::Graph { .. } => self.is_graph_new = true,
            // Of the runs in it: what they do is shown, and not what they think.
            Told::StepBegan { .. }
            | Told::StepEnded { .. }
            | Told::Opened { .. }
            | Told::More { .. }
            | Told::Closed { .. } => {}
        }
    }

    fn flush(&mut self, story: &Story, out: &mut Out) {
        if std::mem::take(&mut self.is_graph_new)
            && let Some(graph) = story.graph()
        {
            out.data(&json!({ "type": "data-dag", "id": "dag", "data": graph.to_json() }));
        }
    }

    fn waiting(&mut self, story: &Story, asked: &[ApprovalRow], last: u64, out: &mut Out) -> Then {
        for row in asked {
            let call = story.call_of(&row.tool);
            if row.kind == ApprovalKind::Doubt
                && let Some(call) = call
            {
                out.data(
                    &json!({ "type": "tool-approval-request", "approvalId": row.id, "toolCallId": call }),
                );
            }
            let shown = show(&row.arguments);
            let data = json!({
                "kind": row.kind.as_str(), "tool": row.tool, "display": shown.text, "warnings": shown.warnings,
                "expiresAt": iso(row.expires_ms),
            });
            out.data(&json!({ "type": "data-approval", "id": row.id, "data": data }));
        }
        self.end_step(out);
        let metadata = metadata(&self.run, Some(last), None);
        out.data(&json!({ "type": "finish", "finishReason": "tool-calls", "messageMetadata": metadata }));
        Self::done(out);
        Then::Stop
    }

    fn ended(&mut self, row: &RunRow, last: u64, out: &mut Out) {
        self.end_step(out);
        let metadata = metadata(&self.run, Some(last), Some(row.usage));
        let has_answer = row.answer.as_ref().is_some_and(|answer| !answer.is_null());
        match row.outcome.as_deref() {
            Some("succeeded" | "success" | "partial") => {
                out.data(&json!({ "type": "finish", "finishReason": "stop", "messageMetadata": metadata }));
            }
            Some("cancelled") => {
                out.data(&json!({ "type": "message-metadata", "messageMetadata": metadata }));
                out.data(&json!({ "type": "abort", "reason": "the run was cancelled" }));
            }
            _ if has_answer && row.error.is_none() => {
                out.data(&json!({ "type": "finish", "finishReason": "length", "messageMetadata": metadata }));
            }
            _ => {
                out.data(&json!({ "type": "message-metadata", "messageMetadata": metadata }));
                out.data(&json!({ "type": "error", "errorText": why(row) }));
            }
        }
        Self::done(out);
    }

    fn cut(&mut self, reason: &'static str, out: &mut Out) {
        self.end_step(out);
        out.data(&json!({ "type": "error", "errorText": cut_because(reason) }));
        Self::done(out);
    }
}

fn part(kind: Kind) -> &'static str {
    match kind {
        Kind::Thought => "reasoning",
        Kind::Said => "text",
    }
}
