//! The tables, and how a file is brought to today's version of them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::row::Failure;
use crate::StoreError;

/// Marks a file as ours: "MRTL".
const APPLICATION_ID: u32 = 0x4d52_544c;

/// What brings a file from each version to the next one. A change of the tables adds a step, and none is ever changed:
/// files that it made are out there.
const STEPS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// The version of the tables.
pub(super) fn version() -> u32 {
    newest(STEPS)
}

fn newest(steps: &[&str]) -> u32 {
    u32::try_from(steps.len()).unwrap_or(u32::MAX)
}

pub(super) fn open_to_write(path: &Path) -> Result<Connection, StoreError> {
    create(path).map_err(|error| StoreError::file(path, error))?;
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    migrate(&mut connection, path, STEPS)?;
    // Only now, when the file is known to be ours.
    prepare_to_write(&connection).map_err(|error| StoreError::sqlite(&error))?;
    Ok(connection)
}

/// Opens a file that is at today's version. With `beside`, another process may write to it meanwhile.
pub(super) fn open_to_read(path: &Path, beside: Beside) -> Result<Connection, StoreError> {
    let flags = match beside {
        Beside::Writer => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Beside::Nobody => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let connection = open(path, flags)?;
    let found = found(&connection, path)?;
    if found > version() {
        return Err(newer(path, found, version()));
    }
    if found != version() {
        return Err(StoreError::incompatible(format!(
            "the store {} has version {found}, and this version of Martlet lists those of version {}: let a server \
             open it once, which brings it to that version and keeps a copy",
            path.display(),
            version()
        )));
    }
    connection.pragma_update(None, "query_only", true).map_err(|error| StoreError::sqlite(&error))?;
    Ok(connection)
}

/// Who else has the file open in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// The connection that writes.
    Writer,
    /// Nobody: this process only reads.
    Nobody,
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly) => {
            StoreError::file(path, std::io::Error::other(error.to_string()))
        }
        _ => StoreError::sqlite(&error),
    };
    let connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
    let settings = || -> rusqlite::Result<()> {
        connection.busy_timeout(Duration::from_secs(5))?;
        // Reads of damaged pages fail early instead of giving what was never written.
        connection.pragma_update(None, "cell_size_check", true)?;
        // What a file says must not run code of ours in ways that we do not expect.
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.set_prepared_statement_cache_capacity(64);
        // The first that reads the file: one that is no database is told here.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
    };
    settings().map_err(failed)?;
    Ok(connection)
}

/// Makes the file, if there is none, for nobody else to read. SQLite gives the files beside it the same rights.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn prepare_to_write(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // A commit that was reported is on the disk.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // To move the log into the file syncs both: done a fourth as often as by default, at up to 16 MB of log, it costs a
    // fourth less at 64 writers, and a start after a crash some milliseconds.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 4_000, |_| Ok(()))?;
    // A log that once grew large is cut again.
    connection.pragma_update_and_check(None, "journal_size_limit", 64 * 1024 * 1024, |_| Ok(()))
}

/// The version of the file; 0 for one that is empty. A file of a newer version, or of another application, is refused.
fn found(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let number = |name: &str| -> Result<u32, StoreError> {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map(|number| u32::try_from(number).unwrap_or(u32::MAX))
            .map_err(|error| StoreError::sqlite(&error))
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| StoreError::sqlite(&error))?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION_ID, 1..) => Ok(version),
        _ => Err(StoreError::incompatible(format!(
            "{} is a database of another application: choose another folder",
            path.display()
        ))),
    }
}

fn newer(path: &Path, found: u32, newest: u32) -> StoreError {
    StoreError::incompatible(format!(
        "the store {} has version {found}, and this version of Martlet reads up to {newest}: update Martlet, or choose \
         another folder",
        path.display()
    ))
}

/// Brings the tables to the newest version, in one transaction, after a copy of what was there.
fn migrate(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let (found, newest) = (found(connection, path)?, newest(steps));
    if found == newest {
        return Ok(());
    }
    if found > newest {
        return Err(newer(path, found, newest));
    }
    if found == 0 {
        // Space that is swept can be given back; this cannot be chosen later.
        connection
            .pragma_update(None, "auto_vacuum", "incremental")
            .map_err(|error| StoreError::sqlite(&error))?;
    } else {
        let copy = copy_of(path, found);
        // One that is there is of an attempt that failed, or whole: the migration it was made for did not happen.
        let _ = std::fs::remove_file(&copy);
        backup(connection, &copy)?;
        tracing::info!(from = found, to = newest, copy = %copy.display(), "the store is brought to a newer version");
    }
    let todo = steps.iter().skip(usize::try_from(found).unwrap_or(usize::MAX));
    let all = |connection: &mut Connection| -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        for step in todo {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", newest)?;
        transaction.commit()
    };
    all(connection).map_err(|error| StoreError::sqlite(&error))
}

