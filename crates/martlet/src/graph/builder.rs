//! Building a graph.

use std::collections::HashMap;
use std::sync::Arc;

use martlet_core::graph::{Condition, EdgeSpec, Expression, GraphSettings, OnFailure, Reducer, State, When};
use martlet_core::{ApprovalPolicy, ConditionOf, GraphSpec};
use martlet_store::Journal;
use serde_json::{Map, Value};

use super::condition::{HostCondition, Verdict, condition};
use super::error::GraphBuildError;
use super::node::{IntoNode, Node};
use super::{Graph, GraphParts, Performer};
use crate::agent::MAX_DEPTH;
use crate::approve::Approver;

/// Builds a [`Graph`].
#[must_use = "a graph is there when `build` was called"]
pub struct GraphBuilder {
    settings: GraphSettings,
    performers: Vec<Performer>,
    conditions: HashMap<ConditionOf, HostCondition>,
    default_input: Map<String, Value>,
    approver: Option<Arc<dyn Approver>>,
    journal: Option<Arc<dyn Journal>>,
    max_depth: u32,
    problem: Option<GraphBuildError>,
}

impl GraphBuilder {
    pub(super) fn new(name: String) -> Self {
        Self {
            settings: GraphSettings { name, ..GraphSettings::default() },
            performers: Vec::new(),
            conditions: HashMap::new(),
            default_input: Map::new(),
            approver: None,
            journal: None,
            max_depth: MAX_DEPTH,
            problem: None,
        }
    }

