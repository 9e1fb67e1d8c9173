//! A response as a function of the events of its run: its output, and the frames of its stream with their numbers.

use std::collections::HashMap;

use martlet_core::graph::GraphStatus;
use martlet_core::{EffectId, Event, EventKind, RunId, RunStatus, Strategy, Usage};
use martlet_store::{ApprovalId, ApprovalKind, ApprovalRow, RunRow, RunState};
use serde_json::{Map, Value, json};

use super::id::ResponseId;
use super::request::Note;
use crate::adapter::as_text;

/// The server that calls of tools are said to be made by.
const SERVER: &str = "martlet";
/// The name under which a program that an agent wrote is shown.
const PYTHON: &str = "python";

/// A call, wherever it was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CallKey {
    run: RunId,
    step: u32,
    /// The id of the call; of a program, or a node, a name that no call has.
    call: String,
}

/// A call that has not returned.
#[derive(Debug, Clone)]
struct Open {
    item: Value,
    arguments: Map<String, Value>,
    /// Its place in the output, if it was made within this response.
    index: Option<usize>,
}

/// How a run ended.
#[derive(Debug, Clone)]
struct End {
    status: &'static str,
    answer: Value,
    error: Option<String>,
}

/// A response, made of the events of its run one after the other.
#[derive(Debug)]
pub(super) struct Projection {
    pub(super) id: ResponseId,
    pub(super) note: Note,
    model: String,
    created_at: u64,
    status: &'static str,
    error: Option<String>,
    output: Vec<Value>,
    usage: Usage,
    strategy: Option<Strategy>,
    /// Calls that have not returned, also those that were made before.
    open: HashMap<CallKey, Open>,
    /// The questions about calls that a person decided on.
    asked: HashMap<CallKey, ApprovalId>,
    /// A text of the model of which it is not known yet whether it is the answer, and the number of its event.
    held: Option<(u64, String)>,
    end: Option<End>,
    /// The number of the last event that is in it.
    pub(super) last: u64,
    /// The number of the next frame.
    next: u64,
}

impl Projection {
    pub(super) fn new(id: ResponseId, note: Note, row: &RunRow) -> Self {
        let created_ms = if id.goes_on() { id.since_ms } else { row.created_ms };
        Self {
            model: format!("{}:{}", row.kind.as_str(), row.name),
            created_at: created_ms / 1000,
            status: "in_progress",
            error: None,
            output: Vec::new(),
            usage: Usage::default(),
            strategy: None,
            open: HashMap::new(),
            asked: HashMap::new(),
            held: None,
            end: None,
            last: 0,
            next: 0,
            id,
            note,
        }
    }

