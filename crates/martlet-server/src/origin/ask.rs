//! `/run-agent` and `/run-agent-threading`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::adapter::{answer, done};
use crate::auth::{Caller, Runner};
use crate::problem::{Body, Problem};
use crate::router::Api;
use crate::service::NewTask;

/// What is to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunAgent {
    /// In words.
    #[schema(min_length = 1)]
    task: String,
}

/// The answer, and in which way it was come by.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentRan {
    /// The answer.
    #[schema(value_type = Value)]
    result: Value,
    /// `native-async` or `threading`.
    approach: &'static str,
}

/// Does a task and waits for the answer. No thread waits with it.
#[utoipa::path(post, path = "/run-agent", tag = "origin", request_body = RunAgent, responses((status = 200, body = AgentRan)))]
pub(crate) async fn run_agent(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<RunAgent>,
) -> Result<Json<AgentRan>, Problem> {
    ran(&api, &caller, NewTask::words(asked.task), "native-async").await
}

/// The same by the synchronous way into the library, on a thread of its own: for comparison.
#[utoipa::path(
    post, path = "/run-agent-threading", tag = "origin", request_body = RunAgent,
    responses((status = 200, body = AgentRan)),
)]
pub(crate) async fn run_agent_threading(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<RunAgent>,
) -> Result<Json<AgentRan>, Problem> {
    let mut task = NewTask::words(asked.task);
    task.blocking = true;
    ran(&api, &caller, task, "threading").await
}

async fn ran(
    api: &Api,
    caller: &Caller,
    task: NewTask,
    approach: &'static str,
) -> Result<Json<AgentRan>, Problem> {
    let row = done(api, &caller.principal, task).await?;
    Ok(Json(AgentRan { result: answer(&row)?, approach }))
}
