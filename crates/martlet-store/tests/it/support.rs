use std::sync::Arc;

use bytes::Bytes;
use martlet_core::{Principal, RunId};
use martlet_store::{Entry, Journal, Lane, MemoryJournal, NewRun, RunKind, Store, StoreOptions};
use serde_json::json;
use tempfile::TempDir;

pub(crate) fn run(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

pub(crate) fn ann() -> Principal {
    Principal::new("acme", "ann").unwrap()
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

/// A store, and the folder that it is in for as long as this lives.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
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
