//! Trying again what failed for a passing reason.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use martlet_core::{ModelProfile, ModelReply, ModelRequest};

use crate::error::ModelError;
use crate::model::{BoxFuture, DeltaSink, Model};

/// Repeats calls that failed for a passing reason ([`ModelError::is_transient`]).
///
/// The pauses double from half a second to twenty seconds and vary at random, so that many runs that failed
/// together do not come back together. Where the provider says how long to wait, that counts; if it asks
/// for more than [`Retry::longest_wait`], the call fails at once and [`ModelError::retry_after`] tells the
/// caller when it is worth coming back. Once a piece of the reply was shown, the call is not repeated,
/// because the watcher would see the beginning twice; the error says so.
///
/// ```
/// # use std::time::Duration;
/// # use martlet_model::{OpenAiCompatible, Retry};
/// # fn main() -> Result<(), martlet_model::ConfigError> {
/// let model = OpenAiCompatible::new("http://localhost:11434/v1", "qwen3:4b").build()?;
/// let model = Retry::new(model).attempts(6).longest_wait(Duration::from_secs(120));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Retry<M> {
    model: M,
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
    longest_wait: Duration,
}

impl<M: Model> Retry<M> {
    /// Up to four attempts with pauses from 0.5 s to 20 s.
    pub fn new(model: M) -> Self {
        Self {
            model,
            attempts: 4,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(20),
            longest_wait: Duration::from_secs(60),
        }
    }

    /// How often the request is sent at most, the first time included. Default: 4.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The first pause and the longest one. Default: 0.5 s and 20 s.
    #[must_use]
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.first_pause = first;
        self.longest_pause = longest.max(first);
        self
    }

    /// The longest wait that a provider may ask for. Default: 60 s.
    #[must_use]
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// The pause after attempt number `attempt` (from 1): `random` in 0..=1 takes up to half of it away.
    fn pause(&self, attempt: u32, random: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        let full = self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause);
        full.mul_f64(1.0 - random / 2.0)
    }

    async fn run(&self, request: ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelReply, ModelError> {
        let shown = Arc::new(AtomicBool::new(false));
        let watching = deltas.map(|sink| {
            let (sink, shown) = (sink.clone(), Arc::clone(&shown));
            DeltaSink::new(move |delta| {
                shown.store(true, Ordering::Relaxed);
                sink.send(delta);
            })
        });
        let mut attempt = 1;
        loop {
            if attempt >= self.attempts {
                // The last attempt needs no copy of the request.
                let result = self.model.generate(request, watching.as_ref()).await;
                return result.map_err(|error| error.with_attempts(attempt));
            }
            let error = match self.model.generate(request.clone(), watching.as_ref()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error.with_attempts(attempt),
            };
            if !error.is_transient() {
                return Err(error);
            }
            if shown.load(Ordering::Relaxed) {
                return Err(error.with_note("not tried again because part of the reply was already shown"));
            }
            let random = random();
            let pause = match error.retry_after() {
                Some(wait) if wait > self.longest_wait => {
                    return Err(error.with_note(format!(
                        "not tried again because the provider asks to wait {} s and the limit is {} s",
                        wait.as_secs(),
                        self.longest_wait.as_secs()
                    )));
                }
                // A little later than asked: everybody else was told the same moment.
                Some(wait) => wait + self.first_pause.mul_f64(random),
                None => self.pause(attempt, random),
            };
            tracing::warn!(
                model = self.model.name(),
                attempt,
                pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                kind = ?error.kind(),
                status = error.status(),
                "model call failed, trying again"
            );
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

impl<M: Model> Model for Retry<M> {
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
        Box::pin(self.run(request, deltas))
    }
}

/// A number in 0..=1. The standard library seeds each `RandomState` anew; that is random enough for pauses.
fn random() -> f64 {
    let bits = std::hash::RandomState::new().build_hasher().finish();
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}
