//! `martlet agents`.

use martlet::Strategy;
use serde::Serialize;

use crate::args::{AgentsArgs, PythonOutput};
use crate::config;
use crate::exit::{Exit, Failure};
use crate::output::Sink;

/// An agent of the configuration.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    description: &'a str,
    strategy: Strategy,
    model: String,
    tools: &'a [String],
    /// Whether it is the one that is taken unless another is named.
    default: bool,
}

pub(crate) fn agents(args: &AgentsArgs) -> Result<Exit, Failure> {
    let config = config::load(&args.config)?;
    let settings = config.settings();
    let mut listed = Vec::new();
    for (name, table) in &settings.agents {
        let model = match config.model_of(Some(name), table)? {
            Some(choice) => choice.shown(),
            None => "the default".into(),
        };
        listed.push(Listed {
            name,
            description: &table.description,
            strategy: table.strategy.unwrap_or(Strategy::Code),
            model,
            tools: &table.tools,
            default: settings.agent.as_deref() == Some(name),
        });
    }
    match args.output {
        PythonOutput::Json => {
            let json =
                serde_json::to_string(&listed).map_err(|error| Failure::host("cannot write JSON", error))?;
            Sink::Stdout.line(&json)?;
        }
        PythonOutput::Text if listed.is_empty() => {
            return Err(Failure::usage(
                "no agent is configured: write a table [agents.NAME] into martlet.toml (see docs/configuration.md)",
            ));
        }
        PythonOutput::Text => {
            let width = listed.iter().map(|agent| agent.name.chars().count()).max().unwrap_or_default();
            let lines: Vec<String> = listed
                .iter()
                .map(|agent| {
                    let strategy = match agent.strategy {
                        Strategy::Code => "code",
                        Strategy::ToolCalling => "tool_calling",
                        Strategy::Reasoning => "reasoning",
                        _ => "other",
                    };
                    let mark = if agent.default { " (default)" } else { "" };
                    let description = match agent.description {
                        "" => String::new(),
                        text => format!("\n{:width$}  {text}", ""),
                    };
                    format!("{:width$}  {strategy}, {}{mark}{description}", agent.name, agent.model)
                })
                .collect();
            Sink::Stdout.line(&lines.join("\n"))?;
        }
    }
    Ok(Exit::Success)
}
