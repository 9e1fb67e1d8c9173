//! `ask_user`: a question to the person who gave the task.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use martlet_core::{ToolOutput, ToolSpec};
use serde_json::{Map, Value, json};

use crate::arguments::ArgumentReader;
use crate::{Tool, ToolContext, ToolError};

/// Brings a question to a person and waits for the answer.
pub trait Asker: Send + Sync {
    /// Asks `question`. The future holds no thread while the person thinks.
    ///
    /// # Errors
    /// If nobody can be asked; the model is told and goes on without an answer.
    fn ask<'a>(&'a self, question: &'a str, cx: &'a ToolContext) -> BoxFuture<'a, Result<String, ToolError>>;
}

/// The tool `ask_user`: asks the person who gave the task.
#[derive(Clone)]
pub struct AskUser {
    spec: ToolSpec,
    asker: Arc<dyn Asker>,
}

impl AskUser {
    /// A tool that asks by way of `asker`.
    pub fn new(asker: impl Asker + 'static) -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {"question": {"type": "string", "description": "The question, as the user should read it."}},
            "required": ["question"],
            "additionalProperties": false,
        });
        let spec = ToolSpec::new("ask_user", "Asks the user a question and gives back the answer.")
            .parameters(parameters)
            .returns(json!({"type": "string"}));
        Self { spec, asker: Arc::new(asker) }
    }

    /// A tool that asks at the terminal.
    pub fn terminal() -> Self {
        Self::new(TerminalAsker)
    }
}

impl std::fmt::Debug for AskUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AskUser").finish_non_exhaustive()
    }
}

impl Tool for AskUser {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let question: String = ArgumentReader::new(arguments).required("question")?;
            let answer = self.asker.ask(&question, cx).await?;
            Ok(ToolOutput::from(Value::String(answer)))
        })
    }
}

/// Asks at the terminal: the question goes to standard error, as standard output belongs to the answer of the
/// run; one line is read from standard input.
///
/// Where standard input is no terminal the tool fails at once, so that nothing waits for a person who is not there.
/// A question whose run is cancelled still takes the next line that is typed.
#[derive(Debug, Clone, Copy, Default)]
pub struct TerminalAsker;

/// Held while somebody is asked: two questions at once could not be told apart.
static ASKING: Mutex<()> = Mutex::new(());

impl Asker for TerminalAsker {
    fn ask<'a>(
        &'a self,
        question: &'a str,
        _cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<String, ToolError>> {
        let question = question.to_owned();
        Box::pin(async move {
            require_terminal(&io::stdin())?;
            tokio::task::spawn_blocking(move || {
                let _turn = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
                converse(&question, &mut io::stdin().lock(), &mut io::stderr().lock())
            })
            .await
            .map_err(|_| ToolError::new("the question could not be asked"))?
        })
    }
}

fn require_terminal(input: &impl IsTerminal) -> Result<(), ToolError> {
    if input.is_terminal() {
        return Ok(());
    }
    Err(ToolError::new(
        "nobody can be asked: standard input is not a terminal. Go on without the answer and say what you assumed",
    ))
}

fn converse(question: &str, input: &mut impl BufRead, output: &mut impl Write) -> Result<String, ToolError> {
    write!(output, "\n{}\n> ", printable(question))?;
    output.flush()?;
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Err(ToolError::new("the user closed the input and gave no answer"));
    }
    Ok(line.trim().to_owned())
}

/// The question comes from a model: it must not move the cursor or fake other output.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| *letter == '\n' || *letter == '\t' || !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_answer() {
        let mut shown = Vec::new();
        let answer =
            converse("Which \u{1b}[2Jcity?", &mut "  Paris \nRome\n".as_bytes(), &mut shown).unwrap();
        assert_eq!(answer, "Paris");
        assert_eq!(String::from_utf8(shown).unwrap(), "\nWhich [2Jcity?\n> ");
    }

    #[test]
    fn an_input_that_ends_is_no_answer() {
        let error = converse("?", &mut "".as_bytes(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.message(), "the user closed the input and gave no answer");
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        let error = require_terminal(&file).unwrap_err();
        assert!(error.message().contains("standard input is not a terminal"), "{error}");
    }
}
