//! What a run asks for, and what comes of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::code::{CodeOutcome, CodeRequest};
use crate::graph::{NodeFailure, NodeInput, State};
use crate::id::{EffectId, RunId};
use crate::model::{ModelFailure, ModelReply, ModelRequest, Usage};
use crate::tool::{ToolFailure, ToolOutput};

/// Something that a run needs done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// Ask the model.
    Model {
        /// What to ask.
        request: ModelRequest,
    },
    /// Call a tool. The arguments fit its schema.
    Tool {
        /// The tool.
        name: String,
        /// The arguments.
        arguments: Map<String, Value>,
    },
    /// Ask a person whether a tool may be called.
    Approve {
        /// The tool.
        name: String,
        /// The arguments.
        arguments: Map<String, Value>,
    },
    /// Run Python, or go on with it.
    Code {
        /// What to do with the session.
        request: CodeRequest,
    },
    /// Let the host check an answer.
    Check {
        /// The answer.
        answer: Value,
    },
    /// Do a run of an agent or a graph that the host holds.
    Child {
        /// The name under which the host holds it: of the managed agent, or of the node.
        name: String,
        /// What it is given. An agent's task is made of it by [`task_text`](crate::graph::task_text).
        input: Value,
    },
    /// Call a function that the host holds for a node.
    Function {
        /// The node.
        name: String,
        /// What it is given.
        input: NodeInput,
    },
    /// Evaluate a condition that the host holds.
    Decide {
        /// Which one.
        condition: ConditionOf,
        /// The state.
        state: State,
    },
    /// Let time pass.
    Wait {
        /// How long, in milliseconds.
        ms: u64,
    },
}

/// Which condition of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum ConditionOf {
    /// That of an edge.
    Edge {
        /// The node that the edge leaves.
        from: String,
        /// The node that it leads to.
        to: String,
    },
    /// That which ends a repetition.
    Until {
        /// The node.
        node: String,
    },
}

/// What came of an [`Effect`], of the same kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The model's reply, or why there is none, after all retries.
    Model {
        /// The reply.
        result: Result<ModelReply, ModelFailure>,
    },
    /// The tool's output, or why there is none.
    Tool {
        /// The output.
        result: Result<ToolOutput, ToolFailure>,
    },
    /// The decision.
    Approve {
        /// What was decided.
        decision: Decision,
    },
    /// What came of the Python.
    Code {
        /// The outcome, or the fault of the host that keeps Python from running at all.
        result: Result<CodeOutcome, HostFailure>,
    },
    /// What the host's checks say.
    Check {
        /// What is wrong with the answer, for the model.
        problem: Option<String>,
    },
    /// What came of the child run.
    Child {
        /// How it ended.
        end: ChildEnd,
    },
    /// What the function returned.
    Function {
        /// The result, or why there is none.
        result: Result<Value, NodeFailure>,
    },
    /// What the condition says.
    Decide {
        /// Whether it holds, or why that cannot be told.
        result: Result<bool, String>,
    },
    /// The time has passed.
    Wait,
    /// The effect was stopped at its time limit ([`Machine::time_limit`](crate::Machine::time_limit)).
    TimedOut {
        /// The limit, in milliseconds.
        limit_ms: u64,
    },
}

/// How a child run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildEnd {
    /// The child run.
    pub run: RunId,
    /// Its output, or why there is none.
    pub result: Result<Value, NodeFailure>,
    /// The tokens of all model calls in it.
    pub usage: Usage,
}

/// A person's decision on a tool call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Decision {
    /// The call may be performed.
    Approved,
    /// The call is to be performed with other arguments. The model is told so.
    Edited {
        /// All its arguments. They are checked as those of the model were.
        arguments: Map<String, Value>,
    },
    /// It may not.
    Denied {
        /// Why, for the model.
        reason: String,
    },
}

/// A fault of the machine that performs effects. It ends the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct HostFailure {
    /// What happened and what to do about it.
    pub message: String,
}

/// When something was done. Times come with outcomes: a run reads no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timing {
    /// The start, in milliseconds since 1970-01-01 UTC.
    pub started_ms: u64,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
}

impl Timing {
    /// The end, in milliseconds since 1970-01-01 UTC.
    pub fn ended_ms(&self) -> u64 {
        self.started_ms.saturating_add(self.elapsed_us / 1_000)
    }

    /// The shortest time that contains both.
    pub fn spanning(&self, other: &Timing) -> Timing {
        if self.started_ms == 0 {
            return *other;
        }
        let started_ms = self.started_ms.min(other.started_ms);
        let end_us = |timing: &Timing| {
            (timing.started_ms - started_ms).saturating_mul(1_000).saturating_add(timing.elapsed_us)
        };
        Timing { started_ms, elapsed_us: end_us(self).max(end_us(other)) }
    }
}

/// An outcome on its way into a run, and into its journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settlement {
    /// The effect.
    pub id: EffectId,
    /// What came of it.
    pub outcome: Outcome,
    /// When it was performed.
    pub timing: Timing,
}
