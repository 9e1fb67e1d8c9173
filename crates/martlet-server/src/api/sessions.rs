//! `/api/v1/sessions`: conversations.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::LOCATION;
use martlet_core::{Principal, RunId};
use martlet_store::{NewSession, RunFilter, RunKind, RunState, SessionId, SessionRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::run::{RunStateWord, RunView, Runs};
use super::runs::page_size;
use crate::auth::{Reader, Runner};
use crate::clock;
use crate::ids::random_bits;
use crate::problem::{Body, Path, Problem, Query};
use crate::router::Api;
use crate::service::bad_request;

/// The longest title, in characters.
const TITLE: usize = 200;

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// Its name.
    id: String,
    /// What people see in lists: its title, or that of its first run if it was given none.
    title: String,
    /// The agent that is talked to.
    agent: String,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    created_ms: u64,
    /// When a run of it was last created or ended.
    updated_ms: u64,
    /// The number of its runs, those that it took over included.
    runs: u64,
    /// Where it left another session, if it did and that one is still there.
    branched_from: Option<BranchView>,
}

/// The place at which a conversation left another one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BranchedFrom)]
pub(crate) struct BranchView {
    /// The other session.
    session: String,
    /// The first run of it that was not taken over.
    run: String,
}

impl SessionView {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }
}

impl From<SessionRow> for SessionView {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id.to_string(),
            title: row.title,
            agent: row.agent,
            created_ms: row.created_ms,
            updated_ms: row.updated_ms,
            runs: row.runs,
            branched_from: row
                .branched_from
                .map(|from| BranchView { session: from.session.to_string(), run: from.run.to_string() }),
        }
    }
}

/// A conversation to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSession {
    /// The agent to talk to; without it the default one.
    agent: Option<String>,
    /// What people see in lists.
    #[schema(max_length = 200)]
    title: Option<String>,
}

/// What changes of a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeSession {
    /// Its new title.
    #[schema(max_length = 200)]
    title: String,
}

/// Where a conversation leaves another one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BranchSession {
    /// The first run that is not taken over.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,128}$")]
    run: RunId,
}

/// Which conversations to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListSessions {
    /// Those with this text in their title or in that of one of their runs.
    search: Option<String>,
    /// Those that were used before this one: `next` of the page before.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9_-]{1,128}$")]
    before: Option<SessionId>,
    /// At most so many.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Conversations, those that were used last first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sessions {
    /// The conversations.
    sessions: Vec<SessionView>,
    /// Ask for `before` this one to see more; `null` if there are none.
    next: Option<String>,
}

/// Which runs of a conversation to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListRunsOf {
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

/// Begins a conversation.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "sessions", request_body = CreateSession,
    responses((status = 201, body = SessionView,
        headers(("Location" = String, description = "The address of the conversation.")))),
)]
pub(crate) async fn create_session(
    Runner(caller): Runner,
    State(api): State<Api>,
    asked: Option<Body<CreateSession>>,
) -> Result<Response, Problem> {
    let asked = asked.map_or(CreateSession { agent: None, title: None }, |Body(asked)| asked);
    let catalog = api.service().catalog();
    let agent = asked.agent.or_else(|| catalog.default_agent_name().map(str::to_owned));
    let agent = agent.ok_or_else(|| bad_request("agent", "this server has no agent to talk to"))?;
    if !catalog.agents().contains_key(&agent) {
        return Err(api.service().not_offered(RunKind::Agent, &agent));
    }
    let new = NewSession {
        id: SessionId::from_bits(random_bits()),
        owner: caller.principal,
        title: asked.title.map_or(Ok(String::new()), checked_title)?,
        agent,
        created_ms: clock::now_ms(),
    };
    let row = api.store().create_session(new).await.map_err(|error| api.failed(error))?;
    Ok(created(row))
}

fn created(row: SessionRow) -> Response {
    let address = format!("/api/v1/sessions/{}", row.id);
    (StatusCode::CREATED, [(LOCATION, address)], Json(SessionView::from(row))).into_response()
}

