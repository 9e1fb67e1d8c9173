//! `/v1/responses`: runs that can be asked for later, followed from any place, and asked about by their agents.
//!
//! A response is a range of the events of a run ([`ResponseId`]): everything of it, the numbers of its stream's frames
//! included, follows from the store.

mod id;
mod projection;
mod reading;
mod request;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;
use http::HeaderMap;
use martlet::ModelOptions;
use martlet_core::Role;
use martlet_store::{Answer, ApprovalKind, ApprovalRow, ApprovalState, RunKind, RunRow, RunState, ValueId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use self::id::ResponseId;
use self::reading::{Following, Reading, Told};
use self::request::{Answered, Input, Note, ResponseRequest, numbered};
use super::body::Posted;
use super::chat::{adjustment, format_of, idempotency, mark, wishes};
use super::chunks::comment;
use super::content::{Conversation, Elsewhere, Piece, Said, keep, messages, task_text};
use super::fault::Fault;
use super::models::{Chosen, choose};
use super::telling::WhenLeft;
use crate::auth::{Caller, Reader, Runner};
use crate::problem::{Path, Problem, Query};
use crate::router::Api;
use crate::service::{Attendance, NewTask};
use crate::sse::{self, KEEP_ALIVE};

/// How a response is to be shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Show {
    /// Whether as a stream of events.
    stream: Option<bool>,
    /// The number of the last event that is known already.
    starting_after: Option<u64>,
}

/// Items.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Items {
    /// `list`.
    object: &'static str,
    /// The items, in their order.
    #[schema(value_type = Vec<Object>)]
    data: Vec<Value>,
    /// The id of the first one.
    first_id: Option<String>,
    /// The id of the last one.
    last_id: Option<String>,
    /// Always false: these are all.
    has_more: bool,
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// Its id.
    id: String,
    /// `response`.
    object: &'static str,
    /// Whether it is gone.
    deleted: bool,
}

/// Lets an agent or a workflow do something, or answers its questions. It is told at once, as a stream, or, in the
/// background, when it is asked for. In the background it goes on without the client; otherwise it is cancelled when the
/// client goes away.
#[utoipa::path(
    post, path = "/v1/responses", tag = "openai", request_body = ResponseRequest,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Under the same key, the same request makes one run."),
    ),
    responses(
        (status = 200, description = "The response, or the stream of its events.",
         content((Object = "application/json"), (Object = "text/event-stream"))),
        (status = 404, description = "There is no such model, or no such response."),
        (status = 429, description = "As many runs wait as may wait."),
    ),
)]
pub(crate) async fn create_response(
    Runner(caller): Runner,
    State(api): State<Api>,
    headers: HeaderMap,
    Posted { body: asked, digest }: Posted<ResponseRequest>,
) -> Result<Response, Fault> {
    asked.check()?;
    let input = Input::read(&asked.input)?;
    let previous = match &asked.previous_response_id {
        None => None,
        Some(id) => Some(find(&api, &caller, id).await.map_err(|fault| fault.of("previous_response_id"))?),
    };
    let (id, row) = match (input.answers.is_empty(), previous) {
        (true, previous) => begin(&api, &caller, &headers, &asked, input.said, previous, digest).await?,
        (false, None) => {
            let text = "say with `previous_response_id` which response asked the question";
            return Err(Fault::invalid("previous_response_id", "missing_required_parameter", text));
        }
        (false, Some(_)) if !input.said.is_empty() => {
            let text = "answer the questions first, and say more when that response has ended";
            return Err(Fault::invalid("input", "invalid_value", text));
        }
        (false, Some((id, row))) => go_on(&api, &caller, id, row, &input.answers).await?,
    };
    let in_background = asked.background.unwrap_or_default();
    if in_background && !asked.stream.unwrap_or_default() {
        let reading = Reading::now(&api, &caller, id, row.clone()).await?;
        let mut response = Json(reading.projection.object()).into_response();
        mark(&api, &mut response, &row);
        return Ok(response);
    }
    // What can be asked for again under its key is not lost with the connection.
    let when_left = match in_background || headers.contains_key("idempotency-key") {
        true => WhenLeft::GoOn,
        false => WhenLeft::Cancel,
    };
    let following = Following::new(Reading::new(&api, &caller, id, &row).await?, when_left);
    let mut response = match asked.stream.unwrap_or_default() {
        true => streamed(&api, following, None),
        false => whole(&api, following).await?,
    };
    mark(&api, &mut response, &row);
    Ok(response)
}

