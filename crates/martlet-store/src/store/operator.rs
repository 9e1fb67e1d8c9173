//! What those see who run the server: the rows of all.

use martlet_core::RunId;
use rusqlite::params;

use super::approvals::{self, Scope};
use super::row::Failure;
use super::{Store, row, runs};
use crate::{ApprovalId, ApprovalRow, ApprovalState, RunRow, RunState, StoreError};

impl Store {
    /// Runs of all owners, the newest first; those in a state, and those that were created before another one.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn all_runs(
        &self,
        state: Option<RunState>,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<Vec<RunRow>, StoreError> {
        let before = before.cloned();
        self.read(move |connection| runs::list_all(connection, state, before.as_ref(), limit)).await
    }

    /// The names of runs that begin with a text, the newest first.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn runs_named(&self, prefix: &str, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let prefix = prefix.to_owned();
        self.read(move |connection| {
            let names = connection
                .prepare_cached(
                    "SELECT name FROM runs WHERE substr(name, 1, length(?1)) = ?1 ORDER BY id DESC LIMIT ?2",
                )?
                .query_map(params![prefix, row::limit(limit)], |row| row::text(row, 0))?
                .collect::<rusqlite::Result<_>>()?;
            Ok::<_, Failure>(names)
        })
        .await
    }

    /// Questions of all owners, the newest first; with `pending_only`, those that nobody has decided.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn all_approvals(
        &self,
        pending_only: bool,
        limit: usize,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let state = pending_only.then_some(ApprovalState::Pending);
        self.read(move |connection| approvals::list(connection, &Scope::All, state, limit)).await
    }

    /// All questions of a run, and of the runs in it, the oldest first.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn approvals_of(&self, root: &RunId) -> Result<Vec<ApprovalRow>, StoreError> {
        let root = root.clone();
        self.read(move |connection| approvals::of_run(connection, &root)).await
    }

    /// The names of questions that begin with a text, the newest first.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn approvals_named(&self, prefix: &str, limit: usize) -> Result<Vec<ApprovalId>, StoreError> {
        let prefix = prefix.to_owned();
        self.read(move |connection| {
            let names = connection
                .prepare_cached(
                    "SELECT name FROM approvals WHERE substr(name, 1, length(?1)) = ?1 ORDER BY id DESC LIMIT ?2",
                )?
                .query_map(params![prefix, row::limit(limit)], |row| row::text(row, 0))?
                .collect::<rusqlite::Result<_>>()?;
            Ok::<_, Failure>(names)
        })
        .await
    }
}
