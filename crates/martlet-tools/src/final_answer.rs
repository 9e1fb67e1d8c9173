//! `final_answer`: ends a run.

use futures::future::BoxFuture;
use martlet_core::tool::FINAL_ANSWER;
use martlet_core::{ToolFlags, ToolOutput, ToolSpec};
use serde_json::{Map, Value, json};

use crate::{Tool, ToolContext, ToolError};

/// The tool that ends a run with an answer: whatever it is given.
///
/// Every agent has it. An agent that is given another tool of this name uses that one: it may ask for a certain
/// shape, or check the answer and refuse it with an error that the model can act on.
#[derive(Debug, Clone)]
pub struct FinalAnswer {
    spec: ToolSpec,
}

impl FinalAnswer {
    /// The tool.
    pub fn new() -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {"answer": {"description": "The final answer to the task, of any type."}},
            "required": ["answer"],
            "additionalProperties": false,
        });
        let flags = ToolFlags { read_only: true, idempotent: true, ..ToolFlags::default() };
        let spec = ToolSpec::new(FINAL_ANSWER, "Gives the final answer to the task and ends it.")
            .parameters(parameters)
            .flags(flags);
        Self { spec }
    }
}

impl Default for FinalAnswer {
    fn default() -> Self {
        Self::new()
    }
}

impl Tool for FinalAnswer {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        mut arguments: Map<String, Value>,
        _cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        let answer = arguments.shift_remove("answer");
        Box::pin(async move {
            answer.map(ToolOutput::from).ok_or_else(|| ToolError::arguments("argument `answer` is missing"))
        })
    }
}
