//! The state with its history: what was written, by whom and when, to go back to and to take along.

use std::collections::BTreeMap;
use std::sync::Arc;

use rpds::VectorSync;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::{State, StateEntry};
use crate::graph::spec::Name;

/// The version of the exported form. A reader refuses what is newer.
const FORMAT: u64 = 1;

/// The state of a graph's run with all that was ever written to it, in order.
///
/// The history is append-only and is kept as long as the log: its memory is that of every value ever written, each
/// held once and shared with the snapshots. Under the reducers that join (`append`, `merge`), each write holds the whole
/// joined value as it was then: to collect from thousands of nodes, use copies of one node (`for_each`), whose result is
/// one list. In a loop, write a value that stays small, or the reference of one that is stored elsewhere.
///
/// It is stored as its history alone, from which the state follows.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(try_from = "Vec<Write>")]
pub struct StateLog {
    current: State,
    writes: VectorSync<Write>,
}

/// One change of the state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Write {
    /// The key.
    pub key: Name,
    /// What it has been since; `null` if it was removed.
    #[serde(flatten)]
    pub entry: Arc<StateEntry>,
    /// Whether the key has been gone since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// The version that was gone back to, if this is a part of a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<u64>,
}

impl StateLog {
    /// The state as it is.
    pub fn current(&self) -> &State {
        &self.current
    }

    /// The state as it is, to keep: later writes do not change it. Takes no time and no memory, however big it is.
    pub fn snapshot(&self) -> State {
        self.current.clone()
    }

    /// The number of the last write; 0 before the first.
    pub fn version(&self) -> u64 {
        u64::try_from(self.writes.len()).unwrap_or(u64::MAX)
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

    /// The writes to one key, the oldest first.
    pub fn history_of(&self, key: &str) -> impl Iterator<Item = &Write> {
        self.history().filter(move |write| &*write.key == key)
    }

    /// Writes a value as it is, without a reducer.
    pub fn write(&mut self, key: &str, value: Value, source: &Name, at_ms: u64) {
        self.append(key.into(), Some(value), source, at_ms, None);
    }

    /// Removes a key. Says whether it was there; if not, nothing is recorded.
    pub fn remove(&mut self, key: &str, source: &Name, at_ms: u64) -> bool {
        let there = self.current.has(key);
        if there {
            self.append(key.into(), None, source, at_ms, None);
        }
        there
    }

    /// The state after the write of that number; after 0 it is empty.
    ///
    /// # Errors
    /// There is no such write.
    pub fn at(&self, version: u64) -> Result<State, StateError> {
        if version > self.version() {
            return Err(StateError::UnknownVersion { version, last: self.version() });
        }
        let mut state = State::new();
        self.history()
            .take_while(|write| write.entry.version <= version)
            .for_each(|write| write.apply(&mut state));
        Ok(state)
    }

    /// Gives all keys the values that they had after the write of that number. What has been written since stays in
    /// the history: each key that differs is written, or removed, once more, and those writes say that they are part
    /// of a rollback.
    ///
    /// # Errors
    /// There is no such write; nothing is changed then.
    pub fn rollback(&mut self, version: u64, source: &Name, at_ms: u64) -> Result<(), StateError> {
        let before = self.at(version)?;
        let keys = |state: &State| state.entries.keys().cloned().collect::<Vec<Name>>();
        let changed: BTreeMap<Name, Option<Value>> = keys(&self.current)
            .into_iter()
            .chain(keys(&before))
            .filter(|key| self.current.get(key) != before.get(key))
            .map(|key| (key.clone(), before.get(&key).cloned()))
            .collect();
        for (key, value) in changed {
            self.append(key, value, source, at_ms, Some(version));
        }
        Ok(())
    }

    /// The whole log as JSON, to keep or to take elsewhere: every write with its source and its time.
    pub fn to_json(&self) -> Value {
        json!({ "format": FORMAT, "writes": self.writes })
    }

    /// The log that [`to_json`](Self::to_json) exported, exactly.
    ///
    /// # Errors
    /// What is damaged, or was written by a newer version of Martlet.
    pub fn from_json(exported: &Value) -> Result<Self, StateError> {
        let damaged = |problem: &str| StateError::Damaged(problem.to_owned());
        match exported.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(0) | None => return Err(damaged("its `format` is missing; is it the export of a state?")),
            Some(format) => return Err(StateError::Newer { format }),
        }
        let writes = exported
            .get("writes")
            .and_then(Value::as_array)
            .ok_or_else(|| damaged("it has no list `writes`"))?;
        let writes = (1..).zip(writes).map(|(number, write)| {
            Write::deserialize(write).map_err(|error| damaged(&format!("write {number}: {error}")))
        });
        Self::replay(writes)
    }

    /// Follows the writes from the beginning.
    fn replay(writes: impl Iterator<Item = Result<Write, StateError>>) -> Result<Self, StateError> {
        let mut log = Self::default();
        for write in writes {
            let write = write?;
            log.check(&write)?;
            write.apply(&mut log.current);
            log.writes.push_back_mut(write);
        }
        Ok(log)
    }

    /// Whether the write can be the next one.
    fn check(&self, write: &Write) -> Result<(), StateError> {
        let expected = self.version().saturating_add(1);
        let problem = if write.entry.version != expected {
            format!(
                "write {expected} has the version {}: writes are missing or out of order",
                write.entry.version
            )
        } else if write.removed && !write.entry.value.is_null() {
            format!("write {expected} removes `{}` and gives it a value", write.key)
        } else if write.removed && !self.current.has(&write.key) {
            format!("write {expected} removes `{}`, which is not there", write.key)
        } else if write.rollback.is_some_and(|version| version >= expected) {
            format!("write {expected} goes back to a version that comes later")
        } else {
            return Ok(());
        };
        Err(StateError::Damaged(problem))
    }

    fn append(&mut self, key: Name, value: Option<Value>, source: &Name, at_ms: u64, rollback: Option<u64>) {
        let version = self.version().saturating_add(1);
        let removed = value.is_none();
        let value = value.unwrap_or_default();
        let entry = Arc::new(StateEntry { value, source: source.clone(), at_ms, version });
        let write = Write { key, entry, removed, rollback };
        write.apply(&mut self.current);
        self.writes.push_back_mut(write);
    }
}

impl Write {
    fn apply(&self, state: &mut State) {
        if self.removed {
            state.remove(&self.key);
        } else {
            state.set(self.key.clone(), self.entry.clone());
        }
    }
}

impl Serialize for StateLog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.writes.serialize(serializer)
    }
}

impl TryFrom<Vec<Write>> for StateLog {
    type Error = StateError;

    fn try_from(writes: Vec<Write>) -> Result<Self, StateError> {
        Self::replay(writes.into_iter().map(Ok))
    }
}

/// Why a state cannot be gone back to, or taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There is no write of that number.
    #[error("the state has no version {version}: give one from 0 to {last}")]
    UnknownVersion {
        /// The version that was asked for.
        version: u64,
        /// The last one.
        last: u64,
    },
    /// It was exported by a newer version of Martlet.
    #[error(
        "the state was exported in format {format}, and this version of Martlet reads {FORMAT}: update Martlet"
    )]
    Newer {
        /// Its format.
        format: u64,
    },
    /// It is not what was exported.
    #[error("the exported state is damaged: {0}; export it again")]
    Damaged(String),
}
