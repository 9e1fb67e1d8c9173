//! The changes of one program's text, but for generator functions. [`Rewrite`] walks the tree in the order of the text,
//! and each module below knows one kind of statement or expression: it notes the edits, names the pieces of the
//! prelude that they need, and walks on into the parts. What nobody asks for keeps its text.

use std::collections::{BTreeSet, HashSet};

use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_ast::visitor::source_order::{
    SourceOrderVisitor, walk_expr, walk_interpolated_string_element, walk_stmt,
};
use ruff_python_ast::{Expr, ExprContext, InterpolatedStringElement, Stmt, UnaryOp};
use ruff_text_size::Ranged;

use super::Problem;
use super::edits::{Edits, Source};
use super::facts::Facts;
use super::syntax::{self, end, name, start};

mod assignments;
mod attributes;
mod callbacks;
mod calls;
mod classes;
mod deletions;
mod exceptions;
mod functions;
mod generator_expressions;
mod imports;
mod names;
mod operators;

pub(super) use names::BUILTINS;

pub(super) struct Rewrite<'a, 'f> {
    source: &'a Source,
    tokens: &'a Tokens,
    facts: &'f Facts<'a>,
    is_tool: &'f dyn Fn(&str) -> bool,
    imports: &'f [String],
    pub(super) has_tools: bool,
    pub(super) later: HashSet<usize>,
    pub(super) edits: Edits,
    pub(super) pieces: BTreeSet<&'static str>,
    pub(super) problem: Option<Problem>,
    /// The classes around the place, and the first parameters of the methods around it.
    classes: Vec<String>,
    methods: Vec<Option<String>>,
    /// How many functions and classes are around the place, and how many `try` blocks.
    depth: usize,
    tries: usize,
}

impl<'a, 'f> Rewrite<'a, 'f> {
    pub(super) fn new(
        source: &'a Source,
        tokens: &'a Tokens,
        facts: &'f Facts<'a>,
        is_tool: &'f dyn Fn(&str) -> bool,
        imports: &'f [String],
    ) -> Self {
        Self {
            source,
            tokens,
            facts,
            is_tool,
            imports,
            has_tools: false,
            later: HashSet::new(),
            edits: Edits::default(),
            pieces: BTreeSet::new(),
            problem: None,
            classes: Vec::new(),
            methods: Vec::new(),
            depth: 0,
            tries: 0,
        }
    }

    pub(super) fn program(&mut self, body: &'a [Stmt]) {
        body.iter().for_each(|stmt| self.visit_stmt(stmt));
        // The value of a program whose last statement is an assignment is what it assigned.
        let target = match body.last() {
            Some(Stmt::Assign(assign)) => assign.targets.last().and_then(name),
            Some(Stmt::AnnAssign(assign)) if assign.value.is_some() => name(&assign.target),
            Some(Stmt::AugAssign(assign)) => name(&assign.target),
            _ => None,
        };
        if let (Some(target), Some(last)) = (target, body.last()) {
            self.edits.insert(end(last), format!("\n{target}"));
        }
    }

    fn text(&self, node: &impl Ranged) -> &'a str {
        self.source.text.get(start(node)..end(node)).unwrap_or_default()
    }

    fn fail(&mut self, kind: &'static str, message: String, place: usize) {
        if self.problem.is_none() {
            self.problem = Some(Problem { kind, message, place });
        }
    }

    fn token(&self, from: usize, to: usize, kind: TokenKind) -> Option<(usize, usize)> {
        syntax::find_token(self.tokens, from, to, kind)
            .map(|range| (syntax::at(range.start()), syntax::at(range.end())))
    }
}

impl<'a> SourceOrderVisitor<'a> for Rewrite<'a, '_> {
    // The interpreter does not evaluate annotations.
    fn visit_annotation(&mut self, _: &'a Expr) {}

    fn visit_interpolated_string_element(&mut self, element: &'a InterpolatedStringElement) {
        // `{x=}` shows its own text.
        if let InterpolatedStringElement::Interpolation(inner) = element
            && inner.debug_text.is_some()
        {
            return;
        }
        walk_interpolated_string_element(self, element);
    }

    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Import(import) => self.import(import),
            Stmt::ImportFrom(import) => self.import_from(import),
            Stmt::Delete(delete) => self.delete(delete),
            Stmt::ClassDef(class) => self.class(class),
            Stmt::FunctionDef(function) => self.function(stmt, function),
            Stmt::Try(inner) => self.attempt(inner),
            Stmt::AugAssign(assign) => self.augment(stmt, assign),
            Stmt::Raise(raise) => self.raise(stmt, raise),
            Stmt::Assign(assign) => self.assign(stmt, assign),
            Stmt::With(with) if with.is_async => {
                if let Some((from, _)) = self.token(start(stmt), end(stmt), TokenKind::With) {
                    self.edits.replace(start(stmt), from, "");
                }
                walk_stmt(self, stmt);
            }
            Stmt::If(inner) => {
                self.truth(&inner.test);
                inner.body.iter().for_each(|stmt| self.visit_stmt(stmt));
                for clause in &inner.elif_else_clauses {
                    if let Some(test) = &clause.test {
                        self.truth(test);
                    }
                    clause.body.iter().for_each(|stmt| self.visit_stmt(stmt));
                }
            }
            Stmt::While(inner) => {
                self.truth(&inner.test);
                inner.body.iter().chain(&inner.orelse).for_each(|stmt| self.visit_stmt(stmt));
            }
            Stmt::TypeAlias(alias) => self.edits.replace(start(stmt), start(alias.name.as_ref()), ""),
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) => match name.ctx {
                ExprContext::Load => self.name_read(expr, &name.id),
                ExprContext::Store => self.protect(&name.id, start(expr)),
                _ => {}
            },
            Expr::Attribute(attribute) => self.attribute(expr, attribute),
            Expr::Call(call) => self.call(expr, call),
            Expr::Compare(_) => self.compare(expr),
            Expr::If(inner) => {
                self.visit_expr(&inner.body);
                self.truth(&inner.test);
                self.visit_expr(&inner.orelse);
            }
            Expr::UnaryOp(inner) if inner.op == UnaryOp::Not => self.truth(&inner.operand),
            Expr::Await(inner)
                if self.has_tools
                    && matches!(*inner.value, Expr::Name(_) | Expr::Subscript(_) | Expr::Attribute(_)) =>
            {
                self.awaited(&inner.value);
            }
            Expr::Lambda(_)
            | Expr::ListComp(_)
            | Expr::SetComp(_)
            | Expr::DictComp(_)
            | Expr::Generator(_) => {
                self.depth += 1;
                walk_expr(self, expr);
                self.depth -= 1;
            }
            _ => walk_expr(self, expr),
        }
    }
}

/// A tuple of texts, as Python writes it.
fn tuple(names: &[String]) -> String {
    let parts: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("({})", joined(&parts))
}

fn joined(parts: &[String]) -> String {
    let mut out = parts.join(", ");
    if parts.len() == 1 {
        out.push(',');
    }
    out
}
