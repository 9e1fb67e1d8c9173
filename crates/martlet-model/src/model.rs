//! The trait that every model implements.

use std::fmt;
use std::sync::Arc;

use martlet_core::{Delta, ModelProfile, ModelReply, ModelRequest};

use crate::error::ModelError;

/// A boxed future, as the methods of [`Model`] return it.
pub type BoxFuture<'a, T> = futures::future::BoxFuture<'a, T>;

/// A model shared by any number of agents and runs.
pub type SharedModel = Arc<dyn Model>;

/// Something that answers requests: a provider, a server on this machine, an embedded model, a script.
///
/// One model serves any number of concurrent calls. Dropping the future of a call cancels it: a client
/// closes its connection, an embedded model stops.
pub trait Model: Send + Sync {
    /// The name that people are shown, such as `openai/gpt-4o`.
    fn name(&self) -> &str;

    /// What an agent should know of the model when it writes its prompts.
    fn profile(&self) -> ModelProfile {
        ModelProfile::default()
    }

    /// Answers `request`. If `deltas` is given, the pieces of the reply are sent there as they arrive;
    /// the whole reply is returned in any case.
    ///
    /// # Errors
    /// [`ModelError::kind`] says what kind of failure it was and [`ModelError::is_transient`] whether the
    /// same request may succeed later. A reply that was cut off is an error, never a short reply.
    fn generate<'a>(
        &'a self,
        request: ModelRequest,
        deltas: Option<&'a DeltaSink>,
    ) -> BoxFuture<'a, Result<ModelReply, ModelError>>;
}

impl<M: Model + ?Sized> Model for Arc<M> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn profile(&self) -> ModelProfile {
        (**self).profile()
    }

    fn generate<'a>(
        &'a self,
        request: ModelRequest,
        deltas: Option<&'a DeltaSink>,
    ) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        (**self).generate(request, deltas)
    }
}

/// Where the pieces of a reply go while it is being written.
///
/// The callback runs on the task that reads the reply, so it must not block: it should hand the piece to a
/// channel and return.
#[derive(Clone)]
pub struct DeltaSink(Arc<dyn Fn(Delta) + Send + Sync>);

impl DeltaSink {
    /// A sink that gives each piece to `callback`.
    pub fn new(callback: impl Fn(Delta) + Send + Sync + 'static) -> Self {
        Self(Arc::new(callback))
    }

    /// Sends one piece.
    pub fn send(&self, delta: Delta) {
        (self.0)(delta);
    }
}

impl fmt::Debug for DeltaSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeltaSink")
    }
}
