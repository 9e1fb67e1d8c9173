//! Why a journal or a store refused or failed.

use std::error::Error;

use martlet_core::RunId;

/// Why a journal did not do what it was asked.
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
        let message = "the journal's storage failed; see that it has space and can be written".to_owned();
        Self { kind: StoreErrorKind::Unavailable, message, source: Some(source.into()) }
    }

    /// What kind of error, and so whether repeating can help.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}
