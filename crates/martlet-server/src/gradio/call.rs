//! Calls in two steps, `/gradio_api/call/{name}`, and in one, `/api/predict`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use martlet_core::RunId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::ask::task;
use super::describe::named;
use super::form::{Form, Style};
use super::queue::{FullOr, Joined, submit};
use crate::adapter::telling::{Gone, Telling};
use crate::adapter::{answer, as_text, done};
use crate::auth::{Caller, Reader, Runner};
use crate::problem::{Body, Path, Problem};
use crate::router::Api;

/// The values of a call.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GradioCall)]
pub(super) struct Values {
    /// `[message, history, web_search]`, of which the message is needed.
    #[schema(value_type = Vec<Value>)]
    data: Vec<Value>,
    /// The name of the client for itself: what is said under it is remembered.
    #[schema(min_length = 1, max_length = 128)]
    session_hash: Option<String>,
}

/// The result of a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GradioResult)]
pub(super) struct Predicted {
    /// The answer.
    data: [String; 1],
    /// Always `false`: this is all.
    is_generating: bool,
    /// How long it ran, in seconds.
    duration: f64,
    /// The same.
    average_duration: f64,
}

/// Takes a call in; `GET` with the `event_id` gives the result.
#[utoipa::path(
    post, path = "/gradio_api/call/{name}", operation_id = "gradio_call", tag = "gradio", request_body = Values, params(("name" = String, Path)),
    responses(
        (status = 200, description = "The call is stored and will be done.", body = Joined),
        (status = 503, description = "As many wait as may wait at once."),
    ),
)]
pub(super) async fn call(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(name): Path<String>,
    Body(asked): Body<Values>,
) -> Result<Json<Joined>, FullOr> {
    let endpoint = named(&api, &name)?;
    let owner = &caller.principal;
    let task = task(&api, owner, &endpoint, &asked.data, asked.session_hash.as_deref()).await?;
    let row = submit(&api, owner, task).await?;
    Ok(Json(Joined { event_id: row.id }))
}

/// The result of a call as it comes: events `generating`, `heartbeat`, and `complete` or `error` as the last one. It can be
/// asked for again, so the run goes on when the client goes away.
#[utoipa::path(
    get, path = "/gradio_api/call/{name}/{event}", operation_id = "gradio_result", tag = "gradio",
    params(("name" = String, Path), ("event" = String, Path)),
    responses(
        (status = 200, description = "The events.", content((Object = "text/event-stream"))),
        (status = 404, description = "There is no such event."),
    ),
)]
pub(super) async fn result(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path((name, event)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let endpoint = named(&api, &name)?;
    let run = RunId::new(event).map_err(|_| Problem::not_found("event"))?;
    let row = api.store().of(&caller.principal).run(&run).await.map_err(|error| api.failed(error))?;
    let row = row.filter(|row| row.name == endpoint.agent).ok_or_else(|| Problem::not_found("event"))?;
    let form = Form::new(&row, Style::Call);
    Ok(Telling::new(&api, caller, row, form, 0, Gone::Detach).response())
}

/// Asks the default agent and waits for the answer. The run is cancelled when the client goes away.
#[utoipa::path(
    post, path = "/api/predict", operation_id = "gradio_predict", tag = "gradio", request_body = Values, responses((status = 200, body = Predicted)),
)]
pub(super) async fn predict(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<Values>,
) -> Result<Json<Predicted>, Problem> {
    at_once(&api, &caller, "predict", asked).await
}

/// The same.
#[utoipa::path(
    post, path = "/run/predict", operation_id = "gradio_run_predict", tag = "gradio", request_body = Values, responses((status = 200, body = Predicted)),
)]
pub(super) async fn run_predict(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<Values>,
) -> Result<Json<Predicted>, Problem> {
    at_once(&api, &caller, "predict", asked).await
}

/// Calls an endpoint and waits for the result.
#[utoipa::path(
    post, path = "/gradio_api/run/{name}", operation_id = "gradio_run", tag = "gradio", request_body = Values, params(("name" = String, Path)),
    responses((status = 200, body = Predicted), (status = 404, description = "There is no such endpoint.")),
)]
pub(super) async fn run(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(name): Path<String>,
    Body(asked): Body<Values>,
) -> Result<Json<Predicted>, Problem> {
    at_once(&api, &caller, &name, asked).await
}

/// The same.
#[utoipa::path(
    post, path = "/gradio_api/api/{name}", operation_id = "gradio_api", tag = "gradio", request_body = Values, params(("name" = String, Path)),
    responses((status = 200, body = Predicted), (status = 404, description = "There is no such endpoint.")),
)]
pub(super) async fn api(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(name): Path<String>,
    Body(asked): Body<Values>,
) -> Result<Json<Predicted>, Problem> {
    at_once(&api, &caller, &name, asked).await
}

async fn at_once(api: &Api, caller: &Caller, name: &str, asked: Values) -> Result<Json<Predicted>, Problem> {
    let endpoint = named(api, name)?;
    let owner = &caller.principal;
    let task = task(api, owner, &endpoint, &asked.data, asked.session_hash.as_deref()).await?;
    let row = done(api, owner, task).await?;
    let ran_ms = row.ended_ms.unwrap_or_default().saturating_sub(row.created_ms);
    let duration = std::time::Duration::from_millis(ran_ms).as_secs_f64();
    let answer = as_text(&answer(&row)?);
    Ok(Json(Predicted { data: [answer], is_generating: false, duration, average_duration: duration }))
}
