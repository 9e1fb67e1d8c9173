//! An agent that gives tasks to other agents: each call is a run of its own, and calls run in parallel.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use martlet::core::ModelRequest;
use martlet::{Agent, EventKind, Update, tool};
use martlet_testkit::ScriptedModel;
use serde_json::json;

/// Inhabitants of a city.
#[tool]
async fn inhabitants(
    /// The city.
    city: String,
) -> u64 {
    if city == "Oslo" { 717_710 } else { 984_748 }
}

/// Plays the model of the researcher: it looks at the task, which is the first message after the system prompt.
fn researcher(request: &ModelRequest, _: usize) -> String {
    let task = request.messages.get(1).map(|message| message.joined_text()).unwrap_or_default();
    let city = if task.contains("Oslo") { "Oslo" } else { "Stockholm" };
    match request.messages.len() {
        2 => format!("```python\ncount = inhabitants('{city}')\nprint(count)\n```"),
        _ => format!("```python\nfinal_answer({{'city': '{city}', 'inhabitants': count}})\n```"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let researcher = Agent::code(ScriptedModel::from_fn(researcher))
        .name("researcher")
        .description("Finds figures about cities.")
        .tool(inhabitants)
        .answer_schema(json!({"type": "object", "required": ["city", "inhabitants"]}))
        .build()?;

    let model = ScriptedModel::new([
        "```python\nimport asyncio\nreports = await asyncio.gather(\n    researcher('How many people live in Oslo?'),\n    \
         researcher('How many people live in Stockholm?'),\n)\nprint(reports)\n```",
        "```python\nfinal_answer(max(reports, key=lambda report: report['inhabitants'])['city'])\n```",
    ]);
    let agent = Agent::code(model)
        .name("editor")
        .managed(researcher)
        .max_tokens(100_000) // of the editor and of all that work for it
        .build()?;

    let mut run = agent.run("Which city is larger, Oslo or Stockholm?").start();
    while let Some(update) = run.next().await {
        match update {
            Update::Event { event } => match &event.kind {
                EventKind::ChildStarted { name, child, .. } => println!("{name} begins as {child}"),
                EventKind::ChildEnded { name, usage, .. } => {
                    println!("{name} ends: {} tokens", usage.total())
                }
                _ => {}
            },
            // What happens in the child run, as it happens.
            Update::Child { name, update, .. } => {
                if let Update::Event { event } = *update
                    && let EventKind::StepEnded { step, .. } = &event.kind
                {
                    println!("  {name}: step {step} is done");
                }
            }
            _ => {}
        }
    }
    let result = run.result().await?;
    println!("{}", result.answer_text());
    assert_eq!(result.output, "Stockholm");
    Ok(())
}
