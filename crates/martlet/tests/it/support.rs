//! What several tests need.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use martlet::store::{Entry, Journal, MemoryJournal, Recorded, StoreError};
use martlet::{JournalRecord, RunId};
use tokio::sync::{Notify, oneshot};

/// Says when it is dropped.
pub(crate) struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            let _ = tell.send(());
        }
    }
}

/// Something that is to be dropped, and what to await for that.
pub(crate) fn dropped() -> (Dropped, oneshot::Receiver<()>) {
    let (tell, told) = oneshot::channel();
    (Dropped(Some(tell)), told)
}

/// A journal that tells the test after which record of all runs together, from 0, the machine "loses power". Nothing is
/// written then.
pub(crate) struct Watched {
    pub(crate) memory: Arc<MemoryJournal>,
    stop_after: usize,
    pub(crate) written: Mutex<Vec<(RunId, Bytes)>>,
    pub(crate) reached: Notify,
}

impl Watched {
    pub(crate) fn new(stop_after: usize) -> Arc<Self> {
        Self::of(Arc::default(), stop_after)
    }

    /// One that goes on with what was recorded before.
    pub(crate) fn of(memory: Arc<MemoryJournal>, stop_after: usize) -> Arc<Self> {
        Arc::new(Self { memory, stop_after, written: Mutex::default(), reached: Notify::new() })
    }

    /// The effects that are settled.
    pub(crate) fn settled(&self) -> BTreeSet<String> {
        let written = self.written.lock().unwrap();
        let records = written.iter().map(|(_, record)| JournalRecord::from_bytes(record).unwrap());
        records
            .filter_map(|record| match record {
                JournalRecord::Settled { settlement } => Some(settlement.id.to_string()),
                _ => None,
            })
            .collect()
    }
}

impl Journal for Watched {
    fn append<'a>(&'a self, run: &'a RunId, seq: u64, entry: Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if self.written.lock().unwrap().len() > self.stop_after {
                return std::future::pending().await;
            }
            let record = entry.record.clone();
            self.memory.append(run, seq, entry).await?;
            let written = {
                let mut written = self.written.lock().unwrap();
                written.push((run.clone(), record));
                written.len()
            };
            if written > self.stop_after {
                self.reached.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn read<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Recorded, StoreError>> {
        self.memory.read(run)
    }
}
