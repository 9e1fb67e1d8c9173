//! A reply, put together from what the server sends.

use std::borrow::Cow;
use std::sync::Arc;

use martlet_core::{Arguments, FinishReason, ModelReply, ModelRequest, ToolCall, Usage};
use serde_json::Value;

use super::failure::Endpoint;
use super::text::TextPipe;
use super::wire::{self, Completion, Content, WireCall, WireMessage};
use crate::error::ModelError;
use crate::model::DeltaSink;
use crate::sse::{Event, TooLong};

/// The most bytes of a reply: no model writes that much, but a broken or hostile server may.
pub(super) const MAX_REPLY_BYTES: usize = 32 << 20;

/// The most calls in a reply.
const MAX_CALLS: usize = 128;

/// About so many characters make a token, where nobody counted.
const CHARS_PER_TOKEN: u64 = 4;

/// A reply in the making.
pub(super) struct Assembly<'a> {
    endpoint: &'a Endpoint,
    text: TextPipe<'a>,
    calls: Vec<PartialCall>,
    refusal: String,
    finish: Option<FinishReason>,
    usage: Usage,
    model: Option<String>,
    bytes: usize,
    begun: bool,
    done: bool,
}

#[derive(Default)]
struct PartialCall {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

/// Why the reading of a stream ends early.
pub(super) enum Halt {
    /// The reply is complete.
    Complete,
    /// It failed.
    Failed(ModelError),
    /// An event is too long.
    TooLong,
}

impl From<TooLong> for Halt {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
}

impl<'a> Assembly<'a> {
    pub(super) fn new(
        endpoint: &'a Endpoint,
        prefill: &'a str,
        stops: &'a [Arc<str>],
        sink: Option<&'a DeltaSink>,
    ) -> Self {
        Self {
            endpoint,
            text: TextPipe::new(prefill, stops, sink),
            calls: Vec::new(),
            refusal: String::new(),
            finish: None,
            usage: Usage::default(),
            model: None,
            bytes: 0,
            begun: false,
            done: false,
        }
    }

