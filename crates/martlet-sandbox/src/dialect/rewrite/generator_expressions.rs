//! Generator expressions that are advanced by hand. The interpreter makes a list of each: a simple one becomes a lazy
//! object of the prelude, any other an iterator over that list.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::visitor::source_order::SourceOrderVisitor;
use ruff_python_ast::{Expr, ExprGenerator};

use super::Rewrite;
use crate::dialect::syntax::{self, end, name, start};

impl<'a> Rewrite<'a, '_> {
    /// A generator expression that is advanced by hand.
    pub(super) fn generator(&mut self, generator: &'a ExprGenerator) {
        let plain = |expr: &Expr| {
            !syntax::any(expr, &|inner| {
                matches!(inner, Expr::Await(_) | Expr::Named(_) | Expr::Yield(_) | Expr::YieldFrom(_))
                    || matches!(inner, Expr::Call(call) if name(&call.func).is_some_and(|name| {
                        (self.is_tool)(name) || self.facts.state.calling.contains(name)
                    }))
            })
        };
        let open = usize::from(generator.parenthesized);
        let (from, to) = (start(generator), end(generator));
        if let [part] = generator.generators.as_slice()
            && let Some(target) = name(&part.target)
            && !part.is_async
            && plain(&generator.elt)
            && part.ifs.iter().all(plain)
            && let Some((f, _)) = self.token(end(generator.elt.as_ref()), start(&part.target), TokenKind::For)
            && let Some((_, i)) = self.token(end(&part.target), start(&part.iter), TokenKind::In)
        {
            self.pieces.insert("generators");
            if open == 1 {
                self.edits.insert(from, "_mt_lazy");
                self.edits.insert(from + 1, format!("lambda {target}: "));
            } else {
                self.edits.insert(from, format!("_mt_lazy(lambda {target}: "));
            }
            self.visit_expr(&generator.elt);
            self.edits.replace(f, i, ",");
            self.visit_expr(&part.iter);
            let mut last = end(&part.iter);
            for condition in &part.ifs {
                if let Some((from, to)) = self.token(last, start(condition), TokenKind::If) {
                    self.edits.replace(from, to, format!(", lambda {target}:"));
                }
                self.visit_expr(condition);
                last = end(condition);
            }
            if open == 0 {
                self.edits.insert(to, ")");
            }
            return;
        }
        self.edits.insert(from, if open == 1 { "iter(" } else { "iter((" });
        walk_expr_generator(self, generator);
        self.edits.insert(to, if open == 1 { ")" } else { "))" });
    }
}

fn walk_expr_generator<'a>(visitor: &mut Rewrite<'a, '_>, generator: &'a ExprGenerator) {
    visitor.visit_expr(&generator.elt);
    for part in &generator.generators {
        visitor.visit_comprehension(part);
    }
}
