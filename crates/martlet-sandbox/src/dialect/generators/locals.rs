//! The names that a generator function binds. Its states live in a nested function and share them as `nonlocal`, which
//! has to name each one.

use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr, walk_stmt};
use ruff_python_ast::{ExceptHandler, Expr, Stmt};

/// The names that a function binds, without its parameters.
#[derive(Default)]
pub(super) struct Locals {
    pub(super) names: Vec<String>,
    pub(super) outer: Vec<String>,
    pub(super) globals: Vec<String>,
    depth: usize,
}

impl Locals {
    fn bind(&mut self, name: &str) {
        if self.depth == 0 && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}

impl<'a> SourceOrderVisitor<'a> for Locals {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) => self.bind(&function.name),
            Stmt::ClassDef(class) => self.bind(&class.name),
            Stmt::Global(names) => self.globals.extend(names.names.iter().map(|name| name.to_string())),
            Stmt::Nonlocal(names) => self.outer.extend(names.names.iter().map(|name| name.to_string())),
            Stmt::Import(import) => {
                for alias in &import.names {
                    let name = alias.asname.as_ref().unwrap_or(&alias.name).to_string();
                    self.bind(name.split('.').next().unwrap_or_default());
                }
            }
            Stmt::ImportFrom(import) => {
                for alias in &import.names {
                    self.bind(alias.asname.as_ref().unwrap_or(&alias.name));
                }
            }
            Stmt::Try(inner) => {
                for handler in &inner.handlers {
                    let ExceptHandler::ExceptHandler(handler) = handler;
                    if let Some(name) = &handler.name {
                        self.bind(name);
                    }
                }
                walk_stmt(self, stmt);
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) if name.ctx.is_store() || name.ctx.is_del() => self.bind(&name.id),
            Expr::Named(named) => {
                if let Expr::Name(name) = named.target.as_ref() {
                    let depth = std::mem::take(&mut self.depth);
                    self.bind(&name.id);
                    self.depth = depth;
                }
                self.visit_expr(&named.value);
            }
            Expr::ListComp(_)
            | Expr::SetComp(_)
            | Expr::DictComp(_)
            | Expr::Generator(_)
            | Expr::Lambda(_) => {
                self.depth += 1;
                walk_expr(self, expr);
                self.depth -= 1;
            }
            _ => walk_expr(self, expr),
        }
    }
}
