//! Places where an answer waits until a test lets it go on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// A place where answers wait until it is opened: a test can look at what is going on in the middle of something,
/// and needs no guess of how long that takes.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<watch::Sender<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    open: bool,
    /// Who waits here.
    waiting: usize,
    /// Whose clients went away while they waited.
    left: usize,
}

/// What somebody waits for at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moment {
    /// That it is opened.
    Open,
    /// That an answer waits at it, or has passed it.
    Reached,
    /// That the client of an answer went away while it waited at it.
    Left,
}

impl Gate {
    /// Lets everyone pass, from now on.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Waits for a moment, for as long as that takes.
    pub(crate) async fn wait(&self, moment: Moment) {
        let _waiting = (moment == Moment::Open).then(|| Waiting::begin(self));
        let mut changes = self.0.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = changes
            .wait_for(|state| match moment {
                Moment::Open => state.open,
                Moment::Reached => state.open || state.waiting > 0,
                Moment::Left => state.left > 0,
            })
            .await;
    }
}

/// Counts somebody who waits; if the gate is not open at the end, they went away.
struct Waiting<'a>(&'a Gate);

impl<'a> Waiting<'a> {
    fn begin(gate: &'a Gate) -> Self {
        gate.0.send_modify(|state| state.waiting += 1);
        Self(gate)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| {
            state.waiting -= 1;
            if !state.open {
                state.left += 1;
            }
        });
    }
}

/// Gates by their names. One that nobody has asked for yet is made, closed.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<BTreeMap<String, Gate>>);

impl Gates {
    pub(crate) fn named(&self, name: &str) -> Gate {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(name.to_owned()).or_default().clone()
    }
}
