//! Generator functions as functions that return an object which goes on from where it stopped.
//!
//! The interpreter has no `yield`. The body of a generator function is cut into numbered states; what lies between
//! two `yield`s keeps its text. Its variables live in the generator function, its states in a nested one:
//!
//! ```text
//! def count(n):                     def count(n):
//!     i = 0                             _mt_s = 0
//!     while i < n:                      i = None
//!         yield i            →          def _mt_step(_mt_v, _mt_x):
//!         i += 1                            nonlocal _mt_s, i
//!                                           while True:
//!                                               if _mt_s == 0: …
//!                                       return _mt_Generator(_mt_step, 'count')
//! ```
//!
//! Where the body calls tools, the object could not wait for them in a `for` loop, because the interpreter asks it
//! for the next value in one go; such a generator runs to its end at once and gives a list's iterator.

use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_stmt};
use ruff_python_ast::{Expr, Stmt, StmtFunctionDef};

use super::edits::{Edits, Source};
use super::syntax::{self, at, end, start};

mod eager;
mod flow;
mod lazy;
mod locals;

use eager::eager;
use flow::has_yield;
use lazy::lazy;

/// Why a generator cannot be lowered.
pub(super) struct Unsupported {
    /// What it is, for the model.
    pub(super) what: &'static str,
    /// Where, in the text that was given.
    pub(super) offset: usize,
}

/// Lowers the outermost generator functions of a program; `None` if there is none.
pub(super) fn lower(
    source: &Source,
    body: &[Stmt],
    tokens: &Tokens,
    calls_tools: &dyn Fn(&StmtFunctionDef) -> bool,
) -> Result<Option<Source>, Unsupported> {
    let mut finder = Finder { found: Vec::new() };
    for stmt in body {
        finder.visit_stmt(stmt);
    }
    if finder.found.is_empty() {
        return Ok(None);
    }
    let mut edits = Edits::default();
    for function in finder.found {
        if function.is_async {
            return Err(Unsupported {
                what: "an asynchronous generator; collect the values in a list and return it",
                offset: start(function),
            });
        }
        let managed = function.decorator_list.iter().any(|decorator| {
            syntax::last_name(&decorator.expression).is_some_and(|name| name == "contextmanager")
        });
        if calls_tools(function) && !managed {
            eager(source, function, tokens, &mut edits);
        } else {
            lazy(source, function, tokens, &mut edits)?;
        }
    }
    Ok(Some(edits.apply(source)))
}

struct Finder<'a> {
    found: Vec<&'a StmtFunctionDef>,
}

impl<'a> SourceOrderVisitor<'a> for Finder<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) if has_yield(&function.body) => self.found.push(function),
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, _: &'a Expr) {}
}

/// The place after the colon that ends a function's header.
fn after_header(function: &StmtFunctionDef, tokens: &Tokens) -> Option<usize> {
    let from =
        function.returns.as_ref().map_or_else(|| end(&*function.parameters), |returns| end(returns.as_ref()));
    let first = function.body.first()?;
    syntax::find_token(tokens, from, start(first), TokenKind::Colon).map(|range| at(range.end()))
}
