//! Gradio's queue: `/gradio_api/queue/join` and `/gradio_api/queue/data`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt as _, StreamExt as _};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use martlet_core::{Principal, RunId};
use martlet_store::{Idempotency, RunFilter, RunRow, RunState, ValueId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use utoipa::{IntoParams, ToSchema};

use super::ask::task;
use super::describe::{endpoints, named};
use super::form::{Form, Style};
use crate::adapter::telling::{Gone, Telling};
use crate::auth::{Caller, Reader, Runner};
use crate::ids::random_bits;
use crate::keys::Scope;
use crate::problem::{Body, Path, Problem, ProblemKind, Query};
use crate::router::Api;
use crate::service::{NewTask, bad_request};
use crate::sse;

/// What is said last.
const CLOSE: &[u8] = b"data: {\"msg\":\"close_stream\",\"event_id\":null}\n\n";
/// So often a heartbeat is given.
const BEAT: Duration = Duration::from_secs(15);
/// Runs that are looked through for those of a visitor after a restart.
const LAST: usize = 200;

/// A call of an endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GradioJoin)]
pub(super) struct Join {
    /// `[message, history, web_search]`, of which the message is needed.
    #[schema(value_type = Vec<Value>)]
    data: Vec<Value>,
    /// The number of the endpoint in `/config`.
    fn_index: Option<usize>,
    /// Its name, instead of the number.
    api_name: Option<String>,
    /// The name of the client for itself: the results come in the stream of this name.
    #[schema(min_length = 1, max_length = 128)]
    session_hash: String,
}

/// A call that was taken in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GradioJoined)]
pub(super) struct Joined {
    /// Its name.
    #[schema(value_type = String)]
    pub(super) event_id: RunId,
}

/// Whose stream.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Visit {
    /// The name of the client for itself.
    session_hash: String,
}

/// A call that is to end.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GradioCancel)]
pub(super) struct Cancel {
    /// Its name. Clients that have none yet send `null`: there is nothing to end then.
    event_id: Option<String>,
}

/// Whether something was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GradioDone)]
pub(super) struct Done {
    success: bool,
}

/// A queue that is full is told to Gradio's clients by another status than to others.
pub(super) async fn submit(api: &Api, owner: &Principal, task: NewTask) -> Result<RunRow, FullOr> {
    Ok(api.service().submit(owner, task).await?)
}

/// A problem, with the status by which Gradio's clients know a full queue.
pub(super) struct FullOr(Problem);

impl From<Problem> for FullOr {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl axum::response::IntoResponse for FullOr {
    fn into_response(self) -> Response {
        let is_full = matches!(self.0.kind(), ProblemKind::QueueFull | ProblemKind::UserLimit);
        let mut response = self.0.into_response();
        if is_full {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }
}

fn check_visitor(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.len() > 128 || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad_request("session_hash", "use 1 to 128 visible characters of ASCII"));
    }
    Ok(())
}

/// The beginning of the idempotency keys of a visitor's runs: by it they are found again.
fn mark(visitor: &str) -> String {
    format!("gradio {visitor} ")
}

/// Takes a call in. Its result comes in the stream of the session.
#[utoipa::path(
    post, path = "/gradio_api/queue/join", operation_id = "gradio_join", tag = "gradio", request_body = Join,
    responses(
        (status = 200, description = "The call is stored and will be done.", body = Joined),
        (status = 503, description = "As many wait as may wait at once."),
    ),
)]
pub(super) async fn join(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<Join>,
) -> Result<Json<Joined>, FullOr> {
    let owner = &caller.principal;
    check_visitor(&asked.session_hash)?;
    let endpoint = match (asked.fn_index, &asked.api_name) {
        (_, Some(name)) => named(&api, name)?,
        (Some(index), None) => {
            let found = endpoints(&api).into_iter().nth(index);
            found.ok_or_else(|| Problem::not_found("endpoint").param("fn_index"))?
        }
        (None, None) => return Err(bad_request("fn_index", "name the endpoint that you mean").into()),
    };
    let mut task = task(&api, owner, &endpoint, &asked.data, Some(&asked.session_hash)).await?;
    let bits = random_bits();
    task.idempotency = Some(Idempotency {
        key: format!("{}{bits:032x}", mark(&asked.session_hash)),
        body: ValueId::of(&bits.to_be_bytes()),
    });
    let row = submit(&api, owner, task).await?;
    api.gradio().join(owner, &asked.session_hash, row.id.clone());
    Ok(Json(Joined { event_id: row.id }))
}

/// The results of the calls of a session as they come, until all are there. Calls that go on when the client goes away are
/// cancelled, as Gradio does.
#[utoipa::path(
    get, path = "/gradio_api/queue/data", operation_id = "gradio_data", tag = "gradio", params(Visit),
    responses((status = 200, description = "The messages.", content((Object = "text/event-stream")))),
)]
pub(super) async fn data(
    Reader(caller): Reader,
    State(api): State<Api>,
    Query(asked): Query<Visit>,
) -> Result<Response, Problem> {
    check_visitor(&asked.session_hash)?;
    let (owner, name) = (&caller.principal, &asked.session_hash);
    let (unseen, joined) = match api.gradio().take(owner, name) {
        Some(known) => known,
        None => {
            let joined = api.gradio().enter(owner, name);
            (of_store(&api, owner, name).await?, joined)
        }
    };
    let mut visit =
        Visiting { events: SelectAll::new(), joined, is_over: false, api, caller, name: asked.session_hash };
    visit.add(unseen).await;
    Ok(sse::response(stream::unfold(visit, async |mut visit| {
        let frames = visit.next().await?;
        Some((frames, visit))
    })))
}

