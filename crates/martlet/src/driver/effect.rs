//! Performing one effect, whoever asked for it.

use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::{Effect, EffectId, HostFailure, Outcome, Timing};
use martlet_tools::{ToolContext, Toolbox, Work};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::host::Host;
use super::log::InDoubt;
use super::scope::Scope;
use crate::approve::{Doubt, Question};

/// What a performed effect gives back.
pub(super) struct Performed {
    pub(super) id: EffectId,
    pub(super) done: Result<Done, HostFailure>,
    pub(super) timing: Timing,
    /// Dropped when the run has gone on.
    pub(super) work: Work,
}

/// What came of performing an effect.
pub(super) enum Done {
    Outcome(Outcome),
    /// A call in doubt is to be repeated.
    Repeat(Effect),
}

/// Performs an effect, and stops it at its limit. Somebody is asked first about a call in doubt. The work on it is counted
/// from the moment in which this is called, not from when it is first polled.
pub(super) fn perform<H: Host>(
    host: &H,
    scope: &Scope,
    id: EffectId,
    effect: Effect,
    limit: Option<Duration>,
    doubt: Option<InDoubt>,
) -> impl Future<Output = Performed> {
    let work = scope.activity().work();
    async move {
        let start = Instant::now();
        let done = match (doubt, effect) {
            (Some(doubt), Effect::Tool { name, arguments }) => {
                Ok(resolve(scope, &work, &id, doubt, name, arguments).await)
            }
            (_, effect) => outcome(host, scope, &work, &id, effect, limit).await.map(Done::Outcome),
        };
        Performed { done, timing: scope.clock().since(start), id, work }
    }
}

async fn outcome<H: Host>(
    host: &H,
    scope: &Scope,
    work: &Work,
    id: &EffectId,
    effect: Effect,
    limit: Option<Duration>,
) -> Result<Outcome, HostFailure> {
    let ends_itself = matches!(effect, Effect::Child { .. });
    let performing = host.perform(scope, work, id, effect, limit);
    match limit.filter(|_| !ends_itself) {
        None => performing.await,
        Some(limit) => match tokio::time::timeout(limit, performing).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Ok(Outcome::TimedOut { limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) })
            }
        },
    }
}

/// Asks what came of a call during which the run was left.
async fn resolve(
    scope: &Scope,
    work: &Work,
    id: &EffectId,
    doubt: InDoubt,
    name: String,
    arguments: Map<String, Value>,
) -> Done {
    let InDoubt { failure, repeated } = doubt;
    let question = Question { repeated, ..question(scope, work, id, &name, &arguments) };
    match scope.approver().doubt(question).await {
        Doubt::Unknown => Done::Outcome(Outcome::Tool { result: Err(failure) }),
        Doubt::Done { output } => Done::Outcome(Outcome::Tool { result: Ok(output) }),
        Doubt::Repeat => Done::Repeat(Effect::Tool { name, arguments }),
    }
}

fn question<'a>(
    scope: &'a Scope,
    work: &'a Work,
    effect: &'a EffectId,
    tool: &'a str,
    arguments: &'a Map<String, Value>,
) -> Question<'a> {
    Question {
        effect,
        root: scope.root(),
        user: scope.user().map(|user| &**user),
        tool,
        arguments,
        repeated: 0,
        work,
    }
}

/// Calls a tool on the one path that all calls take.
pub(super) fn tool<'a>(
    tools: &'a Toolbox,
    scope: &Scope,
    work: &Work,
    id: &EffectId,
    name: String,
    arguments: Map<String, Value>,
) -> BoxFuture<'a, Result<Outcome, HostFailure>> {
    let mut cx = ToolContext::for_effect(id).with_root(scope.root().clone()).with_work(work.handle());
    cx = cx.with_files(scope.files().clone());
    if let Some(user) = scope.user() {
        cx = cx.with_user(user.clone());
    }
    if let Some(chars) = scope.run().shown_chars {
        cx = cx.with_shown_chars(chars);
    }
    Box::pin(async move { Ok(Outcome::Tool { result: tools.call(&name, arguments, &cx).await }) })
}

/// Asks whoever decides.
pub(super) fn approve<'a>(
    scope: &'a Scope,
    work: &'a Work,
    id: &'a EffectId,
    name: String,
    arguments: Map<String, Value>,
) -> BoxFuture<'a, Result<Outcome, HostFailure>> {
    Box::pin(async move {
        let decision = scope.approver().decide(question(scope, work, id, &name, &arguments)).await;
        Ok(Outcome::Approve { decision })
    })
}