/// A response that the caller may see, and its run.
async fn find(api: &Api, caller: &Caller, id: &str) -> Result<(ResponseId, RunRow), Fault> {
    let missing = || Fault::from(Problem::not_found("response"));
    let id = ResponseId::parse(id).ok_or_else(missing)?;
    let row = api.store().of(&caller.principal).run(&id.run).await.map_err(|error| api.failed(error))?;
    let row = row.filter(|row| id.after <= row.last_event).ok_or_else(missing)?;
    if Note::of(&row)?.store { Ok((id, row)) } else { Err(missing()) }
}

/// Begins a run.
async fn begin(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    asked: &ResponseRequest,
    mut said: Vec<Said>,
    previous: Option<(ResponseId, RunRow)>,
    digest: ValueId,
) -> Result<(ResponseId, RunRow), Fault> {
    let owner = &caller.principal;
    let before = match previous {
        None => None,
        Some((id, row)) => Some(ended(api, caller, id, row).await?),
    };
    let (chosen, words) = match (&asked.model, &before) {
        (Some(model), _) => choose(api.service().catalog(), model)?,
        (None, Some(before)) => (Chosen::Agent(before.name.clone()), ""),
        (None, None) => {
            return Err(Fault::invalid(
                "model",
                "missing_required_parameter",
                "say which `model` is to answer",
            ));
        }
    };
    wishes(headers, words)?;
    if let Chosen::Model { name, .. } = &chosen {
        let text =
            format!("what is asked of a plain model is not stored: ask `llm:{name}` at /v1/chat/completions");
        return Err(Fault::unsupported("model", text));
    }
    if before.is_some() && !matches!(chosen, Chosen::Agent(_)) {
        let text = "a workflow has no conversation to go on with: leave this out";
        return Err(Fault::unsupported("previous_response_id", text));
    }
    let format = asked.text.as_ref().and_then(|text| text.get("format"));
    let format = format_of(format, "text.format")?;
    let mut note = asked.note(&said);
    if let Some(instructions) = &asked.instructions {
        let pieces = vec![Piece::Text(instructions.clone())];
        said.insert(0, Said { role: Role::System, pieces });
    }
    let Conversation { instructions, history, task } = Conversation::of(said, "input")?;
    let effort = asked.reasoning.as_ref().and_then(|reasoning| reasoning["effort"].as_str());
    let options = ModelOptions {
        max_tokens: asked.max_output_tokens,
        reasoning_effort: effort.map(str::to_owned),
        ..ModelOptions::default()
    };
    let options = (options != ModelOptions::default()).then_some(options);
    let mut new = NewTask::words(task_text(&task));
    new.adjustment = adjustment(api, &chosen, format, "text.format", instructions, options)?;
    match &chosen {
        Chosen::Workflow(name) => new.workflow = Some(name.clone()),
        Chosen::Agent(name) | Chosen::Model { name, .. } => {
            new.agent = Some(name.clone());
            new.history = messages(api, owner, &history, Elsewhere::Refused).await?;
        }
    }
    new.files = keep(api, owner, &task, "input").await?;
    note.name_files(&new.files);
    new.note = Some(note.stored()?);
    new.continues = before.map(|before| before.id);
    new.attendance = Attendance::Attended;
    new.idempotency = idempotency(headers, digest)?;
    let row = api.service().submit(owner, new).await?;
    Ok((ResponseId::first(&row.id), row))
}

/// The run of a response whose conversation can be gone on with: one that has ended with this response.
async fn ended(api: &Api, caller: &Caller, id: ResponseId, row: RunRow) -> Result<RunRow, Fault> {
    let bad = |code: &str, text: &str| Err(Fault::invalid("previous_response_id", code, text));
    if row.kind != RunKind::Agent {
        return bad("invalid_value", "a workflow has no conversation to go on with: leave this out");
    }
    let reading = Reading::now(api, caller, id, row.clone()).await?;
    match reading.projection.object()["status"].as_str() {
        _ if reading.projection.ended_with_run() => Ok(row),
        Some("completed") if row.state == RunState::Ended => bad(
            "response_superseded",
            "its run went on behind a question: go on from the last of its responses",
        ),
        Some("completed") => bad(
            "approval_required",
            "it waits for an answer: send the item `mcp_approval_response` for each `mcp_approval_request` of it",
        ),
        _ => bad("response_not_ended", "it has not ended: wait for it, or cancel it"),
    }
}

