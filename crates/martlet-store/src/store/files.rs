//! Files that people brought.

use bytes::Bytes;
use martlet_core::Principal;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::row::{self, Failure};
use super::{Store, values};
use crate::{FileId, FileRow, NewFile, StoreError, ValueId};

/// What [`file_of`] reads.
const COLUMNS: &str = "name, tenant, user, title, media_type, created_ms, size";

impl Store {
    /// Keeps a file. Its content is kept once, however many files have the same.
    ///
    /// # Errors
    /// [`Conflict`](crate::StoreErrorKind::Conflict) if there is one of that id; else if the storage failed.
    pub async fn put_file(&self, new: NewFile) -> Result<FileRow, StoreError> {
        self.write(move |commit| {
            let connection = commit.connection;
            let taken = connection
                .prepare_cached("SELECT 1 FROM files WHERE name = ?1")?
                .exists([new.id.as_str()])?;
            if taken {
                return Err(StoreError::exists(format!("file {}", new.id)).into());
            }
            let value = values::keep(connection, &ValueId::of(&new.data), &new.data)?;
            connection
                .prepare_cached(
                    "INSERT INTO files (name, tenant, user, value, size, created_ms, media_type, title)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    new.id.as_str(),
                    &*new.owner.tenant,
                    &*new.owner.user,
                    value,
                    new.data.len() as u64,
                    row::int(new.created_ms),
                    new.media_type,
                    new.name
                ])?;
            find(connection, &new.id, None)?
                .ok_or_else(|| StoreError::unavailable("a file that was written is not there").into())
        })
        .await
    }

    /// A file, without its content.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn file(&self, id: &FileId) -> Result<Option<FileRow>, StoreError> {
        let id = id.clone();
        self.read(move |connection| find(connection, &id, None)).await
    }

    /// The content of a file.
    ///
    /// # Errors
    /// [`Damaged`](crate::StoreErrorKind::Damaged) if it is not what was written; else if the storage failed.
    pub async fn file_data(&self, id: &FileId) -> Result<Option<Bytes>, StoreError> {
        let id = id.clone();
        self.read(move |connection| data(connection, &id, None)).await
    }

    /// Removes a file, and says whether there was one. The space of its content is given back by
    /// [`sweep`](Self::sweep).
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn delete_file(&self, id: &FileId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write(move |commit| delete(commit.connection, &id, None)).await
    }

    /// The bytes of all files of an owner, as if each were kept by itself.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn bytes_of(&self, owner: &Principal) -> Result<u64, StoreError> {
        let owner = owner.clone();
        self.read(move |connection| {
            let bytes = connection
                .prepare_cached("SELECT coalesce(sum(size), 0) FROM files WHERE tenant = ?1 AND user = ?2")?
                .query_row((&*owner.tenant, &*owner.user), |row| row.get(0))?;
            Ok(bytes)
        })
        .await
    }
}

/// The condition that an owner, or none, makes of the parameters 2 and 3.
const WITHIN: &str = "(?2 IS NULL OR (tenant = ?2 AND user = ?3))";

fn names(owner: Option<&Principal>) -> (Option<&str>, Option<&str>) {
    (owner.map(|owner| &*owner.tenant), owner.map(|owner| &*owner.user))
}

pub(super) fn find(
    connection: &Connection,
    id: &FileId,
    owner: Option<&Principal>,
) -> Result<Option<FileRow>, Failure> {
    let (tenant, user) = names(owner);
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM files WHERE name = ?1 AND {WITHIN}"))?
        .query_row((id.as_str(), tenant, user), file_of)
        .optional()?;
    Ok(found)
}

pub(super) fn data(
    connection: &Connection,
    id: &FileId,
    owner: Option<&Principal>,
) -> Result<Option<Bytes>, Failure> {
    let (tenant, user) = names(owner);
    let found = connection
        .prepare_cached(&format!(
            "SELECT hash, data FROM big_values WHERE id = (SELECT value FROM files WHERE name = ?1 AND {WITHIN})"
        ))?
        .query_row((id.as_str(), tenant, user), |row| Ok((row::hash(row, 0)?, row.get(1)?)))
        .optional()?;
    found.map(|(hash, data)| values::checked(hash, data)).transpose()
}

pub(super) fn delete(
    connection: &Connection,
    id: &FileId,
    owner: Option<&Principal>,
) -> Result<bool, Failure> {
    let (tenant, user) = names(owner);
    let changed = connection
        .prepare_cached(&format!("DELETE FROM files WHERE name = ?1 AND {WITHIN}"))?
        .execute((id.as_str(), tenant, user))?;
    Ok(changed > 0)
}

/// The files of an owner, the newest first.
pub(super) fn list(connection: &Connection, owner: &Principal) -> Result<Vec<FileRow>, Failure> {
    let files = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM files WHERE tenant = ?1 AND user = ?2 ORDER BY id DESC"
        ))?
        .query_map((&*owner.tenant, &*owner.user), file_of)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(files)
}

fn file_of(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    Ok(FileRow {
        id: row::text(row, 0)?,
        owner: row::principal(row, 1)?,
        name: row.get(3)?,
        media_type: row.get(4)?,
        created_ms: row.get(5)?,
        size: row.get(6)?,
    })
}
