//! Agents by the names that the configuration gives them.

use martlet::core::code::CodeLimits;
use martlet::{Agent, AgentBuilder, ModelProfile, SharedModel, Strategy};
use serde_json::Value;

use crate::builder::Builder;
use crate::error::{ConfigError, Problem, instead};
use crate::load::Config;
use crate::models::ModelChoice;
use crate::settings::{AgentTable, AnswerSchema, CodeTable, PromptSize, Text};
use crate::workflows::circle;

impl Config {
    /// The table of the agent `name`.
    ///
    /// # Errors
    /// In words: there is none.
    pub fn agent_table(&self, name: &str) -> Result<&AgentTable, String> {
        self.settings.agents.get(name).ok_or_else(|| self.no_agent(name))
    }

    /// The model that an agent's table names, else that of the key `model`; `None` if neither says one.
    ///
    /// # Errors
    /// A name that means no model.
    pub fn model_of(&self, name: Option<&str>, table: &AgentTable) -> Result<Option<ModelChoice>, Problem> {
        match &table.model {
            Some(model) => self.model_choice(model, &["agents", name.unwrap_or_default(), "model"]).map(Some),
            None => self.default_model(),
        }
    }

    /// Whether what an agent's table says fits together. The table is that of `name`, also with something laid on top of
    /// it, or stands for itself.
    ///
    /// # Errors
    /// The first thing that contradicts another.
    pub fn check_agent(&self, name: Option<&str>, table: &AgentTable) -> Result<(), Problem> {
        let at = Place { config: self, name };
        let strategy = table.strategy.unwrap_or(Strategy::Code);
        let python = table.tools.iter().position(|tool| tool == PYTHON);
        if strategy == Strategy::Code {
            return match python {
                None => Ok(()),
                Some(place) => Err(at.item(
                    "tools",
                    place,
                    "a code agent writes Python without a tool for it: leave out `python`, or set \
                     `strategy = \"tool_calling\"`",
                )),
            };
        }
        if !table.imports.is_empty() && python.is_none() {
            let text =
                "this is for programs, and this agent writes none: leave it out, or add the tool `python`";
            return Err(at.problem("imports", text));
        }
        // Limits of an agent that writes code do no harm where a flag makes another of it.
        let as_written = name
            .and_then(|name| self.settings.agents.get(name))
            .is_some_and(|written| written.strategy == table.strategy);
        if as_written && table.code != CodeTable::default() {
            let text = "these are limits for agents that write code, and this one does not: leave them out";
            return Err(at.problem("code", text));
        }
        if strategy == Strategy::ToolCalling
            && matches!(table.prompt, Some(PromptSize::Compact | PromptSize::Full))
        {
            let text = "it chooses between the prompts of agents that write code or plan: leave it out with this strategy";
            return Err(at.problem("prompt", text));
        }
        Ok(())
    }
}

/// The tool that runs programs.
const PYTHON: &str = "python";

