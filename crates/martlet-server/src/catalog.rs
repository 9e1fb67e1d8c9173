//! What a server offers: agents, workflows and plain models by name.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use martlet::{Agent, Graph, Model, SharedModel};

/// What a server offers: agents, workflows and plain models by name, in their order. Cheap to clone.
#[derive(Clone, Default)]
pub struct Catalog {
    agents: Arc<IndexMap<String, OfferedAgent>>,
    workflows: Arc<IndexMap<String, OfferedWorkflow>>,
    models: Arc<IndexMap<String, SharedModel>>,
    default_agent: Option<Arc<str>>,
}

/// An agent on offer.
#[derive(Clone)]
pub struct OfferedAgent {
    /// The agent. Its own journal and approver do not count: the server has one for all.
    pub agent: Agent,
    /// The most time of a run; waiting for people does not count.
    pub timeout: Option<Duration>,
    /// What calls of its model cost, for people to see.
    pub price: Option<Price>,
}

/// What calls of a model cost, in any currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// A million tokens that it reads.
    pub input: f64,
    /// A million tokens that it writes.
    pub output: f64,
}

/// A workflow on offer.
#[derive(Clone)]
pub struct OfferedWorkflow {
    /// The graph. Its own journal and approver do not count: the server has one for all.
    pub graph: Graph,
    /// The most time of a run; waiting for people does not count.
    pub timeout: Option<Duration>,
}

impl From<Agent> for OfferedAgent {
    fn from(agent: Agent) -> Self {
        Self { agent, timeout: None, price: None }
    }
}

impl From<Graph> for OfferedWorkflow {
    fn from(graph: Graph) -> Self {
        Self { graph, timeout: None }
    }
}

impl Catalog {
    /// Nothing on offer yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an agent; the first one is taken where a request names none.
    pub fn agent(mut self, name: impl Into<String>, agent: impl Into<OfferedAgent>) -> Self {
        let name = name.into();
        if self.default_agent.is_none() {
            self.default_agent = Some(name.as_str().into());
        }
        Arc::make_mut(&mut self.agents).insert(name, agent.into());
        self
    }

    /// Adds a workflow.
    pub fn workflow(mut self, name: impl Into<String>, workflow: impl Into<OfferedWorkflow>) -> Self {
        Arc::make_mut(&mut self.workflows).insert(name.into(), workflow.into());
        self
    }

    /// Adds a model that clients of OpenAI's API may talk to without an agent, as `llm:NAME`: what they ask of it is no run
    /// and is stored nowhere.
    pub fn model(mut self, name: impl Into<String>, model: impl Model + 'static) -> Self {
        Arc::make_mut(&mut self.models).insert(name.into(), Arc::new(model));
        self
    }

    /// Sets the agent that is taken where a request names none.
    pub fn default_agent(mut self, name: &str) -> Self {
        self.default_agent = Some(name.into());
        self
    }

    /// The agents.
    pub fn agents(&self) -> &IndexMap<String, OfferedAgent> {
        &self.agents
    }

    /// The workflows.
    pub fn workflows(&self) -> &IndexMap<String, OfferedWorkflow> {
        &self.workflows
    }

    /// The plain models.
    pub fn models(&self) -> &IndexMap<String, SharedModel> {
        &self.models
    }

    /// The name of the agent that is taken where a request names none.
    pub fn default_agent_name(&self) -> Option<&str> {
        self.default_agent.as_deref()
    }
}
