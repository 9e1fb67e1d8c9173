//! Browsers in which somebody signed in, as a store keeps them.

use crate::{KeyId, KeyRow, ValueId};

/// A browser in which somebody signs in with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSignIn {
    /// The SHA-256 of what the browser will show.
    pub digest: ValueId,
    /// The key with which somebody signs in.
    pub key: KeyId,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// When it stops to be valid.
    pub expires_ms: u64,
}

/// A browser in which somebody signed in: it may do what the key may, as long as the key is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignInRow {
    /// The key, as it is now.
    pub key: KeyRow,
    /// When somebody signed in.
    pub created_ms: u64,
    /// When it stops to be valid.
    pub expires_ms: u64,
}
