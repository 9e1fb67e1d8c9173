//! Where a value comes from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A line of a file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Variable(Arc<str>),
}

impl Origin {
    /// The directory to which paths are relative: that of the file, or the current one.
    pub fn directory(&self) -> Option<PathBuf> {
        match self {
            Self::File { path, .. } => path.parent().map(Path::to_owned),
            Self::Variable(_) => None,
        }
    }

    /// Whether the value was written into a file, where others may read it.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", shown(path).display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// The path as a person in this directory would write it.
pub(crate) fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    match here.and_then(|here| path.strip_prefix(here).map(Path::to_owned).ok()) {
        Some(inside) if !inside.as_os_str().is_empty() => inside,
        _ => path.to_owned(),
    }
}
