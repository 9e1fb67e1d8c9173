//! What can be done as a run of its own inside another run.

use martlet_core::ManagedSpec;

use crate::agent::Agent;
use crate::graph::Graph;

/// An agent or a graph that another run starts as a child run: as a node of a graph, or as a managed agent.
///
/// A child run has a state of its own, so the same agent can be asked twice at the same time. Its tokens count in the
/// run that started it, and it ends with that run.
///
/// An agent's task is made of the input by [`task_text`](martlet_core::graph::task_text). A graph begins with the input
/// as its state; an input that is no object is there as `input`.
#[derive(Debug, Clone)]
pub enum Child {
    /// An agent.
    Agent(Agent),
    /// A graph.
    Graph(Graph),
}

impl Child {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Agent(agent) => &agent.spec().name,
            Self::Graph(graph) => &graph.spec().name,
        }
    }

    /// What a managing agent knows of it.
    pub(crate) fn managed_spec(&self) -> ManagedSpec {
        match self {
            Self::Agent(agent) => {
                let spec = agent.spec();
                let mut managed = ManagedSpec::agent(&spec.name, &spec.description);
                // Where a text will do, it is given its task in words.
                let words = serde_json::Value::from("words");
                let takes_words =
                    |schema: &serde_json::Value| martlet_core::schema::check(schema, &words).is_ok();
                managed.input = spec.input_schema.clone().filter(|schema| !takes_words(schema));
                managed.returns.clone_from(&spec.answer_schema);
                managed.prompt.clone_from(&spec.prompts.managed_task);
                managed
            }
            Self::Graph(_) => ManagedSpec::graph(self.name(), self.description()),
        }
    }

    /// What it is good for.
    pub fn description(&self) -> &str {
        match self {
            Self::Agent(agent) => &agent.spec().description,
            Self::Graph(graph) => &graph.spec().description,
        }
    }
}

impl From<Agent> for Child {
    fn from(agent: Agent) -> Self {
        Self::Agent(agent)
    }
}

impl From<Graph> for Child {
    fn from(graph: Graph) -> Self {
        Self::Graph(graph)
    }
}

impl From<&Agent> for Child {
    fn from(agent: &Agent) -> Self {
        Self::Agent(agent.clone())
    }
}

impl From<&Graph> for Child {
    fn from(graph: &Graph) -> Self {
        Self::Graph(graph.clone())
    }
}
