//! Reading all of it, to find what is not as it was written.

use martlet_core::RunId;
use rusqlite::Connection;

use super::row::{self, Failure};
use super::{journal, runs, values};
use crate::{StoreError, StoreErrorKind, ValueId};

/// Problems that are told; a store with more is as damaged.
const TOLD: usize = 100;
/// Events that are in memory at once.
const EVENTS: usize = 1000;

pub(super) fn check(connection: &Connection) -> Result<Vec<String>, Failure> {
    // One state of the database.
    let transaction = connection.unchecked_transaction()?;
    let mut problems = Vec::new();
    // What cannot be read any further is a finding, too.
    let all = each_part(&transaction, &mut problems);
    note(all, &mut problems)?;
    problems.truncate(TOLD);
    Ok(problems)
}

fn each_part(connection: &Connection, problems: &mut Vec<String>) -> Result<(), Failure> {
    file(connection, problems)?;
    records(connection, problems)?;
    events(connection, problems)?;
    big_values(connection, problems)?;
    runs::check_all(connection, |problem| problems.push(problem))
}

/// The file and its indexes, as SQLite checks them.
fn file(connection: &Connection, problems: &mut Vec<String>) -> Result<(), Failure> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            problems.push(text);
        }
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        problems.push(format!("a row of {table} refers to one of {parent} that is not there"));
    }
    Ok(())
}

fn records(connection: &Connection, problems: &mut Vec<String>) -> Result<(), Failure> {
    let mut statement = connection.prepare("SELECT id, name, next_seq FROM journals ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, next): (i64, u64) = (row.get(0)?, row.get(2)?);
        let run: RunId = row::text(row, 1)?;
        note(journal::records(connection, &run, id, next).map(drop), problems)?;
    }
    Ok(())
}

fn events(connection: &Connection, problems: &mut Vec<String>) -> Result<(), Failure> {
    let mut statement = connection.prepare("SELECT name, last_event FROM roots ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (run, last): (RunId, u64) = (row::text(row, 0)?, row.get(1)?);
        let mut seen = 0;
        loop {
            match journal::events(connection, &run, seen, EVENTS) {
                Ok(events) if events.is_empty() => break,
                Ok(events) => seen += events.len() as u64,
                Err(failure) => {
                    note(Err(failure), problems)?;
                    seen = last;
                    break;
                }
            }
        }
        if seen != last {
            problems.push(format!("run {run} has {seen} events and should have {last}"));
        }
    }
    Ok(())
}

fn big_values(connection: &Connection, problems: &mut Vec<String>) -> Result<(), Failure> {
    let mut statement = connection.prepare("SELECT hash, data FROM big_values ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, data): (ValueId, Vec<u8>) = (row::hash(row, 0)?, row.get(1)?);
        note(values::checked(id, data).map(drop), problems)?;
    }
    Ok(())
}

/// Takes damage for a finding; another failure ends the check.
fn note(result: Result<(), Failure>, problems: &mut Vec<String>) -> Result<(), Failure> {
    match result {
        Err(Failure::Damage(problem)) => problems.push(problem),
        Err(Failure::Sqlite(error)) if StoreError::sqlite(&error).kind() == StoreErrorKind::Damaged => {
            problems.push(error.to_string());
        }
        other => return other,
    }
    Ok(())
}
