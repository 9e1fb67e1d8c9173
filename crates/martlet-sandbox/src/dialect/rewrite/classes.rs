//! Classes. The interpreter's have no bases: a class that inherits is written without them, and a decorator of the
//! prelude gives it what it inherits.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::visitor::source_order::SourceOrderVisitor;
use ruff_python_ast::{Expr, Stmt, StmtClassDef, StmtFunctionDef};

use super::{Rewrite, joined, tuple};
use crate::dialect::facts::{Kind, kind, members};
use crate::dialect::syntax::{end, last_name, name, start};

impl<'a> Rewrite<'a, '_> {
    pub(super) fn class(&mut self, class: &'a StmtClassDef) {
        self.protect(&class.name, start(class));
        let keyword = self
            .token(
                class.decorator_list.last().map_or(start(class), end),
                start(&class.name),
                TokenKind::Class,
            )
            .map_or(start(class), |found| found.0);
        let mut bases = Vec::new();
        let mut lower = false;
        let mut foreign = false;
        if let Some(arguments) = &class.arguments {
            for base in &arguments.args {
                let Some(last) = last_name(base) else {
                    foreign = true;
                    continue;
                };
                match last {
                    "object" | "Generic" | "Protocol" | "ABC" => {}
                    "Enum" | "IntEnum" | "StrEnum" | "NamedTuple" | "TypedDict" => {
                        bases.push(format!("_mt_{last}"))
                    }
                    _ => {
                        let text = match base {
                            Expr::Subscript(subscript) => self.text(subscript.value.as_ref()),
                            _ => self.text(base),
                        };
                        match self.facts.state.classes.get(last) {
                            Some(members) if name(base).is_some() => {
                                bases.push(format!("({text}, {})", tuple(members)));
                            }
                            _ => bases.push(text.to_owned()),
                        }
                    }
                }
            }
            for keyword in &arguments.keywords {
                let known = keyword.arg.as_ref().is_some_and(|name| match name.as_str() {
                    "metaclass" => last_name(&keyword.value) == Some("ABCMeta"),
                    "total" => true,
                    _ => false,
                });
                foreign |= !known;
            }
            // A metaclass stays where it is, for the interpreter to refuse.
            if !foreign {
                lower = !arguments.args.is_empty() || !arguments.keywords.is_empty();
            }
        }
        let methods: Vec<&StmtFunctionDef> = class
            .body
            .iter()
            .filter_map(|stmt| match stmt {
                Stmt::FunctionDef(function) => Some(function),
                _ => None,
            })
            .collect();
        lower |= methods
            .iter()
            .any(|method| kind(method).is_some_and(|(kind, is_abstract)| kind == Kind::Class || is_abstract));
        lower |= methods.iter().any(|method| method.name.as_str() == "__len__");
        self.ordered_dataclass(class);
        if lower && !foreign {
            self.pieces.insert("classes");
            let blank: Vec<String> = methods
                .iter()
                .filter(|method| kind(method).is_some_and(|(_, is_abstract)| is_abstract))
                .map(|method| method.name.to_string())
                .collect();
            let blank = if blank.is_empty() { String::new() } else { format!(", {}", tuple(&blank)) };
            let indent = self.source.indent_at(keyword);
            let call =
                format!("@_mt_class(({}), {}{blank})\n{indent}", joined(&bases), tuple(&members(class)));
            for decorator in &class.decorator_list {
                self.visit_decorator(decorator);
            }
            self.edits.insert(keyword, call);
        } else {
            for decorator in &class.decorator_list {
                self.visit_decorator(decorator);
            }
        }
        if methods.iter().any(|method| kind(method).is_some_and(|(kind, _)| kind != Kind::Plain)) {
            self.pieces.insert("classes");
        }
        if !foreign && let Some(arguments) = &class.arguments {
            self.edits.replace(start(arguments.as_ref()), end(arguments.as_ref()), "");
        }
        self.classes.push(class.name.to_string());
        self.depth += 1;
        for stmt in &class.body {
            self.visit_stmt(stmt);
        }
        self.depth -= 1;
        self.classes.pop();
    }

    /// `@dataclass(order=True)`: the interpreter's dataclasses have no order.
    fn ordered_dataclass(&mut self, class: &'a StmtClassDef) {
        for decorator in &class.decorator_list {
            if last_name(&decorator.expression) == Some("dataclass")
                && let Expr::Call(call) = &decorator.expression
                && let Some(keyword) = call.arguments.find_keyword("order")
            {
                self.pieces.insert("classes");
                let indent = self.source.indent_at(start(class));
                self.edits.insert(start(class), format!("@_mt_ordered\n{indent}"));
                self.edits.replace(start(keyword), end(keyword), "eq=True");
            }
        }
    }
}