fn copy_of(path: &Path, version: u32) -> PathBuf {
    let mut copy = OsString::from(path);
    copy.push(format!(".version-{version}"));
    PathBuf::from(copy)
}

/// Writes a copy of the database, whole or not at all.
pub(super) fn backup(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    if to.exists() {
        return Err(StoreError::refused(format!(
            "there is a file {} already: move it away, or choose another name",
            to.display()
        )));
    }
    let mut part = OsString::from(to);
    part.push(".part");
    let part = PathBuf::from(part);
    let _ = std::fs::remove_file(&part);
    let Some(name) = part.to_str() else {
        return Err(StoreError::refused(format!(
            "the name {} is not UTF-8: choose another one",
            to.display()
        )));
    };
    // SQLite takes a file that is empty.
    create(&part).map_err(|error| StoreError::file(to, error))?;
    let copied = connection
        .pragma_update(None, "query_only", false)
        .and_then(|()| connection.execute("VACUUM INTO ?1", [name]))
        .map_err(|error| StoreError::sqlite(&error));
    let kept = copied.and_then(|_| {
        let sync = || -> std::io::Result<()> {
            std::fs::File::open(&part)?.sync_all()?;
            std::fs::rename(&part, to)?;
            // So that the name outlasts a crash, too, where folders can be synced.
            let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
            let _ =
                std::fs::File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
            Ok(())
        };
        sync().map_err(|error| StoreError::file(to, error))
    });
    let _ = std::fs::remove_file(&part);
    kept
}

/// Sets how large the file may get. A file that is larger keeps its size.
pub(super) fn limit(connection: &Connection, bytes: u64) -> Result<(), Failure> {
    let page: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    // SQLite counts pages in 32 bits.
    let pages = (bytes / page.max(1)).clamp(1, u64::from(u32::MAX) - 1);
    Ok(connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &str = "ALTER TABLE sessions ADD COLUMN colour TEXT; UPDATE sessions SET colour = 'blue';";

    fn file_of_version_1() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("martlet.db");
        create(&path).unwrap();
        let mut connection = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        migrate(&mut connection, &path, &STEPS[..1]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO sessions (name, tenant, user, agent, created_ms, updated_ms, title)
                 VALUES ('s', 't', 'u', 'a', 1, 1, 'old')",
            )
            .unwrap();
        (folder, path)
    }

    /// Promise: a commit that was reported is on the disk. The settings are those of a connection, so that they cannot be seen
    /// from outside.
    #[test]
    fn the_connection_that_writes_syncs_each_commit() {
        let (_folder, path) = file_of_version_1();
        let connection = open_to_write(&path).unwrap();
        let setting = |name: &str| -> String {
            let value: rusqlite::types::Value =
                connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
            format!("{value:?}")
        };
        assert_eq!(setting("synchronous"), "Integer(2)");
        assert_eq!(setting("journal_mode"), "Text(\"wal\")");
        assert_eq!(setting("foreign_keys"), "Integer(1)");
        assert_eq!(setting("auto_vacuum"), "Integer(2)");
    }

    fn user_version(path: &Path) -> u32 {
        found(&Connection::open(path).unwrap(), path).unwrap()
    }

    #[test]
    fn an_older_file_is_copied_and_brought_to_the_newest_version() {
        let (_folder, path) = file_of_version_1();
        let mut connection = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        migrate(&mut connection, &path, &[STEPS[0], NEXT]).unwrap();
        let colour: String =
            connection.query_row("SELECT colour FROM sessions", [], |row| row.get(0)).unwrap();
        assert_eq!(colour, "blue");
        drop(connection);
        assert_eq!(user_version(&path), 2);
        let copy = copy_of(&path, 1);
        assert!(copy.ends_with("martlet.db.version-1"));
        assert_eq!(user_version(&copy), 1);
        let title: String = Connection::open(copy)
            .unwrap()
            .query_row("SELECT title FROM sessions", [], |row| row.get(0))
            .unwrap();
        assert_eq!(title, "old");
    }

    #[test]
    fn a_migration_that_fails_half_way_changes_nothing() {
        let (_folder, path) = file_of_version_1();
        let mut connection = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        migrate(&mut connection, &path, &[STEPS[0], NEXT, "ALTER TABLE nothing ADD COLUMN x TEXT"])
            .unwrap_err();
        drop(connection);
        assert_eq!(user_version(&path), 1);
        let connection = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        assert!(connection.prepare("SELECT colour FROM sessions").is_err());
        // And the next attempt is not hindered by the copy that the first one made.
        drop(connection);
        let mut connection = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        migrate(&mut connection, &path, &[STEPS[0], NEXT]).unwrap();
    }
}
