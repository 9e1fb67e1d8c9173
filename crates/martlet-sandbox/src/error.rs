//! Faults of the host: what neither the model nor the program can mend.

use std::error::Error;
use std::fmt;

/// Why a sandbox could not perform a request.
///
/// What a program did wrong is not among these: it is in the outcome, for the model.
#[derive(Debug)]
pub struct SandboxError {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A worker cannot be started, or does not speak our protocol. The host's fault; another try does not help
    /// before its cause is removed.
    Worker,
    /// The saved state of the session is damaged, or was written by another version. The caller's fault.
    Snapshot,
    /// The options name something that this sandbox does not have. The caller's fault.
    Options,
    /// The request does not fit the state of the session. The caller's fault.
    Request,
    /// The pool was closed.
    Closed,
}

impl SandboxError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    #[cfg_attr(not(unix), expect(dead_code, reason = "only worker processes have such errors"))]
    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for SandboxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
