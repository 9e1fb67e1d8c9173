//! Statements that do not yield: they keep their text, but for the `return`, `break` and `continue` that leave them.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_stmt};
use ruff_python_ast::{Expr, Stmt};

use super::{Around, Line, Lowering};
use crate::dialect::generators::flow::scan;
use crate::dialect::syntax::{self, end, start};

impl Lowering<'_> {
    /// A statement that keeps its text, but for what leaves it.
    pub(super) fn native(&mut self, stmt: &Stmt, around: Around) {
        struct Exits<'e> {
            edits: Vec<(usize, usize, String)>,
            stop: &'e str,
            next: &'e str,
            finish: &'e dyn Fn(Option<&Expr>) -> String,
            depth: usize,
        }
        impl<'a> SourceOrderVisitor<'a> for Exits<'_> {
            fn visit_stmt(&mut self, stmt: &'a Stmt) {
                match stmt {
                    Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {}
                    Stmt::Return(inner) => {
                        self.edits.push((start(stmt), end(stmt), (self.finish)(inner.value.as_deref())));
                    }
                    Stmt::Break(_) if self.depth == 0 => {
                        self.edits.push((start(stmt), end(stmt), self.stop.to_owned()));
                    }
                    Stmt::Continue(_) if self.depth == 0 => {
                        self.edits.push((start(stmt), end(stmt), self.next.to_owned()));
                    }
                    Stmt::For(_) | Stmt::While(_) => {
                        self.depth += 1;
                        walk_stmt(self, stmt);
                        self.depth -= 1;
                    }
                    _ => walk_stmt(self, stmt),
                }
            }
            fn visit_expr(&mut self, _: &'a Expr) {}
        }
        let (stop, next) = match (around.exit, around.next) {
            (Some((done, depth)), Some(head)) => {
                let flow = scan(stmt);
                if flow.leaves_loop {
                    (self.leave(done, depth), self.leave(head, depth))
                } else {
                    (String::new(), String::new())
                }
            }
            _ => ("break".to_owned(), "continue".to_owned()),
        };
        let source = self.source;
        let finals = self.finish("\u{0}");
        let finish = move |value: Option<&Expr>| {
            let text = value
                .and_then(|value| source.text.get(start(value)..end(value)))
                .map_or_else(|| "None".to_owned(), |text| format!("({text})"));
            finals.replace('\u{0}', &text)
        };
        let mut exits = Exits { edits: Vec::new(), stop: &stop, next: &next, finish: &finish, depth: 0 };
        exits.visit_stmt(stmt);
        let mut text = String::new();
        let mut at_byte = start(stmt);
        for (from, to, replacement) in &exits.edits {
            text.push_str(source.text.get(at_byte..*from).unwrap_or_default());
            text.push_str(replacement);
            at_byte = *to;
        }
        text.push_str(source.text.get(at_byte..end(stmt)).unwrap_or_default());
        let indent = source.indent_at(start(stmt)).to_owned();
        let first = source.line_at(start(stmt));
        let inside = self.lines_inside_texts(stmt);
        for (index, line) in text.split('\n').enumerate() {
            let number = first + u32::try_from(index).unwrap_or(0);
            if index > 0 && inside.contains(&number) {
                self.push_raw(line, number);
                continue;
            }
            let stripped = if index == 0 {
                line
            } else {
                line.strip_prefix(indent.as_str()).unwrap_or_else(|| line.trim_start())
            };
            if let Some(state) = self.states.get_mut(self.current) {
                state.push(Line { indent: 0, text: stripped.to_owned(), origin: number });
            }
        }
    }

    fn push_raw(&mut self, line: &str, origin: u32) {
        if let Some(state) = self.states.get_mut(self.current) {
            state.push(Line { indent: usize::MAX, text: line.to_owned(), origin });
        }
    }

    /// The lines of a statement that begin inside a text of several lines: their white space is part of it.
    fn lines_inside_texts(&self, stmt: &Stmt) -> Vec<u32> {
        let mut out = Vec::new();
        for token in syntax::tokens_in(self.tokens, start(stmt), end(stmt)) {
            if matches!(token.kind(), TokenKind::String | TokenKind::FStringMiddle | TokenKind::TStringMiddle)
            {
                let from = self.source.line_at(start(token));
                let to = self.source.line_at(end(token));
                out.extend(from + 1..=to);
            }
        }
        out
    }
}
