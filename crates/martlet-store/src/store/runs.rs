//! The list of runs.

use martlet_core::{Principal, RunId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::row::{self, Failure};
use super::threads::Commit;
use super::{Store, approvals, sessions};
use crate::{Created, Fork, Idempotency, NewRun, RunEnd, RunFilter, RunRow, RunState, StoreError};

/// What [`run_of`] reads.
const COLUMNS: &str = "runs.name, runs.tenant, runs.user, runs.kind, runs.agent,
    (SELECT sessions.name FROM sessions WHERE sessions.id = runs.session),
    runs.lane, runs.state, runs.created_ms, runs.started_ms, runs.ended_ms, runs.cancel, runs.idempotency_key,
    runs.idempotency_body, runs.forked_run, runs.forked_step, runs.outcome, runs.usage, runs.title, runs.error,
    runs.answer, runs.request,
    (SELECT count(*) FROM approvals WHERE approvals.root = runs.name AND approvals.state = 'pending'),
    coalesce((SELECT roots.last_event FROM roots WHERE roots.name = runs.name), 0),
    (SELECT count(*) FROM approvals
     WHERE approvals.root = runs.name AND approvals.state = 'pending' AND approvals.kind = 'doubt')";

impl Store {
    /// Creates a run, which is queued; or finds the one that the same request created before.
    ///
    /// # Errors
    /// [`Conflict`](crate::StoreErrorKind::Conflict) if there is a run of that name;
    /// [`Unknown`](crate::StoreErrorKind::Unknown) if the owner has no such session; else if the storage failed.
    pub async fn create_run(&self, new: NewRun) -> Result<Created, StoreError> {
        self.write(move |commit| create(commit, &new)).await
    }

    /// Says where a run stands, and when; the first time that it is running it has started. Gives whether that could be
    /// said: a run that has ended, or is not known, stays as it is.
    ///
    /// # Errors
    /// [`Refused`](crate::StoreErrorKind::Refused) for [`RunState::Ended`]: a run is ended by [`end_run`](Self::end_run).
    /// Else if the storage failed.
    pub async fn set_state(&self, run: &RunId, state: RunState, at_ms: u64) -> Result<bool, StoreError> {
        if state == RunState::Ended {
            return Err(StoreError::refused("a run is ended by its end: use `end_run`"));
        }
        let run = run.clone();
        self.write(move |commit| {
            let started = (state == RunState::Running).then_some(row::int(at_ms));
            let changed = commit
                .connection
                .prepare_cached(
                    "UPDATE runs SET state = ?2, started_ms = coalesce(started_ms, ?3)
                     WHERE name = ?1 AND state <> 'ended'",
                )?
                .execute(params![run.as_str(), state.as_str(), started])?;
            Ok(changed > 0)
        })
        .await
    }

    /// Ends a run: its open questions are withdrawn, and its session may go on with its memory. Gives whether it ended by
    /// this; one that has ended, or is not known, stays as it is.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn end_run(&self, run: &RunId, end: RunEnd) -> Result<bool, StoreError> {
        let run = run.clone();
        self.write(move |commit| self::end(commit, &run, &end)).await
    }

    /// Notes that somebody wants a run to be cancelled. Gives whether there is such a run that has not ended.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn request_cancel(&self, run: &RunId) -> Result<bool, StoreError> {
        let run = run.clone();
        self.write(move |commit| {
            let changed = commit
                .connection
                .prepare_cached("UPDATE runs SET cancel = 1 WHERE name = ?1 AND state <> 'ended'")?
                .execute([run.as_str()])?;
            Ok(changed > 0)
        })
        .await
    }

    /// A run.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn run(&self, run: &RunId) -> Result<Option<RunRow>, StoreError> {
        let run = run.clone();
        self.read(move |connection| find(connection, &run)).await
    }

    /// The runs that have not ended, in the order in which they were created.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn unfinished(&self) -> Result<Vec<RunRow>, StoreError> {
        self.read(|connection| {
            let runs = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE state <> 'ended' ORDER BY id"))?
                .query_map([], run_of)?
                .collect::<rusqlite::Result<_>>()?;
            Ok(runs)
        })
        .await
    }
}

