//! One agent, a thousand users at once: nobody waits for a thread, and nobody sees anybody else.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::{Duration, Instant};

use futures::future::join_all;
use martlet::{Agent, Role, ToolContext, tool};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use serde_json::json;

const USERS: usize = 1_000;

/// Looks up the balance of the user who asks.
#[tool(read_only)]
async fn balance(cx: &ToolContext) -> String {
    format!("the balance of {}", cx.user().unwrap_or("nobody"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Each call of this model takes 100 ms: first it asks for the tool, then it repeats what it was told.
    let model = ScriptedModel::from_fn(|request, _| match request.messages.last() {
        Some(last) if last.role == Role::Tool => ScriptedReply::text(last.joined_text()),
        _ => ScriptedReply::tool_call("balance", json!({})),
    })
    .delay(Duration::from_millis(100))
    .without_recording();
    let agent = Agent::tool_calling(model).tool(balance).build()?;

    let clock = Instant::now();
    let runs = (0..USERS).map(|number| {
        let agent = agent.clone();
        async move {
            let user = format!("user-{number}");
            let result = agent.run("What is my balance?").user(user.as_str()).await?;
            assert_eq!(result.answer_text(), format!("the balance of {user}"));
            Ok::<_, martlet::RunError>(result.usage.total())
        }
    });
    for run in join_all(runs).await {
        run?;
    }
    println!("{USERS} runs of 2 model calls, 100 ms each: {:?} in all", clock.elapsed());
    Ok(())
}
