//! Questions that the interpreter does not put to a class: whether its instance is true, and which of two is the
//! smaller. Functions of the prelude ask.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr};
use ruff_python_ast::{CmpOp, Expr};

use super::Rewrite;
use crate::dialect::syntax::{self, end, start};

impl<'a> Rewrite<'a, '_> {
    /// An expression that is asked whether it is true: the interpreter does not ask its class.
    pub(super) fn truth(&mut self, expr: &'a Expr) {
        let asks = ["__bool__", "__len__"].iter().any(|name| self.facts.state.dunders.contains(*name));
        match expr {
            _ if !asks => self.visit_expr(expr),
            Expr::BoolOp(operation) => operation.values.iter().for_each(|value| self.truth(value)),
            Expr::Name(_) | Expr::Attribute(_) | Expr::Call(_) | Expr::Subscript(_) => {
                self.pieces.insert("classes");
                self.edits.insert(start(expr), "_mt_true(");
                self.visit_expr(expr);
                self.edits.insert(end(expr), ")");
            }
            _ => self.visit_expr(expr),
        }
    }

    pub(super) fn compare(&mut self, expr: &'a Expr) {
        let Expr::Compare(compare) = expr else { return };
        let helper = match &*compare.ops {
            [CmpOp::Lt] => "_mt_lt",
            [CmpOp::Gt] => "_mt_gt",
            [CmpOp::LtE] => "_mt_le",
            [CmpOp::GtE] => "_mt_ge",
            _ => "",
        };
        let number = |expr: &Expr| matches!(expr, Expr::NumberLiteral(_) | Expr::StringLiteral(_));
        if let [left, right] = &*compare.operands
            && !helper.is_empty()
            && self.facts.ordered()
            && !(number(left) && number(right))
        {
            let kinds = [TokenKind::Less, TokenKind::Greater, TokenKind::LessEqual, TokenKind::GreaterEqual];
            let operator = syntax::tokens_in(self.tokens, end(left), start(right))
                .iter()
                .find(|token| kinds.contains(&token.kind()));
            if let Some(operator) = operator {
                let (from, to) = (start(operator), end(operator));
                self.pieces.insert("classes");
                self.edits.insert(start(expr), format!("{helper}("));
                self.visit_expr(left);
                self.edits.replace(from, to, ",");
                self.visit_expr(right);
                self.edits.insert(end(expr), ")");
                return;
            }
        }
        walk_expr(self, expr);
    }
}
