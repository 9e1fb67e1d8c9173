//! The records of a run's journal.

use std::borrow::Cow;

use martlet_core::graph::GraphSettings;
use martlet_core::run::StopReason;
use martlet_core::{AgentSettings, GraphTask, Settlement, Task};
use serde::{Deserialize, Serialize};

/// The version of the records' form.
const VERSION: u32 = 1;

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
    /// The run was stopped from outside.
    Stopped {
        /// Why.
        reason: StopReason,
        /// When, in milliseconds since 1970-01-01 UTC.
        at_ms: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    record: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

impl JournalRecord<'_> {
    /// The record as it is stored: one JSON object with its version.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Versioned { v: VERSION, record: self })
    }

    /// Reads a stored record.
    ///
    /// # Errors
    /// If it is damaged, or of a newer version than this one knows.
    pub fn from_bytes(bytes: &[u8]) -> Result<JournalRecord<'static>, String> {
        let version: VersionOnly =
            serde_json::from_slice(bytes).map_err(|error| format!("a record cannot be read: {error}"))?;
        if version.v > VERSION {
            return Err(format!(
                "a record has version {}, and this version of Martlet reads up to {VERSION}: update Martlet",
                version.v
            ));
        }
        serde_json::from_slice::<Versioned<JournalRecord<'static>>>(bytes)
            .map(|versioned| versioned.record)
            .map_err(|error| format!("a record cannot be read: {error}"))
    }
}
