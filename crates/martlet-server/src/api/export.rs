//! A whole run as one document, and as a picture.

mod markdown;
mod session;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderName;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use martlet_core::{Principal, RunId};
use martlet_store::{RunKind, RunRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::approvals::ApprovalView;
use super::catalog::{Draw, draw, workflow};
use super::run::RunView;
use crate::auth::Reader;
use crate::problem::{Path, Problem, Query};
use crate::router::Api;
use crate::service::bad_request;
use crate::sse::numbered;

pub(crate) use session::*;

/// Events that are read at once.
const PAGE: usize = 500;

/// A run with all that happened in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Export {
    /// The version of this form.
    version: u32,
    /// The run.
    run: RunView,
    /// Its events, each with its number `id`.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    /// Its questions to people, and what they decided.
    approvals: Vec<ApprovalView>,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// All of it.
    #[default]
    Json,
    /// To be read by people.
    Markdown,
}

/// How to export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AsForm {
    /// By default `json`.
    #[param(inline)]
    format: Option<Form>,
}

/// Exports a run: itself, its events, and its questions to people.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/export", tag = "runs",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$"), AsForm),
    responses(
        (status = 200, description = "The run.",
         content((Export = "application/json"), (String = "text/markdown"))),
        (status = 404, description = "There is no such run."),
    ),
)]
pub(crate) async fn export_run(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<RunId>,
    Query(asked): Query<AsForm>,
) -> Result<Response, Problem> {
    let row = api.run(&caller.principal, &id).await?;
    let export = Export::of(&api, &caller.principal, row).await?;
    let form = asked.format.unwrap_or_default();
    Ok(match form {
        Form::Json => (as_file(&id, form), Json(export)).into_response(),
        Form::Markdown => {
            (as_file(&id, form), markdown::write(&export.run, &export.events, 1)).into_response()
        }
    })
}

/// The headers of an answer that browsers keep as a file.
fn as_file(name: &impl std::fmt::Display, form: Form) -> [(HeaderName, String); 2] {
    let (extension, media_type) = match form {
        Form::Json => ("json", "application/json"),
        Form::Markdown => ("md", "text/markdown; charset=utf-8"),
    };
    [
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{extension}\"")),
        (CONTENT_TYPE, media_type.to_owned()),
    ]
}

impl Export {
    /// All of a run of this owner.
    async fn of(api: &Api, owner: &Principal, row: RunRow) -> Result<Self, Problem> {
        let id = row.id.clone();
        let events = events(api, owner, &id).await?;
        let owned = api.store().of(owner);
        let questions = owned.approvals_of(&id).await.map_err(|error| api.failed(error))?;
        let approvals = questions.into_iter().map(Into::into).collect();
        Ok(Self { version: 1, run: RunView::whole(api, row)?, events, approvals })
    }
}

/// The events of a run, each with its number.
async fn events(api: &Api, owner: &Principal, id: &RunId) -> Result<Vec<Value>, Problem> {
    let owned = api.store().of(owner);
    let mut events: Vec<Value> = Vec::new();
    let mut after = 0;
    loop {
        let page = owned.events(id, after, PAGE).await.map_err(|error| api.failed(error))?;
        for event in &page {
            let event_json = serde_json::from_slice(&numbered(event));
            events.push(event_json.map_err(|error| Problem::internal(&error))?);
            after = event.seq;
        }
        if page.len() < PAGE {
            return Ok(events);
        }
    }
}

/// Draws the run of a workflow: when it has ended, with what came of its nodes.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/graph", tag = "runs",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$"), Draw),
    responses(
        (status = 200, description = "The graph.",
         content((String = "image/svg+xml"), (String = "text/plain"), (Object = "application/json"))),
        (status = 404, description = "There is no such run, or its workflow is gone."),
        (status = 409, description = "The workflow is another one by now."),
    ),
)]
pub(crate) async fn draw_run(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<RunId>,
    Query(asked): Query<Draw>,
) -> Result<Response, Problem> {
    let row = api.run(&caller.principal, &id).await?;
    if row.kind != RunKind::Workflow {
        return Err(bad_request("id", "this is no run of a workflow: only those have a graph"));
    }
    let graph = &workflow(&api, &row.name)?.graph;
    let drawing = asked.format.unwrap_or_default();
    let result = api.service().graph_result(&row).await?;
    Ok(draw(graph.spec(), result.as_ref(), drawing))
}
