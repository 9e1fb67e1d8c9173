//! `del`. The interpreter has no such statement: items and attributes are deleted by functions of the prelude, and a
//! name is unbound by the end of a handler that binds it.

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::visitor::source_order::SourceOrderVisitor;
use ruff_python_ast::{Expr, StmtDelete};

use super::Rewrite;
use crate::dialect::syntax::{end, start};

impl<'a> Rewrite<'a, '_> {
    pub(super) fn delete(&mut self, stmt: &'a StmtDelete) {
        let mut targets = Vec::new();
        flatten(&stmt.targets, &mut targets);
        let place = start(stmt);
        let subscripts = targets.iter().all(|target| matches!(target, Expr::Subscript(_)));
        if let [Expr::Subscript(_)] = targets.as_slice() {
            // One target: in place, with what else has to be changed in it.
            if let Some(Expr::Subscript(inner)) = stmt.targets.first() {
                self.pieces.insert("builtins");
                self.edits.replace(place, start(inner), "_mt_del(");
                self.visit_expr(&inner.value);
                if let Some((open, after)) =
                    self.token(end(inner.value.as_ref()), start(inner.slice.as_ref()) + 1, TokenKind::Lsqb)
                {
                    self.edits.replace(open, after, ", ");
                    self.index(&inner.slice);
                    self.edits.replace(end(inner.slice.as_ref()), end(stmt), ")");
                }
                return;
            }
        }
        let mut lines = Vec::new();
        for target in targets {
            match target {
                Expr::Subscript(inner) => {
                    self.pieces.insert("builtins");
                    let index = match inner.slice.as_ref() {
                        Expr::Slice(_) => slice_text(&inner.slice, &|node| self.text(node).to_owned()),
                        other => format!("({})", self.text(other)),
                    };
                    lines.push(format!("_mt_del({}, {index})", self.text(inner.value.as_ref())));
                }
                Expr::Name(name) => {
                    // The end of a handler unbinds its name: the one statement of the interpreter that does.
                    lines.push("try:".to_owned());
                    lines.push(format!("    {}; raise StopIteration", name.id));
                    lines.push(format!("except StopIteration as {}: pass", name.id));
                }
                Expr::Attribute(attribute) => {
                    self.pieces.insert("builtins");
                    lines.push(format!(
                        "_mt_delattr({}, '{}')",
                        self.text(attribute.value.as_ref()),
                        attribute.attr
                    ));
                }
                _ => return,
            }
        }
        if subscripts {
            self.edits.replace(place, end(stmt), lines.join("; "));
            return;
        }
        let alone = self.source.starts_line(place)
            && self.source.text.get(end(stmt)..).is_some_and(|rest| {
                rest.lines().next().is_none_or(|line| {
                    let line = line.trim_start();
                    line.is_empty() || line.starts_with('#')
                })
            });
        if !alone && lines.iter().any(|line| line == "try:") {
            self.fail(
                "NotImplementedError",
                "`del name` must stand on a line of its own here".to_owned(),
                place,
            );
            return;
        }
        let indent = self.source.indent_at(place).to_owned();
        self.edits.replace(place, end(stmt), lines.join(&format!("\n{indent}")));
    }

    /// An index as a function's argument.
    fn index(&mut self, slice: &'a Expr) {
        if let Expr::Slice(_) = slice {
            let text = slice_text(slice, &|node| self.text(node).to_owned());
            self.edits.replace(start(slice), end(slice), text);
        } else if let Expr::Tuple(_) = slice {
            self.edits.insert(start(slice), "(");
            self.visit_expr(slice);
            self.edits.insert(end(slice), ")");
        } else {
            self.visit_expr(slice);
        }
    }
}

fn flatten<'a>(exprs: &'a [Expr], out: &mut Vec<&'a Expr>) {
    for expr in exprs {
        match expr {
            Expr::Tuple(tuple) => flatten(&tuple.elts, out),
            Expr::List(list) => flatten(&list.elts, out),
            other => out.push(other),
        }
    }
}

fn slice_text(slice: &Expr, text: &dyn Fn(&Expr) -> String) -> String {
    let Expr::Slice(slice) = slice else { return text(slice) };
    let part = |part: &Option<Box<Expr>>| part.as_deref().map_or_else(|| "None".to_owned(), text);
    format!("slice({}, {}, {})", part(&slice.lower), part(&slice.upper), part(&slice.step))
}
