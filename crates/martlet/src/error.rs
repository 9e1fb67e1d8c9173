//! What can go wrong for the caller.

use martlet_core::{HostFailure, InputError, RunFailure, RunResult, SpecError};
use martlet_store::StoreError;
use martlet_tools::ToolboxError;

use crate::blocking::BlockingError;
use crate::driver::DriveError;

/// Why an agent could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The settings contradict each other or a template fails.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A tool cannot be added.
    #[error(transparent)]
    Tool(#[from] ToolboxError),
    /// Python cannot be set up as asked.
    #[error(transparent)]
    Sandbox(#[from] martlet_sandbox::SandboxError),
}

/// Why a run has no result of its own. Mistakes that the model can mend are no reason: the model is told of them.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The model could not be reached, or the machine could not perform an effect.
    #[error("the run failed: {failure}")]
    Failed {
        /// Why.
        #[source]
        failure: RunFailure,
        /// The run as far as it came.
        result: Box<RunResult>,
    },
    /// The input does not satisfy the agent's input schema. Nothing was begun.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The run could not be recorded, so it was not continued.
    #[error("the run could not be recorded: {0}")]
    Journal(#[from] StoreError),
    /// The journal holds no such run, or one that cannot be read.
    #[error("the run cannot be resumed: {0}")]
    Resume(String),
    /// The run only waits for people, and was given up as [`park`](crate::RunRequest::park) asks. Its records hold
    /// all of it: resume it when the answer is there.
    #[error("the run waits for a person: resume it when the answer is there")]
    Parked,
    /// The machine could not perform an effect at all.
    #[error("the run could not go on: {0}")]
    Host(#[source] HostFailure),
    /// A variable of the task has a name that programs cannot use.
    #[error("the variable `{name}` cannot be given to programs: {problem}")]
    Variable {
        /// The name.
        name: String,
        /// What to do about it.
        problem: String,
    },
    /// [`RunRequest::blocking`](crate::RunRequest::blocking) was called from async code.
    #[error("`blocking` was called from async code, where it would stop the thread: use `.await` there")]
    BlockingInAsync,
    /// No runtime could be started for [`RunRequest::blocking`](crate::RunRequest::blocking).
    #[error("no runtime could be started: {0}")]
    Runtime(#[source] std::io::Error),
    /// The task that drove the run is gone: its runtime was shut down, or a model or tool panicked in it.
    #[error("the task that drove the run ended early: its runtime was shut down, or a model panicked")]
    DriverGone,
}

impl std::fmt::Debug for RunError {
    /// Leaves the run itself out: an error that ends `main` is printed this way, and a conversation is no message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed { failure, result } => f
                .debug_struct("Failed")
                .field("failure", failure)
                .field("run", &result.run)
                .field("steps", &result.steps.len())
                .finish_non_exhaustive(),
            Self::Input(error) => f.debug_tuple("Input").field(error).finish(),
            Self::Journal(error) => f.debug_tuple("Journal").field(error).finish(),
            Self::Resume(problem) => f.debug_tuple("Resume").field(problem).finish(),
            Self::Host(failure) => f.debug_tuple("Host").field(failure).finish(),
            Self::Variable { name, problem } => {
                f.debug_struct("Variable").field("name", name).field("problem", problem).finish()
            }
            Self::Parked => f.write_str("Parked"),
            Self::BlockingInAsync => f.write_str("BlockingInAsync"),
            Self::Runtime(error) => f.debug_tuple("Runtime").field(error).finish(),
            Self::DriverGone => f.write_str("DriverGone"),
        }
    }
}

impl RunError {
    /// The run as far as it came, if there is something.
    pub fn result(&self) -> Option<&RunResult> {
        match self {
            Self::Failed { result, .. } => Some(result),
            _ => None,
        }
    }
}

impl From<DriveError> for RunError {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::Journal(error) => Self::Journal(error),
            DriveError::Unreadable(problem) => Self::Resume(problem),
            DriveError::Host(failure) => Self::Host(failure),
            DriveError::Stuck => Self::DriverGone,
            DriveError::Parked => Self::Parked,
        }
    }
}

impl From<BlockingError> for RunError {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::InAsync => Self::BlockingInAsync,
            BlockingError::Runtime(error) => Self::Runtime(error),
        }
    }
}