    /// Whether nothing comes any more.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.status, "queued" | "in_progress")
    }

    /// Whether it ended with the run, and not with a question.
    pub(super) fn ended_with_run(&self) -> bool {
        self.is_over() && self.end.is_some()
    }

    /// Says that the run waits in line.
    pub(super) fn queued(&mut self) {
        if !self.is_over() {
            self.status = "queued";
        }
    }

    /// The response as it stands.
    pub(super) fn object(&self) -> Value {
        let note = &self.note;
        let previous = match self.id.goes_on() {
            true => Some(ResponseId::first(&self.id.run).to_string()),
            false => note.previous_response_id.clone(),
        };
        let format = note.format.clone().unwrap_or_else(|| json!({"type": "text"}));
        let error = self.error.as_ref().map(|message| json!({"code": "server_error", "message": message}));
        let incomplete = (self.status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
        json!({
            "id": self.id.to_string(), "object": "response", "created_at": self.created_at,
            "status": self.status, "background": note.background, "error": error,
            "incomplete_details": incomplete, "instructions": note.instructions,
            "max_output_tokens": note.max_output_tokens, "max_tool_calls": null,
            "metadata": note.metadata, "model": self.model, "output": self.output,
            "parallel_tool_calls": true, "previous_response_id": previous,
            "reasoning": {"effort": null, "summary": null}, "store": note.store, "temperature": null,
            "text": {"format": format}, "tool_choice": "auto", "tools": [], "top_p": null,
            "truncation": "disabled", "usage": self.is_over().then(|| self.usage_json()), "user": note.user,
        })
    }

    fn usage_json(&self) -> Value {
        json!({
            "input_tokens": self.usage.input_tokens,
            "input_tokens_details": {"cached_tokens": self.usage.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": self.usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self.usage.reasoning_tokens},
            "total_tokens": self.usage.total(),
        })
    }

    /// The frames with which it begins.
    pub(super) fn begin(&mut self) -> Vec<Value> {
        let mut frames = Vec::new();
        if self.note.background && !self.id.goes_on() {
            self.status = "queued";
            frames.push(self.whole("response.created"));
            frames.push(self.whole("response.queued"));
            self.status = "in_progress";
        } else {
            frames.push(self.whole("response.created"));
        }
        frames.push(self.whole("response.in_progress"));
        frames
    }

    /// Takes the event with that number, and gives the frames that it makes.
    pub(super) fn event(&mut self, number: u64, event: &Event) -> Vec<Value> {
        self.last = number;
        let mut frames = Vec::new();
        let is_own = event.run == self.id.run;
        let is_shown = number > self.id.after;
        if is_own && !matches!(event.kind, EventKind::StepEnded { .. } | EventKind::RunEnded { .. }) {
            self.tell_held(&mut frames);
        }
        if let EventKind::ModelReplied { usage, .. } = &event.kind
            && is_shown
        {
            self.usage += *usage;
        }
        if let EventKind::ApprovalAsked { step, call, effect, name, arguments, .. } = &event.kind {
            let effect = EffectId { run: event.run.clone(), step: *step, index: *effect };
            let id = ApprovalId::of(&effect);
            self.asked.insert(key(event, *step, call), id.clone());
            if is_shown {
                self.request(&id, name, arguments, &mut frames);
            }
        }
        if is_own {
            self.own(number, event, is_shown, &mut frames);
        } else if let EventKind::ToolCalled { step, call, name, arguments } = &event.kind {
            // Of runs in it, only the questions are shown: what they are about is remembered.
            let item = self.call_item(number, name, String::new());
            let open = Open { item, arguments: arguments.clone(), index: None };
            self.open.insert(key(event, *step, call), open);
        } else if let EventKind::ToolReturned { step, call, .. } = &event.kind {
            self.open.remove(&key(event, *step, call));
        }
        frames
    }

    fn own(&mut self, number: u64, event: &Event, is_shown: bool, frames: &mut Vec<Value>) {
        match &event.kind {
            EventKind::RunStarted { strategy, .. } => self.strategy = Some(*strategy),
            EventKind::ModelReplied { thought, reasoning, .. } if is_shown => {
                if let Some(reasoning) = reasoning.as_deref().filter(|text| !text.trim().is_empty()) {
                    self.reason(number, reasoning, frames);
                }
                // What a reasoning agent's model replies is a plan or a judgement in JSON: it is told as such.
                if self.strategy != Some(Strategy::Reasoning) && !thought.trim().is_empty() {
                    self.held = Some((number, thought.trim().to_owned()));
                }
            }
            EventKind::PlanMade { reasoning, tasks, .. } if is_shown => {
                let tasks = tasks.iter().enumerate();
                let tasks = tasks.map(|(index, task)| format!("{}. {}", index + 1, task.description));
                let text = std::iter::once(reasoning.clone()).chain(tasks).collect::<Vec<_>>().join("\n");
                self.reason(number, &text, frames);
            }
            EventKind::ToolCalled { step, call, name, arguments } => {
                let key = key(event, *step, call);
                self.call(number, key, name, arguments.clone(), is_shown, frames);
            }
            EventKind::ToolReturned { step, call, output, error, .. } => {
                self.returned(
                    &key(event, *step, call),
                    output.as_deref(),
                    error.as_deref(),
                    is_shown,
                    frames,
                );
            }
            EventKind::CodeStarted { step, code } => {
                let arguments = Map::from_iter([("code".to_owned(), Value::from(&**code))]);
                self.call(number, key(event, *step, "/program"), PYTHON, arguments, is_shown, frames);
            }
            EventKind::CodeEnded { step, stdout, value, error } => {
                let key = key(event, *step, "/program");
                let value = value.as_deref().filter(|_| error.is_none());
                let output: Vec<_> = [Some(stdout.trim_end()), value].into_iter().flatten().collect();
                let output = output.join("\n");
                self.returned(&key, Some(output.trim()), error.as_deref(), is_shown, frames);
            }
            EventKind::NodeStarted { node, attempt: 1, item: None } => {
                let key = key(event, 0, &format!("/node {node}"));
                self.call(number, key, node, Map::new(), is_shown, frames);
            }
            EventKind::NodeEnded { node, output, error, .. } => {
                let key = key(event, 0, &format!("/node {node}"));
                self.returned(&key, output.as_deref(), error.as_deref(), is_shown, frames);
            }
            EventKind::RunEnded { status, answer, error, .. } => {
                let status = match status {
                    RunStatus::Succeeded => "completed",
                    RunStatus::StepLimit | RunStatus::TokenLimit => "incomplete",
                    RunStatus::Cancelled => "cancelled",
                    _ => "failed",
                };
                self.end = Some(End { status, answer: answer.clone(), error: error.clone() });
            }
            EventKind::GraphEnded { status, output, error, .. } => {
                let status = match status {
                    GraphStatus::Success | GraphStatus::Partial => "completed",
                    GraphStatus::Cancelled => "cancelled",
                    _ => "failed",
                };
                self.end = Some(End { status, answer: output.clone(), error: error.clone() });
            }
            _ => {}
        }
    }

    /// The call that returns with this event, by the run, step, tool and arguments that a question about it has.
    pub(super) fn returns(&self, event: &Event, question: &ApprovalRow) -> bool {
        let EventKind::ToolReturned { step, call, name, .. } = &event.kind else { return false };
        question.kind != ApprovalKind::Call
            && question.effect.run == event.run
            && question.effect.step == *step
            && question.tool == *name
            && self
                .open
                .get(&key(event, *step, call))
                .is_some_and(|open| open.arguments == question.arguments)
    }

    /// Ends it with the questions that people have to answer: those about calls are in it, the others come now.
    pub(super) fn end_with_questions(&mut self, questions: &[ApprovalRow]) -> Vec<Value> {
        let mut frames = Vec::new();
        self.tell_held(&mut frames);
        self.close(&mut frames);
        for question in questions.iter().filter(|question| question.kind != ApprovalKind::Call) {
            self.request(&question.id, &question.tool, &question.arguments, &mut frames);
        }
        self.status = "completed";
        frames.push(self.whole("response.completed"));
        frames
    }

    /// Ends it with the run.
    pub(super) fn end_with_run(&mut self, row: &RunRow) -> Vec<Value> {
        debug_assert_eq!(row.state, RunState::Ended);
        let end = self.end.take().unwrap_or_else(|| End {
            // It ended before anything happened in it.
            status: if row.outcome.as_deref() == Some("cancelled") { "cancelled" } else { "failed" },
            answer: Value::Null,
            error: row.error.clone(),
        });
        let mut frames = Vec::new();
        let answer = (!end.answer.is_null()).then(|| as_text(&end.answer));
        if self.held.as_ref().is_some_and(|(_, held)| answer.as_deref().map(str::trim) == Some(held)) {
            self.held = None;
        }
        self.tell_held(&mut frames);
        self.close(&mut frames);
        if let Some(answer) = &answer {
            self.say(answer, &mut frames);
        }
        self.status = end.status;
        if end.status == "failed" {
            let error = end.error.clone().unwrap_or_else(|| "the run gave no answer".into());
            self.error = Some(error);
        }
        self.end = Some(end);
        let name = format!("response.{}", self.status);
        frames.push(self.whole(&name));
        frames
    }

    /// What is told when it cannot be followed any more. It has no number of its own.
    pub(super) fn failure(&self, code: &str, message: &str) -> Value {
        json!({"type": "error", "sequence_number": self.next, "code": code, "message": message, "param": null})
    }

    // --- items ---------------------------------------------------------------------------------------------

    fn tell_held(&mut self, frames: &mut Vec<Value>) {
        if let Some((number, text)) = self.held.take() {
            self.reason(number, &text, frames);
        }
    }

    fn reason(&mut self, number: u64, text: &str, frames: &mut Vec<Value>) {
        let id = format!("rs_{}_{number}_{}", self.id.stem(), self.output.len());
        let begun =
            json!({"id": id, "type": "reasoning", "summary": [], "content": [], "status": "in_progress"});
        let index = self.add(begun, frames);
        let at = json!({"item_id": id, "output_index": index, "content_index": 0});
        let part = |text: &str| json!({"type": "reasoning_text", "text": text});
        frames.push(self.frame("response.content_part.added", &at, json!({"part": part("")})));
        frames.push(self.frame("response.reasoning_text.delta", &at, json!({"delta": text})));
        frames.push(self.frame("response.reasoning_text.done", &at, json!({"text": text})));
        frames.push(self.frame("response.content_part.done", &at, json!({"part": part(text)})));
        let item = json!({
            "id": id, "type": "reasoning", "summary": [], "content": [part(text)], "status": "completed",
        });
        self.done(index, item, frames);
    }

    fn say(&mut self, text: &str, frames: &mut Vec<Value>) {
        let id = format!("msg_{}_{}", self.id.stem(), self.output.len());
        let item = |status: &str, content: Value| json!({"id": id, "type": "message", "role": "assistant", "status": status, "content": content});
        let part =
            |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
        let index = self.add(item("in_progress", json!([])), frames);
        let at = json!({"item_id": id, "output_index": index, "content_index": 0});
        frames.push(self.frame("response.content_part.added", &at, json!({"part": part("")})));
        frames.push(self.frame("response.output_text.delta", &at, json!({"delta": text, "logprobs": []})));
        frames.push(self.frame("response.output_text.done", &at, json!({"text": text, "logprobs": []})));
        frames.push(self.frame("response.content_part.done", &at, json!({"part": part(text)})));
        self.done(index, item("completed", json!([part(text)])), frames);
    }

    fn request(
        &mut self,
        id: &ApprovalId,
        name: &str,
        arguments: &Map<String, Value>,
        frames: &mut Vec<Value>,
    ) {
        let item = json!({
            "id": id.as_str(), "type": "mcp_approval_request", "server_label": SERVER, "name": name,
            "arguments": Value::Object(arguments.clone()).to_string(),
        });
        let index = self.add(item.clone(), frames);
        self.done(index, item, frames);
    }

    fn call_item(&self, number: u64, name: &str, arguments: String) -> Value {
        json!({
            "id": format!("mcp_{}_{number}", self.id.stem()), "type": "mcp_call", "server_label": SERVER,
            "name": name, "arguments": arguments, "approval_request_id": null, "output": null, "error": null,
            "status": "in_progress",
        })
    }

    fn call(
        &mut self,
        number: u64,
        key: CallKey,
        name: &str,
        arguments: Map<String, Value>,
        is_shown: bool,
        frames: &mut Vec<Value>,
    ) {
        let text = Value::Object(arguments.clone()).to_string();
        let mut item = self.call_item(number, name, text);
        item["approval_request_id"] = self.asked.get(&key).map(ApprovalId::as_str).into();
        let index = is_shown.then(|| self.begin_call(&item, frames));
        self.open.insert(key, Open { item, arguments, index });
    }

    fn begin_call(&mut self, item: &Value, frames: &mut Vec<Value>) -> usize {
        let mut begun = item.clone();
        begun["arguments"] = "".into();
        let index = self.add(begun, frames);
        let at = json!({"item_id": item["id"], "output_index": index});
        let arguments = &item["arguments"];
        frames.push(self.frame("response.mcp_call.in_progress", &at, json!({})));
        frames.push(self.frame("response.mcp_call_arguments.delta", &at, json!({"delta": arguments})));
        frames.push(self.frame("response.mcp_call_arguments.done", &at, json!({"arguments": arguments})));
        if let Some(place) = self.output.get_mut(index) {
            place["arguments"] = arguments.clone();
        }
        index
    }

    fn returned(
        &mut self,
        key: &CallKey,
        output: Option<&str>,
        error: Option<&str>,
        is_shown: bool,
        frames: &mut Vec<Value>,
    ) {
        let Some(Open { mut item, index, .. }) = self.open.remove(key) else { return };
        if !is_shown {
            return;
        }
        // One that was made before the person was asked is shown again, with what came of it.
        let index = index.unwrap_or_else(|| self.begin_call(&item, frames));
        let at = json!({"item_id": item["id"], "output_index": index});
        item["output"] = output.filter(|_| error.is_none()).into();
        item["error"] = error.into();
        item["status"] = if error.is_some() { "failed" } else { "completed" }.into();
        let name = if error.is_some() { "response.mcp_call.failed" } else { "response.mcp_call.completed" };
        frames.push(self.frame(name, &at, json!({})));
        self.done(index, item, frames);
    }

    /// Ends the calls that have not returned: within this response they do not.
    fn close(&mut self, frames: &mut Vec<Value>) {
        let mut open: Vec<_> =
            self.open.values().filter_map(|open| Some((open.index?, open.item.clone()))).collect();
        open.sort_by_key(|(index, _)| *index);
        for (index, mut item) in open {
            item["status"] = "incomplete".into();
            self.done(index, item, frames);
        }
    }

    fn add(&mut self, item: Value, frames: &mut Vec<Value>) -> usize {
        let index = self.output.len();
        let more = json!({"output_index": index, "item": item});
        frames.push(self.frame("response.output_item.added", &json!({}), more));
        self.output.push(item);
        index
    }

    fn done(&mut self, index: usize, item: Value, frames: &mut Vec<Value>) {
        let more = json!({"output_index": index, "item": item});
        frames.push(self.frame("response.output_item.done", &json!({}), more));
        if let Some(place) = self.output.get_mut(index) {
            *place = item;
        }
    }

    fn whole(&mut self, name: &str) -> Value {
        let response = self.object();
        self.frame(name, &json!({}), json!({"response": response}))
    }

    fn frame(&mut self, name: &str, at: &Value, more: Value) -> Value {
        let number = self.next;
        self.next += 1;
        let mut frame = Map::from_iter([
            ("type".to_owned(), Value::from(name)),
            ("sequence_number".to_owned(), Value::from(number)),
        ]);
        for fields in [at.clone(), more] {
            if let Value::Object(fields) = fields {
                frame.extend(fields);
            }
        }
        Value::Object(frame)
    }
}

fn key(event: &Event, step: u32, call: &str) -> CallKey {
    CallKey { run: event.run.clone(), step, call: call.to_owned() }
}
