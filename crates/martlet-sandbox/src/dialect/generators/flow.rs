//! What a statement does to the flow of its function: whether it yields, returns, or leaves a loop around it. What
//! belongs to a nested function does not count.

use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr, walk_stmt};
use ruff_python_ast::{Expr, Stmt};

/// Whether statements `yield` for the function that they belong to.
pub(super) fn has_yield(body: &[Stmt]) -> bool {
    let mut scan = Scan::default();
    body.iter().for_each(|stmt| scan.visit_stmt(stmt));
    scan.yields
}

/// What a statement does to the flow of its function.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) yields: bool,
    pub(super) returns: bool,
    /// A `break` or `continue` of a loop around the statement.
    pub(super) leaves_loop: bool,
    depth: usize,
}

impl<'a> SourceOrderVisitor<'a> for Scan {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) => {
                for decorator in &function.decorator_list {
                    self.visit_expr(&decorator.expression);
                }
            }
            Stmt::ClassDef(_) => {}
            Stmt::Return(_) => {
                self.returns = true;
                walk_stmt(self, stmt);
            }
            Stmt::Break(_) | Stmt::Continue(_) => self.leaves_loop |= self.depth == 0,
            Stmt::For(_) | Stmt::While(_) => {
                self.depth += 1;
                walk_stmt(self, stmt);
                self.depth -= 1;
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Yield(_) | Expr::YieldFrom(_) => self.yields = true,
            Expr::Lambda(_) => return,
            _ => {}
        }
        walk_expr(self, expr);
    }
}

pub(super) fn scan(stmt: &Stmt) -> Scan {
    let mut scan = Scan::default();
    scan.visit_stmt(stmt);
    scan
}
