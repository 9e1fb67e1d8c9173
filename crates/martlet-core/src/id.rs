//! Names of runs and of their effects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a run: unique in its journal; letters, digits, `-` and `_`, at most 64 of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

impl RunId {
    /// Takes a name that is given.
    ///
    /// # Errors
    /// If it is empty, longer than 64 bytes, or has other characters.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidId> {
        let name = name.as_ref();
        let valid = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if valid { Ok(Self(name.into())) } else { Err(InvalidId(name.chars().take(80).collect())) }
    }

    /// Makes a name from 128 bits, which the caller draws at random: `run_` and 26 characters of
    /// Crockford's base 32.
    pub fn from_bits(bits: u128) -> Self {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut name = String::with_capacity(30);
        name.push_str("run_");
        for place in (0..26).rev() {
            let digit = usize::try_from((bits >> (place * 5)) & 31).unwrap_or_default();
            name.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
        }
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidId;

    fn try_from(name: String) -> Result<Self, InvalidId> {
        Self::new(name)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0.to_string()
    }
}

/// The name of an effect: its place in its run. It is the same whenever the run is replayed, so it serves as
/// the key under which the outcome is journaled, and as the idempotency key of a tool call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EffectId {
    /// The run.
    pub run: RunId,
    /// The step, from 1.
    pub step: u32,
    /// The effect within the step, from 0, in the order in which the step asked for them.
    pub index: u32,
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.run, self.step, self.index)
    }
}

impl FromStr for EffectId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId(text.chars().take(120).collect());
        let mut pieces = text.split('/');
        let (Some(run), Some(step), Some(index), None) =
            (pieces.next(), pieces.next(), pieces.next(), pieces.next())
        else {
            return Err(invalid());
        };
        Ok(Self {
            run: RunId::new(run)?,
            step: step.parse().map_err(|_| invalid())?,
            index: index.parse().map_err(|_| invalid())?,
        })
    }
}

impl TryFrom<String> for EffectId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<EffectId> for String {
    fn from(id: EffectId) -> Self {
        id.to_string()
    }
}

/// A text that is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid id `{0}`: use 1 to 64 letters, digits, `-` and `_`")]
pub struct InvalidId(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_write() {
        let id = EffectId { run: RunId::from_bits(0x1234_5678_9abc), step: 3, index: 1 };
        assert_eq!(id.to_string().parse::<EffectId>(), Ok(id.clone()));
        assert_eq!(serde_json::from_str::<EffectId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn ids_refuse_what_could_be_a_path() {
        for text in ["", "../x", "a b", "ü", &"x".repeat(65)] {
            assert!(RunId::new(text).is_err(), "{text:?}");
        }
        for text in ["run/1", "run/1/2/3", "run/x/1", "/1/1"] {
            assert!(text.parse::<EffectId>().is_err(), "{text:?}");
        }
    }
}
