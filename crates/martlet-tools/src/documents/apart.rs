//! Reading in a process of its own: what a file makes a parser do ends with that process, also where it takes memory
//! that nothing in the file told of.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::{pdf, sheet};

/// The memory that reading one file may take, in bytes.
const MEMORY: u64 = 1024 * 1024 * 1024;
/// The time of a processor that it may take, in seconds.
const SECONDS: u64 = 20;

static PROGRAM: OnceLock<(PathBuf, OsString)> = OnceLock::new();

/// Lets PDF files and spreadsheets be read by `program`, started with the one argument `argument`, from now on: it has to
/// call [`reader_main`] then, and nothing else. Without this they are read in this process, with what can be counted
/// beforehand as the only limit. Says whether this was the first call, which alone counts.
pub fn read_with(program: impl Into<PathBuf>, argument: impl AsRef<OsStr>) -> bool {
    PROGRAM.set((program.into(), argument.as_ref().to_owned())).is_ok()
}

/// What is to be read; the file follows it.
#[derive(Serialize, Deserialize)]
pub(super) enum Asked {
    Pages { first: usize, count: usize, max_chars: usize },
    Rows { kind: sheet::Kind, sheet: Option<String>, first: usize, max_chars: usize },
}

/// What came of it.
#[derive(Serialize, Deserialize)]
pub(super) enum Found {
    Pages(pdf::Pages),
    Rows(sheet::Rows),
    /// In words for a model.
    Nothing(String),
}

impl Asked {
    /// Reads the file, in a process of its own if there is a program for that.
    ///
    /// # Errors
    /// It cannot be read, in words for a model.
    pub(super) fn read(self, bytes: &[u8]) -> Result<Found, String> {
        let found = match PROGRAM.get() {
            None => self.read_here(bytes),
            Some((program, argument)) => {
                let mut command = Command::new(program);
                // It needs nothing of what this process knows.
                command.arg(argument).env_clear();
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
                let started = command.spawn().and_then(|child| self.ask(child, bytes));
                started.map_err(|error| {
                    format!("the file cannot be read: its reader does not start ({error})")
                })?
            }
        };
        match found {
            Found::Nothing(reason) => Err(reason),
            found => Ok(found),
        }
    }

    fn ask(&self, mut child: Child, bytes: &[u8]) -> io::Result<Found> {
        let mut asked = serde_json::to_vec(self)?;
        asked.push(b'\n');
        if let Some(mut stdin) = child.stdin.take() {
            // One that has ended before says so by what it did not answer.
            let _ = stdin.write_all(&asked).and_then(|()| stdin.write_all(bytes));
        }
        let output = child.wait_with_output()?;
        let refused =
            || Found::Nothing("the file asks for more memory or time than a file may take".to_owned());
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| refused()))
    }

    fn read_here(self, bytes: &[u8]) -> Found {
        match self {
            Self::Pages { first, count, max_chars } => {
                pdf::pages(bytes, first, count, max_chars).map_or_else(Found::Nothing, Found::Pages)
            }
            Self::Rows { kind, sheet, first, max_chars } => {
                let rows = sheet::rows(bytes, kind, sheet.as_deref(), first, max_chars);
                rows.map_or_else(Found::Nothing, Found::Rows)
            }
        }
    }
}

/// What a program does that [`read_with`] names: it reads one file from its standard input, and tells what is in it.
pub fn reader_main() -> ExitCode {
    confine();
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().lock().read_to_end(&mut input)?;
    let end = input.iter().position(|byte| *byte == b'\n').ok_or(io::ErrorKind::UnexpectedEof)?;
    let (asked, bytes) = input.split_at(end);
    let asked: Asked = serde_json::from_slice(asked)?;
    let found = asked.read_here(bytes.get(1..).unwrap_or_default());
    serde_json::to_writer(io::stdout().lock(), &found)?;
    Ok(())
}

/// Takes from this process what it must not have.
fn confine() {
    let most = |resource, most: u64| {
        let maximum = getrlimit(resource).maximum;
        let most = maximum.map_or(most, |maximum| most.min(maximum));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        // A further hedge, beside what is counted: a system that refuses it does not stop us.
        let _ = setrlimit(resource, limit);
    };
    most(Resource::Core, 0);
    most(Resource::Fsize, 0);
    most(Resource::Cpu, SECONDS);
    most(Resource::As, MEMORY);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}
