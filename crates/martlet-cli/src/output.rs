//! Standard output, or the file that takes its place: it belongs to the answer.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use martlet::core::{RunFailure, Step};
use martlet::{Event, RunResult, RunStatus, Usage};
use serde::Serialize;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::style;

/// The version of the object that `--output json` writes.
const SCHEMA: u32 = 1;

/// Where the output goes.
pub(crate) enum Sink {
    Stdout,
    File { file: File, touched: bool },
}

impl Sink {
    /// Opens the output. A file keeps what it holds until there is something to write.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(|error| {
                let message = format!(
                    "cannot write {}: check the directory and whether you may write there",
                    path.display()
                );
                Failure::new(Exit::Usage, anyhow::Error::new(error).context(message))
            })?;
        Ok(Self::File { file, touched: false })
    }

    /// Writes `text` and a line break, at once.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes())?;
                stdout.write_all(b"\n")?;
                stdout.flush()
            }
            Self::File { file, touched } => {
                if !*touched {
                    // A device or a pipe has no length, which is no reason not to write to it.
                    let _ = file.set_len(0);
                    *touched = true;
                }
                file.write_all(text.as_bytes())?;
                file.write_all(b"\n")
            }
        }
    }

    /// An event as a line of JSON.
    pub(crate) fn event(&mut self, event: &Event) -> io::Result<()> {
        self.line(&serde_json::to_string(event).map_err(io::Error::other)?)
    }

    /// The answer as text: as it is, but for a terminal without what could take it over.
    pub(crate) fn answer(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Stdout if io::stdout().is_terminal() => self.line(&style::printable(text)),
            _ => self.line(text),
        }
    }
}

/// What `--output json` writes.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    run_id: &'a str,
    status: RunStatus,
    answer: &'a Value,
    usage: Usage,
    steps: &'a [Step],
    error: Option<&'a RunFailure>,
    model: &'a str,
    elapsed_ms: u64,
}

/// The run as one JSON object.
pub(crate) fn report(result: &RunResult, model: &str) -> Result<String, Failure> {
    let report = Report {
        schema: SCHEMA,
        run_id: result.run.as_str(),
        status: result.status,
        answer: &result.output,
        usage: result.usage,
        steps: &result.steps,
        error: result.failure.as_ref(),
        model,
        elapsed_ms: result.timing.elapsed_us / 1_000,
    };
    serde_json::to_string(&report).map_err(|error| Failure::host("cannot write the run as JSON", error))
}
