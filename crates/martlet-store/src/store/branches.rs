//! Sessions that begin as another one did, up to a run of it.

use martlet_core::{Principal, RunId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::row::{self, Failure};
use super::{sessions, sweep};
use crate::{SessionId, SessionRow, StoreError};

/// The condition that a run belongs to the session with the row `?1`: it was begun there, or was taken over.
const OF_SESSION: &str = "(runs.session = ?1 OR runs.id IN (SELECT run FROM taken_over WHERE session = ?1))";

/// What to make.
pub(super) struct NewBranch<'a> {
    /// The session that it leaves.
    pub(super) of: &'a SessionId,
    /// The first run that it does not take over.
    pub(super) before: &'a RunId,
    /// Its name.
    pub(super) id: &'a SessionId,
    pub(super) at_ms: u64,
}

/// Makes a session with the runs of another one before a run, and with what was said in them.
pub(super) fn branch(
    connection: &Connection,
    owner: &Principal,
    new: &NewBranch<'_>,
) -> Result<SessionRow, Failure> {
    let session = sessions::row_id(connection, new.of, owner)?;
    let before: i64 = connection
        .prepare_cached(&format!("SELECT id FROM runs WHERE {OF_SESSION} AND name = ?2"))?
        .query_row(params![session, new.before.as_str()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::unknown(format!("run {} in session {}", new.before, new.of)))?;
    let open: Option<RunId> = connection
        .prepare_cached(&format!(
            "SELECT name FROM runs WHERE {OF_SESSION} AND id < ?2 AND state <> 'ended' LIMIT 1"
        ))?
        .query_row([session, before], |row| row::text(row, 0))
        .optional()?;
    if let Some(run) = open {
        return Err(StoreError::refused(format!(
            "run {run} comes before it and has not ended: wait for it, or cancel it, and branch off then"
        ))
        .into());
    }
    if connection.prepare_cached("SELECT 1 FROM sessions WHERE name = ?1")?.exists([new.id.as_str()])? {
        return Err(StoreError::exists(format!("session {}", new.id)).into());
    }
    let memory: Option<String> = connection
        .prepare_cached(&format!(
            "SELECT name FROM runs WHERE {OF_SESSION} AND id < ?2 AND remembered = 1 ORDER BY id DESC LIMIT 1"
        ))?
        .query_row([session, before], |row| row.get(0))
        .optional()?;
    connection
        .prepare_cached(
            "INSERT INTO sessions (name, tenant, user, agent, created_ms, updated_ms, memory_run, title,
                 branched_session, branched_run)
             SELECT ?2, tenant, user, agent, ?3, ?3, ?4, title, id, ?5 FROM sessions WHERE id = ?1",
        )?
        .execute(params![session, new.id.as_str(), row::int(new.at_ms), memory, new.before.as_str()])?;
    let branch = connection.last_insert_rowid();
    connection
        .prepare_cached(&format!(
            "INSERT INTO taken_over (session, run) SELECT ?3, id FROM runs WHERE {OF_SESSION} AND id < ?2"
        ))?
        .execute([session, before, branch])?;
    sessions::find(connection, new.id, owner)?
        .ok_or_else(|| StoreError::unavailable("a session that was written is not there").into())
}

/// Removes the runs of a session that goes. Those that other sessions have taken over are from now on of the oldest of these.
pub(super) fn remove_runs(connection: &Connection, session: i64) -> Result<(), Failure> {
    let taken_over = connection
        .prepare_cached(
            "SELECT taken_over.run, min(taken_over.session) FROM taken_over JOIN runs ON runs.id = taken_over.run
             WHERE runs.session = ?1 GROUP BY taken_over.run",
        )?
        .query_map([session], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    for (run, to) in taken_over {
        connection.prepare_cached("UPDATE runs SET session = ?2 WHERE id = ?1")?.execute([run, to])?;
        // What is its own it need not take over.
        connection
            .prepare_cached("DELETE FROM taken_over WHERE run = ?1 AND session = ?2")?
            .execute([run, to])?;
    }
    let runs = connection
        .prepare_cached("SELECT name FROM runs WHERE session = ?1")?
        .query_map([session], |row| row::text(row, 0))?
        .collect::<rusqlite::Result<Vec<RunId>>>()?;
    for run in runs {
        sweep::remove_run(connection, &run)?;
    }
    Ok(())
}