/// Answers questions of a run, which goes on then.
async fn go_on(
    api: &Api,
    caller: &Caller,
    id: ResponseId,
    row: RunRow,
    answers: &[Answered],
) -> Result<(ResponseId, RunRow), Fault> {
    let reading = Reading::now(api, caller, id, row.clone()).await?;
    if !reading.projection.is_over() {
        let text = "it has not ended: wait for it, or cancel it";
        return Err(Fault::invalid("previous_response_id", "response_not_ended", text));
    }
    let asked = |answered: &Answered| {
        let question = reading.questions().iter().find(|question| question.id == answered.question);
        question.cloned().ok_or_else(|| Fault::from(Problem::not_found("question")).of("input"))
    };
    // All of them are looked at before the first one counts.
    let mut decisions = Vec::with_capacity(answers.len());
    for answered in answers {
        let question = asked(answered)?;
        let answer = answer_to(&question, answered)?;
        decisions.push((question, answer, answered.approve));
    }
    for (question, answer, approve) in decisions {
        if question.state != ApprovalState::Pending {
            let was_denied = matches!(question.answer, Some(Answer::Deny { .. }) | None);
            if was_denied == approve {
                let text = "somebody has answered this question before, and otherwise";
                return Err(Fault::invalid("input", "already_decided", text));
            }
            continue;
        }
        let digest = Some(question.digest);
        api.service().answer(&question, digest, answer, &caller.principal).await?;
    }
    let decided = api.store().approvals_of(&row.id).await.map_err(|error| api.failed(error))?;
    let since_ms = decided.iter().filter_map(|question| question.decided_ms).max().unwrap_or_default();
    let id = ResponseId { run: row.id.clone(), after: reading.projection.last, since_ms };
    let row = api.run(&caller.principal, &row.id).await?;
    Ok((id, row))
}

/// What an approval or a refusal means for a question.
fn answer_to(question: &ApprovalRow, answered: &Answered) -> Result<Answer, Fault> {
    let reason = answered.reason.clone();
    Ok(match (answered.approve, question.kind) {
        (false, _) => Answer::Deny { reason: reason.unwrap_or_default() },
        (true, ApprovalKind::Call) => Answer::Approve { for_run: false },
        (true, ApprovalKind::Doubt) => Answer::Repeat,
        (true, ApprovalKind::Question) => {
            let missing = || {
                let text = "this is a question in words: put the answer into `reason`";
                Fault::invalid("input", "missing_required_parameter", text)
            };
            Answer::Reply { text: reason.filter(|text| !text.trim().is_empty()).ok_or_else(missing)? }
        }
    })
}

/// Waits for the whole response.
async fn whole(api: &Api, mut following: Following) -> Result<Response, Fault> {
    while following.next().await.is_some() {}
    if let Some(problem) = following.broken.take() {
        return Err(Fault::from(problem).harmful());
    }
    forget(api, &following);
    Ok(Json(following.reading.projection.object()).into_response())
}

/// The frames behind the one with the number `after`.
fn streamed(api: &Api, following: Following, after: Option<u64>) -> Response {
    let api = api.clone();
    sse::response(stream::unfold(following, move |mut following| {
        let api = api.clone();
        async move {
            loop {
                let Some(told) = following.next().await else {
                    forget(&api, &following);
                    return None;
                };
                let bytes = match told {
                    Told::Comment(text) => comment(&text),
                    Told::Quiet => Bytes::from_static(KEEP_ALIVE),
                    Told::Frame(frame) => {
                        let is_known =
                            after.is_some_and(|after| frame["sequence_number"].as_u64() <= Some(after));
                        if is_known && frame["type"] != "error" {
                            continue;
                        }
                        let name = frame["type"].as_str().unwrap_or_default();
                        format!("event: {name}\ndata: {frame}\n\n").into()
                    }
                };
                return Some((bytes, following));
            }
        }
    }))
}

