//! What a run leaves behind: its steps and its result.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::code::{CodeError, CodeValue};
use crate::effect::Timing;
use crate::id::RunId;
use crate::message::{Blob, Message};
use crate::model::{ModelFailure, ModelReply, Usage};
use crate::reasoning::{CompletionCheck, Plan, ReplyRecord, TaskRecord};
use crate::text::cut_middle;
use crate::tool::{Arguments, ToolCall, ToolFailure, ToolOutput, display_value};

/// One turn of a run: a model's reply, the actions that it asked for, their observations.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Its number, from 1.
    pub number: u32,
    /// Whether it was the last call for an answer, after the steps were used up.
    pub last_call: bool,
    /// The model's reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<ModelReply>,
    /// The reply's text without the program.
    pub thought: String,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Arc<str>>,
    /// What the program printed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// The value of the program's last expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<CodeValue>,
    /// The tool calls, in the order in which they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallRecord>,
    /// What a reasoning agent planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The tasks of the plan, and what came of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskRecord>,
    /// What a reasoning agent's completion check says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CompletionCheck>,
    /// The replies of a reasoning agent's model, in the order in which they came; [`reply`](Self::reply) is empty then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<ReplyRecord>,
    /// What the model was shown of all this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observation: Option<Arc<str>>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// The answer that the step gave, whether or not it was accepted.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub answer: Option<Value>,
    /// Tokens.
    pub usage: Usage,
    /// Time, from the first effect's start to the last one's end.
    pub timing: Timing,
}

/// Reads a value that is there, be it `null`: without it, a result `null` would be read back as none.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A tool call and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The call, with the arguments that were used.
    pub call: ToolCall,
    /// The arguments that the model had asked for, where a person put others in their place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Map<String, Value>>,
    /// Its result; `None` if the step ended before it was there.
    pub result: Option<Result<ToolOutput, ToolFailure>>,
    /// Time.
    pub timing: Timing,
}

impl CallRecord {
    pub(crate) fn new(call: ToolCall) -> Self {
        Self { call, asked: None, result: None, timing: Timing::default() }
    }

    /// Whether the model asked for a call of this tool with these arguments, whatever a person made of them.
    pub(crate) fn was_asked_as(&self, name: &str, arguments: &Map<String, Value>) -> bool {
        let asked = match (&self.asked, &self.call.arguments) {
            (Some(asked), _) | (None, Arguments::Object(asked)) => asked,
            (None, Arguments::Malformed(_)) => return false,
        };
        self.call.name == name && asked == arguments
    }

    /// What the model asked for.
    pub(crate) fn asked_arguments(&self) -> Arguments {
        self.asked.clone().map_or_else(|| self.call.arguments.clone(), Arguments::Object)
    }

    /// What the model has to be told where a person changed the arguments.
    pub(crate) fn edit_note(&self, limit: usize) -> Option<String> {
        let asked = Arguments::Object(self.asked.clone()?).to_json();
        let used = self.call.arguments.to_json();
        let (asked, used) = (cut_middle(&asked, limit), cut_middle(&used, limit));
        Some(format!("A person changed the arguments of `{}` from {asked} to {used}", self.call.name))
    }
}

/// What went wrong in a step. The model was told; the run went on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepError {
    /// The reply could not be read as an action.
    #[error("{message}")]
    Reply {
        /// What the model was told.
        message: String,
    },
    /// The program failed.
    #[error("{error}")]
    Code {
        /// How.
        error: CodeError,
    },
    /// All tool calls of the step failed.
    #[error("{message}")]
    Tools {
        /// The first failure.
        message: String,
    },
    /// The answer was not accepted.
    #[error("the answer was not accepted: {problem}")]
    Answer {
        /// Why.
        problem: String,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// With an answer.
    Succeeded,
    /// The steps were used up; the answer, if there is one, comes from the last call.
    StepLimit,
    /// The tokens were used up.
    TokenLimit,
    /// Its time was up.
    TimedOut,
    /// It was cancelled.
    Cancelled,
    /// Something failed that the model cannot mend.
    Failed,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunFailure {
    /// The model gave no reply.
    #[error("the model gave no reply: {0}")]
    Model(ModelFailure),
    /// Something is missing that only the user can give, and a text would be no answer by the agent's schema.
    #[error("{needed}")]
    Information {
        /// What the user is told.
        needed: String,
    },
    /// The machine could not perform an effect.
    #[error("{message}")]
    Host {
        /// What happened and what to do about it.
        message: String,
    },
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// The answer; `null` if there is none.
    pub output: Value,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RunFailure>,
    /// The task.
    pub task: Arc<str>,
    /// The steps.
    pub steps: Vec<Step>,
    /// Tokens of all model calls.
    pub usage: Usage,
    /// Time, from the start to the end of the last effect.
    pub timing: Timing,
    /// What was said, without the system prompt: the memory with which a next run can begin.
    #[serde(skip)]
    pub conversation: Vec<Message>,
    /// The state of the Python session, with which a next run can begin.
    #[serde(skip)]
    pub python: Option<Blob>,
}

impl RunResult {
    /// The answer as text: a text as it is, all else as JSON; empty if there is none.
    pub fn answer_text(&self) -> String {
        match &self.output {
            Value::Null => String::new(),
            value => display_value(value),
        }
    }

    /// The answer as a value of a Rust type, such as the one whose schema the agent's answers satisfy.
    ///
    /// # Errors
    /// If there is no answer, or the answer is of another form; a run that ended at a limit may have such a one.
    pub fn answer<T: DeserializeOwned>(&self) -> Result<T, AnswerError> {
        T::deserialize(&self.output)
            .map_err(|error| AnswerError { problem: error.to_string(), status: self.status })
    }

    /// Whether the run ended with an answer of its own.
    pub fn succeeded(&self) -> bool {
        self.status == RunStatus::Succeeded
    }
}

/// An answer that is not of the form that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer of the run, which ended as {status:?}, is not of the form that was asked for: {problem}")]
pub struct AnswerError {
    problem: String,
    status: RunStatus,
}
