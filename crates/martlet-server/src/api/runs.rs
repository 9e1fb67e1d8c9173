//! `/api/v1/runs`: taking runs in, and what can be done with them.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use martlet_core::RunId;
use martlet_store::{FileId, Idempotency, Lane, RunFilter, RunRow, RunState, SessionId, ValueId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::events::StreamFrame;
use super::run::{LaneWord, RunStateWord, RunView, Runs, address};
use super::wait::{Ephemeral, preferred, settled};
use crate::auth::{Reader, Runner};
use crate::problem::{Body, Path, Problem, Query, allowance_headers};
use crate::router::Api;
use crate::service::{NewTask, bad_request};
use crate::sse;

/// Runs in one page of a list.
pub(crate) const PAGE: usize = 50;
const MAX_PAGE: usize = 200;
const MAX_FILES: usize = 10;
const MAX_TIME_S: u32 = 7 * 24 * 60 * 60;

/// What is to be done, by whom.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateRun {
    /// The agent; without it that of the session, or the default one.
    agent: Option<String>,
    /// The workflow, instead of an agent.
    workflow: Option<String>,
    /// What is to be done, in words.
    task: Option<String>,
    /// The typed input of the agent, or the state with which the workflow begins, instead of `task`.
    input: Option<Value>,
    /// The session whose conversation goes on with this.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,128}$")]
    session: Option<SessionId>,
    /// Files that were uploaded before.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 10)]
    files: Vec<FileId>,
    /// Tools, and agents that the agent manages, that this run must not have, by name. Names that it does not have change
    /// nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64, value_type = Vec<String>)]
    without_tools: Vec<String>,
    /// The most steps, if fewer than the agent may take.
    #[schema(minimum = 1)]
    max_steps: Option<u32>,
    /// The most seconds, if less than the agent may take; waiting for people does not count.
    #[schema(minimum = 1, maximum = 604_800)]
    timeout_s: Option<u32>,
    /// The line in which it waits: by default `interactive` for agents and `batch` for workflows.
    #[schema(value_type = Option<LaneWord>)]
    lane: Option<Lane>,
}

/// From where on another run is to go its own way.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForkRun {
    /// The step that is done anew, and all after it.
    #[schema(minimum = 1)]
    step: u32,
}

/// Which runs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListRuns {
    /// Those of this session.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,128}$")]
    session: Option<SessionId>,
    /// Those in this state.
    #[param(value_type = Option<RunStateWord>, inline)]
    state: Option<RunState>,
    /// Those that are older than this run: `next` of the page before.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,128}$")]
    before: Option<RunId>,
    /// At most so many.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Takes a run in. It is stored when this answers, and goes on whatever happens to the connection, unless the header
/// `Prefer: wait=N` asked to wait for it: then it is cancelled when the connection is lost, except if the request has an
/// `Idempotency-Key`, with which it can be repeated.
#[utoipa::path(
    post, path = "/api/v1/runs", tag = "runs", request_body = CreateRun,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Under the same key, the same request makes one run."),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: answer when the run has ended or waits for a person, \
         after N seconds at the latest."),
    ),
    responses(
        (status = 200, description = "The run has ended; or its events, if `text/event-stream` is accepted.",
         content((RunView = "application/json"), (StreamFrame = "text/event-stream"))),
        (status = 202, description = "The run is stored and will be done.", body = RunView,
         headers(("Location" = String, description = "The address of the run."))),
    ),
)]
pub(crate) async fn create_run(
    Runner(caller): Runner,
    State(api): State<Api>,
    headers: HeaderMap,
    Body(asked): Body<CreateRun>,
) -> Result<Response, Problem> {
    let owner = &caller.principal;
    let idempotency = idempotency(&headers, &asked)?;
    let is_repeatable = idempotency.is_some();
    let mut task = new_task(asked)?;
    task.idempotency = idempotency;
    let row = api.service().submit(owner, task).await?;
    if accepts_events(&headers) {
        let mut response = sse::events(api.clone(), caller, row.id.clone(), 0);
        locate(&mut response, &row.id);
        return Ok(response);
    }
    let row = match preferred(&headers) {
        None => row,
        Some(limit) => {
            let ephemeral = (!is_repeatable).then(|| Ephemeral::new(api.service(), &row.id));
            let row = settled(&api, owner, &row.id, limit).await?;
            // From here on the caller knows the run.
            if let Some(ephemeral) = ephemeral {
                ephemeral.detach();
            }
            row
        }
    };
    answer(&api, row)
}

fn answer(api: &Api, row: RunRow) -> Result<Response, Problem> {
    let status = if row.state == RunState::Ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    let (id, allowance) = (row.id.clone(), api.service().allowance(&row.owner));
    let mut response =
        (status, allowance_headers(allowance), Json(RunView::whole(api, row)?)).into_response();
    locate(&mut response, &id);
    Ok(response)
}

fn locate(response: &mut Response, run: &RunId) {
    if let Ok(address) = HeaderValue::try_from(address(run)) {
        response.headers_mut().insert(LOCATION, address);
    }
}

