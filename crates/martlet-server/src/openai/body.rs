//! The body of a request, which may have images and files in it.

use axum::extract::{FromRequest, Request};
use martlet_store::ValueId;
use serde::de::DeserializeOwned;

use crate::problem::{Problem, ProblemKind, check_type, read_json, read_up_to};

/// The most bytes: images and files come as text in them.
const MAX: usize = 32 * 1024 * 1024;

/// A body of JSON, and the hash by which a repetition is known for one.
pub(crate) struct Posted<T> {
    pub(super) body: T,
    pub(super) digest: ValueId,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Posted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        check_type(request.headers())?;
        let bytes = read_up_to(request, MAX).await?;
        if bytes.is_empty() {
            return Err(Problem::new(ProblemKind::InvalidJson, "the body is empty: send a JSON object"));
        }
        Ok(Self { body: read_json(&bytes)?, digest: ValueId::of(&bytes) })
    }
}
