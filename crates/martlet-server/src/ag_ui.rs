//! AG-UI 1.0: `/agui/{agent}`.
//!
//! A thread is a session under the client's own name for it. A run that waits for a person ends as interrupted; a request
//! with the answers goes on with the same run under another name.

mod form;
mod input;

use axum::extract::State;
use axum::response::Response;
use martlet_core::Principal;
use martlet_store::{
    Answer, ApprovalId, ApprovalKind, ApprovalRow, ApprovalState, Idempotency, Lane, RunFilter, RunKind,
    RunRow, RunState, ValueId,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

use self::form::Form;
use self::input::{Resume, ResumeStatus, RunAgentInput};
use crate::adapter::attach::{MAX_FILES, embedded, said_before, uploaded};
use crate::adapter::telling::{Gone, Telling};
use crate::adapter::{as_text, session, workflow_task};
use crate::auth::Runner;
use crate::problem::{Body, Path, Problem, ProblemKind, Query};
use crate::router::Api;
use crate::service::{NewTask, bad_request};

/// What becomes of the run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// When the connection is lost: `cancel` ends the run, which is the default, and `detach` lets it go on.
    disconnect: Option<String>,
}

/// Runs an agent, or as `workflow:NAME` a workflow, and streams the events of AG-UI. The same `runId` in a thread is the same
/// run: it is not started again.
#[utoipa::path(
    post, path = "/agui/{agent}", operation_id = "ag_ui_run", tag = "ag-ui", request_body = RunAgentInput,
    params(("agent" = String, Path, description = "The agent, or `workflow:` and the name of a workflow."), Asked),
    responses(
        (status = 200, description = "The events.", content((Object = "text/event-stream"))),
        (status = 404, description = "There is no such agent."),
        (status = 409, description = "The thread waits for answers that the request has not."),
    ),
)]
pub(crate) async fn run_agent(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(agent): Path<String>,
    Query(asked): Query<Asked>,
    Body(input): Body<RunAgentInput>,
) -> Result<Response, Problem> {
    let gone = match asked.disconnect.as_deref() {
        None | Some("cancel") => Gone::Cancel,
        Some("detach") => Gone::Detach,
        Some(_) => return Err(bad_request("disconnect", "use `detach` or `cancel`")),
    };
    let (kind, name) = match agent.strip_prefix("workflow:") {
        Some(name) => (RunKind::Workflow, name),
        None => (RunKind::Agent, agent.as_str()),
    };
    let catalog = api.service().catalog();
    let model = match kind {
        RunKind::Agent => {
            let offered = catalog.agents().get(name);
            let offered = offered.ok_or_else(|| api.service().not_offered(kind, name))?;
            Some(offered.agent.model().name().to_owned())
        }
        RunKind::Workflow => {
            catalog.workflows().get(name).ok_or_else(|| api.service().not_offered(kind, name))?;
            None
        }
    };
    let owner = caller.principal.clone();
    let (row, known) = match input.resume.as_deref() {
        Some(resume) if !resume.is_empty() => go_on(&api, &owner, &input, resume).await?,
        _ => (begin(&api, &owner, &input, kind, name).await?, 0),
    };
    let form = Form::new(&input, &row, model);
    Ok(Telling::new(&api, caller, row, form, known, gone).response())
}

