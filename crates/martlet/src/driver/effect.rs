//! Performing one effect, whoever asked for it.

use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::{Effect, EffectId, HostFailure, Outcome, Timing};
use martlet_tools::{ToolContext, Toolbox};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::host::Host;
use super::scope::Scope;

/// What a performed effect gives back.
pub(super) struct Performed {
    pub(super) id: EffectId,
    pub(super) outcome: Result<Outcome, HostFailure>,
    pub(super) timing: Timing,
}

/// Performs an effect, and stops it at its limit.
pub(super) async fn perform<H: Host>(
    host: &H,
    scope: &Scope,
    id: EffectId,
    effect: Effect,
    limit: Option<Duration>,
) -> Performed {
    let start = Instant::now();
    let ends_itself = matches!(effect, Effect::Child { .. });
    let performing = host.perform(scope, &id, effect, limit);
    let outcome = match limit.filter(|_| !ends_itself) {
        None => performing.await,
        Some(limit) => match tokio::time::timeout(limit, performing).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Ok(Outcome::TimedOut { limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) })
            }
        },
    };
    Performed { outcome, timing: scope.clock().since(start), id }
}

/// Calls a tool on the one path that all calls take.
pub(super) fn tool<'a>(
    tools: &'a Toolbox,
    scope: &Scope,
    id: &EffectId,
    name: String,
    arguments: Map<String, Value>,
) -> BoxFuture<'a, Result<Outcome, HostFailure>> {
    let mut cx = ToolContext::for_effect(id);
    if let Some(user) = scope.user() {
        cx = cx.with_user(user.clone());
    }
    Box::pin(async move { Ok(Outcome::Tool { result: tools.call(&name, arguments, &cx).await }) })
}

/// Asks whoever decides.
pub(super) fn approve<'a>(
    scope: &'a Scope,
    id: &'a EffectId,
    name: String,
    arguments: Map<String, Value>,
) -> BoxFuture<'a, Result<Outcome, HostFailure>> {
    Box::pin(async move {
        Ok(Outcome::Approve { decision: scope.approver().decide(id, &name, &arguments).await })
    })
}
