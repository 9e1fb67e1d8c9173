//! Files that people brought, as a store lists them.

use bytes::Bytes;
use martlet_core::Principal;

use crate::FileId;

/// A file to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its name here.
    pub id: FileId,
    /// Whose it is.
    pub owner: Principal,
    /// What its owner calls it. It is only shown, never a path.
    pub name: String,
    /// What it is, as a media type.
    pub media_type: String,
    /// When it came, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// The content.
    pub data: Bytes,
}

/// A file as it is stored, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileRow {
    /// Its name here.
    pub id: FileId,
    /// Whose it is.
    pub owner: Principal,
    /// What its owner calls it.
    pub name: String,
    /// What it is, as a media type.
    pub media_type: String,
    /// When it came.
    pub created_ms: u64,
    /// Bytes of its content.
    pub size: u64,
}
