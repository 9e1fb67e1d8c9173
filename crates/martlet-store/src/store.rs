//! A store on disk, in one SQLite file.
//!
//! One thread writes. What is asked for while it commits waits and goes into the next commit together, so that the time
//! of a commit is shared. Other threads read, each with a connection of its own; they never wait for the writer.

mod approvals;
mod branches;
mod check;
mod files;
mod journal;
mod keys;
mod lock;
mod network;
mod operator;
mod owned;
mod probe;
mod row;
mod runs;
mod schema;
mod sessions;
mod sign_ins;
mod sweep;
mod tenant;
mod threads;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use martlet_core::RunId;
use rusqlite::Connection;

use crate::{StoreError, StoredEvent};
use lock::Lock;
pub use network::FileSystem;
pub use owned::Owned;
use row::Failure;
use schema::Beside;
pub use tenant::OfTenant;
use threads::{Commit, Readers, Writer};

/// The database in the folder.
const FILE: &str = "martlet.db";
/// Threads that answer what users wait for.
const READERS: usize = 2;

/// Is told of each event, with the run at the top, after the commit that made it known.
pub type CommitObserver = Arc<dyn Fn(&RunId, &StoredEvent) + Send + Sync>;

/// How a [`Store`] is opened.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Is called for each event after its commit and before whoever appended it is told, in the order of the numbers, by
    /// the thread that writes: it must be quick, and not wait for the store. Default: nobody is told.
    pub on_commit: Option<CommitObserver>,
}

impl StoreOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets who is told of each event.
    #[must_use]
    pub fn on_commit(mut self, observer: impl Fn(&RunId, &StoredEvent) + Send + Sync + 'static) -> Self {
        self.on_commit = Some(Arc::new(observer));
        self
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions").field("on_commit", &self.on_commit.is_some()).finish()
    }
}

/// Keeps all that a server must not lose in one SQLite file: it outlasts the process and, as each commit is synced, the
/// machine. Cheap to clone; when the last clone is dropped, what was asked for is written, and the file is closed.
///
/// One process at a time can write; a lock in the folder sees to that. The folder must be on a disk of this machine: locks
/// and shared memory do not hold on network file systems.
///
/// Nothing here blocks the caller. If a future is dropped before it is done, what it asked for may be done or not.
///
/// What users ask goes through [`of`](Self::of), which can never see the rows of others. The methods of the store itself see
/// all rows: they are for the server.
///
/// ```
/// # futures::executor::block_on(async {
/// use martlet_core::Principal;
/// use martlet_store::{NewSession, SessionId, Store, StoreOptions};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let store = Store::open(folder, StoreOptions::default())?;
/// let ann = Principal::new("acme", "ann")?;
/// let id = SessionId::from_bits(1);
/// let session = NewSession {
///     id: id.clone(),
///     owner: ann.clone(),
///     title: "Weather".into(),
///     agent: "assistant".into(),
///     created_ms: 1_764_000_000_000,
/// };
/// store.create_session(session).await?;
/// assert!(store.of(&ann).session(&id).await?.is_some());
/// assert!(store.of(&Principal::new("acme", "bob")?).session(&id).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    writer: Option<Writer>,
    readers: Readers,
    /// Reads what takes long, so that nobody else waits for that.
    slow: Readers,
    // Released last.
    _lock: Option<Lock>,
}

impl Store {
    /// Opens the store in a folder, or makes it, and the folder, if there is none. This blocks for some milliseconds: do it
    /// at the start.
    ///
    /// A store of an older version is brought to today's; a copy of what was there is kept beside it.
    ///
    /// # Errors
    /// [`Locked`](crate::StoreErrorKind::Locked) if another process has it open,
    /// [`Incompatible`](crate::StoreErrorKind::Incompatible) if it was made by a newer version or is no store,
    /// [`Damaged`](crate::StoreErrorKind::Damaged) if it is broken, [`Full`](crate::StoreErrorKind::Full) and
    /// [`Unavailable`](crate::StoreErrorKind::Unavailable) if it cannot be read or written. In all cases the file stays
    /// as it is.
    pub fn open(folder: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let folder = folder.as_ref().to_owned();
        create(&folder).map_err(|error| StoreError::file(&folder, error))?;
        if let Some(FileSystem { kind, is_network: true }) = FileSystem::of(&folder) {
            tracing::warn!(
                folder = %folder.display(),
                file_system = %kind,
                "the store is on a network file system, where it can be damaged: move it to a disk of this machine"
            );
        }
        let lock = Lock::take(&folder)?;
        let path = folder.join(FILE);
        let connection = schema::open_to_write(&path)?;
        let readers = Readers::start(&path, Beside::Writer, READERS)?;
        let slow = Readers::start(&path, Beside::Writer, 1)?;
        let writer = Writer::start(connection, options.on_commit)?;
        Ok(Self { inner: Arc::new(Inner { folder, writer: Some(writer), readers, slow, _lock: Some(lock) }) })
    }

    /// Opens the store in a folder to read it, also while another process writes to it. All that writes is refused.
    ///
    /// # Errors
    /// [`Unknown`](crate::StoreErrorKind::Unknown) if there is none, and those of [`open`](Self::open) but `Locked`.
    pub fn open_read_only(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let folder = folder.as_ref().to_owned();
        let path = folder.join(FILE);
        if !path.is_file() {
            return Err(StoreError::unknown(format!(
                "store in {}: give the folder of a server, or start one there",
                folder.display()
            )));
        }
        let readers = Readers::start(&path, Beside::Nobody, READERS)?;
        let slow = Readers::start(&path, Beside::Nobody, 1)?;
        Ok(Self { inner: Arc::new(Inner { folder, writer: None, readers, slow, _lock: None }) })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// The version of the tables.
    pub fn version(&self) -> u32 {
        schema::version()
    }

    /// Sets how large the file may get, in bytes; what does not fit is refused as on a full disk
    /// ([`Full`](crate::StoreErrorKind::Full)). A file that is larger keeps its size. Default: no limit but the disk's.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn limit_bytes(&self, bytes: u64) -> Result<(), StoreError> {
        self.write(move |commit| schema::limit(commit.connection, bytes)).await
    }

    /// Writes a copy of the store, as it is at one moment, to a new file. The store can be used meanwhile. To go back to it,
    /// put it into an empty folder as `martlet.db`.
    ///
    /// # Errors
    /// [`Refused`](crate::StoreErrorKind::Refused) if there is such a file; else if it cannot be written. In both cases there
    /// is no new file.
    pub async fn backup_to(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_owned();
        self.inner.slow.ask(move |connection| Ok(schema::backup(connection, &path)?)).await
    }

    /// Reads all of the store, and says what is not as it was written; nothing if all is well.
    ///
    /// # Errors
    /// If the storage failed.
    pub async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.inner.slow.ask(check::check).await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.readers.ask(read).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Commit<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.inner.writer {
            Some(writer) => writer.ask(work).await,
            None => {
                Err(StoreError::refused("the store is open to read only: ask the server that writes to it"))
            }
        }
    }
}

/// Makes the folder, if there is none, for nobody else to look into.
fn create(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
