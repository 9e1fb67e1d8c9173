//! `/dag/execute`.

use axum::Json;
use axum::extract::State;
use martlet_core::GraphResult;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::adapter::done;
use crate::auth::Runner;
use crate::problem::{Body, Problem, ProblemKind};
use crate::router::Api;
use crate::service::{NewTask, bad_request};

/// A workflow to be executed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecuteDag {
    /// Its name; it can be left out where there is one only. `dag` is the same.
    #[serde(alias = "dag")]
    workflow: Option<String>,
    /// The state with which it begins. `input` is the same.
    #[serde(alias = "input", default)]
    #[schema(value_type = Option<Object>)]
    initial_state: Map<String, Value>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Executed {
    /// The results of the nodes that completed, by name.
    #[schema(value_type = Object)]
    results: Map<String, Value>,
    /// `status`, `dag_name`, `node_results`, `errors`, `final_state` and more.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    result: GraphResult,
}

/// Executes a workflow and waits for its end.
#[utoipa::path(
    post, path = "/dag/execute", tag = "origin", request_body = ExecuteDag, responses((status = 200, body = Executed)),
)]
pub(crate) async fn execute(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<ExecuteDag>,
) -> Result<Json<Executed>, Problem> {
    let workflows = api.service().catalog().workflows();
    let name = match (asked.workflow, workflows.len()) {
        (Some(name), _) => name,
        (None, 1) => workflows.keys().next().cloned().unwrap_or_default(),
        (None, _) => {
            return Err(bad_request("workflow", "there is not exactly one workflow: name the one you mean"));
        }
    };
    let mut task = NewTask::input(Value::Object(asked.initial_state));
    task.workflow = Some(name);
    task.lane = Some(martlet_store::Lane::Interactive);
    let row = done(&api, &caller.principal, task).await?;
    let Some(result) = api.service().graph_result(&row).await? else {
        let text = row.error.unwrap_or_else(|| "it ended before it began".into());
        return Err(Problem::new(ProblemKind::RunFailed, text));
    };
    Ok(Json(Executed { results: result.node_results.clone(), result }))
}
