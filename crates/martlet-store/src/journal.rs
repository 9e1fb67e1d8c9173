//! The trait that every journal implements.

use std::collections::HashMap;

use bytes::Bytes;
use futures::future::BoxFuture;
use martlet_core::RunId;

use crate::{StoreError, ValueId};

/// Keeps the records of runs.
///
/// The records of a run are numbered from 0 without gaps. Of several writers that append the same number, one
/// succeeds and the others are told of the conflict: this is how two processes that both believe that they drive
/// a run find out. Runs do not affect one another.
pub trait Journal: Send + Sync {
    /// Appends a record as number `seq`, with all that belongs to it. When this returns, all of it outlasts whatever the
    /// journal is there to outlast: for a journal on disk, a crash of the machine.
    ///
    /// If the future is dropped before it is done, the record may be there or not: read the journal to find out.
    ///
    /// # Errors
    /// [`Conflict`](crate::StoreErrorKind::Conflict) if there is a record `seq` already, also if it is the
    /// same; [`Gap`](crate::StoreErrorKind::Gap) if the one before it is missing;
    /// [`Unavailable`](crate::StoreErrorKind::Unavailable) if the storage failed. In the first two cases
    /// nothing was changed.
    fn append<'a>(&'a self, run: &'a RunId, seq: u64, entry: Entry) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Begins a run with several records at once, as numbers 0 and following. A journal on disk writes all of them or none.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn begin_with<'a>(
        &'a self,
        run: &'a RunId,
        entries: Vec<Entry>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            for (seq, entry) in (0..).zip(entries) {
                self.append(run, seq, entry).await?;
            }
            Ok(())
        })
    }

    /// What is recorded of a run; nothing for a run that is not known.
    ///
    /// # Errors
    /// If the storage failed.
    fn read<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Recorded, StoreError>>;
}

/// What is appended to the journal of a run at once: all of it, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The record.
    pub record: Bytes,
    /// The run at the top: the one that somebody asked for, of which the recorded run is a part; often itself.
    pub root: RunId,
    /// Big values that the record refers to. A journal keeps each once, however many records refer to it.
    pub values: Vec<(ValueId, Bytes)>,
    /// The events that become known with the record, as JSON. A journal that people follow numbers them for each
    /// [`root`](Self::root) in the order of the commits; others need not keep them, as they follow from the records.
    pub events: Vec<Bytes>,
}

impl Entry {
    /// A record alone.
    pub fn new(root: RunId, record: impl Into<Bytes>) -> Self {
        Self { record: record.into(), root, values: Vec::new(), events: Vec::new() }
    }
}

/// What is recorded of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The records, in order.
    pub records: Vec<Bytes>,
    /// The values that they refer to.
    pub values: HashMap<ValueId, Bytes>,
}
