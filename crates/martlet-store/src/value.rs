//! Big values: stored once, named by what they are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The name of a value: the SHA-256 of its bytes, in text as 64 small hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ValueId([u8; 32]);

impl ValueId {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The name as it was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The name as it is stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueId({self})")
    }
}

/// A text that is no [`ValueId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name of a value is 64 small hexadecimal digits")]
pub struct InvalidValueId;

impl FromStr for ValueId {
    type Err = InvalidValueId;

    fn from_str(text: &str) -> Result<Self, InvalidValueId> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(InvalidValueId),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut id = [0; 32];
        if !rest.is_empty() || pairs.len() != id.len() {
            return Err(InvalidValueId);
        }
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(id))
    }
}

impl TryFrom<String> for ValueId {
    type Error = InvalidValueId;

    fn try_from(text: String) -> Result<Self, InvalidValueId> {
        text.parse()
    }
}

impl From<ValueId> for String {
    fn from(id: ValueId) -> Self {
        id.to_string()
    }
}
