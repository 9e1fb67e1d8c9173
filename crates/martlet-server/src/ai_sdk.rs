//! The stream of UI messages of Vercel's AI SDK: `/api/chat`.
//!
//! A chat is a session under the client's own name for it. Of the messages that the client sends along, the last one counts:
//! the rest is remembered here. A run that waits for a person ends the stream; the answer comes with the next request, and
//! the same run goes on.

mod body;
mod form;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use martlet_core::{Principal, RunId};
use martlet_store::{
    Answer, ApprovalKind, ApprovalRow, ApprovalState, Lane, RunFilter, RunKind, RunRow, RunState, SessionId,
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use self::body::{Chat, Reply, UiMessage};
use self::form::Form;
use crate::adapter::attach::{MAX_FILES, attached, said_before};
use crate::adapter::telling::{Gone, Telling};
use crate::adapter::{WEB_TOOLS, session, session_id, workflow_task};
use crate::auth::{Caller, Reader, Runner};
use crate::problem::{Body, Path, Problem, ProblemKind, Query};
use crate::router::Api;
use crate::service::{NewTask, bad_request};

/// Runs of a chat that are looked through for one that goes on.
const LAST: usize = 50;

/// Who answers.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The agent. By default that of the chat, or the default one.
    agent: Option<String>,
    /// The workflow, instead of an agent.
    workflow: Option<String>,
    /// What becomes of the run when the connection is lost: `detach` lets it go on, which is the default, and `cancel` ends
    /// it.
    disconnect: Option<String>,
}

/// Answers the last message of a chat, as a stream of the parts of a UI message. If the message answers questions of a run
/// that waits, that run goes on.
#[utoipa::path(
    post, path = "/api/chat", operation_id = "ai_sdk_chat", tag = "ai-sdk", request_body = Chat, params(Asked),
    responses((status = 200, description = "The parts of the message.", content((Object = "text/event-stream")))),
)]
pub(crate) async fn chat(
    Runner(caller): Runner,
    State(api): State<Api>,
    Query(asked): Query<Asked>,
    Body(chat): Body<Chat>,
) -> Result<Response, Problem> {
    let asked = Asked {
        agent: asked.agent.or_else(|| chat.agent.clone()),
        workflow: asked.workflow.or_else(|| chat.workflow.clone()),
        disconnect: asked.disconnect.or_else(|| chat.disconnect.clone()),
    };
    let gone = match asked.disconnect.as_deref() {
        None | Some("detach") => Gone::Detach,
        Some("cancel") => Gone::Cancel,
        Some(_) => return Err(bad_request("disconnect", "use `detach` or `cancel`")),
    };
    let owner = caller.principal.clone();
    let last = chat.last()?;
    if last.role == "assistant" {
        let (row, known) = go_on(&api, &caller, last).await?;
        return Ok(tell(&api, caller, row, known, gone));
    }
    if last.role != "user" {
        return Err(bad_request("messages", "the last message must be the user's"));
    }
    let id = session(&api, &owner, asked.agent.as_deref(), &chat.id).await?;
    let again = match chat.trigger.as_deref() {
        None | Some("submit-message") => None,
        Some("regenerate-message") => to_replace(&api, &owner, &id, chat.message_id.as_deref()).await?,
        Some(_) => return Err(bad_request("trigger", "use `submit-message` or `regenerate-message`")),
    };
    // Who writes on instead of answering does not want what was asked about.
    for row in going_on(&api, &owner, &id).await?.iter().filter(|row| row.state == RunState::Waiting) {
        api.service().cancel(&row.id).await?;
    }
    let row = match again {
        Some(row) => api.service().regenerate(&owner, &row).await?,
        None => {
            let task = task(&api, &owner, &chat, last, asked, id).await?;
            api.service().submit(&owner, task).await?
        }
    };
    Ok(tell(&api, caller, row, 0, gone))
}

