//! Names of tools with `*` in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names of tools: letters, digits and `_` stand for themselves, `*` for any letters, also none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolPattern(String);

impl ToolPattern {
    /// Checks that the text can fit the name of a tool.
    ///
    /// # Errors
    /// It is empty, or has a letter that no tool's name has.
    pub fn new(text: impl Into<String>) -> Result<Self, PatternError> {
        let text = text.into();
        let letters =
            text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '*'));
        if text.is_empty() || !letters { Err(PatternError(text)) } else { Ok(Self(text)) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name fits.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else { return false };
        let Some(tail) = parts.next_back() else { return rest.is_empty() };
        // The first place where a part fits leaves the most for those after it.
        for part in parts {
            match rest.find(part) {
                Some(place) => rest = rest.get(place + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.ends_with(tail)
    }
}

impl fmt::Display for ToolPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ToolPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

impl TryFrom<String> for ToolPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::new(text)
    }
}

impl From<ToolPattern> for String {
    fn from(pattern: ToolPattern) -> Self {
        pattern.0
    }
}

/// A text that fits no name of a tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` fits no tool: write a tool's name, of letters, digits and `_`, or a part of one with `*`", .0.escape_debug())]
pub struct PatternError(String);
