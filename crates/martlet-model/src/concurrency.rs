//! A limit of calls at the same time.

use std::sync::Arc;

use martlet_core::{ModelProfile, ModelReply, ModelRequest};
use tokio::sync::Semaphore;

use crate::error::ModelError;
use crate::model::{BoxFuture, DeltaSink, Model};

/// Lets a number of calls through at the same time; the others wait, in the order in which they came.
///
/// A call has its place until its reply is complete, also while that is streamed. A call that is dropped gives its
/// place up at once, whether it waits or runs. Clones share the limit. Put it inside of [`Retry`](crate::Retry), so
/// that a call that pauses before its next attempt holds no place:
///
/// ```
/// # use martlet_model::{Concurrency, OpenAiCompatible, Retry};
/// # fn main() -> Result<(), martlet_model::ConfigError> {
/// let model = OpenAiCompatible::new("http://localhost:11434/v1", "qwen3:4b").build()?;
/// let model = Retry::new(Concurrency::new(model, 4));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Concurrency<M> {
    model: M,
    places: Arc<Semaphore>,
}

impl<M: Model> Concurrency<M> {
    /// At most `calls` at the same time, and at least one.
    pub fn new(model: M, calls: usize) -> Self {
        Self { model, places: Arc::new(Semaphore::new(calls.clamp(1, Semaphore::MAX_PERMITS))) }
    }
}

impl<M: Model> Model for Concurrency<M> {
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
            // The semaphore is never closed, so that there always is a place in the end.
            let _place = self.places.acquire().await.ok();
            self.model.generate(request, deltas).await
        })
    }
}
