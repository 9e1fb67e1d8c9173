//! The agent: what it is, and how it is built.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use martlet_core::memory;
use martlet_core::{
    AgentSettings, AgentSpec, ApprovalPolicy, CodeLimits, InputError, ManagedSpec, ModelOptions,
    ModelProfile, Prompts, RunId, Strategy, Task,
};
use martlet_model::{Model, OpenAiCompatible, SharedModel};
use martlet_sandbox::{InProcess, Sandbox, SessionOptions};
use martlet_store::Journal;
use martlet_tools::{Tool, Toolbox, ToolboxError, schema_of};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::approve::Approver;
use crate::child::Child;
use crate::driver::fork;
use crate::error::{AgentError, RunError};
use crate::request::RunRequest;

/// A check of answers, as [`AgentBuilder::check`] takes it.
pub(crate) type Check = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// An agent: immutable, cheap to clone, shared by any number of concurrent runs.
#[derive(Clone)]
pub struct Agent {
    inner: Arc<Parts>,
}

/// What the runs of an agent share.
pub(crate) struct Parts {
    pub(crate) spec: Arc<AgentSpec>,
    pub(crate) model: SharedModel,
    pub(crate) tools: Toolbox,
    pub(crate) python: Option<Python>,
    pub(crate) checks: Vec<Check>,
    /// `None` where none was set: then that of the run above decides, and nobody in the first one.
    pub(crate) approver: Option<Arc<dyn Approver>>,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    /// The managed agents and graphs, by the name in [`Effect::Child`](martlet_core::Effect::Child).
    pub(crate) children: HashMap<String, Child>,
    /// How deep runs may be nested below one of this agent.
    pub(crate) max_depth: u32,
}

/// How many rounds a reasoning agent makes, unless it is set.
const REASONING_STEPS: u32 = 10;

/// How deep child runs may be nested, unless it is set.
pub(crate) const MAX_DEPTH: u32 = 8;

/// Where the programs of code agents run.
#[derive(Clone)]
pub(crate) struct Python {
    pub(crate) sandbox: Arc<dyn Sandbox>,
    pub(crate) options: SessionOptions,
}

impl Agent {
    /// An agent that writes Python, in which its tools are functions.
    pub fn code(model: impl Model + 'static) -> AgentBuilder {
        AgentBuilder::new(Strategy::Code, Arc::new(model))
    }

    /// An agent that asks for structured tool calls.
    pub fn tool_calling(model: impl Model + 'static) -> AgentBuilder {
        AgentBuilder::new(Strategy::ToolCalling, Arc::new(model))
    }

    /// An agent that plans: it has the model split the task into smaller ones, does those in parallel as far as they do
    /// not depend on each other, and has the model check whether that completes the whole. It works with models that
    /// know no tool calls. A step is one such round; there are at most 10, unless it is set.
    pub fn reasoning(model: impl Model + 'static) -> AgentBuilder {
        AgentBuilder::new(Strategy::Reasoning, Arc::new(model)).max_steps(REASONING_STEPS)
    }

    /// A reasoning agent on Gemma 3 (27B), which an Ollama server on this machine serves: [`Agent::reasoning`] with
    /// [`OpenAiCompatible`] at `http://localhost:11434/v1`, temperature 0.7 and at most 10 rounds.
    ///
    /// # Errors
    /// If the client cannot be set up; whether the server answers is seen when the agent runs.
    pub fn gemma_on_ollama() -> Result<AgentBuilder, martlet_model::ConfigError> {
        let model = OpenAiCompatible::new("http://localhost:11434/v1", "gemma3:27b")
            .server(martlet_model::Server::LlamaCpp)
            .build()?;
        let options = ModelOptions { temperature: Some(0.7), ..ModelOptions::default() };
        Ok(Self::reasoning(model).options(options))
    }

    /// Prepares a run of this agent. Nothing happens until it is awaited or started.
    ///
    /// Where the agent has an input schema, the text is the JSON of an input, and is checked before anything is sent.
    pub fn run(&self, task: impl Into<Arc<str>>) -> RunRequest {
        let task = Task::new(task);
        let checked = self.spec().check_input(&Value::String(task.text.to_string()));
        RunRequest::fresh(self.clone(), task).refused(checked.err())
    }