    /// An event of a stream.
    pub(super) fn event(&mut self, event: Event<'_>) -> Result<(), Halt> {
        if event.data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Err(Halt::Complete);
        }
        self.count(event.data.len()).map_err(Halt::Failed)?;
        let completion = match serde_json::from_slice::<Completion<'_>>(event.data) {
            Ok(completion) => completion,
            Err(_) if event.name == b"error" => {
                let text = Value::String(String::from_utf8_lossy(event.data).into_owned());
                return Err(Halt::Failed(self.endpoint.complained(&text)));
            }
            Err(error) => {
                let error =
                    self.endpoint.protocol("sent a piece of a reply that is not JSON").with_source(error);
                return Err(Halt::Failed(error));
            }
        };
        if event.name == b"error" && completion.error.is_none() {
            let value = serde_json::from_slice(event.data).unwrap_or(Value::Null);
            return Err(Halt::Failed(self.endpoint.complained(&value)));
        }
        self.completion(completion, Pieces::Streamed).map_err(Halt::Failed)?;
        // A server that ignores stop texts would go on writing; dropping the stream ends that.
        if self.text.is_stopped() { Err(Halt::Complete) } else { Ok(()) }
    }

    /// A whole reply.
    pub(super) fn whole(&mut self, body: &[u8]) -> Result<(), ModelError> {
        let completion: Completion<'_> =
            serde_json::from_slice(body).map_err(|error| self.endpoint.not_json(body, error))?;
        self.completion(completion, Pieces::Whole)?;
        if !self.begun {
            return Err(self.endpoint.protocol("sent a reply without choices"));
        }
        self.done = true;
        Ok(())
    }

    fn completion(&mut self, completion: Completion<'_>, pieces: Pieces) -> Result<(), ModelError> {
        if let Some(error) = completion.error.filter(|error| !error.is_null()) {
            return Err(self.endpoint.complained(&error));
        }
        if let Some(usage) = completion.usage.filter(Value::is_object) {
            self.usage = wire::usage(&usage);
        }
        if self.model.is_none() {
            self.model = completion.model.filter(|model| !model.is_empty()).map(Cow::into_owned);
        }
        for mut choice in completion.choices {
            if !choice.is_first() {
                continue;
            }
            self.begun = true;
            if let Some(message) = choice.take_message() {
                self.message(message, pieces)?;
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.finish = Some(self.finish_reason(&reason)?);
            }
        }
        Ok(())
    }

    fn message(&mut self, message: WireMessage<'_>, pieces: Pieces) -> Result<(), ModelError> {
        if let Some(thought) = message.thought() {
            self.text.push_reasoning(thought);
        }
        match &message.content {
            Some(Content::Text(text)) => self.text.push(text),
            Some(Content::Parts(parts)) => {
                for part in parts {
                    if let Some(text) = part.get("text").and_then(Value::as_str) {
                        self.text.push(text);
                    }
                }
            }
            Some(Content::Other(_)) | None => {}
        }
        if let Some(refusal) = &message.refusal {
            self.refusal.push_str(refusal);
        }
        for call in message.tool_calls {
            self.call(call, pieces)?;
        }
        Ok(())
    }

    fn call(&mut self, piece: WireCall<'_>, pieces: Pieces) -> Result<(), ModelError> {
        let index = piece.index.as_ref().and_then(Value::as_u64);
        let id = piece.id.as_deref().unwrap_or_default();
        let (name, arguments) =
            piece.function.map_or((None, None), |function| (function.name, function.arguments));
        let name = name.as_deref().unwrap_or_default();
        let slot = match pieces {
            Pieces::Whole => None,
            Pieces::Streamed => self.slot_of(index, id, name),
        };
        let slot = match slot {
            Some(slot) => slot,
            None if self.calls.len() >= MAX_CALLS => {
                return Err(self
                    .endpoint
                    .protocol(format!("asked for more than {MAX_CALLS} tool calls at once")));
            }
            None => {
                self.calls.push(PartialCall { index, ..PartialCall::default() });
                self.calls.len() - 1
            }
        };
        let Some(call) = self.calls.get_mut(slot) else { return Ok(()) };
        if call.id.is_empty() {
            call.id.push_str(id);
        }
        // Some servers send the name in pieces, some repeat it whole.
        if call.name != name {
            call.name.push_str(name);
        }
        match arguments {
            Some(Value::String(text)) => call.arguments.push_str(&text),
            None | Some(Value::Null) => {}
            Some(other) => call.arguments.push_str(&other.to_string()),
        }
        Ok(())
    }

    /// Which call a piece continues; none if it begins one. The index is only compared, so that a hostile
    /// one costs nothing.
    fn slot_of(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        if let Some(index) = index {
            let slot = self.calls.iter().rposition(|call| call.index == Some(index))?;
            // Some servers number every call 0: then a new id with a name begins a new call.
            let differs = |call: &PartialCall| !call.id.is_empty() && call.id != id;
            let begins = !id.is_empty() && !name.is_empty() && self.calls.get(slot).is_some_and(differs);
            return (!begins).then_some(slot);
        }
        if !id.is_empty() {
            return self.calls.iter().rposition(|call| call.id == id);
        }
        // Without index and id, a name begins a call and arguments alone continue the last one.
        if name.is_empty() { self.calls.len().checked_sub(1) } else { None }
    }

    fn finish_reason(&self, reason: &str) -> Result<FinishReason, ModelError> {
        Ok(match reason {
            "length" | "max_tokens" | "model_length" => FinishReason::Length,
            "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
            "content_filter" | "safety" | "SAFETY" | "refusal" => FinishReason::ContentFilter,
            "error" | "insufficient_system_resource" => {
                let what = Value::String(format!("the reply ended with `{reason}`"));
                return Err(self.endpoint.complained(&what));
            }
            // `stop`, and the names that servers have for their own ends: `eos`, `end_turn`, `stop_sequence` …
            _ => FinishReason::Stop,
        })
    }

    pub(super) fn count(&mut self, bytes: usize) -> Result<(), ModelError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_REPLY_BYTES {
            let limit = MAX_REPLY_BYTES >> 20;
            return Err(self.endpoint.protocol(format!("sent more than {limit} MiB and was cut off")));
        }
        Ok(())
    }

    /// Whether the server said itself that the reply is complete.
    pub(super) fn ended_by_server(&self) -> bool {
        self.done
    }

    /// The reply to `request`, if it is complete.
    pub(super) fn finish(mut self, request: &ModelRequest) -> Result<ModelReply, ModelError> {
        self.text.finish();
        let stopped = self.text.is_stopped();
        if !stopped && self.finish.is_none() && !self.done {
            let what =
                if self.begun { "cut its reply off: the stream ended too early" } else { "sent no reply" };
            return Err(self.endpoint.protocol(what));
        }
        if !self.begun {
            return Err(self.endpoint.protocol("sent no reply"));
        }
        let tool_calls = calls(self.calls);
        let mut finish = if stopped { FinishReason::Stop } else { self.finish.unwrap_or(FinishReason::Stop) };
        match finish {
            // Many servers say `stop` when they mean this.
            FinishReason::Stop if !tool_calls.is_empty() => finish = FinishReason::ToolCalls,
            FinishReason::ToolCalls if tool_calls.is_empty() => {
                return Err(self.endpoint.protocol("announced tool calls and sent none"));
            }
            _ => {}
        }
        let mut text = self.text.text;
        if !self.refusal.is_empty() && text.is_empty() && tool_calls.is_empty() {
            text = self.refusal;
            finish = FinishReason::ContentFilter;
        }
        // Who cuts a stream gives up its end, where most servers say what was used. Without an estimate such
        // calls would be free, and no limit of tokens would ever be reached.
        if stopped && self.usage == Usage::default() {
            let arguments = tool_calls.iter().map(|call| count_chars(&call.arguments.to_json()));
            let written = count_chars(&text) + count_chars(&self.text.reasoning) + arguments.sum::<u64>();
            self.usage.input_tokens = chars_of(request).div_ceil(CHARS_PER_TOKEN);
            self.usage.output_tokens = written.div_ceil(CHARS_PER_TOKEN);
        }
        let reasoning = Some(self.text.reasoning).filter(|reasoning| !reasoning.is_empty());
        Ok(ModelReply { text, reasoning, tool_calls, finish, usage: self.usage, model: self.model })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pieces {
    /// Calls may come in pieces.
    Streamed,
    /// Each call is a call of its own.
    Whole,
}

/// The characters of the texts of a request. Images are left out: what they cost differs between models.
fn chars_of(request: &ModelRequest) -> u64 {
    let messages = request.messages.iter().map(|message| {
        let calls = message.tool_calls.iter().map(|call| count_chars(&call.arguments.to_json()));
        count_chars(&message.joined_text()) + calls.sum::<u64>()
    });
    let tools = request
        .tools
        .iter()
        .map(|tool| count_chars(&tool.description) + count_chars(&tool.parameters.to_string()));
    messages.chain(tools).sum()
}

fn count_chars(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// The calls with ids that are there and differ.
fn calls(partial: Vec<PartialCall>) -> Vec<ToolCall> {
    let mut calls: Vec<ToolCall> = Vec::with_capacity(partial.len());
    for call in partial {
        if call.name.is_empty() && call.arguments.is_empty() && call.id.is_empty() {
            continue;
        }
        let taken = |id: &str, calls: &[ToolCall]| calls.iter().any(|call| call.id == id);
        let mut id = call.id;
        let mut number = calls.len();
        while id.is_empty() || taken(&id, &calls) {
            id = format!("call_{number}");
            number += 1;
        }
        calls.push(ToolCall { id, name: call.name, arguments: Arguments::parse(&call.arguments) });
    }
    calls
}
