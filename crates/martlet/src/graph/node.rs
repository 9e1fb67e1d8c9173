//! A node: who does its work, and how.

use std::sync::Arc;
use std::time::Duration;

use martlet_core::graph::{
    AtMax, Condition, Expression, ForEach, Join, NodeSpec, OnError, Repeat, Retry, State, Work,
};
use martlet_tools::{Tool, Toolbox};

use super::condition::{HostCondition, Verdict, condition};
use super::error::GraphBuildError;
use super::function::{Function, Input, NodeOutput};
use super::{Graph, Performer};
use crate::agent::Agent;
use crate::child::Child;

/// A node of a graph with its settings. Without any, [`GraphBuilder::node`](super::GraphBuilder::node) takes what does
/// the work as it is.
pub struct Node {
    pub(super) spec: NodeSpec,
    pub(super) performer: Performer,
    pub(super) until: Option<HostCondition>,
    at_max: AtMax,
    pub(super) problem: Option<Problem>,
}

/// What is wrong with a node that has no name yet.
pub(super) type Problem = Box<dyn FnOnce(&str) -> GraphBuildError + Send + Sync>;

impl Node {
    /// A node whose work an agent, a graph, a tool or a function does; see [`IntoNode`].
    pub fn new<K>(work: impl IntoNode<K>) -> Self {
        work.into_node()
    }

    pub(super) fn from_performer(performer: Performer) -> Self {
        let work = match &performer {
            Performer::Child(Child::Agent(_)) => Work::Agent,
            Performer::Child(Child::Graph(_)) => Work::Graph,
            Performer::Function(_) | Performer::Tool(_) => Work::Function,
        };
        Self {
            spec: NodeSpec::new("", work),
            performer,
            until: None,
            at_max: AtMax::default(),
            problem: None,
        }
    }

    /// What it does, for people.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.spec.description = description.into();
        self
    }

    /// For an agent: its task, as a template in which the input's values are variables. Default: a text as it is, else
    /// JSON.
    pub fn prompt(mut self, template: impl Into<String>) -> Self {
        self.spec.prompt = Some(template.into());
        self
    }

    /// Adds a value to what it is given: `name` is what it finds, `expression` a state key or an expression. With one of
    /// these, it is given these alone. Default: for a function the whole state; for an agent or a graph the input of the
    /// graph and the results of the nodes above; for a tool those of its parameters that are keys of the state.
    pub fn input(mut self, name: impl Into<String>, expression: &str) -> Self {
        let name = name.into();
        if let Some(expression) = self.expression(&format!("the input `{name}`"), expression) {
            self.spec.input_mapping.get_or_insert_default().insert(name, expression);
        }
        self
    }

    /// The state key that its result is written to. Default: its name.
    pub fn output_key(mut self, key: impl Into<String>) -> Self {
        self.spec.output_key = Some(key.into());
        self
    }

    /// Tries a failure again, so many times, with waits of 0.5 s, 1 s, 2 s … in between. Default: 0.
    pub fn retry(mut self, count: u32) -> Self {
        self.spec.retry.count = count;
        self
    }

    /// How a failure is tried again.
    pub fn retry_with(mut self, retry: Retry) -> Self {
        self.spec.retry = retry;
        self
    }

    /// How long one attempt may take; then it is cancelled and the node failed. That a tool node waits for a person
    /// does not count; that somebody inside of an agent or a graph waits for one does.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.spec.timeout_ms = Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// What a failure means, when it is not tried again. Default: the node failed.
    pub fn on_error(mut self, what: OnError) -> Self {
        self.spec.on_error = what;
        self
    }

    /// A class of nodes that share a limit: [`GraphBuilder::class_limit`](super::GraphBuilder::class_limit).
    pub fn class(mut self, class: impl Into<String>) -> Self {
        self.spec.class = Some(class.into());
        self
    }

    /// When it starts. Default: when all edges to it are taken; or, where that depends on conditions, when those that
    /// are taken are done.
    pub fn join(mut self, join: Join) -> Self {
        self.spec.join = Some(join);
        self
    }

    /// It is meant that some choice of branches does not complete its join: it is skipped then. Without this, such a
    /// join is refused.
    pub fn may_skip(mut self) -> Self {
        self.spec.may_skip = true;
        self
    }

    /// Runs a copy for each item of a list, at most 16 at the same time; the result is the list of theirs. `list` is a
    /// state key or an expression. A copy finds its item as `item`.
    pub fn for_each(mut self, list: &str) -> Self {
        if let Some(over) = self.expression("the list", list) {
            self.spec.for_each = Some(ForEach::new(over));
        }
        self
    }

    /// Runs a copy for each item of a list.
    pub fn for_each_with(mut self, for_each: ForEach) -> Self {
        self.spec.for_each = Some(for_each);
        self
    }

    /// Repeats it until a condition on the state with its new result holds, at most `max` times.
    pub fn repeat_until<F, V>(mut self, holds: F, max: u32) -> Self
    where
        F: Fn(&State) -> V + Send + Sync + 'static,
        V: Verdict,
    {
        self.until = Some(condition(holds));
        self.spec.repeat = Some(Repeat { until: Condition::Host, max, at_max: self.at_max });
        self
    }

    /// Repeats it until an expression holds, at most `max` times.
    pub fn repeat_until_when(mut self, expression: &str, max: u32) -> Self {
        if let Some(until) = self.expression("the repetition's condition", expression) {
            self.until = None;
            let until = Condition::Expression(until);
            self.spec.repeat = Some(Repeat { until, max, at_max: self.at_max });
        }
        self
    }

    /// What it means when the condition of a repetition does not hold after the last time. Default: the last result
    /// counts.
    pub fn at_max(mut self, what: AtMax) -> Self {
        self.at_max = what;
        if let Some(repeat) = &mut self.spec.repeat {
            repeat.at_max = what;
        }
        self
    }

    fn expression(&mut self, what: &str, source: &str) -> Option<Expression> {
        match Expression::new(source) {
            Ok(expression) => Some(expression),
            Err(error) => {
                let what = what.to_owned();
                self.problem(move |node| GraphBuildError::Expression {
                    place: format!("node `{node}`, {what}"),
                    error,
                });
                None
            }
        }
    }

    fn problem(&mut self, problem: impl FnOnce(&str) -> GraphBuildError + Send + Sync + 'static) {
        self.problem.get_or_insert_with(|| Box::new(problem));
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// What can be a node of a graph: an [`Agent`], a [`Graph`], a [`Tool`], an async function or closure of an
/// [`Input`], a [`Node`] with settings. `Kind` says which of these it is; it is never written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a node of a graph",
    label = "not a node",
    note = "a node is an `Agent`, a `Graph`, a `Tool`, a `Node` with settings, or a function: \
            `async |input: Input| ...` (write the type of its argument), or `blocking(|input| ...)`",
    note = "a function returns a `Result<T, E>` where `T: Serialize` and `E: Display`, or a `serde_json::Value`"
)]
pub trait IntoNode<Kind> {
    /// The node.
    fn into_node(self) -> Node;
}

