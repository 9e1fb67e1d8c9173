//! The records of a run's journal.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use martlet_core::graph::GraphSettings;
use martlet_core::run::StopReason;
use martlet_core::{AgentSettings, EffectId, GraphTask, RunId, Settlement, Task};
use martlet_store::{Entry, ValueId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of records that stand for themselves.
const WHOLE: u32 = 1;
/// The version of records out of which texts were taken: whoever does not know of that must not read them.
const REFERRING: u32 = 2;

/// One record of a run's journal. Folding the records, in order, gives the run.
#[expect(clippy::large_enum_variant, reason = "a record lives only while it is written or read")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum JournalRecord<'a> {
    /// The run of an agent began.
    Started {
        /// The agent as it was then.
        agent: Cow<'a, AgentSettings>,
        /// The task.
        task: Cow<'a, Task>,
    },
    /// The run of a graph began.
    GraphStarted {
        /// The graph as it was then.
        graph: Cow<'a, GraphSettings>,
        /// What it was given.
        task: Cow<'a, GraphTask>,
    },
    /// An effect was settled.
    Settled {
        /// The outcome.
        settlement: Cow<'a, Settlement>,
    },
    /// A tool call during which the run was interrupted is made again, on somebody's word.
    Repeated {
        /// The call.
        id: Cow<'a, EffectId>,
    },
    /// The run was stopped from outside.
    Stopped {
        /// Why.
        reason: StopReason,
        /// When, in milliseconds since 1970-01-01 UTC.
        at_ms: u64,
    },
}

/// Records up to this size, in bytes, are kept as they are.
const SMALL: usize = 8 * 1_024;
/// Texts from this size on, in bytes, are taken out of larger records and kept once each.
const BIG: usize = 1_024;
/// The key of an object that stands for such a text, and holds its name.
const REFERENCE: &str = "$value";
/// The key of an object that holds an object which could be taken for one of these two.
const LITERAL: &str = "$literal";

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    record: T,
}

#[derive(Deserialize)]
struct Head {
    v: u32,
}

impl JournalRecord<'_> {
    /// The record as it is stored when it stands for itself: one JSON object with its version.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Versioned { v: WHOLE, record: self })
    }

    /// The record as it is stored in a journal, for a run whose top is `root`: long texts of a large record are values of
    /// their own, so that what records share (instructions, files, what was said before) is stored once.
    pub fn to_entry(&self, root: RunId) -> Result<Entry, serde_json::Error> {
        let bytes = self.to_bytes()?;
        if bytes.len() <= SMALL {
            return Ok(Entry::new(root, bytes));
        }
        let mut record: Value = serde_json::from_slice(&bytes)?;
        let mut values = Vec::new();
        take_out(&mut record, &mut values);
        if values.is_empty() {
            return Ok(Entry::new(root, bytes));
        }
        if let Value::Object(record) = &mut record {
            record.insert("v".to_owned(), REFERRING.into());
        }
        Ok(Entry { values, ..Entry::new(root, serde_json::to_vec(&record)?) })
    }

    /// Reads a record that stands for itself.
    ///
    /// # Errors
    /// If it is damaged, or of a newer version than this one knows.
    pub fn from_bytes(bytes: &[u8]) -> Result<JournalRecord<'static>, String> {
        Self::read(bytes, &HashMap::new())
    }

    /// Reads a stored record with the values that it refers to.
    ///
    /// # Errors
    /// If it is damaged, or of a newer version than this one knows.
    pub fn read(bytes: &[u8], values: &HashMap<ValueId, Bytes>) -> Result<JournalRecord<'static>, String> {
        let unreadable = |error: serde_json::Error| format!("a record cannot be read: {error}");
        let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
        if head.v > REFERRING {
            return Err(format!(
                "a record has version {}, and this version of Martlet reads up to {REFERRING}: update Martlet",
                head.v
            ));
        }
        let record: Versioned<JournalRecord<'static>> = if head.v == REFERRING {
            let mut record: Value = serde_json::from_slice(bytes).map_err(unreadable)?;
            put_back(&mut record, values)?;
            serde_json::from_value(record).map_err(unreadable)?
        } else {
            serde_json::from_slice(bytes).map_err(unreadable)?
        };
        Ok(record.record)
    }
}

