//! Browsers in which somebody signed in.

use rusqlite::{OptionalExtension as _, params};

use super::row::{self, Failure};
use super::{Store, keys};
use crate::{NewSignIn, SignInRow, StoreError, ValueId};

/// The most browsers of a key: the oldest goes when there is one more.
const OF_A_KEY: usize = 100;

impl Store {
    /// Notes that somebody signed in with a key. What has expired is forgotten, and the oldest if a key has more than 100.
    ///
    /// # Errors
    /// [`Unknown`](crate::StoreErrorKind::Unknown) if there is no such key; else if the storage failed.
    pub async fn sign_in(&self, new: NewSignIn) -> Result<(), StoreError> {
        self.write(move |commit| {
            let connection = commit.connection;
            let key: Option<i64> = connection
                .prepare_cached("SELECT id FROM keys WHERE name = ?1")?
                .query_row([new.key.as_str()], |row| row.get(0))
                .optional()?;
            let key = key.ok_or_else(|| StoreError::unknown(format!("key {}", new.key)))?;
            connection
                .prepare_cached("DELETE FROM sign_ins WHERE expires_ms <= ?1")?
                .execute([row::int(new.created_ms)])?;
            connection
                .prepare_cached(
                    "INSERT INTO sign_ins (digest, key, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    new.digest.as_bytes(),
                    key,
                    row::int(new.created_ms),
                    row::int(new.expires_ms)
                ])?;
            connection
                .prepare_cached(
                    "DELETE FROM sign_ins WHERE key = ?1 AND id <= (
                         SELECT id FROM sign_ins WHERE key = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                )?
                .execute([key, row::limit(OF_A_KEY)])?;
            Ok(())
        })
        .await
    }

    /// The browser that shows something with this SHA-256, also one that has expired.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn signed_in(&self, digest: &ValueId) -> Result<Option<SignInRow>, StoreError> {
        let digest = *digest;
        self.read(move |connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {}, sign_ins.created_ms, sign_ins.expires_ms
                     FROM sign_ins JOIN keys ON keys.id = sign_ins.key WHERE sign_ins.digest = ?1",
                    keys::COLUMNS
                ))?
                .query_row([digest.as_bytes()], |row| {
                    Ok(SignInRow {
                        key: keys::key_of(row)?,
                        created_ms: row.get(10)?,
                        expires_ms: row.get(11)?,
                    })
                })
                .optional()?;
            Ok::<_, Failure>(found)
        })
        .await
    }

    /// Forgets a browser, and says whether there was one.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn sign_out(&self, digest: &ValueId) -> Result<bool, StoreError> {
        let digest = *digest;
        self.write(move |commit| {
            let forgotten = commit
                .connection
                .prepare_cached("DELETE FROM sign_ins WHERE digest = ?1")?
                .execute([digest.as_bytes()])?;
            Ok(forgotten > 0)
        })
        .await
    }
}