/// The kinds of what can be a node: they keep the implementations of [`IntoNode`] apart.
pub mod kind {
    /// A node.
    #[derive(Debug)]
    pub enum Made {}
    /// An agent or a graph.
    #[derive(Debug)]
    pub enum Run {}
    /// A tool.
    #[derive(Debug)]
    pub enum Call {}
    /// A function with such a future.
    #[derive(Debug)]
    pub struct Function<F>(std::marker::PhantomData<F>);
}

impl IntoNode<kind::Made> for Node {
    fn into_node(self) -> Node {
        self
    }
}

impl IntoNode<kind::Run> for Agent {
    fn into_node(self) -> Node {
        Child::from(self).into_node()
    }
}

impl IntoNode<kind::Run> for Graph {
    fn into_node(self) -> Node {
        Child::from(self).into_node()
    }
}

impl IntoNode<kind::Run> for Child {
    fn into_node(self) -> Node {
        Node::from_performer(Performer::Child(self))
    }
}

impl<T: Tool + 'static> IntoNode<kind::Call> for T {
    fn into_node(self) -> Node {
        let spec = self.spec().clone();
        let mut tools = Toolbox::new();
        let refused = tools.add(self).err();
        let mut node = Node::from_performer(Performer::Tool(Box::new(tools)));
        node.spec.work = Work::Tool { spec };
        if let Some(error) = refused {
            node.problem(move |node| GraphBuildError::Tool { node: node.to_owned(), error });
        }
        node
    }
}

impl<F, Fut> IntoNode<kind::Function<Fut>> for F
where
    F: Fn(Input) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: NodeOutput> + Send + 'static,
{
    fn into_node(self) -> Node {
        let function = Arc::new(move |input| {
            let called = self(input);
            Box::pin(async move { called.await.into_result() }) as _
        });
        Node::from_performer(Performer::Function(Function::Async(function)))
    }
}
