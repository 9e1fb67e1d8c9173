//! One process at a time.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::StoreError;

/// A lock on a file beside the database. The system gives it up when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("martlet.lock");
        let failed = |error| StoreError::file(&path, error);
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::locked(folder, holder(&file).as_deref()));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // For the one who is refused; the lock holds without it.
        let name = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{}", std::process::id())
        };
        let _ = { name }();
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is just being started has it open, too.
        let _ = self.file.unlock();
    }
}

/// The id of the process that holds the lock, if it could be written and can be read.
fn holder(mut file: &File) -> Option<String> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse::<u32>().ok().map(|id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreErrorKind;

    #[test]
    fn a_lock_that_is_given_up_is_free_also_while_a_new_child_process_has_its_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        let of_child = lock.file.try_clone().unwrap();
        assert_eq!(Lock::take(folder.path()).unwrap_err().kind(), StoreErrorKind::Locked);
        drop(lock);
        drop(Lock::take(folder.path()).unwrap());
        drop(of_child);
    }
}