/// Goes on with the stream of the chat's run, from its beginning; there is nothing if no run goes on.
#[utoipa::path(
    get, path = "/api/chat/{chat}/stream", operation_id = "ai_sdk_resume", tag = "ai-sdk",
    params(("chat" = String, Path, description = "The name of the chat.")),
    responses(
        (status = 200, description = "The parts of the message.", content((Object = "text/event-stream"))),
        (status = 204, description = "No run of this chat goes on."),
    ),
)]
pub(crate) async fn resume(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(chat): Path<String>,
) -> Result<Response, Problem> {
    let owner = &caller.principal;
    let Some(id) = known(&api, owner, &chat).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    match going_on(&api, owner, &id).await?.into_iter().next() {
        Some(row) => Ok(tell(&api, caller, row, 0, Gone::Detach)),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// Cancels what goes on in a chat. Closing the stream does not.
#[utoipa::path(
    post, path = "/api/chat/{chat}/stop", operation_id = "ai_sdk_stop", tag = "ai-sdk",
    params(("chat" = String, Path, description = "The name of the chat.")),
    responses((status = 204, description = "Nothing goes on in it, or it ends now.")),
)]
pub(crate) async fn stop(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(chat): Path<String>,
) -> Result<StatusCode, Problem> {
    if let Some(id) = known(&api, &caller.principal, &chat).await? {
        for row in going_on(&api, &caller.principal, &id).await? {
            api.service().cancel(&row.id).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

fn tell(api: &Api, caller: Caller, row: RunRow, known: u64, gone: Gone) -> Response {
    let form = Form::new(&row);
    let mut response = Telling::new(api, caller, row, form, known, gone).response();
    let header = HeaderName::from_static("x-vercel-ai-ui-message-stream");
    response.headers_mut().insert(header, HeaderValue::from_static("v1"));
    response
}

/// The session of a chat, if there is one.
async fn known(api: &Api, owner: &Principal, chat: &str) -> Result<Option<SessionId>, Problem> {
    let owned = api.store().of(owner);
    for id in SessionId::new(chat).ok().into_iter().chain([session_id(owner, chat)]) {
        if owned.session(&id).await.map_err(|error| api.failed(error))?.is_some() {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The runs of a session that have not ended, the newest first.
async fn going_on(api: &Api, owner: &Principal, id: &SessionId) -> Result<Vec<RunRow>, Problem> {
    let mut rows = last_runs(api, owner, id).await?;
    rows.retain(|row| row.state != RunState::Ended);
    Ok(rows)
}

async fn last_runs(api: &Api, owner: &Principal, id: &SessionId) -> Result<Vec<RunRow>, Problem> {
    let filter = RunFilter { session: Some(id.clone()), limit: LAST, ..RunFilter::default() };
    api.store().of(owner).runs(filter).await.map_err(|error| api.failed(error))
}

/// The run whose answer is to be made anew: that of the message, or the last one. A run that never began, and a workflow,
/// begin like any other.
async fn to_replace(
    api: &Api,
    owner: &Principal,
    id: &SessionId,
    message: Option<&str>,
) -> Result<Option<RunRow>, Problem> {
    let rows = last_runs(api, owner, id).await?;
    let named = rows.iter().find(|row| Some(row.id.as_str()) == message);
    let row = named.or(rows.first()).cloned();
    Ok(row.filter(|row| row.kind == RunKind::Agent && row.state == RunState::Ended && row.last_event > 0))
}

async fn task(
    api: &Api,
    owner: &Principal,
    chat: &Chat,
    last: &UiMessage,
    asked: Asked,
    session: SessionId,
) -> Result<NewTask, Problem> {
    let mut task = match asked.workflow {
        Some(_) => workflow_task(last.text(), chat.input.clone()),
        None => NewTask::words(last.text()),
    };
    if chat.web_search == Some(false) {
        task.without_tools = WEB_TOOLS.map(str::to_owned).to_vec();
    }
    let files: Vec<_> = last.files().collect();
    if files.len() > MAX_FILES {
        return Err(bad_request("messages", format!("at most {MAX_FILES} files can come with a message")));
    }
    for (name, url) in files {
        task.files.push(attached(api, owner, "messages", name, url).await?);
    }
    if asked.workflow.is_some() {
        task.lane = Some(Lane::Interactive);
    } else if last_runs(api, owner, &session).await?.is_empty() {
        // A conversation that was begun elsewhere.
        let before = chat.before();
        task.history = before.filter_map(|message| said_before(&message.role, &message.text())).collect();
    }
    task.agent = asked.agent.filter(|_| asked.workflow.is_none());
    task.workflow = asked.workflow;
    task.session = Some(session);
    Ok(task)
}

/// Takes the answers in a message, and gives the run that goes on with the number of the last event that the client knows.
async fn go_on(api: &Api, caller: &Caller, message: &UiMessage) -> Result<(RunRow, u64), Problem> {
    let owner = &caller.principal;
    let mut run: Option<RunId> = None;
    let mut answers = Vec::new();
    for reply in message.replies() {
        let Some(row) = asked(api, owner, &reply).await? else { continue };
        if run.as_ref().is_some_and(|run| *run != row.root) {
            return Err(bad_request("messages", "the answers of one message must be for one run"));
        }
        run = Some(row.root.clone());
        if row.state == ApprovalState::Pending {
            let answer = answer(&row, reply)?;
            answers.push((row, answer));
        }
    }
    let Some(run) = run else {
        let text = "the last message is the assistant's and answers nothing: send what the user says, or the answers to \
                    what was asked";
        return Err(bad_request("messages", text));
    };
    // Before the answers, because they set the run going.
    let row = api.run(owner, &run).await?;
    let known = message.known().filter(|(of, _)| *of == run.as_str()).map(|(_, event)| event);
    let known = known.unwrap_or(row.last_event).min(row.last_event);
    for (approval, answer) in answers {
        match api.service().answer(&approval, None, answer, owner).await {
            Ok(_) => {}
            // Somebody was quicker: what was decided is told.
            Err(problem) if problem.kind() == ProblemKind::AlreadyDecided => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok((row, known))
}

/// The question that a reply is about.
async fn asked(api: &Api, owner: &Principal, reply: &Reply<'_>) -> Result<Option<ApprovalRow>, Problem> {
    match reply {
        Reply::Decision { approval, .. } => {
            let row = api.store().of(owner).approval(approval).await;
            let row = row.map_err(|error| api.failed(error))?;
            row.map(Some).ok_or_else(|| Problem::not_found("question"))
        }
        Reply::Text { run, question, .. } => {
            let Ok(run) = RunId::new(run) else { return Ok(None) };
            // Whose the run is comes first: questions are listed by run.
            let Some(row) = root_of(api, owner, &run).await? else { return Ok(None) };
            let asked = api.store().approvals_of(&row.id).await.map_err(|error| api.failed(error))?;
            let is_it = |row: &ApprovalRow| {
                row.kind == ApprovalKind::Question
                    && row.effect.run == run
                    && row.arguments.get("question").and_then(Value::as_str) == Some(*question)
            };
            Ok(asked.into_iter().rev().find(is_it))
        }
    }
}

/// The run of the owner in which a run is: itself, or the one whose name its own begins with.
async fn root_of(api: &Api, owner: &Principal, run: &RunId) -> Result<Option<RunRow>, Problem> {
    let owned = api.store().of(owner);
    let root = run.as_str().split('-').next().and_then(|root| RunId::new(root).ok());
    for id in [Some(run.clone()), root].into_iter().flatten() {
        if let Some(row) = owned.run(&id).await.map_err(|error| api.failed(error))? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

fn answer(row: &ApprovalRow, reply: Reply<'_>) -> Result<Answer, Problem> {
    Ok(match (row.kind, reply) {
        (ApprovalKind::Question, Reply::Text { text, .. }) => Answer::Reply { text },
        (_, Reply::Text { .. }) => {
            return Err(bad_request("messages", "this call is not answered with a text"));
        }
        (_, Reply::Decision { approved: false, reason, .. }) => {
            Answer::Deny { reason: reason.unwrap_or("the user said no").to_owned() }
        }
        (ApprovalKind::Call, Reply::Decision { .. }) => Answer::Approve { for_run: false },
        (ApprovalKind::Doubt, Reply::Decision { .. }) => Answer::Repeat,
        (ApprovalKind::Question, Reply::Decision { reason, .. }) => {
            let text = reason.ok_or_else(|| bad_request("messages", "answer the question with a text"))?;
            Answer::Reply { text: text.to_owned() }
        }
    })
}

/// What a message tells of its run, besides its parts.
fn metadata(run: &RunId, last: Option<u64>, usage: Option<martlet_core::Usage>) -> Value {
    let mut metadata = json!({ "run": run });
    if let Some(last) = last {
        metadata["event"] = last.into();
    }
    if let Some(usage) = usage {
        metadata["usage"] = usage_json(usage);
    }
    metadata
}

fn usage_json(usage: martlet_core::Usage) -> Value {
    json!({
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
        "cachedInputTokens": usage.cached_tokens,
        "reasoningTokens": usage.reasoning_tokens,
    })
}
