//! `martlet runs approve|deny|answer`.

use std::path::Path;

use martlet::store::{Answer, ApprovalKind, ApprovalRow};
use serde_json::{Map, Value};

use super::show::asked_about;
use super::{By, change, find, write_json};
use crate::data;
use crate::exit::{Exit, Failure};
use crate::serve::Order;

pub(super) async fn approve(
    folder: &Path,
    given: &str,
    arguments: Option<&str>,
    json: bool,
) -> Result<Exit, Failure> {
    let row = asked(folder, given).await?;
    let answer = match (row.kind, arguments) {
        (ApprovalKind::Call, None) => Answer::Approve { for_run: false },
        (ApprovalKind::Call, Some(text)) => Answer::Edit { arguments: object(text)? },
        (ApprovalKind::Doubt, None) => Answer::Repeat,
        (ApprovalKind::Doubt, Some(_)) => {
            return Err(Failure::usage("a call in doubt is made again as it was: leave out --arguments"));
        }
        (ApprovalKind::Question, _) => {
            return Err(Failure::usage(format!(
                "the agent asks for words: `martlet runs answer {} \"…\"`",
                row.id
            )));
        }
    };
    let done = match answer {
        Answer::Repeat => "it is made again",
        Answer::Edit { .. } => "approved with other arguments",
        _ => "approved",
    };
    decide(folder, &row, answer, done, json).await
}

pub(super) async fn deny(folder: &Path, given: &str, reason: String, json: bool) -> Result<Exit, Failure> {
    let row = asked(folder, given).await?;
    decide(folder, &row, Answer::Deny { reason }, "denied", json).await
}

pub(super) async fn answer(folder: &Path, given: &str, text: String, json: bool) -> Result<Exit, Failure> {
    let row = asked(folder, given).await?;
    let answer = match row.kind {
        ApprovalKind::Question => Answer::Reply { text },
        ApprovalKind::Doubt => {
            let output = serde_json::from_str(&text).unwrap_or(Value::String(text));
            Answer::Done { output }
        }
        ApprovalKind::Call => {
            return Err(Failure::usage(format!(
                "this asks whether a call may be made: `martlet runs approve {id}` or `martlet runs deny {id}`",
                id = row.id
            )));
        }
    };
    decide(folder, &row, answer, "answered", json).await
}

async fn asked(folder: &Path, given: &str) -> Result<ApprovalRow, Failure> {
    find::question(&data::open_to_read(folder)?, given).await
}

fn object(text: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::usage(format!(
            "--arguments is no JSON object ({error}): write all arguments, as in '{{\"city\": \"Paris\"}}'"
        ))
    })
}

async fn decide(
    folder: &Path,
    row: &ApprovalRow,
    answer: Answer,
    done: &str,
    json: bool,
) -> Result<Exit, Failure> {
    let order = Order::Answer { approval: row.id.clone(), digest: row.digest, answer };
    let (_, by) = change(folder, order).await?;
    if json {
        write_json(&serde_json::json!({"approval": row.id, "run": row.root, "decision": done}))?;
        return Ok(Exit::Success);
    }
    crate::exit::say(&format!("{done}: {}", asked_about(row)));
    if by == By::Us {
        crate::exit::say(&format!(
            "no server runs: the run goes on when one starts, or with `martlet runs resume {}`",
            row.root
        ));
    }
    Ok(Exit::Success)
}
