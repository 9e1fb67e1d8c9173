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
    /// What people see in lists: its title, or that of its first run if it was given none.
    pub title: String,
    /// The agent that is talked to.
    pub agent: String,
    /// When it began.
    pub created_ms: u64,
    /// When a run of it was last created or ended.
    pub updated_ms: u64,
    /// The run whose memory the next one goes on with.
    pub memory_run: Option<RunId>,
    /// The number of its runs, those that it took over included.
    pub runs: u64,
    /// Where it left another session, if it did and that one is still there.
    pub branched_from: Option<Branch>,
}

/// The place at which a session left another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The other session.
    pub session: SessionId,
    /// The first run of it that is not taken over.
    pub run: RunId,
}
