//! Asking a person before a tool is called.

use futures::future::BoxFuture;
use martlet_core::{Decision, EffectId};
use serde_json::{Map, Value};

/// Decides on calls of tools that need approval.
///
/// The future may take as long as it likes: the run waits for it without holding a thread. Calls of one run may
/// be decided on at the same time.
pub trait Approver: Send + Sync {
    /// Decides on the call `id` of `tool` with exactly these arguments.
    fn decide<'a>(
        &'a self,
        id: &'a EffectId,
        tool: &'a str,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Decision>;
}

/// Refuses every call that needs approval: what an agent does where nobody can be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct DenyAll;

impl Approver for DenyAll {
    fn decide<'a>(
        &'a self,
        _: &'a EffectId,
        _: &'a str,
        _: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Decision> {
        Box::pin(std::future::ready(Decision::Denied {
            reason: "it needs a person's approval, and nobody is there to give it".into(),
        }))
    }
}
