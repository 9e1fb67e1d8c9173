//! Child runs: performing an effect by a run of its own.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use martlet_core::graph::{GraphFailure, NodeFailure, NodeFailureKind};
use martlet_core::{
    ChildEnd, EffectId, GraphResult, GraphStatus, GraphTask, HostFailure, Outcome, RunFailure, RunId,
    RunResult, RunStatus, Task, Usage,
};
use martlet_tools::Work;
use serde_json::{Map, Value};

use super::error::DriveError;
use super::host::Host;
use super::scope::Scope;
use super::{What, drive};
use crate::child::Child;

/// Performs [`Effect::Child`](martlet_core::Effect::Child): the child run is driven inside the future of the effect, so
/// that it ends with it.
pub(super) fn perform<'a>(
    child: Option<&'a Child>,
    scope: &'a Scope,
    work: &'a Work,
    id: &'a EffectId,
    name: String,
    input: Value,
    limit: Option<Duration>,
) -> BoxFuture<'a, Result<Outcome, HostFailure>> {
    Box::pin(async move {
        let run = id.child_run();
        let Some(child) = child else {
            let message = format!("`{name}` is no agent or graph that this run has");
            let result = Err(NodeFailure::new(NodeFailureKind::Host, message));
            return Ok(Outcome::Child { end: ChildEnd { run, result, usage: Usage::default() } });
        };
        // Tools and functions contain their panics; what is left is a model or an approver, which should not take
        // along what runs beside it.
        let place = Place { scope, work, id, run: &run, name: &name, limit };
        let driven = AssertUnwindSafe(child_run(child, &place, input)).catch_unwind().await;
        let (result, usage) = driven.unwrap_or_else(|_panic| {
            let message = format!("the run of `{name}` stopped at a panic, which standard error tells of");
            (Err(NodeFailure::new(NodeFailureKind::Failed, message)), Usage::default())
        });
        Ok(Outcome::Child { end: ChildEnd { run, result, usage } })
    })
}

type End = (Result<Value, NodeFailure>, Usage);

/// Where a child run belongs.
struct Place<'a> {
    /// Of the run above.
    scope: &'a Scope,
    /// What performing the effect counts as.
    work: &'a Work,
    /// The effect that the child run performs.
    id: &'a EffectId,
    run: &'a RunId,
    name: &'a str,
    limit: Option<Duration>,
}

async fn child_run(child: &Child, place: &Place<'_>, input: Value) -> End {
    let started_ms = place.scope.clock().now_ms();
    let without_tools = place.scope.run().without_tools.clone();
    match child {
        Child::Agent(agent) => {
            let task = match agent.spec().task(&input) {
                Ok(task) => Task { started_ms, without_tools, ..task },
                Err(error) => {
                    let failure = NodeFailure::new(NodeFailureKind::Input, error.to_string());
                    return (Err(failure), Usage::default());
                }
            };
            match driven(&**agent.parts(), place, task).await {
                Ok(machine) => {
                    machine.into_result().map_or_else(no_result, |result| end_of_agent(result, place.limit))
                }
                Err(failure) => (Err(failure), Usage::default()),
            }
        }
        Child::Graph(graph) => {
            let input = graph.parts().first_state(as_state(input));
            let task = GraphTask { input, started_ms, without_tools, ..GraphTask::default() };
            match driven(&**graph.parts(), place, task).await {
                Ok(machine) => {
                    machine.into_result().map_or_else(no_result, |result| end_of_graph(result, place.limit))
                }
                Err(failure) => (Err(failure), Usage::default()),
            }
        }
    }
}

async fn driven<H: Host>(host: &H, place: &Place<'_>, task: H::Task) -> Result<H::Machine, NodeFailure> {
    let Place { scope, work, id, run, name, limit } = *place;
    let Some(below) = scope.below(host, id, run, name) else {
        let message = format!("`{name}` would be nested deeper than runs may be: raise `max_depth`");
        return Err(NodeFailure::new(NodeFailureKind::Limit, message));
    };
    let what = if below.is_resumed() {
        What::ResumedOrFresh { id: run.clone(), task }
    } else {
        What::Fresh { id: run.clone(), task }
    };
    drive(host, &below, what, limit, work, std::future::pending())
        .await
        .map_err(|error: DriveError| NodeFailure::new(NodeFailureKind::Host, error.to_string()))
}

/// The state that a graph begins with.
fn as_state(input: Value) -> Map<String, Value> {
    match input {
        Value::Object(input) => input,
        other => [("input".to_owned(), other)].into_iter().collect(),
    }
}

fn no_result() -> End {
    (Err(NodeFailure::new(NodeFailureKind::Host, "the run ended without a result")), Usage::default())
}

fn end_of_agent(result: RunResult, limit: Option<Duration>) -> End {
    let usage = result.usage;
    let steps = result.steps.len();
    let model = match &result.failure {
        Some(RunFailure::Model(failure)) => Some(failure.kind),
        _ => None,
    };
    let failed =
        |kind, message: String| (Err(NodeFailure { model, ..NodeFailure::new(kind, message) }), usage);
    match result.status {
        RunStatus::Succeeded => (Ok(result.output), usage),
        RunStatus::StepLimit if !result.output.is_null() => (Ok(result.output), usage),
        RunStatus::StepLimit => {
            failed(NodeFailureKind::Failed, format!("used up its {steps} steps without an answer"))
        }
        RunStatus::TokenLimit => failed(
            NodeFailureKind::Limit,
            match result.failure {
                Some(RunFailure::Model(failure)) => failure.message,
                _ => "used up its tokens: raise `max_tokens`".to_owned(),
            },
        ),
        RunStatus::TimedOut => (Err(time_was_up(limit)), usage),
        RunStatus::Cancelled => failed(NodeFailureKind::Failed, "was cancelled".into()),
        _ => match result.failure {
            Some(RunFailure::Model(failure)) if failure.kind.is_transient() => {
                failed(NodeFailureKind::Unavailable, format!("the model gave no reply: {failure}"))
            }
            Some(failure) => failed(NodeFailureKind::Failed, failure.to_string()),
            None => failed(NodeFailureKind::Failed, "failed".into()),
        },
    }
}

fn end_of_graph(result: GraphResult, limit: Option<Duration>) -> End {
    let usage = result.usage;
    if result.succeeded() {
        return (Ok(result.output), usage);
    }
    let failure = match result.status {
        GraphStatus::TimedOut => time_was_up(limit),
        GraphStatus::Cancelled => NodeFailure::new(NodeFailureKind::Failed, "was cancelled"),
        _ => match result.failure {
            Some(GraphFailure { node: Some(node), failure }) => {
                NodeFailure { message: format!("its node `{node}` failed: {failure}"), ..failure }
            }
            Some(GraphFailure { node: None, failure }) => failure,
            None => NodeFailure::new(NodeFailureKind::Failed, "failed"),
        },
    };
    (Err(failure), usage)
}

fn time_was_up(limit: Option<Duration>) -> NodeFailure {
    let message = match limit {
        Some(limit) => format!("an attempt took longer than {} ms and was stopped", limit.as_millis()),
        None => "its time was up".to_owned(),
    };
    NodeFailure::new(NodeFailureKind::TimedOut, message)
}
