//! What is offered to the scheduler, and what it answers.

use martlet_core::{Principal, RunId};
use martlet_store::{Lane, SessionId};

/// A run that asks for a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The run.
    pub run: RunId,
    /// Whose it is.
    pub user: Principal,
    /// The line in which it waits.
    pub lane: Lane,
    /// The session that it belongs to: the runs of a session run one after another.
    pub session: Option<SessionId>,
    /// How many turns its user gets where another gets one. 0 counts as 1; the latest offer of a user holds.
    pub weight: u32,
}

impl Offer {
    /// A run in the lane for runs that somebody waits for, of no session, of a user of weight 1.
    pub fn new(run: RunId, user: Principal) -> Self {
        Self { run, user, lane: Lane::Interactive, session: None, weight: 1 }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It waits for its turn.
    Queued,
    /// It holds a slot.
    Running,
    /// It waits for a person. It holds no slot, but it still holds the turn of its session.
    Parked,
}

/// Where a run stands in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Its place among the queued runs of its lane, from 1: the order in which they start if nothing holds one back. A
    /// run that is held back, by its session or by its user's limit, lets others pass.
    pub position: u32,
    /// How many are queued in the lane.
    pub of: u32,
    /// The wait until it starts, in milliseconds: an estimate from the time that runs of the lane took lately. How long
    /// a person takes to decide is not in it.
    pub eta_ms: u64,
}

/// How much more a user may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Allowance {
    /// Runs of the user that may wait at once.
    pub limit: u32,
    /// Runs that the user may offer now.
    pub remaining: u32,
    /// Seconds until, by estimate, one more may be offered.
    pub reset_s: u32,
}

/// Why a run was not taken in. Nothing is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}; try again in {retry_after_s} s", .kind.reason(*.limit))]
pub struct Refusal {
    /// Why.
    pub kind: RefusalKind,
    /// When to try again, in seconds, from 1 to 120: an estimate.
    pub retry_after_s: u32,
    /// The limit that was reached; 0 while the server shuts down.
    pub limit: u32,
    /// How many runs the user may offer now: none.
    pub remaining: u32,
}

/// The kinds of [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// As many runs wait as may wait at once.
    QueueFull,
    /// As many runs of this user wait as may wait at once.
    UserLimit,
    /// The server is shutting down and starts nothing any more.
    Draining,
}

impl RefusalKind {
    fn reason(self, limit: u32) -> String {
        match self {
            Self::QueueFull => format!("the server's queue of {limit} runs is full"),
            Self::UserLimit if limit == 1 => "one of your runs is waiting, which is the most that may".into(),
            Self::UserLimit => format!("{limit} of your runs are waiting, which is the most that may"),
            Self::Draining => "the server is shutting down".into(),
        }
    }
}
