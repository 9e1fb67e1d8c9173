//! What those may see who decide for others.

use martlet_core::{Principal, RunId};

use super::approvals::Scope;
use super::{Store, approvals, runs};
use crate::{Answer, ApprovalId, ApprovalRow, ApprovalState, Decided, RunRow, StoreError, ValueId};

impl Store {
    /// The questions of a tenant, for those who decide for others.
    pub fn of_tenant(&self, tenant: &str) -> OfTenant<'_> {
        OfTenant { store: self, tenant: tenant.to_owned() }
    }
}

/// The questions of one tenant. Made by [`Store::of_tenant`].
#[derive(Debug, Clone)]
pub struct OfTenant<'a> {
    store: &'a Store,
    tenant: String,
}

impl OfTenant<'_> {
    /// Questions, the newest first; with `pending_only`, those that nobody has decided.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn approvals(&self, pending_only: bool, limit: usize) -> Result<Vec<ApprovalRow>, StoreError> {
        let (scope, state) = (self.scope(), pending_only.then_some(ApprovalState::Pending));
        self.store.read(move |connection| approvals::list(connection, &scope, state, limit)).await
    }

    /// A question.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn approval(&self, id: &ApprovalId) -> Result<Option<ApprovalRow>, StoreError> {
        let (scope, id) = (self.scope(), id.clone());
        self.store.read(move |connection| approvals::find(connection, &scope, &id)).await
    }

    /// A run that asked a question.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError> {
        let (id, tenant) = (id.clone(), self.tenant.clone());
        self.store.read(move |connection| runs::find_asked_about(connection, &id, &tenant)).await
    }

    /// Decides a question of the tenant ([`Store::decide`]).
    ///
    /// # Errors
    /// As [`Store::decide`].
    pub async fn decide(
        &self,
        id: &ApprovalId,
        digest: Option<ValueId>,
        answer: Answer,
        by: &Principal,
        at_ms: u64,
    ) -> Result<Decided, StoreError> {
        self.store.decide_within(self.scope(), id, digest, answer, by, at_ms).await
    }

    fn scope(&self) -> Scope {
        Scope::Tenant(self.tenant.clone())
    }
}
