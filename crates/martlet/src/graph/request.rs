//! A run of a graph that is asked for: its settings, and the ways to have it done.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::graph::{GraphFailure, NodeFailure, NodeFailureKind};
use martlet_core::run::StopReason;
use martlet_core::{GraphResult, GraphStatus, GraphTask, RunId};
use serde::Serialize;
use serde_json::Value;

use super::Graph;
use super::error::GraphRunError;
use crate::blocking::block_on;
use crate::driver::{Asked, Scope, What, drive, now_ms};
use crate::handle::RunHandle;
use crate::ids::random_id;
use crate::observe::Bus;
use crate::settings::run_settings;

/// The run of a graph under way: see [`RunHandle`].
pub type GraphHandle = RunHandle<GraphResult, GraphRunError>;

/// A run of a graph that is asked for. Await it for its result, [`start`](Self::start) it to watch it, or call
/// [`blocking`](Self::blocking) where there is no async.
///
/// The result is there as soon as everything ended that the graph waits for, also if it was cancelled or its time was
/// up; if it failed, the error holds it.
///
/// A run that is resumed keeps the name, the input and the limits with which it began: of the settings below, only those
/// that do not change the task apply to it.
#[must_use = "a run does nothing until it is awaited or started"]
pub struct GraphRequest {
    graph: Graph,
    /// Or what is wrong with the input.
    what: What<Result<GraphTask, String>>,
    asked: Asked,
    timeout: Option<Duration>,
}

impl GraphRequest {
    pub(super) fn fresh(graph: Graph, input: &impl Serialize) -> Self {
        let task = match serde_json::to_value(input) {
            Ok(Value::Object(input)) => {
                Ok(GraphTask { input: graph.parts().first_state(input), ..GraphTask::default() })
            }
            Ok(other) => Err(kind_of(&other).to_owned()),
            Err(error) => Err(format!("a value that cannot be written as JSON ({error})")),
        };
        Self { graph, what: What::Fresh { id: random_id(), task }, asked: Asked::default(), timeout: None }
    }

    pub(super) fn resumed(graph: Graph, id: RunId) -> Self {
        Self { graph, what: What::Resumed { id }, asked: Asked::default(), timeout: None }
    }

    /// How many nodes, and copies of nodes, run at the same time, if not as many as the graph's limit says; at least 1.
    pub fn max_parallel(mut self, nodes: usize) -> Self {
        if let What::Fresh { task: Ok(task), .. } = &mut self.what {
            task.max_parallel = Some(nodes);
        }
        self
    }

    /// Takes tools and managed agents away from the runs in this one, by name. A node that is such a tool fails.
    pub fn without_tools(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        if let What::Fresh { task: Ok(task), .. } = &mut self.what {
            task.without_tools = names.into_iter().map(Into::into).collect();
        }
        self
    }

    /// Runs one node after the other.
    pub fn sequential(self) -> Self {
        self.max_parallel(1)
    }

    run_settings!();

    /// Starts the run on the current tokio runtime and gives a handle to watch and to cancel it.
    ///
    /// # Panics
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    pub fn start(self) -> GraphHandle {
        let id = self.what.id().clone();
        RunHandle::spawn(id, GraphRunError::DriverGone, |bus, stop| self.drive(Some(bus), stop))
    }

    /// Does the run on this task until it ends, or until `stop` says why it is to be stopped.
    ///
    /// # Errors
    /// As awaiting it.
    pub async fn until(
        self,
        stop: impl Future<Output = StopReason> + Send,
    ) -> Result<GraphResult, GraphRunError> {
        self.drive(None, stop).await
    }

    /// Does the whole run and blocks this thread meanwhile, for code without async. Runs that are started this
    /// way share one runtime of the process.
    ///
    /// # Errors
    /// As awaiting it; and [`GraphRunError::BlockingInAsync`] when called from async code.
    pub fn blocking(self) -> Result<GraphResult, GraphRunError> {
        block_on(self)?
    }

    async fn drive(
        self,
        bus: Option<Arc<Bus>>,
        stop: impl Future<Output = StopReason> + Send,
    ) -> Result<GraphResult, GraphRunError> {
        let what = match self.what {
            What::Fresh { id, task } => {
                let mut task = task.map_err(GraphRunError::Input)?;
                task.started_ms = now_ms();
                What::Fresh { id, task }
            }
            What::Resumed { id } | What::ResumedOrFresh { id, .. } => What::Resumed { id },
        };
        let host = self.graph.parts();
        let scope = Scope::first(&**host, what.id().clone(), bus, self.asked, what.is_resumed());
        let work = scope.activity().work();
        let run = drive(&**host, &scope, what, self.timeout, &work, stop).await?;
        let result = run.into_result().ok_or(GraphRunError::DriverGone)?;
        if result.status != GraphStatus::Failed {
            return Ok(result);
        }
        let failure = result.failure.clone().unwrap_or_else(|| GraphFailure {
            node: None,
            failure: NodeFailure::new(NodeFailureKind::Failed, "no node says why"),
        });
        Err(GraphRunError::Failed { failure, result: Box::new(result) })
    }
}

/// What a value is, for a message that must not hold it.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl IntoFuture for GraphRequest {
    type Output = Result<GraphResult, GraphRunError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.drive(None, std::future::pending()))
    }
}
