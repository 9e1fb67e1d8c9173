//! The run, driven without tokio: scenarios, prompts, and properties over random orders of outcomes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod approvals;
mod code;
mod golden;
mod graph_approvals;
mod graph_build;
mod graph_pictures;
mod graph_properties;
mod graph_run;
mod graph_values;
mod managed;
mod memory;
mod policies;
mod prompts;
mod properties;
mod reasoning;
mod reasoning_replies;
mod simulate;
mod support;
mod tool_calling;
mod variables;
