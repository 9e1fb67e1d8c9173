//! Questions to people.

use martlet_core::{Principal, RunId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Store;
use super::row::{self, Failure};
use super::threads::Commit;
use crate::{
    Answer, ApprovalId, ApprovalKind, ApprovalRow, ApprovalState, Decided, NewApproval, StoreError, ValueId,
};

/// What [`approval_of`] reads.
const COLUMNS: &str =
    "name, root, effect, tenant, user, kind, tool, digest, asked_ms, expires_ms, state, by_tenant, by_user,
    decided_ms, answer, arguments, under";

/// Why something that nobody decided about in time counts as denied.
const EXPIRED: &str = "nobody decided in time";
/// Why something that is no longer asked counts as denied.
const WITHDRAWN: &str = "the run ended before somebody decided";

/// Whose questions somebody may see.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    Owner(Principal),
    Tenant(String),
    All,
}

impl Scope {
    /// The condition on the parameters 1 and 2, which are the names.
    fn condition(&self) -> &'static str {
        match self {
            Self::Owner(_) => "tenant = ?1 AND user = ?2",
            Self::Tenant(_) => "tenant = ?1 AND ?2 IS NULL",
            Self::All => "?1 IS NULL AND ?2 IS NULL",
        }
    }

    /// The tenant and the user.
    fn names(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Owner(owner) => (Some(&owner.tenant), Some(&owner.user)),
            Self::Tenant(tenant) => (Some(tenant), None),
            Self::All => (None, None),
        }
    }
}

impl Store {
    /// Asks a question, unless it was asked before, and gives the answer if there is one. What expired or was withdrawn is
    /// denied. A call of a tool that somebody approved for the run is approved by them. A question of the same effect about something else, by its digest, is asked anew: what was decided about the
    /// other one does not count.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn ask(&self, new: NewApproval) -> Result<Option<Answer>, StoreError> {
        self.write(move |commit| ask(commit, &new)).await
    }

    /// Decides a question. Of all decisions about it exactly one is ever taken; the others are told what was. With a digest,
    /// the decision counts for what has that digest alone.
    ///
    /// # Errors
    /// [`Refused`](crate::StoreErrorKind::Refused) if the answer does not fit the question
    /// ([`Answer::fits`]); else if the storage failed. Nothing was decided then.
    pub async fn decide(
        &self,
        id: &ApprovalId,
        digest: Option<ValueId>,
        answer: Answer,
        by: &Principal,
        at_ms: u64,
    ) -> Result<Decided, StoreError> {
        self.decide_within(Scope::All, id, digest, answer, by, at_ms).await
    }

    pub(super) async fn decide_within(
        &self,
        scope: Scope,
        id: &ApprovalId,
        digest: Option<ValueId>,
        answer: Answer,
        by: &Principal,
        at_ms: u64,
    ) -> Result<Decided, StoreError> {
        let (id, by) = (id.clone(), by.clone());
        self.write(move |commit| {
            let decision = Decision { id: &id, digest, answer: &answer, by: &by, at_ms };
            decide(commit, &scope, &decision)
        })
        .await
    }

    /// Lets the questions expire whose time has come, and gives those that did.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn expire(&self, now_ms: u64) -> Result<Vec<ApprovalRow>, StoreError> {
        self.write(move |commit| {
            let names = commit
                .connection
                .prepare_cached(
                    "UPDATE approvals SET state = 'expired', decided_ms = ?1
                     WHERE state = 'pending' AND expires_ms <= ?1 RETURNING name",
                )?
                .query_map([row::int(now_ms)], |row| row::text(row, 0))?
                .collect::<rusqlite::Result<Vec<ApprovalId>>>()?;
            let mut expired = Vec::with_capacity(names.len());
            for name in names {
                expired.extend(find(commit.connection, &Scope::All, &name)?);
            }
            Ok(expired)
        })
        .await
    }

    /// The number of questions that nobody has answered.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn count_pending(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let count = "SELECT count(*) FROM approvals WHERE state = 'pending'";
            Ok(connection.prepare_cached(count)?.query_row([], |row| row.get(0))?)
        })
        .await
    }

    /// A question.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn approval(&self, id: &ApprovalId) -> Result<Option<ApprovalRow>, StoreError> {
        let id = id.clone();
        self.read(move |connection| find(connection, &Scope::All, &id)).await
    }
}

