//! What an agent is: settings, checked once, then shared by any number of runs.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::approval::{ApprovalPolicy, PolicyError};
use crate::code::CodeLimits;
use crate::managed::{ManagedKind, ManagedSpec};
use crate::model::{ModelOptions, ModelProfile};
use crate::name;
use crate::prompt::{PromptError, Prompts};
use crate::run::Task;
use crate::tool::{FINAL_ANSWER, ToolSpec};

/// How an agent acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Strategy {
    /// It writes Python that calls the tools.
    Code,
    /// It asks for structured tool calls.
    ToolCalling,
    /// It plans tasks, has them done in parallel, and checks whether that completes the whole.
    Reasoning,
}

/// Everything that can be set of an agent. [`AgentSpec::new`] checks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSettings {
    /// Its name, for people and for other agents. Default: `agent`.
    pub name: String,
    /// What it is good for, for other agents.
    pub description: String,
    /// How it acts. Default: [`Strategy::Code`].
    pub strategy: Strategy,
    /// Instructions of its own, added to the system prompt.
    pub instructions: Option<String>,
    /// Templates that replace or extend Martlet's.
    pub prompts: Prompts,
    /// What its prompts may expect of the model.
    pub profile: ModelProfile,
    /// Its tools; `final_answer` is there without being named, and can be replaced by naming it.
    pub tools: Arc<[ToolSpec]>,
    /// The agents and graphs that it may give tasks to.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub agents: Arc<[ManagedSpec]>,
    /// JSON Schema that the input of a run must satisfy ([`AgentSpec::task`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// JSON Schema that the answer must satisfy; the model is told what is wrong until it does.
    pub answer_schema: Option<Value>,
    /// Whether the host checks answers before they are accepted.
    pub answer_checks: bool,
    /// Sampling and length of each model call.
    pub options: ModelOptions,
    /// How far a run may go.
    pub limits: RunLimits,
    /// Which calls need a person. Default: those of tools that say so themselves.
    #[serde(skip_serializing_if = "ApprovalPolicy::is_empty")]
    pub approvals: ApprovalPolicy,
    /// Python, for [`Strategy::Code`].
    pub code: CodeSettings,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            name: "agent".into(),
            description: String::new(),
            strategy: Strategy::Code,
            instructions: None,
            prompts: Prompts::default(),
            profile: ModelProfile::default(),
            tools: Arc::from([]),
            agents: Arc::from([]),
            input_schema: None,
            answer_schema: None,
            answer_checks: false,
            options: ModelOptions::default(),
            limits: RunLimits::default(),
            approvals: ApprovalPolicy::default(),
            code: CodeSettings::default(),
        }
    }
}

impl AgentSettings {
    /// The managed agent of that name.
    pub fn managed(&self, name: &str) -> Option<&ManagedSpec> {
        self.agents.iter().find(|agent| agent.name == name)
    }
}

/// How far a run may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunLimits {
    /// Steps, at least 1; then one last call asks for an answer. Default: 20.
    pub max_steps: u32,
    /// Tokens read and written by all model calls together. Default: no limit.
    pub max_tokens: Option<u64>,
    /// Characters of one observation; what is longer is cut in the middle, with a mark. Default: 20,000.
    pub observation_chars: usize,
    /// Structured calls in one reply, and tasks in one plan. Default: 64.
    pub calls_per_step: usize,
    /// Tokens of what was said before, of which a run is shown no more: what is older gets shorter. An estimate. Without a
    /// number everything is shown. Default: 24,000.
    // Runs that began before there was this limit have none: they must go on as they began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_tokens: Option<u64>,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            max_steps: 20,
            max_tokens: None,
            observation_chars: 20_000,
            calls_per_step: 64,
            memory_tokens: Some(crate::memory::DEFAULT_TOKENS),
        }
    }
}

/// Python, for agents that write it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodeSettings {
    /// How far a program may go.
    pub limits: CodeLimits,
    /// The modules that programs may import, for the prompt; the sandbox enforces its own list.
    pub modules: Vec<String>,
    /// What this Python lacks and what to write instead, for the prompt.
    pub notes: String,
}

/// An agent: checked settings and the system prompt that follows from them. Immutable, to be shared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AgentSettings", into = "AgentSettings")]
pub struct AgentSpec {
    settings: AgentSettings,
    system_prompt: Arc<str>,
    offered: Arc<[ToolSpec]>,
}

