//! `/api/v1/runs/{id}/events`: what happens in a run.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use martlet_core::RunId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::runs::{accepts, accepts_events, page_size};
use crate::auth::Reader;
use crate::problem::{Path, Problem, Query};
use crate::router::Api;
use crate::service::bad_request;
use crate::sse;

/// From where on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListEvents {
    /// The number of the last event that is known already.
    after: Option<u64>,
    /// At most so many; not for a stream.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Events {
    /// The events, each with its number `id`.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    /// Ask for what is `after` this one; `null` if this is all there is by now.
    next: Option<u64>,
}

/// One frame of a stream of events.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it is written by hand, and here for those who read the document")]
pub(crate) struct StreamFrame {
    /// The number of a stored event. What is shown in passing has none.
    id: Option<String>,
    /// The name of what is shown in passing: `queue`, `state`, `stream`, `approval`, and `end`, which is the last.
    event: Option<String>,
    /// JSON: the event with its number as `id`, or what is shown in passing.
    data: String,
}

/// Shows what happened in a run. As `text/event-stream`, which is the default: from the beginning or behind `Last-Event-ID`
/// until the run has ended. Stored events come with their number (`id:`), the rest with a name (`event:`): `queue`, `state`,
/// `stream`, `approval`, and `end`, which is the last. As `application/json`: a page.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/events", tag = "runs",
    params(
        ("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The number of the last event that is known already."),
        ListEvents,
    ),
    responses(
        (status = 200, description = "A page of events, or the stream.",
         content((Events = "application/json"), (StreamFrame = "text/event-stream"))),
        (status = 404, description = "There is no such run."),
    ),
)]
pub(crate) async fn list_events(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<RunId>,
    Query(asked): Query<ListEvents>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = page_size(asked.limit)?;
    let after = asked.after.map_or_else(|| last_event_id(&headers), Ok)?;
    // Numbers beyond what a store can have come from nobody.
    let after = after.min(i64::MAX as u64);
    api.run(&caller.principal, &id).await?;
    if accepts_events(&headers) || !accepts(&headers, "application/json") {
        return Ok(sse::events(api, caller, id, after));
    }
    let events = api.store().of(&caller.principal).events(&id, after, limit + 1).await;
    let mut events = events.map_err(|error| api.failed(error))?;
    let has_more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().map(|event| event.seq).filter(|_| has_more);
    let events = events.iter().map(|event| serde_json::from_slice(&sse::numbered(event)));
    let events = events.collect::<Result<_, _>>().map_err(|error| Problem::internal(&error))?;
    Ok(Json(Events { events, next }).into_response())
}

/// The header with which browsers come back to a stream.
fn last_event_id(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(0) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| bad_request("Last-Event-ID", "use the number of an event"))
}
