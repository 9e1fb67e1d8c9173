//! Where Martlet keeps what must not be lost.
//!
//! The journal of a run is a list of records that only grows. A record is committed before what it tells of is
//! acted upon or shown, so that a run can always be rebuilt by reading its journal from the start. This crate
//! knows nothing of what the records say: to it they are bytes with a number. [`MemoryJournal`] keeps them as long as the
//! process lives.
//!
//! A [`Store`] keeps them on disk, with all else that a server of many users needs: the list of runs, their events,
//! sessions, questions to people, files and API keys. What users ask goes through [`Store::of`], which sees the rows of
//! one owner and no others.

mod approval;
mod error;
mod file;
mod id;
mod journal;
mod key;
mod memory;
mod run;
mod session;
mod sign_in;
mod store;
mod value;
mod word;

pub use approval::{Answer, ApprovalKind, ApprovalRow, ApprovalState, Decided, NewApproval};
pub use error::{StoreError, StoreErrorKind};
pub use file::{FileRow, NewFile};
pub use id::{ApprovalId, FileId, KeyId, SessionId};
pub use journal::{Entry, Journal, Recorded};
pub use key::KeyRow;
pub use memory::MemoryJournal;
pub use run::{
    Created, Fork, Idempotency, Lane, NewRun, RunEnd, RunFilter, RunKind, RunRow, RunState, StoredEvent,
    Swept,
};
pub use session::{Branch, NewSession, SessionRow};
pub use sign_in::{NewSignIn, SignInRow};
pub use store::{CommitObserver, FileSystem, OfTenant, Owned, Store, StoreOptions};
pub use value::{InvalidValueId, ValueId};
pub use word::UnknownWord;
