//! Generators that call tools: the function collects all its values in a list and returns the list's iterator.

use ruff_python_ast::token::Tokens;
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr, walk_stmt};
use ruff_python_ast::{Expr, Stmt, StmtFunctionDef};

use super::after_header;
use crate::dialect::edits::{Edits, Source};
use crate::dialect::syntax::{end, start};

/// Collects all values at once.
pub(super) fn eager(source: &Source, function: &StmtFunctionDef, tokens: &Tokens, edits: &mut Edits) {
    struct Collect<'s> {
        edits: &'s mut Edits,
    }
    impl<'a> SourceOrderVisitor<'a> for Collect<'_> {
        fn visit_stmt(&mut self, stmt: &'a Stmt) {
            match stmt {
                Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {}
                Stmt::Return(_) => self.edits.replace(start(stmt), end(stmt), "return iter(_mt_out)"),
                _ => walk_stmt(self, stmt),
            }
        }
        fn visit_expr(&mut self, expr: &'a Expr) {
            match expr {
                Expr::Lambda(_) => {}
                Expr::Yield(inner) => match &inner.value {
                    Some(value) => {
                        // A tuple without parentheses must not become several arguments.
                        self.edits.replace(start(expr), start(value.as_ref()), "_mt_out.append((");
                        self.visit_expr(value);
                        self.edits.insert(end(expr), "))");
                    }
                    None => self.edits.replace(start(expr), end(expr), "_mt_out.append(None)"),
                },
                Expr::YieldFrom(inner) => {
                    self.edits.replace(start(expr), start(inner.value.as_ref()), "_mt_out.extend((");
                    self.visit_expr(&inner.value);
                    self.edits.insert(end(expr), "))");
                }
                _ => walk_expr(self, expr),
            }
        }
    }
    let (Some(header), Some(first)) = (after_header(function, tokens), function.body.first()) else { return };
    let own_line = source.starts_line(start(first));
    let indent = if own_line {
        source.indent_at(start(first)).to_owned()
    } else {
        format!("{}    ", source.indent_at(start(function)))
    };
    if own_line {
        edits.insert(header, format!("\n{indent}_mt_out = []"));
    } else {
        edits.replace(header, start(first), format!("\n{indent}_mt_out = []\n{indent}"));
    }
    let mut collect = Collect { edits };
    function.body.iter().for_each(|stmt| collect.visit_stmt(stmt));
    edits.insert(end(function), format!("\n{indent}return iter(_mt_out)"));
}
