//! Where the weights are on this machine, and whether they are what they should be.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use martlet_core::ModelFailureKind;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalog::CatalogModel;
use crate::error::ModelError;

/// The directory in which weights are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDir(PathBuf);

/// What is known of a model's weights on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightStatus {
    /// They are there and were checked.
    Ready,
    /// A file is there whose contents were not checked since it was written.
    Unchecked,
    /// They were fetched in part: so many bytes.
    Partial(u64),
    /// They are not there.
    Missing,
}

/// The file that `MARTLET_MODEL_PATH` names.
pub fn path_from_env() -> Option<PathBuf> {
    std::env::var_os("MARTLET_MODEL_PATH").filter(|path| !path.is_empty()).map(PathBuf::from)
}

impl ModelDir {
    /// This directory. It is made when something is fetched.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// `$MARTLET_MODEL_DIR`, else `$XDG_DATA_HOME/martlet/models`, else the platform's place for data
    /// (`~/.local/share/martlet/models`; on Windows `%LOCALAPPDATA%\martlet\models`).
    ///
    /// # Errors
    /// None of the variables is set.
    pub fn from_env() -> Result<Self, ModelError> {
        Self::from_variables(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ModelError> {
        if let Some(own) = variable("MARTLET_MODEL_DIR") {
            return Ok(Self::new(own));
        }
        let data = variable("XDG_DATA_HOME")
            // The specification of base directories has relative paths ignored.
            .filter(|path| Path::new(path).is_absolute())
            .or_else(|| variable("LOCALAPPDATA").filter(|_| cfg!(windows)))
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".local").join("share")));
        data.map(|data| Self::new(data.join("martlet").join("models"))).ok_or_else(|| {
            ModelError::new(
                ModelFailureKind::Local,
                "there is no directory for models: neither MARTLET_MODEL_DIR nor HOME is set; set MARTLET_MODEL_DIR",
            )
        })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where `model`'s file is, or would be.
    pub fn file(&self, model: &CatalogModel) -> PathBuf {
        self.0.join(model.file)
    }

    pub(super) fn beside(&self, model: &CatalogModel, suffix: &str) -> PathBuf {
        self.0.join(format!("{}.{suffix}", model.file))
    }

    /// What is there of `model`. Reads no more than a file's name and length.
    pub fn status(&self, model: &CatalogModel) -> WeightStatus {
        let length =
            |path: PathBuf| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|file| file.len());
        match (length(self.file(model)), length(self.beside(model, "partial"))) {
            (Some(_), _) if self.is_marked(model) => WeightStatus::Ready,
            (Some(_), _) => WeightStatus::Unchecked,
            (None, Some(bytes)) => WeightStatus::Partial(bytes),
            (None, None) => WeightStatus::Missing,
        }
    }

    /// The checked file of `model`. A file that was not checked yet is read once, which takes a few seconds;
    /// after that a mark beside it says so for as long as it does not change.
    ///
    /// # Errors
    /// The weights are not there, or are not the model's; the error says how to get them.
    pub fn find(&self, model: &CatalogModel) -> Result<PathBuf, ModelError> {
        let path = self.file(model);
        match self.status(model) {
            WeightStatus::Ready => Ok(path),
            WeightStatus::Unchecked => {
                check(&path, model, &mut |_| {})?;
                self.mark(model);
                Ok(path)
            }
            WeightStatus::Partial(_) | WeightStatus::Missing => Err(ModelError::new(
                ModelFailureKind::Local,
                format!(
                    "the weights of {} are not in {}; fetch them ({} MB) with `martlet model pull {}`, or set \
                     MARTLET_MODEL_PATH to a GGUF file, or use a model server",
                    model.name,
                    self.0.display(),
                    model.bytes.div_ceil(1_000_000),
                    model.alias,
                ),
            )),
        }
    }

    /// Deletes everything of `model`: the weights and what a fetch left behind.
    ///
    /// # Errors
    /// Something could not be deleted.
    pub fn remove(&self, model: &CatalogModel) -> Result<(), ModelError> {
        let missing_is_fine = |result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let paths = [self.file(model), self.beside(model, "partial"), self.beside(model, "checked")];
        paths
            .iter()
            .try_for_each(|path| missing_is_fine(fs::remove_file(path)))
            .and_then(|()| missing_is_fine(fs::remove_dir_all(self.beside(model, "parts"))))
            .map_err(|error| self.failed("delete the weights in", error))
    }

    /// A failure of the file system, in words.
    pub(super) fn failed(&self, what: &str, error: io::Error) -> ModelError {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "the disk is full: make room, or set MARTLET_MODEL_DIR to a directory on another disk"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "this user may not write there: set MARTLET_MODEL_DIR to a directory of your own"
            }
            _ => "check the directory, or set MARTLET_MODEL_DIR to another one",
        };
        ModelError::new(
            ModelFailureKind::Local,
            format!("cannot {what} {}: {error}; {advice}", self.0.display()),
        )
        .with_source(error)
    }

    pub(super) fn mark(&self, model: &CatalogModel) {
        let written = Mark::of(&self.file(model), model).and_then(|mark| {
            fs::write(self.beside(model, "checked"), serde_json::to_vec(&mark).map_err(io::Error::other)?)
        });
        if let Err(error) = written {
            // A directory that this user may only read: then each start reads the whole file.
            tracing::debug!(%error, "the checked weights could not be marked");
        }
    }

    fn is_marked(&self, model: &CatalogModel) -> bool {
        let mark =
            fs::read(self.beside(model, "checked")).ok().and_then(|mark| serde_json::from_slice(&mark).ok());
        mark.is_some_and(|mark: Mark| Mark::of(&self.file(model), model).is_ok_and(|now| now == mark))
    }
}

