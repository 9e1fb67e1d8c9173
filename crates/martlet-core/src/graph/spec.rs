//! What a graph is: nodes, edges, and the rules by which they are run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::reducer::Reducer;
use crate::approval::ApprovalPolicy;
use crate::model::ModelFailureKind;
use crate::tool::ToolSpec;

/// Everything that can be set of a graph. [`GraphSpec::new`](super::GraphSpec::new) checks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GraphSettings {
    /// Its name, for people and for other agents.
    pub name: String,
    /// What it does, for people and for other agents.
    pub description: String,
    /// The nodes, in the order in which they were added; of those that could start, the earlier one starts first.
    pub nodes: Vec<NodeSpec>,
    /// The edges.
    pub edges: Vec<EdgeSpec>,
    /// How a new value of a state key is joined with the one that is there. Keys without one are overwritten.
    pub reducers: BTreeMap<String, Reducer>,
    /// How many nodes run at once, and what a failure does.
    pub limits: GraphLimits,
    /// An expression on the final state that gives the output of the graph where it is a node or a tool. Default: the
    /// result of the node without outbound edges that completed, or an object of the results by name where there are
    /// several.
    pub output: Option<Expression>,
    /// Which calls of tool nodes need a person. Default: those of tools that say so themselves.
    #[serde(skip_serializing_if = "ApprovalPolicy::is_empty")]
    pub approvals: ApprovalPolicy,
}

impl Default for GraphSettings {
    fn default() -> Self {
        Self {
            name: "graph".into(),
            description: String::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            reducers: BTreeMap::new(),
            limits: GraphLimits::default(),
            output: None,
            approvals: ApprovalPolicy::default(),
        }
    }
}

/// How a graph is run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GraphLimits {
    /// Nodes, and copies of nodes, that run at the same time; at least 1. Default: no limit.
    pub max_parallel: Option<usize>,
    /// The same for the nodes of a class ([`NodeSpec::class`]).
    pub classes: BTreeMap<String, usize>,
    /// What the failure of a node does to the others.
    pub on_failure: OnFailure,
    /// Tokens that all model calls in the graph may read and write together. Default: no limit.
    pub max_tokens: Option<u64>,
}

/// What the failure of a node does to the nodes that do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// They are cancelled, and the graph ends, as soon as the failure keeps an end of the graph, a node that nothing
    /// follows, from completing. A failure that a join can do without ends nothing.
    #[default]
    FailFast,
    /// They are finished.
    Finish,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Its name, unique in the graph.
    pub name: String,
    /// What it does, for people.
    #[serde(default)]
    pub description: String,
    /// Who does it.
    pub work: Work,
    /// What it is given: names and the expressions on the state that give their values; those of a copy find its item,
    /// too. Default: for a function the whole state; for an agent or a graph the input of the graph and the results of
    /// the nodes above it; for a tool those of its parameters that are keys of the state.
    #[serde(default)]
    pub input_mapping: Option<BTreeMap<String, Expression>>,
    /// For an agent: the task, as a template in which the values of the input and of the state are variables. Default:
    /// see [`task_text`](super::task_text).
    #[serde(default)]
    pub prompt: Option<String>,
    /// The state key that its result is written to. Default: its name.
    #[serde(default)]
    pub output_key: Option<String>,
    /// When it starts. Default: [`Join::All`], or [`Join::AllTaken`] where it depends on conditions whether all edges
    /// are taken.
    #[serde(default)]
    pub join: Option<Join>,
    /// It is meant that some choice of branches reaches the node and yet does not complete its join; it is skipped
    /// then. Without this, such a join is refused.
    #[serde(default)]
    pub may_skip: bool,
    /// Whether a failure is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// How long one attempt may take, in milliseconds; then it is cancelled. That a tool node waits for a person does
    /// not count; that somebody inside of an agent or a graph waits for one does. Default: no limit.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// What a failure means, when it is not tried again.
    #[serde(default)]
    pub on_error: OnError,
    /// A class of nodes that share a limit ([`GraphLimits::classes`]).
    #[serde(default)]
    pub class: Option<String>,
    /// Copies of the node, one for each item of a list.
    #[serde(default)]
    pub for_each: Option<ForEach>,
    /// Repeats the node.
    #[serde(default)]
    pub repeat: Option<Repeat>,
}

impl NodeSpec {
    /// A node with nothing set.
    pub fn new(name: impl Into<String>, work: Work) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            work,
            input_mapping: None,
            prompt: None,
            output_key: None,
            join: None,
            may_skip: false,
            retry: Retry::default(),
            timeout_ms: None,
            on_error: OnError::default(),
            class: None,
            for_each: None,
            repeat: None,
        }
    }

    /// The state key that its result is written to.
    pub fn output_key(&self) -> &str {
        self.output_key.as_deref().unwrap_or(&self.name)
    }
}

/// Who does the work of a node.
#[expect(
    clippy::large_enum_variant,
    reason = "a node is large already, and nodes are few next to their results"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Work {
    /// An agent, which the host holds under the node's name: a child run.
    Agent,
    /// A graph, which the host holds under the node's name: a child run.
    Graph,
    /// A function of the host, which it holds under the node's name.
    Function,
    /// A tool, called with the input as its arguments.
    Tool {
        /// The tool.
        spec: ToolSpec,
    },
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeSpec {
    /// The node that it leaves.
    pub from: String,
    /// The node that it leads to.
    pub to: String,
    /// When it is taken.
    #[serde(default)]
    pub when: When,
}

/// When an edge is taken, once its node has completed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Always.
    #[default]
    Always,
    /// If the condition holds.
    If(Condition),
    /// If the condition holds and that of no earlier `Case` of the same node does.
    Case(Condition),
    /// If no `Case` of the same node is taken.
    Otherwise,
}

