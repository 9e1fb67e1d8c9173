//! Tools for Martlet agents: what a model can do besides talking.
//!
//! A [`Tool`] is an async function with a JSON Schema. `#[tool]` makes one from a documented function, [`tool_fn`]
//! from a closure. A [`Toolbox`] is a named set of them; [`Toolbox::call`] is the one path that every call takes,
//! whoever makes it. A mistake that the model can fix is a [`ToolFailure`]: data for the model, which goes on.

mod activity;
mod adjusted;
mod arguments;
mod ask_user;
mod blocking;
mod context;
#[cfg(feature = "documents")]
pub mod documents;
mod encoding;
mod error;
mod files;
mod final_answer;
mod fn_tool;
#[cfg(feature = "web")]
mod picture;
mod python;
mod read_file;
mod schema;
mod tool;
mod toolbox;
#[cfg(feature = "web")]
pub mod web;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use activity::{Activity, Paused, WaitingForPerson, Work, WorkHandle};
pub use adjusted::{Adjusted, ToolExt};
pub use ask_user::{AskUser, Asker, TerminalAsker};
pub use context::ToolContext;
pub use error::ToolError;
pub use files::{File, Files};
pub use final_answer::FinalAnswer;
pub use fn_tool::{FnTool, tool_fn};
pub use martlet_core::{Part, ToolFailure, ToolFailureKind, ToolFlags, ToolOutput, ToolSpec};
pub use python::PythonTool;
pub use read_file::ReadFile;
pub use schema::schema_of;
pub use tool::Tool;
pub use toolbox::{Toolbox, ToolboxError};
