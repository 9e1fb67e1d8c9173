//! Why a model gave no reply.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use martlet_core::{ModelFailure, ModelFailureKind};

type Source = Box<dyn Error + Send + Sync>;

/// Why a model gave no reply.
///
/// Its text is for a person: it says what happened and what to do. It contains no keys, no prompts and no
/// whole bodies; of what the provider said, at most the first 500 characters.
pub struct ModelError(Box<Fields>);

struct Fields {
    kind: ModelFailureKind,
    message: String,
    status: Option<u16>,
    retry_after: Option<Duration>,
    attempts: u32,
    note: Option<String>,
    source: Option<Source>,
}

impl ModelError {
    /// A failure of `kind`; `message` says what happened and what to do about it.
    pub fn new(kind: ModelFailureKind, message: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            kind,
            message: message.into(),
            status: None,
            retry_after: None,
            attempts: 1,
            note: None,
            source: None,
        }))
    }

    /// Sets the HTTP status that the provider answered with.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Sets how long the provider asks to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// Sets the error underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.0.note = Some(note.into());
        self
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ModelFailureKind {
        self.0.kind
    }

    /// The HTTP status, if the provider answered with one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// How long the provider asks to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How often the request was sent.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }

    /// The failure as a run stores it.
    pub fn to_failure(&self) -> ModelFailure {
        ModelFailure { kind: self.0.kind, message: self.to_string() }
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if self.0.attempts > 1 {
            write!(f, " (tried {} times)", self.0.attempts)?;
        }
        if let Some(note) = &self.0.note {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelError")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("status", &self.0.status)
            .field("retry_after", &self.0.retry_after)
            .field("attempts", &self.0.attempts)
            .field("source", &self.0.source)
            .finish()
    }
}

impl Error for ModelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl From<ModelError> for ModelFailure {
    fn from(error: ModelError) -> Self {
        error.to_failure()
    }
}

impl From<ModelFailure> for ModelError {
    fn from(failure: ModelFailure) -> Self {
        Self::new(failure.kind, failure.message)
    }
}
