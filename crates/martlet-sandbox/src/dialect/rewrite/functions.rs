//! Functions and methods. The interpreter runs a function's decorators but not a method's: those come off, and a line
//! after the method does what they would have done.

use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_stmt};
use ruff_python_ast::{Expr, Stmt, StmtFunctionDef};

use super::Rewrite;
use crate::dialect::facts::{Kind, kind, member_name};
use crate::dialect::modules;
use crate::dialect::syntax::{end, last_name, start};

impl<'a> Rewrite<'a, '_> {
    pub(super) fn function(&mut self, stmt: &'a Stmt, function: &'a StmtFunctionDef) {
        self.protect(&function.name, start(function));
        let in_class = self.classes.last().is_some() && self.methods.len() < self.classes.len();
        if in_class {
            let first = function.parameters.iter().next().map(|parameter| parameter.name().to_string());
            self.methods.push(first);
        }
        self.depth += 1;
        if in_class && !function.decorator_list.is_empty() {
            self.method(function);
            self.visit_parameters(&function.parameters);
            function.body.iter().for_each(|stmt| self.visit_stmt(stmt));
            self.after_method(function);
        } else {
            // `@function.register`: the type is in the annotation, which is gone when the program runs.
            let first = function.parameters.iter().next().and_then(|parameter| parameter.annotation());
            for decorator in &function.decorator_list {
                if let (Expr::Attribute(attribute), Some(first)) = (&decorator.expression, first)
                    && attribute.attr.as_str() == "register"
                {
                    self.edits.insert(end(decorator), format!("({})", self.text(first)));
                }
            }
            walk_stmt(self, stmt);
        }
        self.depth -= 1;
        if in_class {
            self.methods.pop();
        }
    }

    /// Takes the decorators off a method.
    fn method(&mut self, function: &'a StmtFunctionDef) {
        for decorator in &function.decorator_list {
            self.edits.replace(start(decorator), end(decorator), "");
        }
        let member = member_name(function);
        if member != function.name.as_str() {
            let member = match kind(function) {
                Some((Kind::CachedProperty, _)) => format!("_mt_raw_{}", function.name),
                _ => member,
            };
            self.edits.replace(start(&function.name), end(&function.name), member);
        }
    }

    /// Says after a method what its decorators make of it.
    fn after_method(&mut self, function: &'a StmtFunctionDef) {
        let indent = self.source.indent_at(start(function)).to_owned();
        let member = member_name(function);
        let mut lines = Vec::new();
        for decorator in function.decorator_list.iter().rev() {
            let known = last_name(&decorator.expression);
            match known {
                Some(
                    "property" | "abstractproperty" | "setter" | "getter" | "deleter" | "abstractmethod"
                    | "override" | "final" | "classmethod" | "overload",
                ) => {}
                Some("staticmethod") => {
                    self.pieces.insert("classes");
                    lines.push(format!("{member} = _mt_Static({member})"));
                }
                Some("cached_property") => {
                    self.pieces.insert("classes");
                    lines.push(format!("{member} = _mt_cached_property('{0}', _mt_raw_{0})", function.name));
                }
                _ => {
                    // An own decorator: what it gives is the member.
                    let mut text = self.text(&decorator.expression).to_owned();
                    if let Some((module, name)) = self.facts.resolve(match &decorator.expression {
                        Expr::Call(call) => &call.func,
                        other => other,
                    }) && matches!(&decorator.expression, Expr::Attribute(_))
                        && let Some((piece, object)) = modules::added(module, name)
                    {
                        self.pieces.insert(piece);
                        text = format!("{object}.{name}");
                    }
                    lines.push(format!("{member} = ({text})({member})"));
                }
            }
        }
        for line in lines {
            self.edits.insert(end(function), format!("\n{indent}{line}"));
        }
    }
}