    /// Prepares a run on an input, which is checked against the agent's input schema before anything is sent. The task is
    /// its JSON; of a text, or of an object of one text, that text.
    pub fn run_with<T: Serialize>(&self, input: &T) -> RunRequest {
        let task = serde_json::to_value(input)
            .map_err(|error| InputError::new(error.to_string()))
            .and_then(|input| self.spec().task(&input));
        match task {
            Ok(task) => RunRequest::fresh(self.clone(), task),
            Err(error) => RunRequest::fresh(self.clone(), Task::default()).refused(Some(error)),
        }
    }

    /// Prepares a run of a whole [`Task`]: with a history, images, files.
    pub fn run_task(&self, task: Task) -> RunRequest {
        RunRequest::fresh(self.clone(), task)
    }

    /// Prepares to go on with a run that the agent's journal holds and that nobody drives any more.
    ///
    /// What was recorded is not done again. Of what was under way, model calls, programs and tools that are
    /// read-only or idempotent are done again; of any other tool call the model is told that its outcome is not
    /// known.
    pub fn resume(&self, run: RunId) -> RunRequest {
        RunRequest::resumed(self.clone(), run)
    }

    /// Records a run `to` that begins as the recorded run `from` did, up to and without step `step`, which counts from 1.
    /// [`resume`](Self::resume) it to go on from there; `from` stays as it is.
    ///
    /// # Errors
    /// If `from` is not in the journal or ended before that step, if there is a run `to`, or if the journal fails.
    pub async fn fork(
        &self,
        journal: Arc<dyn Journal>,
        from: &RunId,
        step: u32,
        to: RunId,
    ) -> Result<(), RunError> {
        Ok(fork(&**self.parts(), journal, from, step, to).await?)
    }

    /// What the agent is, without what performs its effects.
    pub fn spec(&self) -> &Arc<AgentSpec> {
        &self.inner.spec
    }

    /// The tools, `final_answer` included.
    pub fn tools(&self) -> &Toolbox {
        &self.inner.tools
    }

    /// The model.
    pub fn model(&self) -> &SharedModel {
        &self.inner.model
    }

    pub(crate) fn from_parts(parts: Parts) -> Self {
        Self { inner: Arc::new(parts) }
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.inner
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("name", &self.inner.spec.name)
            .field("strategy", &self.inner.spec.strategy)
            .field("model", &self.inner.model.name())
            .field("tools", &self.inner.tools)
            .finish_non_exhaustive()
    }
}

/// Builds an [`Agent`].
pub struct AgentBuilder {
    settings: AgentSettings,
    model: SharedModel,
    tools: Toolbox,
    refused: Option<ToolboxError>,
    sandbox: Option<Arc<dyn Sandbox>>,
    imports: Vec<String>,
    checks: Vec<Check>,
    approver: Option<Arc<dyn Approver>>,
    journal: Option<Arc<dyn Journal>>,
    managed: Vec<(Child, ManagedSpec)>,
    max_depth: u32,
    memory_tokens: Option<u64>,
}

impl AgentBuilder {
    fn new(strategy: Strategy, model: SharedModel) -> Self {
        let settings = AgentSettings { strategy, profile: model.profile(), ..AgentSettings::default() };
        Self {
            settings,
            model,
            tools: Toolbox::new(),
            refused: None,
            sandbox: None,
            imports: Vec::new(),
            checks: Vec::new(),
            approver: None,
            journal: None,
            managed: Vec::new(),
            max_depth: MAX_DEPTH,
            memory_tokens: None,
        }
    }