fn create(commit: &mut Commit<'_>, new: &NewRun) -> Result<Created, Failure> {
    let connection = commit.connection;
    let (tenant, user) = (&*new.owner.tenant, &*new.owner.user);
    if let Some(Idempotency { key, body }) = &new.idempotency
        && let Some(run) = find_by_key(connection, &new.owner, key)?
    {
        let same = run.idempotency.as_ref().is_some_and(|known| known.body == *body);
        return Ok(if same { Created::Existing(run) } else { Created::KeyReused });
    }
    if find(connection, &new.id)?.is_some() {
        return Err(StoreError::exists(format!("run {}", new.id)).into());
    }
    let session = match &new.session {
        Some(session) => {
            let row = sessions::row_id(connection, session, &new.owner)?;
            sessions::touch(connection, row, new.created_ms)?;
            Some(row)
        }
        None => None,
    };
    connection
        .prepare_cached(
            "INSERT INTO runs (name, tenant, user, kind, agent, session, lane, state, created_ms, idempotency_key,
                 idempotency_body, forked_run, forked_step, usage, title, request)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8, ?9, ?10, ?11, ?12, '{}', ?13, ?14)",
        )?
        .execute(params![
            new.id.as_str(),
            tenant,
            user,
            new.kind.as_str(),
            new.name,
            session,
            new.lane.as_str(),
            row::int(new.created_ms),
            new.idempotency.as_ref().map(|idempotency| &idempotency.key),
            new.idempotency.as_ref().map(|idempotency| idempotency.body.as_bytes()),
            new.forked_from.as_ref().map(|fork| fork.run.as_str()),
            new.forked_from.as_ref().map(|fork| fork.step),
            new.title,
            new.request.to_string(),
        ])?;
    let run = find(connection, &new.id)?;
    run.map(Created::New).ok_or_else(|| StoreError::unavailable("a run that was written is not there").into())
}

fn end(commit: &mut Commit<'_>, run: &RunId, end: &RunEnd) -> Result<bool, Failure> {
    let connection = commit.connection;
    let session = connection
        .prepare_cached(
            "UPDATE runs SET state = 'ended', outcome = ?2, answer = ?3, error = ?4, usage = ?5, ended_ms = ?6,
                 remembered = ?7
             WHERE name = ?1 AND state <> 'ended' RETURNING session",
        )?
        .query_row(
            params![
                run.as_str(),
                end.outcome,
                end.answer.to_string(),
                end.error,
                row::to_json(&end.usage)?,
                row::int(end.ended_ms),
                end.remember
            ],
            |row| row.get::<_, Option<i64>>(0),
        )
        .optional()?;
    let Some(session) = session else { return Ok(false) };
    approvals::withdraw(connection, run, end.ended_ms)?;
    if let Some(session) = session {
        sessions::touch(connection, session, end.ended_ms)?;
        if end.remember {
            sessions::remember(connection, session, run)?;
        }
    }
    Ok(true)
}

pub(super) fn find(connection: &Connection, run: &RunId) -> Result<Option<RunRow>, Failure> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE name = ?1"))?
        .query_row([run.as_str()], run_of)
        .optional()?;
    Ok(found)
}

pub(super) fn find_owned(
    connection: &Connection,
    run: &RunId,
    owner: &Principal,
) -> Result<Option<RunRow>, Failure> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE name = ?1 AND tenant = ?2 AND user = ?3"))?
        .query_row((run.as_str(), &*owner.tenant, &*owner.user), run_of)
        .optional()?;
    Ok(found)
}

/// The run that a request under this idempotency key created.
pub(super) fn find_by_key(
    connection: &Connection,
    owner: &Principal,
    key: &str,
) -> Result<Option<RunRow>, Failure> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM runs WHERE tenant = ?1 AND user = ?2 AND idempotency_key = ?3"
        ))?
        .query_row((&*owner.tenant, &*owner.user, key), run_of)
        .optional()?;
    Ok(found)
}

