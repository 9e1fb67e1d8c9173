//! The run of a graph, as a state machine.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::build::GraphSpec;
use super::result::{GraphResult, GraphStatus};
use super::state::StateLog;
use crate::effect::{Effect, Settlement};
use crate::event::Event;
use crate::id::{EffectId, RunId};
use crate::machine::Machine;
use crate::run::{SettleError, StopReason};

/// What a graph is to work on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GraphTask {
    /// The values that the state begins with.
    pub input: Map<String, Value>,
    /// Nodes that run at the same time, if not as many as the graph's limit says; 1 runs them one after the other.
    pub max_parallel: Option<usize>,
    /// The time of the start, in milliseconds since 1970-01-01 UTC.
    pub started_ms: u64,
}

/// One execution of a graph in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphRun {
    id: RunId,
    spec: Arc<GraphSpec>,
    status: Option<GraphStatus>,
    state: StateLog,
}

impl GraphRun {
    /// Begins a run.
    pub fn start(id: RunId, spec: Arc<GraphSpec>, task: GraphTask) -> Self {
        let _ = task;
        Self { id, spec, status: None, state: StateLog::default() }
    }

    /// The graph.
    pub fn spec(&self) -> &Arc<GraphSpec> {
        &self.spec
    }

    /// How it ended; `None` while it runs.
    pub fn status(&self) -> Option<GraphStatus> {
        self.status
    }

    /// The state as it is, with its history.
    pub fn state(&self) -> &StateLog {
        &self.state
    }

    /// The result, if the run has ended.
    pub fn into_result(self) -> Option<GraphResult> {
        None
    }
}

impl Machine for GraphRun {
    fn id(&self) -> &RunId {
        &self.id
    }

    fn is_finished(&self) -> bool {
        self.status.is_some()
    }

    fn take_effects(&mut self) -> Vec<(EffectId, Effect)> {
        Vec::new()
    }

    fn hand_out_again(&mut self) {}

    fn take_abandoned(&mut self) -> Vec<EffectId> {
        Vec::new()
    }

    fn is_open(&self, _: &EffectId) -> bool {
        false
    }

    fn time_limit(&self, _: &EffectId) -> Option<Duration> {
        None
    }

    fn take_events(&mut self) -> Vec<Event> {
        Vec::new()
    }

    fn settle(&mut self, _: Settlement) -> Result<(), SettleError> {
        Ok(())
    }

    fn stop(&mut self, _: StopReason, _: u64) {}
}
