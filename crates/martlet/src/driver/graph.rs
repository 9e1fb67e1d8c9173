//! Performing the effects of a graph's runs.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use martlet_core::graph::{GraphSettings, NodeFailure, NodeFailureKind, State};
use martlet_core::{
    ConditionOf, Effect, EffectId, GraphRun, GraphTask, HostFailure, Outcome, RunId, ToolFailure,
    ToolFailureKind,
};
use martlet_tools::Work;
use serde_json::Value;

use super::host::{Host, RunTerms, Terms, unknown};
use super::scope::Scope;
use super::{child, effect};
use crate::graph::{Function, GraphParts, Input, Performer};
use crate::record::JournalRecord;

impl Host for GraphParts {
    type Machine = GraphRun;
    type Task = GraphTask;

    fn terms(&self) -> Terms<'_> {
        Terms {
            approver: self.approver.as_ref(),
            journal: self.journal.as_ref(),
            max_tokens: self.spec.limits.max_tokens,
            max_depth: self.max_depth,
        }
    }

    fn first_record<'a>(&'a self, task: &'a GraphTask) -> JournalRecord<'a> {
        JournalRecord::GraphStarted { graph: Cow::Borrowed(&**self.spec), task: Cow::Borrowed(task) }
    }

    fn start(&self, id: RunId, task: GraphTask) -> GraphRun {
        GraphRun::start(id, self.spec.clone(), task)
    }

    fn restart(&self, id: RunId, first: JournalRecord<'static>) -> Result<GraphRun, String> {
        let (graph, task) = match first {
            JournalRecord::GraphStarted { graph, task } => (graph, task),
            JournalRecord::Started { .. } => {
                return Err("it is the run of an agent: resume it with that agent".into());
            }
            _ => return Err("its journal does not begin with its start".into()),
        };
        // The functions of the nodes are not in the journal, so another graph could not go on as the recorded one.
        if !is_same(&graph, &self.spec)? {
            return Err(format!(
                "the graph `{}` is no longer the one with which the run began: resume it with the same nodes, edges \
                 and settings, or begin a new run",
                self.spec.name
            ));
        }
        Ok(GraphRun::start(id, self.spec.clone(), task.into_owned()))
    }

    fn terms_of(&self, run: &GraphRun) -> RunTerms {
        RunTerms { without_tools: run.without_tools().clone(), ..RunTerms::default() }
    }

    fn doubt(&self, _: &GraphRun, id: &EffectId, tool: &str) -> Option<ToolFailure> {
        let Some(Performer::Tool(tools)) = self.performer_of(id) else { return None };
        let flags = tools.get(tool).map(|tool| tool.spec().flags).unwrap_or_default();
        // Not as a failure of the tool: those may be tried again, and this call must not be.
        (!flags.read_only && !flags.idempotent).then(|| {
            ToolFailure::new(
                ToolFailureKind::Denied,
                format!(
                    "the run was interrupted during this call of `{tool}`, and it is not known whether it took effect: \
                     it is not repeated, as the tool is neither `read_only` nor `idempotent`"
                ),
            )
        })
    }

    fn perform<'a>(
        &'a self,
        scope: &'a Scope,
        work: &'a Work,
        id: &'a EffectId,
        effect: Effect,
        limit: Option<Duration>,
    ) -> BoxFuture<'a, Result<Outcome, HostFailure>> {
        match effect {
            Effect::Function { name, input } => match self.performer(&name) {
                Some(Performer::Function(function)) => {
                    let input = Input::new(input, id.clone(), scope.user().cloned());
                    Box::pin(call(function, input))
                }
                _ => held(&name, "function"),
            },
            Effect::Child { name, input } => match self.performer(&name) {
                Some(Performer::Child(child)) => {
                    child::perform(Some(child), scope, work, id, name, input, limit)
                }
                _ => held(&name, "agent or graph"),
            },
            Effect::Tool { name, .. } if scope.run().without_tools.contains(&name) => {
                let message = format!("this run must do without the tool `{name}`");
                let result = Err(ToolFailure::new(ToolFailureKind::Denied, message));
                Box::pin(std::future::ready(Ok(Outcome::Tool { result })))
            }
            Effect::Tool { name, arguments } => match self.performer_of(id) {
                Some(Performer::Tool(tools)) => effect::tool(tools, scope, work, id, name, arguments),
                _ => held(&name, "tool"),
            },
            Effect::Approve { name, arguments } => effect::approve(scope, work, id, name, arguments),
            Effect::Decide { condition, state } => {
                let result = decide(self, &condition, &state);
                Box::pin(std::future::ready(Ok(Outcome::Decide { result })))
            }
            Effect::Wait { ms } => Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(Outcome::Wait)
            }),
            other => Box::pin(std::future::ready(Err(unknown(&other)))),
        }
    }
}

/// Whether the settings are the same once they were written and read, as the recorded ones were.
fn is_same(recorded: &GraphSettings, settings: &GraphSettings) -> Result<bool, String> {
    let bytes = serde_json::to_vec(settings).map_err(|error| error.to_string())?;
    let settings: GraphSettings = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    Ok(*recorded == settings)
}

fn held<'a>(name: &str, what: &str) -> BoxFuture<'a, Result<Outcome, HostFailure>> {
    let message = format!("the graph holds no {what} for `{name}`");
    Box::pin(std::future::ready(Err(HostFailure { message })))
}

/// Calls the function of a node. A panic in it is the node's failure, and no more.
async fn call(function: &Function, input: Input) -> Result<Outcome, HostFailure> {
    let result = match function {
        // Inside the block, because a function may panic before it has made its future.
        Function::Async(function) => {
            let called = AssertUnwindSafe(async move { function(input).await });
            called.catch_unwind().await.unwrap_or_else(|_panic| Err(panicked()))
        }
        Function::Blocking(function) => {
            let function = function.clone();
            let called = tokio::task::spawn_blocking(move || function(input));
            match NotIfUnwanted(called).await {
                Ok(result) => result,
                Err(error) if error.is_panic() => Err(panicked()),
                Err(_) => {
                    let message = "the function was not called, because the runtime is shutting down";
                    Err(NodeFailure::new(NodeFailureKind::Host, message))
                }
            }
        }
    };
    Ok(Outcome::Function { result })
}

fn panicked() -> NodeFailure {
    NodeFailure::new(NodeFailureKind::Failed, "the function panicked: standard error tells where")
}

/// A call on the blocking pool that is not begun any more once nobody waits for it.
struct NotIfUnwanted(tokio::task::JoinHandle<Result<Value, NodeFailure>>);

impl Future for NotIfUnwanted {
    type Output = Result<Result<Value, NodeFailure>, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.0.poll_unpin(cx)
    }
}

impl Drop for NotIfUnwanted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn decide(parts: &GraphParts, condition: &ConditionOf, state: &State) -> Result<bool, String> {
    let Some(holds) = parts.conditions.get(condition) else {
        return Err("the graph holds no such condition".into());
    };
    catch_unwind(AssertUnwindSafe(|| holds(state)))
        .unwrap_or_else(|_panic| Err("the condition panicked: standard error tells where".into()))
}