/// The calls of a visitor that nobody knows any more, because the server was restarted.
async fn of_store(api: &Api, owner: &Principal, name: &str) -> Result<Vec<RunId>, Problem> {
    let filter = RunFilter { limit: LAST, ..RunFilter::default() };
    let rows = api.store().of(owner).runs(filter).await.map_err(|error| api.failed(error))?;
    let mark = mark(name);
    let is_own = |row: &RunRow| row.idempotency.as_ref().is_some_and(|known| known.key.starts_with(&mark));
    // What had ended was shown, or the client is not the one that it was.
    let rows = rows.into_iter().filter(|row| row.state != RunState::Ended && is_own(row));
    Ok(rows.map(|row| row.id).collect())
}

/// The stream of a session.
struct Visiting {
    api: Api,
    caller: Caller,
    name: String,
    events: SelectAll<BoxStream<'static, Bytes>>,
    joined: Arc<Notify>,
    is_over: bool,
}

impl Visiting {
    async fn add(&mut self, runs: Vec<RunId>) {
        for run in runs {
            // Only the owner's runs are ever shown.
            let Ok(row) = self.api.run(&self.caller.principal, &run).await else { continue };
            let form = Form::new(&row, Style::Queue);
            // Who may only read must not end a run by going away.
            let gone = if self.caller.scopes.allow(Scope::Run) { Gone::Cancel } else { Gone::Detach };
            let telling = Telling::new(&self.api, self.caller.clone(), row, form, 0, gone);
            let event = stream::unfold(telling, async |mut telling| {
                let frames = telling.next().await?;
                Some((frames, telling))
            });
            self.events.push(event.boxed());
        }
    }

    /// What is to be sent next; nothing after the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        loop {
            let owner = self.caller.principal.clone();
            if let Some((unseen, _)) = self.api.gradio().take(&owner, &self.name) {
                self.add(unseen).await;
            }
            let joined = self.joined.clone();
            tokio::select! {
                frames = self.events.next() => match frames {
                    Some(frames) => return Some(self.closed(frames)),
                    None if self.api.gradio().leave(&owner, &self.name) => {
                        self.is_over = true;
                        return Some(Bytes::from_static(CLOSE));
                    }
                    None => {}
                },
                () = joined.notified() => {}
            }
        }
    }

    /// With the end of the stream if it is known already: a client that has its result is not to wait for that.
    fn closed(&mut self, frames: Bytes) -> Bytes {
        let mut all = BytesMut::from(frames);
        loop {
            match self.events.next().now_or_never() {
                Some(Some(more)) => all.extend_from_slice(&more),
                Some(None) if self.api.gradio().leave(&self.caller.principal, &self.name) => {
                    self.is_over = true;
                    all.extend_from_slice(CLOSE);
                    return all.freeze();
                }
                _ => return all.freeze(),
            }
        }
    }
}

/// Ends a call.
#[utoipa::path(
    post, path = "/gradio_api/cancel", operation_id = "gradio_cancel", tag = "gradio", request_body = Cancel, responses((status = 200, body = Done)),
)]
pub(super) async fn cancel(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<Cancel>,
) -> Result<Json<Done>, Problem> {
    end(&api, &caller, asked).await
}

/// The same.
#[utoipa::path(
    post, path = "/gradio_api/reset", operation_id = "gradio_reset", tag = "gradio", request_body = Cancel, responses((status = 200, body = Done)),
)]
pub(super) async fn reset(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<Cancel>,
) -> Result<Json<Done>, Problem> {
    end(&api, &caller, asked).await
}

async fn end(api: &Api, caller: &Caller, asked: Cancel) -> Result<Json<Done>, Problem> {
    let Some(event) = asked.event_id else { return Ok(Json(Done { success: false })) };
    let run = RunId::new(event).map_err(|_| Problem::not_found("event").param("event_id"))?;
    let row = api.store().of(&caller.principal).run(&run).await.map_err(|error| api.failed(error))?;
    let row = row.ok_or_else(|| Problem::not_found("event").param("event_id"))?;
    api.service().cancel(&row.id).await?;
    Ok(Json(Done { success: true }))
}

/// Says that the server is there, until it ends.
pub(super) async fn heartbeat(
    Reader(_caller): Reader,
    State(api): State<Api>,
    Path(_session): Path<String>,
) -> Response {
    let beats = stream::unfold((api, true), async |(api, is_first)| {
        if !is_first {
            tokio::select! {
                () = api.service().drained() => return None,
                () = tokio::time::sleep(BEAT) => {}
            }
        }
        Some((Ok::<_, Infallible>(Bytes::from_static(b"data: ALIVE\n\n")), (api, false)))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    (headers, axum::body::Body::from_stream(beats)).into_response()
}