/// Takes the last message of the user in as a task.
async fn begin(
    api: &Api,
    owner: &Principal,
    input: &RunAgentInput,
    kind: RunKind,
    name: &str,
) -> Result<RunRow, Problem> {
    if input.run_id.is_empty() || input.run_id.len() > 200 {
        return Err(bad_request("runId", "use 1 to 200 bytes"));
    }
    let agent = (kind == RunKind::Agent).then_some(name);
    let id = session(api, owner, agent, &input.thread_id).await?;
    let Some((last, before)) = input.last() else {
        return Err(bad_request("messages", "the last message must be the user's"));
    };
    let text = last.text() + &input.context();
    let key = format!("agui/{}/{}", input.thread_id, input.run_id);
    let body = ValueId::of(json!([kind.as_str(), name, text]).to_string().as_bytes());
    let filter = RunFilter { session: Some(id.clone()), limit: 20, ..RunFilter::default() };
    let rows = api.store().of(owner).runs(filter).await.map_err(|error| api.failed(error))?;
    let is_known = |row: &RunRow| row.idempotency.as_ref().is_some_and(|known| known.key == key);
    if rows.iter().any(|row| row.state == RunState::Waiting && !is_known(row)) {
        let text = "a run of this thread waits for answers: send them as `resume`, with `cancelled` for those that you do not \
                    have";
        return Err(Problem::new(ProblemKind::Conflict, text));
    }
    let mut task = match kind {
        RunKind::Agent => NewTask::words(text),
        RunKind::Workflow => workflow_task(text, input.state.as_object().cloned()),
    };
    // A retry has the files of the first request.
    if !rows.iter().any(is_known) {
        let files: Vec<_> = last.files().collect();
        if files.len() > MAX_FILES {
            return Err(bad_request(
                "messages",
                format!("at most {MAX_FILES} files can come with a message"),
            ));
        }
        for (source, value, media_type) in files {
            task.files.push(match source {
                "data" => embedded(api, owner, "messages", None, media_type, value).await?,
                _ => uploaded(api, owner, "messages", value).await?,
            });
        }
    }
    if rows.is_empty() && kind == RunKind::Agent {
        // A conversation that was begun elsewhere.
        let before = before.iter();
        task.history = before.filter_map(|message| said_before(&message.role, &message.text())).collect();
    }
    match kind {
        RunKind::Agent => task.agent = Some(name.to_owned()),
        RunKind::Workflow => {
            task.workflow = Some(name.to_owned());
            task.lane = Some(Lane::Interactive);
        }
    }
    task.session = Some(id);
    task.idempotency = Some(Idempotency { key, body });
    api.service().submit(owner, task).await
}

