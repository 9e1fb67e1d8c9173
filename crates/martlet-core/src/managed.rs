//! Managed agents: agents and graphs that an agent calls like tools, each call a child run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::prompt::{self, PromptError};
use crate::tool::{ToolFlags, ToolSpec, display_value};

/// The parameter that holds the task.
const TASK: &str = "task";
/// The parameter that holds values which go along with it.
const ADDITIONAL_ARGS: &str = "additional_args";

/// What an agent needs to know of another agent, or of a graph, that it may give tasks to.
///
/// The model calls it like a tool, with a task and values that go along with it, or with its input. Each call is an
/// [`Effect::Child`](crate::Effect::Child).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ManagedSpec {
    /// The name under which it is called: a Python identifier, unique among the tools and managed agents of an agent.
    pub name: String,
    /// What it is good for, for the model; must not be empty.
    pub description: String,
    /// What performs a call of it.
    #[serde(default)]
    pub kind: ManagedKind,
    /// JSON Schema of its input, if it has one; that of an object. It is then called with the members of that object,
    /// instead of with a task, and the object is its input as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// JSON Schema of its answer, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Value>,
    /// Whether a person has to approve each call.
    #[serde(default)]
    pub needs_approval: bool,
    /// The template that makes an agent's task of a call ([`Prompts::managed_task`](crate::Prompts::managed_task) of
    /// the managed agent). Default: Martlet's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// What performs a call of a managed agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ManagedKind {
    /// An agent: the task and the values become the text of its task.
    #[default]
    Agent,
    /// A graph: its state begins with the values, and with the task as `task`.
    Graph,
}

impl ManagedSpec {
    /// An agent of that name.
    pub fn agent(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            kind: ManagedKind::Agent,
            input: None,
            returns: None,
            needs_approval: false,
            prompt: None,
        }
    }

    /// A graph of that name.
    pub fn graph(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self { kind: ManagedKind::Graph, ..Self::agent(name, description) }
    }

    /// The tool as which the model is offered it.
    pub(crate) fn tool(&self) -> ToolSpec {
        let (task, values) = match self.kind {
            ManagedKind::Agent => (
                "What it is to do, in full: it knows nothing but what you write here.",
                "Values that it needs for the task, by name.",
            ),
            ManagedKind::Graph => ("What it is to work on.", "Further values that it begins with, by name."),
        };
        let parameters = self.input.clone().unwrap_or_else(|| {
            json!({
                "type": "object",
                "properties": {
                    TASK: {"type": "string", "description": task},
                    // Models write out that they leave something out.
                    ADDITIONAL_ARGS: {"type": ["object", "null"], "description": values},
                },
                "required": [TASK],
            })
        });
        let mut tool = ToolSpec::new(&self.name, &self.description)
            .parameters(parameters)
            .flags(ToolFlags { needs_approval: self.needs_approval, ..ToolFlags::default() });
        tool.returns.clone_from(&self.returns);
        tool
    }

    /// What the child run is given for a call by the agent named `manager`.
    pub(crate) fn input(&self, manager: &str, arguments: &Map<String, Value>) -> Result<Value, PromptError> {
        if self.input.is_some() {
            // Words around it would not satisfy the schema.
            return Ok(Value::Object(arguments.clone()));
        }
        let task = arguments.get(TASK).map(display_value).unwrap_or_default();
        let values = arguments.get(ADDITIONAL_ARGS).and_then(Value::as_object).filter(|map| !map.is_empty());
        match self.kind {
            ManagedKind::Agent => prompt::managed_task(self, manager, &task, values).map(Value::String),
            ManagedKind::Graph => {
                let mut state = values.cloned().unwrap_or_default();
                state.insert(TASK.into(), task.into());
                Ok(Value::Object(state))
            }
        }
    }
}
