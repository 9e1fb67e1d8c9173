//! The Python that agents write, on top of the Python that the interpreter runs.
//!
//! [`prepare`] turns a program into what the interpreter is fed: it parses it, changes its text where the interpreter
//! lacks something, and names the pieces of our own Python (the *prelude*) that the session needs for that. Line
//! numbers are mapped back. [`explain`] turns an exception into what the model is told; [`value`] converts values.
//!
//! A program that needs nothing of this passes unchanged. What is rewritten means the same: where that cannot be
//! had, the program is refused with a way around, before any of it has run.

use std::thread;

use martlet_core::code::CodeError;
use martlet_core::tool::{FINAL_ANSWER, ToolSpec};
use ruff_python_parser::parse_module;

mod edits;
mod facts;
mod futures;
mod generators;
mod hints;
mod modules;
mod prelude;
mod rewrite;
mod syntax;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use edits::Source;
use facts::Facts;
pub(crate) use facts::State;
pub(crate) use hints::{explain, shown_message};
pub(crate) use prelude::captured::NAMES as PRELUDE_READS;

/// The mark of tool calls that are wanted as futures.
const LATER: &str = "_mt_later_";

/// From this size on, a program is prepared on a thread with a larger stack: a long chain of operators is a deep tree.
const DEEP_SOURCE_BYTES: usize = 4 << 10;
const DEEP_STACK_BYTES: usize = 64 << 20;

/// How deeply generator functions may be nested.
const MAX_GENERATOR_DEPTH: usize = 8;

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
    /// The line there of each line of `code`.
    lines: Vec<u32>,
}

/// What is wrong with a program before it runs.
#[derive(Debug)]
struct Problem {
    kind: &'static str,
    message: String,
    /// Where, in the text that was looked at.
    place: usize,
}

/// Prepares a program that the model wrote for a session in which `state` is known.
///
/// `imports` are modules that the agent's author allows besides [`available_modules`].
///
/// # Errors
/// The program cannot run here: its syntax is wrong, it imports what there is not, it would hide a tool, or it uses
/// what the dialect lacks. Nothing of it has run.
pub(crate) fn prepare(
    code: &str,
    tools: &[ToolSpec],
    imports: &[String],
    state: &State,
) -> Result<Prepared, CodeError> {
    if code.len() <= DEEP_SOURCE_BYTES {
        return prepare_here(code, tools, imports, state);
    }
    // The parser recurses with the nesting; the interpreter refuses what is nested deeper than it can bear.
    if !monty::source_within_nesting_bound(code, DEEP_SOURCE_BYTES) {
        return Ok(unchanged(code, state));
    }
    thread::scope(|scope| {
        thread::Builder::new()
            .stack_size(DEEP_STACK_BYTES)
            .spawn_scoped(scope, || prepare_here(code, tools, imports, state))
            .ok()
            .and_then(|worker| worker.join().ok())
            .unwrap_or_else(|| Ok(unchanged(code, state)))
    })
}

fn unchanged(code: &str, state: &State) -> Prepared {
    Prepared {
        prelude: Vec::new(),
        code: code.to_owned(),
        state: state.clone(),
        source: code.to_owned(),
        lines: Source::new(code).into_lines(),
    }
}

fn prepare_here(
    code: &str,
    tools: &[ToolSpec],
    imports: &[String],
    state: &State,
) -> Result<Prepared, CodeError> {
    let is_tool = |name: &str| name == FINAL_ANSWER || tools.iter().any(|tool| tool.name == name);
    let mut source = Source::new(code);
    let mut needs = std::collections::BTreeSet::new();
    for depth in 0..=MAX_GENERATOR_DEPTH {
        let parsed = match parse_module(&source.text) {
            Ok(parsed) => parsed,
            // The interpreter has the words of CPython for what is wrong.
            Err(_) if depth == 0 => return Ok(unchanged(code, state)),
            Err(error) => {
                let place = syntax::at(error.location.start());
                return Err(problem_error(
                    Problem { kind: "SyntaxError", message: error.error.to_string(), place },
                    &source,
                    code,
                ));
            }
        };
        let body = &parsed.syntax().body;
        let facts = Facts::of(body, state, &is_tool);
        let calls_tools = |function: &ruff_python_ast::StmtFunctionDef| {
            facts.state.calling.contains(function.name.as_str())
        };
        match generators::lower(&source, body, parsed.tokens(), &calls_tools) {
            Ok(None) => break,
            Ok(Some(lowered)) => {
                needs.insert("generators");
                source = lowered;
            }
            Err(unsupported) => {
                let message = format!("This Python does not support {}.", unsupported.what);
                let problem = Problem { kind: "NotImplementedError", message, place: unsupported.offset };
                return Err(problem_error(problem, &source, code));
            }
        }
    }
    let parsed = match parse_module(&source.text) {
        Ok(parsed) => parsed,
        Err(_) => return Ok(unchanged(code, state)),
    };
    let body = &parsed.syntax().body;
    let facts = Facts::of(body, state, &is_tool);
    let mut rewrite = rewrite::Rewrite::new(&source, parsed.tokens(), &facts, &is_tool, imports);
    rewrite.has_tools = !tools.is_empty();
    if rewrite.has_tools {
        rewrite.later = futures::wanted(body, &is_tool);
    }
    rewrite.program(body);
    let rewrite::Rewrite { edits, pieces, problem, .. } = rewrite;
    if let Some(problem) = problem {
        return Err(problem_error(problem, &source, code));
    }
    needs.extend(pieces);
    let mut state = facts.state.clone();
    let hides = prelude::captured::NAMES.iter().any(|name| facts.bound.contains(name));
    let prelude = prelude::pieces(&needs, hides, &mut state.loaded);
    let source = if edits.is_empty() { source } else { edits.apply(&source) };
    Ok(Prepared {
        prelude,
        code: source.text.clone(),
        state,
        source: code.to_owned(),
        lines: source.into_lines(),
    })
}

fn problem_error(problem: Problem, source: &Source, code: &str) -> CodeError {
    let line = source.line(source.line_at(problem.place));
    CodeError {
        kind: problem.kind.to_owned(),
        message: problem.message,
        line: Some(line),
        source_line: line_of(code, line),
    }
}

/// A line of a text, from 1, without the white space around it.
fn line_of(code: &str, line: u32) -> Option<String> {
    code.lines().nth(usize::try_from(line.checked_sub(1)?).ok()?).map(|line| line.trim().to_owned())
}

/// A text as a Python literal.
fn literal(text: &str) -> String {
    monty_types::StringRepr(text).to_string()
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

/// The modules that programs may import without further permission.
pub fn available_modules() -> &'static [&'static str] {
    modules::AVAILABLE
}

/// What Python here lacks and what to write instead, for a system prompt.
pub fn dialect_notes() -> &'static str {
    "Python runs in a sandbox: no files, no network, no processes, no third-party packages; use the given functions.\n\
     Tools are plain functions: `r = search(q)`. To run several at once: \
     `a, b = await asyncio.gather(search(x), search(y))`.\n\
     Not supported: metaclasses, `async for`, async generators, `except*`, classes inside classes, inheriting from \
     list, dict or str (keep one in an attribute).\n\
     `yield` stands on its own (`yield x`, `y = yield x`), not inside `with` or `match`.\n\
     Do not call tools in `__str__`, `__getitem__` or other special methods: call them first, keep the results."
}
