//! The graph: a workflow of agents, functions, tools and other graphs.

mod builder;
mod condition;
mod error;
mod function;
mod node;
mod request;

use std::collections::HashMap;
use std::sync::Arc;

use martlet_core::{ConditionOf, EffectId, GraphSpec, RunId};
use martlet_store::Journal;
use martlet_tools::Toolbox;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::approve::Approver;
use crate::child::Child;
use condition::HostCondition;

pub use builder::GraphBuilder;
pub use condition::Verdict;
pub use error::{GraphBuildError, GraphRunError};
pub(crate) use function::Function;
pub use function::{Input, InputError, NodeOutput, blocking};
pub use node::{IntoNode, Node, kind};
pub use request::{GraphHandle, GraphRequest};

/// A graph: immutable, cheap to clone, shared by any number of concurrent runs.
///
/// ```
/// use martlet::{Graph, Input};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let graph = Graph::new("report")
///     .node("words", async |input: Input| {
///         let text: String = input.get("text")?;
///         Ok::<_, martlet::InputError>(text.split_whitespace().count())
///     })
///     .node("long", async |_: Input| "a long text")
///     .node("short", async |_: Input| "a short text")
///     .case("words", "long", |state| state["words"].as_u64() > Some(100))
///     .otherwise("words", "short")
///     .build()?;
/// let result = graph.run(json!({"text": "one two three"})).await?;
/// assert_eq!(result.final_state["short"], "a short text");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Graph {
    inner: Arc<GraphParts>,
}

/// What the runs of a graph share.
pub(crate) struct GraphParts {
    pub(crate) spec: Arc<GraphSpec>,
    /// Who does the work of each node, in the order of the nodes.
    pub(crate) performers: Vec<Performer>,
    pub(crate) conditions: HashMap<ConditionOf, HostCondition>,
    /// What the state begins with where a run is given nothing else.
    pub(crate) default_input: Map<String, Value>,
    /// `None` where none was set: then that of the run above decides, and nobody in the first one.
    pub(crate) approver: Option<Arc<dyn Approver>>,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    /// How deep runs may be nested below one of this graph.
    pub(crate) max_depth: u32,
}

/// Who does the work of a node.
#[derive(Clone)]
pub(crate) enum Performer {
    Child(Child),
    Function(Function),
    /// A toolbox of this tool alone: nodes may have different tools of one name.
    Tool(Box<Toolbox>),
}

impl GraphParts {
    /// The state that a run with this input begins with.
    pub(crate) fn first_state(&self, input: Map<String, Value>) -> Map<String, Value> {
        let mut state = self.default_input.clone();
        state.extend(input);
        state
    }

    /// Who does the work of the node of that name.
    pub(crate) fn performer(&self, node: &str) -> Option<&Performer> {
        self.performers.get(self.spec.place(node)? as usize)
    }

    /// Who does the work of the node that asked for an effect: the step of an effect is the node's number, from 1.
    pub(crate) fn performer_of(&self, id: &EffectId) -> Option<&Performer> {
        self.performers.get((id.step as usize).checked_sub(1)?)
    }
}

impl Graph {
    pub(crate) fn from_parts(parts: GraphParts) -> Self {
        Self { inner: Arc::new(parts) }
    }

    /// A graph of that name, to be built.
    #[expect(clippy::new_ret_no_self, reason = "a graph is built, as agents are")]
    pub fn new(name: impl Into<String>) -> GraphBuilder {
        GraphBuilder::new(name.into())
    }

    /// Prepares a run of this graph. Nothing happens until it is awaited or started.
    ///
    /// The input is a JSON object, or a struct or map that gives one: the values with which the state begins.
    pub fn run(&self, input: impl Serialize) -> GraphRequest {
        GraphRequest::fresh(self.clone(), &input)
    }

    /// Prepares to go on with a run that the graph's journal holds and that nobody drives any more. It has to be the
    /// same graph.
    ///
    /// What was recorded is not done again, in child runs neither. Of what was under way, child runs go on where they
    /// were; functions, and tools that are read-only or idempotent, are called again with the same idempotency key; any
    /// other tool call counts as refused, as nobody knows whether it took effect.
    pub fn resume(&self, run: RunId) -> GraphRequest {
        GraphRequest::resumed(self.clone(), run)
    }

    /// What the graph is, without what performs its effects.
    pub fn spec(&self) -> &Arc<GraphSpec> {
        &self.inner.spec
    }

    pub(crate) fn parts(&self) -> &Arc<GraphParts> {
        &self.inner
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("name", &self.inner.spec.name)
            .field("nodes", &self.inner.spec.len())
            .finish_non_exhaustive()
    }
}
