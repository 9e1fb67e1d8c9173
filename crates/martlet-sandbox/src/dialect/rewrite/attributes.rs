//! Attributes that are read: those of `super()`, of modules, of types without an instance, properties, and the ones
//! with two underscores that the interpreter lacks.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr};
use ruff_python_ast::{Expr, ExprAttribute, ExprContext};

use super::{Rewrite, tuple};
use crate::dialect::modules;
use crate::dialect::syntax::{end, name, start};

impl<'a> Rewrite<'a, '_> {
    pub(super) fn attribute(&mut self, expr: &'a Expr, attribute: &'a ExprAttribute) {
        let attr = attribute.attr.as_str();
        // `super().name`
        if let Expr::Call(call) = attribute.value.as_ref()
            && name(&call.func) == Some("super")
            && let Some(class) = self.classes.last()
        {
            let (class, instance) = match &*call.arguments.args {
                [class, instance] => (self.text(class).to_owned(), self.text(instance).to_owned()),
                _ => (
                    class.clone(),
                    self.methods.last().cloned().flatten().unwrap_or_else(|| "self".to_owned()),
                ),
            };
            self.pieces.insert("classes");
            self.edits.replace(start(expr), end(expr), format!("_mt_super({class}, {instance}, '{attr}')"));
            return;
        }
        if attribute.ctx != ExprContext::Load {
            walk_expr(self, expr);
            return;
        }
        if let Some(module) = self.facts.module(&attribute.value) {
            let found = modules::added(module, attr).or_else(|| {
                // The interpreter's typing forms take no arguments outside of annotations.
                (module == "typing").then_some(("typing", "_mt_mod_typing"))
            });
            if let Some((piece, object)) = found {
                self.pieces.insert(piece);
                self.edits.replace(start(attribute.value.as_ref()), end(attribute.value.as_ref()), object);
            }
            return;
        }
        // A method of a type, without an instance.
        if self.is_type(&attribute.value) {
            let types = self.text(attribute.value.as_ref());
            match (types, attr) {
                ("str", "maketrans") | ("int", "from_bytes") => {
                    self.pieces.insert("builtins");
                    self.edits.replace(start(expr), end(expr), format!("_mt_{attr}"));
                }
                _ if attr.starts_with("__") || attr.starts_with("from") => walk_expr(self, expr),
                _ => self.edits.replace(
                    start(expr),
                    end(expr),
                    format!("(lambda _mt_o, *_mt_a, **_mt_k: _mt_o.{attr}(*_mt_a, **_mt_k))"),
                ),
            }
            return;
        }
        if self.facts.state.properties.contains(attr) {
            self.pieces.insert("classes");
            self.instead_of_attribute(attribute, "_mt_get(", &format!(", '{attr}')"));
            return;
        }
        match attr {
            "__class__" => self.instead_of_attribute(attribute, &format!("{}(", self.builtin("type")), ")"),
            "__name__" | "__qualname__"
                if !matches!(attribute.value.as_ref(), Expr::Call(call) if name(&call.func) == Some("type"))
                    && !matches!(attribute.value.as_ref(), Expr::Attribute(inner) if inner.attr.as_str() == "__class__") =>
            {
                self.pieces.insert("builtins");
                self.instead_of_attribute(attribute, "_mt_name(", ")");
            }
            "__dict__" => {
                self.pieces.insert("builtins");
                let names = tuple(&self.facts.state.attributes);
                self.instead_of_attribute(attribute, "_mt_vars(", &format!(", {names})"));
            }
            _ => walk_expr(self, expr),
        }
    }

    /// Wraps an attribute's value in a function and drops the attribute: `value.name` → `before value after`.
    fn instead_of_attribute(&mut self, attribute: &'a ExprAttribute, before: &str, after: &str) {
        self.edits.insert(start(attribute), before);
        self.visit_expr(&attribute.value);
        if let Some((dot, _)) =
            self.token(end(attribute.value.as_ref()), start(&attribute.attr), TokenKind::Dot)
        {
            self.edits.replace(dot, end(attribute), after);
        }
    }
}
