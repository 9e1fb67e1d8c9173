//! Tools for Martlet agents: what a model can do besides talking.
//!
//! A [`Tool`] is an async function with a JSON Schema. `#[tool]` makes one from a documented function, [`tool_fn`]
//! from a closure. A [`Toolbox`] is a named set of them; [`Toolbox::call`] is the one path that every call takes,
//! whoever makes it. A mistake that the model can fix is a [`ToolFailure`]: data for the model, which goes on.

mod activity;
mod adjusted;
mod arguments;
mod ask_user;
mod context;
mod error;
mod final_answer;
mod fn_tool;
mod python;
mod schema;
mod tool;
mod toolbox;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use activity::{Activity, Paused, WaitingForPerson, Work, WorkHandle};
pub use adjusted::{Adjusted, ToolExt};
pub use ask_user::{AskUser, Asker, TerminalAsker};
pub use context::ToolContext;
pub use error::ToolError;
pub use final_answer::FinalAnswer;
pub use fn_tool::{FnTool, tool_fn};
pub use martlet_core::{Part, ToolFailure, ToolFailureKind, ToolFlags, ToolOutput, ToolSpec};
pub use python::PythonTool;
pub use schema::schema_of;
pub use tool::Tool;
pub use toolbox::{Toolbox, ToolboxError};
