//! Why a journal or a store refused or failed.

use std::error::Error;
use std::path::Path;

use martlet_core::RunId;

/// Why a journal or a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// There is a record of this number already: somebody else writes to the run. Do not repeat; read the
    /// journal anew.
    Conflict,
    /// The record before it is missing: a mistake of the caller. Do not repeat.
    Gap,
    /// The storage failed. The record may have been written nevertheless; read the journal before repeating.
    Unavailable,
    /// There is no space, on the disk or in what the store may take of it. Nothing was written; repeat it when there is.
    Full,
    /// Another process has the store open.
    Locked,
    /// The store is of another version, or the file is no store at all. Nothing was changed.
    Incompatible,
    /// What is stored is not what was written.
    Damaged,
    /// What was named is not there, or is somebody else's. Nothing was changed.
    Unknown,
    /// It cannot be done as things stand; the message says why. Nothing was changed.
    Refused,
}

impl StoreError {
    /// There is a record `seq` already; `next` is the first number that is free.
    pub fn conflict(run: &RunId, seq: u64, next: u64) -> Self {
        let message = format!(
            "run {run} has a record {seq} already (the next is {next}): another process drives this run, or it was \
             started twice under one name"
        );
        Self { kind: StoreErrorKind::Conflict, message, source: None }
    }

    /// The record before `seq` is missing; `next` is the first number that is free.
    pub fn gap(run: &RunId, seq: u64, next: u64) -> Self {
        let message = format!("record {seq} of run {run} would leave a gap: the next is {next}");
        Self { kind: StoreErrorKind::Gap, message, source: None }
    }

    /// The storage failed.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let message = "the storage failed; see that it has space and can be written".to_owned();
        Self { kind: StoreErrorKind::Unavailable, message, source: Some(source.into()) }
    }

    /// What was named is not there; `what` names it.
    pub(crate) fn unknown(what: impl Into<String>) -> Self {
        Self::of(StoreErrorKind::Unknown, format!("there is no {}", what.into()))
    }

    /// There is one of that name already; `what` names it.
    pub(crate) fn exists(what: impl Into<String>) -> Self {
        Self::of(StoreErrorKind::Conflict, format!("there is a {} already: choose another name", what.into()))
    }

    /// It cannot be done as things stand; `why` says so and what to do.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::of(StoreErrorKind::Refused, why.into())
    }

    /// Another process has the store open.
    pub(crate) fn locked(folder: &Path, holder: Option<&str>) -> Self {
        let holder = holder.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
        Self::of(
            StoreErrorKind::Locked,
            format!("{holder} has the store in {} open: end it, or choose another folder", folder.display()),
        )
    }

    /// The store cannot be used by this version; `message` says why and what to do.
    pub(crate) fn incompatible(message: String) -> Self {
        Self::of(StoreErrorKind::Incompatible, message)
    }

    /// What is stored is not what was written; `problem` says what and where.
    pub(crate) fn damaged(problem: impl std::fmt::Display) -> Self {
        Self::of(
            StoreErrorKind::Damaged,
            format!(
                "the store is damaged: {problem}. Stop writing to it, keep a copy of its folder, and restore a backup"
            ),
        )
    }

    /// A file or a folder of the store cannot be used.
    pub(crate) fn file(path: &Path, error: std::io::Error) -> Self {
        let message = format!(
            "the store cannot use {}: {error}; see that the folder exists, has space and can be written",
            path.display()
        );
        Self { kind: StoreErrorKind::Unavailable, message, source: Some(error.into()) }
    }

    /// What SQLite reports, as what it means here.
    pub(crate) fn sqlite(error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        if let rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) = error
        {
            return Self::damaged(format_args!("a row is not what was written ({error})"));
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::of(
                StoreErrorKind::Full,
                "the store is full: nothing was written; make space on its disk, or raise its limit, and repeat".into(),
            ),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::damaged(error),
            // The text is all that SQLite tells; it names no values.
            _ => Self::unavailable(error.to_string()),
        }
    }

    fn of(kind: StoreErrorKind, message: String) -> Self {
        Self { kind, message, source: None }
    }

    /// What kind of error, and so whether repeating can help.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}
