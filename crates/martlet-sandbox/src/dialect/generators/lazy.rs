//! Generators that stop and go on. The body becomes numbered states of a nested function (`lazy/` cuts it up), and this
//! writes them out: the variables, the loop that picks the state, and the handlers of exceptions.

use ruff_python_ast::StmtFunctionDef;
use ruff_python_ast::token::Tokens;
use ruff_python_ast::visitor::source_order::SourceOrderVisitor;

use super::locals::Locals;
use super::{Unsupported, after_header};
use crate::dialect::edits::{Edits, Source};
use crate::dialect::syntax::{end, start};

mod exceptions;
mod native;
mod statements;
mod states;

/// Where control goes when a statement leaves its place.
#[derive(Clone, Copy, Default)]
struct Around {
    /// The loop's `break` and `continue`: the states and how many `finally` blocks are around the loop.
    exit: Option<(usize, usize)>,
    next: Option<usize>,
    /// The state that handles an exception.
    handler: Option<usize>,
}

/// A `finally` block that is being built.
struct Finally {
    number: usize,
    state: usize,
    /// The jumps that go through it: where to.
    jumps: Vec<usize>,
}

struct Line {
    indent: usize,
    text: String,
    origin: u32,
}

struct Lowering<'s> {
    source: &'s Source,
    tokens: &'s Tokens,
    states: Vec<Vec<Line>>,
    handlers: Vec<Option<usize>>,
    current: usize,
    finals: Vec<Finally>,
    counter: usize,
    extra: Vec<String>,
    uses_handlers: bool,
}

pub(super) fn lazy(
    source: &Source,
    function: &StmtFunctionDef,
    tokens: &Tokens,
    edits: &mut Edits,
) -> Result<(), Unsupported> {
    let Some(header) = after_header(function, tokens) else { return Ok(()) };
    let mut locals = Locals::default();
    function.body.iter().for_each(|stmt| locals.visit_stmt(stmt));
    let parameters: Vec<&str> =
        function.parameters.iter().map(|parameter| parameter.name().as_str()).collect();
    let mut lowering = Lowering {
        source,
        tokens,
        states: vec![Vec::new()],
        handlers: vec![None],
        current: 0,
        finals: Vec::new(),
        counter: 0,
        extra: Vec::new(),
        uses_handlers: false,
    };
    lowering.block(&function.body, Around::default())?;
    lowering.emit(0, "_mt_s = -1; return (False, None)", end(function));

    let names: Vec<&String> = locals
        .names
        .iter()
        .filter(|name| !locals.outer.contains(name) && !locals.globals.contains(name))
        .collect();
    let base = source.indent_at(start(function)).to_owned();
    let first = source.line_at(header);
    let mut out = Output { text: String::new(), lines: vec![first], base };
    out.line(4, "_mt_s = 0", first);
    let fresh: Vec<&str> =
        names.iter().map(|name| name.as_str()).filter(|name| !parameters.contains(name)).collect();
    for name in fresh.iter().copied().chain(lowering.extra.iter().map(String::as_str)) {
        out.line(4, &format!("{name} = None"), first);
    }
    out.line(4, "def _mt_step(_mt_v, _mt_x):", first);
    let mut nonlocal = vec!["_mt_s"];
    nonlocal.extend(names.iter().map(|name| name.as_str()));
    nonlocal.extend(locals.outer.iter().map(String::as_str));
    nonlocal.extend(lowering.extra.iter().map(String::as_str));
    out.line(8, &format!("nonlocal {}", nonlocal.join(", ")), first);
    if !locals.globals.is_empty() {
        out.line(8, &format!("global {}", locals.globals.join(", ")), first);
    }
    out.line(8, "while True:", first);
    let inner = if lowering.uses_handlers { 16 } else { 12 };
    if lowering.uses_handlers {
        out.line(12, "try:", first);
    }
    out.line(inner, "if _mt_x is not None:", first);
    out.line(inner + 4, "_mt_y = _mt_x; _mt_x = None", first);
    out.line(inner + 4, "raise _mt_y", first);
    for (number, state) in lowering.states.iter().enumerate() {
        let keyword = if number == 0 { "if" } else { "elif" };
        let origin = state.first().map_or(first, |line| line.origin);
        out.line(inner, &format!("{keyword} _mt_s == {number}:"), origin);
        for content in state {
            if content.indent == usize::MAX {
                // A line within a text of several lines.
                out.raw(&content.text, content.origin);
            } else {
                out.line(inner + 4 + content.indent, &content.text, content.origin);
            }
        }
    }
    out.line(inner, "else:", first);
    out.line(inner + 4, "return (False, None)", first);
    if lowering.uses_handlers {
        out.line(12, "except BaseException as _mt_error:", first);
        let mut keyword = "if";
        for (state, handler) in lowering.handlers.iter().enumerate() {
            if let Some(handler) = handler {
                out.line(16, &format!("{keyword} _mt_s == {state}:"), first);
                out.line(20, &format!("_mt_e = _mt_error; _mt_s = {handler}"), first);
                keyword = "elif";
            }
        }
        out.line(16, "else:", first);
        out.line(20, "_mt_s = -1", first);
        out.line(20, "raise", first);
    }
    out.line(4, &format!("return _mt_Generator(_mt_step, '{}')", function.name), first);
    edits.replace_lines(header, end(function), out.text, out.lines);
    Ok(())
}

struct Output {
    text: String,
    lines: Vec<u32>,
    base: String,
}

impl Output {
    fn line(&mut self, indent: usize, content: &str, origin: u32) {
        self.text.push('\n');
        self.text.push_str(&self.base);
        self.text.push_str(&" ".repeat(indent));
        self.text.push_str(content);
        self.lines.push(origin);
    }

    fn raw(&mut self, content: &str, origin: u32) {
        self.text.push('\n');
        self.text.push_str(content);
        self.lines.push(origin);
    }
}
