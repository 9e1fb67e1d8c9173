//! The state that the nodes of a graph share.

use std::ops::Index;
use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, VectorSync};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spec::Name;

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

    pub(crate) fn set(&mut self, key: Name, entry: Arc<StateEntry>) {
        self.entries.insert_mut(key, entry);
    }
}

/// The value of a key, `null` where there is none.
impl Index<&str> for State {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&NULL)
    }
}

/// The state of a graph's run with all that was ever written to it, in order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StateLog {
    current: State,
    writes: VectorSync<Write>,
}

/// One write to the state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The key.
    pub key: Name,
    /// What it has been since.
    #[serde(flatten)]
    pub entry: Arc<StateEntry>,
}

impl StateLog {
    /// The state as it is.
    pub fn current(&self) -> &State {
        &self.current
    }

    /// All writes, the oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Write> {
        self.writes.iter()
    }

    /// What the write of that number wrote.
    pub(crate) fn written(&self, version: u64) -> Option<&Value> {
        let place = usize::try_from(version).ok()?.checked_sub(1)?;
        self.writes.get(place).map(|write| &write.entry.value)
    }

    /// Writes a value as it is, without a reducer.
    pub fn write(&mut self, key: &str, value: Value, source: &Name, at_ms: u64) {
        let version = u64::try_from(self.writes.len()).unwrap_or(u64::MAX).saturating_add(1);
        let key: Name = key.into();
        let entry = Arc::new(StateEntry { value, source: source.clone(), at_ms, version });
        self.current.set(key.clone(), entry.clone());
        self.writes.push_back_mut(Write { key, entry });
    }
}
