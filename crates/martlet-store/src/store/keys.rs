//! API keys.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Store;
use super::row::{self, Failure};
use crate::{KeyId, KeyRow, StoreError};

/// What [`key_of`] reads.
pub(super) const COLUMNS: &str = "keys.name, keys.tenant, keys.user, keys.digest, keys.scopes, keys.label,
    keys.created_ms, keys.expires_ms, keys.last_used_ms, keys.revoked_ms";

impl Store {
    /// Keeps a key.
    ///
    /// # Errors
    /// [`Conflict`](crate::StoreErrorKind::Conflict) if there is one of that id; else if the storage failed.
    pub async fn create_key(&self, key: KeyRow) -> Result<(), StoreError> {
        self.write(move |commit| {
            if find(commit.connection, &key.id)?.is_some() {
                return Err(StoreError::exists(format!("key {}", key.id)).into());
            }
            commit
                .connection
                .prepare_cached(
                    "INSERT INTO keys (name, tenant, user, digest, scopes, label, created_ms, expires_ms, last_used_ms,
                         revoked_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    key.id.as_str(),
                    &*key.owner.tenant,
                    &*key.owner.user,
                    key.digest,
                    row::to_json(&key.scopes)?,
                    key.label,
                    row::int(key.created_ms),
                    key.expires_ms.map(row::int),
                    key.last_used_ms.map(row::int),
                    key.revoked_ms.map(row::int)
                ])?;
            Ok(())
        })
        .await
    }

    /// A key, also one that is revoked or expired.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn key(&self, id: &KeyId) -> Result<Option<KeyRow>, StoreError> {
        let id = id.clone();
        self.read(move |connection| find(connection, &id)).await
    }

    /// All keys, in the order in which they were made.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.read(|connection| {
            let keys = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM keys ORDER BY id"))?
                .query_map([], key_of)?
                .collect::<rusqlite::Result<_>>()?;
            Ok(keys)
        })
        .await
    }

    /// Revokes a key for ever. Gives whether it did: not if it was revoked before, or is not known.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn revoke_key(&self, id: &KeyId, at_ms: u64) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write(move |commit| {
            let changed = commit
                .connection
                .prepare_cached("UPDATE keys SET revoked_ms = ?2 WHERE name = ?1 AND revoked_ms IS NULL")?
                .execute(params![id.as_str(), row::int(at_ms)])?;
            Ok(changed > 0)
        })
        .await
    }

    /// Notes that a key was used. Each call is a commit: a server notes it now and then, not for each request.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn key_used(&self, id: &KeyId, at_ms: u64) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |commit| {
            commit
                .connection
                .prepare_cached(
                    "UPDATE keys SET last_used_ms = max(coalesce(last_used_ms, 0), ?2) WHERE name = ?1",
                )?
                .execute(params![id.as_str(), row::int(at_ms)])?;
            Ok(())
        })
        .await
    }
}

fn find(connection: &Connection, id: &KeyId) -> Result<Option<KeyRow>, Failure> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM keys WHERE name = ?1"))?
        .query_row([id.as_str()], key_of)
        .optional()?;
    Ok(found)
}

pub(super) fn key_of(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow {
        id: row::text(row, 0)?,
        owner: row::principal(row, 1)?,
        digest: row.get(3)?,
        scopes: row::json(row, 4)?,
        label: row.get(5)?,
        created_ms: row.get(6)?,
        expires_ms: row.get(7)?,
        last_used_ms: row.get(8)?,
        revoked_ms: row.get(9)?,
    })
}
