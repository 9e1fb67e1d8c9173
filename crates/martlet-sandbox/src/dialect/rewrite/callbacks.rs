//! Functions that are handed to functions. The interpreter knows the methods of its own types only where they are
//! called, and its functions written in Rust cannot wait for a tool that a callback calls: the one is wrapped in a
//! lambda, the other is found here for the prelude to take over.

use ruff_python_ast::visitor::source_order::SourceOrderVisitor;
use ruff_python_ast::{Expr, ExprCall};

use super::Rewrite;
use crate::dialect::syntax::{self, end, last_name, start};

/// Methods of the builtin types, which the interpreter knows only where they are called.
const METHODS: &[&str] = &[
    "add",
    "append",
    "appendleft",
    "capitalize",
    "casefold",
    "copy",
    "count",
    "difference",
    "discard",
    "encode",
    "endswith",
    "extend",
    "find",
    "format",
    "get",
    "index",
    "insert",
    "intersection",
    "isalnum",
    "isalpha",
    "isdigit",
    "islower",
    "isnumeric",
    "isspace",
    "isupper",
    "items",
    "join",
    "keys",
    "ljust",
    "lower",
    "lstrip",
    "pop",
    "popleft",
    "remove",
    "replace",
    "rjust",
    "rstrip",
    "setdefault",
    "sort",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "union",
    "update",
    "upper",
    "values",
    "zfill",
    "__getitem__",
    "__contains__",
    "__len__",
    "__add__",
    "total_seconds",
    "isoformat",
    "strftime",
    "group",
    "search",
    "match",
    "sub",
    "most_common",
    "decode",
    "rfind",
    "partition",
    "write",
];

/// Functions whose arguments are functions.
const CALLBACK_TAKERS: &[&str] = &[
    "map",
    "filter",
    "sorted",
    "min",
    "max",
    "reduce",
    "starmap",
    "partial",
    "defaultdict",
    "takewhile",
    "dropwhile",
    "groupby",
    "filterfalse",
    "accumulate",
    "sub",
    "cmp_to_key",
];

impl<'a> Rewrite<'a, '_> {
    pub(super) fn arguments(&mut self, call: &'a ExprCall) {
        let takes = last_name(&call.func).is_some_and(|name| CALLBACK_TAKERS.contains(&name));
        for (index, argument) in call.arguments.args.iter().enumerate() {
            if takes && index < 2 {
                self.callback(argument);
            } else {
                self.visit_expr(argument);
            }
        }
        for keyword in &call.arguments.keywords {
            if keyword
                .arg
                .as_ref()
                .is_some_and(|name| matches!(name.as_str(), "key" | "default" | "default_factory"))
            {
                self.callback(&keyword.value);
            } else {
                self.visit_expr(&keyword.value);
            }
        }
    }

    /// An expression that will be called: a method of a builtin type becomes a lambda.
    pub(super) fn callback(&mut self, expr: &'a Expr) {
        if let Expr::Attribute(attribute) = expr
            && METHODS.contains(&attribute.attr.as_str())
            && !self.is_type(&attribute.value)
            && self.facts.module(&attribute.value).is_none()
            && !self.facts.state.properties.contains(attribute.attr.as_str())
            && (syntax::repeatable(&attribute.value) || matches!(*attribute.value, Expr::StringLiteral(_)))
        {
            self.edits.insert(start(expr), "(lambda *_mt_a, **_mt_k: ");
            self.visit_expr(&attribute.value);
            self.edits.insert(end(expr), "(*_mt_a, **_mt_k))");
            return;
        }
        self.visit_expr(expr);
    }

    /// Whether a callback may call a tool.
    pub(super) fn calls_tools(&self, call: &ExprCall) -> bool {
        let suspicious = |expr: &Expr| {
            syntax::any(expr, &|inner| match inner {
                Expr::Name(name) => {
                    (self.is_tool)(&name.id) || self.facts.state.calling.contains(name.id.as_str())
                }
                Expr::Attribute(attribute) => self.facts.state.calling.contains(attribute.attr.as_str()),
                _ => false,
            })
        };
        let callback = |expr: &Expr| match expr {
            Expr::Lambda(lambda) => suspicious(&lambda.body),
            Expr::Name(_) | Expr::Attribute(_) => suspicious(expr),
            Expr::Call(call) => call.arguments.args.iter().any(suspicious),
            _ => false,
        };
        call.arguments.args.iter().any(callback)
            || call.arguments.keywords.iter().any(|keyword| callback(&keyword.value))
    }
}
