//! Python as the core sees it: a program is fed to a session, which finishes or waits for tools.
//!
//! A session is the namespace of one run. Between two effects it is either *saved* (bytes that any worker
//! can restore) or *held* by the sandbox under the run's key while its program waits for tools. The run
//! always keeps the last saved state, so that a lost session can be rebuilt from it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::message::Blob;
use crate::tool::ToolFailure;

/// What a sandbox is asked to do next with a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CodeRequest {
    /// Run a program in the session.
    Start {
        /// The program.
        code: String,
        /// The session's last saved state; `None` for a new session.
        session: Option<Blob>,
        /// Variables that are set before the program runs, by name.
        #[serde(default, skip_serializing_if = "no_variables")]
        variables: Arc<Map<String, Value>>,
    },
    /// Go on with a program that waits for tools.
    Resume {
        /// Results of calls that the program made and has not been given yet, in the order in which they
        /// were settled.
        results: Vec<CallResult>,
    },
}

impl CodeRequest {
    /// Runs a program without setting variables.
    pub fn start(code: impl Into<String>, session: Option<Blob>) -> Self {
        Self::Start { code: code.into(), session, variables: Arc::default() }
    }
}

pub(crate) fn no_variables(variables: &Map<String, Value>) -> bool {
    variables.is_empty()
}

/// The result of a call that a program made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    /// The call: see [`CodeCall::index`].
    pub index: u32,
    /// What it gave. A failure is raised in the program as an exception with its message.
    pub result: Result<Value, ToolFailure>,
}

/// A tool call that a program made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CodeCall {
    /// The number of the call within the program, from 0, in the order in which the program made them.
    pub index: u32,
    /// The tool's name.
    pub name: String,
    /// The arguments by name: positional ones are bound to the tool's parameters in order.
    pub arguments: Map<String, Value>,
}

/// What came of a [`CodeRequest`].
#[expect(clippy::large_enum_variant, reason = "outcomes are few and short-lived; a box would cost each one")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CodeOutcome {
    /// The program waits for tools; the sandbox holds the session.
    Waiting {
        /// Calls made since the last outcome; all of them can be performed at once.
        calls: Vec<CodeCall>,
        /// The calls of which at least one must be settled before the program can go on (indices of this
        /// outcome's calls or of earlier ones).
        awaiting: Vec<u32>,
    },
    /// The program ended: it is done, it failed, it gave the final answer, or it was stopped.
    Ended(CodeEnd),
    /// The sandbox does not hold the session (any more): a worker died, or the run was left. The
    /// program has to be run again from the last saved state.
    Lost {
        /// What happened, for the log.
        reason: String,
        /// The run itself was left and is gone on with, after a crash or an answer: no fault of the program, so that it
        /// may happen any number of times.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        left: bool,
    },
}

impl CodeOutcome {
    /// The sandbox lost the session.
    pub fn lost(reason: impl Into<String>) -> Self {
        Self::Lost { reason: reason.into(), left: false }
    }
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CodeEnd {
    /// What it printed since it started, at most as much as the limits allow.
    pub stdout: String,
    /// The value of its last expression; `None` if that was a statement or `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<CodeValue>,
    /// What it passed to `final_answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<CodeValue>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CodeError>,
    /// The session's state afterwards; `None` if it could not be saved: then the last saved state stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Blob>,
}

/// A Python value on its way out of the sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CodeValue {
    /// The value as JSON: tuples and sets as arrays, keys as texts, what has no JSON form as its `repr`.
    pub json: Value,
    /// Its `repr`, as CPython writes it.
    pub repr: String,
}

/// Why a program failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct CodeError {
    /// The exception's class name (`ZeroDivisionError`), or one of Martlet's own for limits
    /// (`TimeoutError`, `MemoryError`, `WorkerCrashed`).
    pub kind: String,
    /// The exception's text, and what to do instead where Martlet knows.
    pub message: String,
    /// The line of the program, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The text of that line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_line: Option<String>,
}

/// How far a program may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodeLimits {
    /// The time that a program may compute between its start and its end, in milliseconds; waiting for tools
    /// does not count. Default: 30,000.
    pub time_ms: u64,
    /// The memory of a session, in bytes. Default: 256 MiB.
    pub memory_bytes: u64,
    /// The depth of Python calls. Default: 1,000.
    pub recursion: u32,
    /// The characters that a program may print; what is more is dropped, with a mark. Default: 50,000.
    pub output_chars: usize,
    /// The tool calls that one program may make. Default: 1,000.
    pub calls: u32,
    /// The bytes of a program's source. Default: 64 KiB.
    pub source_bytes: usize,
}

impl Default for CodeLimits {
    fn default() -> Self {
        Self {
            time_ms: 30_000,
            memory_bytes: 256 << 20,
            recursion: 1_000,
            output_chars: 50_000,
            calls: 1_000,
            source_bytes: 64 << 10,
        }
    }
}
