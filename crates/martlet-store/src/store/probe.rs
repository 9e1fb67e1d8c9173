//! Whether the storage works.

use rusqlite::params;

use super::Store;
use crate::StoreError;

/// As much as is written to find out, in bytes: more than a page, so that it takes space.
const BYTES: u32 = 64 * 1_024;

impl Store {
    /// Writes something and removes it, and so finds out whether storage that failed works again.
    ///
    /// # Errors
    /// If the storage fails.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.write(|commit| {
            commit.connection.execute_batch("CREATE TABLE probe (data BLOB)")?;
            commit.connection.execute("INSERT INTO probe VALUES (zeroblob(?1))", params![BYTES])?;
            commit.connection.execute_batch("DROP TABLE probe")?;
            Ok(())
        })
        .await
    }
}
