//! An agent that plans: its tasks run in parallel, and then it checks whether that was all.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use martlet::{Agent, EventKind, Update, tool};
use martlet_testkit::ScriptedModel;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Price of a train ticket, in euros.
#[tool(read_only)]
async fn ticket(
    /// Where it goes to.
    city: String,
) -> f64 {
    tokio::time::sleep(Duration::from_millis(100)).await;
    if city == "Bergen" { 39.0 } else { 54.5 }
}

/// The form of the answer.
#[derive(Debug, Deserialize, JsonSchema)]
struct Trip {
    city: String,
    euros: f64,
}

/// In place of a model: it answers what it is asked.
fn model() -> ScriptedModel {
    ScriptedModel::from_fn(|request, _| {
        let asked = request.messages.last().map(|message| message.joined_text()).unwrap_or_default();
        let find = |city: &str| {
            json!({"description": format!("Find the price to {city}"), "tool_name": "ticket", "depends_on": [],
                "requires_user_input": false})
        };
        let reply = if asked.contains("Now plan") {
            json!({"has_sufficient_info": true, "reasoning": "Compare two prices.",
                "tasks": [find("Bergen"), find("Trondheim")]})
        } else if asked.contains("is done: Find the price to Bergen") {
            json!({"city": "Bergen"})
        } else if asked.contains("is done: Find the price to Trondheim") {
            json!({"city": "Trondheim"})
        } else if asked.contains("Is the task complete") {
            json!({"is_complete": true, "reasoning": "Both prices are there.", "missing_steps": [], "next_action": ""})
        } else {
            json!({"city": "Bergen", "euros": 39.0})
        };
        reply.to_string()
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = Agent::reasoning(model()).tool(ticket).answer::<Trip>().build()?;
    let mut run = agent.run("Which train is cheaper, to Bergen or to Trondheim?").start();
    while let Some(update) = run.next().await {
        let Update::Event { event } = update else { continue };
        match &event.kind {
            EventKind::PlanMade { reasoning, tasks, .. } => println!("{} tasks: {reasoning}", tasks.len()),
            EventKind::TaskStarted { task, description, .. } => println!("  {task} {description} ..."),
            EventKind::TaskEnded { task, result, .. } => {
                println!("  {task} {}", result.as_deref().unwrap_or("failed"))
            }
            EventKind::CompletionChecked { check, .. } => println!("complete: {}", check.is_complete),
            _ => {}
        }
    }
    let result = run.result().await?;
    let trip: Trip = result.answer()?;
    println!("{} for {} euros; {:?}", trip.city, trip.euros, result.metrics());
    assert_eq!(result.metrics().successful_tool_calls, 2);
    Ok(())
}