/// What a checked file looked like.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Mark {
    version: u32,
    sha256: String,
    bytes: u64,
    modified_ns: u128,
}

impl Mark {
    fn of(path: &Path, model: &CatalogModel) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        let modified = file.modified()?.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        let sha256 = model.sha256.to_owned();
        Ok(Self { version: 1, sha256, bytes: file.len(), modified_ns: modified.as_nanos() })
    }
}

/// Whether the file at `path` is `model`'s, by length and hash. `progress` is told how many bytes were read.
pub(super) fn check(
    path: &Path,
    model: &CatalogModel,
    progress: &mut dyn FnMut(u64),
) -> Result<(), ModelError> {
    let damaged = |what: String| {
        ModelError::new(
            ModelFailureKind::Local,
            format!(
                "{} is not {}: {what}; delete it and fetch it again with `martlet model pull {}`",
                path.display(),
                model.name,
                model.alias
            ),
        )
    };
    let unreadable = |error: io::Error| {
        ModelError::new(
            ModelFailureKind::Local,
            format!("cannot read the weights {}: {error}", path.display()),
        )
        .with_source(error)
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length != model.bytes {
        return Err(damaged(format!("it has {length} bytes and not {}", model.bytes)));
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        let count = file.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            break;
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        done += count as u64;
        progress(done);
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == model.sha256 { Ok(()) } else { Err(damaged(format!("its SHA-256 is {found}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| OsString::from(v));
        ModelDir::from_variables(variable).ok().map(|dir| dir.0)
    }

    #[test]
    fn the_nearest_variable_decides() {
        let home = ("HOME", "/home/ann");
        assert_eq!(dir(&[home]).unwrap(), Path::new("/home/ann/.local/share/martlet/models"));
        assert_eq!(dir(&[home, ("XDG_DATA_HOME", "/data")]).unwrap(), Path::new("/data/martlet/models"));
        assert_eq!(dir(&[home, ("XDG_DATA_HOME", "relative")]).unwrap(), dir(&[home]).unwrap());
        assert_eq!(
            dir(&[home, ("XDG_DATA_HOME", "/data"), ("MARTLET_MODEL_DIR", "/m")]).unwrap(),
            Path::new("/m")
        );
        assert_eq!(dir(&[]), None);
    }
}
