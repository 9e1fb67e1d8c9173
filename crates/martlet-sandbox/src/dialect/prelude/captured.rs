//! The built-in names under which the prelude's pieces know them.
//!
//! The pieces run among a program's own variables. A program may call one of those `type` or `list`, and our Python
//! must not trip over it: a session is fed copies of the built-in names before a program can take any of them, and
//! the pieces read the copies.

use std::sync::OnceLock;

use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr, walk_stmt};
use ruff_python_ast::{Expr, Parameters, Stmt};
use ruff_python_parser::parse_module;

use crate::dialect::edits::{Edits, Source};
use crate::dialect::syntax::{end, start};

/// The name under which the copies are noted as fed.
pub(super) const NAME: &str = "captured";
/// What the copies' names begin with.
const PREFIX: &str = "_mt_py_";

/// What the pieces read.
pub(crate) const NAMES: &[&str] = &[
    "AttributeError",
    "BaseException",
    "Exception",
    "IndexError",
    "KeyError",
    "KeyboardInterrupt",
    "NotImplemented",
    "NotImplementedError",
    "RuntimeError",
    "StopIteration",
    "TimeoutError",
    "TypeError",
    "ValueError",
    "ZeroDivisionError",
    "abs",
    "all",
    "any",
    "bin",
    "bool",
    "bytes",
    "chr",
    "complex",
    "dict",
    "divmod",
    "float",
    "format",
    "frozenset",
    "getattr",
    "hasattr",
    "hash",
    "hex",
    "id",
    "int",
    "isinstance",
    "iter",
    "len",
    "list",
    "max",
    "min",
    "next",
    "object",
    "ord",
    "print",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "str",
    "sum",
    "tuple",
    "type",
    "zip",
];

/// The name of the copy of a built-in name.
pub(crate) fn copy(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The text that makes the copies.
pub(super) fn copies() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| NAMES.iter().map(|name| format!("{} = {name}\n", copy(name))).collect())
}

/// A piece's text with the copies' names in place of the built-in ones.
pub(super) fn reading_copies(code: &str) -> String {
    let Ok(parsed) = parse_module(code) else { return code.to_owned() };
    let mut reads = Reads { edits: Edits::default(), parameters: Vec::new() };
    parsed.syntax().body.iter().for_each(|stmt| reads.visit_stmt(stmt));
    reads.edits.apply(&Source::new(code)).text
}

struct Reads<'a> {
    edits: Edits,
    /// The parameters of the functions around: the pieces hide a built-in name in no other way.
    parameters: Vec<&'a Parameters>,
}

impl<'a> SourceOrderVisitor<'a> for Reads<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if let Stmt::FunctionDef(function) = stmt {
            self.parameters.push(&function.parameters);
            walk_stmt(self, stmt);
            self.parameters.pop();
        } else {
            walk_stmt(self, stmt);
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Expr::Name(name) = expr
            && name.ctx.is_load()
            && NAMES.contains(&name.id.as_str())
            && !self.parameters.iter().any(|parameters| parameters.includes(&name.id))
        {
            self.edits.replace(start(expr), end(expr), copy(&name.id));
        }
        walk_expr(self, expr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_renamed_and_parameters_are_not() {
        let code = "def f(x, int=None):\n    return type(x) is int or x.type or g(type=1)\n";
        let renamed = "def f(x, int=None):\n    return _mt_py_type(x) is int or x.type or g(type=1)\n";
        assert_eq!(reading_copies(code), renamed);
    }
}
