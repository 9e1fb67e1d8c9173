//! The store as the journal of runs, with an eye on how long it takes.

use std::time::Instant;

use futures::future::BoxFuture;
use martlet_core::RunId;
use martlet_store::{Entry, Journal, Recorded, Store, StoreError};

use crate::metrics::Metrics;

/// Records runs in the store, and notes how long each commit takes.
pub(super) struct Recorder {
    store: Store,
    metrics: Metrics,
}

impl Recorder {
    pub(super) fn new(store: Store, metrics: Metrics) -> Self {
        Self { store, metrics }
    }
}

impl Journal for Recorder {
    fn append<'a>(&'a self, run: &'a RunId, seq: u64, entry: Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let start = Instant::now();
            self.store.append(run, seq, entry).await?;
            self.metrics.journal_commit(start.elapsed());
            Ok(())
        })
    }

    fn begin_with<'a>(
        &'a self,
        run: &'a RunId,
        entries: Vec<Entry>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.begin_with(run, entries)
    }

    fn read<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Recorded, StoreError>> {
        Journal::read(&self.store, run)
    }
}
