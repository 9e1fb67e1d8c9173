//! The states while they are built: new ones, the lines that go into the current one, and the ways from one to another,
//! through the `finally` blocks in between.

use ruff_text_size::Ranged;

use super::{Around, Line, Lowering};
use crate::dialect::syntax::{end, start};

impl Lowering<'_> {
    pub(super) fn state(&mut self, around: Around) -> usize {
        self.states.push(Vec::new());
        self.handlers.push(around.handler);
        self.states.len() - 1
    }

    pub(super) fn emit(&mut self, indent: usize, text: impl Into<String>, offset: usize) {
        let origin = self.source.line_at(offset);
        if let Some(state) = self.states.get_mut(self.current) {
            state.push(Line { indent, text: text.into(), origin });
        }
    }

    pub(super) fn jump(&mut self, state: usize, offset: usize) {
        self.emit(0, format!("_mt_s = {state}; continue"), offset);
    }

    pub(super) fn name(&mut self, kind: &str) -> String {
        self.counter += 1;
        let name = format!("_mt_{kind}{}", self.counter);
        self.extra.push(name.clone());
        name
    }

    pub(super) fn text(&self, node: &impl Ranged) -> String {
        self.source.text.get(start(node)..end(node)).unwrap_or_default().to_owned()
    }

    /// How to go to a state which is inside `depth` finally blocks, in one line.
    pub(super) fn leave(&mut self, target: usize, depth: usize) -> String {
        if self.finals.len() > depth
            && let Some(last) = self.finals.last_mut()
        {
            if !last.jumps.contains(&target) {
                last.jumps.push(target);
            }
            return format!("_mt_f{} = (3, {target}); _mt_s = {}; continue", last.number, last.state);
        }
        format!("_mt_s = {target}; continue")
    }

    pub(super) fn finish(&self, value: &str) -> String {
        match self.finals.last() {
            Some(last) => format!("_mt_f{} = (2, {value}); _mt_s = {}; continue", last.number, last.state),
            None => format!("_mt_s = -1; return (False, {value})"),
        }
    }
}
