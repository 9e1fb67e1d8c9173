//! A model without a network.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use martlet_core::{Arguments, Delta, FinishReason, ModelFailure, ModelFailureKind, ToolCall};
use martlet_model::{BoxFuture, DeltaSink, Model, ModelError, ModelProfile, ModelReply, ModelRequest};
use serde_json::Value;

/// What a [`ScriptedModel`] answers to one request.
#[derive(Debug)]
pub struct ScriptedReply {
    result: Result<ModelReply, ModelError>,
    delay: Option<Duration>,
    piece_chars: usize,
}

impl ScriptedReply {
    /// This result.
    pub fn new(result: Result<ModelReply, ModelError>) -> Self {
        Self { result, delay: None, piece_chars: 4 }
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Ok(ModelReply::text(text)))
    }

    /// A call of one tool.
    pub fn tool_call(name: impl Into<String>, arguments: Value) -> Self {
        Self::tool_calls([(name.into(), arguments)])
    }

    /// Calls of several tools, with the ids `call_1`, `call_2` …
    pub fn tool_calls(calls: impl IntoIterator<Item = (impl Into<String>, Value)>) -> Self {
        let mut reply = ModelReply::text("");
        reply.finish = FinishReason::ToolCalls;
        reply.tool_calls = calls
            .into_iter()
            .enumerate()
            .map(|(position, (name, arguments))| ToolCall {
                id: format!("call_{}", position + 1),
                name: name.into(),
                arguments: Arguments::parse(&arguments.to_string()),
            })
            .collect();
        Self::new(Ok(reply))
    }

    /// A failure.
    pub fn failure(kind: ModelFailureKind, message: impl Into<String>) -> Self {
        Self::new(Err(ModelError::new(kind, message)))
    }

    /// Waits first, on tokio's clock.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// The characters of a piece, if the reply is watched. Default: 4.
    #[must_use]
    pub fn pieces(mut self, chars: usize) -> Self {
        self.piece_chars = chars.max(1);
        self
    }
}

impl From<&str> for ScriptedReply {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for ScriptedReply {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<ModelReply> for ScriptedReply {
    fn from(reply: ModelReply) -> Self {
        Self::new(Ok(reply))
    }
}

impl From<ModelError> for ScriptedReply {
    fn from(error: ModelError) -> Self {
        Self::new(Err(error))
    }
}

impl From<ModelFailure> for ScriptedReply {
    fn from(failure: ModelFailure) -> Self {
        Self::new(Err(failure.into()))
    }
}

type Respond = dyn Fn(&ModelRequest, usize) -> ScriptedReply + Send + Sync;

enum Script {
    InOrder(Mutex<VecDeque<ScriptedReply>>),
    Function(Box<Respond>),
}

/// A model that answers from a script and remembers what it was asked.
pub struct ScriptedModel {
    name: String,
    profile: ModelProfile,
    script: Script,
    delay: Duration,
    records: bool,
    requests: Mutex<Vec<ModelRequest>>,
    calls: AtomicUsize,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

impl ScriptedModel {
    /// Answers in order. When the replies are used up, calls fail with a failure that is not transient.
    pub fn new(replies: impl IntoIterator<Item = impl Into<ScriptedReply>>) -> Self {
        Self::with_script(Script::InOrder(Mutex::new(replies.into_iter().map(Into::into).collect())))
    }

    /// Answers with what `respond` makes of a request and of the number of calls before it.
    pub fn from_fn<R: Into<ScriptedReply>>(
        respond: impl Fn(&ModelRequest, usize) -> R + Send + Sync + 'static,
    ) -> Self {
        Self::with_script(Script::Function(Box::new(move |request, index| respond(request, index).into())))
    }

    fn with_script(script: Script) -> Self {
        Self {
            name: "scripted".into(),
            profile: ModelProfile::default(),
            script,
            delay: Duration::ZERO,
            records: true,
            requests: Mutex::default(),
            calls: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// Its name. Default: `scripted`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Its profile. Default: that of a large model.
    #[must_use]
    pub fn profile(mut self, profile: ModelProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Waits before each reply that has no delay of its own, on tokio's clock.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Keeps no requests: for load.
    #[must_use]
    pub fn without_recording(mut self) -> Self {
        self.records = false;
        self
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<ModelRequest> {
        lock(&self.requests).clone()
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// How many calls are in progress.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// The most calls that were in progress at once.
    pub fn peak_in_flight(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }

    fn reply_to(&self, request: &ModelRequest, index: usize) -> ScriptedReply {
        match &self.script {
            Script::Function(respond) => respond(request, index),
            Script::InOrder(replies) => lock(replies).pop_front().unwrap_or_else(|| {
                let message = format!("the script of the model has no reply for call {}", index + 1);
                ScriptedReply::failure(ModelFailureKind::Request, message)
            }),
        }
    }
}

/// Counts a call as long as it lives.
struct Call<'a>(&'a AtomicUsize);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Model for ScriptedModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn profile(&self) -> ModelProfile {
        self.profile
    }

    fn generate<'a>(
        &'a self,
        request: ModelRequest,
        deltas: Option<&'a DeltaSink>,
    ) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        Box::pin(async move {
            let index = self.calls.fetch_add(1, Ordering::SeqCst);
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            let _call = Call(&self.in_flight);
            self.peak.fetch_max(now, Ordering::SeqCst);
            let reply = self.reply_to(&request, index);
            if self.records {
                lock(&self.requests).push(request);
            }
            let delay = reply.delay.unwrap_or(self.delay);
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            if let (Some(sink), Ok(whole)) = (deltas, &reply.result) {
                if let Some(reasoning) = &whole.reasoning {
                    for text in pieces(reasoning, reply.piece_chars) {
                        sink.send(Delta::Reasoning { text });
                    }
                }
                for text in pieces(&whole.text, reply.piece_chars) {
                    sink.send(Delta::Text { text });
                }
            }
            reply.result
        })
    }
}

fn pieces(text: &str, chars: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(chars).map(|piece| piece.iter().collect()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedModel")
            .field("name", &self.name)
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}
