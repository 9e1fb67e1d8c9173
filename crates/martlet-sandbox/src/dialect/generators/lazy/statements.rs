//! Statements that yield, cut into states: conditions, loops, and `yield` itself as a statement or as the whole value
//! of one. Everything else about `yield` is refused.

use ruff_python_ast::{Expr, Stmt};

use super::{Around, Lowering};
use crate::dialect::generators::Unsupported;
use crate::dialect::generators::flow::scan;
use crate::dialect::syntax::{self, end, start};

impl Lowering<'_> {
    pub(super) fn block(&mut self, body: &[Stmt], around: Around) -> Result<(), Unsupported> {
        for stmt in body {
            self.statement(stmt, around)?;
        }
        Ok(())
    }

    fn statement(&mut self, stmt: &Stmt, around: Around) -> Result<(), Unsupported> {
        let flow = scan(stmt);
        let offset = start(stmt);
        if !flow.yields && (!flow.returns || self.finals.is_empty()) {
            self.native(stmt, around);
            return Ok(());
        }
        match stmt {
            Stmt::Return(inner) => {
                let value = match inner.value.as_deref() {
                    Some(Expr::YieldFrom(delegate)) => self.delegate(&delegate.value, offset, around),
                    Some(value) if syntax::yields(value) => return Err(nested(value)),
                    Some(value) => format!("({})", self.text(value)),
                    None => "None".to_owned(),
                };
                let line = self.finish(&value);
                self.emit(0, line, offset);
            }
            Stmt::Expr(inner) => match inner.value.as_ref() {
                Expr::Yield(value) => self.give(value.value.as_deref(), None, offset, around)?,
                Expr::YieldFrom(value) => {
                    self.delegate(&value.value, offset, around);
                }
                other => return Err(nested(other)),
            },
            Stmt::Assign(inner) => {
                let targets: Vec<String> = inner.targets.iter().map(|target| self.text(target)).collect();
                match inner.value.as_ref() {
                    Expr::Yield(value) => {
                        self.give(value.value.as_deref(), Some(targets.join(" = ")), offset, around)?
                    }
                    Expr::YieldFrom(value) => {
                        let value = self.delegate(&value.value, offset, around);
                        self.emit(0, format!("{} = {value}", targets.join(" = ")), offset);
                    }
                    other => return Err(nested(other)),
                }
            }
            Stmt::If(inner) => {
                let done = self.state(around);
                let mut clauses: Vec<(Option<&Expr>, &[Stmt])> = vec![(Some(&inner.test), &inner.body)];
                clauses.extend(
                    inner
                        .elif_else_clauses
                        .iter()
                        .map(|clause| (clause.test.as_ref(), clause.body.as_slice())),
                );
                for (test, body) in clauses {
                    let Some(test) = test else {
                        self.block(body, around)?;
                        continue;
                    };
                    if syntax::yields(test) {
                        return Err(nested(test));
                    }
                    let other = self.state(around);
                    let test_text = self.text(test);
                    self.emit(0, format!("if not ({test_text}):"), start(test));
                    self.emit(4, format!("_mt_s = {other}; continue"), start(test));
                    self.block(body, around)?;
                    self.jump(done, end(stmt));
                    self.current = other;
                }
                self.jump(done, end(stmt));
                self.current = done;
            }
            Stmt::While(inner) => {
                let (head, otherwise, done) = (self.state(around), self.state(around), self.state(around));
                if syntax::yields(&inner.test) {
                    return Err(nested(&inner.test));
                }
                self.jump(head, offset);
                self.current = head;
                let test = self.text(inner.test.as_ref());
                self.emit(0, format!("if not ({test}):"), offset);
                self.emit(4, format!("_mt_s = {otherwise}; continue"), offset);
                self.looped(&inner.body, &inner.orelse, head, otherwise, done, around, end(stmt))?;
            }
            Stmt::For(inner) => {
                if inner.is_async || syntax::yields(&inner.iter) {
                    return Err(nested(&inner.iter));
                }
                let (head, otherwise, done) = (self.state(around), self.state(around), self.state(around));
                let (items, item) = (self.name("items"), self.name("item"));
                let (iter, target) = (self.text(inner.iter.as_ref()), self.text(inner.target.as_ref()));
                self.emit(0, format!("{items} = iter(({iter}))"), offset);
                self.jump(head, offset);
                self.current = head;
                self.emit(0, format!("{item} = next({items}, _mt_end)"), offset);
                self.emit(0, format!("if {item} is _mt_end:"), offset);
                self.emit(4, format!("_mt_s = {otherwise}; continue"), offset);
                self.emit(0, format!("{target} = {item}"), offset);
                self.looped(&inner.body, &inner.orelse, head, otherwise, done, around, end(stmt))?;
            }
            Stmt::Try(inner) => {
                if inner.is_star {
                    return Err(Unsupported { what: "`except*` in a generator", offset });
                }
                self.attempt(inner, around)?;
            }
            Stmt::With(_) => {
                return Err(Unsupported {
                    what: "`yield` inside a `with` block; collect the values in a list and return it",
                    offset,
                });
            }
            Stmt::Match(_) => {
                return Err(Unsupported {
                    what: "`yield` inside a `match` block; use `if`/`elif`, or collect the values in a list",
                    offset,
                });
            }
            _ => {
                return Err(Unsupported {
                    what: "`yield` inside an expression; write it as a statement of its own",
                    offset,
                });
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the three states of a loop belong together")]
    fn looped(
        &mut self,
        body: &[Stmt],
        orelse: &[Stmt],
        head: usize,
        otherwise: usize,
        done: usize,
        around: Around,
        last: usize,
    ) -> Result<(), Unsupported> {
        let depth = self.finals.len();
        self.block(body, Around { exit: Some((done, depth)), next: Some(head), ..around })?;
        self.jump(head, last);
        self.current = otherwise;
        self.block(orelse, around)?;
        self.jump(done, last);
        self.current = done;
        Ok(())
    }

    fn give(
        &mut self,
        value: Option<&Expr>,
        target: Option<String>,
        offset: usize,
        around: Around,
    ) -> Result<(), Unsupported> {
        let text = match value {
            Some(value) if syntax::yields(value) => return Err(nested(value)),
            Some(value) => format!("({})", self.text(value)),
            None => "None".to_owned(),
        };
        let next = self.state(around);
        // The value is computed in this state: its exceptions belong here, what is thrown in belongs there.
        self.emit(0, format!("_mt_r = {text}; _mt_s = {next}; return (True, _mt_r)"), offset);
        self.current = next;
        if let Some(target) = target {
            self.emit(0, format!("{target} = _mt_v"), offset);
        }
        Ok(())
    }

    /// `yield from`; gives the name of its value.
    fn delegate(&mut self, items: &Expr, offset: usize, around: Around) -> String {
        let name = self.name("from");
        let text = self.text(items);
        self.emit(0, format!("{name} = _mt_Delegate(({text}))"), offset);
        let head = self.state(around);
        self.emit(0, "_mt_v = None", offset);
        self.jump(head, offset);
        self.current = head;
        self.emit(0, format!("_mt_r = {name}.step(_mt_v, None)"), offset);
        self.emit(0, "if _mt_r[0]:", offset);
        self.emit(4, "return _mt_r", offset);
        format!("{name}.value")
    }
}

fn nested(expr: &Expr) -> Unsupported {
    Unsupported {
        what: "`yield` inside an expression; write it as a statement of its own",
        offset: start(expr),
    }
}