    /// Its name, for people and for other agents. Default: `agent`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// What it is good for, for other agents and for its own system prompt.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.settings.description = description.into();
        self
    }

    /// Instructions of its own, added to the system prompt.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.settings.instructions = Some(instructions.into());
        self
    }

    /// Templates that replace or extend Martlet's; see [`martlet_core::prompt`].
    pub fn prompts(mut self, prompts: Prompts) -> Self {
        self.settings.prompts = prompts;
        self
    }

    /// What the prompts may expect of the model, if not what the model says of itself.
    pub fn profile(mut self, profile: ModelProfile) -> Self {
        self.settings.profile = profile;
        self
    }

    /// Adds a tool. A tool named `final_answer` takes the place of Martlet's.
    pub fn tool(mut self, tool: impl Tool + 'static) -> Self {
        if let Err(error) = self.tools.add(tool) {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Adds all tools of a toolbox.
    pub fn tools(mut self, tools: &Toolbox) -> Self {
        for tool in tools.iter() {
            if let Err(error) = self.tools.add(tool.clone()) {
                self.refused.get_or_insert(error);
            }
        }
        self
    }

    /// Adds an agent or a graph that this agent may give tasks to. Its model calls it by its name, like a tool, with a
    /// `task` and with `additional_args`, values that go along with it. It needs a description, by which the model
    /// chooses, and a name that no tool and no other managed agent has.
    ///
    /// Each call is a child run with a state of its own, so calls at the same time do not meet. Its tokens count in the
    /// run of this agent, and it ends with it.
    ///
    /// ```
    /// # use martlet::Agent;
    /// # use martlet_testkit::ScriptedModel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (small, large) = (ScriptedModel::new(["x"]), ScriptedModel::new(["x"]));
    /// let researcher = Agent::code(small)
    ///     .name("researcher")
    ///     .description("Finds facts on the web and reports them with their sources.")
    ///     .build()?;
    /// let agent = Agent::code(large).managed(researcher).build()?;
    /// # let _ = agent;
    /// # Ok(())
    /// # }
    /// ```
    pub fn managed(mut self, child: impl Into<Child>) -> Self {
        let child = child.into();
        let spec = child.managed_spec();
        self.managed.push((child, spec));
        self
    }

    /// As [`managed`](Self::managed), but a person has to approve each call, as with a tool that needs approval.
    pub fn managed_with_approval(mut self, child: impl Into<Child>) -> Self {
        let child = child.into();
        let mut spec = child.managed_spec();
        spec.needs_approval = true;
        self.managed.push((child, spec));
        self
    }

    /// The most steps of a run, at least 1. Default: 20.
    pub fn max_steps(mut self, steps: u32) -> Self {
        self.settings.limits.max_steps = steps;
        self
    }

    /// The most tokens, read and written, of all model calls of a run. Default: no limit.
    pub fn max_tokens(mut self, tokens: u64) -> Self {
        self.settings.limits.max_tokens = Some(tokens);
        self
    }

    /// The most tokens of what was said before, in earlier runs of a conversation, that a run is shown: an estimate, at
    /// least 500. What is older gets shorter: see [`martlet_core::memory`]. Default: three quarters of the model's context
    /// where that is known, else 24,000.
    pub fn memory_tokens(mut self, tokens: u64) -> Self {
        self.memory_tokens = Some(tokens);
        self
    }

    /// The most characters of one observation; longer ones are cut in the middle. Default: 20,000.
    pub fn observation_chars(mut self, chars: usize) -> Self {
        self.settings.limits.observation_chars = chars;
        self
    }

    /// Sampling and length of each model call.
    pub fn options(mut self, options: ModelOptions) -> Self {
        self.settings.options = options;
        self
    }

    /// JSON Schema that the answer must satisfy.
    pub fn answer_schema(mut self, schema: Value) -> Self {
        self.settings.answer_schema = Some(schema);
        self
    }

    /// The Rust type that answers have: its JSON Schema is that of the answer, and [`RunResult::answer`] reads it.
    ///
    /// [`RunResult::answer`]: martlet_core::RunResult::answer
    pub fn answer<T: JsonSchema>(self) -> Self {
        self.answer_schema(schema_of::<T>())
    }

    /// JSON Schema that the input of a run must satisfy.
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.settings.input_schema = Some(schema);
        self
    }

    /// The Rust type that inputs have, for [`Agent::run_with`].
    pub fn input<T: JsonSchema>(self) -> Self {
        self.input_schema(schema_of::<T>())
    }

    /// Adds a check of answers. A problem that it names is told to the model, which goes on.
    ///
    /// ```
    /// # fn build(builder: martlet::AgentBuilder) -> martlet::AgentBuilder {
    /// builder.check(|answer| async move {
    ///     if answer.is_number() { Ok(()) } else { Err("give a number".into()) }
    /// })
    /// # }
    /// ```
    pub fn check<F, Fut>(mut self, check: F) -> Self
    where
        F: Fn(Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.settings.answer_checks = true;
        self.checks.push(Arc::new(move |answer| Box::pin(check(answer))));
        self
    }

    /// How deep child runs may be nested below a run of this agent. Default: 8.
    pub fn max_depth(mut self, depth: u32) -> Self {
        self.max_depth = depth;
        self
    }

    /// Who decides on calls of tools that need approval. Default: they are refused; in a child run whoever decides
    /// in the run above does.
    pub fn approver(mut self, approver: impl Approver + 'static) -> Self {
        self.approver = Some(Arc::new(approver));
        self
    }

    /// Which calls need a person, are allowed or refused: rules by tool, arguments and risk. They are part of what the
    /// agent is, so nothing that it does can change them; and they bind the agents and graphs that it manages, too, as far
    /// as they are stricter than their own. Default: calls of tools that say so themselves need a person.
    ///
    /// ```
    /// # use martlet::{ApprovalPolicy, ApprovalRule, Risk};
    /// # fn build(builder: martlet::AgentBuilder) -> Result<martlet::AgentBuilder, Box<dyn std::error::Error>> {
    /// Ok(builder.approvals(ApprovalPolicy::new([
    ///     ApprovalRule::allow().tool("refund".parse()?).when("arguments.amount <= 50".parse()?),
    ///     ApprovalRule::ask().risk(Risk::Unsafe),
    /// ])))
    /// # }
    /// ```
    pub fn approvals(mut self, policy: ApprovalPolicy) -> Self {
        self.settings.approvals = policy;
        self
    }

    /// Where the programs of a code agent run. Default: in this process, which suits trusted models and tasks;
    /// [`martlet_sandbox::WorkerPool`] keeps a crash of the interpreter away from it.
    pub fn sandbox(mut self, sandbox: Arc<dyn Sandbox>) -> Self {
        self.sandbox = Some(sandbox);
        self
    }

    /// Modules that programs may import beyond those of the sandbox.
    pub fn imports(mut self, modules: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.imports.extend(modules.into_iter().map(Into::into));
        self
    }

    /// How far a program may go.
    pub fn code_limits(mut self, limits: CodeLimits) -> Self {
        self.settings.code.limits = limits;
        self
    }

    /// Where runs are recorded. Default: nowhere.
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Checks everything and makes the agent.
    ///
    /// # Errors
    /// The first thing that is wrong: a tool's name or schema, a managed agent without a description or with a name that
    /// is taken, a limit, a template, a module that the sandbox does not have.
    pub fn build(mut self) -> Result<Agent, AgentError> {
        if let Some(error) = self.refused {
            return Err(error.into());
        }
        self.settings.tools = self.tools.specs();
        let of_context = |context: u32| (u64::from(context) / 4 * 3).max(memory::MIN_TOKENS);
        let known = self.settings.profile.context_tokens.map(of_context);
        self.settings.limits.memory_tokens = self.memory_tokens.or(known).or(Some(memory::DEFAULT_TOKENS));
        self.settings.agents = self.managed.iter().map(|(_, spec)| spec.clone()).collect();
        let with_python = self.settings.strategy == Strategy::Code;
        if with_python {
            let modules = martlet_sandbox::available_modules().iter().map(|name| (*name).to_owned());
            self.settings.code.modules = modules.collect();
            self.settings.code.notes = martlet_sandbox::dialect_notes().to_owned();
        }
        let spec = Arc::new(AgentSpec::new(self.settings)?);
        let python = if with_python {
            let options = SessionOptions::new(spec.offered_tools().clone())
                .limits(spec.code.limits.clone())
                .imports(self.imports)?;
            Some(Python { sandbox: self.sandbox.unwrap_or_else(|| Arc::new(InProcess::new())), options })
        } else {
            None
        };
        let children = self.managed.into_iter().map(|(child, managed)| {
            let child = child.within(&spec.approvals);
            (managed.name, child)
        });
        Ok(Agent::from_parts(Parts {
            children: children.collect(),
            spec: spec.clone(),
            model: self.model,
            tools: self.tools,
            python,
            checks: self.checks,
            approver: self.approver,
            journal: self.journal,
            max_depth: self.max_depth,
        }))
    }
}
