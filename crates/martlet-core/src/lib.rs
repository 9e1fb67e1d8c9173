//! The sans-IO heart of Martlet.
//!
//! An [`AgentSpec`] says what an agent is; a [`Run`] is one task in progress. A run never awaits, never
//! reads a clock and never opens a socket: it says which [`Effect`]s it needs, somebody performs them and
//! settles their [`Outcome`]s. The same outcomes in the same order always give the same run, and a run can
//! be serialised between any two of them.

pub mod code;
pub mod id;
pub mod message;
pub mod model;
pub mod schema;
pub mod tool;

pub use code::{CodeLimits, CodeOutcome, CodeRequest};
pub use id::{EffectId, RunId};
pub use message::{Blob, Message, Part, Role, Source};
pub use model::{
    Delta, FinishReason, ModelFailure, ModelFailureKind, ModelOptions, ModelProfile, ModelReply, ModelRequest,
    ResponseFormat, ToolChoice, Usage,
};
pub use tool::{Arguments, ToolCall, ToolFailure, ToolFailureKind, ToolFlags, ToolOutput, ToolSpec};
