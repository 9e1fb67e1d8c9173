use std::sync::Arc;

use bytes::Bytes;
use martlet_core::{Principal, RunId, Usage};
use martlet_store::{
    ApprovalId, ApprovalKind, Entry, Journal, Lane, MemoryJournal, NewApproval, NewFile, NewRun, NewSession,
    RunEnd, RunKind, SessionId, Store, StoreOptions, ValueId,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn run(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

pub(crate) fn ann() -> Principal {
    Principal::new("acme", "ann").unwrap()
}

pub(crate) fn bob() -> Principal {
    Principal::new("acme", "bob").unwrap()
}

/// A record that belongs to the run `root`.
pub(crate) fn entry(record: impl Into<Bytes>) -> Entry {
    Entry::new(run("root"), record)
}

pub(crate) fn new_run(name: &str, owner: &Principal) -> NewRun {
    NewRun {
        id: run(name),
        owner: owner.clone(),
        kind: RunKind::Agent,
        name: "assistant".into(),
        session: None,
        title: format!("the title of {name}"),
        request: json!({ "task": name }),
        lane: Lane::Interactive,
        created_ms: 1_000,
        idempotency: None,
        forked_from: None,
    }
}

pub(crate) fn ended(at_ms: u64) -> RunEnd {
    RunEnd {
        outcome: "completed".into(),
        answer: json!("done"),
        error: None,
        usage: Usage { input_tokens: 7, output_tokens: 3, ..Usage::default() },
        ended_ms: at_ms,
        remember: false,
    }
}

pub(crate) fn new_session(name: &str, owner: &Principal, at_ms: u64) -> NewSession {
    NewSession {
        id: session(name),
        owner: owner.clone(),
        title: format!("the title of {name}"),
        agent: "assistant".into(),
        created_ms: at_ms,
    }
}

/// A question of the first effect of a step of a run.
pub(crate) fn question(root: &str, step: u32, owner: &Principal) -> NewApproval {
    let effect = martlet_core::EffectId { run: run(root), step, index: 0 };
    let Value::Object(arguments) = json!({ "path": "/srv/data" }) else { unreachable!() };
    NewApproval {
        id: ApprovalId::of(&effect),
        root: run(root),
        effect,
        owner: owner.clone(),
        kind: ApprovalKind::Call,
        tool: "delete".into(),
        arguments,
        digest: ValueId::of(b"delete /srv/data"),
        asked_ms: 100,
        expires_ms: 1_000,
    }
}

pub(crate) fn new_file(id: &str, owner: &Principal, data: &str) -> NewFile {
    NewFile {
        id: martlet_store::FileId::new(id).unwrap(),
        owner: owner.clone(),
        name: "../notes.txt".into(),
        media_type: "text/plain".into(),
        created_ms: 1_000,
        data: Bytes::from(data.to_owned()),
    }
}

/// A store, and the folder that it is in for as long as this lives.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
}

impl Opened {
    /// What SQLite finds in the file.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.folder.path().join("martlet.db")).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

pub(crate) fn empty() -> Opened {
    with(StoreOptions::default())
}

pub(crate) fn with(options: StoreOptions) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    Opened { store: Store::open(folder.path(), options).unwrap(), folder }
}

/// An empty journal of each kind, with what keeps it alive.
pub(crate) fn every_journal() -> Vec<(Arc<dyn Journal>, Option<TempDir>)> {
    let Opened { store, folder } = empty();
    vec![(Arc::new(MemoryJournal::new()), None), (Arc::new(store), Some(folder))]
}