fn new_task(asked: CreateRun) -> Result<NewTask, Problem> {
    let mut task = match (asked.task, asked.input) {
        (Some(text), None) => NewTask::words(text),
        (None, Some(input)) => NewTask::input(input),
        (Some(_), Some(_)) => return Err(bad_request("input", "give a `task` or an `input`, not both")),
        (None, None) => return Err(bad_request("task", "say what is to be done: a `task` or an `input`")),
    };
    if asked.files.len() > MAX_FILES {
        return Err(bad_request("files", format!("at most {MAX_FILES} files can come with a run")));
    }
    if asked.timeout_s.is_some_and(|seconds| seconds == 0 || seconds > MAX_TIME_S) {
        return Err(bad_request("timeout_s", format!("use a number of seconds from 1 to {MAX_TIME_S}")));
    }
    task.agent = asked.agent;
    task.workflow = asked.workflow;
    task.session = asked.session;
    task.files = asked.files;
    task.without_tools = asked.without_tools;
    task.max_steps = asked.max_steps;
    task.timeout = asked.timeout_s.map(|seconds| Duration::from_secs(seconds.into()));
    task.lane = asked.lane;
    Ok(task)
}

/// The header `Idempotency-Key`, with what tells the request from another one.
fn idempotency(headers: &HeaderMap, request: &impl Serialize) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > 255 {
        return Err(bad_request("Idempotency-Key", "use 1 to 255 visible characters of ASCII"));
    }
    let body = serde_json::to_vec(request).map_err(|error| Problem::internal(&error))?;
    Ok(Some(Idempotency { key: key.to_owned(), body: ValueId::of(&body) }))
}

/// Whether the client asks for server-sent events.
pub(crate) fn accepts_events(headers: &HeaderMap) -> bool {
    accepts(headers, "text/event-stream")
}

pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|range| range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type))
}

/// The number of rows that a list has on one page.
pub(crate) fn page_size(limit: Option<usize>) -> Result<usize, Problem> {
    match limit {
        None => Ok(PAGE),
        Some(limit) if (1..=MAX_PAGE).contains(&limit) => Ok(limit),
        Some(_) => Err(bad_request("limit", format!("use a number from 1 to {MAX_PAGE}"))),
    }
}

/// Lists runs, the newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(ListRuns), responses((status = 200, body = Runs)))]
pub(crate) async fn list_runs(
    Reader(caller): Reader,
    State(api): State<Api>,
    Query(asked): Query<ListRuns>,
) -> Result<Json<Runs>, Problem> {
    let limit = page_size(asked.limit)?;
    let filter =
        RunFilter { session: asked.session, state: asked.state, before: asked.before, limit: limit + 1 };
    let rows = api.store().of(&caller.principal).runs(filter).await.map_err(|error| api.failed(error))?;
    Ok(Json(RunView::page(&api, rows, limit)))
}

/// Shows a run.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses((status = 200, body = RunView), (status = 404, description = "There is no such run.")),
)]
pub(crate) async fn get_run(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<RunId>,
) -> Result<Json<RunView>, Problem> {
    let row = api.run(&caller.principal, &id).await?;
    RunView::with_files(&api, row).await.map(Json)
}

/// Deletes a run that has ended, with its events and questions.
#[utoipa::path(
    delete, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such run."),
        (status = 409, description = "The run has not ended: cancel it first."),
    ),
)]
pub(crate) async fn delete_run(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(id): Path<RunId>,
) -> Result<StatusCode, Problem> {
    let deleted = api.store().of(&caller.principal).delete_run(&id).await;
    api.gone(deleted, "run")
}

/// Asks a run to end; it does as soon as all that it does is stopped.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/cancel", tag = "runs",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses(
        (status = 200, description = "It had ended before.", body = RunView),
        (status = 202, description = "It is asked to end.", body = RunView),
        (status = 404, description = "There is no such run."),
    ),
)]
pub(crate) async fn cancel_run(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(id): Path<RunId>,
) -> Result<(StatusCode, Json<RunView>), Problem> {
    api.run(&caller.principal, &id).await?;
    let asked = api.service().cancel(&id).await?;
    let row = api.run(&caller.principal, &id).await?;
    let status = if asked { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(RunView::whole(&api, row)?)))
}

/// Makes another run that has the steps of this one up to a step, and goes on by itself.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/fork", tag = "runs", request_body = ForkRun,
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses(
        (status = 202, description = "The new run is stored and will be done.", body = RunView,
         headers(("Location" = String, description = "The address of the run."))),
        (status = 404, description = "There is no such run."),
    ),
)]
pub(crate) async fn fork_run(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(id): Path<RunId>,
    Body(asked): Body<ForkRun>,
) -> Result<Response, Problem> {
    let row = api.run(&caller.principal, &id).await?;
    if asked.step == 0 {
        return Err(bad_request("step", "steps count from 1"));
    }
    let row = api.service().fork(&caller.principal, &row, asked.step).await?;
    answer(&api, row)
}
