//! Labels; their values are few, short, and harmless in the text format.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// How many values one label has; what comes later counts as [`OTHER`].
const MAX_VALUES: usize = 100;
const MAX_LENGTH: usize = 64;
const OTHER: &str = "other";

/// The value of a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Label(Arc<str>);

impl EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(&self.0)
    }
}

/// The values of one label. Some come from outside, such as the names of tools that a model makes up; each makes a
/// series that is kept for ever, so that there must be an end to them.
#[derive(Debug, Default)]
pub(super) struct Values {
    known: Mutex<HashSet<Arc<str>>>,
}

impl Values {
    pub(super) fn label(&self, name: &str) -> Label {
        // The text format's own encoder escapes nothing.
        let clean: String = name
            .chars()
            .take(MAX_LENGTH)
            .map(|letter| if letter.is_control() || matches!(letter, '"' | '\\') { '_' } else { letter })
            .collect();
        // A set is whole after every operation, so that a panic of another thread does no harm.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(clean.as_str()) {
            return Label(value.clone());
        }
        if known.len() >= MAX_VALUES {
            return Label(OTHER.into());
        }
        let value: Arc<str> = clean.into();
        known.insert(value.clone());
        Label(value)
    }
}

/// The values that each label has.
#[derive(Debug, Default)]
pub(super) struct LabelValues {
    pub(super) agents: Values,
    pub(super) models: Values,
    pub(super) tools: Values,
    pub(super) words: Values,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RunLabels {
    pub(super) agent: Label,
    pub(super) outcome: Label,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AgentLabels {
    pub(super) agent: Label,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabels {
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ModelLabels {
    pub(super) model: Label,
    pub(super) outcome: Label,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TokenLabels {
    pub(super) model: Label,
    pub(super) r#type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ToolLabels {
    pub(super) tool: Label,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DecisionLabels {
    pub(super) decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) outcome: Label,
}
