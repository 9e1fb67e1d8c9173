//! The tools that come with the command.

use std::sync::Arc;

use martlet::Toolbox;
use martlet::core::code::{CodeLimits, CodeOutcome, CodeRequest};
use martlet::core::{ToolOutput, ToolSpec};
use martlet::sandbox::{Sandbox, SessionOptions};
use martlet::tools::{AskUser, Tool, ToolContext, ToolError};
use serde_json::{Map, Value, json};

use crate::exit::Failure;

/// The names of the tools, with what they do.
pub(crate) const BUILT_IN: [(&str, &str); 2] = [
    ("ask_user", "asks you a question at the terminal"),
    ("python", "runs a Python program in the sandbox (for --action-type tool_calling)"),
];

/// smolagents' names for the same tools.
const ALIASES: [(&str, &str); 2] = [("user_input", "ask_user"), ("python_interpreter", "python")];

/// The tools of these names; `python` is made only when it is asked for.
pub(crate) fn toolbox(
    names: &[String],
    python: impl Fn() -> Result<PythonTool, Failure>,
) -> Result<Toolbox, Failure> {
    let mut tools = Toolbox::new();
    for name in names {
        let own = ALIASES.iter().find(|(alias, _)| alias == name).map_or(name.as_str(), |(_, own)| own);
        let added = match own {
            "ask_user" => tools.add_default(AskUser::terminal()),
            "python" => tools.add_default(python()?),
            _ => {
                let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                return Err(Failure::usage(format!(
                    "there is no tool `{name}`; there are {}",
                    known.join(", ")
                )));
            }
        };
        added.map_err(|error| Failure::usage(error.to_string()))?;
    }
    Ok(tools)
}

/// Whether `python` is among the names.
pub(crate) fn has_python(names: &[String]) -> bool {
    names.iter().any(|name| name == "python" || name == "python_interpreter")
}

/// The tool `python`: runs a program in a session of its own.
pub(crate) struct PythonTool {
    spec: ToolSpec,
    sandbox: Arc<dyn Sandbox>,
    options: SessionOptions,
}

impl PythonTool {
    /// A tool that runs programs in `sandbox`; they may import `imports` besides the usual modules.
    pub(crate) fn new(sandbox: Arc<dyn Sandbox>, imports: &[String]) -> Result<Self, Failure> {
        let options =
            SessionOptions::new([]).limits(CodeLimits::default()).imports(imports.iter().cloned())?;
        let mut modules: Vec<&str> = martlet::sandbox::available_modules().to_vec();
        modules.extend(imports.iter().map(String::as_str));
        let description = format!(
            "Runs a Python program and gives back what it prints and the value of its last expression. Each program \
             begins without variables. No files, no network. Modules: {}.",
            modules.join(", ")
        );
        let spec = ToolSpec::new("python", description)
            .parameters(json!({
                "type": "object",
                "properties": {"code": {"type": "string", "description": "The program."}},
                "required": ["code"],
                "additionalProperties": false,
            }))
            .returns(json!({"type": "string"}));
        Ok(Self { spec, sandbox, options })
    }
}

impl Tool for PythonTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        _cx: &'a ToolContext,
    ) -> martlet::model::BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let code = arguments.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
            let mut session = self.sandbox.open(self.options.clone());
            let end = match session.perform(CodeRequest::Start { code, session: None }, None).await? {
                CodeOutcome::Ended(end) => end,
                CodeOutcome::Lost { reason } => return Err(ToolError::new(reason)),
                CodeOutcome::Waiting { .. } => {
                    return Err(ToolError::new("there are no tools inside of this tool"));
                }
            };
            let mut text = end.stdout;
            if let Some(value) = end.value {
                separate(&mut text);
                text.push_str(&value.repr);
            }
            match end.error {
                None => Ok(ToolOutput::from(Value::String(text))),
                Some(error) => {
                    separate(&mut text);
                    let place = error.line.map(|line| format!(" (line {line})")).unwrap_or_default();
                    Err(ToolError::new(format!("{text}{error}{place}")))
                }
            }
        })
    }
}

fn separate(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}
