//! Names of what a store keeps beside runs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use martlet_core::id::{check_name, random_name};
use martlet_core::{EffectId, InvalidId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_string()
            }
        }
    )*};
}

names! {
    /// The name of a session.
    SessionId;
    /// The name of a file.
    FileId;
    /// The name of a question to a person: it follows from the effect that waits for the answer.
    ApprovalId;
    /// The name of an API key: the part of the key that is no secret, 12 characters.
    KeyId;
}

impl SessionId {
    /// Takes a name that is given: letters, digits, `-` and `_`, at most 128 of them.
    ///
    /// # Errors
    /// If it is another text.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
        check_name(text.as_ref()).map(|name| Self(name.into()))
    }

    /// Makes a name from 128 bits, which the caller draws at random: `sess_` and 26 characters.
    pub fn from_bits(bits: u128) -> Self {
        Self(random_name("sess_", bits).into())
    }
}

impl FileId {
    /// Takes a name that is given: letters, digits, `-` and `_`, at most 128 of them.
    ///
    /// # Errors
    /// If it is another text.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
        check_name(text.as_ref()).map(|name| Self(name.into()))
    }

    /// Makes a name from 128 bits, which the caller draws at random: `file_` and 26 characters.
    pub fn from_bits(bits: u128) -> Self {
        Self(random_name("file_", bits).into())
    }
}

impl ApprovalId {
    /// Takes a name that is given: letters, digits, `-` and `_`, at most 128 of them.
    ///
    /// # Errors
    /// If it is another text.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
        check_name(text.as_ref()).map(|name| Self(name.into()))
    }

    /// Makes a name from 128 bits: `appr_` and 26 characters.
    pub fn from_bits(bits: u128) -> Self {
        Self(random_name("appr_", bits).into())
    }

    /// The name of the question that an effect asks. It is the same whenever the run is replayed, so that asking twice
    /// is one question.
    pub fn of(effect: &EffectId) -> Self {
        let digest: [u8; 32] = Sha256::digest(effect.to_string()).into();
        let bits = digest.iter().take(16).fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
        Self::from_bits(bits)
    }
}

impl KeyId {
    /// Characters of the name of a key.
    const LENGTH: usize = 12;

    /// Takes a name that is given: 12 small letters and digits without `i`, `l`, `o` and `u`.
    ///
    /// # Errors
    /// If it is another text.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
        let text = text.as_ref();
        let digit = |byte: u8| {
            byte.is_ascii_digit() || (byte.is_ascii_lowercase() && !matches!(byte, b'i' | b'l' | b'o' | b'u'))
        };
        if text.len() == Self::LENGTH && text.bytes().all(digit) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::new(text, "12 small letters and digits without `i`, `l`, `o` and `u`"))
        }
    }

    /// Makes a name from the lowest 60 of the bits, which the caller draws at random.
    pub fn from_bits(bits: u128) -> Self {
        let digits: String = random_name("", bits).chars().skip(26 - Self::LENGTH).collect();
        Self(digits.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_what_they_write_and_refuse_the_rest() {
        let bits = u128::MAX - 12345;
        assert_eq!(SessionId::from_bits(bits).to_string().parse(), Ok(SessionId::from_bits(bits)));
        assert_eq!(FileId::from_bits(bits).to_string().parse(), Ok(FileId::from_bits(bits)));
        assert_eq!(ApprovalId::from_bits(bits).to_string().parse(), Ok(ApprovalId::from_bits(bits)));
        let key = KeyId::from_bits(bits);
        assert_eq!(key.as_str().len(), 12);
        assert_eq!(key, KeyId::from_bits(bits & ((1 << 60) - 1)));
        assert_eq!(serde_json::from_str::<KeyId>(&serde_json::to_string(&key).unwrap()).unwrap(), key);
        for text in ["", "0123456789a", "0123456789abc", "0123456789aI", "0123456789al", "../456789abc"] {
            let error = KeyId::new(text).unwrap_err().to_string();
            assert!(error.contains("use 12 small letters and digits"), "{error}");
        }
        for text in ["", "../x", "a b"] {
            assert!(
                SessionId::new(text).is_err() && FileId::new(text).is_err() && ApprovalId::new(text).is_err()
            );
        }
    }

    #[test]
    fn a_question_is_named_after_its_effect() {
        let effect = |text: &str| text.parse::<EffectId>().unwrap();
        assert_eq!(ApprovalId::of(&effect("r/1/0")), ApprovalId::of(&effect("r/1/0")));
        assert_ne!(ApprovalId::of(&effect("r/1/0")), ApprovalId::of(&effect("r/1/1")));
        // The name is stored: it must stay the same for ever.
        assert_eq!(ApprovalId::of(&effect("r/1/0")).as_str(), "appr_6savm5ezmbb7tps9yv29skawa8");
    }
}
