//! Texts with expressions in them: the prompts of nodes.

use super::engine::{context, environment, explain, words};
use super::{ExpressionError, Scope};

/// Checks that a text is a template.
///
/// # Errors
/// What is wrong with it, and in which line.
pub fn check_template(template: &str) -> Result<(), ExpressionError> {
    environment().template_from_str(template).map(|_| ()).map_err(|error| not_a_template(&error))
}

/// A Jinja template with the values of a scope: `Summarize {{ text }} in {{ style.words }} words.`
///
/// The rules are those of [`Expression`](super::Expression): a name that is not defined is an error, and the work is
/// limited. Lists and objects are printed as JSON.
///
/// # Errors
/// A text that is no template, or what fails while it is rendered, with the line.
pub fn render(template: &str, scope: &dyn Scope) -> Result<String, ExpressionError> {
    // A text without a sign of Jinja is itself.
    if !template.contains('{') {
        return Ok(template.to_owned());
    }
    let environment = environment();
    let compiled = environment.template_from_str(template).map_err(|error| not_a_template(&error))?;
    compiled.render(context(&words(template), scope)).map_err(|error| {
        let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
        ExpressionError(format!("the template cannot be rendered{line}: {}", explain(&error, scope)))
    })
}

fn not_a_template(error: &minijinja::Error) -> ExpressionError {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    let problem = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    ExpressionError(format!("the text is not a template{line}: {problem}"))
}