    /// What it does, for people and for other agents.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.settings.description = description.into();
        self
    }

    /// A value with which the state begins where a run is given none of that name: also where the graph is a node of
    /// another graph, or an agent's.
    pub fn default_input(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.default_input.insert(name.into(), value.into());
        self
    }

    /// Adds a node: an agent, a graph, a tool, an async function or closure, or a [`Node`] with settings.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use martlet::{Agent, Graph, Input, Node};
    /// # fn build(agent: Agent) -> martlet::GraphBuilder {
    /// Graph::new("report")
    ///     .node("load", async |input: Input| input.get::<String>("path"))
    ///     .node("write", Node::new(agent).prompt("Summarise: {{ load }}").timeout(Duration::from_secs(60)).retry(2))
    ///     .edge("load", "write")
    /// # }
    /// ```
    pub fn node<K>(mut self, name: impl Into<String>, work: impl IntoNode<K>) -> Self {
        let Node { mut spec, performer, until, problem, .. } = work.into_node();
        spec.name = name.into();
        if let Some(problem) = problem {
            self.problem(problem(&spec.name));
        }
        if let Some(until) = until {
            self.conditions.insert(ConditionOf::Until { node: spec.name.clone() }, until);
        }
        self.settings.nodes.push(spec);
        self.performers.push(performer);
        self
    }

    /// Adds an edge: `to` waits for `from`.
    pub fn edge(self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.add(from.into(), to.into(), When::Always)
    }

    /// Adds an edge that is taken if a condition on the state holds. The condition should be quick: it is evaluated in
    /// place.
    pub fn edge_if<F, V>(self, from: impl Into<String>, to: impl Into<String>, holds: F) -> Self
    where
        F: Fn(&State) -> V + Send + Sync + 'static,
        V: Verdict,
    {
        self.add_host(from.into(), to.into(), When::If(Condition::Host), condition(holds))
    }

    /// Adds an edge that is taken if an expression on the state holds: `patterns.n > 3`.
    pub fn edge_when(self, from: impl Into<String>, to: impl Into<String>, expression: &str) -> Self {
        self.add_expression(from.into(), to.into(), expression, When::If)
    }

    /// Adds an edge that is taken if a condition on the state holds and that of no earlier case of `from` does.
    pub fn case<F, V>(self, from: impl Into<String>, to: impl Into<String>, holds: F) -> Self
    where
        F: Fn(&State) -> V + Send + Sync + 'static,
        V: Verdict,
    {
        self.add_host(from.into(), to.into(), When::Case(Condition::Host), condition(holds))
    }

    /// Adds a case whose condition is an expression on the state.
    pub fn case_when(self, from: impl Into<String>, to: impl Into<String>, expression: &str) -> Self {
        self.add_expression(from.into(), to.into(), expression, When::Case)
    }

    /// Adds an edge that is taken if no case of `from` is.
    pub fn otherwise(self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.add(from.into(), to.into(), When::Otherwise)
    }

    /// How a new value of a state key is joined with the one that is there; needed where nodes that may run at the same
    /// time write the same key. Default: it takes its place.
    pub fn reducer(mut self, key: impl Into<String>, reducer: Reducer) -> Self {
        self.settings.reducers.insert(key.into(), reducer);
        self
    }

    /// How many nodes, and copies of nodes, run at the same time; at least 1. Default: no limit.
    pub fn max_parallel(mut self, nodes: usize) -> Self {
        self.settings.limits.max_parallel = Some(nodes);
        self
    }

    /// Runs one node after the other.
    pub fn sequential(self) -> Self {
        self.max_parallel(1)
    }

    /// How many nodes of a class ([`Node::class`]) run at the same time; at least 1.
    pub fn class_limit(mut self, class: impl Into<String>, nodes: usize) -> Self {
        self.settings.limits.classes.insert(class.into(), nodes);
        self
    }

    /// What the failure of a node does to those that do not depend on it. Default: they are cancelled.
    pub fn on_failure(mut self, what: OnFailure) -> Self {
        self.settings.limits.on_failure = what;
        self
    }

    /// The most tokens, read and written, of all model calls in a run, those of child runs included. Default: no limit.
    pub fn max_tokens(mut self, tokens: u64) -> Self {
        self.settings.limits.max_tokens = Some(tokens);
        self
    }

    /// How deep child runs may be nested below a run of this graph. Default: 8.
    pub fn max_depth(mut self, depth: u32) -> Self {
        self.max_depth = depth;
        self
    }

    /// The output of the graph where it is a node or a managed agent: an expression on the final state. Default: the
    /// result of the one node without outbound edges that completed, or an object of the results by name where several did.
    pub fn output(mut self, expression: &str) -> Self {
        self.settings.output = self.expression(|| "the output of the graph".to_owned(), expression);
        self
    }

    /// Who decides on calls of tools that need approval, also in child runs without an approver of their own. Default:
    /// they are refused; in a child run whoever decides in the run above does.
    pub fn approver(mut self, approver: impl Approver + 'static) -> Self {
        self.approver = Some(Arc::new(approver));
        self
    }

    /// Which calls of tool nodes need a person, are allowed or refused: rules by tool, arguments and risk. They bind the
    /// agents and graphs of its nodes, too, as far as they are stricter than their own; what a function does, only it
    /// knows. Default: calls of tools that say so themselves need a person.
    ///
    /// ```
    /// # use martlet::{ApprovalPolicy, ApprovalRule, Graph};
    /// # fn build() -> Result<martlet::GraphBuilder, Box<dyn std::error::Error>> {
    /// let rule = ApprovalRule::deny().tool("delete_*".parse()?).reason("reports are kept");
    /// Ok(Graph::new("report").approvals(ApprovalPolicy::new([rule])))
    /// # }
    /// ```
    pub fn approvals(mut self, policy: ApprovalPolicy) -> Self {
        self.settings.approvals = policy;
        self
    }

    /// Where runs are recorded, and the child runs in them. Default: nowhere.
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Checks everything and makes the graph.
    ///
    /// # Errors
    /// The first thing that is wrong: an expression, a tool, a name, a cycle, a join that cannot be completed.
    pub fn build(self) -> Result<Graph, GraphBuildError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let spec = GraphSpec::new(self.settings)?;
        let parts = GraphParts {
            performers: self.performers.iter().map(|performer| performer.within(&spec.approvals)).collect(),
            spec: Arc::new(spec),
            conditions: self.conditions,
            default_input: self.default_input,
            approver: self.approver,
            journal: self.journal,
            max_depth: self.max_depth,
        };
        Ok(Graph::from_parts(parts))
    }

    fn add(mut self, from: String, to: String, when: When) -> Self {
        self.settings.edges.push(EdgeSpec { from, to, when });
        self
    }

    fn add_host(mut self, from: String, to: String, when: When, holds: HostCondition) -> Self {
        self.conditions.insert(ConditionOf::Edge { from: from.clone(), to: to.clone() }, holds);
        self.add(from, to, when)
    }

    fn add_expression(
        mut self,
        from: String,
        to: String,
        expression: &str,
        when: impl FnOnce(Condition) -> When,
    ) -> Self {
        match self.expression(|| format!("the edge from `{from}` to `{to}`"), expression) {
            Some(expression) => self.add(from, to, when(Condition::Expression(expression))),
            None => self,
        }
    }

    fn expression(&mut self, place: impl FnOnce() -> String, source: &str) -> Option<Expression> {
        Expression::new(source)
            .map_err(|error| self.problem(GraphBuildError::Expression { place: place(), error }))
            .ok()
    }

    fn problem(&mut self, problem: GraphBuildError) {
        self.problem.get_or_insert(problem);
    }
}

impl std::fmt::Debug for GraphBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
