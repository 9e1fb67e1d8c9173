//! The endpoints of other agent servers, with their JSON, for clients that were written for those.
//!
//! They wait for the run: it is cancelled when the client goes away. There is no history that all share: everybody sees
//! their own.

pub(crate) mod agent;
pub(crate) mod ask;
pub(crate) mod dag;
pub(crate) mod history;
pub(crate) mod tools;

use martlet_core::Principal;
use martlet_store::RunRow;

use crate::api::wait::Ephemeral;
use crate::problem::{Problem, ProblemKind};
use crate::router::Api;
use crate::service::NewTask;

/// Does a task and waits for its end, also while people are asked.
async fn done(api: &Api, owner: &Principal, task: NewTask) -> Result<RunRow, Problem> {
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

/// The answer of a run that has one.
fn answer(row: &RunRow) -> Result<serde_json::Value, Problem> {
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
fn as_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
