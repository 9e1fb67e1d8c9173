//! Workflows by the names that the configuration gives them.

use std::sync::Arc;

use martlet::core::graph::{NodeFailure, NodeFailureKind, Scope, check_template, render};
use martlet::{Expression, ForEach, Graph, Input, Node, Retry};

use crate::builder::Builder;
use crate::duration::Time;
use crate::error::{ConfigError, Problem, instead};
use crate::load::Config;
use crate::settings::{After, ForEachTable, NodeTable, RetryFields, WorkflowTable};

impl Config {
    /// The table of the workflow `name`.
    ///
    /// # Errors
    /// In words: there is none.
    pub fn workflow_table(&self, name: &str) -> Result<&WorkflowTable, String> {
        self.settings.workflows.get(name).ok_or_else(|| {
            let known = self.settings.workflows.keys().map(String::as_str);
            format!("there is no [workflows.{name}]: {}", instead(name, known))
        })
    }
}

/// The path of keys of a node, to which the key is added.
struct Place<'a> {
    config: &'a Config,
    workflow: &'a str,
    node: &'a str,
}

impl Place<'_> {
    fn problem(&self, keys: &[&str], text: impl std::fmt::Display) -> Problem {
        let path = [&["workflows", self.workflow, "nodes", self.node][..], keys].concat();
        self.config.problem(&path, text)
    }
}

impl Builder<'_> {
    /// The workflow of that name.
    ///
    /// # Errors
    /// There is none; or something that it names is wrong, or its nodes and edges make no graph.
    pub fn workflow(&self, name: &str) -> Result<Graph, ConfigError> {
        self.workflow_within(name, &[])
    }

    /// The workflow, which is a part of those of `above`, the outermost first.
    pub(crate) fn workflow_within(&self, name: &str, above: &[String]) -> Result<Graph, ConfigError> {
        if let Some(graph) = self.built_workflow(name) {
            return Ok(graph);
        }
        let table = self.config.workflow_table(name).map_err(Problem::new)?;
        let mut path = above.to_vec();
        path.push(format!("workflows.{name}"));
        let mut graph = Graph::new(name).on_failure(table.on_failure);
        if !table.description.is_empty() {
            graph = graph.description(&table.description);
        }
        if let Some(output) = &table.output {
            graph = graph.output(output.as_str());
        }
        if let Some(nodes) = table.max_parallel {
            graph = graph.max_parallel(nodes);
        }
        for (class, nodes) in &table.classes {
            graph = graph.class_limit(class, *nodes);
        }
        for (key, value) in &table.input {
            graph = graph.default_input(key, value.clone());
        }
        for (key, reducer) in &table.reducers {
            graph = graph.reducer(key, reducer.clone());
        }
        if let Some(tokens) = table.max_tokens {
            graph = graph.max_tokens(tokens);
        }
        graph = graph.approvals(self.policy(&["workflows", name], &table.approvals)?);
        for (node, settings) in &table.nodes {
            let at = Place { config: self.config, workflow: name, node };
            graph = graph.node(node, self.node(&at, settings, &path)?);
        }
        for (node, settings) in &table.nodes {
            for (place, after) in settings.after.iter().enumerate() {
                let at = Place { config: self.config, workflow: name, node };
                let from = &after.node;
                if !table.nodes.contains_key(from) {
                    let known = table.nodes.keys().map(String::as_str);
                    let text = format!("there is no node `{from}`: {}", instead(from, known));
                    return Err(at.problem(&["after", &place.to_string()], text).into());
                }
                graph = match after {
                    After { when: None, case: None, otherwise: false, .. } => graph.edge(from, node),
                    After { when: Some(when), case: None, otherwise: false, .. } => {
                        graph.edge_when(from, node, when.as_str())
                    }
                    After { when: None, case: Some(case), otherwise: false, .. } => {
                        graph.case_when(from, node, case.as_str())
                    }
                    After { when: None, case: None, otherwise: true, .. } => graph.otherwise(from, node),
                    _ => {
                        let text = "an edge has one of `when`, `case` and `otherwise`: leave out the others";
                        return Err(at.problem(&["after", &place.to_string()], text).into());
                    }
                };
            }
        }
        let graph = graph.build().map_err(|error| {
            let origin = self.config.origin(&["workflows", name]).cloned();
            let place = origin.as_ref().map(|origin| format!(" ({origin})")).unwrap_or_default();
            let problem = Problem::new(format!("[workflows.{name}]{place}: {error}"));
            ConfigError::caused(origin.map_or(problem.clone(), |origin| problem.at(origin)), error)
        })?;
        self.keep_workflow(name, &graph);
        Ok(graph)
    }

    fn node(&self, at: &Place<'_>, table: &NodeTable, path: &[String]) -> Result<Node, ConfigError> {
        let mut node = self.work(at, table, path)?;
        if !table.description.is_empty() {
            node = node.description(&table.description);
        }
        if let Some(prompt) = &table.prompt {
            if table.agent.is_none() {
                return Err(at.problem(&["prompt"], "a prompt is for agents: leave it out").into());
            }
            check_template(prompt).map_err(|error| at.problem(&["prompt"], error))?;
            node = node.prompt(prompt);
        }
        for (name, expression) in table.input.iter().flatten() {
            node = node.input(name, expression.as_str());
        }
        if let Some(key) = &table.output_key {
            node = node.output_key(key);
        }
        if let Some(join) = table.join {
            node = node.join(join);
        }
        if table.may_skip {
            node = node.may_skip();
        }
        if let Some(fields) = &table.retry {
            node = node.retry_with(retry(&fields.0));
        }
        if let Some(time) = self.timeout(table) {
            node = node.timeout(time.0);
        }
        node = node.on_error(table.on_error);
        if let Some(class) = &table.class {
            node = node.class(class);
        }
        if let Some(copies) = &table.for_each {
            node = node.for_each_with(for_each(copies));
        }
        if let Some(repeat) = &table.repeat {
            node = node.repeat_until_when(repeat.until.as_str(), repeat.max).at_max(repeat.at_max);
        }
        Ok(node)
    }

    /// How long an attempt may take: each is a run of the node's agent or workflow, which may have a limit of its own.
    fn timeout(&self, table: &NodeTable) -> Option<Time> {
        let settings = self.config.settings();
        let of_agent = || settings.agents.get(table.agent.as_ref()?)?.timeout;
        let of_workflow = || settings.workflows.get(table.workflow.as_ref()?)?.timeout;
        table.timeout.or_else(of_agent).or_else(of_workflow)
    }

    /// Who does the work.
    fn work(&self, at: &Place<'_>, table: &NodeTable, path: &[String]) -> Result<Node, ConfigError> {
        let workers = [
            ("agent", table.agent.is_some()),
            ("tool", table.tool.is_some()),
            ("workflow", table.workflow.is_some()),
            ("value", table.value.is_some()),
            ("template", table.template.is_some()),
        ];
        let mut named = workers.iter().filter(|(_, is_there)| *is_there).map(|(key, _)| *key);
        if let (Some(first), Some(second)) = (named.next(), named.next()) {
            let text = format!("a node has one of `{first}` and `{second}`: leave out the other");
            return Err(at.problem(&[second], text).into());
        }
        if let Some(name) = &table.agent {
            if !self.config.settings().agents.contains_key(name) {
                return Err(at.problem(&["agent"], self.config.no_agent(name)).into());
            }
            return Ok(Node::new(self.agent_within(name, path)?));
        }
        if let Some(name) = &table.tool {
            return self.tool(at, name);
        }
        if let Some(name) = &table.workflow {
            if let Err(text) = self.config.workflow_table(name) {
                return Err(at.problem(&["workflow"], text).into());
            }
            let this = format!("workflows.{name}");
            if let Some(circle) = circle(path, &this) {
                let text = format!("workflows and agents cannot contain each other in a circle: {circle}");
                return Err(at.problem(&["workflow"], text).into());
            }
            return Ok(Node::new(self.workflow_within(name, path)?));
        }
        if let Some(expression) = &table.value {
            let expression = expression.clone();
            return Ok(Node::new(move |input: Input| std::future::ready(value(&expression, input))));
        }
        if let Some(template) = &table.template {
            check_template(template).map_err(|error| at.problem(&["template"], error))?;
            let template: Arc<str> = template.as_str().into();
            return Ok(Node::new(move |input: Input| std::future::ready(text(&template, input))));
        }
        let text = "nobody does its work: add one of `agent`, `tool`, `workflow`, `value` and `template`";
        Err(at.problem(&[], text).into())
    }

    fn tool(&self, at: &Place<'_>, name: &str) -> Result<Node, ConfigError> {
        let known = self.host.tool_names();
        let missing = || {
            let known = known.iter().map(String::as_str);
            at.problem(&["tool"], format!("there is no tool `{name}`: {}", instead(name, known)))
        };
        if !known.iter().any(|tool| tool == name) {
            return Err(missing().into());
        }
        let tools = self
            .host
            .tools(&[name.to_owned()], &self.sandbox()?, &[])
            .map_err(|error| ConfigError::caused(at.problem(&["tool"], &error), error))?;
        let tool = tools.iter().next().cloned().ok_or_else(missing)?;
        Ok(Node::new(tool))
    }
}

