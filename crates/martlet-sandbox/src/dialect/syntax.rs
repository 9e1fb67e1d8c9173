//! Small questions about a syntax tree.

use ruff_python_ast::Expr;
use ruff_python_ast::token::{Token, TokenKind, Tokens};
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr};
use ruff_text_size::{Ranged, TextRange, TextSize};

/// A place as an index of bytes.
pub(super) fn at(size: TextSize) -> usize {
    size.to_usize()
}

pub(super) fn start(node: &(impl Ranged + ?Sized)) -> usize {
    at(node.start())
}

pub(super) fn end(node: &(impl Ranged + ?Sized)) -> usize {
    at(node.end())
}

/// The tokens that lie between two places.
pub(super) fn tokens_in(tokens: &Tokens, from: usize, to: usize) -> &[Token] {
    let first = tokens.partition_point(|token| start(token) < from);
    let last = tokens.partition_point(|token| start(token) < to);
    tokens.get(first..last.max(first)).unwrap_or_default()
}

/// The first token of a kind between two places.
pub(super) fn find_token(tokens: &Tokens, from: usize, to: usize, kind: TokenKind) -> Option<TextRange> {
    tokens_in(tokens, from, to).iter().find(|token| token.kind() == kind).map(Ranged::range)
}

/// The last part of a dotted name, of a call's function or of a subscript's value.
pub(super) fn last_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name) => Some(name.id.as_str()),
        Expr::Attribute(attribute) => Some(attribute.attr.as_str()),
        Expr::Call(call) => last_name(&call.func),
        Expr::Subscript(subscript) => last_name(&subscript.value),
        _ => None,
    }
}

/// The name that an expression is.
pub(super) fn name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name) => Some(name.id.as_str()),
        _ => None,
    }
}

/// Whether an expression yields for the function it belongs to.
pub(super) fn yields(expr: &Expr) -> bool {
    any(expr, &|inner| matches!(inner, Expr::Yield(_) | Expr::YieldFrom(_)))
}

/// Whether a condition holds for an expression or a part of it.
pub(super) fn any(expr: &Expr, condition: &dyn Fn(&Expr) -> bool) -> bool {
    struct Search<'c> {
        condition: &'c dyn Fn(&Expr) -> bool,
        found: bool,
    }
    impl<'a> SourceOrderVisitor<'a> for Search<'_> {
        fn visit_expr(&mut self, expr: &'a Expr) {
            self.found |= (self.condition)(expr);
            if !self.found {
                walk_expr(self, expr);
            }
        }
    }
    let mut search = Search { condition, found: false };
    search.visit_expr(expr);
    search.found
}

/// Whether evaluating an expression twice is the same as evaluating it once: names, attributes and constant indices.
pub(super) fn repeatable(expr: &Expr) -> bool {
    match expr {
        Expr::Name(_) | Expr::StringLiteral(_) | Expr::NumberLiteral(_) => true,
        Expr::Attribute(attribute) => repeatable(&attribute.value),
        Expr::Subscript(subscript) => repeatable(&subscript.value) && repeatable(&subscript.slice),
        _ => false,
    }
}