impl Builder<'_> {
    /// The agent that a table describes, which is that of `name` or stands for itself. `model` takes the place of the
    /// one that the table names.
    ///
    /// # Errors
    /// Something that the table names is wrong.
    pub fn agent_with(
        &self,
        name: Option<&str>,
        table: &AgentTable,
        model: Option<SharedModel>,
    ) -> Result<Agent, ConfigError> {
        self.agent_of(name, table, model, &[])
    }

    pub(crate) fn agent_of(
        &self,
        name: Option<&str>,
        table: &AgentTable,
        model: Option<SharedModel>,
        above: &[String],
    ) -> Result<Agent, ConfigError> {
        self.config.check_agent(name, table)?;
        let model = match (model, &table.model) {
            (Some(model), _) => model,
            (None, None) => self.default_model()?,
            (None, Some(_)) => match self.config.model_of(name, table)? {
                Some(choice) => self.model(&choice)?,
                None => self.default_model()?,
            },
        };
        let at = Place { config: self.config, name };
        if name.is_some() {
            self.check_tools(&at, table)?;
        }
        let sandbox = self.sandbox()?;
        let tools = self
            .host
            .tools(&table.tools, &sandbox, &table.imports)
            .map_err(|error| ConfigError::caused(at.problem("tools", &error.to_string()), error))?;
        let profile = model.profile();
        let strategy = table.strategy.unwrap_or(Strategy::Code);
        let mut builder: AgentBuilder = match strategy {
            Strategy::Code => {
                Agent::code(model).imports(table.imports.iter().cloned()).code_limits(limits(&table.code))
            }
            Strategy::ToolCalling => Agent::tool_calling(model),
            Strategy::Reasoning => Agent::reasoning(model),
            _ => {
                let text = "this version cannot build such agents: write \"code\", \"tool_calling\" or \"reasoning\"";
                return Err(at.problem("strategy", text).into());
            }
        };
        builder = builder.tools(&tools).sandbox(sandbox).options(table.options.clone());
        if let Some(name) = name {
            builder = builder.name(name);
        }
        if !table.description.is_empty() {
            builder = builder.description(&table.description);
        }
        if let Some(text) = &table.instructions {
            builder = builder.instructions(at.text(text)?);
        }
        if let Some(steps) = table.max_steps {
            if steps == 0 {
                return Err(at.problem("max_steps", "it must be at least 1").into());
            }
            builder = builder.max_steps(steps);
        }
        if let Some(tokens) = table.max_tokens {
            builder = builder.max_tokens(tokens);
        }
        if let Some(chars) = table.observation_chars {
            builder = builder.observation_chars(chars);
        }
        if let Some(tokens) = table.memory_tokens {
            if tokens < martlet::core::memory::MIN_TOKENS {
                let text = format!("it must be at least {}", martlet::core::memory::MIN_TOKENS);
                return Err(at.problem("memory_tokens", &text).into());
            }
            builder = builder.memory_tokens(tokens);
        }
        let owner = name.map(|name| ["agents", name]);
        builder =
            builder.approvals(self.policy(owner.as_ref().map_or(&[][..], |owner| owner), &table.approvals)?);
        if let Some(schema) = &table.answer_schema {
            builder = builder.answer_schema(at.schema(schema)?);
        }
        let mut path = above.to_vec();
        path.extend(name.map(|name| format!("agents.{name}")));
        for (place, managed) in table.agents.iter().enumerate() {
            let known = self.config.settings();
            let is_agent = known.agents.contains_key(managed);
            if !is_agent && !known.workflows.contains_key(managed) {
                let names = known.agents.keys().chain(known.workflows.keys()).map(String::as_str);
                let text =
                    format!("there is no agent and no workflow `{managed}`: {}", instead(managed, names));
                return Err(at.item("agents", place, &text).into());
            }
            let kind = if is_agent { "agents" } else { "workflows" };
            if let Some(circle) = circle(&path, &format!("{kind}.{managed}")) {
                let text = format!("workflows and agents cannot contain each other in a circle: {circle}");
                return Err(at.item("agents", place, &text).into());
            }
            builder = match is_agent {
                true => builder.managed(self.agent_within(managed, &path)?),
                false => builder.managed(self.workflow_within(managed, &path)?),
            };
        }
        builder = match table.prompt {
            Some(PromptSize::Compact) => builder.profile(ModelProfile { small: true, ..profile }),
            Some(PromptSize::Full) => builder.profile(ModelProfile { small: false, ..profile }),
            None | Some(PromptSize::Auto) => builder,
        };
        builder.build().map_err(|error| ConfigError::caused(at.whole(&error.to_string()), error))
    }

    /// Names of tools, and what contradicts them.
    fn check_tools(&self, at: &Place<'_>, table: &AgentTable) -> Result<(), Problem> {
        let known = self.host.tool_names();
        for (place, tool) in table.tools.iter().enumerate() {
            if !known.contains(tool) {
                let text =
                    format!("there is no tool `{tool}`: {}", instead(tool, known.iter().map(String::as_str)));
                return Err(at.item("tools", place, &text));
            }
        }
        Ok(())
    }
}

fn limits(table: &CodeTable) -> CodeLimits {
    let default = CodeLimits::default();
    CodeLimits {
        time_ms: table.time.map_or(default.time_ms, crate::Time::millis),
        memory_bytes: table.memory_mib.map_or(default.memory_bytes, |mib| mib.saturating_mul(1 << 20)),
        output_chars: table.output_chars.unwrap_or(default.output_chars),
        calls: table.calls.unwrap_or(default.calls),
        ..default
    }
}

/// The table of an agent, for messages and for paths.
struct Place<'a> {
    config: &'a Config,
    name: Option<&'a str>,
}

impl Place<'_> {
    fn problem(&self, key: &str, text: &str) -> Problem {
        match self.name {
            Some(name) => self.config.problem(&["agents", name, key], text),
            // What stands in no file comes from a flag, which the words of the host are about.
            None => Problem::new(text),
        }
    }

    fn item(&self, key: &str, place: usize, text: &str) -> Problem {
        match self.name {
            Some(name) if self.config.origin(&["agents", name, key, &place.to_string()]).is_some() => {
                self.config.problem(&["agents", name, key, &place.to_string()], text)
            }
            _ => self.problem(key, text),
        }
    }

    fn whole(&self, text: &str) -> Problem {
        match self.name {
            Some(name) => {
                let origin = self.config.origin(&["agents", name]).cloned();
                let place = origin.as_ref().map(|origin| format!(" ({origin})")).unwrap_or_default();
                let problem = Problem::new(format!("[agents.{name}]{place}: {text}"));
                origin.map_or(problem.clone(), |origin| problem.at(origin))
            }
            None => Problem::new(text),
        }
    }

    fn read(&self, key: &str, path: &std::path::Path) -> Result<String, Problem> {
        let directory = self
            .name
            .and_then(|name| self.config.origin(&["agents", name, key]))
            .and_then(crate::Origin::directory);
        let path = directory.map_or_else(|| path.to_owned(), |directory| directory.join(path));
        std::fs::read_to_string(&path).map_err(|error| {
            self.problem(key, &format!("cannot read {}: {error}", crate::origin::shown(&path).display()))
        })
    }

    fn text(&self, text: &Text) -> Result<String, Problem> {
        match text {
            Text::Inline(text) => Ok(text.clone()),
            Text::File(path) => self.read("instructions", path),
        }
    }

    fn schema(&self, schema: &AnswerSchema) -> Result<Value, Problem> {
        match schema {
            AnswerSchema::Inline(schema) => Ok(schema.clone()),
            AnswerSchema::File(path) => {
                let text = self.read("answer_schema", path)?;
                serde_json::from_str(&text).map_err(|error| {
                    let shown = path.display();
                    self.problem("answer_schema", &format!("{shown} is not JSON: {error}"))
                })
            }
        }
    }
}