/// A condition on the state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// An expression without side effects.
    Expression(Expression),
    /// A function of the host, which is asked by [`Effect::Decide`](crate::Effect::Decide).
    Host,
}

/// When a node starts: how many of its inbound edges have to be taken. The table in [`crate::graph`] says what follows
/// from each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// All.
    All,
    /// One; the others are not waited for.
    Any,
    /// So many; the others are not waited for.
    NOf(u32),
    /// Every edge that is taken, at least one: edges that are not chosen are not waited for.
    AllTaken,
    /// One; what runs for the other edges alone is cancelled.
    FirstOk,
}

/// What a failure of a node means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The node failed: see [`OnFailure`].
    #[default]
    Fail,
    /// The node counts as one that was not chosen. A copy of a [`ForEach`] is left out of the list.
    Skip,
    /// The node counts as completed with `null`, which is written to the state. A copy of a [`ForEach`] gives `null`.
    Continue,
}

/// How a failure is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How many times more. Default: 0.
    pub count: u32,
    /// The wait before the first of them, in milliseconds. Default: 500.
    pub backoff_ms: u64,
    /// By how much each wait is longer than the one before. Default: 2.
    pub factor: f64,
    /// The longest wait, in milliseconds. Default: 30,000.
    pub max_backoff_ms: u64,
    /// The failures that are tried again. Default: those that may be gone the next time: `failed`, `timed_out`,
    /// `unavailable`.
    pub on: Vec<NodeFailureKind>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            count: 0,
            backoff_ms: 500,
            factor: 2.0,
            max_backoff_ms: 30_000,
            on: vec![NodeFailureKind::Failed, NodeFailureKind::TimedOut, NodeFailureKind::Unavailable],
        }
    }
}

impl Retry {
    /// The wait after the attempt of that number (from 1) failed, in milliseconds.
    pub fn wait_ms(&self, attempt: u32) -> u64 {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let factor = self.factor.powi(exponent);
        let wait = Duration::from_millis(self.backoff_ms).as_secs_f64() * factor * 1_000.0;
        if wait.is_finite() && wait < Duration::from_millis(self.max_backoff_ms).as_secs_f64() * 1_000.0 {
            Duration::try_from_secs_f64(wait / 1_000.0)
                .map_or(self.max_backoff_ms, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
        } else {
            self.max_backoff_ms
        }
    }
}

/// Copies of a node, one for each item of a list. The node's result is the list of theirs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForEach {
    /// The list: an expression on the state.
    pub over: Expression,
    /// The name under which a copy finds its item in its input. Default: `item`.
    #[serde(default = "item")]
    pub name: String,
    /// How many copies run at the same time, at least 1. Default: 16.
    #[serde(default = "sixteen")]
    pub max_parallel: usize,
    /// The order of the results.
    #[serde(default)]
    pub order: ForEachOrder,
}

fn item() -> String {
    "item".into()
}

fn sixteen() -> usize {
    16
}

impl ForEach {
    /// One copy for each item of the list that `over` gives, with the defaults.
    pub fn new(over: Expression) -> Self {
        Self { over, name: item(), max_parallel: sixteen(), order: ForEachOrder::default() }
    }
}

/// The order of the results of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForEachOrder {
    /// That of the items.
    #[default]
    Items,
    /// That in which the copies were done.
    Finished,
}

/// Repeats a node: after each time its result is in the state, where the next time finds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// Ends the repetition once it holds. It sees the state with the new result.
    pub until: Condition,
    /// The most times, at least 1.
    pub max: u32,
    /// What it means when the condition does not hold after the last time.
    #[serde(default)]
    pub at_max: AtMax,
}

/// What it means when a repetition is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtMax {
    /// The last result counts; the node's report says that the condition was not met.
    #[default]
    Complete,
    /// The node failed.
    Fail,
}

/// Why a node failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct NodeFailure {
    /// What kind of failure.
    pub kind: NodeFailureKind,
    /// What happened and what to do about it.
    pub message: String,
    /// For an agent that failed because its model gave no reply: why it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelFailureKind>,
}

impl NodeFailure {
    /// A failure of that kind.
    pub fn new(kind: NodeFailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), model: None }
    }
}

/// The kinds of failure of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeFailureKind {
    /// The function, tool, agent or graph reported a failure.
    Failed,
    /// An attempt took longer than it may.
    TimedOut,
    /// A service that it needs cannot be reached or is overloaded.
    Unavailable,
    /// Its input could not be made: a key that is not there, an expression or a template that fails, arguments that do
    /// not fit.
    Input,
    /// A person refused it.
    Denied,
    /// The condition of an edge that leads to it, or its own, could not be evaluated.
    Condition,
    /// A limit of the whole run was reached: tokens, depth.
    Limit,
    /// The machine could not perform it.
    Host,
}

/// A name that is shared by many records.
pub(crate) type Name = Arc<str>;