/// The circle that `this` would close, in words.
pub(crate) fn circle(path: &[String], this: &str) -> Option<String> {
    let start = path.iter().position(|above| above == this)?;
    let mut names: Vec<&str> = path.get(start..).unwrap_or_default().iter().map(String::as_str).collect();
    names.push(this);
    Some(names.join(" -> "))
}

fn retry(fields: &RetryFields) -> Retry {
    let default = Retry::default();
    Retry {
        count: fields.count,
        backoff_ms: fields.backoff.map_or(default.backoff_ms, crate::Time::millis),
        factor: fields.factor.unwrap_or(default.factor),
        max_backoff_ms: fields.max_backoff.map_or(default.max_backoff_ms, crate::Time::millis),
        on: fields.on.clone().unwrap_or(default.on),
    }
}

fn for_each(table: &ForEachTable) -> ForEach {
    let mut copies = ForEach::new(table.over.clone());
    if let Some(name) = &table.name {
        copies.name.clone_from(name);
    }
    if let Some(parallel) = table.max_parallel {
        copies.max_parallel = parallel;
    }
    copies.order = table.order;
    copies
}

/// What a node that computes is given, as expressions see it.
struct Given(Input);

impl Scope for Given {
    fn lookup(&self, name: &str) -> Option<serde_json::Value> {
        self.0.get(name).ok()
    }

    fn names(&self) -> Vec<String> {
        match self.0.value() {
            serde_json::Value::Object(values) => values.into_iter().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        }
    }
}

fn value(expression: &Expression, input: Input) -> Result<serde_json::Value, NodeFailure> {
    expression
        .evaluate(&Given(input))
        .map_err(|error| NodeFailure::new(NodeFailureKind::Input, format!("its `value`: {error}")))
}

fn text(template: &str, input: Input) -> Result<String, NodeFailure> {
    render(template, &Given(input))
        .map_err(|error| NodeFailure::new(NodeFailureKind::Input, format!("its `template`: {error}")))
}
