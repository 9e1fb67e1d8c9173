//! A journal in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::{self, BoxFuture};
use martlet_core::RunId;

use crate::{Journal, JournalError};

/// Keeps records in memory: they outlast a run that is dropped, not the process.
///
/// Nothing is ever removed by itself; [`forget`](Self::forget) runs that nobody will ask for again.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    runs: Mutex<HashMap<RunId, Vec<Bytes>>>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the records of a run, and says whether there were any.
    pub fn forget(&self, run: &RunId) -> bool {
        self.lock().remove(run).is_some()
    }

    /// The number of runs that have records.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn append_now(&self, run: &RunId, seq: u64, record: Bytes) -> Result<(), JournalError> {
        let mut runs = self.lock();
        let next = runs.get(run).map_or(0, Vec::len) as u64;
        if seq < next {
            return Err(JournalError::conflict(run, seq, next));
        }
        if seq > next {
            return Err(JournalError::gap(run, seq, next));
        }
        runs.entry(run.clone()).or_default().push(record);
        Ok(())
    }

    /// No operation can leave the map in between two states, so that a panic of another thread does no harm.
    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Vec<Bytes>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn append<'a>(
        &'a self,
        run: &'a RunId,
        seq: u64,
        record: Bytes,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        // Lazy, as a future that is never polled must do nothing.
        Box::pin(future::lazy(move |_| self.append_now(run, seq, record)))
    }

    fn read<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Vec<Bytes>, JournalError>> {
        Box::pin(future::lazy(move |_| Ok(self.lock().get(run).cloned().unwrap_or_default())))
    }
}
