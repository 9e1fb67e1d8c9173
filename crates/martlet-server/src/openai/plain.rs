//! Plain models: they answer directly, as fast as they write, and nothing of it is stored.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use martlet::SharedModel;
use martlet::model::DeltaSink;
use martlet_core::{Delta, FinishReason, ModelReply, ModelRequest};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::fault::Fault;
use crate::metrics::ModelCall;
use crate::router::Api;

/// Something is said at least so often.
const QUIET: Duration = Duration::from_secs(15);

/// What a model says while it answers.
#[derive(Debug)]
pub(super) enum Said {
    Thought(String),
    Text(String),
    /// Nothing happened for a while.
    Quiet,
    /// The whole reply, all of which was said. The last thing.
    Replied(Box<ModelReply>),
    /// There is none. The last thing.
    Failed(Fault),
}

/// Pieces that came and were not taken yet. They are joined, so they are at most the reply.
#[derive(Default)]
struct Pieces {
    came: Mutex<(String, String)>,
    told: Notify,
}

impl Pieces {
    fn put(&self, delta: Delta) {
        {
            let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
            match delta {
                Delta::Reasoning { text } => came.0.push_str(&text),
                Delta::Text { text } => came.1.push_str(&text),
                _ => {}
            }
        }
        self.told.notify_one();
    }

    fn take(&self) -> (String, String) {
        std::mem::take(&mut *self.came.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A call of a plain model. Dropping it ends the call.
pub(super) struct Answering {
    call: BoxFuture<'static, Result<ModelReply, Fault>>,
    pieces: Arc<Pieces>,
    /// What was said so far.
    thought: usize,
    text: usize,
    ready: VecDeque<Said>,
    is_over: bool,
}

impl Answering {
    /// Asks, as soon as it is its turn: there are as many as runs may run at once.
    pub(super) fn new(api: &Api, model: SharedModel, request: ModelRequest) -> Self {
        let pieces = Arc::new(Pieces::default());
        let (api, put) = (api.clone(), pieces.clone());
        let call = async move {
            let _turn = api.planning().await?;
            let began = Instant::now();
            let first = Arc::new(Mutex::new(None));
            let noted = first.clone();
            let sink = DeltaSink::new(move |delta| {
                noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| began.elapsed());
                put.put(delta);
            });
            let result = model.generate(request, Some(&sink)).await;
            api.service().metrics().model_call(ModelCall {
                model: model.name(),
                failure: result.as_ref().err().map(|error| error.to_failure().kind),
                first_token: *first.lock().unwrap_or_else(PoisonError::into_inner),
                usage: result.as_ref().map(|reply| reply.usage).unwrap_or_default(),
            });
            result.map_err(|error| Fault::from(&error))
        };
        Self { call: call.boxed(), pieces, thought: 0, text: 0, ready: VecDeque::new(), is_over: false }
    }

    /// The next thing; nothing after the last one.
    pub(super) async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some(said) = self.ready.pop_front() {
                return Some(said);
            }
            if self.is_over {
                return None;
            }
            let ended = tokio::select! {
                biased;
                () = self.pieces.told.notified() => None,
                ended = &mut self.call => Some(ended),
                () = sleep(QUIET) => return Some(Said::Quiet),
            };
            let (thought, text) = self.pieces.take();
            self.say(thought, text);
            match ended {
                None => {}
                Some(Ok(reply)) => {
                    self.is_over = true;
                    // A model that did not stream has said nothing yet.
                    let thought = reply.reasoning.as_deref().filter(|_| self.thought == 0);
                    let text = reply.text.get(self.text..).unwrap_or_default().to_owned();
                    self.say(thought.unwrap_or_default().to_owned(), text);
                    self.ready.push_back(Said::Replied(Box::new(reply)));
                }
                Some(Err(fault)) => {
                    self.is_over = true;
                    self.ready.push_back(Said::Failed(fault));
                }
            }
        }
    }

    /// Puts something back that was taken too early.
    pub(super) fn again(&mut self, said: Said) {
        self.ready.push_front(said);
    }

    fn say(&mut self, thought: String, text: String) {
        self.thought += thought.len();
        self.text += text.len();
        if !thought.is_empty() {
            self.ready.push_back(Said::Thought(thought));
        }
        if !text.is_empty() {
            self.ready.push_back(Said::Text(text));
        }
    }
}

/// Why a reply ended, in OpenAI's words.
pub(super) fn finish(reply: &ModelReply) -> &'static str {
    match reply.finish {
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        _ => "stop",
    }
}