fn ask(commit: &mut Commit<'_>, new: &NewApproval) -> Result<Option<Answer>, Failure> {
    let connection = commit.connection;
    let known = find(connection, &Scope::All, &new.id)?;
    if let Some(known) = known.filter(|known| known.digest == new.digest && known.kind == new.kind) {
        return Ok(match known.state {
            ApprovalState::Pending => None,
            ApprovalState::Decided => known.answer,
            ApprovalState::Expired => Some(Answer::Deny { reason: EXPIRED.into() }),
            ApprovalState::Withdrawn => Some(Answer::Deny { reason: WITHDRAWN.into() }),
        });
    }
    // A run that has ended waits for nobody.
    let ended = connection
        .prepare_cached("SELECT 1 FROM runs WHERE name = ?1 AND state = 'ended'")?
        .exists([new.root.as_str()])?;
    let allowed = if ended { None } else { allowed(connection, new)? };
    let state = match &allowed {
        _ if ended => ApprovalState::Withdrawn,
        Some(_) => ApprovalState::Decided,
        None => ApprovalState::Pending,
    };
    let answer = allowed.as_ref().map(|_| Answer::Approve { for_run: false });
    let by = allowed.as_ref().and_then(|allowed| allowed.by.as_ref());
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO approvals (name, root, effect, tenant, user, kind, tool, digest, asked_ms, expires_ms,
                 state, decided_ms, arguments, by_tenant, by_user, answer, under)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?
        .execute(params![
            new.id.as_str(),
            new.root.as_str(),
            new.effect.to_string(),
            &*new.owner.tenant,
            &*new.owner.user,
            new.kind.as_str(),
            new.tool,
            new.digest.as_bytes(),
            row::int(new.asked_ms),
            row::int(new.expires_ms),
            state.as_str(),
            (state != ApprovalState::Pending).then_some(row::int(new.asked_ms)),
            row::to_json(&new.arguments)?,
            by.map(|by| &*by.tenant),
            by.map(|by| &*by.user),
            answer.as_ref().map(row::to_json).transpose()?,
            allowed.as_ref().map(|allowed| allowed.id.as_str()),
        ])?;
    Ok(if ended { Some(Answer::Deny { reason: WITHDRAWN.into() }) } else { answer })
}

/// The question of the same run with which somebody approved all calls of the tool.
fn allowed(connection: &Connection, new: &NewApproval) -> Result<Option<ApprovalRow>, Failure> {
    // Questions of the agent, and what became of a call, are for a person each time.
    if new.kind != ApprovalKind::Call {
        return Ok(None);
    }
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM approvals WHERE root = ?1 AND tool = ?2 AND for_run = 1
                 AND kind = 'call' AND state = 'decided' AND tenant = ?3 AND user = ?4 AND name <> ?5
             ORDER BY id LIMIT 1"
        ))?
        .query_row(
            params![
                new.root.as_str(),
                new.tool,
                &*new.owner.tenant,
                &*new.owner.user,
                // What was decided about the same effect was about something else.
                new.id.as_str()
            ],
            approval_of,
        )
        .optional()?;
    Ok(found)
}

struct Decision<'a> {
    id: &'a ApprovalId,
    digest: Option<ValueId>,
    answer: &'a Answer,
    by: &'a Principal,
    at_ms: u64,
}

