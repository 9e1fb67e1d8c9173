//! What the fake server answers.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::gate::{Gate, Moment};

/// What the fake server answers to one request.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(crate) delay: Duration,
    pub(crate) until: Option<(Gate, Moment)>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// A completion, as JSON or as a stream, whichever the request asks for.
    Completion(Completion),
    /// These bytes.
    Full { content_type: String, bytes: Bytes },
    /// Pieces, each written on its own.
    Pieces { content_type: String, steps: Vec<Step> },
    /// These bytes in place of an HTTP response; then the connection is closed.
    Raw(Bytes),
    /// Nothing, while the connection stays open.
    Never,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Bytes(Bytes),
    Pause(Duration),
    /// Waits until the gate is open.
    Until(Gate),
    /// The connection stays open and nothing more comes.
    Hang,
    /// The connection is closed in the middle of the message.
    Cut,
}

#[derive(Debug, Clone)]
pub(crate) struct Completion {
    pub(crate) text: String,
    reasoning: String,
    calls: Vec<(String, String)>,
    finish: Option<String>,
    usage: (u64, u64),
    piece_chars: usize,
    pub(crate) piece_delay: Duration,
}

impl Reply {
    fn new(body: Body) -> Self {
        Self { delay: Duration::ZERO, until: None, status: 200, headers: Vec::new(), body }
    }

