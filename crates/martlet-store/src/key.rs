//! API keys, as a store keeps them.

use std::fmt;

use martlet_core::Principal;

use crate::KeyId;

/// An API key, without its secret: only a hash of that is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The part of the key that is no secret.
    pub id: KeyId,
    /// The SHA-256 of the secret.
    pub digest: [u8; 32],
    /// Who asks with it.
    pub owner: Principal,
    /// What may be asked with it.
    pub scopes: Vec<String>,
    /// What people call it.
    pub label: String,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// When it stops to be valid. Default: never.
    pub expires_ms: Option<u64>,
    /// When it was last used.
    pub last_used_ms: Option<u64>,
    /// When it was revoked.
    pub revoked_ms: Option<u64>,
}

/// Without the digest.
impl fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRow")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("scopes", &self.scopes)
            .field("label", &self.label)
            .field("created_ms", &self.created_ms)
            .field("expires_ms", &self.expires_ms)
            .field("last_used_ms", &self.last_used_ms)
            .field("revoked_ms", &self.revoked_ms)
            .finish_non_exhaustive()
    }
}