impl AgentSpec {
    /// Checks the settings and writes the system prompt.
    ///
    /// # Errors
    /// A name of a tool or managed agent that cannot be used or is there twice, a schema that cannot be used, a managed
    /// agent without a description, a limit of zero, an approval rule that makes no sense, or a template that fails.
    pub fn new(settings: AgentSettings) -> Result<Self, SpecError> {
        if settings.limits.max_steps == 0 {
            return Err(SpecError::Limit("max_steps must be at least 1".into()));
        }
        if settings.limits.memory_tokens.is_some_and(|tokens| tokens < crate::memory::MIN_TOKENS) {
            let text = format!("memory_tokens must be at least {}", crate::memory::MIN_TOKENS);
            return Err(SpecError::Limit(text));
        }
        if let Some(schema) = &settings.answer_schema {
            crate::schema::compile(schema).map_err(SpecError::AnswerSchema)?;
        }
        if let Some(schema) = &settings.input_schema {
            crate::schema::compile(schema).map_err(SpecError::InputSchema)?;
        }
        for (position, tool) in settings.tools.iter().enumerate() {
            if let Err(problem) = name::check(&tool.name) {
                return Err(SpecError::ToolName { tool: tool.name.clone(), problem });
            }
            if settings.tools.iter().take(position).any(|earlier| earlier.name == tool.name) {
                return Err(SpecError::DuplicateTool(tool.name.clone()));
            }
            tool.check_schema()
                .map_err(|problem| SpecError::ToolSchema { tool: tool.name.clone(), problem })?;
        }
        check_agents(&settings)?;
        settings.approvals.check()?;
        let offered = offered_by(&settings);
        let system_prompt = settings.prompts.system(&settings, &offered)?.into();
        if settings.strategy == Strategy::Reasoning {
            settings.prompts.try_reasoning(&settings)?;
        }
        Ok(Self { settings, system_prompt, offered })
    }

    /// This agent where it works for what `outer` governs: bound by those rules as well.
    #[must_use]
    pub fn within(&self, outer: &ApprovalPolicy) -> Self {
        let mut spec = self.clone();
        spec.settings.approvals = spec.settings.approvals.within(outer);
        spec
    }

    /// This agent with the tools that a task brings along, and without the tools and managed agents of these names: its
    /// model is not told of them, and cannot call them. A name that it has already stays what it is, and names that it
    /// does not have change nothing; `final_answer` stays, as a run has to end.
    #[must_use]
    pub fn for_task(&self, added: &[ToolSpec], without: &[String]) -> Self {
        let is_gone = |name: &str| name != FINAL_ANSWER && without.iter().any(|gone| gone == name);
        let mut settings = self.settings.clone();
        let added = added.iter().filter(|tool| self.tool(&tool.name).is_none());
        let tools = settings.tools.iter().chain(added);
        settings.tools = tools.filter(|tool| !is_gone(&tool.name)).cloned().collect();
        settings.agents = settings.agents.iter().filter(|agent| !is_gone(&agent.name)).cloned().collect();
        let offered = offered_by(&settings);
        // A template may fail for want of what it names: then the model is told of more than it can call.
        let system_prompt = match settings.prompts.system(&settings, &offered) {
            Ok(prompt) => prompt.into(),
            Err(_) => self.system_prompt.clone(),
        };
        Self { settings, system_prompt, offered }
    }

    /// The system prompt with which each run begins.
    pub fn system_prompt(&self) -> &Arc<str> {
        &self.system_prompt
    }

    /// The task that an input makes: checked against the input's schema, and put into words by
    /// [`task_text`](crate::graph::task_text).
    ///
    /// # Errors
    /// What is wrong with the input.
    pub fn task(&self, input: &Value) -> Result<Task, InputError> {
        self.check_input(input)?;
        Ok(Task::new(crate::graph::task_text(input)))
    }

    /// Checks an input against the input's schema, if there is one. A text is also read as JSON.
    ///
    /// # Errors
    /// What is wrong with the input.
    pub fn check_input(&self, input: &Value) -> Result<(), InputError> {
        let Some(schema) = &self.settings.input_schema else { return Ok(()) };
        let Err(problem) = crate::schema::check(schema, input) else { return Ok(()) };
        let read = input.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        match read.map(|read| crate::schema::check(schema, &read)) {
            Some(Ok(())) => Ok(()),
            Some(Err(problem)) => Err(InputError(problem)),
            None => Err(InputError(problem)),
        }
    }

    /// The tools, the managed agents and `final_answer`, as the model is offered them.
    pub fn offered_tools(&self) -> &Arc<[ToolSpec]> {
        &self.offered
    }

    /// The tool of that name, or the managed agent as a tool; `final_answer` always exists.
    pub fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.offered.iter().find(|tool| tool.name == name)
    }

    /// Whether the host has a `final_answer` of its own, to which answers are passed.
    pub fn has_own_final_answer(&self) -> bool {
        self.settings.tools.iter().any(|tool| tool.name == FINAL_ANSWER)
    }
}

impl Deref for AgentSpec {
    type Target = AgentSettings;

    fn deref(&self) -> &AgentSettings {
        &self.settings
    }
}

impl TryFrom<AgentSettings> for AgentSpec {
    type Error = SpecError;

    fn try_from(settings: AgentSettings) -> Result<Self, SpecError> {
        Self::new(settings)
    }
}

