//! Names of runs and of their effects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name of a run, in bytes: a run of a random name may be nested some fifteen deep before names are cut.
const MAX_LENGTH: usize = 128;

/// The name of a run: unique in its journal; letters, digits, `-` and `_`, at most 128 of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

impl RunId {
    /// Takes a name that is given.
    ///
    /// # Errors
    /// If it is empty, longer than 128 bytes, or has other characters.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidId> {
        check_name(name.as_ref()).map(|name| Self(name.into()))
    }

    /// Makes a name from 128 bits, which the caller draws at random: `run_` and 26 characters of
    /// Crockford's base 32.
    pub fn from_bits(bits: u128) -> Self {
        Self(random_name("run_", bits).into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Gives the name back if it is fit for one: letters, digits, `-` and `_`, 1 to 128 of them.
///
/// # Errors
/// If it is not.
pub fn check_name(name: &str) -> Result<&str, InvalidId> {
    let valid = !name.is_empty()
        && name.len() <= MAX_LENGTH
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if valid { Ok(name) } else { Err(InvalidId::of_name(name)) }
}

/// A name of 128 bits, which the caller draws at random: the prefix and 26 characters of Crockford's base 32.
pub fn random_name(prefix: &str, bits: u128) -> String {
    let mut name = String::with_capacity(prefix.len() + 26);
    name.push_str(prefix);
    push_base32(&mut name, bits);
    name
}

/// Writes 26 characters of Crockford's base 32.
fn push_base32(text: &mut String, bits: u128) {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    for place in (0..26).rev() {
        let digit = usize::try_from((bits >> (place * 5)) & 31).unwrap_or_default();
        text.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
    }
}

/// A hash that is the same on every machine and in every version (FNV-1a of 128 bits).
fn hash(text: &str) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    text.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = InvalidId;

    fn from_str(name: &str) -> Result<Self, InvalidId> {
        Self::new(name)
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

impl EffectId {
    /// The name of the child run that performs this effect: `run-step-index`. It is the same whenever the run is
    /// replayed. Where it would be longer than a name may be, the end of it gives way to a hash of the whole.
    pub fn child_run(&self) -> RunId {
        const HASH: usize = 26;
        let mut name = format!("{}-{}-{}", self.run, self.step, self.index);
        if name.len() > MAX_LENGTH {
            let hash = hash(&name);
            // Names are ASCII, so that they can be cut anywhere.
            name.truncate(MAX_LENGTH - HASH - 1);
            name.push('_');
            push_base32(&mut name, hash);
        }
        RunId(name.into())
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.run, self.step, self.index)
    }
}

impl FromStr for EffectId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::of_name(text);
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
#[error("invalid id `{text}`: use {rule}")]
pub struct InvalidId {
    text: String,
    rule: &'static str,
}

impl InvalidId {
    /// A text that breaks a rule, which goes on after "use".
    pub fn new(text: &str, rule: &'static str) -> Self {
        Self { text: text.chars().filter(|char| !char.is_control()).take(80).collect(), rule }
    }

    fn of_name(text: &str) -> Self {
        Self::new(text, "1 to 128 letters, digits, `-` and `_`")
    }
}

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
    fn child_runs_are_named_after_their_effect_however_deep() {
        let mut id = EffectId { run: RunId::new("r").unwrap(), step: 3, index: 1 };
        assert_eq!(id.child_run().as_str(), "r-3-1");
        let mut names = std::collections::HashSet::new();
        for _ in 0..100 {
            let child = id.child_run();
            assert_eq!(child, id.child_run());
            assert!(RunId::new(child.as_str()).is_ok(), "{child}");
            assert!(names.insert(child.clone()), "{child} again");
            id.run = child;
        }
    }

    #[test]
    fn ids_refuse_what_could_be_a_path() {
        for text in ["", "../x", "a b", "ü", &"x".repeat(129)] {
            assert!(RunId::new(text).is_err(), "{text:?}");
        }
        for text in ["run/1", "run/1/2/3", "run/x/1", "/1/1"] {
            assert!(text.parse::<EffectId>().is_err(), "{text:?}");
        }
    }
}
