//! Extractors that answer with problems.

use std::time::Duration;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use futures::StreamExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::json::{self, param};
use super::{Problem, ProblemKind};

/// The most bytes that a body of JSON may have: 2 MiB.
pub const MAX_BODY: usize = 2 * 1024 * 1024;
/// How long a client may take to send it.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The body of a request, as JSON of at most [`MAX_BODY`] bytes that comes within 30 s.
///
/// `Option<Body<T>>` is `None` if the request has no body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        check_type(request.headers())?;
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Err(Problem::new(ProblemKind::InvalidJson, "the body is empty: send a JSON object"));
        }
        json::read(&bytes).map(Self)
    }
}

/// The body of a request that is a list, as [`Body`].
#[derive(Debug, Clone, Default)]
pub struct BodyList<T>(pub Vec<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for BodyList<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        check_type(request.headers())?;
        let bytes = read(request).await?;
        json::read_list(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Option<Self>, Problem> {
        let typed = check_type(request.headers());
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        typed?;
        json::read(&bytes).map(|body| Some(Self(body)))
    }
}

pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::UnsupportedMediaType,
        "the body must be JSON: send the header `Content-Type: application/json`",
    ))
}

async fn read(request: Request) -> Result<Vec<u8>, Problem> {
    read_up_to(request, MAX_BODY).await
}

/// The body of a request, of at most so many bytes.
pub(crate) async fn read_up_to(request: Request, limit: usize) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        let detail =
            format!("the body has more than {limit} bytes: send less, or upload what is big as a file");
        Problem::new(ProblemKind::PayloadTooLarge, detail)
    };
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut pieces = request.into_body().into_data_stream();
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| {
                Problem::new(ProblemKind::BadRequest, "the body broke off before its end: send it again")
            })?;
            if bytes.len() + piece.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    tokio::time::timeout(BODY_TIME, reading).await.unwrap_or_else(|_| {
        let seconds = BODY_TIME.as_secs();
        let detail = format!("the body did not come within {seconds} s: send it again");
        Err(Problem::new(ProblemKind::RequestTimeout, detail))
    })
}

/// The parameters after the `?` of a request's address.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await?;
        Ok(Self(query.0))
    }
}

/// The parameters in the path of a request's address.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await?;
        Ok(Self(path.0))
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        let message = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        // The error reads `parameter: what is wrong` unless the parameter is in the words.
        let (path, message) = match message.split_once(": ") {
            Some((path, message)) if !path.contains([' ', '`']) => (Some(path), message),
            _ => (None, message),
        };
        let problem = Self::new(ProblemKind::BadRequest, message);
        match param(path, message) {
            Some(param) => problem.param(param),
            None => problem,
        }
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        let PathRejection::FailedToDeserializePathParams(error) = &rejection else {
            return Self::internal(&rejection);
        };
        if error.status() == StatusCode::INTERNAL_SERVER_ERROR {
            return Self::internal(&rejection);
        }
        let bad = |detail: String| Self::new(ProblemKind::BadRequest, detail);
        match error.kind() {
            ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
                bad(format!("`{key}` in the path is no {expected_type}")).param(key)
            }
            ErrorKind::DeserializeError { key, message, .. } => bad(message.clone()).param(key),
            ErrorKind::InvalidUtf8InPathParam { key } => {
                bad(format!("`{key}` in the path is not UTF-8")).param(key)
            }
            other => bad(other.to_string()),
        }
    }
}