fn checked_title(title: String) -> Result<String, Problem> {
    if title.chars().count() > TITLE || title.chars().any(char::is_control) {
        return Err(bad_request("title", format!("use at most {TITLE} characters, on one line")));
    }
    Ok(title)
}

/// Lists conversations, those that were used last first.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions", params(ListSessions), responses((status = 200, body = Sessions)),
)]
pub(crate) async fn list_sessions(
    Reader(caller): Reader,
    State(api): State<Api>,
    Query(asked): Query<ListSessions>,
) -> Result<Json<Sessions>, Problem> {
    let limit = page_size(asked.limit)?;
    let owned = api.store().of(&caller.principal);
    let rows = owned.sessions(asked.search.as_deref(), asked.before.as_ref(), limit + 1).await;
    let mut rows = rows.map_err(|error| api.failed(error))?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().map(|row| row.id.to_string()).filter(|_| has_more);
    Ok(Json(Sessions { sessions: rows.into_iter().map(Into::into).collect(), next }))
}

/// Begins a conversation with what was said in another one before a run of it: to ask that again, or to ask something else
/// instead. The runs before belong to both from then on.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/branch", tag = "sessions", request_body = BranchSession,
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses(
        (status = 201, body = SessionView,
         headers(("Location" = String, description = "The address of the conversation."))),
        (status = 404, description = "There is no such session, or no such run in it."),
        (status = 409, description = "A run before it has not ended."),
    ),
)]
pub(crate) async fn branch_session(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(id): Path<SessionId>,
    Body(asked): Body<BranchSession>,
) -> Result<Response, Problem> {
    let new = SessionId::from_bits(random_bits());
    let owned = api.store().of(&caller.principal);
    let row = owned.branch_session(&id, &asked.run, &new, clock::now_ms()).await;
    Ok(created(row.map_err(|error| api.failed(error))?))
}

pub(crate) async fn session(api: &Api, owner: &Principal, id: &SessionId) -> Result<SessionRow, Problem> {
    let row = api.store().of(owner).session(id).await.map_err(|error| api.failed(error))?;
    row.ok_or_else(|| Problem::not_found("session"))
}

/// Shows a conversation.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses((status = 200, body = SessionView), (status = 404, description = "There is no such session.")),
)]
pub(crate) async fn get_session(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    Ok(Json(session(&api, &caller.principal, &id).await?.into()))
}

/// Gives a conversation another title.
#[utoipa::path(
    patch, path = "/api/v1/sessions/{id}", tag = "sessions", request_body = ChangeSession,
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses((status = 200, body = SessionView), (status = 404, description = "There is no such session.")),
)]
pub(crate) async fn change_session(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(id): Path<SessionId>,
    Body(asked): Body<ChangeSession>,
) -> Result<Json<SessionView>, Problem> {
    let title = checked_title(asked.title)?;
    let renamed = api.store().of(&caller.principal).rename_session(&id, &title).await;
    match renamed.map_err(|error| api.failed(error))? {
        true => Ok(Json(session(&api, &caller.principal, &id).await?.into())),
        false => Err(Problem::not_found("session")),
    }
}

/// Deletes a conversation with its runs. Runs that another conversation has taken over stay in that one.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such session."),
        (status = 409, description = "One of its runs has not ended: cancel it first."),
    ),
)]
pub(crate) async fn delete_session(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(id): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    let deleted = api.store().of(&caller.principal).delete_session(&id).await;
    api.gone(deleted, "session")
}

/// Lists the runs of a conversation, the newest first: its own, and before them those that it took over.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/runs", tag = "sessions",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$"), ListRunsOf),
    responses((status = 200, body = Runs), (status = 404, description = "There is no such session.")),
)]
pub(crate) async fn list_session_runs(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<SessionId>,
    Query(asked): Query<ListRunsOf>,
) -> Result<Json<Runs>, Problem> {
    let limit = page_size(asked.limit)?;
    session(&api, &caller.principal, &id).await?;
    let filter = RunFilter { session: Some(id), state: asked.state, before: asked.before, limit: limit + 1 };
    let rows = api.store().of(&caller.principal).runs(filter).await.map_err(|error| api.failed(error))?;
    Ok(Json(RunView::page(&api, rows, limit)))
}
