//! `/history`: what one asked before.

use axum::Json;
use axum::extract::State;
use martlet_core::{AgentResponse, Principal};
use martlet_store::{RunFilter, RunKind, RunRow, RunState, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::adapter::session_id;
use crate::auth::{Reader, Runner};
use crate::problem::{Problem, Query};
use crate::router::Api;
use crate::service::bad_request;

/// Runs that are looked through.
const MOST: usize = 1_000;
const MAX_SHOWN: usize = 100;

/// How much of what one asked.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// At most so many. Default: 10.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// In this conversation alone.
    session_id: Option<String>,
}

/// Which of what one asked.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// In this conversation alone.
    session_id: Option<String>,
}

/// What one asked, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    #[schema(value_type = Vec<Object>)]
    history: Vec<AgentResponse>,
    total: usize,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cleared {
    message: String,
}

/// Lists the answers that one got.
#[utoipa::path(get, path = "/history", tag = "origin", params(Which), responses((status = 200, body = History)))]
pub(crate) async fn list_history(
    Reader(caller): Reader,
    State(api): State<Api>,
    Query(asked): Query<Which>,
) -> Result<Json<History>, Problem> {
    let limit = asked.limit.unwrap_or(10);
    if !(1..=MAX_SHOWN).contains(&limit) {
        return Err(bad_request("limit", format!("use a number from 1 to {MAX_SHOWN}")));
    }
    let rows = ended(&api, &caller.principal, asked.session_id.as_deref()).await?;
    let total = rows.len();
    let mut history = Vec::new();
    for row in rows.iter().take(limit).rev() {
        // A run of an agent that is no more on offer cannot be read.
        if let Ok(Some(result)) = api.service().agent_result(row).await {
            history.push(result.response());
        }
    }
    Ok(Json(History { history, total }))
}

/// Deletes what one asked and was answered: runs of agents that have ended.
#[utoipa::path(delete, path = "/history", tag = "origin", params(Of), responses((status = 200, body = Cleared)))]
pub(crate) async fn clear_history(
    Runner(caller): Runner,
    State(api): State<Api>,
    Query(asked): Query<Of>,
) -> Result<Json<Cleared>, Problem> {
    let mut cleared = 0;
    for row in ended(&api, &caller.principal, asked.session_id.as_deref()).await? {
        let deleted = api.store().of(&caller.principal).delete_run(&row.id).await;
        cleared += u32::from(deleted.map_err(|error| api.failed(error))?);
    }
    Ok(Json(Cleared { message: format!("Cleared {cleared} conversation entries") }))
}

/// The runs of agents that have ended, the newest first.
async fn ended(api: &Api, owner: &Principal, session: Option<&str>) -> Result<Vec<RunRow>, Problem> {
    let owned = api.store().of(owner);
    let session = match session {
        None => None,
        Some(name) => Some(match SessionId::new(name) {
            Ok(known) if owned.session(&known).await.map_err(|error| api.failed(error))?.is_some() => known,
            _ => session_id(owner, name),
        }),
    };
    let filter = RunFilter { session, state: Some(RunState::Ended), before: None, limit: MOST };
    let mut rows = owned.runs(filter).await.map_err(|error| api.failed(error))?;
    rows.retain(|row| row.kind == RunKind::Agent);
    Ok(rows)
}
