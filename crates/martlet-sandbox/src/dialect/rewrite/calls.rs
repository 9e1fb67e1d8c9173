//! Calls: of builtins, of modules' functions and of methods, where the interpreter's own cannot do what these
//! arguments ask for, and `gather`, which is given what may be awaited.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::visitor::source_order::SourceOrderVisitor;
use ruff_python_ast::{Expr, ExprAttribute, ExprCall};

use super::{Rewrite, tuple};
use crate::dialect::facts::EXCEPTIONS;
use crate::dialect::syntax::{end, last_name, start};

/// Methods of builtin types that the interpreter lacks, and the prelude's functions for them.
const LACKING: &[&str] = &[
    "isocalendar",
    "ctime",
    "timetuple",
    "toordinal",
    "is_integer",
    "as_integer_ratio",
    "fromtimestamp",
    "fromordinal",
    "fromisocalendar",
    "bit_count",
    "bit_length",
    "utctimetuple",
    "format_map",
    "expandtabs",
    "translate",
    "isprintable",
    "isidentifier",
    "isdecimal",
    "conjugate",
    "tobytes",
    "utcfromtimestamp",
    "utcnow",
];

impl<'a> Rewrite<'a, '_> {
    pub(super) fn call(&mut self, expr: &'a Expr, call: &'a ExprCall) {
        let arguments = &call.arguments;
        if let Expr::Name(function) = call.func.as_ref()
            && self.facts.is_builtin(&function.id)
        {
            let ordered = self.facts.ordered();
            let replacement = match function.id.as_str() {
                "vars" | "dir" if arguments.args.len() == 1 => {
                    self.pieces.insert("builtins");
                    self.edits.replace(start(function), end(function), format!("_mt_{}", function.id));
                    self.arguments(call);
                    let names = tuple(&self.facts.state.attributes);
                    self.edits.insert(end(expr) - 1, format!(", {names}"));
                    return;
                }
                "sorted" | "min" | "max" if ordered || self.calls_tools(call) => {
                    Some(("order", format!("_mt_{}", function.id)))
                }
                "map" | "filter" if self.calls_tools(call) => Some(("order", format!("_mt_{}", function.id))),
                "print" => arguments
                    .find_keyword("file")
                    .is_some_and(|keyword| {
                        !matches!(last_name(&keyword.value), Some("stderr" | "stdout"))
                            && !keyword.value.is_none_literal_expr()
                    })
                    .then(|| ("builtins", "_mt_print".to_owned())),
                "next" => {
                    if let Some(Expr::Generator(generator)) = arguments.args.first() {
                        self.generator(generator);
                        for argument in arguments.args.iter().skip(1) {
                            self.visit_expr(argument);
                        }
                        return;
                    }
                    None
                }
                "bool"
                    if arguments.args.len() == 1
                        && ["__bool__", "__len__"]
                            .iter()
                            .any(|name| self.facts.state.dunders.contains(*name)) =>
                {
                    Some(("classes", "_mt_true".to_owned()))
                }
                "object" if arguments.args.is_empty() => Some(("builtins", "_mt_object".to_owned())),
                "bytes"
                    if arguments.args.first().is_some_and(|argument| {
                        !matches!(argument, Expr::NumberLiteral(_)) && !certainly_text(argument)
                    }) =>
                {
                    Some(("builtins", "_mt_bytes".to_owned()))
                }
                "type" if arguments.args.len() == 3 => Some(("classes", "_mt_type".to_owned())),
                exception if EXCEPTIONS.contains(&exception) && arguments.keywords.is_empty() => {
                    match &*arguments.args {
                        [] => {}
                        [one] if certainly_text(one) => {}
                        [one @ Expr::Starred(_)] => self.as_text(one, one, true),
                        [one] => self.as_text(one, one, false),
                        [first, .., last] => self.as_text(first, last, true),
                    }
                    return;
                }
                _ => None,
            };
            if let Some((piece, text)) = replacement {
                self.pieces.insert(piece);
                self.edits.replace(start(function), end(function), text);
                self.arguments(call);
                return;
            }
        }
        if let Some((module, function)) = self.facts.resolve(&call.func) {
            let custom = |names: &[&str]| names.iter().any(|name| arguments.find_keyword(name).is_some());
            let found = match (module, function) {
                ("json", "dumps" | "dump") if custom(&["default", "cls"]) => Some(("json", "_mt_mod_json")),
                ("json", "loads" | "load")
                    if custom(&["object_hook", "parse_float", "cls", "object_pairs_hook"]) =>
                {
                    Some(("json", "_mt_mod_json"))
                }
                ("re", "sub")
                    if arguments.find_argument_value("repl", 1).is_some_and(|repl| !certainly_text(repl)) =>
                {
                    Some(("re", "_mt_mod_re"))
                }
                _ => None,
            };
            if let Some((piece, object)) = found {
                let text = format!("{object}.{function}");
                self.pieces.insert(piece);
                self.edits.replace(start(call.func.as_ref()), end(call.func.as_ref()), text);
                self.arguments(call);
                return;
            }
        }
        if let Expr::Attribute(attribute) = call.func.as_ref()
            && self.facts.module(&attribute.value).is_none_or(|module| module == "datetime")
            && !self.is_type(&attribute.value)
        {
            let attr = attribute.attr.as_str();
            let own =
                self.facts.state.classes.values().any(|members| members.iter().any(|member| member == attr));
            if attr == "sort" && (self.facts.ordered() || self.calls_tools(call)) {
                self.pieces.insert("order");
                self.as_function(call, attribute, "_mt_sort");
                return;
            }
            if LACKING.contains(&attr) && !own {
                self.pieces.insert("builtins");
                self.as_function(call, attribute, &format!("_mt_{attr}"));
                return;
            }
            if (attr == "sub" || attr == "subn")
                && !own
                && arguments.args.len() > 1
                && arguments.args.first().is_some_and(|repl| attr == "subn" || !certainly_text(repl))
            {
                self.pieces.insert("re");
                self.as_function(call, attribute, &format!("_mt_pattern_{attr}"));
                return;
            }
        }
        if last_name(&call.func).is_some_and(|name| name == "gather") && self.has_tools {
            self.visit_expr(&call.func);
            for argument in &arguments.args {
                match argument {
                    Expr::Starred(starred) if starred.value.is_name_expr() => {
                        self.pieces.insert("await");
                        self.edits.insert(start(starred.value.as_ref()), "_mt_awaitables(");
                        self.visit_expr(argument);
                        self.edits.insert(end(argument), ")");
                    }
                    Expr::Name(_) => self.awaited(argument),
                    _ => self.visit_expr(argument),
                }
            }
            for keyword in &arguments.keywords {
                self.visit_expr(&keyword.value);
            }
            return;
        }
        self.visit_expr(&call.func);
        self.arguments(call);
    }

    /// `value.method(arguments)` → `function(value, arguments)`.
    fn as_function(&mut self, call: &'a ExprCall, attribute: &'a ExprAttribute, function: &str) {
        self.edits.insert(start(call), format!("{function}("));
        self.visit_expr(&attribute.value);
        if let Some((dot, _)) =
            self.token(end(attribute.value.as_ref()), start(&attribute.attr), TokenKind::Dot)
        {
            let empty = call.arguments.args.is_empty() && call.arguments.keywords.is_empty();
            self.edits.replace(dot, start(&call.arguments) + 1, if empty { "" } else { ", " });
        }
        self.arguments(call);
    }

    pub(super) fn awaited(&mut self, expr: &'a Expr) {
        self.pieces.insert("await");
        self.edits.insert(start(expr), "_mt_awaitable(");
        self.visit_expr(expr);
        self.edits.insert(end(expr), ")");
    }
}

/// Whether an expression is certainly a text.
fn certainly_text(expr: &Expr) -> bool {
    match expr {
        Expr::StringLiteral(_) | Expr::FString(_) => true,
        Expr::BinOp(operation) => certainly_text(&operation.left) || certainly_text(&operation.right),
        Expr::Call(call) => match call.func.as_ref() {
            Expr::Name(name) => matches!(name.id.as_str(), "str" | "repr"),
            Expr::Attribute(attribute) => {
                matches!(attribute.attr.as_str(), "format" | "join" | "strip" | "lower" | "upper" | "replace")
            }
            _ => false,
        },
        _ => false,
    }
}
