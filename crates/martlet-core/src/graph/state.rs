//! The state that the nodes of a graph share.

mod log;

use std::ops::Index;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::{Scope, Shared};
use super::spec::Name;

pub use log::{StateError, StateLog, Write};

static NULL: Value = Value::Null;

/// Values by key. A copy costs nothing and never changes: it is a snapshot.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State {
    entries: RedBlackTreeMapSync<Name, Arc<StateEntry>>,
}

/// A value of the state, and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateEntry {
    /// The value.
    pub value: Value,
    /// Who wrote it: a node's name, or `input`.
    pub source: Name,
    /// When, in milliseconds since 1970-01-01 UTC.
    #[serde(rename = "timestamp")]
    pub at_ms: u64,
    /// The number of the write in the run, from 1.
    pub version: u64,
}

impl State {
    /// An empty state.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value of a key and where it came from.
    pub fn entry(&self, key: &str) -> Option<&StateEntry> {
        self.entries.get(key).map(AsRef::as_ref)
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(AsRef::as_ref)
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.size()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The values by key, as one JSON object.
    pub fn to_object(&self) -> Map<String, Value> {
        self.entries.iter().map(|(key, entry)| (key.to_string(), entry.value.clone())).collect()
    }

    fn set(&mut self, key: Name, entry: Arc<StateEntry>) {
        self.entries.insert_mut(key, entry);
    }

    fn remove(&mut self, key: &str) {
        self.entries.remove_mut(key);
    }
}

/// The value of a key, `null` where there is none.
impl Index<&str> for State {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&NULL)
    }
}

impl Scope for State {
    fn lookup(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
    }

    fn share(&self, name: &str) -> Option<Shared> {
        self.entries.get(name).cloned().map(Shared::from)
    }

    fn names(&self) -> Vec<String> {
        self.keys().map(str::to_owned).collect()
    }
}
