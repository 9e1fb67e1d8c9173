//! Exceptions. The interpreter raises and catches only its own: an exception of the program's own class travels inside
//! one of these, is wrapped where it is raised and unwrapped where it is caught.

use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_stmt};
use ruff_python_ast::{ExceptHandler, Expr, Stmt, StmtRaise, StmtTry};

use super::Rewrite;
use crate::dialect::facts::EXCEPTIONS;
use crate::dialect::syntax::{end, start};

impl<'a> Rewrite<'a, '_> {
    pub(super) fn raise(&mut self, stmt: &'a Stmt, raise: &'a StmtRaise) {
        match &raise.exc {
            Some(exception)
                if !self.facts.state.exceptions.is_empty()
                    && !matches!(exception.as_ref(), Expr::Call(call) if self.is_plain_exception(&call.func)) =>
            {
                self.pieces.insert("classes");
                self.edits.insert(start(exception.as_ref()), "_mt_raise(");
                self.visit_expr(exception);
                self.edits.insert(end(exception.as_ref()), ")");
            }
            _ => walk_stmt(self, stmt),
        }
    }

    pub(super) fn attempt(&mut self, stmt: &'a StmtTry) {
        self.tries += 1;
        stmt.body.iter().for_each(|stmt| self.visit_stmt(stmt));
        self.tries -= 1;
        for handler in &stmt.handlers {
            let ExceptHandler::ExceptHandler(handler) = handler;
            if let Some(name) = &handler.name {
                self.protect(name, start(handler));
            }
            if !self.facts.state.exceptions.is_empty() && !stmt.is_star {
                self.pieces.insert("classes");
                if let Some(types) = &handler.type_ {
                    let plain = match types.as_ref() {
                        Expr::Tuple(tuple) => tuple.elts.iter().all(|one| self.is_plain_exception(one)),
                        other => self.is_plain_exception(other),
                    };
                    if !plain {
                        self.edits.insert(start(types.as_ref()), "_mt_match(");
                        self.visit_expr(types);
                        self.edits.insert(end(types.as_ref()), ")");
                    }
                }
                if let (Some(name), Some(first)) = (&handler.name, handler.body.first()) {
                    let place = start(first);
                    let line = if self.source.starts_line(place) {
                        format!("{name} = _mt_caught({name})\n{}", self.source.indent_at(place))
                    } else {
                        format!("{name} = _mt_caught({name}); ")
                    };
                    self.edits.insert(place, line);
                }
            } else if let Some(types) = &handler.type_ {
                self.visit_expr(types);
            }
            handler.body.iter().for_each(|stmt| self.visit_stmt(stmt));
        }
        stmt.orelse.iter().for_each(|stmt| self.visit_stmt(stmt));
        stmt.finalbody.iter().for_each(|stmt| self.visit_stmt(stmt));
    }

    fn is_plain_exception(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Name(name) => {
                EXCEPTIONS.contains(&name.id.as_str()) && !self.facts.bound.contains(name.id.as_str())
            }
            Expr::Attribute(attribute) => {
                self.facts.module(&attribute.value).is_some()
                    && !self.facts.state.exceptions.contains(attribute.attr.as_str())
            }
            _ => false,
        }
    }

    /// Makes one text of an exception's arguments: the interpreter's exceptions carry nothing else.
    pub(super) fn as_text(&mut self, first: &'a Expr, last: &'a Expr, several: bool) {
        let (opening, after) = if several { ("((", ",))") } else { ("(", ")") };
        let before = format!("{}{opening}", self.builtin("str"));
        self.edits.insert(start(first), before);
        if start(first) == start(last) {
            self.visit_expr(first);
        }
        self.edits.insert(end(last), after);
    }
}
