//! Sessions, as a store lists them.

use martlet_core::{Principal, RunId};

use crate::SessionId;

/// A session to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub owner: Principal,
    /// What people see in lists.
    pub title: String,
    /// The agent that is talked to.
    pub agent: String,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRow {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub owner: Principal,
    /// What people see in lists.
    pub title: String,
    /// The agent that is talked to.
    pub agent: String,
    /// When it began.
    pub created_ms: u64,
    /// When a run of it was last created or ended.
    pub updated_ms: u64,
    /// The run whose memory the next one goes on with.
    pub memory_run: Option<RunId>,
    /// The number of its runs.
    pub runs: u64,
}
