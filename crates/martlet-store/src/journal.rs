//! The trait that every journal implements.

use bytes::Bytes;
use futures::future::BoxFuture;
use martlet_core::RunId;

use crate::JournalError;

/// Keeps the records of runs.
///
/// The records of a run are numbered from 0 without gaps. Of several writers that append the same number, one
/// succeeds and the others are told of the conflict: this is how two processes that both believe that they drive
/// a run find out. Runs do not affect one another.
pub trait Journal: Send + Sync {
    /// Appends a record as number `seq`. When this returns, the record outlasts whatever the journal is there to
    /// outlast: for a journal on disk, a crash of the machine.
    ///
    /// If the future is dropped before it is done, the record may be there or not: read the journal to find out.
    ///
    /// # Errors
    /// [`Conflict`](crate::JournalErrorKind::Conflict) if there is a record `seq` already, also if it is the
    /// same; [`Gap`](crate::JournalErrorKind::Gap) if the one before it is missing;
    /// [`Unavailable`](crate::JournalErrorKind::Unavailable) if the storage failed. In the first two cases
    /// nothing was changed.
    fn append<'a>(
        &'a self,
        run: &'a RunId,
        seq: u64,
        record: Bytes,
    ) -> BoxFuture<'a, Result<(), JournalError>>;

    /// All records of a run, in order; none for a run that is not known.
    ///
    /// # Errors
    /// If the storage failed.
    fn read<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Vec<Bytes>, JournalError>>;
}
