//! How the command ends: exit codes, and errors as people read them.

use std::io::{self, Write as _};

use martlet::core::{ModelFailureKind, RunFailure};
use martlet::model::{ConfigError, ModelError};
use martlet::sandbox::SandboxError;
use martlet::{RunError, RunResult, RunStatus};

use crate::style::{self, Paint, Style};

/// The exit codes of `martlet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Success,
    /// The run failed.
    Failed,
    /// The arguments or the configuration are wrong.
    Usage,
    /// A person said no, or has to decide first.
    Denied,
    /// The steps or the tokens were used up.
    Limit,
    /// The provider refused the key, or the account's quota is used up.
    Provider,
    /// The provider cannot be reached (`EX_UNAVAILABLE`).
    Unreachable,
    /// The provider has too much to do (`EX_TEMPFAIL`).
    Busy,
    /// The time of `--timeout` was up, as with `timeout(1)`.
    TimedOut,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Exit {
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::Limit => 4,
            Self::Provider => 5,
            Self::Unreachable => 69,
            Self::Busy => 75,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The exit code of a finished run.
    pub(crate) fn of_run(result: &RunResult) -> Self {
        match result.status {
            RunStatus::Succeeded => Self::Success,
            // A last call that the provider refused: what to do is about the provider and not about the steps.
            RunStatus::StepLimit => match &result.failure {
                Some(RunFailure::Model(failure)) => match Self::of_model(failure.kind) {
                    Self::Failed => Self::Limit,
                    of_provider => of_provider,
                },
                _ => Self::Limit,
            },
            RunStatus::TokenLimit => Self::Limit,
            RunStatus::TimedOut => Self::TimedOut,
            RunStatus::Cancelled => Self::Interrupted,
            _ => match &result.failure {
                Some(RunFailure::Model(failure)) => Self::of_model(failure.kind),
                _ => Self::Failed,
            },
        }
    }

    pub(crate) fn of_model(kind: ModelFailureKind) -> Self {
        match kind {
            ModelFailureKind::Auth | ModelFailureKind::Quota => Self::Provider,
            ModelFailureKind::Unavailable => Self::Unreachable,
            ModelFailureKind::RateLimited => Self::Busy,
            _ => Self::Failed,
        }
    }
}

/// Why the command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Without a word: whoever read the output has gone, or everything was said.
    Quiet(Exit),
    /// With one line that says what happened and what to do.
    Told { exit: Exit, error: anyhow::Error },
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self::Told { exit, error: error.into() }
    }

    /// The arguments or the configuration are wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, anyhow::Error::msg(message.into()))
    }

    /// This machine refused something.
    pub(crate) fn host(message: impl Into<String>, error: impl Into<anyhow::Error>) -> Self {
        let error: anyhow::Error = error.into();
        let message = format!("{}: {error}", message.into());
        Self::new(Exit::Failed, error.context(message))
    }

    /// The error itself, for those who tell it in their own words.
    pub(crate) fn into_error(self) -> Box<dyn std::error::Error + Send + Sync> {
        match self {
            Self::Quiet(_) => "stopped".into(),
            Self::Told { error, .. } => error.into(),
        }
    }

    /// Writes the error to standard error; with its causes if `verbose`.
    pub(crate) fn tell(&self, verbose: bool) -> Exit {
        match self {
            Self::Quiet(exit) => *exit,
            Self::Told { exit, error } => {
                tell(error.as_ref(), verbose);
                *exit
            }
        }
    }
}

/// Writes a line that is no error.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", style::printable(text));
}

/// Writes `error: …`; with the causes if `verbose`.
pub(crate) fn tell(error: &(dyn std::error::Error + 'static), verbose: bool) {
    let style = Style::stderr();
    let mut stderr = io::stderr().lock();
    let _ =
        writeln!(stderr, "{} {}", style.paint(Paint::Error, "error:"), style::printable(&error.to_string()));
    if !verbose {
        return;
    }
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // An error that passes its cause's words on says nothing new.
        if !said.contains(&text) {
            let _ = writeln!(stderr, "  {} {}", style.paint(Paint::Dim, "because:"), style::printable(&text));
            said = text;
        }
        cause = error.source();
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Quiet(Exit::Success);
        }
        Self::host("cannot write the output", error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<martlet_config::ConfigError> for Failure {
    fn from(error: martlet_config::ConfigError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<martlet_config::Problem> for Failure {
    fn from(problem: martlet_config::Problem) -> Self {
        Self::new(Exit::Usage, martlet_config::ConfigError::from(problem))
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::new(Exit::of_model(error.kind()), error)
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let exit = match error.kind() {
            martlet::sandbox::ErrorKind::Options => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let exit = error.result().map_or(Exit::Failed, Exit::of_run);
        Self::new(exit, error)
    }
}
