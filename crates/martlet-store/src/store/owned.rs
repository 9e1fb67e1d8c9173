//! What users may see: their own rows.

use bytes::Bytes;
use martlet_core::{Principal, RunId};

use super::approvals::Scope;
use super::branches::{self, NewBranch};
use super::{Store, approvals, files, journal, runs, sessions, sweep};
use crate::{
    Answer, ApprovalId, ApprovalRow, ApprovalState, Decided, FileId, FileRow, RunFilter, RunRow, RunState,
    SessionId, SessionRow, StoreError, StoredEvent, ValueId,
};

impl Store {
    /// What is this owner's. Rows of others are, for all that this answers, not there.
    pub fn of(&self, owner: &Principal) -> Owned<'_> {
        Owned { store: self, owner: owner.clone() }
    }
}

/// The rows of one owner: what users ask of a [`Store`]. Made by [`Store::of`].
///
/// All methods fail if the storage failed; what else they refuse, they say.
#[derive(Debug, Clone)]
pub struct Owned<'a> {
    store: &'a Store,
    owner: Principal,
}

impl Owned<'_> {
    /// The owner.
    pub fn owner(&self) -> &Principal {
        &self.owner
    }

    /// Runs, the newest first.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        let owner = self.owner.clone();
        self.store.read(move |connection| runs::list(connection, &owner, &filter)).await
    }

    /// A run.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError> {
        let (id, owner) = (id.clone(), self.owner.clone());
        self.store.read(move |connection| runs::find_owned(connection, &id, &owner)).await
    }

    /// The run that a request under this idempotency key created.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn run_of_key(&self, key: &str) -> Result<Option<RunRow>, StoreError> {
        let (key, owner) = (key.to_owned(), self.owner.clone());
        self.store.read(move |connection| runs::find_by_key(connection, &owner, &key)).await
    }

    /// The events of a run ([`Store::events`]); none if there is no such run.
    ///
    /// # Errors
    /// [`Damaged`](crate::StoreErrorKind::Damaged) if one is not what was written; else if the storage failed.
    pub async fn events(
        &self,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let (run, owner) = (run.clone(), self.owner.clone());
        self.store
            .read(move |connection| match runs::find_owned(connection, &run, &owner)? {
                Some(_) => journal::events(connection, &run, after, limit),
                None => Ok(Vec::new()),
            })
            .await
    }

    /// The number of runs in a state.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn count(&self, state: RunState) -> Result<u64, StoreError> {
        let owner = self.owner.clone();
        self.store.read(move |connection| runs::count(connection, &owner, state)).await
    }

    /// Removes a run with all that is its own, and says whether there was one.
    ///
    /// # Errors
    /// [`Refused`](crate::StoreErrorKind::Refused) if it has not ended; else if the storage failed.
    pub async fn delete_run(&self, id: &RunId) -> Result<bool, StoreError> {
        let (id, owner) = (id.clone(), self.owner.clone());
        self.store
            .write(move |commit| {
                let Some(run) = runs::find_owned(commit.connection, &id, &owner)? else { return Ok(false) };
                if run.state != RunState::Ended {
                    return Err(StoreError::refused(format!(
                        "run {id} has not ended: cancel it, or wait for it, and delete it then"
                    ))
                    .into());
                }
                sweep::remove_run(commit.connection, &id)?;
                Ok(true)
            })
            .await
    }

    /// Sessions, those that were used last first; those with a text in their title or in that of one of their runs, and
    /// those used before another one.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn sessions(
        &self,
        search: Option<&str>,
        before: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let (search, before, owner) = (search.map(str::to_owned), before.cloned(), self.owner.clone());
        self.store
            .read(move |connection| {
                sessions::list(connection, &owner, search.as_deref(), before.as_ref(), limit)
            })
            .await
    }

    /// A session.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        let (id, owner) = (id.clone(), self.owner.clone());
        self.store.read(move |connection| sessions::find(connection, &id, &owner)).await
    }

    /// Gives a session another title, and says whether there is such a session.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn rename_session(&self, id: &SessionId, title: &str) -> Result<bool, StoreError> {
        let (id, owner, title) = (id.clone(), self.owner.clone(), title.to_owned());
        self.store.write(move |commit| sessions::rename(commit.connection, &id, &owner, &title)).await
    }

    /// Makes a session that begins as another one did, up to and without a run of it: it takes over the runs before, which
    /// belong to both from then on, and goes on with what was said in them.
    ///
    /// # Errors
    /// [`Unknown`](crate::StoreErrorKind::Unknown) if there is no such session, or no such run in it;
    /// [`Refused`](crate::StoreErrorKind::Refused) if a run before has not ended;
    /// [`Conflict`](crate::StoreErrorKind::Conflict) if there is a session `new`; else if the storage failed.
    pub async fn branch_session(
        &self,
        id: &SessionId,
        before: &RunId,
        new: &SessionId,
        at_ms: u64,
    ) -> Result<SessionRow, StoreError> {
        let (of, before, new) = (id.clone(), before.clone(), new.clone());
        let owner = self.owner.clone();
        self.store
            .write(move |commit| {
                let new = NewBranch { of: &of, before: &before, id: &new, at_ms };
                branches::branch(commit.connection, &owner, &new)
            })
            .await
    }

    /// Removes a session with its runs and all that is theirs, and says whether there was one. Runs that another session has
    /// taken over stay in that one.
    ///
    /// # Errors
    /// [`Refused`](crate::StoreErrorKind::Refused) if one of its runs has not ended; else if the storage failed.
    pub async fn delete_session(&self, id: &SessionId) -> Result<bool, StoreError> {
        let (id, owner) = (id.clone(), self.owner.clone());
        self.store.write(move |commit| sessions::delete(commit.connection, &id, &owner)).await
    }

    /// Questions, the newest first; with `pending_only`, those that nobody has decided.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn approvals(&self, pending_only: bool, limit: usize) -> Result<Vec<ApprovalRow>, StoreError> {
        let (scope, state) = (self.scope(), pending_only.then_some(ApprovalState::Pending));
        self.store.read(move |connection| approvals::list(connection, &scope, state, limit)).await
    }

    /// All questions of a run, and of the runs in it, the oldest first; none if there is no such run.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn approvals_of(&self, run: &RunId) -> Result<Vec<ApprovalRow>, StoreError> {
        let (run, owner) = (run.clone(), self.owner.clone());
        self.store
            .read(move |connection| match runs::find_owned(connection, &run, &owner)? {
                Some(_) => approvals::of_run(connection, &run),
                None => Ok(Vec::new()),
            })
            .await
    }

    /// A question.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn approval(&self, id: &ApprovalId) -> Result<Option<ApprovalRow>, StoreError> {
        let (scope, id) = (self.scope(), id.clone());
        self.store.read(move |connection| approvals::find(connection, &scope, &id)).await
    }

    /// Decides a question as its owner ([`Store::decide`]).
    ///
    /// # Errors
    /// As [`Store::decide`].
    pub async fn decide(
        &self,
        id: &ApprovalId,
        digest: Option<ValueId>,
        answer: Answer,
        at_ms: u64,
    ) -> Result<Decided, StoreError> {
        self.store.decide_within(self.scope(), id, digest, answer, &self.owner, at_ms).await
    }

    /// Files, the newest first.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn files(&self) -> Result<Vec<FileRow>, StoreError> {
        let owner = self.owner.clone();
        self.store.read(move |connection| files::list(connection, &owner)).await
    }

    /// A file, without its content.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn file(&self, id: &FileId) -> Result<Option<FileRow>, StoreError> {
        let (id, owner) = (id.clone(), self.owner.clone());
        self.store.read(move |connection| files::find(connection, &id, Some(&owner))).await
    }

    /// The content of a file.
    ///
    /// # Errors
    /// [`Damaged`](crate::StoreErrorKind::Damaged) if it is not what was written; else if the storage failed.
    pub async fn file_data(&self, id: &FileId) -> Result<Option<Bytes>, StoreError> {
        let (id, owner) = (id.clone(), self.owner.clone());
        self.store.read(move |connection| files::data(connection, &id, Some(&owner))).await
    }

    /// Removes a file, and says whether there was one.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn delete_file(&self, id: &FileId) -> Result<bool, StoreError> {
        let (id, owner) = (id.clone(), self.owner.clone());
        self.store.write(move |commit| files::delete(commit.connection, &id, Some(&owner))).await
    }

    fn scope(&self) -> Scope {
        Scope::Owner(self.owner.clone())
    }
}