/// Takes the answers to interrupts, and gives the run that goes on with the number of the last event that the client knows.
async fn go_on(
    api: &Api,
    owner: &Principal,
    input: &RunAgentInput,
    resume: &[Resume],
) -> Result<(RunRow, u64), Problem> {
    let mut answers = Vec::new();
    let mut known = None;
    for entry in resume {
        let (id, event) = read_interrupt(&entry.interrupt_id)?;
        let row = api.store().of(owner).approval(&id).await.map_err(|error| api.failed(error))?;
        let row = row.ok_or_else(|| Problem::not_found("interrupt").param("resume"))?;
        known = known.max(event);
        answers.push((row, entry));
    }
    let root = answers.first().map(|(row, _)| row.root.clone());
    let root = root.ok_or_else(|| bad_request("resume", "there is no answer in it"))?;
    if answers.iter().any(|(row, _)| row.root != root) {
        return Err(bad_request("resume", "the answers of one request must be for one run"));
    }
    let row = api.run(owner, &root).await?;
    let session = session(api, owner, None, &input.thread_id).await?;
    if row.session.as_ref() != Some(&session) {
        return Err(Problem::not_found("interrupt").param("resume"));
    }
    let open = api.store().approvals_of(&root).await.map_err(|error| api.failed(error))?;
    let is_answered = |id: &ApprovalId| answers.iter().any(|(row, _)| row.id == *id);
    if open.iter().any(|row| row.state == ApprovalState::Pending && !is_answered(&row.id)) {
        let text = "the run waits for more answers than these: send all of them at once, with `cancelled` for those that you \
                    do not have";
        return Err(bad_request("resume", text));
    }
    let known = known.unwrap_or(row.last_event).min(row.last_event);
    let mut decided = Vec::new();
    for (approval, entry) in answers {
        if approval.state == ApprovalState::Pending {
            decided.push((answer(&approval, entry)?, approval));
        }
    }
    for (answer, approval) in decided {
        match api.service().answer(&approval, None, answer, owner).await {
            Ok(_) => {}
            // Somebody was quicker: what was decided is told.
            Err(problem) if problem.kind() == ProblemKind::AlreadyDecided => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok((row, known))
}

/// The name of an interrupt: the question, and the number of the last event that was told before it.
fn interrupt_id(approval: &ApprovalId, last: u64) -> String {
    format!("{approval}.{last}")
}

fn read_interrupt(text: &str) -> Result<(ApprovalId, Option<u64>), Problem> {
    let (id, event) = match text.split_once('.') {
        Some((id, event)) => (id, event.parse().ok()),
        None => (text, None),
    };
    let id = ApprovalId::new(id).map_err(|_| Problem::not_found("interrupt").param("resume"))?;
    Ok((id, event))
}

fn answer(row: &ApprovalRow, entry: &Resume) -> Result<Answer, Problem> {
    let payload = entry.payload.clone().unwrap_or_default();
    let field = |name: &str| payload.get(name).cloned();
    let reason = || match field("reason") {
        Some(Value::String(reason)) => reason,
        _ => "the user said no".to_owned(),
    };
    if entry.status == ResumeStatus::Cancelled {
        return Ok(Answer::Deny { reason: reason() });
    }
    if field("approved") == Some(Value::Bool(false)) || payload == Value::Bool(false) {
        return Ok(Answer::Deny { reason: reason() });
    }
    Ok(match row.kind {
        ApprovalKind::Call => match field("editedArgs") {
            None | Some(Value::Null) => {
                Answer::Approve { for_run: field("forRun") == Some(Value::Bool(true)) }
            }
            Some(Value::Object(arguments)) => Answer::Edit { arguments },
            Some(_) => {
                return Err(bad_request("resume", "`editedArgs` are an object: all arguments of the call"));
            }
        },
        ApprovalKind::Question => {
            let text = field("answer").unwrap_or(payload);
            if text.is_null() {
                return Err(bad_request("resume", "answer the question: `{\"answer\": \"…\"}`"));
            }
            Answer::Reply { text: as_text(&text) }
        }
        ApprovalKind::Doubt => match field("output") {
            Some(output) => Answer::Done { output },
            None if field("repeat") == Some(Value::Bool(true)) => Answer::Repeat,
            None => {
                let text = "say what came of the call: `{\"repeat\": true}`, or `{\"output\": …}` if it was performed";
                return Err(bad_request("resume", text));
            }
        },
    })
}

/// What an answer to a question must look like, as JSON Schema.
fn response_schema(kind: ApprovalKind) -> Value {
    let properties: Map<String, Value> = match kind {
        ApprovalKind::Call => vec![
            ("approved", json!({ "type": "boolean" })),
            (
                "editedArgs",
                json!({ "type": "object", "description": "All arguments, in the place of those shown." }),
            ),
            ("forRun", json!({ "type": "boolean", "description": "Also such calls later in this run." })),
            ("reason", json!({ "type": "string", "description": "Why not, for the model." })),
        ],
        ApprovalKind::Question => vec![("answer", json!({ "type": "string" }))],
        ApprovalKind::Doubt => vec![
            ("repeat", json!({ "type": "boolean", "description": "It was not performed, or may be again." })),
            ("output", json!({ "description": "It was performed, and gave this." })),
        ],
    }
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect();
    let required: &[&str] = match kind {
        ApprovalKind::Call => &["approved"],
        ApprovalKind::Question => &["answer"],
        ApprovalKind::Doubt => &[],
    };
    json!({ "type": "object", "properties": properties, "required": required })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_says_what_the_client_knows() {
        let id = ApprovalId::from_bits(7);
        assert_eq!(read_interrupt(&interrupt_id(&id, 12)).unwrap(), (id.clone(), Some(12)));
        assert_eq!(read_interrupt(id.as_str()).unwrap(), (id, None));
        for odd in ["", ".", "..", "a b.1", "x/y"] {
            assert_eq!(read_interrupt(odd).unwrap_err().kind(), ProblemKind::NotFound, "{odd}");
        }
    }
}
