//! The agent that the configuration and the arguments describe.

use std::time::Duration;

use martlet::{Agent, Strategy};
use martlet_config::settings::{self, AgentTable, AnswerSchema, Text};
use martlet_config::{Builder, Config};
use serde_json::Value;

use crate::args::{ActionType, AgentArgs, PromptSize};
use crate::choose::{self, Choice};
use crate::config::{self, CommandHost};
use crate::exit::Failure;
use crate::render::Level;
use crate::signals::Signals;
use crate::tools;

/// What is known of the agent before there is a model.
pub(crate) struct Plan {
    config: Config,
    name: Option<String>,
    table: AgentTable,
    choice: Choice,
    host: CommandHost,
}

impl Plan {
    /// Reads the configuration, lays the flags on top, and checks what can be checked without a model, so that
    /// nothing is fetched for what is wrong.
    pub(crate) fn read(args: &AgentArgs, answer_schema: Option<Value>) -> Result<Self, Failure> {
        let config = config::load(&args.config)?;
        let (name, base) = named(args.agent.as_deref(), &config)?;
        let table = overlaid(base, args, answer_schema);
        check(args, &table)?;
        config.check_agent(name.as_deref(), &table)?;
        let host = CommandHost::new(&config, args.sandbox)?;
        let variable = |name: &str| std::env::var(name).ok();
        let choice = choose::choose(&args.model, &config, Some((name.as_deref(), &table)), &variable)?;
        Ok(Self { config, name, table, choice, host })
    }

    /// The most time of a run.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.table.timeout.map(|time| time.0)
    }

    /// The agent; the weights of an embedded model are fetched if they are not here.
    pub(crate) async fn build(&self, level: Level, signals: &mut Signals) -> Result<Agent, Failure> {
        choose::provide(&self.choice, level, signals).await?;
        let builder = Builder::new(&self.config, &self.host);
        let model = self.choice.open(&builder)?;
        Ok(builder.agent_with(self.name.as_deref(), &self.table, Some(model))?)
    }
}

/// The agent that is named, or the configuration's default one, or one with nothing set.
pub(crate) fn named(name: Option<&str>, config: &Config) -> Result<(Option<String>, AgentTable), Failure> {
    if let Some(name) = name {
        let table = config.agent_table(name).map_err(Failure::usage)?;
        return Ok((Some(name.to_owned()), table.clone()));
    }
    match &config.settings().agent {
        Some(name) => match config.agent_table(name) {
            Ok(table) => Ok((Some(name.clone()), table.clone())),
            Err(text) => Err(Failure::usage(config.problem(&["agent"], text).to_string())),
        },
        None => Ok((None, AgentTable::default())),
    }
}

/// The table with what the flags say.
fn overlaid(mut table: AgentTable, args: &AgentArgs, answer_schema: Option<Value>) -> AgentTable {
    if let Some(kind) = args.action_type {
        table.strategy = Some(match kind {
            ActionType::Code => Strategy::Code,
            ActionType::ToolCalling => Strategy::ToolCalling,
            ActionType::Reasoning => Strategy::Reasoning,
        });
    }
    if !args.tools.is_empty() {
        table.tools = args.tools.iter().map(|name| tools::own_name(name).to_owned()).collect();
    }
    if !args.imports.is_empty() {
        table.imports.clone_from(&args.imports);
    }
    if let Some(text) = &args.instructions {
        table.instructions = Some(Text::Inline(text.clone()));
    }
    if let Some(size) = args.prompt {
        table.prompt = Some(match size {
            PromptSize::Auto => settings::PromptSize::Auto,
            PromptSize::Compact => settings::PromptSize::Compact,
            PromptSize::Full => settings::PromptSize::Full,
        });
    }
    if let Some(steps) = args.max_steps {
        table.max_steps = Some(steps);
    }
    if let Some(tokens) = args.max_tokens {
        table.max_tokens = Some(tokens);
    }
    if let Some(time) = args.timeout {
        table.timeout = Some(martlet_config::Time(time));
    }
    if let Some(temperature) = args.model.temperature {
        table.options.temperature = Some(temperature);
    }
    if let Some(schema) = answer_schema {
        table.answer_schema = Some(AnswerSchema::Inline(schema));
    }
    table
}

/// What the flags make contradict itself, in their words. The configuration tells the rest in its own.
fn check(args: &AgentArgs, table: &AgentTable) -> Result<(), Failure> {
    let by_flags = args.action_type.is_some()
        || !args.tools.is_empty()
        || !args.imports.is_empty()
        || args.prompt.is_some();
    if !by_flags {
        return Ok(());
    }
    let python_tool = tools::has_python(&table.tools);
    let chosen_prompt = !matches!(table.prompt, None | Some(settings::PromptSize::Auto));
    match table.strategy.unwrap_or(Strategy::Code) {
        Strategy::Code if python_tool => Err(Failure::usage(
            "a code agent writes Python without a tool for it: leave out `python`, or add --action-type tool_calling",
        )),
        Strategy::ToolCalling | Strategy::Reasoning if !table.imports.is_empty() && !python_tool => {
            Err(Failure::usage(
                "--imports is for programs, and this agent writes none: add --tools python, or leave out --imports",
            ))
        }
        Strategy::ToolCalling if chosen_prompt => Err(Failure::usage(
            "--prompt chooses between the prompts of agents that write code or plan: leave it out with --action-type \
             tool_calling",
        )),
        _ => Ok(()),
    }
}
