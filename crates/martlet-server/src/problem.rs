//! What goes wrong over HTTP, and how it is told.
//!
//! A [`Problem`] is an answer in the form of RFC 9457 (problem details) that also has the member `error` which clients of
//! OpenAI's API read:
//!
//! ```json
//! {
//!   "type": "urn:martlet:problem:bad_request", "title": "Bad request", "status": 400,
//!   "detail": "missing field `task`",
//!   "error": { "code": "bad_request", "message": "missing field `task`", "param": "task" }
//! }
//! ```
//!
//! [`Body`], [`Query`] and [`Path`] read requests and answer with problems where axum's own extractors answer with text.

mod extract;
mod json;
mod kind;

use std::error::Error;
use std::fmt;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};
use martlet_store::{StoreError, StoreErrorKind};
use serde::Serialize;

use crate::admission::{Allowance, Refusal, RefusalKind};
use crate::keys::{KeyRefusal, MalformedKey};

pub use self::extract::{Body, BodyList, MAX_BODY, Path, Query};
pub(crate) use self::extract::{check_type, read_up_to};
pub(crate) use self::json::read as read_json;
pub use self::kind::ProblemKind;

const MAX_RETRY_AFTER_S: u32 = 120;
/// When to come back after the storage refused.
const STORAGE_RETRY_S: u32 = 30;
/// What is told of a mistake, in characters: errors repeat what was sent, and that can be long.
const MAX_DETAIL: usize = 400;

/// A request that was not done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
    param: Option<String>,
    retry_after_s: Option<u32>,
    allowance: Option<Allowance>,
}

impl Problem {
    /// A problem; `detail` says what happened and what to do about it. It is shown to the client.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let detail = cut(detail.into());
        Self { kind, detail, param: None, retry_after_s: None, allowance: None }
    }

    /// There is no such thing, or it is somebody else's: both are told alike. `what` is the kind of thing.
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("there is no such {what}"))
    }

    /// Who asks is not known. It is told alike whatever is wrong with the key.
    pub fn unauthorized() -> Self {
        Self::new(
            ProblemKind::Unauthorized,
            "a valid API key is needed: send it in the header `Authorization: Bearer mrt_…`",
        )
    }

    /// A fault of the server. The error goes to the log under a number; the client is told the number alone.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        let incident = incident();
        log(&incident, error);
        Self::new(
            ProblemKind::Internal,
            format!("the server failed; its log says more under {incident}: tell that to whoever runs it"),
        )
    }

    /// Says which part of the request is wrong: the path of a field of the body, or the name of a parameter.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(cut(param.into()));
        self
    }

    /// Says when to try again, in seconds; told as 1 to 120.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds.clamp(1, MAX_RETRY_AFTER_S));
        self
    }

    /// Says how much more the user may ask for.
    #[must_use]
    pub fn allowance(mut self, allowance: Allowance) -> Self {
        self.allowance = Some(allowance);
        self
    }

    /// What kind of problem.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// What happened and what to do about it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The body of the answer.
    pub fn details(&self) -> ProblemDetails {
        let code = self.kind.code();
        ProblemDetails {
            kind: format!("urn:martlet:problem:{code}"),
            title: self.kind.title().into(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            error: ErrorMember { code: code.into(), message: self.detail.clone(), param: self.param.clone() },
        }
    }

    /// Which part of the request is wrong.
    pub(crate) fn wrong_param(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// When to try again, in seconds.
    pub(crate) fn retry_s(&self) -> Option<u32> {
        self.retry_after_s.or(self.kind.retry_after_s())
    }

    /// How much more the user may ask for, where that is the problem.
    pub(crate) fn left(&self) -> Option<Allowance> {
        self.allowance
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.kind == ProblemKind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"martlet\""));
        }
        if let Some(seconds) = self.retry_s() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(allowance) = self.allowance {
            headers.extend(allowance_headers(allowance));
        }
        headers
    }
}