impl From<AgentSpec> for AgentSettings {
    fn from(spec: AgentSpec) -> Self {
        spec.settings
    }
}

/// The tools, the managed agents and `final_answer`.
fn offered_by(settings: &AgentSettings) -> Arc<[ToolSpec]> {
    let mut offered = settings.tools.to_vec();
    offered.extend(settings.agents.iter().map(ManagedSpec::tool));
    if !offered.iter().any(|tool| tool.name == FINAL_ANSWER) {
        offered.push(final_answer_spec(settings.answer_schema.as_ref()));
    }
    offered.into()
}

fn check_agents(settings: &AgentSettings) -> Result<(), SpecError> {
    for (position, agent) in settings.agents.iter().enumerate() {
        let name = || agent.name.clone();
        if let Err(problem) = name::check(&agent.name) {
            return Err(SpecError::AgentName { agent: name(), problem });
        }
        let taken = settings.tools.iter().map(|tool| tool.name.as_str()).chain([FINAL_ANSWER]);
        if taken.into_iter().any(|tool| tool == agent.name) {
            return Err(SpecError::AgentNamedAsTool(name()));
        }
        if settings.agents.iter().take(position).any(|earlier| earlier.name == agent.name) {
            return Err(SpecError::DuplicateAgent(name()));
        }
        if agent.description.trim().is_empty() {
            return Err(SpecError::NoDescription(name()));
        }
        if let Some(schema) = &agent.returns {
            crate::schema::compile(schema)
                .map_err(|problem| SpecError::ToolSchema { tool: name(), problem })?;
        }
        if agent.input.is_some() {
            agent.tool().check_schema().map_err(|problem| SpecError::ManagedInput {
                agent: name(),
                problem: format!("{problem}; let it take a struct"),
            })?;
            if agent.prompt.is_some() {
                let problem = "it is given the input as it is, so its `managed_task` template would not be used: \
                               remove the template or the schema";
                return Err(SpecError::ManagedInput { agent: name(), problem: problem.into() });
            }
        } else if agent.kind == ManagedKind::Agent {
            // A template that fails is better known now than in the middle of a run.
            agent.input(&settings.name, &Map::new())?;
        }
    }
    Ok(())
}

fn final_answer_spec(schema: Option<&Value>) -> ToolSpec {
    let answer = schema.cloned().unwrap_or_else(|| json!({"description": "The answer to the task."}));
    ToolSpec::new(FINAL_ANSWER, "Ends the task with this answer.").parameters(json!({
        "type": "object",
        "properties": {"answer": answer},
        "required": ["answer"],
    }))
}

/// Why settings do not make an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A tool's name cannot be used.
    #[error("the tool name `{tool}` cannot be used: {problem}")]
    ToolName {
        /// The name.
        tool: String,
        /// What to do about it.
        problem: String,
    },
    /// Two tools of one name.
    #[error("there are two tools named `{0}`: rename one of them")]
    DuplicateTool(String),
    /// A tool's schema cannot be used.
    #[error("the schema of tool `{tool}` cannot be used: {problem}")]
    ToolSchema {
        /// The tool.
        tool: String,
        /// What is wrong.
        problem: String,
    },
    /// A managed agent's name cannot be used.
    #[error("the managed agent `{agent}` cannot be called by its name: {problem}")]
    AgentName {
        /// The name.
        agent: String,
        /// What to do about it.
        problem: String,
    },
    /// Two managed agents of one name.
    #[error("there are two managed agents named `{0}`: give each agent a name of its own")]
    DuplicateAgent(String),
    /// A managed agent that is named like a tool.
    #[error("a managed agent and a tool are both named `{0}`: rename one of them")]
    AgentNamedAsTool(String),
    /// A managed agent without a description.
    #[error(
        "the managed agent `{0}` has no description: say what it is good for, or no task will be given to it"
    )]
    NoDescription(String),
    /// A managed agent that cannot be called with its input.
    #[error("the managed agent `{agent}` cannot be called with an input of its schema: {problem}")]
    ManagedInput {
        /// The name.
        agent: String,
        /// What is wrong and what to do about it.
        problem: String,
    },
    /// The schema of the input cannot be used.
    #[error("the schema of the input cannot be used: {0}")]
    InputSchema(String),
    /// The schema of the answer cannot be used.
    #[error("the schema of the answer cannot be used: {0}")]
    AnswerSchema(String),
    /// A limit that cannot be.
    #[error("{0}")]
    Limit(String),
    /// An approval rule that cannot be meant as it is.
    #[error(transparent)]
    Approvals(#[from] PolicyError),
    /// A template fails.
    #[error(transparent)]
    Prompt(#[from] PromptError),
}

/// An input that does not satisfy the schema of the agent's input. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the input does not fit the agent's input schema: {0}")]
pub struct InputError(String);

impl InputError {
    /// An input that does not fit for that reason.
    pub fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}
