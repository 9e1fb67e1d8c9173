//! Assignments. Properties are set by a function of the prelude, and so is what a class computes in place; a method or
//! a generator expression that the program will call or advance by its new name becomes something that can be.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_stmt};
use ruff_python_ast::{Expr, Operator, Stmt, StmtAssign, StmtAugAssign};

use super::Rewrite;
use crate::dialect::syntax::{self, end, name, start};

impl<'a> Rewrite<'a, '_> {
    pub(super) fn assign(&mut self, stmt: &'a Stmt, assign: &'a StmtAssign) {
        if let [Expr::Attribute(attribute)] = &*assign.targets
            && self.facts.state.properties.contains(attribute.attr.as_str())
            && let Some((_, after)) =
                self.token(end(attribute), start(assign.value.as_ref()), TokenKind::Equal)
            && let Some((dot, _)) =
                self.token(end(attribute.value.as_ref()), start(&attribute.attr), TokenKind::Dot)
        {
            self.pieces.insert("classes");
            self.edits.insert(start(stmt), "_mt_set(");
            self.visit_expr(&attribute.value);
            self.edits.replace(dot, after, format!(", '{}', (", attribute.attr));
            self.visit_expr(&assign.value);
            self.edits.insert(end(stmt), "))");
            return;
        }
        for target in &assign.targets {
            self.visit_expr(target);
        }
        match (&*assign.targets, assign.value.as_ref()) {
            // A method that the program calls by its own name.
            ([Expr::Name(target)], value @ Expr::Attribute(_))
                if self.facts.called.contains(target.id.as_str()) =>
            {
                self.callback(value);
            }
            ([Expr::Name(target)], Expr::Generator(generator))
                if self.facts.advanced.contains(target.id.as_str()) =>
            {
                self.generator(generator);
            }
            (_, value) => self.visit_expr(value),
        }
    }

    pub(super) fn augment(&mut self, stmt: &'a Stmt, assign: &'a StmtAugAssign) {
        if let Some(bound) = name(&assign.target) {
            self.protect(bound, start(stmt));
        }
        let operator = match assign.op {
            Operator::Add => "iadd",
            Operator::Sub => "isub",
            Operator::Mult => "imul",
            Operator::Div => "itruediv",
            Operator::BitOr => "ior",
            Operator::BitAnd => "iand",
            _ => "",
        };
        let own = !operator.is_empty() && self.facts.state.dunders.contains(&format!("__{operator}__"));
        let property = match assign.target.as_ref() {
            Expr::Attribute(attribute) => self.facts.state.properties.contains(attribute.attr.as_str()),
            _ => false,
        };
        if !(own || property) || !syntax::repeatable(&assign.target) {
            walk_stmt(self, stmt);
            return;
        }
        self.pieces.insert("classes");
        let target = self.text(assign.target.as_ref());
        let symbol = assign.op.as_str();
        if property && let Expr::Attribute(attribute) = assign.target.as_ref() {
            let (object, name) = (self.text(attribute.value.as_ref()), attribute.attr.as_str());
            let before = format!("_mt_set({object}, '{name}', _mt_get({object}, '{name}') {symbol} (");
            self.edits.replace(start(stmt), start(assign.value.as_ref()), before);
            self.visit_expr(&assign.value);
            self.edits.insert(end(stmt), "))");
        } else {
            self.edits.replace(
                start(stmt),
                start(assign.value.as_ref()),
                format!("{target} = _mt_{operator}({target}, ("),
            );
            self.visit_expr(&assign.value);
            self.edits.insert(end(stmt), "))");
        }
    }
}
