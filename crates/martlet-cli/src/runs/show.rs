//! `martlet runs show`.

use martlet::core::tool::display_value;
use martlet::store::{Answer, ApprovalKind, ApprovalRow, ApprovalState, RunRow, Store};
use serde_json::Value;

use super::list::standing;
use super::table::{ago, at};
use super::{view, write_json};
use crate::data::now_ms;
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::render::call;
use crate::style::{escaped, printable};

pub(super) async fn show(store: &Store, run: &RunRow, json: bool) -> Result<Exit, Failure> {
    let asked = store.approvals_of(&run.id).await?;
    match json {
        true => write_json(&view::Run::whole(run, &asked))?,
        false => Sink::Stdout.line(&text(run, &asked))?,
    }
    Ok(Exit::Success)
}

fn text(run: &RunRow, asked: &[ApprovalRow]) -> String {
    let now = now_ms();
    let mut lines = Vec::new();
    let mut fact = |name: &str, value: String| lines.push(format!("{name:<9} {value}"));
    fact("run", run.id.to_string());
    fact("state", standing(run));
    fact(run.kind.as_str(), escaped(&run.name));
    fact("owner", escaped(&run.owner.to_string()));
    if let Some(session) = &run.session {
        fact("session", session.to_string());
    }
    if let Some(fork) = &run.forked_from {
        fact("fork of", format!("{}, from step {} on", fork.run, fork.step));
    }
    fact("created", format!("{} ({})", at(run.created_ms), ago(run.created_ms, now)));
    if let Some(ended) = run.ended_ms {
        let took = ended.saturating_sub(run.started_ms.unwrap_or(ended));
        #[expect(clippy::cast_precision_loss, reason = "nobody waits for 2^53 milliseconds")]
        let seconds = took as f64 / 1_000.0;
        fact("ended", format!("{}, {seconds:.1} s after its start", at(ended)));
    }
    fact("tokens", format!("{} in, {} out", run.usage.input_tokens, run.usage.output_tokens));
    fact("events", run.last_event.to_string());
    let task = run.request.pointer("/input/task").and_then(Value::as_str).unwrap_or(&run.title);
    block(&mut lines, "task", task);
    for row in asked {
        lines.push(String::new());
        lines.extend(question(row, now));
    }
    if let Some(error) = &run.error {
        block(&mut lines, "error", error);
    }
    if let Some(answer) = run.answer.as_ref().filter(|answer| !answer.is_null()) {
        block(&mut lines, "answer", &display_value(answer));
    }
    lines.join("\n")
}

/// A longer text below its name.
fn block(lines: &mut Vec<String>, name: &str, text: &str) {
    lines.push(String::new());
    lines.push(name.to_owned());
    lines.extend(text.lines().map(|line| format!("  {}", printable(line))));
}

/// A question, what it is about, and how to answer it or what was answered.
pub(super) fn question(row: &ApprovalRow, now: u64) -> Vec<String> {
    let what = match row.kind {
        ApprovalKind::Call => "may this call be made?",
        ApprovalKind::Question => "the agent asks:",
        ApprovalKind::Doubt => "was this call made, before the server ended?",
    };
    let mut lines = vec![format!("{}  {what}", row.id), format!("  {}", asked_about(row))];
    match row.state {
        ApprovalState::Pending => {
            let left = row.expires_ms.saturating_sub(now) / 60_000;
            lines.push(format!("  waits since {}; denied in {left} min", at(row.asked_ms)));
            let id = &row.id;
            lines.push(match row.kind {
                ApprovalKind::Call => format!("  martlet runs approve {id}   or   martlet runs deny {id}"),
                ApprovalKind::Question => format!("  martlet runs answer {id} \"…\""),
                ApprovalKind::Doubt => format!(
                    "  martlet runs approve {id} (make it again)   or   martlet runs answer {id} OUTPUT (it was made)"
                ),
            });
        }
        state => {
            let by =
                row.by.as_ref().map(|by| format!(" by {}", escaped(&by.to_string()))).unwrap_or_default();
            let answer = row.answer.as_ref().map_or_else(|| state.as_str().to_owned(), answered);
            lines.push(format!("  {answer}{by}"));
        }
    }
    lines
}

/// The call or the question itself, as it really is.
pub(super) fn asked_about(row: &ApprovalRow) -> String {
    let text = match (row.kind, row.arguments.get("question").and_then(Value::as_str)) {
        (ApprovalKind::Question, Some(text)) => text.to_owned(),
        _ => call(&row.tool, &row.arguments, |value| value.to_owned()),
    };
    escaped(&text)
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Approve { for_run: true } => "approved, for the whole run".into(),
        Answer::Approve { .. } => "approved".into(),
        Answer::Edit { arguments } => {
            let arguments = serde_json::to_string(arguments).unwrap_or_default();
            format!("approved with {}", escaped(&arguments))
        }
        Answer::Deny { reason } => format!("denied: {}", escaped(reason)),
        Answer::Reply { text } => format!("answered: {}", escaped(text)),
        Answer::Repeat => "made again".into(),
        Answer::Done { output } => format!("it was made and gave {}", escaped(&output.to_string())),
    }
}
