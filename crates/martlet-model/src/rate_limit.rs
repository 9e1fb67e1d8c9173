//! A limit of requests and tokens a minute.

mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use martlet_core::{Message, ModelProfile, ModelReply, ModelRequest, Part};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until};

use self::window::{Limits, Window};
use crate::error::ModelError;
use crate::model::{BoxFuture, DeltaSink, Model};

/// Keeps calls within what a provider allows a minute. What is too much waits, in the order in which it came, and never
/// fails.
///
/// Both limits hold for every span of 60 seconds, and not only from one full minute to the next. What a call will cost
/// is not known before: its tokens are estimated (a quarter of its letters; for the reply `max_tokens`, or else what
/// replies had lately), reserved, and corrected when the reply says what it was. A call that fails or is dropped gives
/// back what was reserved for its reply; a call that is dropped while it waits has taken nothing. A call that is bigger
/// than the limit goes alone.
///
/// Clones share the limits. Put it inside of [`Retry`](crate::Retry), so that each attempt counts:
///
/// ```
/// # use martlet_model::{OpenAiCompatible, RateLimit, Retry};
/// # fn main() -> Result<(), martlet_model::ConfigError> {
/// let model = OpenAiCompatible::new("http://localhost:11434/v1", "qwen3:4b").build()?;
/// let model = Retry::new(RateLimit::new(model).requests_per_minute(500).tokens_per_minute(200_000));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RateLimit<M> {
    model: M,
    limits: Limits,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Who has it is the next; the semaphore hands it on in the order of arrival.
    turn: Semaphore,
    /// Tokens were given back: whoever is next looks again.
    freed: Notify,
    window: Mutex<Window>,
}

impl<M: Model> RateLimit<M> {
    /// No limits yet.
    pub fn new(model: M) -> Self {
        let shared = Shared { turn: Semaphore::new(1), freed: Notify::new(), window: Mutex::default() };
        Self { model, limits: Limits::default(), shared: Arc::new(shared) }
    }

    /// The most requests in any 60 seconds; at least 1. Default: no limit.
    #[must_use]
    pub fn requests_per_minute(mut self, requests: usize) -> Self {
        self.limits.requests = Some(requests.max(1));
        self
    }

    /// The most tokens, read and written, in any 60 seconds; at least 1. Default: no limit.
    #[must_use]
    pub fn tokens_per_minute(mut self, tokens: u64) -> Self {
        self.limits.tokens = Some(tokens.max(1));
        self
    }

    /// Waits until the request may be sent.
    async fn reserve(&self, request: &ModelRequest) -> Reservation<'_> {
        let input = estimated_input(request);
        // The semaphore is never closed, so that everybody has a turn in the end.
        let _turn = self.shared.turn.acquire().await.ok();
        loop {
            let freed = self.shared.freed.notified();
            let admitted = {
                let mut window = self.shared.window();
                let output = request.options.max_tokens.map_or(window.usual_output(), u64::from);
                window.admit(Instant::now(), self.limits, input.saturating_add(output))
            };
            match admitted {
                Ok(number) => return Reservation { shared: &self.shared, number, remains: Some(input) },
                Err(later) => tokio::select! {
                    () = sleep_until(later) => {}
                    () = freed => {}
                },
            }
        }
    }
}

impl Shared {
    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call has reserved. Dropped before its reply was counted, it keeps only what was sent.
struct Reservation<'a> {
    shared: &'a Shared,
    number: u64,
    remains: Option<u64>,
}

impl Reservation<'_> {
    /// Corrects the estimate. A provider that does not say what a reply cost leaves it as it is.
    fn settle(mut self, reply: &ModelReply) {
        self.remains = None;
        if reply.usage.total() > 0 {
            let mut window = self.shared.window();
            window.saw_output(reply.usage.output_tokens);
            window.settle(self.number, reply.usage.total());
            drop(window);
            self.shared.freed.notify_one();
        }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(tokens) = self.remains {
            self.shared.window().settle(self.number, tokens);
            self.shared.freed.notify_one();
        }
    }
}

/// About how many tokens a request has: a token is four letters of English, fewer of code.
fn estimated_input(request: &ModelRequest) -> u64 {
    /// The frame of a message.
    const MESSAGE: usize = 4;
    let parts = request.messages.iter().map(|message| MESSAGE + message_tokens(message));
    let tools =
        request.tools.iter().map(|tool| (tool.description.len() + tool.parameters.to_string().len()) / 4);
    u64::try_from(parts.chain(tools).sum::<usize>()).unwrap_or(u64::MAX)
}

fn message_tokens(message: &Message) -> usize {
    /// What providers count for an image or a page of a file.
    const ATTACHMENT: usize = 1_000;
    let parts = message.parts.iter().map(|part| match part {
        Part::Text { text } => text.len() / 4,
        _ => ATTACHMENT,
    });
    let calls = message.tool_calls.iter().map(|call| call.arguments.to_json().len() / 4);
    parts.chain(calls).sum()
}

impl<M: Model> Model for RateLimit<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn profile(&self) -> ModelProfile {
        self.model.profile()
    }

    fn generate<'a>(
        &'a self,
        request: ModelRequest,
        deltas: Option<&'a DeltaSink>,
    ) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        Box::pin(async move {
            let reservation = self.reserve(&request).await;
            let reply = self.model.generate(request, deltas).await?;
            reservation.settle(&reply);
            Ok(reply)
        })
    }
}
