//! Sessions.

use martlet_core::{Principal, RunId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::row::{self, Failure};
use super::{Store, branches};
use crate::{Branch, NewSession, SessionId, SessionRow, StoreError};

/// What [`session_of`] reads.
const COLUMNS: &str = "sessions.name, sessions.tenant, sessions.user,
    CASE WHEN sessions.title <> '' THEN sessions.title ELSE coalesce(
        (SELECT runs.title FROM taken_over JOIN runs ON runs.id = taken_over.run
         WHERE taken_over.session = sessions.id ORDER BY taken_over.run LIMIT 1),
        (SELECT runs.title FROM runs WHERE runs.session = sessions.id ORDER BY runs.id LIMIT 1), '') END,
    sessions.agent, sessions.created_ms, sessions.updated_ms, sessions.memory_run,
    (SELECT count(*) FROM runs WHERE runs.session = sessions.id)
        + (SELECT count(*) FROM taken_over WHERE taken_over.session = sessions.id),
    (SELECT other.name FROM sessions AS other WHERE other.id = sessions.branched_session), sessions.branched_run";

impl Store {
    /// Creates a session.
    ///
    /// # Errors
    /// [`Conflict`](crate::StoreErrorKind::Conflict) if there is one of that name; else if the storage failed.
    pub async fn create_session(&self, new: NewSession) -> Result<SessionRow, StoreError> {
        self.write(move |commit| {
            let connection = commit.connection;
            let taken = connection
                .prepare_cached("SELECT 1 FROM sessions WHERE name = ?1")?
                .exists([new.id.as_str()])?;
            if taken {
                return Err(StoreError::exists(format!("session {}", new.id)).into());
            }
            connection
                .prepare_cached(
                    "INSERT INTO sessions (name, tenant, user, agent, created_ms, updated_ms, title)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
                )?
                .execute(params![
                    new.id.as_str(),
                    &*new.owner.tenant,
                    &*new.owner.user,
                    new.agent,
                    row::int(new.created_ms),
                    new.title
                ])?;
            find(connection, &new.id, &new.owner)?
                .ok_or_else(|| StoreError::unavailable("a session that was written is not there").into())
        })
        .await
    }
}

pub(super) fn find(
    connection: &Connection,
    id: &SessionId,
    owner: &Principal,
) -> Result<Option<SessionRow>, Failure> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM sessions WHERE name = ?1 AND tenant = ?2 AND user = ?3"
        ))?
        .query_row((id.as_str(), &*owner.tenant, &*owner.user), session_of)
        .optional()?;
    Ok(found)
}

/// Sessions, those that were used last first. `search` finds words in the titles of sessions and of their runs.
pub(super) fn list(
    connection: &Connection,
    owner: &Principal,
    search: Option<&str>,
    before: Option<&SessionId>,
    limit: usize,
) -> Result<Vec<SessionRow>, Failure> {
    let pattern = search.map(|text| {
        let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        format!("%{escaped}%")
    });
    let sessions = connection
        .prepare_cached(&format!(
            r"SELECT {COLUMNS} FROM sessions WHERE tenant = ?1 AND user = ?2
                 AND (?3 IS NULL OR title LIKE ?3 ESCAPE '\' OR EXISTS (
                     SELECT 1 FROM runs WHERE runs.session = sessions.id AND runs.title LIKE ?3 ESCAPE '\')
                 OR EXISTS (
                     SELECT 1 FROM taken_over JOIN runs ON runs.id = taken_over.run
                     WHERE taken_over.session = sessions.id AND runs.title LIKE ?3 ESCAPE '\'))
                 AND (?4 IS NULL OR (updated_ms, id) < (
                     SELECT updated_ms, id FROM sessions WHERE name = ?4 AND tenant = ?1 AND user = ?2))
             ORDER BY updated_ms DESC, id DESC LIMIT ?5"
        ))?
        .query_map(
            params![&*owner.tenant, &*owner.user, pattern, before.map(SessionId::as_str), row::limit(limit)],
            session_of,
        )?
        .collect::<rusqlite::Result<_>>()?;
    Ok(sessions)
}

pub(super) fn rename(
    connection: &Connection,
    id: &SessionId,
    owner: &Principal,
    title: &str,
) -> Result<bool, Failure> {
    let changed = connection
        .prepare_cached("UPDATE sessions SET title = ?4 WHERE name = ?1 AND tenant = ?2 AND user = ?3")?
        .execute((id.as_str(), &*owner.tenant, &*owner.user, title))?;
    Ok(changed > 0)
}

/// Removes a session with its runs and all that is theirs, but for runs that other sessions have taken over. One with a run
/// that has not ended is refused.
pub(super) fn delete(connection: &Connection, id: &SessionId, owner: &Principal) -> Result<bool, Failure> {
    let Some(session) = known(connection, id, owner)? else { return Ok(false) };
    let open: Option<RunId> = connection
        .prepare_cached("SELECT name FROM runs WHERE session = ?1 AND state <> 'ended' LIMIT 1")?
        .query_row([session], |row| row::text(row, 0))
        .optional()?;
    if let Some(run) = open {
        return Err(StoreError::refused(format!(
            "run {run} of session {id} has not ended: cancel it, or wait for it, and delete the session then"
        ))
        .into());
    }
    branches::remove_runs(connection, session)?;
    connection.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([session])?;
    Ok(true)
}

fn known(connection: &Connection, id: &SessionId, owner: &Principal) -> Result<Option<i64>, Failure> {
    let known = connection
        .prepare_cached("SELECT id FROM sessions WHERE name = ?1 AND tenant = ?2 AND user = ?3")?
        .query_row((id.as_str(), &*owner.tenant, &*owner.user), |row| row.get(0))
        .optional()?;
    Ok(known)
}

/// The row of a session of that owner.
pub(super) fn row_id(connection: &Connection, id: &SessionId, owner: &Principal) -> Result<i64, Failure> {
    known(connection, id, owner)?.ok_or_else(|| StoreError::unknown(format!("session {id}")).into())
}

/// Notes that a run of the session began or ended. Clocks may be set back: what is newest stays so.
pub(super) fn touch(connection: &Connection, session: i64, at_ms: u64) -> Result<(), Failure> {
    connection
        .prepare_cached("UPDATE sessions SET updated_ms = max(updated_ms, ?2) WHERE id = ?1")?
        .execute([session, row::int(at_ms)])?;
    Ok(())
}

/// Makes a run the one whose memory the session goes on with.
pub(super) fn remember(connection: &Connection, session: i64, run: &RunId) -> Result<(), Failure> {
    connection
        .prepare_cached("UPDATE sessions SET memory_run = ?2 WHERE id = ?1")?
        .execute(params![session, run.as_str()])?;
    Ok(())
}

fn session_of(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let of = row::optional_text(row, 9)?.zip(row::optional_text(row, 10)?);
    Ok(SessionRow {
        id: row::text(row, 0)?,
        owner: row::principal(row, 1)?,
        title: row.get(3)?,
        agent: row.get(4)?,
        created_ms: row.get(5)?,
        updated_ms: row.get(6)?,
        memory_run: row::optional_text(row, 7)?,
        runs: row.get(8)?,
        branched_from: of.map(|(session, run)| Branch { session, run }),
    })
}