/// A run of the tenant, if somebody is or was asked about it.
pub(super) fn find_asked_about(
    connection: &Connection,
    run: &RunId,
    tenant: &str,
) -> Result<Option<RunRow>, Failure> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM runs WHERE name = ?1 AND tenant = ?2 AND EXISTS (
                 SELECT 1 FROM approvals WHERE approvals.root = runs.name AND approvals.tenant = ?2)"
        ))?
        .query_row((run.as_str(), tenant), run_of)
        .optional()?;
    Ok(found)
}

pub(super) fn list(
    connection: &Connection,
    owner: &Principal,
    filter: &RunFilter,
) -> Result<Vec<RunRow>, Failure> {
    let runs = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM runs WHERE tenant = ?1 AND user = ?2
                 AND (?3 IS NULL OR session = (SELECT id FROM sessions WHERE name = ?3) OR id IN (
                     SELECT run FROM taken_over WHERE session = (SELECT id FROM sessions WHERE name = ?3)))
                 AND (?4 IS NULL OR state = ?4)
                 AND (?5 IS NULL OR id < (SELECT id FROM runs WHERE name = ?5 AND tenant = ?1 AND user = ?2))
             ORDER BY id DESC LIMIT ?6"
        ))?
        .query_map(
            params![
                &*owner.tenant,
                &*owner.user,
                filter.session.as_ref().map(|session| session.as_str()),
                filter.state.map(RunState::as_str),
                filter.before.as_ref().map(RunId::as_str),
                row::limit(filter.limit)
            ],
            run_of,
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(runs)
}

/// Runs of all owners, the newest first.
pub(super) fn list_all(
    connection: &Connection,
    state: Option<RunState>,
    before: Option<&RunId>,
    limit: usize,
) -> Result<Vec<RunRow>, Failure> {
    let runs = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM runs WHERE (?1 IS NULL OR state = ?1)
                 AND (?2 IS NULL OR id < (SELECT id FROM runs WHERE name = ?2))
             ORDER BY id DESC LIMIT ?3"
        ))?
        .query_map(
            params![state.map(RunState::as_str), before.map(RunId::as_str), row::limit(limit)],
            run_of,
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(runs)
}

pub(super) fn count(connection: &Connection, owner: &Principal, state: RunState) -> Result<u64, Failure> {
    let count = connection
        .prepare_cached("SELECT count(*) FROM runs WHERE tenant = ?1 AND user = ?2 AND state = ?3")?
        .query_row((&*owner.tenant, &*owner.user, state.as_str()), |row| row.get(0))?;
    Ok(count)
}

/// The names of all runs; each row is read whole.
pub(super) fn check_all(connection: &Connection, mut problem: impl FnMut(String)) -> Result<(), Failure> {
    let mut names = connection.prepare("SELECT name FROM runs ORDER BY id")?;
    let mut whole = connection.prepare(&format!("SELECT {COLUMNS} FROM runs WHERE name = ?1"))?;
    let mut rows = names.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if let Err(error) = whole.query_row([&name], run_of) {
            problem(format!("run {name} cannot be read: {error}"));
        }
    }
    Ok(())
}

fn run_of(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let key: Option<String> = row.get(12)?;
    let forked: Option<RunId> = row::optional_text(row, 14)?;
    Ok(RunRow {
        id: row::text(row, 0)?,
        owner: row::principal(row, 1)?,
        kind: row::text(row, 3)?,
        name: row.get(4)?,
        session: row::optional_text(row, 5)?,
        lane: row::text(row, 6)?,
        state: row::text(row, 7)?,
        created_ms: row.get(8)?,
        started_ms: row.get(9)?,
        ended_ms: row.get(10)?,
        cancel: row.get(11)?,
        idempotency: key.map(|key| row::hash(row, 13).map(|body| Idempotency { key, body })).transpose()?,
        forked_from: forked.map(|run| row.get(15).map(|step| Fork { run, step })).transpose()?,
        outcome: row.get(16)?,
        usage: row::json(row, 17)?,
        title: row.get(18)?,
        error: row.get(19)?,
        answer: row::optional_json(row, 20)?,
        request: row::json(row, 21)?,
        pending: row.get(22)?,
        last_event: row.get(23)?,
        doubts: row.get(24)?,
    })
}
