//! What the protocols of other clients have in common: conversations under the client's names, waiting for an answer.
//!
//! None of them keeps anything: what they show is made of the store, by a [`Follower`](crate::follow::Follower) or of the
//! rows of runs.

pub(crate) mod attach;
pub(crate) mod dag;
pub(crate) mod telling;
pub(crate) mod told;

use martlet_core::Principal;
use martlet_store::{NewSession, RunRow, SessionId, StoreErrorKind, ValueId};
use serde_json::{Map, Value};

use crate::api::wait::Ephemeral;
use crate::clock;
use crate::problem::{Problem, ProblemKind};
use crate::router::Api;
use crate::service::{NewTask, bad_request};

/// The tools that a client withholds that wants no search of the web.
pub(crate) const WEB_TOOLS: [&str; 3] = ["web_search", "visit_webpage", "download_images"];

/// Does a task and waits for its end, also while people are asked.
pub(crate) async fn done(api: &Api, owner: &Principal, task: NewTask) -> Result<RunRow, Problem> {
    let row = api.service().submit(owner, task).await?;
    let ephemeral = Ephemeral::new(api.service(), &row.id);
    let row = tokio::select! {
        ended = api.service().ended(&row.id) => ended?,
        () = api.service().drained() => {
            // The run is stored: it is done after the next start.
            ephemeral.detach();
            let text = format!("the server is shutting down; see the run {} when it is back", row.id);
            return Err(Problem::new(ProblemKind::Draining, text));
        }
    };
    ephemeral.detach();
    Ok(row)
}

/// What a workflow is given: the values that a client sends along, and what the user says as `task`.
pub(crate) fn workflow_task(text: String, given: Option<Map<String, Value>>) -> NewTask {
    match given {
        Some(mut state) if !state.is_empty() => {
            if !text.trim().is_empty() {
                state.entry("task").or_insert(text.into());
            }
            NewTask::input(state.into())
        }
        _ => NewTask::words(text),
    }
}

/// The answer of a run that has one.
pub(crate) fn answer(row: &RunRow) -> Result<Value, Problem> {
    match (&row.answer, &row.error) {
        (Some(answer), _) if !answer.is_null() => Ok(answer.clone()),
        (_, Some(error)) => Err(Problem::new(ProblemKind::RunFailed, format!("run {}: {error}", row.id))),
        (answer, None) if row.outcome.as_deref() == Some("succeeded") => {
            Ok(answer.clone().unwrap_or_default())
        }
        _ => {
            let outcome = row.outcome.as_deref().unwrap_or("ended");
            let text = format!("run {} has no answer: it ended as `{outcome}`", row.id);
            Err(Problem::new(ProblemKind::RunFailed, text))
        }
    }
}

/// An answer as text: a text as it is, all else as JSON.
pub(crate) fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The session under a name that a client chose: each owner has names of their own.
pub(crate) fn session_id(owner: &Principal, name: &str) -> SessionId {
    let digest = ValueId::of(format!("{}\0{}\0{name}", owner.tenant, owner.user).as_bytes());
    let bits = digest.as_bytes().iter().take(16).fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
    SessionId::from_bits(bits)
}

/// The same, and it is there: a new one is with `agent`, or with the default agent.
pub(crate) async fn session(
    api: &Api,
    owner: &Principal,
    agent: Option<&str>,
    name: &str,
) -> Result<SessionId, Problem> {
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err(bad_request("session_id", "use 1 to 200 bytes, on one line"));
    }
    let owned = api.store().of(owner);
    let id = match SessionId::new(name) {
        // One that `/api/v1/sessions` made.
        Ok(known) if owned.session(&known).await.map_err(|error| api.failed(error))?.is_some() => known,
        _ => session_id(owner, name),
    };
    if owned.session(&id).await.map_err(|error| api.failed(error))?.is_some() {
        return Ok(id);
    }
    let agent = agent.or_else(|| api.service().catalog().default_agent_name()).unwrap_or_default().to_owned();
    let created_ms = clock::now_ms();
    // A name that a program chose says nothing to people: lists show what was asked first.
    let new = NewSession { id: id.clone(), owner: owner.clone(), title: String::new(), agent, created_ms };
    match api.store().create_session(new).await {
        Ok(_) => Ok(id),
        // Another request of the same owner was quicker.
        Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(id),
        Err(error) => Err(api.failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_owner_has_session_names_of_their_own() {
        let owner = |user| Principal::new("acme", user).unwrap();
        assert_eq!(session_id(&owner("ann"), "s"), session_id(&owner("ann"), "s"));
        assert_ne!(session_id(&owner("ann"), "s"), session_id(&owner("bob"), "s"));
    }
}