fn decide(commit: &mut Commit<'_>, scope: &Scope, decision: &Decision<'_>) -> Result<Decided, Failure> {
    let connection = commit.connection;
    let Some(mut row) = find(connection, scope, decision.id)? else { return Ok(Decided::Unknown) };
    match row.state {
        ApprovalState::Pending => {}
        ApprovalState::Decided => return Ok(Decided::Already(row)),
        ApprovalState::Expired => return Ok(Decided::Expired(row)),
        ApprovalState::Withdrawn => return Ok(Decided::Withdrawn(row)),
    }
    let mut update = connection.prepare_cached(
        "UPDATE approvals SET state = ?2, decided_ms = ?3, answer = ?4, by_tenant = ?5, by_user = ?6,
             for_run = ?7 WHERE name = ?1",
    )?;
    let at = row::int(decision.at_ms);
    if row.expires_ms <= decision.at_ms {
        // `expire` says so, to whoever waits for it.
        return Ok(Decided::Expired(row));
    }
    if decision.digest.is_some_and(|digest| digest != row.digest) {
        return Ok(Decided::Changed(row));
    }
    row.decided_ms = Some(decision.at_ms);
    if !decision.answer.fits(row.kind) {
        let kind = row.kind;
        return Err(StoreError::refused(format!(
            "that is no answer to a {kind}: a call is approved, edited or denied; a question is replied to or denied; a \
             doubt is answered with repeat, done or deny"
        ))
        .into());
    }
    let (answer, by) = (row::to_json(decision.answer)?, decision.by);
    row.state = ApprovalState::Decided;
    let for_run = matches!(decision.answer, Answer::Approve { for_run: true });
    update.execute(params![
        row.id.as_str(),
        row.state.as_str(),
        at,
        answer,
        &*by.tenant,
        &*by.user,
        for_run
    ])?;
    row.answer = Some(decision.answer.clone());
    row.by = Some(by.clone());
    Ok(Decided::Taken(row))
}

/// Withdraws the open questions of a run.
pub(super) fn withdraw(connection: &Connection, root: &RunId, at_ms: u64) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE approvals SET state = 'withdrawn', decided_ms = ?2 WHERE root = ?1 AND state = 'pending'",
        )?
        .execute(params![root.as_str(), row::int(at_ms)])?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    scope: &Scope,
    id: &ApprovalId,
) -> Result<Option<ApprovalRow>, Failure> {
    let ((tenant, user), within) = (scope.names(), scope.condition());
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM approvals WHERE name = ?3 AND {within}"))?
        .query_row((tenant, user, id.as_str()), approval_of)
        .optional()?;
    Ok(found)
}

/// Questions, the newest first.
pub(super) fn list(
    connection: &Connection,
    scope: &Scope,
    state: Option<ApprovalState>,
    limit: usize,
) -> Result<Vec<ApprovalRow>, Failure> {
    let ((tenant, user), within) = (scope.names(), scope.condition());
    let approvals = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM approvals WHERE {within} AND (?3 IS NULL OR state = ?3) ORDER BY id DESC LIMIT ?4"
        ))?
        .query_map(
            params![tenant, user, state.map(ApprovalState::as_str), row::limit(limit)],
            approval_of,
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(approvals)
}

/// All questions of a run, the oldest first.
pub(super) fn of_run(connection: &Connection, root: &RunId) -> Result<Vec<ApprovalRow>, Failure> {
    let approvals = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM approvals WHERE root = ?1 ORDER BY id"))?
        .query_map([root.as_str()], approval_of)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(approvals)
}

fn approval_of(row: &Row<'_>) -> rusqlite::Result<ApprovalRow> {
    Ok(ApprovalRow {
        id: row::text(row, 0)?,
        root: row::text(row, 1)?,
        effect: row::text(row, 2)?,
        owner: row::principal(row, 3)?,
        kind: row::text(row, 5)?,
        tool: row.get(6)?,
        digest: row::hash(row, 7)?,
        asked_ms: row.get(8)?,
        expires_ms: row.get(9)?,
        state: row::text(row, 10)?,
        by: row::optional_principal(row, 11)?,
        decided_ms: row.get(13)?,
        answer: row::optional_json(row, 14)?,
        arguments: row::json(row, 15)?,
        under: row::optional_text(row, 16)?,
    })
}
