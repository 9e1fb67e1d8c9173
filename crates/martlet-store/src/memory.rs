//! A journal in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::{self, BoxFuture};
use martlet_core::RunId;

use crate::{Entry, Journal, Recorded, StoreError, ValueId};

/// Keeps records in memory: they outlast a run that is dropped, not the process. Events are not kept.
///
/// Nothing is ever removed by itself; [`forget`](Self::forget) runs that nobody will ask for again.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    runs: HashMap<RunId, Written>,
    /// Each value once, with the number of runs that refer to it.
    values: HashMap<ValueId, (Bytes, usize)>,
}

#[derive(Debug, Default)]
struct Written {
    records: Vec<Bytes>,
    values: Vec<ValueId>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the records of a run, and says whether there were any.
    pub fn forget(&self, run: &RunId) -> bool {
        let mut state = self.lock();
        let Some(forgotten) = state.runs.remove(run) else { return false };
        for id in forgotten.values {
            let unused = state.values.get_mut(&id).is_some_and(|(_, users)| {
                *users -= 1;
                *users == 0
            });
            if unused {
                state.values.remove(&id);
            }
        }
        true
    }

    /// The number of runs that have records.
    pub fn len(&self) -> usize {
        self.lock().runs.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.lock().runs.is_empty()
    }

    fn append_now(&self, run: &RunId, seq: u64, entry: Entry) -> Result<(), StoreError> {
        let mut state = self.lock();
        let state = &mut *state;
        let next = state.runs.get(run).map_or(0, |written| written.records.len()) as u64;
        if seq < next {
            return Err(StoreError::conflict(run, seq, next));
        }
        if seq > next {
            return Err(StoreError::gap(run, seq, next));
        }
        let written = state.runs.entry(run.clone()).or_default();
        written.records.push(entry.record);
        for (id, value) in entry.values {
            if !written.values.contains(&id) {
                written.values.push(id);
                state.values.entry(id).or_insert((value, 0)).1 += 1;
            }
        }
        Ok(())
    }

    fn read_now(&self, run: &RunId) -> Recorded {
        let state = self.lock();
        let Some(written) = state.runs.get(run) else { return Recorded::default() };
        let value = |id: &ValueId| state.values.get(id).map(|(value, _)| (*id, value.clone()));
        Recorded {
            records: written.records.clone(),
            values: written.values.iter().filter_map(value).collect(),
        }
    }

    /// No operation can leave the map in between two states, so that a panic of another thread does no harm.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn append<'a>(&'a self, run: &'a RunId, seq: u64, entry: Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        // Lazy, as a future that is never polled must do nothing.
        Box::pin(future::lazy(move |_| self.append_now(run, seq, entry)))
    }

    fn read<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Recorded, StoreError>> {
        Box::pin(future::lazy(move |_| Ok(self.read_now(run))))
    }
}
