//! Tools run in parallel: structured calls of one reply, and calls that Python gathers.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::{Duration, Instant};

use martlet::{Agent, tool};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use serde_json::json;

/// Finds the population of a country, in millions. Slow.
#[tool(read_only)]
async fn population(
    /// The country.
    country: String,
) -> f64 {
    tokio::time::sleep(Duration::from_millis(200)).await;
    match country.as_str() {
        "Norway" => 5.5,
        "Sweden" => 10.5,
        _ => 5.9,
    }
}

/// Sums numbers. A plain function: it runs on the blocking pool.
#[tool(read_only)]
fn total(
    /// The numbers.
    numbers: Vec<f64>,
) -> f64 {
    numbers.iter().sum()
}

const COUNTRIES: [&str; 3] = ["Norway", "Sweden", "Denmark"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let calls = COUNTRIES.map(|country| ("population", json!({"country": country})));
    let structured = Agent::tool_calling(ScriptedModel::new([
        ScriptedReply::tool_calls(calls),
        ScriptedReply::tool_call("total", json!({"numbers": [5.5, 10.5, 5.9]})),
        ScriptedReply::tool_call("final_answer", json!({"answer": "21.9 million"})),
    ]));
    let code = Agent::code(ScriptedModel::new([
        "```python\nimport asyncio\nfound = await asyncio.gather(*[population(c) for c in ['Norway', 'Sweden', 'Denmark']])\n\
         final_answer(f'{total(found)} million')\n```",
    ]));
    for agent in [structured, code] {
        let agent = agent.tool(population).tool(total).build()?;
        let clock = Instant::now();
        let result = agent.run("How many people live in Norway, Sweden and Denmark?").await?;
        println!("{:?}: {} after {:?}", agent.spec().strategy, result.answer_text(), clock.elapsed());
        assert_eq!(result.answer_text(), "21.9 million");
        let calls = &result.steps[0].calls;
        let (first, last) = (calls[0].timing.started_ms, calls[2].timing.started_ms);
        assert!(last - first < 200, "the calls did not run in parallel");
    }
    Ok(())
}
