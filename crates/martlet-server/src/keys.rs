//! API keys: `mrt_<id>_<secret>`.
//!
//! The id says which row of the store the key is; the secret is 256 random bits, of which the store has the SHA-256
//! alone. There is no salt and no slow hash, as nobody can guess 256 random bits.

use std::fmt;
use std::str::FromStr;

use martlet_core::Principal;
use martlet_store::{KeyId, KeyRow};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What every key begins with, so that people and scanners for leaked secrets know it.
const PREFIX: &str = "mrt_";
/// Characters of the secret: 256 bits, 5 in each.
const SECRET_LENGTH: usize = 52;
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A text that must not be shown: it prints as `Secret(…)`, and only [`expose`](Self::expose) gives it.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text. Give it to whom it belongs, and to nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What may be asked with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// Start, cancel and delete one's own runs.
    Run,
    /// See one's own runs, sessions and files.
    Read,
    /// Decide on the approvals of the tenant.
    Approve,
    /// Everything, keys and metrics included.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Run, Self::Read, Self::Approve, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Read => "read",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no [`Scope`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such scope; use run, read, approve or admin")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub fn all() -> Self {
        Self::from_iter(Scope::ALL)
    }

    /// Whether they let somebody do what the scope stands for: `admin` lets do everything.
    pub fn allow(self, scope: Scope) -> bool {
        self.has(scope) || self.has(Scope::Admin)
    }

    /// The scopes, as they are stored.
    pub fn names(self) -> Vec<String> {
        Scope::ALL.into_iter().filter(|scope| self.has(*scope)).map(|scope| scope.to_string()).collect()
    }

    /// The scopes as they were stored. Names that this version does not know allow nothing.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(|name| name.parse::<Scope>().ok()).collect()
    }

    fn has(self, scope: Scope) -> bool {
        self.0 & Self::bit(scope) != 0
    }

    fn bit(scope: Scope) -> u8 {
        match scope {
            Scope::Run => 1,
            Scope::Read => 2,
            Scope::Approve => 4,
            Scope::Admin => 8,
        }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | Self::bit(scope)))
    }
}

/// A key that somebody shows. It is well formed; whether it is valid is for [`verify`](Self::verify) to say.
#[derive(Debug, Clone)]
pub struct ApiKey {
    id: KeyId,
    secret: Secret,
}

impl ApiKey {
    /// Reads a key as it stands in a header.
    ///
    /// # Errors
    /// If it has not the form of a key. The error does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let (id, secret) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(MalformedKey)?;
        if secret.len() != SECRET_LENGTH || !secret.bytes().all(|byte| DIGITS.contains(&byte)) {
            return Err(MalformedKey);
        }
        let id = KeyId::new(id).map_err(|_| MalformedKey)?;
        Ok(Self { id, secret: Secret::new(secret) })
    }

    /// Makes a new key and the row to store for it. The key is shown once, to its owner: nothing can bring it back.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn issue(request: KeyRequest) -> Result<(Self, KeyRow), getrandom::Error> {
        let mut id = [0; 16];
        let mut secret = [0; 32];
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        let key =
            Self { id: KeyId::from_bits(u128::from_le_bytes(id)), secret: Secret::new(base32(&secret)) };
        let row = KeyRow {
            id: key.id.clone(),
            digest: key.digest(),
            owner: request.owner,
            scopes: request.scopes.names(),
            label: request.label,
            created_ms: request.created_ms,
            expires_ms: request.expires_ms,
            last_used_ms: None,
            revoked_ms: None,
        };
        Ok((key, row))
    }

    /// The part that is no secret: look up the row with it.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The whole key, for its owner.
    pub fn text(&self) -> Secret {
        Secret::new(format!("{PREFIX}{}_{}", self.id, self.secret.expose()))
    }

    /// Says who shows the key and what may be asked with it. `row` is what the store has under [`id`](Self::id). It takes
    /// as long for a key that is not there as for one whose secret is wrong.
    ///
    /// # Errors
    /// If it is not valid. Why is for the log: whoever shows it should be told no more than that.
    pub fn verify(&self, row: Option<&KeyRow>, now_ms: u64) -> Result<Grant, KeyRefusal> {
        let expected = row.map_or([0; 32], |row| row.digest);
        let matches = bool::from(self.digest().ct_eq(&expected));
        let row = row.filter(|row| row.id == self.id).ok_or(KeyRefusal::Unknown)?;
        if !matches {
            return Err(KeyRefusal::WrongSecret);
        }
        Grant::of(row, now_ms)
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose()).into()
    }
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct KeyRequest {
    /// Who will ask with it.
    pub owner: Principal,
    /// What may be asked with it.
    pub scopes: Scopes,
    /// What people call it.
    pub label: String,
    /// Now, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// When it stops to be valid. Default: never.
    pub expires_ms: Option<u64>,
}

/// What a valid key gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The key.
    pub key: KeyId,
    /// Who asks.
    pub owner: Principal,
    /// What may be asked.
    pub scopes: Scopes,
}

impl Grant {
    /// What a key gives to those who are known to have it.
    pub(crate) fn of(row: &KeyRow, now_ms: u64) -> Result<Self, KeyRefusal> {
        if row.revoked_ms.is_some() {
            return Err(KeyRefusal::Revoked);
        }
        if row.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            return Err(KeyRefusal::Expired);
        }
        let scopes = Scopes::from_names(row.scopes.iter().map(String::as_str));
        Ok(Self { key: row.id.clone(), owner: row.owner.clone(), scopes })
    }
}

/// A text that has not the form of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key: one reads `mrt_`, 12 characters, `_`, 52 characters")]
pub struct MalformedKey;

/// Why a key gives nothing. For the log; everybody else is told the same in all cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRefusal {
    /// There is no such key.
    #[error("there is no such key")]
    Unknown,
    /// There is a key of this id, with another secret.
    #[error("the key's secret is wrong")]
    WrongSecret,
    /// Its time is over.
    #[error("the key has expired")]
    Expired,
    /// It was revoked.
    #[error("the key was revoked")]
    Revoked,
}

/// 5 bits a character, the first bits first; the last character holds what is left.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut count) = (0_u32, 0);
    let mut push = |value: u32| {
        let digit = usize::try_from(value & 31).ok().and_then(|index| DIGITS.get(index));
        text.push(char::from(digit.copied().unwrap_or(b'0')));
    };
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            push(bits >> count);
        }
    }
    if count > 0 {
        push(bits << (5 - count));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_all_its_bits() {
        assert_eq!(base32(&[0xff; 32]).len(), SECRET_LENGTH);
        assert_eq!(base32(&[0xff; 32]), format!("{}g", "z".repeat(51)));
        assert_eq!(base32(&[0; 5]), "00000000");
        // 00001 00001 00001 1 and four bits of filling.
        assert_eq!(base32(&[0b0000_1000, 0b0100_0011]), "111g");
    }
}