/// The headers that tell a client how much more it may ask for, spelt as OpenAI's API does.
pub fn allowance_headers(allowance: Allowance) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut insert = |name: &'static str, value: HeaderValue| {
        headers.insert(HeaderName::from_static(name), value);
    };
    insert("x-ratelimit-limit-requests", allowance.limit.into());
    insert("x-ratelimit-remaining-requests", allowance.remaining.into());
    if let Ok(reset) = HeaderValue::try_from(format!("{}s", allowance.reset_s)) {
        insert("x-ratelimit-reset-requests", reset);
    }
    headers
}

/// A problem as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[non_exhaustive]
pub struct ProblemDetails {
    /// The kind of problem, as a URI.
    #[serde(rename = "type")]
    #[schema(example = "urn:martlet:problem:bad_request")]
    pub kind: String,
    /// The kind of problem, for people.
    #[schema(example = "Bad request")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 400)]
    pub status: u16,
    /// What happened and what to do about it.
    pub detail: String,
    /// The same for clients of OpenAI's API.
    pub error: ErrorMember,
}

/// The member `error` of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[non_exhaustive]
pub struct ErrorMember {
    /// The kind of problem: it stays the same in all versions.
    #[schema(example = "bad_request")]
    pub code: String,
    /// What happened and what to do about it.
    pub message: String,
    /// Which part of the request is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A struct of texts and a number always has a JSON form.
        let body = serde_json::to_vec(&self.details()).unwrap_or_default();
        let mut response = (self.kind.status(), self.headers(), body).into_response();
        // For those who tell it in another protocol's words.
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Problem {}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let Refusal { kind, retry_after_s, limit, remaining } = refusal;
        let problem = |kind| Self::new(kind, refusal.to_string()).retry_after_s(retry_after_s);
        let allowance = Allowance { limit, remaining, reset_s: retry_after_s };
        match kind {
            RefusalKind::QueueFull => problem(ProblemKind::QueueFull).allowance(allowance),
            RefusalKind::UserLimit => problem(ProblemKind::UserLimit).allowance(allowance),
            RefusalKind::Draining => problem(ProblemKind::Draining),
        }
    }
}

impl From<MalformedKey> for Problem {
    fn from(_: MalformedKey) -> Self {
        Self::unauthorized()
    }
}

impl From<KeyRefusal> for Problem {
    fn from(_: KeyRefusal) -> Self {
        Self::unauthorized()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::Unknown => Self::new(ProblemKind::NotFound, error.to_string()),
            StoreErrorKind::Conflict | StoreErrorKind::Refused => {
                Self::new(ProblemKind::Conflict, error.to_string())
            }
            StoreErrorKind::Full => {
                tracing::error!(%error, "the store is full");
                Self::new(
                    ProblemKind::StorageFull,
                    "the server has no space left and has kept nothing of this request; try again later",
                )
            }
            StoreErrorKind::Unavailable => {
                let incident = incident();
                log(&incident, &error);
                Self::new(
                    ProblemKind::StorageUnavailable,
                    format!(
                        "the server's storage failed; its log says more under {incident}. Look whether the request \
                         was done before you repeat it, or repeat it with the same `Idempotency-Key`"
                    ),
                )
            }
            _ => Self::internal(&error),
        }
    }
}

/// The number under which the log has an error.
fn incident() -> String {
    getrandom::u64().map_or_else(|_| "-".into(), |number| format!("{number:016x}"))
}

fn log(incident: &str, error: &(dyn Error + 'static)) {
    let causes: Vec<_> =
        std::iter::successors(error.source(), |cause| (*cause).source()).map(ToString::to_string).collect();
    // As Debug, so that no text from outside can begin a line of the log.
    tracing::error!(incident, error = ?error.to_string(), ?causes, "a request failed");
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_DETAIL) {
        text.truncate(end);
        text.push('…');
    }
    text
}
