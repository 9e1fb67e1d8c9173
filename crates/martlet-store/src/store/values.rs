//! Big values: each is kept once, however many refer to it.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _};

use super::row::{self, Failure};
use crate::ValueId;

/// The row of a value, which is written if there is none.
pub(super) fn keep(connection: &Connection, id: &ValueId, data: &[u8]) -> Result<i64, Failure> {
    let known = connection
        .prepare_cached("SELECT id FROM big_values WHERE hash = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    connection
        .prepare_cached("INSERT INTO big_values (hash, data) VALUES (?1, ?2)")?
        .execute((id.as_bytes(), data))?;
    Ok(connection.last_insert_rowid())
}

/// The values that a journal refers to.
pub(super) fn of_journal(connection: &Connection, journal: i64) -> Result<Vec<(ValueId, Bytes)>, Failure> {
    let values = connection
        .prepare_cached(
            "SELECT hash, data FROM big_values JOIN journal_values ON journal_values.value = big_values.id
             WHERE journal_values.journal = ?1",
        )?
        .query_map([journal], |row| Ok((row::hash(row, 0)?, row.get::<_, Vec<u8>>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    values.into_iter().map(|(id, data)| checked(id, data).map(|data| (id, data))).collect()
}

/// The data, if it is what its name says.
pub(super) fn checked(id: ValueId, data: Vec<u8>) -> Result<Bytes, Failure> {
    if ValueId::of(&data) == id {
        Ok(data.into())
    } else {
        Err(Failure::Damage(format!("value {id} is not what was written")))
    }
}

/// Removes values that nothing refers to, some at a time, and says how many and how large they were.
pub(super) fn remove_unused(connection: &Connection, at_most: usize) -> Result<(u64, u64), Failure> {
    let sizes = connection
        .prepare_cached(
            "DELETE FROM big_values WHERE id IN (
                 SELECT id FROM big_values
                 WHERE NOT EXISTS (SELECT 1 FROM journal_values WHERE value = big_values.id)
                   AND NOT EXISTS (SELECT 1 FROM files WHERE value = big_values.id)
                 LIMIT ?1)
             RETURNING length(data)",
        )?
        .query_map([row::limit(at_most)], |row| row.get::<_, u64>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok((sizes.len() as u64, sizes.iter().sum()))
}
