//! What a reasoning agent leaves behind in its steps: plans, tasks, completion checks.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::effect::Timing;
use crate::model::ModelReply;

/// What a reasoning call gave, without its tasks: those are in [`Step::tasks`](crate::Step::tasks).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// Whether what is known suffices to do the task.
    pub has_sufficient_info: bool,
    /// Why the plan is as it is.
    pub reasoning: String,
}

/// A task of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PlannedTask {
    /// What is to be done.
    pub description: String,
    /// The tool that does it; without one the model does it in words.
    pub tool_name: Option<String>,
    /// The numbers of the tasks, from 1, whose results it needs.
    pub depends_on: Vec<u32>,
    /// Whether it is a question to the user.
    pub requires_user_input: bool,
}

/// A task of a plan and what came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskRecord {
    /// Its number in the plan, from 1.
    pub number: u32,
    /// The task.
    #[serde(flatten)]
    pub task: PlannedTask,
    /// Where it stands.
    pub status: TaskStatus,
    /// Its result.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "crate::step::present")]
    pub result: Option<Value>,
    /// Why it failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The place of its tool call in [`Step::calls`](crate::Step::calls).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<usize>,
    /// Time, from its first effect's start to its last one's end.
    pub timing: Timing,
}

/// Where a task of a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskStatus {
    /// It was not begun.
    #[default]
    Pending,
    /// It is being done.
    Running,
    /// It has a result.
    Completed,
    /// It failed.
    Failed,
    /// A task on which it depends failed.
    Skipped,
}

/// What a completion check says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CompletionCheck {
    /// Whether the whole task is done.
    pub is_complete: bool,
    /// Why.
    pub reasoning: String,
    /// What is missing.
    pub missing_steps: Vec<String>,
    /// What to do next.
    pub next_action: String,
}

/// What a model call of a reasoning agent was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplyFor {
    /// The plan.
    Plan,
    /// The arguments of a task's tool.
    Arguments {
        /// The task's number, from 1.
        task: u32,
    },
    /// A task without a tool.
    Response {
        /// The task's number, from 1.
        task: u32,
    },
    /// The completion check.
    Check,
    /// The answer.
    Answer,
}

/// A reply of the model within a step of a reasoning agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplyRecord {
    /// What it was for.
    #[serde(flatten)]
    pub purpose: ReplyFor,
    /// The reply.
    pub reply: ModelReply,
    /// What was wrong with it: the model was told, and asked again, or a task failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Time.
    pub timing: Timing,
}
