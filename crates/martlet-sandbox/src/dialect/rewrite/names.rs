//! Names that a program reads and binds. Where a builtin lacks something that this program needs, its name gives way
//! to a function of the prelude; a name that would hide a tool may not be bound. A builtin that the program defines
//! itself is left alone.

use ruff_python_ast::Expr;

use super::Rewrite;
use crate::dialect::LATER;
use crate::dialect::prelude::captured;
use crate::dialect::syntax::{end, name, start};

/// The builtins that the prelude stands in for: where a program defines one of these names, it means its own.
pub(in crate::dialect) const BUILTINS: &[&str] = &[
    "callable",
    "issubclass",
    "isinstance",
    "vars",
    "dir",
    "globals",
    "ascii",
    "delattr",
    "len",
    "sorted",
    "min",
    "max",
    "map",
    "filter",
    "print",
    "hasattr",
    "getattr",
    "setattr",
    "super",
    "next",
    "str",
    "list",
    "dict",
    "int",
    "float",
    "bytes",
    "set",
    "tuple",
    "frozenset",
    "bool",
    "object",
    "input",
    "memoryview",
    "bytearray",
    "slice",
    "type",
    "property",
    "staticmethod",
    "classmethod",
    "ValueError",
    "Exception",
    "KeyError",
    "TypeError",
    "RuntimeError",
];

impl<'a> Rewrite<'a, '_> {
    pub(super) fn name_read(&mut self, expr: &'a Expr, id: &str) {
        if self.later.contains(&start(expr)) {
            self.edits.insert(start(expr), LATER);
            return;
        }
        if !self.facts.is_builtin(id) {
            return;
        }
        let state = &self.facts.state;
        let (piece, replacement) = match id {
            "isinstance" if state.inheritance => ("classes", "_mt_isinstance"),
            "issubclass" => ("classes", "_mt_issubclass"),
            "len" if state.dunders.contains("__len__") => ("classes", "_mt_len"),
            "hasattr" if !state.properties.is_empty() => ("classes", "_mt_hasattr"),
            "getattr" if !state.properties.is_empty() => ("classes", "_mt_getattr"),
            "setattr" if !state.properties.is_empty() => ("classes", "_mt_setattr"),
            "callable" => ("builtins", "_mt_callable"),
            "ascii" => ("builtins", "_mt_ascii"),
            "delattr" => ("builtins", "_mt_delattr"),
            "globals" => {
                self.edits.replace(start(expr), end(expr), "locals");
                return;
            }
            "memoryview" => ("", "bytes"),
            "IOError" | "EnvironmentError" => ("", "OSError"),
            _ => return,
        };
        if !piece.is_empty() {
            self.pieces.insert(piece);
        }
        self.edits.replace(start(expr), end(expr), replacement);
    }

    /// How the text that we add calls a built-in function: under the name of its copy where the program took its own,
    /// as the session has copies from before that.
    pub(super) fn builtin(&self, name: &str) -> String {
        if self.facts.is_builtin(name) { name.to_owned() } else { captured::copy(name) }
    }

    pub(super) fn protect(&mut self, bound: &str, place: usize) {
        if self.depth == 0 && (self.is_tool)(bound) {
            self.fail(
                "NameError",
                format!(
                    "Cannot assign to name '{bound}': doing this would erase the existing tool! \
                     Use another name for the result."
                ),
                place,
            );
        }
    }

    pub(super) fn is_type(&self, expr: &Expr) -> bool {
        name(expr).is_some_and(|name| {
            matches!(
                name,
                "str" | "list" | "dict" | "int" | "float" | "bytes" | "set" | "tuple" | "frozenset"
            ) && self.facts.is_builtin(name)
        })
    }
}
