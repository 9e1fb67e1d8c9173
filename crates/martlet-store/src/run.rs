//! Runs and their events, as a store lists them.

use bytes::Bytes;
use martlet_core::{Principal, RunId, Usage};
use serde_json::Value;

use crate::word::words;
use crate::{SessionId, ValueId};

words! {
    /// What a run is a run of.
    RunKind, "kind of run" {
        /// An agent.
        Agent = "agent",
        /// A workflow.
        Workflow = "workflow",
    }
}

words! {
    /// The line in which a run waits for its turn.
    Lane, "lane" {
        /// Somebody sits and waits for the answer.
        Interactive = "interactive",
        /// It may take its time.
        Batch = "batch",
    }
}

words! {
    /// Where a run stands.
    RunState, "state of a run" {
        /// It waits for its turn.
        Queued = "queued",
        /// It is being driven.
        Running = "running",
        /// It is parked until a person decides.
        Waiting = "waiting",
        /// It has ended; nothing of it changes any more.
        Ended = "ended",
    }
}

/// A run to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Its name.
    pub id: RunId,
    /// Whose it is.
    pub owner: Principal,
    /// What it is a run of.
    pub kind: RunKind,
    /// The name of the agent or of the workflow.
    pub name: String,
    /// The session that it belongs to; one of the same owner.
    pub session: Option<SessionId>,
    /// What people see in lists.
    pub title: String,
    /// What was asked for, as it was asked.
    pub request: Value,
    /// The line in which it waits.
    pub lane: Lane,
    /// When it was asked for, in milliseconds since 1970-01-01 UTC, as are all times here.
    pub created_ms: u64,
    /// The key under which a repetition of the request is known for one.
    pub idempotency: Option<Idempotency>,
    /// What it is a fork of.
    pub forked_from: Option<Fork>,
}

/// The key of a request that may be repeated, with what tells the request from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key, one among those of the owner.
    pub key: String,
    /// The hash of the request.
    pub body: ValueId,
}

/// The place at which a run left another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The other run.
    pub run: RunId,
    /// The step after which it goes its own way.
    pub step: u32,
}

/// What came of [`Store::create_run`](crate::Store::create_run).
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    /// The run is new.
    New(RunRow),
    /// The same request came before under the same key: this is its run.
    Existing(RunRow),
    /// Another request came before under the same key. Nothing was created.
    KeyReused,
}

/// A run as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunRow {
    /// Its name.
    pub id: RunId,
    /// Whose it is.
    pub owner: Principal,
    /// What it is a run of.
    pub kind: RunKind,
    /// The name of the agent or of the workflow.
    pub name: String,
    /// The session that it belongs to.
    pub session: Option<SessionId>,
    /// What people see in lists.
    pub title: String,
    /// What was asked for.
    pub request: Value,
    /// The line in which it waits.
    pub lane: Lane,
    /// When it was asked for.
    pub created_ms: u64,
    /// The key under which a repetition of the request is known for one.
    pub idempotency: Option<Idempotency>,
    /// What it is a fork of.
    pub forked_from: Option<Fork>,
    /// Where it stands.
    pub state: RunState,
    /// How it ended.
    pub outcome: Option<String>,
    /// Its answer.
    pub answer: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// The tokens that it used.
    pub usage: Usage,
    /// When it ran first.
    pub started_ms: Option<u64>,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// Somebody asked to cancel it.
    pub cancel: bool,
    /// Questions of it that nobody has decided.
    pub pending: u32,
    /// Those of them that ask what came of a call during which the run was interrupted: it needs attention.
    pub doubts: u32,
    /// The number of its last event; 0 if it has none.
    pub last_event: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// The word for it.
    pub outcome: String,
    /// The answer.
    pub answer: Value,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// The tokens that it used.
    pub usage: Usage,
    /// When.
    pub ended_ms: u64,
    /// Whether the session goes on with the memory of this run.
    pub remember: bool,
}

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFilter {
    /// Those of a session, with those that it took over. Default: of all, and of none.
    pub session: Option<SessionId>,
    /// Those in a state. Default: in any.
    pub state: Option<RunState>,
    /// Those that were created before this run. Default: the newest.
    pub before: Option<RunId>,
    /// At most so many. Default: 50.
    pub limit: usize,
}

impl Default for RunFilter {
    fn default() -> Self {
        Self { session: None, state: None, before: None, limit: 50 }
    }
}

/// An event of a run, or of a run in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number: from 1 without gaps, in the order of the commits.
    pub seq: u64,
    /// The event, as JSON.
    pub event: Bytes,
}

/// What [`Store::sweep`](crate::Store::sweep) removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Swept {
    /// Runs.
    pub runs: u64,
    /// Big values that nothing referred to any more.
    pub values: u64,
    /// Bytes of records, events and values.
    pub bytes: u64,
}
