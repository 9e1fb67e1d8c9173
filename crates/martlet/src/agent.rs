//! The agent: what it is, and how it is built.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use martlet_core::{
    AgentSettings, AgentSpec, CodeLimits, ManagedSpec, ModelOptions, ModelProfile, Prompts, RunId, Strategy,
    Task,
};
use martlet_model::{Model, SharedModel};
use martlet_sandbox::{InProcess, Sandbox, SessionOptions};
use martlet_store::Journal;
use martlet_tools::{Tool, Toolbox, ToolboxError};
use serde_json::Value;

use crate::approve::Approver;
use crate::child::Child;
use crate::error::AgentError;
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

/// How deep child runs may be nested, unless it is set.
pub(crate) const MAX_DEPTH: u32 = 8;

/// Where the programs of code agents run.
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

    /// Prepares a run of this agent. Nothing happens until it is awaited or started.
    pub fn run(&self, task: impl Into<Arc<str>>) -> RunRequest {
        RunRequest::fresh(self.clone(), Task::new(task))
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

    /// What the agent is, without what performs its effects.
    pub fn spec(&self) -> &Arc<AgentSpec> {
        &self.inner.spec
    }

    /// The model.
    pub fn model(&self) -> &SharedModel {
        &self.inner.model
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
        Ok(Agent {
            inner: Arc::new(Parts {
                spec,
                model: self.model,
                tools: self.tools,
                python,
                checks: self.checks,
                approver: self.approver,
                journal: self.journal,
                children: self.managed.into_iter().map(|(child, spec)| (spec.name, child)).collect(),
                max_depth: self.max_depth,
            }),
        })
    }
}
