//! Why something was not fetched, in words for the model.

use std::time::Duration;

/// Why something was not fetched. The message says what the model may do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    kind: FetchErrorKind,
    message: String,
}

/// Why a client for the web cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("set up the client for the web: {source}")]
pub struct ClientError {
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl ClientError {
    pub(super) fn new(source: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self { source }
    }
}

/// The kinds of reasons for which something is not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// The address cannot be read, or is none of the web.
    Address,
    /// The client must not go there.
    Refused,
    /// The server could not be reached, or broke off.
    Unreachable,
    /// It took too long.
    TimedOut,
    /// It is larger than the client reads.
    TooLarge,
    /// The server sends to one place after the other.
    Redirects,
    /// The server answered with this status, which is no success.
    Status(u16),
}

impl FetchError {
    pub(super) fn new(kind: FetchErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(FetchErrorKind::Refused, message)
    }

    pub(super) fn timed_out(host: &str, limit: Duration) -> Self {
        Self::new(
            FetchErrorKind::TimedOut,
            format!("{host} took longer than {} s: try another source", limit.as_secs_f64()),
        )
    }

    /// What kind of reason.
    pub fn kind(&self) -> FetchErrorKind {
        self.kind
    }
}
