//! Why a tool could not do what it was asked.

use std::error::Error;
use std::fmt;

use martlet_core::schema::ArgumentError;
use martlet_core::{ToolFailure, ToolFailureKind};

/// Why a tool could not do what it was asked: a message for the model, which may try otherwise.
///
/// `?` turns any error into one: whatever implements [`std::error::Error`], a `String`, a `&str`,
/// `anyhow::Error`. The model is shown the message and those of its sources, so keep secrets out of them.
/// For the log, [`source`](Self::source) keeps the original.
///
/// Like `anyhow::Error` it does not implement [`std::error::Error`] itself: that is what leaves room for
/// the conversion from every other error.
///
/// ```
/// use martlet_tools::ToolError;
///
/// fn celsius(text: &str) -> Result<f64, ToolError> {
///     let kelvin: f64 = text.parse()?;
///     if kelvin < 0.0 {
///         return Err(ToolError::new("a temperature in kelvin is never negative"));
///     }
///     Ok(kelvin - 273.15)
/// }
/// assert_eq!(celsius("warm").unwrap_err().message(), "invalid float literal");
/// ```
pub struct ToolError {
    failure: ToolFailure,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ToolError {
    /// The tool failed; `message` tells the model what happened and what it may do instead.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with_kind(ToolFailureKind::Failed, message)
    }

    /// The arguments fit the schema and are wrong nevertheless, such as a date that does not exist.
    pub fn arguments(message: impl Into<String>) -> Self {
        Self::with_kind(ToolFailureKind::Arguments, message)
    }

    /// A person or a policy does not allow the call.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::with_kind(ToolFailureKind::Denied, message)
    }

    /// An error of any kind.
    pub fn with_kind(kind: ToolFailureKind, message: impl Into<String>) -> Self {
        Self { failure: ToolFailure::new(kind, message), source: None }
    }

    /// The kind of failure that the run records.
    pub fn kind(&self) -> ToolFailureKind {
        self.failure.kind
    }

    /// The message for the model.
    pub fn message(&self) -> &str {
        &self.failure.message
    }

    /// The error that this one was made from, for the log.
    pub fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }

    /// What the run records and the model is shown.
    pub fn into_failure(self) -> ToolFailure {
        self.failure
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for ToolError {
    fn from(error: E) -> Self {
        let source: Box<dyn Error + Send + Sync> = error.into();
        if let Some(failure) = source.downcast_ref::<ToolFailure>() {
            return Self { failure: failure.clone(), source: None };
        }
        let kind = match source.downcast_ref::<ArgumentError>() {
            Some(_) => ToolFailureKind::Arguments,
            None => ToolFailureKind::Failed,
        };
        Self { failure: ToolFailure::new(kind, chain(source.as_ref())), source: Some(source) }
    }
}

impl From<ToolError> for ToolFailure {
    fn from(error: ToolError) -> Self {
        error.failure
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl fmt::Debug for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolError")
            .field("kind", &self.failure.kind)
            .field("message", &self.failure.message)
            .field("source", &self.source)
            .finish()
    }
}

/// The message of an error and of its sources. The outermost alone is often too little to act on ("error
/// sending request"). Sources that a message repeats already are left out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no weather for Paris")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn the_model_sees_the_sources_and_the_log_keeps_them() {
        let error = ToolError::from(Outer("x".parse::<i32>().unwrap_err()));
        assert_eq!(error.message(), "no weather for Paris: invalid digit found in string");
        assert!(error.source().unwrap().is::<Outer>());
        assert_eq!(error.kind(), ToolFailureKind::Failed);
    }

    #[test]
    fn texts_and_boxed_errors_become_errors() {
        assert_eq!(ToolError::from("no").message(), "no");
        assert_eq!(ToolError::from("no".to_owned()).message(), "no");
        let boxed: Box<dyn Error + Send + Sync> = "no".into();
        assert_eq!(ToolError::from(boxed).message(), "no");
    }

    #[test]
    fn a_failure_keeps_its_kind_on_the_way_through() {
        let error = ToolError::from(ToolFailure::new(ToolFailureKind::Denied, "not today"));
        assert_eq!(error.kind(), ToolFailureKind::Denied);
        assert_eq!(error.message(), "not today");
    }
}
