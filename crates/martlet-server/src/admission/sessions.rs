//! Whose turn it is in each session.

use std::collections::{HashMap, VecDeque};

use martlet_core::RunId;
use martlet_store::SessionId;

/// One run of a session has its turn until it ends; the others wait for it, first come, first served.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    turns: HashMap<SessionId, Turn>,
}

#[derive(Debug)]
struct Turn {
    holder: RunId,
    waiting: VecDeque<RunId>,
}

impl Sessions {
    /// Asks for the turn, and says whether the run has it now.
    pub(super) fn ask(&mut self, session: &SessionId, run: &RunId) -> bool {
        let Some(turn) = self.turns.get_mut(session) else {
            self.turns.insert(session.clone(), Turn { holder: run.clone(), waiting: VecDeque::new() });
            return true;
        };
        if turn.holder == *run {
            return true;
        }
        turn.waiting.push_back(run.clone());
        false
    }

    /// Takes the turn for a run that has begun already, before those that have not. Returns the run that had it.
    pub(super) fn seize(&mut self, session: &SessionId, run: &RunId) -> Option<RunId> {
        if self.ask(session, run) {
            return None;
        }
        let turn = self.turns.get_mut(session)?;
        turn.waiting.pop_back();
        let before = std::mem::replace(&mut turn.holder, run.clone());
        turn.waiting.push_front(before.clone());
        Some(before)
    }

    pub(super) fn holder(&self, session: &SessionId) -> Option<&RunId> {
        self.turns.get(session).map(|turn| &turn.holder)
    }

    /// The run is gone. Returns the run that has the turn now, if it was passed on.
    pub(super) fn leave(&mut self, session: &SessionId, run: &RunId) -> Option<RunId> {
        let turn = self.turns.get_mut(session)?;
        if turn.holder != *run {
            turn.waiting.retain(|waiting| waiting != run);
            return None;
        }
        match turn.waiting.pop_front() {
            Some(next) => {
                turn.holder = next.clone();
                Some(next)
            }
            None => {
                self.turns.remove(session);
                None
            }
        }
    }
}
