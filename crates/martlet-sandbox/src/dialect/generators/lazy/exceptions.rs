//! `try` blocks that yield. Handlers are states that an exception leads to; a `finally` block is a state that keeps a
//! record of what led into it, `(0, None)` for the end of the block, `(1, exception)`, `(2, value)` for a `return`,
//! `(3, state)` for a jump, and goes on with that.

use ruff_python_ast::{ExceptHandler, StmtTry};

use super::{Around, Finally, Line, Lowering};
use crate::dialect::generators::Unsupported;
use crate::dialect::syntax::start;

impl Lowering<'_> {
    pub(super) fn attempt(&mut self, stmt: &StmtTry, around: Around) -> Result<(), Unsupported> {
        self.uses_handlers = true;
        if !self.extra.iter().any(|name| name == "_mt_e") {
            self.extra.push("_mt_e".to_owned());
        }
        let offset = start(stmt);
        let done = self.state(around);
        let mut outer = around;
        if !stmt.finalbody.is_empty() {
            // An exception in the body or in a handler goes through the block as `(1, exception)`.
            self.counter += 1;
            let number = self.counter;
            self.extra.push(format!("_mt_f{number}"));
            let block = self.state(around);
            let entry = self.state(around);
            if let Some(lines) = self.states.get_mut(entry) {
                let origin = self.source.line_at(offset);
                lines.push(Line {
                    indent: 0,
                    text: format!("_mt_f{number} = (1, _mt_e); _mt_s = {block}; continue"),
                    origin,
                });
            }
            outer = Around { handler: Some(entry), ..around };
            self.finals.push(Finally { number, state: block, jumps: Vec::new() });
        }
        let after = match self.finals.last() {
            Some(last) if !stmt.finalbody.is_empty() => {
                format!("_mt_f{} = (0, None); _mt_s = {}; continue", last.number, last.state)
            }
            _ => format!("_mt_s = {done}; continue"),
        };
        let handling = if stmt.handlers.is_empty() { None } else { Some(self.state(outer)) };
        let inside = Around { handler: handling.or(outer.handler), ..around };
        let body = self.state(inside);
        self.jump(body, offset);
        self.current = body;
        self.block(&stmt.body, inside)?;
        let orelse = self.state(outer);
        self.jump(orelse, offset);
        self.current = orelse;
        self.block(&stmt.orelse, outer)?;
        self.emit(0, after.clone(), offset);
        if let Some(handling) = handling {
            self.current = handling;
            for handler in &stmt.handlers {
                let ExceptHandler::ExceptHandler(handler) = handler;
                let place = start(handler);
                let next = self.state(outer);
                if let Some(types) = &handler.type_ {
                    let types = self.text(types.as_ref());
                    self.emit(0, format!("if not _mt_catches(_mt_e, ({types})):"), place);
                    self.emit(4, format!("_mt_s = {next}; continue"), place);
                }
                if let Some(name) = &handler.name {
                    self.emit(0, format!("{name} = _mt_plain(_mt_e)"), place);
                }
                self.block(&handler.body, outer)?;
                self.emit(0, after.clone(), place);
                self.current = next;
            }
            self.emit(0, "raise _mt_e", offset);
        }
        if !stmt.finalbody.is_empty()
            && let Some(block) = self.finals.pop()
        {
            self.current = block.state;
            self.block(&stmt.finalbody, around)?;
            let place = stmt.finalbody.first().map_or(offset, start);
            let record = format!("_mt_f{}", block.number);
            self.emit(0, format!("if {record}[0] == 1:"), place);
            self.emit(4, format!("raise {record}[1]"), place);
            let leave = self.finish(&format!("{record}[1]"));
            self.emit(0, format!("if {record}[0] == 2:"), place);
            self.emit(4, leave, place);
            for target in block.jumps {
                // The loop that is left lies outside of this block; how far outside decides the next step.
                let depth = around.exit.map_or(0, |(_, depth)| depth);
                let leave = self.leave(target, depth);
                self.emit(0, format!("if {record} == (3, {target}):"), place);
                self.emit(4, leave, place);
            }
            self.jump(done, place);
        }
        self.current = done;
        Ok(())
    }
}
