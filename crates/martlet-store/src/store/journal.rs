//! Records and events.
//!
//! Each carries a checksum, because SQLite has none: a byte that was flipped on the disk is found when it is read, and not
//! taken for something that happened.

use bytes::Bytes;
use futures::future::BoxFuture;
use martlet_core::RunId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::row::{self, Failure};
use super::threads::Commit;
use super::{Store, values};
use crate::{Entry, Journal, Recorded, StoreError, StoredEvent};

impl Journal for Store {
    fn append<'a>(&'a self, run: &'a RunId, seq: u64, entry: Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let run = run.clone();
            self.write(move |commit| append(commit, &run, seq, &entry)).await
        })
    }

    fn begin_with<'a>(
        &'a self,
        run: &'a RunId,
        entries: Vec<Entry>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let run = run.clone();
            self.write(move |commit| {
                (0..).zip(&entries).try_for_each(|(seq, entry)| append(commit, &run, seq, entry))
            })
            .await
        })
    }

    fn read<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Recorded, StoreError>> {
        Box::pin(async move {
            let run = run.clone();
            Self::read(self, move |connection| read(connection, &run)).await
        })
    }
}

impl Store {
    /// The events of a run, and of all runs in it, with numbers above `after`; at most `limit` of them.
    ///
    /// # Errors
    /// [`Damaged`](crate::StoreErrorKind::Damaged) if one is not what was written; else if the storage failed.
    pub async fn events(
        &self,
        root: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let root = root.clone();
        self.read(move |connection| events(connection, &root, after, limit)).await
    }

    /// Appends events that come without a record, and gives the number of the last one; 0 if there is none at all.
    ///
    /// # Errors
    /// If the storage failed; none was appended then.
    pub async fn append_events(&self, root: &RunId, events: Vec<Bytes>) -> Result<u64, StoreError> {
        let root = root.clone();
        self.write(move |commit| append_events(commit, &root, &events)).await
    }
}

fn append(commit: &mut Commit<'_>, run: &RunId, seq: u64, entry: &Entry) -> Result<(), Failure> {
    let connection = commit.connection;
    let known: Option<(i64, u64)> = connection
        .prepare_cached("SELECT id, next_seq FROM journals WHERE name = ?1")?
        .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let next = known.map_or(0, |(_, next)| next);
    if seq < next {
        return Err(StoreError::conflict(run, seq, next).into());
    }
    if seq > next {
        return Err(StoreError::gap(run, seq, next).into());
    }
    let journal = match known {
        Some((journal, _)) => {
            connection
                .prepare_cached("UPDATE journals SET next_seq = next_seq + 1 WHERE id = ?1")?
                .execute([journal])?;
            journal
        }
        None => {
            let root = root(connection, &entry.root)?;
            connection
                .prepare_cached("INSERT INTO journals (name, root, next_seq) VALUES (?1, ?2, 1)")?
                .execute(params![run.as_str(), root])?;
            connection.last_insert_rowid()
        }
    };
    connection
        .prepare_cached("INSERT INTO records (journal, seq, checksum, record) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![journal, seq, checksum(run, seq, &entry.record), &entry.record[..]])?;
    for (id, data) in &entry.values {
        let value = values::keep(connection, id, data)?;
        connection
            .prepare_cached("INSERT OR IGNORE INTO journal_values (journal, value) VALUES (?1, ?2)")?
            .execute([journal, value])?;
    }
    append_events(commit, &entry.root, &entry.events)?;
    Ok(())
}

/// The row of a run at the top, which is written if there is none.
fn root(connection: &Connection, run: &RunId) -> Result<i64, Failure> {
    let known = connection
        .prepare_cached("SELECT id FROM roots WHERE name = ?1")?
        .query_row([run.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    connection.prepare_cached("INSERT INTO roots (name) VALUES (?1)")?.execute([run.as_str()])?;
    Ok(connection.last_insert_rowid())
}

fn append_events(commit: &mut Commit<'_>, run: &RunId, events: &[Bytes]) -> Result<u64, Failure> {
    let connection = commit.connection;
    if events.is_empty() {
        let last = connection
            .prepare_cached("SELECT last_event FROM roots WHERE name = ?1")?
            .query_row([run.as_str()], |row| row.get(0))
            .optional()?;
        return Ok(last.unwrap_or(0));
    }
    let root = root(connection, run)?;
    let last: u64 = connection
        .prepare_cached("UPDATE roots SET last_event = last_event + ?2 WHERE id = ?1 RETURNING last_event")?
        .query_row(params![root, events.len() as u64], |row| row.get(0))?;
    let first = last - events.len() as u64 + 1;
    let mut insert = connection
        .prepare_cached("INSERT INTO events (root, seq, checksum, event) VALUES (?1, ?2, ?3, ?4)")?;
    for (seq, event) in (first..).zip(events) {
        insert.execute(params![root, seq, checksum(run, seq, event), &event[..]])?;
        commit.events.push((run.clone(), StoredEvent { seq, event: event.clone() }));
    }
    Ok(last)
}

fn read(connection: &Connection, run: &RunId) -> Result<Recorded, Failure> {
    // Both questions are to see one state of the database.
    let transaction = connection.unchecked_transaction()?;
    let known: Option<(i64, u64)> = transaction
        .prepare_cached("SELECT id, next_seq FROM journals WHERE name = ?1")?
        .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((journal, next)) = known else { return Ok(Recorded::default()) };
    let records = records(&transaction, run, journal, next)?;
    let values = values::of_journal(&transaction, journal)?.into_iter().collect();
    Ok(Recorded { records, values })
}

/// The records of a journal, of which there should be `expected`.
pub(super) fn records(
    connection: &Connection,
    run: &RunId,
    journal: i64,
    expected: u64,
) -> Result<Vec<Bytes>, Failure> {
    let rows = connection
        .prepare_cached("SELECT seq, checksum, record FROM records WHERE journal = ?1 ORDER BY seq")?
        .query_map([journal], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(u64, u32, Vec<u8>)>>>()?;
    let mut records = Vec::with_capacity(rows.len());
    for (place, (seq, sum, record)) in (0_u64..).zip(rows) {
        if seq != place || sum != checksum(run, seq, &record) {
            return Err(Failure::Damage(format!("record {place} of run {run} is not what was written")));
        }
        records.push(Bytes::from(record));
    }
    if records.len() as u64 != expected {
        let found = records.len();
        return Err(Failure::Damage(format!("run {run} has {found} records and should have {expected}")));
    }
    Ok(records)
}

pub(super) fn events(
    connection: &Connection,
    run: &RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, Failure> {
    // Callers pass on what clients say: no number is as high as this.
    let after = after.min(u64::MAX / 2);
    let rows = connection
        .prepare_cached(
            "SELECT seq, checksum, event FROM events
             WHERE root = (SELECT id FROM roots WHERE name = ?1) AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?
        .query_map(params![run.as_str(), row::int(after), row::limit(limit)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<Vec<(u64, u32, Vec<u8>)>>>()?;
    let mut events = Vec::with_capacity(rows.len());
    for (place, (seq, sum, event)) in (after + 1..).zip(rows) {
        if seq != place || sum != checksum(run, seq, &event) {
            return Err(Failure::Damage(format!("event {place} of run {run} is not what was written")));
        }
        events.push(StoredEvent { seq, event: event.into() });
    }
    Ok(events)
}

/// The checksum of a record or an event in its place: one that moved is as wrong as one that changed.
fn checksum(run: &RunId, seq: u64, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(run.as_str().as_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}
