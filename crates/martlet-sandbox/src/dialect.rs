//! The Python that agents write, on top of the Python that the interpreter runs.
//!
//! [`prepare`] turns a program into what the interpreter is fed; [`explain`] turns its exception into what the
//! model is told; [`value`] converts values. A program that needs nothing of this passes unchanged.

use martlet_core::code::CodeError;
use martlet_core::tool::ToolSpec;
use monty_types::{MontyException, MontyObject};
use serde::{Deserialize, Serialize};

pub(crate) mod value;

/// What the dialect remembers of a session between its programs. It belongs into the session's saved state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The pieces of the prelude that were fed to the session.
    loaded: Vec<String>,
}

/// A program as the interpreter is fed it.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// What to feed, in order, before the program (with `feed_run`: it calls nothing outside); mostly empty.
    pub(crate) prelude: Vec<&'static str>,
    /// What to feed.
    pub(crate) code: String,
    /// The state to keep with the session once the prelude was fed, whatever comes of the program.
    pub(crate) state: State,
    /// The program as the model wrote it.
    source: String,
}

/// Prepares a program that the model wrote for a session in which `state` is known.
///
/// `imports` are modules that the agent's author allows besides [`available_modules`].
pub(crate) fn prepare(
    code: &str,
    tools: &[ToolSpec],
    imports: &[String],
    state: &State,
) -> Result<Prepared, CodeError> {
    let _ = (tools, imports);
    Ok(Prepared { prelude: Vec::new(), code: code.to_owned(), state: state.clone(), source: code.to_owned() })
}

/// The tool behind a name that a program looks up or calls, and whether its call is to be answered with a
/// future (`resume_pending`) instead of its value.
///
/// A call that the program wants as a future carries a mark in its name; so does its `NameLookup`, which is to
/// be answered with `MontyObject::function(name, None)` under the marked name. `eager` is the interpreter's
/// `allow_eager_await`: the call is awaited on the spot.
pub(crate) fn called_tool(name: &str, eager: bool) -> (&str, bool) {
    match name.strip_prefix(LATER) {
        Some(tool) => (tool, true),
        None => (name, eager),
    }
}

/// The mark of tool calls that are wanted as futures.
const LATER: &str = "_mt_later_";

/// The module to answer `OsFunctionCall::Import(name)` with; `None`: `ExtFunctionResult::NotFound`.
pub(crate) fn host_import(name: &str) -> Option<MontyObject> {
    let _ = name;
    None
}

/// Calls a function of a host module: `name` as the interpreter gives it (`statistics.mean`). `None`: not ours.
pub(crate) fn host_call(
    name: &str,
    args: &monty_types::CallArgs,
) -> Option<Result<MontyObject, MontyException>> {
    let _ = (name, args);
    None
}

/// What the model is told of an exception that a program ended with.
pub(crate) fn explain(error: &MontyException, prepared: &Prepared, tools: &[ToolSpec]) -> CodeError {
    let _ = tools;
    let line = error.traceback().last().map(|frame| frame.start.line as u32);
    CodeError {
        kind: error.exc_type().to_string(),
        message: error.message().unwrap_or_default().to_owned(),
        source_line: line
            .and_then(|line| prepared.source.lines().nth(line.saturating_sub(1) as usize))
            .map(str::to_owned),
        line,
    }
}

/// The modules that programs may import without further permission.
pub fn available_modules() -> &'static [&'static str] {
    &["math", "json", "re"]
}

/// What Python here lacks and what to write instead, for a system prompt.
pub fn dialect_notes() -> &'static str {
    ""
}