/// Takes the long texts out of `value`.
fn take_out(value: &mut Value, values: &mut Vec<(ValueId, Bytes)>) {
    match value {
        Value::String(text) if text.len() >= BIG => {
            let bytes = Bytes::from(std::mem::take(text).into_bytes());
            let id = ValueId::of(&bytes);
            if values.iter().all(|(known, _)| *known != id) {
                values.push((id, bytes));
            }
            *value = single(REFERENCE, Value::String(id.to_string()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| take_out(item, values)),
        Value::Object(object) => {
            object.values_mut().for_each(|item| take_out(item, values));
            if object.contains_key(REFERENCE) || object.contains_key(LITERAL) {
                let literal = std::mem::take(object);
                *value = single(LITERAL, Value::Object(literal));
            }
        }
        _ => {}
    }
}

/// Puts the long texts back into `value`.
fn put_back(value: &mut Value, values: &HashMap<ValueId, Bytes>) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| put_back(item, values)),
        Value::Object(object) if object.len() == 1 => {
            if let Some(Value::String(id)) = object.get(REFERENCE) {
                let bytes = id.parse::<ValueId>().ok().and_then(|id| values.get(&id));
                let missing = || format!("a record refers to the value {id}, which is not there");
                let text = std::str::from_utf8(bytes.ok_or_else(missing)?)
                    .map_err(|_| format!("the value {id} is damaged: it is no text"))?;
                *value = Value::String(text.to_owned());
                return Ok(());
            }
            if let Some(Value::Object(literal)) = object.get_mut(LITERAL) {
                let mut literal = std::mem::take(literal);
                literal.values_mut().try_for_each(|item| put_back(item, values))?;
                *value = Value::Object(literal);
                return Ok(());
            }
            object.values_mut().try_for_each(|item| put_back(item, values))
        }
        Value::Object(object) => object.values_mut().try_for_each(|item| put_back(item, values)),
        _ => Ok(()),
    }
}

fn single(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

#[cfg(test)]
mod tests {
    use martlet_core::{Outcome, Timing, ToolOutput};
    use serde_json::json;

    use super::*;

    fn settled(value: Value) -> JournalRecord<'static> {
        let settlement = Settlement {
            id: EffectId { run: RunId::from_bits(7), step: 1, index: 0 },
            outcome: Outcome::Tool { result: Ok(ToolOutput::from(value)) },
            timing: Timing::default(),
        };
        JournalRecord::Settled { settlement: Cow::Owned(settlement) }
    }

    fn read_back(entry: &Entry) -> Result<JournalRecord<'static>, String> {
        JournalRecord::read(&entry.record, &entry.values.iter().cloned().collect())
    }

    #[test]
    fn long_texts_of_large_records_are_kept_once() {
        let long = "x".repeat(9_000);
        let record = settled(json!({"a": long, "b": [long, "short"]}));
        let entry = record.to_entry(RunId::from_bits(7)).unwrap();
        assert_eq!(entry.values.len(), 1);
        assert!(entry.record.len() < 1_000, "{} bytes", entry.record.len());
        assert_eq!(read_back(&entry).unwrap(), record);
        let lost = JournalRecord::read(&entry.record, &HashMap::new()).unwrap_err();
        assert!(lost.contains("which is not there"), "{lost}");
    }

    #[test]
    fn what_looks_like_a_reference_stays_what_it_is() {
        let long = "y".repeat(9_000);
        let name = ValueId::of(long.as_bytes()).to_string();
        for forged in [
            json!({"$value": name}),
            json!({"$value": 1, "more": name}),
            json!({"$literal": {"$value": name}}),
            json!({"$literal": {"$literal": {}}}),
        ] {
            let record = settled(json!({"long": long, "forged": [forged]}));
            let entry = record.to_entry(RunId::from_bits(7)).unwrap();
            assert_eq!(read_back(&entry).unwrap(), record);
        }
    }

    #[test]
    fn small_records_are_kept_as_they_are() {
        let record = settled(json!({"$value": "z".repeat(2_000)}));
        let entry = record.to_entry(RunId::from_bits(7)).unwrap();
        assert!(entry.values.is_empty());
        assert_eq!(read_back(&entry).unwrap(), record);
    }
}
