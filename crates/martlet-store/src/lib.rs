//! Where Martlet's runs are recorded: the journal.
//!
//! The journal of a run is a list of records that only grows. A record is committed before what it tells of is
//! acted upon or shown, so that a run can always be rebuilt by reading its journal from the start. This crate
//! knows nothing of what the records say: to it they are bytes with a number.

mod error;
mod journal;
mod memory;
mod value;

pub use error::{StoreError, StoreErrorKind};
pub use journal::{Entry, Journal, Recorded};
pub use memory::MemoryJournal;
pub use value::{InvalidValueId, ValueId};
