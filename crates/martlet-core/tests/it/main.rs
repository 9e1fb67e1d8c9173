//! The run, driven without tokio: scenarios, prompts, and properties over random orders of outcomes.

mod code;
mod prompts;
mod properties;
mod support;
mod tool_calling;
