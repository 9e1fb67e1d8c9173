//! What can go wrong with graphs for the caller.

use martlet_core::graph::{ExpressionError, GraphError, GraphFailure};
use martlet_core::{GraphResult, HostFailure};
use martlet_store::StoreError;
use martlet_tools::ToolboxError;

use crate::blocking::BlockingError;
use crate::driver::DriveError;

/// Why a graph could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphBuildError {
    /// The nodes and edges do not make a graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A tool cannot be a node.
    #[error("node `{node}`: {error}")]
    Tool {
        /// The node.
        node: String,
        /// Why.
        #[source]
        error: ToolboxError,
    },
    /// An expression cannot be read.
    #[error("{place}: {error}")]
    Expression {
        /// Where it stands.
        place: String,
        /// Why.
        #[source]
        error: ExpressionError,
    },
}

/// Why the run of a graph has no result of its own.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum GraphRunError {
    /// A node failed and kept an end of the graph from completing, or the output could not be made.
    #[error("the graph failed: {failure}")]
    Failed {
        /// Which node, and why.
        failure: GraphFailure,
        /// The run as far as it came.
        result: Box<GraphResult>,
    },
    /// The input is none that a graph can begin with.
    #[error(
        "the input of a graph is a JSON object, the values with which its state begins, and not {0}: give \
         `json!({{\"name\": value}})`"
    )]
    Input(String),
    /// The run could not be recorded, so it was not continued.
    #[error("the run could not be recorded: {0}")]
    Journal(#[from] StoreError),
    /// The journal holds no such run, or one that cannot be gone on with.
    #[error("the run cannot be resumed: {0}")]
    Resume(String),
    /// The run only waits for people, and was given up as [`park`](crate::GraphRequest::park) asks. Its records hold
    /// all of it: resume it when the answer is there.
    #[error("the run waits for a person: resume it when the answer is there")]
    Parked,
    /// The machine could not perform an effect at all.
    #[error("the run could not go on: {0}")]
    Host(#[source] HostFailure),
    /// [`GraphRequest::blocking`](crate::GraphRequest::blocking) was called from async code.
    #[error("`blocking` was called from async code, where it would stop the thread: use `.await` there")]
    BlockingInAsync,
    /// No runtime could be started for [`GraphRequest::blocking`](crate::GraphRequest::blocking).
    #[error("no runtime could be started: {0}")]
    Runtime(#[source] std::io::Error),
    /// The task that drove the run is gone: its runtime was shut down, or something panicked in it.
    #[error("the task that drove the run ended early: its runtime was shut down, or an approver panicked")]
    DriverGone,
}

impl GraphRunError {
    /// The run as far as it came, if there is something.
    pub fn result(&self) -> Option<&GraphResult> {
        match self {
            Self::Failed { result, .. } => Some(result),
            _ => None,
        }
    }
}

impl std::fmt::Debug for GraphRunError {
    /// Leaves the run itself out: an error that ends `main` is printed this way, and a state is no message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed { failure, result } => f
                .debug_struct("Failed")
                .field("failure", failure)
                .field("run", &result.run)
                .finish_non_exhaustive(),
            Self::Input(problem) => f.debug_tuple("Input").field(problem).finish(),
            Self::Journal(error) => f.debug_tuple("Journal").field(error).finish(),
            Self::Resume(problem) => f.debug_tuple("Resume").field(problem).finish(),
            Self::Host(failure) => f.debug_tuple("Host").field(failure).finish(),
            Self::Parked => f.write_str("Parked"),
            Self::BlockingInAsync => f.write_str("BlockingInAsync"),
            Self::Runtime(error) => f.debug_tuple("Runtime").field(error).finish(),
            Self::DriverGone => f.write_str("DriverGone"),
        }
    }
}

impl From<DriveError> for GraphRunError {
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

impl From<BlockingError> for GraphRunError {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::InAsync => Self::BlockingInAsync,
            BlockingError::Runtime(error) => Self::Runtime(error),
        }
    }
}
