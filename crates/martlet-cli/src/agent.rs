//! The agent that the arguments describe.

use martlet::{Agent, AgentBuilder, ModelOptions, ModelProfile, SharedModel};
use serde_json::Value;

use crate::args::{ActionType, AgentArgs, PromptSize};
use crate::exit::Failure;
use crate::tools;

/// Checks what can be checked without a model, so that nothing is fetched for arguments that are wrong.
pub(crate) fn check(args: &AgentArgs) -> Result<(), Failure> {
    let python_tool = tools::has_python(&args.tools);
    match args.action_type {
        ActionType::Code if python_tool => Err(Failure::usage(
            "a code agent writes Python without a tool for it: leave out `python`, or add --action-type tool_calling",
        )),
        ActionType::ToolCalling if !args.imports.is_empty() && !python_tool => Err(Failure::usage(
            "--imports is for programs, and this agent writes none: add --tools python, or leave out --imports",
        )),
        ActionType::ToolCalling if args.prompt != PromptSize::Auto => Err(Failure::usage(
            "--prompt chooses between the prompts of code agents: leave it out with --action-type tool_calling",
        )),
        _ => Ok(()),
    }
}

/// The agent.
pub(crate) fn build(
    args: &AgentArgs,
    model: SharedModel,
    answer_schema: Option<Value>,
) -> Result<Agent, Failure> {
    check(args)?;
    let profile = model.profile();
    let sandbox = args.sandbox.open()?;
    let tools = tools::toolbox(&args.tools, &sandbox, &args.imports)?;
    let mut builder: AgentBuilder = match args.action_type {
        ActionType::Code => Agent::code(model).imports(args.imports.iter().cloned()),
        ActionType::ToolCalling => Agent::tool_calling(model),
    };
    builder = builder.tools(&tools).sandbox(sandbox).max_steps(args.max_steps);
    builder = match args.prompt {
        PromptSize::Auto => builder,
        PromptSize::Compact => builder.profile(ModelProfile { small: true, ..profile }),
        PromptSize::Full => builder.profile(ModelProfile { small: false, ..profile }),
    };
    if let Some(tokens) = args.max_tokens {
        builder = builder.max_tokens(tokens);
    }
    if let Some(instructions) = &args.instructions {
        builder = builder.instructions(instructions);
    }
    if let Some(schema) = answer_schema {
        builder = builder.answer_schema(schema);
    }
    let options = ModelOptions { temperature: args.model.temperature, ..ModelOptions::default() };
    Ok(builder.options(options).build()?)
}
