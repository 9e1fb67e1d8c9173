//! Retention: what is old goes.

use martlet_core::RunId;
use rusqlite::{Connection, OptionalExtension as _};

use super::row::{self, Failure};
use super::{Store, values};
use crate::{StoreError, Swept};

/// Runs, values or sessions that go in one commit, so that those who write meanwhile do not wait long.
const AT_ONCE: usize = 64;
/// Pages of the file that are given back in one commit.
const PAGES: i64 = 2048;

impl Store {
    /// Removes runs that ended before a time, with all that is theirs: the journals of the runs in them, events, questions,
    /// and the keys under which their requests were known. Then goes what is left over: sessions without runs that were not
    /// used since, and big values that nothing refers to. The space goes back to the disk.
    ///
    /// A run whose memory a session would go on with stays as long as the session is used.
    ///
    /// # Errors
    /// If the storage failed; some may be removed then, each with all that is its own.
    pub async fn sweep(&self, before_ms: u64) -> Result<Swept, StoreError> {
        let before = row::int(before_ms);
        let mut swept = Swept::default();
        loop {
            let (runs, bytes) = self.write(move |commit| old_runs(commit.connection, before)).await?;
            swept.runs += runs;
            swept.bytes += bytes;
            if runs == 0 {
                break;
            }
        }
        while self.write(move |commit| old_sessions(commit.connection, before)).await? > 0 {}
        loop {
            let (values, bytes) =
                self.write(|commit| values::remove_unused(commit.connection, AT_ONCE)).await?;
            swept.values += values;
            swept.bytes += bytes;
            if values == 0 {
                break;
            }
        }
        while self.write(|commit| give_back(commit.connection)).await? {}
        Ok(swept)
    }
}

fn old_runs(connection: &Connection, before: i64) -> Result<(u64, u64), Failure> {
    let names = connection
        .prepare_cached(
            "SELECT name FROM runs WHERE state = 'ended' AND ended_ms < ?1 AND NOT EXISTS (
                 SELECT 1 FROM sessions
                 WHERE sessions.memory_run = runs.name AND sessions.updated_ms >= ?1)
             LIMIT ?2",
        )?
        .query_map([before, row::limit(AT_ONCE)], |row| row::text(row, 0))?
        .collect::<rusqlite::Result<Vec<RunId>>>()?;
    let mut bytes = 0;
    for name in &names {
        bytes += remove_run(connection, name)?;
    }
    Ok((names.len() as u64, bytes))
}

fn old_sessions(connection: &Connection, before: i64) -> Result<usize, Failure> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions
                 WHERE updated_ms < ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.session = sessions.id)
                     AND NOT EXISTS (SELECT 1 FROM taken_over WHERE taken_over.session = sessions.id)
                 LIMIT ?2)",
        )?
        .execute([before, row::limit(AT_ONCE)])?;
    Ok(removed)
}

/// Removes a run with all that is its own, but for big values, which others may refer to; gives the bytes of its records
/// and events.
pub(super) fn remove_run(connection: &Connection, run: &RunId) -> Result<u64, Failure> {
    let name = run.as_str();
    let root: Option<i64> = connection
        .prepare_cached("SELECT id FROM roots WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let mut bytes = 0;
    if let Some(root) = root {
        bytes = connection
            .prepare_cached(
                "SELECT coalesce((SELECT sum(length(event)) FROM events WHERE root = ?1), 0)
                      + coalesce((SELECT sum(length(record)) FROM records
                                  WHERE journal IN (SELECT id FROM journals WHERE root = ?1)), 0)",
            )?
            .query_row([root], |row| row.get(0))?;
        for statement in [
            "DELETE FROM events WHERE root = ?1",
            "DELETE FROM records WHERE journal IN (SELECT id FROM journals WHERE root = ?1)",
            "DELETE FROM journal_values WHERE journal IN (SELECT id FROM journals WHERE root = ?1)",
            "DELETE FROM journals WHERE root = ?1",
            "DELETE FROM roots WHERE id = ?1",
        ] {
            connection.prepare_cached(statement)?.execute([root])?;
        }
    }
    for statement in [
        "DELETE FROM approvals WHERE root = ?1",
        "UPDATE sessions SET memory_run = NULL WHERE memory_run = ?1",
        "DELETE FROM runs WHERE name = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([name])?;
    }
    Ok(bytes)
}

/// Gives pages that are not used back to the disk, and says whether there may be more.
fn give_back(connection: &Connection) -> Result<bool, Failure> {
    let free = |connection: &Connection| {
        connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))
    };
    let before = free(connection)?;
    if before == 0 {
        return Ok(false);
    }
    // Each step gives back one page.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let after = free(connection)?;
    Ok(after > 0 && after < before)
}