/// Deletes what is not to be stored, when it was told.
fn forget(api: &Api, following: &Following) {
    let projection = &following.reading.projection;
    if projection.note.store || !projection.ended_with_run() {
        return;
    }
    let (service, run) = (api.service().clone(), projection.id.run.clone());
    api.service().spawn(async move {
        let Ok(row) = service.ended(&run).await else { return };
        if let Err(error) = service.store().of(&row.owner).delete_run(&run).await {
            tracing::warn!(%run, %error, "a run that is not to be stored could not be deleted");
        }
    });
}

/// Shows a response as it stands, or as a stream of what happened and happens, from behind any of its events.
#[utoipa::path(
    get, path = "/v1/responses/{id}", tag = "openai", params(("id" = String, Path), Show),
    responses(
        (status = 200, description = "The response, or the stream of its events.",
         content((Object = "application/json"), (Object = "text/event-stream"))),
        (status = 404, description = "There is no such response."),
    ),
)]
pub(crate) async fn get_response(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(show): Query<Show>,
) -> Result<Response, Fault> {
    let (id, row) = find(&api, &caller, &id).await?;
    if show.stream.unwrap_or_default() {
        let reading = Reading::new(&api, &caller, id, &row).await?;
        return Ok(streamed(&api, Following::new(reading, WhenLeft::GoOn), show.starting_after));
    }
    if show.starting_after.is_some() {
        let text = "this is for streams: add `stream=true`";
        return Err(Fault::invalid("starting_after", "invalid_value", text));
    }
    let reading = Reading::now(&api, &caller, id, row).await?;
    Ok(Json(reading.projection.object()).into_response())
}

/// Cancels the run of a response. One that has ended stays as it is.
#[utoipa::path(
    post, path = "/v1/responses/{id}/cancel", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, description = "There is no such response.")),
)]
pub(crate) async fn cancel_response(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Fault> {
    let (id, row) = find(&api, &caller, &id).await?;
    if api.service().cancel(&row.id).await? {
        api.service().ended(&row.id).await?;
    }
    let row = api.run(&caller.principal, &row.id).await?;
    let reading = Reading::now(&api, &caller, id, row).await?;
    Ok(Json(reading.projection.object()))
}

/// Deletes a response, with its run and all other responses of that.
#[utoipa::path(
    delete, path = "/v1/responses/{id}", tag = "openai", params(("id" = String, Path)),
    responses(
        (status = 200, body = Deleted),
        (status = 400, description = "It has not ended: cancel it first."),
        (status = 404, description = "There is no such response."),
    ),
)]
pub(crate) async fn delete_response(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, Fault> {
    let (id, row) = find(&api, &caller, &id).await?;
    let deleted = api.store().of(&caller.principal).delete_run(&row.id).await;
    let deleted = deleted.map_err(|error| api.failed(error))?;
    Ok(Json(Deleted { id: id.to_string(), object: "response", deleted }))
}

/// Lists what came in with a response.
#[utoipa::path(
    get, path = "/v1/responses/{id}/input_items", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, body = Items), (status = 404, description = "There is no such response.")),
)]
pub(crate) async fn list_input_items(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Items>, Fault> {
    let (id, row) = find(&api, &caller, &id).await?;
    let items = match id.goes_on() {
        false => Note::of(&row)?.input,
        true => {
            let reading = Reading::now(&api, &caller, id.clone(), row).await?;
            reading.begun_with().into_iter().map(answer_item).collect()
        }
    };
    let data = numbered(items, id.stem());
    let id_of = |item: Option<&Value>| item.and_then(|item| item["id"].as_str()).map(str::to_owned);
    let (first_id, last_id) = (id_of(data.first()), id_of(data.last()));
    Ok(Json(Items { object: "list", data, first_id, last_id, has_more: false }))
}

/// An answer to a question as an item.
fn answer_item(question: &ApprovalRow) -> Value {
    let (approve, reason) = match &question.answer {
        Some(Answer::Deny { reason }) => (false, Some(reason.clone())),
        Some(Answer::Reply { text }) => (true, Some(text.clone())),
        Some(_) => (true, None),
        None => (false, None),
    };
    json!({
        "type": "mcp_approval_response", "approval_request_id": question.id.as_str(), "approve": approve,
        "reason": reason,
    })
}
