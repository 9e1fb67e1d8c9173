//! An agent that writes Python, with one tool of yours.
//!
//! Runs offline on a scripted model. For a real one set `MARTLET_MODEL`, for example to `openai/gpt-4o` or
//! `ollama/qwen3`, and run `cargo run --ignore-rust-version --example 01_first_agent`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use martlet::{Agent, SharedModel, ToolError, replay, tool};
use martlet_testkit::ScriptedModel;

/// Current temperature of a city, in °C.
#[tool(read_only)]
async fn temperature(
    /// The city's name.
    city: String,
) -> Result<f64, ToolError> {
    match city.as_str() {
        "Oslo" => Ok(4.0),
        "Paris" => Ok(11.5),
        "Rome" => Ok(18.0),
        _ => Err(ToolError::new(format!("no station in {city}; there are Oslo, Paris and Rome"))),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = Agent::code(model()?).tool(temperature).build()?;
    let result = agent.run("Is Paris warmer than Rome, and by how much?").await?;
    println!("{}", replay(&result));
    assert!(!result.answer_text().is_empty());
    Ok(())
}

fn model() -> Result<SharedModel, martlet::model::ConfigError> {
    if std::env::var_os("MARTLET_MODEL").is_some() {
        return martlet::model::from_env();
    }
    Ok(Arc::new(ScriptedModel::new([
        "I ask for both temperatures.\n```python\nparis = temperature('Paris')\nrome = temperature('Rome')\nprint(paris, rome)\n```",
        "```python\nfinal_answer(f'No, Rome is warmer by {rome - paris} °C.')\n```",
    ])))
}
