//! What a graph's run leaves behind.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spec::{Name, NodeFailure};
use super::state::StateLog;
use crate::effect::Timing;
use crate::id::RunId;
use crate::model::Usage;

/// How a graph's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GraphStatus {
    /// Every node completed or was not chosen.
    Success,
    /// Something failed that the graph could do without.
    Partial,
    /// A failure kept an end of the graph, a node that nothing follows, from completing.
    Failed,
    /// Its time was up.
    TimedOut,
    /// It was cancelled.
    Cancelled,
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeStatus {
    /// Its inputs are not there yet.
    #[default]
    Pending,
    /// Its inputs are there; a limit keeps it waiting.
    Queued,
    /// It runs, or waits for another attempt.
    Running,
    /// It has a result.
    Completed,
    /// It failed.
    Failed,
    /// It never ran, or its failure counts as that.
    Skipped,
    /// It was stopped while it ran.
    Cancelled,
}

impl NodeStatus {
    /// Whether nothing will happen to the node any more.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Queued | Self::Running)
    }
}

/// Why a node was skipped or cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipCause {
    /// What kind of cause.
    pub kind: SkipKind,
    /// The node where it began; the node itself if its own failure made it skipped.
    pub origin: Name,
    /// The node before this one through which the cause came; equal to `origin` if it began there.
    pub from: Name,
}

/// The kinds of cause for which nodes are skipped or cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipKind {
    /// `origin` failed.
    Failed,
    /// `origin` failed and its `on_error` is `skip`.
    Error,
    /// A condition of an edge that leaves `origin` did not hold.
    NotChosen,
    /// `origin`, a join that takes the first result, had one.
    Lost,
    /// The graph ended: `origin` is the node whose failure ended it, or the node itself if it was stopped from outside.
    Ended,
}

impl SkipKind {
    /// Whether an error is at the bottom of it, and not a choice.
    pub fn is_error(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

impl fmt::Display for SkipCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        match self.kind {
            SkipKind::Failed => write!(f, "`{origin}` failed"),
            SkipKind::Error => write!(f, "`{origin}` failed and is skipped on errors"),
            SkipKind::NotChosen => write!(f, "a condition after `{origin}` did not hold"),
            SkipKind::Lost => write!(f, "`{origin}` had the first result already"),
            SkipKind::Ended => write!(f, "the graph ended at `{origin}`"),
        }
    }
}

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The node.
    pub name: Name,
    /// Where it stands.
    pub status: NodeStatus,
    /// How often its work was begun: copies, repetitions and retries included.
    pub attempts: u32,
    /// For copies: how many items there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u32>,
    /// For repetitions: how many times it ran, and whether the condition was met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
    /// From the first attempt's start to the last one's end.
    pub timing: Timing,
    /// From the moment when its inputs were there to its start, in milliseconds.
    pub waited_ms: u64,
    /// Tokens of the child runs.
    pub usage: Usage,
    /// Why it failed; also where its `on_error` made the failure count as something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<NodeFailure>,
    /// Why it was skipped or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<SkipCause>,
    /// Calls of its tool that were made, or refused, with arguments that a person put in the place of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<EditedCall>,
    /// Whether it is on the critical path.
    pub critical: bool,
}

/// A call of a node's tool whose arguments a person changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditedCall {
    /// For a copy: its item's place in the list, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// The arguments that the node would have called it with.
    pub asked: Map<String, Value>,
    /// The arguments of the person.
    pub arguments: Map<String, Value>,
}

/// What became of a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Repeated {
    /// How many times the node ran.
    pub times: u32,
    /// Whether its condition was met.
    pub met: bool,
}

/// A graph's run that has ended. As JSON it has the keys of the `ExecutionResult` that other DAG libraries return, and
/// more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphResult {
    /// The run.
    pub run: RunId,
    /// The graph's name.
    #[serde(rename = "dag_name")]
    pub graph: String,
    /// How it ended.
    pub status: GraphStatus,
    /// The number of nodes.
    pub total_nodes: usize,
    /// Those that completed.
    pub completed_nodes: usize,
    /// Those that failed.
    pub failed_nodes: usize,
    /// Those that were skipped or cancelled.
    pub skipped_nodes: usize,
    /// Seconds from start to end, to three decimals.
    pub execution_time_seconds: f64,
    /// The results of the nodes that completed, by name.
    pub node_results: Map<String, Value>,
    /// Why nodes failed, by name.
    pub errors: Map<String, Value>,
    /// The state at the end.
    pub final_state: Map<String, Value>,
    /// The output of the graph as a whole.
    pub output: Value,
    /// What made the graph fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<GraphFailure>,
    /// What became of each node, in the order in which they were added.
    pub nodes: Vec<NodeReport>,
    /// The chain of nodes that took the time: each began when the one before was done.
    pub critical_path: Vec<Name>,
    /// How long the nodes of the critical path ran, in seconds, to three decimals.
    pub critical_path_seconds: f64,
    /// Tokens of all child runs that ended; those of child runs that were stopped with the graph are not in it.
    pub usage: Usage,
    /// From the start to the end of the last effect.
    pub timing: Timing,
    /// The state with its history.
    #[serde(skip)]
    pub state: StateLog,
}

/// What made a graph fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphFailure {
    /// The node whose failure kept an end of the graph from completing; `None` if its output could not be made.
    pub node: Option<Name>,
    /// Why.
    #[serde(flatten)]
    pub failure: NodeFailure,
}

impl fmt::Display for GraphFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "node `{node}` failed: {}", self.failure),
            None => write!(f, "{}", self.failure),
        }
    }
}

impl GraphResult {
    /// Whether it ended without a failure that matters ([`GraphStatus::Success`] or [`GraphStatus::Partial`]).
    pub fn succeeded(&self) -> bool {
        matches!(self.status, GraphStatus::Success | GraphStatus::Partial)
    }

    /// What became of a node.
    pub fn node(&self, name: &str) -> Option<&NodeReport> {
        self.nodes.iter().find(|node| &*node.name == name)
    }
}
