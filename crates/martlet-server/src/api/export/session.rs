//! A whole conversation as one document.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use martlet_core::{Principal, RunId};
use martlet_store::{RunFilter, SessionId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AsForm, Export, Form, as_file, markdown};
use crate::api::sessions::{SessionView, session};
use crate::auth::Reader;
use crate::problem::{Path, Problem, Query};
use crate::router::Api;

/// Runs that are read at once.
const PAGE: usize = 200;

/// A conversation with all that happened in it. It is for the document alone: an answer is written run by run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionExport {
    /// The version of this form.
    version: u32,
    /// The conversation.
    session: SessionView,
    /// Its runs, the oldest first.
    runs: Vec<Export>,
}

/// Exports a conversation: itself and its runs, each with its events and its questions to people.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/export", tag = "sessions",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$"), AsForm),
    responses(
        (status = 200, description = "The conversation.",
         content((SessionExport = "application/json"), (String = "text/markdown"))),
        (status = 404, description = "There is no such session."),
    ),
)]
pub(crate) async fn export_session(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<SessionId>,
    Query(asked): Query<AsForm>,
) -> Result<Response, Problem> {
    let owner = caller.principal;
    let view = SessionView::from(session(&api, &owner, &id).await?);
    let form = asked.format.unwrap_or_default();
    let (start, end) = match form {
        Form::Json => {
            let view = serde_json::to_string(&view).map_err(|error| Problem::internal(&error))?;
            (format!("{{\"version\":1,\"session\":{view},\"runs\":["), "]}")
        }
        Form::Markdown => {
            let title = match view.title().is_empty() {
                true => view.id(),
                false => view.title(),
            };
            (format!("# {}\n\n", markdown::one_line(title)), "")
        }
    };
    let runs = runs(&api, &owner, &id).await?;
    // One run after the other is read and sent: all of them might be more than there is memory for.
    let parts = stream::iter(runs)
        .then(move |run| part(api.clone(), owner.clone(), run, form))
        .try_filter_map(async |part| Ok(part))
        .enumerate()
        .map(move |(place, part)| match form {
            Form::Json if place > 0 => part.map(|part| format!(",{part}")),
            _ => part,
        })
        .map_ok(Bytes::from)
        .inspect_err(|problem| tracing::warn!(error = %problem.detail(), "an export broke off"))
        .map_err(|problem| std::io::Error::other(problem.detail().to_owned()));
    let whole = stream::iter([Ok(Bytes::from(start))]).chain(parts).chain(stream::iter([Ok(end.into())]));
    Ok((as_file(&id, form), Body::from_stream(whole)).into_response())
}

/// The names of all runs, the oldest first.
async fn runs(api: &Api, owner: &Principal, id: &SessionId) -> Result<Vec<RunId>, Problem> {
    let mut runs: Vec<RunId> = Vec::new();
    loop {
        let before = runs.last().cloned();
        let filter = RunFilter { session: Some(id.clone()), state: None, before, limit: PAGE };
        let page = api.store().of(owner).runs(filter).await.map_err(|error| api.failed(error))?;
        let is_last = page.len() < PAGE;
        runs.extend(page.into_iter().map(|row| row.id));
        if is_last {
            runs.reverse();
            return Ok(runs);
        }
    }
}

/// What is written of a run; nothing if it was deleted meanwhile.
async fn part(api: Api, owner: Principal, run: RunId, form: Form) -> Result<Option<String>, Problem> {
    let row = api.store().of(&owner).run(&run).await.map_err(|error| api.failed(error))?;
    let Some(row) = row else { return Ok(None) };
    let export = Export::of(&api, &owner, row).await?;
    Ok(Some(match form {
        Form::Json => serde_json::to_string(&export).map_err(|error| Problem::internal(&error))?,
        Form::Markdown => markdown::write(&export.run, &export.events, 2),
    }))
}
