//! What goes wrong, in the form and the words that clients of OpenAI's API know.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use martlet::model::ModelError;
use martlet_core::ModelFailureKind;
use serde::Serialize;
use utoipa::ToSchema;

use crate::admission::Allowance;
use crate::problem::{Problem, ProblemKind, allowance_headers};

/// The header with which the SDKs are told whether to repeat a request by themselves.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const MAX_RETRY_AFTER_S: u64 = 120;

/// Whether repeating the request does harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The status says it.
    ByStatus,
    /// Something may have been done, which would be done again.
    Harmful,
}

/// A request that was not done, and why.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    status: StatusCode,
    kind: &'static str,
    code: String,
    message: String,
    param: Option<String>,
    retry_after_s: Option<u32>,
    allowance: Option<Allowance>,
    repeat: Repeat,
}

impl Fault {
    /// Something in the request is wrong.
    pub(super) fn invalid(param: &str, code: &str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", code, message)
        }
    }

    /// A parameter that is known and not served here.
    pub(super) fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self::invalid(param, "unsupported_parameter", message)
    }

    /// There is no such model.
    pub(super) fn no_model(message: impl Into<String>) -> Self {
        Self {
            param: Some("model".into()),
            ..Self::new(StatusCode::NOT_FOUND, "invalid_request_error", "model_not_found", message)
        }
    }

    fn new(status: StatusCode, kind: &'static str, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: code.into(),
            message: message.into(),
            param: None,
            retry_after_s: None,
            allowance: None,
            repeat: Repeat::ByStatus,
        }
    }

    /// Names the part of the request that is wrong.
    pub(super) fn of(mut self, param: &str) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says that a repetition would do again what was done.
    pub(super) fn harmful(mut self) -> Self {
        self.repeat = Repeat::Harmful;
        self
    }

    /// The body of the answer; also what stands in a stream that breaks off.
    pub(super) fn body(&self) -> FaultBody<'_> {
        let Self { message, kind, param, code, .. } = self;
        FaultBody { error: FaultMember { message, kind, param: param.as_deref(), code } }
    }
}

/// What went wrong, as JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiError)]
pub(crate) struct FaultBody<'a> {
    /// What went wrong.
    error: FaultMember<'a>,
}

/// The member `error` of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiErrorMember)]
pub(crate) struct FaultMember<'a> {
    /// What happened and what to do about it.
    message: &'a str,
    /// The kind of error, in OpenAI's words.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    kind: &'a str,
    /// Which part of the request is wrong.
    param: Option<&'a str>,
    /// The kind of error more exactly: it stays the same in all versions.
    #[schema(example = "model_not_found")]
    code: &'a str,
}

impl FaultBody<'_> {
    pub(super) fn to_json(&self) -> String {
        // A struct of texts always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let kind = problem.kind();
        let (mut status, mut code) = (kind.status(), kind.code());
        match kind {
            // The SDKs repeat a 409 by themselves, and it would be the same again.
            ProblemKind::Conflict | ProblemKind::AlreadyDecided => status = StatusCode::BAD_REQUEST,
            ProblemKind::Unauthorized => code = "invalid_api_key",
            _ => {}
        }
        let word = match status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "server_error",
        };
        let repeat = match kind {
            // Nothing was begun.
            ProblemKind::StorageFull | ProblemKind::Draining => Repeat::ByStatus,
            _ if status.is_server_error() => Repeat::Harmful,
            _ => Repeat::ByStatus,
        };
        Self {
            param: problem.wrong_param().map(str::to_owned),
            retry_after_s: problem.retry_s(),
            allowance: problem.left(),
            repeat,
            ..Self::new(status, word, code, problem.detail())
        }
    }
}

impl From<&ModelError> for Fault {
    /// What a plain model could not answer. Asking it again does nothing twice.
    fn from(error: &ModelError) -> Self {
        let message = error.to_string();
        let bad = |code| Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", code, message.clone());
        let fault = match error.kind() {
            ModelFailureKind::ContextLength => bad("context_length_exceeded").of("messages"),
            ModelFailureKind::Request => bad("model_refused"),
            ModelFailureKind::RateLimited => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "model_rate_limited", message)
            }
            ModelFailureKind::TimedOut => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "server_error", "model_timed_out", message)
            }
            _ => Self::new(StatusCode::BAD_GATEWAY, "server_error", "model_failed", message),
        };
        let asked = error.retry_after().map(|wait| wait.as_secs().clamp(1, MAX_RETRY_AFTER_S));
        let retry_after_s = match fault.status {
            StatusCode::TOO_MANY_REQUESTS => Some(asked.unwrap_or(10)),
            _ => asked,
        };
        Self { retry_after_s: retry_after_s.and_then(|seconds| u32::try_from(seconds).ok()), ..fault }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = self.body().to_json();
        let mut response =
            (self.status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
                .into_response();
        let headers = response.headers_mut();
        if let Some(allowance) = self.allowance {
            headers.extend(allowance_headers(allowance));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.repeat == Repeat::Harmful {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}

/// Tells problems below `/v1` in OpenAI's form, wherever on the way they arose.
pub(crate) async fn translate(request: Request, next: Next) -> Response {
    let is_ours = request.uri().path().starts_with("/v1/");
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>().filter(|_| is_ours) else {
        return response;
    };
    let (parts, _) = response.into_parts();
    let mut told = Fault::from(problem).into_response();
    for (name, value) in &parts.headers {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH && !told.headers().contains_key(name) {
            told.headers_mut().append(name.clone(), value.clone());
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_done_is_not_repeated_and_nothing_is_a_conflict() {
        for kind in ProblemKind::ALL {
            let response = Fault::from(Problem::new(*kind, "x")).into_response();
            assert_ne!(response.status(), StatusCode::CONFLICT);
            let is_harmful = response.headers().contains_key(SHOULD_RETRY);
            let expected = matches!(
                kind,
                ProblemKind::RunFailed | ProblemKind::StorageUnavailable | ProblemKind::Internal
            );
            assert_eq!(is_harmful, expected, "{kind:?}");
        }
    }
}
