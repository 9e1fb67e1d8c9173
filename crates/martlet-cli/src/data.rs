//! The folder in which the store of a server is.

use std::path::{Path, PathBuf};

use martlet::store::{Store, StoreError, StoreErrorKind, StoreOptions};
use martlet_config::Config;

use crate::args::DataArgs;
use crate::config;
use crate::exit::{Exit, Failure};

/// The folder: that of the flag, else that of the configuration, else `$XDG_DATA_HOME/martlet`.
pub(crate) fn folder(flag: Option<&Path>, config: &Config) -> Result<PathBuf, Failure> {
    if let Some(path) = flag {
        return Ok(path.to_owned());
    }
    if let Some(path) = &config.settings().server.data {
        // As all paths, it is relative to the file that it stands in.
        let directory = config.origin(&["server", "data"]).and_then(martlet_config::Origin::directory);
        return Ok(directory.map_or_else(|| path.clone(), |directory| directory.join(path)));
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("LOCALAPPDATA").filter(|_| cfg!(windows)))
        .or_else(|| variable("HOME").map(|home| home.join(".local").join("share")));
    data.map(|data| data.join("martlet")).ok_or_else(|| {
        Failure::usage(
            "there is no home directory to keep data in: name a folder with --data, or set XDG_DATA_HOME",
        )
    })
}

/// The folder that the arguments of a command mean.
pub(crate) fn folder_of(args: &DataArgs) -> Result<PathBuf, Failure> {
    folder(args.data.as_deref(), &config::load(&args.config)?)
}

/// Opens the store to read it, also beside a server that writes to it.
pub(crate) fn open_to_read(folder: &Path) -> Result<Store, Failure> {
    Ok(Store::open_read_only(folder)?)
}

/// Opens the store to write to it; `None` if a server has it open.
pub(crate) fn open_to_write(folder: &Path) -> Result<Option<Store>, Failure> {
    match Store::open(folder, StoreOptions::default()) {
        Ok(store) => Ok(Some(store)),
        Err(error) if error.kind() == StoreErrorKind::Locked => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error.kind() {
            StoreErrorKind::Full | StoreErrorKind::Unavailable => Exit::Failed,
            _ => Exit::Usage,
        };
        Self::new(exit, error)
    }
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
