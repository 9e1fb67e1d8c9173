//! `martlet runs export`: all of a run, in one file.

use martlet::core::tool::display_value;
use martlet::store::{ApprovalRow, RunRow, Store, StoredEvent};
use martlet::{Event, EventKind};
use serde::Serialize;
use serde_json::Value;

use super::show::question;
use super::table::at;
use super::view;
use crate::args::ExportFormat;
use crate::data::now_ms;
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::style::{escaped, printable, unfaked};

/// The version of the JSON document.
const SCHEMA: u32 = 1;
/// Events that are read at once.
const PAGE: usize = 1_000;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    run: view::Run<'a>,
    events: Vec<Value>,
}

pub(super) async fn export(
    store: &Store,
    run: &RunRow,
    format: ExportFormat,
    sink: &mut Sink,
) -> Result<Exit, Failure> {
    let asked = store.approvals_of(&run.id).await?;
    let events = events(store, run).await?;
    let text = match format {
        ExportFormat::Json => {
            let events = events
                .iter()
                .map(|event| serde_json::from_slice(&event.event))
                .collect::<Result<_, _>>()
                .map_err(|error| Failure::host("an event is not JSON", error))?;
            let document = Document { schema: SCHEMA, run: view::Run::whole(run, &asked), events };
            let json = serde_json::to_string_pretty(&document)
                .map_err(|error| Failure::host("cannot write the run as JSON", error))?;
            // Line breaks of the layout stay; those in texts are escaped already.
            json.lines().map(unfaked).collect::<Vec<_>>().join("\n")
        }
        ExportFormat::Markdown => markdown(run, &events, &asked),
    };
    sink.line(&text)?;
    Ok(Exit::Success)
}

async fn events(store: &Store, run: &RunRow) -> Result<Vec<StoredEvent>, Failure> {
    let mut all: Vec<StoredEvent> = Vec::new();
    loop {
        let after = all.last().map_or(0, |event| event.seq);
        let page = store.events(&run.id, after, PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn markdown(run: &RunRow, events: &[StoredEvent], asked: &[ApprovalRow]) -> String {
    let mut text = format!("# {}\n\n", escaped(&run.title));
    text.push_str(&format!(
        "{} `{}` of {}, {}: {}\n",
        run.kind,
        escaped(&run.name),
        escaped(&run.owner.to_string()),
        at(run.created_ms),
        run.outcome.as_deref().unwrap_or(run.state.as_str()),
    ));
    let task = run.request.pointer("/input/task").and_then(Value::as_str);
    if let Some(task) = task {
        text.push_str(&format!("\n## Task\n\n{}\n", fenced(task, "")));
    }
    for event in events.iter().filter_map(|event| serde_json::from_slice::<Event>(&event.event).ok()) {
        // Runs in the run are told by what they gave.
        if event.run == run.id
            && let Some(part) = part(&event.kind)
        {
            text.push_str(&part);
        }
    }
    if !asked.is_empty() {
        text.push_str("\n## Questions to people\n\n");
        let now = now_ms();
        for row in asked {
            text.push_str(&format!("{}\n", fenced(&question(row, now).join("\n"), "")));
        }
    }
    if let Some(error) = &run.error {
        text.push_str(&format!("\n## Error\n\n{}\n", fenced(error, "")));
    }
    if let Some(answer) = run.answer.as_ref().filter(|answer| !answer.is_null()) {
        text.push_str(&format!("\n## Answer\n\n{}\n", printable(&display_value(answer))));
    }
    text.truncate(text.trim_end().len());
    text
}

/// What an event is worth in a document that people read.
fn part(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::StepStarted { step } => Some(format!("\n## Step {step}\n")),
        EventKind::ModelReplied { thought, .. } if !thought.trim().is_empty() => {
            Some(format!("\n{}\n", printable(thought.trim())))
        }
        EventKind::CodeStarted { code, .. } => Some(format!("\n{}\n", fenced(code, "python"))),
        EventKind::CodeEnded { stdout, value, error, .. } => {
            let parts = [Some(stdout.as_str()), value.as_deref(), error.as_deref()];
            let parts = parts.into_iter().flatten().map(str::trim_end).filter(|part| !part.is_empty());
            let text = parts.collect::<Vec<_>>().join("\n");
            (!text.is_empty()).then(|| format!("\n{}\n", fenced(&text, "text")))
        }
        EventKind::ToolCalled { name, arguments, .. } => {
            let call = crate::render::call(name, arguments, |value| value.to_owned());
            Some(format!("\n{}\n", fenced(&call, "text")))
        }
        EventKind::ToolReturned { output, error, .. } => {
            let text = error.as_deref().or(output.as_deref())?;
            Some(format!("\n{}\n", fenced(text, "text")))
        }
        EventKind::NodeEnded { node, output, error, .. } => {
            let text = error.as_deref().or(output.as_deref()).unwrap_or_default();
            Some(format!("\n## {}\n\n{}\n", escaped(node), fenced(text, "text")))
        }
        _ => None,
    }
}

/// A text between fences that it does not contain.
fn fenced(text: &str, language: &str) -> String {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}", printable(text.trim_end()))
}
