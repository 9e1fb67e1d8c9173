//! A workflow of agents: one reads in, three look at the same time, one writes the report. First one after the other,
//! then in parallel; and its picture. With `MARTLET_MODEL` set, a real model does the work: `MARTLET_MODEL=local`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use martlet::core::graph::svg;
use martlet::{Agent, Graph, Node, SharedModel};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use serde_json::json;

const SALES: &str = "north 12, 15, 11; south 31, 28, 40; west 7, 9, 8 (units a month, from January)";

/// Answers each agent after 200 ms, so that the example runs offline.
fn scripted() -> ScriptedModel {
    ScriptedModel::from_fn(|request, _| {
        let said: String = request.messages.iter().map(|message| message.joined_text()).collect();
        let answer = ["Write a report", "Explain", "What pattern", "Sum up", "Clean"]
            .into_iter()
            .find(|task| said.contains(task))
            .map_or_else(|| "?".to_owned(), |task| format!("[{task}: done]"));
        ScriptedReply::tool_call("final_answer", json!({ "answer": answer }))
            .delay(Duration::from_millis(200))
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model: SharedModel = match std::env::var_os("MARTLET_MODEL") {
        Some(_) => martlet::model::from_env()?,
        None => Arc::new(scripted()),
    };
    let agent = |task: &str| -> Result<Node, martlet::AgentError> {
        let agent = Agent::tool_calling(model.clone())
            .instructions("Answer in at most two sentences, in plain text.")
            .max_steps(3)
            .build()?;
        Ok(Node::new(agent).prompt(task))
    };
    let report = Graph::new("report")
        .node(
            "ingest",
            agent("Clean up this list, one line for each region, and change no number: {{ data }}")?,
        )
        .node("stats", agent("Sum up the units of each region:\n{{ ingest }}")?)
        .node("patterns", agent("What pattern over the months do you see?\n{{ ingest }}")?)
        .node("analysis", agent("Explain in a sentence which region needs attention:\n{{ ingest }}")?)
        .node(
            "report",
            agent("Write a report of two sentences from: {{ stats }} {{ patterns }} {{ analysis }}")?,
        )
        .edge("ingest", "stats")
        .edge("ingest", "patterns")
        .edge("ingest", "analysis")
        .edge("stats", "report")
        .edge("patterns", "report")
        .edge("analysis", "report")
        .build()?;

    let one_by_one = report.run(json!({ "data": SALES })).sequential().await?;
    let parallel = report.run(json!({ "data": SALES })).await?;
    println!("{}", parallel.output);
    println!(
        "{:.1} s one after the other, {:.1} s in parallel; the critical path is {} with {:.1} s",
        one_by_one.execution_time_seconds,
        parallel.execution_time_seconds,
        parallel.critical_path.join(" -> "),
        parallel.critical_path_seconds
    );

    let picture = std::env::temp_dir().join("martlet-report.svg");
    std::fs::write(&picture, svg(report.spec(), Some(&parallel)))?;
    println!("its picture: {}", picture.display());
    Ok(())
}