    /// A completion of text. A request for a stream gets it in pieces of four characters.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Body::Completion(Completion {
            text: text.into(),
            reasoning: String::new(),
            calls: Vec::new(),
            finish: None,
            usage: (10, 5),
            piece_chars: 4,
            piece_delay: Duration::ZERO,
        }))
    }

    /// A completion that asks for one tool call.
    pub fn tool_call(name: impl Into<String>, arguments: Value) -> Self {
        Self::tool_calls([(name.into(), arguments)])
    }

    /// A completion that asks for several tool calls, with the ids `call_1`, `call_2` …
    pub fn tool_calls(calls: impl IntoIterator<Item = (impl Into<String>, Value)>) -> Self {
        Self::text("").calls(calls)
    }

    /// The tool calls of a completion, beside its text.
    #[must_use]
    pub fn calls(self, calls: impl IntoIterator<Item = (impl Into<String>, Value)>) -> Self {
        let calls = calls.into_iter().map(|(name, arguments)| (name.into(), arguments.to_string())).collect();
        self.completion(|completion| completion.calls = calls)
    }

    /// An error in OpenAI's form.
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self::error(status, json!({"message": message.into(), "type": null, "code": null}))
    }

    /// An error with this `error` object.
    pub fn error(status: u16, error: Value) -> Self {
        Self { status, ..Self::json(json!({"error": error})) }
    }

    /// This JSON, with status 200.
    pub fn json(body: Value) -> Self {
        Self::bytes("application/json", body.to_string())
    }

    /// These bytes, with status 200.
    pub fn bytes(content_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(Body::Full { content_type: content_type.into(), bytes: bytes.into() })
    }

    /// A stream of these pieces, each written on its own, whatever the request asks for; see [`sse`] and
    /// [`chunk`]. It ends properly, as HTTP sees it.
    pub fn stream(pieces: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let steps = pieces.into_iter().map(|piece| Step::Bytes(piece.into())).collect();
        Self::new(Body::Pieces { content_type: "text/event-stream".into(), steps })
    }

    /// These bytes in place of an HTTP response; then the connection is closed.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(Body::Raw(bytes.into()))
    }

    /// No answer, while the connection stays open.
    pub fn never() -> Self {
        Self::new(Body::Never)
    }

    /// The connection is closed without an answer.
    pub fn closed() -> Self {
        Self::raw(Bytes::new())
    }

    /// Then a pause (for [`Reply::stream`]).
    #[must_use]
    pub fn then_pause(self, pause: Duration) -> Self {
        self.step(Step::Pause(pause))
    }

    /// Then another piece (for [`Reply::stream`]).
    #[must_use]
    pub fn then(self, piece: impl Into<Bytes>) -> Self {
        self.step(Step::Bytes(piece.into()))
    }

    /// Then nothing, while the connection stays open (for [`Reply::stream`]).
    #[must_use]
    pub fn then_hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// Then the connection is closed in the middle of the message (for [`Reply::stream`]).
    #[must_use]
    pub fn then_cut(self) -> Self {
        self.step(Step::Cut)
    }

    /// Then a wait until the gate is open (for [`Reply::stream`]).
    #[must_use]
    pub fn then_until(self, gate: Gate) -> Self {
        self.step(Step::Until(gate))
    }

    fn step(mut self, step: Step) -> Self {
        if let Body::Pieces { steps, .. } = &mut self.body {
            steps.push(step);
        }
        self
    }

    /// Waits before it answers.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits for a moment of a gate before it answers.
    #[must_use]
    pub fn until(mut self, gate: Gate, moment: Moment) -> Self {
        self.until = Some((gate, moment));
        self
    }

    /// Another header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The header `Retry-After`.
    #[must_use]
    pub fn retry_after(self, value: impl ToString) -> Self {
        self.header("retry-after", value.to_string())
    }

    /// The tokens that a completion says it used, read and written. Default: 10 and 5.
    #[must_use]
    pub fn usage(self, input: u64, output: u64) -> Self {
        self.completion(|completion| completion.usage = (input, output))
    }

    /// The reasoning that a completion shows.
    #[must_use]
    pub fn reasoning(self, text: impl Into<String>) -> Self {
        self.completion(|completion| completion.reasoning = text.into())
    }

    /// The finish reason of a completion. Default: `stop`, or `tool_calls` if there are any.
    #[must_use]
    pub fn finish(self, reason: impl Into<String>) -> Self {
        self.completion(|completion| completion.finish = Some(reason.into()))
    }

    /// How a completion is cut into pieces if it is streamed: characters of a piece, pause before each.
    #[must_use]
    pub fn pieces(self, chars: usize, delay: Duration) -> Self {
        self.completion(|completion| {
            completion.piece_chars = chars.max(1);
            completion.piece_delay = delay;
        })
    }

    fn completion(mut self, change: impl FnOnce(&mut Completion)) -> Self {
        if let Body::Completion(completion) = &mut self.body {
            change(completion);
        }
        self
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl Completion {
    fn finish_reason(&self) -> &str {
        self.finish.as_deref().unwrap_or(if self.calls.is_empty() { "stop" } else { "tool_calls" })
    }

    fn usage_json(&self) -> Value {
        let (input, output) = self.usage;
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }

    pub(crate) fn to_json(&self) -> Bytes {
        let mut message = json!({"role": "assistant", "content": self.text});
        if !self.reasoning.is_empty() {
            message["reasoning_content"] = json!(self.reasoning);
        }
        if !self.calls.is_empty() {
            message["tool_calls"] = self.calls_json(|_| None);
        }
        let choice = json!({"index": 0, "message": message, "finish_reason": self.finish_reason()});
        let body = json!({"id": "chatcmpl-fake", "object": "chat.completion", "created": 1_700_000_000,
            "model": "fake", "choices": [choice], "usage": self.usage_json()});
        body.to_string().into()
    }

    fn calls_json(&self, index: impl Fn(usize) -> Option<usize>) -> Value {
        let calls = self.calls.iter().enumerate().map(|(position, (name, arguments))| {
            let mut call = json!({"id": format!("call_{}", position + 1), "type": "function",
                "function": {"name": name, "arguments": arguments}});
            if let Some(index) = index(position) {
                call["index"] = json!(index);
            }
            call
        });
        calls.collect()
    }

    /// The events of a stream, each as it is written.
    pub(crate) fn to_events(&self) -> Vec<Bytes> {
        let mut events = vec![json!({"role": "assistant", "content": ""})];
        for piece in pieces(&self.reasoning, self.piece_chars) {
            events.push(json!({"reasoning_content": piece}));
        }
        for piece in pieces(&self.text, self.piece_chars) {
            events.push(json!({"content": piece}));
        }
        if !self.calls.is_empty() {
            events.push(json!({"tool_calls": self.calls_json(Some)}));
        }
        let mut events: Vec<Bytes> = events.into_iter().map(|delta| sse(&chunk(delta, None))).collect();
        events.push(sse(&chunk(json!({}), Some(self.finish_reason()))));
        events.push(sse(&json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "model": "fake",
            "choices": [], "usage": self.usage_json()})));
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }
}

fn pieces(text: &str, chars: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(chars).map(|piece| piece.iter().collect()).collect()
}

/// A server-sent event with this JSON.
pub fn sse(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

/// A piece of a streamed completion with this `delta`.
pub fn chunk(delta: Value, finish_reason: Option<&str>) -> Value {
    json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "fake",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})
}
