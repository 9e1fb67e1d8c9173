//! `python`: computing for models that call tools.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use futures::future::BoxFuture;
use martlet_core::code::{CodeEnd, CodeError, CodeLimits, CodeOutcome, CodeRequest};
use martlet_core::{ToolFlags, ToolOutput, ToolSpec};
use martlet_sandbox::{Sandbox, SandboxError, SessionOptions, available_modules};
use serde_json::{Map, Value, json};

use crate::arguments::ArgumentReader;
use crate::{Tool, ToolContext, ToolError};

/// The tool `python`: runs a program in a sandbox, and gives back what it printed and the value of its last line.
///
/// Each call has a session of its own, so that calls can be made at the same time and nothing is left behind. Programs
/// reach no file, no network and no other tool. Agents that write Python anyway do not need this tool.
#[derive(Clone)]
pub struct PythonTool {
    spec: ToolSpec,
    sandbox: Arc<dyn Sandbox>,
    options: SessionOptions,
}

impl PythonTool {
    /// A tool that runs programs in `sandbox`.
    pub fn new(sandbox: Arc<dyn Sandbox>) -> Self {
        let options = SessionOptions::new([]);
        Self { spec: spec(&options), sandbox, options }
    }

    /// Sets how far a program may go.
    pub fn limits(mut self, limits: CodeLimits) -> Self {
        self.options = self.options.limits(limits);
        self
    }

    /// Allows more modules.
    ///
    /// # Errors
    /// Names the modules that the sandbox does not have.
    pub fn imports<T: Into<String>>(
        mut self,
        imports: impl IntoIterator<Item = T>,
    ) -> Result<Self, SandboxError> {
        self.options = self.options.imports(imports)?;
        self.spec = spec(&self.options);
        Ok(self)
    }
}

fn spec(options: &SessionOptions) -> ToolSpec {
    let modules: Vec<&str> =
        available_modules().iter().copied().chain(options.imports.iter().map(String::as_str)).collect();
    let description = format!(
        "Runs a Python program and returns what it printed and the value of its last line. It starts without \
         variables each time, and has no files and no network. Modules: {}.",
        modules.join(", ")
    );
    let parameters = json!({
        "type": "object",
        "properties": {"code": {"type": "string", "description": "The program. Print what you need to see."}},
        "required": ["code"],
        "additionalProperties": false,
    });
    let flags = ToolFlags { read_only: true, idempotent: true, ..ToolFlags::default() };
    ToolSpec::new("python", description)
        .parameters(parameters)
        .returns(json!({"type": "string"}))
        .flags(flags)
}

impl fmt::Debug for PythonTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PythonTool").field("options", &self.options).finish_non_exhaustive()
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
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let code: String = ArgumentReader::new(arguments).required("code")?;
            let mut session = self.sandbox.open(self.options.clone());
            let outcome = session.perform(CodeRequest::start(code, None), None).await?;
            match outcome {
                CodeOutcome::Ended(end) => report(end),
                CodeOutcome::Lost { reason, .. } => Err(ToolError::new(format!(
                    "the Python interpreter was lost ({reason}); run the program again"
                ))),
                CodeOutcome::Waiting { calls, .. } => {
                    let names: Vec<String> = calls.into_iter().map(|call| call.name).collect();
                    Err(ToolError::new(format!(
                        "the program called {}, and there are no tools in this Python; call them yourself and pass \
                         their results into the program",
                        names.join(", ")
                    )))
                }
            }
        })
    }
}

/// What the model is told of a program that ended. What it printed before an error belongs to the error.
fn report(end: CodeEnd) -> Result<ToolOutput, ToolError> {
    let mut text = String::new();
    if !end.stdout.is_empty() {
        text.push_str("Stdout:\n");
        text.push_str(end.stdout.trim_end_matches('\n'));
        text.push('\n');
    }
    if let Some(error) = end.error {
        describe(&mut text, &error);
        return Err(ToolError::new(text));
    }
    let value = end.answer.or(end.value).map_or_else(|| "None".to_owned(), |value| value.repr);
    text.push_str("Output: ");
    text.push_str(&value);
    Ok(ToolOutput::from(Value::String(text)))
}

fn describe(text: &mut String, error: &CodeError) {
    text.push_str("Error");
    if let Some(line) = error.line {
        // Writing to a `String` cannot fail.
        let _ = write!(text, " in line {line}");
    }
    if let Some(source) = &error.source_line {
        let _ = write!(text, " (`{}`)", source.trim());
    }
    let _ = write!(text, ": {error}");
}

#[cfg(test)]
mod tests {
    use martlet_core::code::CodeValue;

    use super::*;

    #[test]
    fn a_report_has_the_output_and_the_value() {
        let value = CodeValue { json: json!("a"), repr: "'a'".into() };
        let end = CodeEnd { stdout: "1\n2\n".into(), value: Some(value), ..CodeEnd::default() };
        assert_eq!(report(end).unwrap().to_text(), "Stdout:\n1\n2\nOutput: 'a'");
        assert_eq!(report(CodeEnd::default()).unwrap().to_text(), "Output: None");
    }

    #[test]
    fn an_error_says_where_it_happened_and_what_was_printed_before() {
        let error = CodeError {
            kind: "ZeroDivisionError".into(),
            message: "division by zero".into(),
            line: Some(2),
            source_line: Some("    1 / 0".into()),
        };
        let end = CodeEnd { stdout: "1\n".into(), error: Some(error), ..CodeEnd::default() };
        assert_eq!(
            report(end).unwrap_err().message(),
            "Stdout:\n1\nError in line 2 (`1 / 0`): ZeroDivisionError: division by zero"
        );
    }
}
