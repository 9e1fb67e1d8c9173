//! Watching a run as it happens, from several places, and cancelling it.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use martlet::core::Delta;
use martlet::{Agent, EventKind, RunStatus, Update, tool};
use martlet_testkit::{ScriptedModel, ScriptedReply};

/// Waits for a parcel that never comes.
#[tool]
async fn parcel() -> String {
    std::future::pending().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = ScriptedModel::new([
        ScriptedReply::text("First I count.\n```python\nfor i in range(3):\n    print('line', i)\n```")
            .pieces(8),
        ScriptedReply::text("Now I wait.\n```python\nparcel()\n```").pieces(8),
    ]);
    let agent = Agent::code(model).tool(parcel).build()?;
    let mut run = agent.run("Count, then wait for the parcel.").start();

    // A second observer sees the same events, from the first one on, and slows nothing down.
    let mut other = run.observe();
    let counted = tokio::spawn(async move {
        let mut events = 0;
        while let Some(update) = other.next().await {
            events += usize::from(matches!(update, Update::Event { .. }));
        }
        events
    });

    while let Some(update) = run.next().await {
        match update {
            Update::Delta { delta: Delta::Text { text }, .. } => print!("{text}"),
            Update::Printed { text, .. } => print!("  | {text}"),
            Update::Event { event } => {
                println!("[{}] {}", event.seq, serde_json::to_value(&*event)?["type"]);
                if matches!(event.kind, EventKind::ToolCalled { .. }) {
                    run.cancel();
                }
            }
            _ => {}
        }
    }
    let result = run.await?;
    println!("{:?} after {} steps", result.status, result.steps.len());
    assert_eq!(result.status, RunStatus::Cancelled);
    assert!(counted.await? > 5);
    Ok(())
}
