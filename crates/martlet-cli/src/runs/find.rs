//! Runs and questions by their names, or by how these begin.

use martlet::RunId;
use martlet::store::{ApprovalId, ApprovalRow, ApprovalState, RunRow, Store};

use crate::exit::Failure;
use crate::style::escaped;

/// The beginning of names that are drawn at random: it may be left out.
const RUN: &str = "run_";
const QUESTION: &str = "appr_";

/// The one run of this name, or whose name begins so.
pub(super) async fn run(store: &Store, given: &str) -> Result<RunRow, Failure> {
    match run_named(store, given).await? {
        Some(run) => Ok(run),
        None => Err(Failure::usage(format!(
            "there is no run `{}`: `martlet runs list` shows them",
            escaped(given)
        ))),
    }
}

async fn run_named(store: &Store, given: &str) -> Result<Option<RunRow>, Failure> {
    if let Ok(id) = RunId::new(given)
        && let Some(row) = store.run(&id).await?
    {
        return Ok(Some(row));
    }
    for prefix in [given.to_owned(), format!("{RUN}{given}")] {
        if given.is_empty() {
            break;
        }
        let names = store.runs_named(&prefix, 2).await?;
        match names.as_slice() {
            [] => {}
            [only] => return Ok(store.run(only).await?),
            _ => return Err(several("runs", given)),
        }
    }
    Ok(None)
}

fn several(what: &str, given: &str) -> Failure {
    Failure::usage(format!("several {what} begin with `{}`: write more of the name", escaped(given)))
}

/// The one question of this name, or whose name begins so, or that the run of such a name asks.
pub(super) async fn question(store: &Store, given: &str) -> Result<ApprovalRow, Failure> {
    if let Ok(id) = ApprovalId::new(given)
        && let Some(row) = store.approval(&id).await?
    {
        return Ok(row);
    }
    for prefix in [given.to_owned(), format!("{QUESTION}{given}")] {
        // A name that begins as all do is none.
        if given.is_empty() || QUESTION.starts_with(&prefix) {
            continue;
        }
        let names = store.approvals_named(&prefix, 2).await?;
        match names.as_slice() {
            [] => {}
            [only] => {
                if let Some(row) = store.approval(only).await? {
                    return Ok(row);
                }
            }
            _ => return Err(several("questions", given)),
        }
    }
    let Some(run) = run_named(store, given).await? else {
        return Err(Failure::usage(format!(
            "there is no question and no run `{}`: `martlet runs list --state waiting` shows what waits",
            escaped(given)
        )));
    };
    let asked = store.approvals_of(&run.id).await?;
    let mut pending = asked.into_iter().filter(|row| row.state == ApprovalState::Pending);
    match (pending.next(), pending.next()) {
        (Some(row), None) => Ok(row),
        (None, _) => Err(Failure::usage(format!("run {} asks nothing", run.id))),
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "run {id} asks several things: name one of them (`martlet runs show {id}`)",
            id = run.id
        ))),
    }
}
