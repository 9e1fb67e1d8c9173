//! The options of single nodes and the limits of the graph: what can be checked without looking at edges.

use std::collections::{HashMap, HashSet};

use minijinja::Environment;

use super::error::GraphError;
use crate::graph::spec::{GraphSettings, NodeSpec, Work};
use crate::tool::ToolSpec;
use crate::{name, prompt, schema};

/// Names are shown in messages, pictures and tables.
const MAX_NAME: usize = 128;

/// Words that expressions read as something else than a name.
const RESERVED: [&str; 14] =
    ["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None", "loop"];

/// Checks the limits of the graph and the options of each node.
pub(super) fn check(settings: &GraphSettings) -> Result<(), GraphError> {
    if settings.nodes.is_empty() {
        return Err(GraphError::NoNodes(settings.name.clone()));
    }
    if settings.limits.max_parallel == Some(0) {
        return Err(GraphError::MaxParallel);
    }
    if let Some((class, _)) = settings.limits.classes.iter().find(|(_, limit)| **limit == 0) {
        return Err(GraphError::ClassLimit(class.clone()));
    }
    // What has no node to hold for would hold for nothing: probably a name that is misspelt.
    let classes = || settings.nodes.iter().filter_map(|node| node.class.as_deref());
    if let Some(class) = settings.limits.classes.keys().find(|class| !classes().any(|known| known == *class))
    {
        let nearest = name::nearest(class, classes()).map(str::to_owned);
        return Err(GraphError::UnknownClass { class: class.clone(), nearest });
    }
    let written: HashSet<&str> = settings.nodes.iter().map(NodeSpec::output_key).collect();
    if let Some(key) = settings.reducers.keys().find(|key| !written.contains(key.as_str())) {
        let nearest = name::nearest(key, settings.nodes.iter().map(NodeSpec::output_key)).map(str::to_owned);
        return Err(GraphError::UnknownReducerKey { key: key.clone(), nearest });
    }
    settings.approvals.check()?;
    let mut checked = Checked::default();
    settings.nodes.iter().try_for_each(|node| checked.node(node))
}

/// What was made and found for earlier nodes: graphs with very many nodes have few tools.
#[derive(Default)]
struct Checked<'a> {
    templates: Option<Environment<'static>>,
    tools: HashMap<&'a str, &'a ToolSpec>,
}

impl<'a> Checked<'a> {
    fn node(&mut self, node: &'a NodeSpec) -> Result<(), GraphError> {
        let name = || node.name.clone();
        if let Some(problem) = name_problem(&node.name) {
            return Err(GraphError::NodeName { name: name(), problem });
        }
        if let Some(problem) = node.output_key.as_deref().and_then(name_problem) {
            return Err(GraphError::OutputKey { node: name(), problem });
        }
        // Written so that a factor that is not a number is refused as well.
        if !(node.retry.factor >= 1.0 && node.retry.factor.is_finite()) {
            return Err(GraphError::RetryFactor { node: name(), factor: node.retry.factor.to_string() });
        }
        if node.timeout_ms == Some(0) {
            return Err(GraphError::Timeout(name()));
        }
        if let Some(for_each) = &node.for_each {
            if for_each.max_parallel == 0 {
                return Err(GraphError::ForEachParallel(name()));
            }
            if let Some(problem) = variable_problem(&for_each.name) {
                return Err(GraphError::ForEachName { node: name(), name: for_each.name.clone(), problem });
            }
        }
        if let Some(repeat) = &node.repeat {
            if repeat.max == 0 {
                return Err(GraphError::RepeatMax(name()));
            }
            if node.for_each.is_some() {
                return Err(GraphError::ForEachAndRepeat(name()));
            }
        }
        if let Some(prompt) = &node.prompt {
            self.prompt(node, prompt)?;
        }
        if let Work::Tool { spec } = &node.work {
            self.tool(node, spec)?;
        }
        Ok(())
    }

    fn prompt(&mut self, node: &NodeSpec, prompt: &str) -> Result<(), GraphError> {
        if node.work != Work::Agent {
            return Err(GraphError::PromptWithoutAgent(node.name.clone()));
        }
        let failed = |error: minijinja::Error| GraphError::Prompt {
            node: node.name.clone(),
            problem: error.to_string(),
        };
        let templates = match &mut self.templates {
            Some(templates) => templates,
            none => none.insert(prompt::environment().map_err(failed)?),
        };
        templates.template_from_str(prompt).map(|_| ()).map_err(failed)
    }

    fn tool(&mut self, node: &NodeSpec, spec: &'a ToolSpec) -> Result<(), GraphError> {
        let same = self.tools.get(spec.name.as_str()).is_some_and(|seen| seen.parameters == spec.parameters);
        if !same {
            spec.check_schema().map_err(|problem| GraphError::ToolSchema {
                node: node.name.clone(),
                tool: spec.name.clone(),
                problem,
            })?;
            self.tools.insert(&spec.name, spec);
        }
        let Some(mapping) = &node.input_mapping else { return Ok(()) };
        let item = node.for_each.as_ref().map(|for_each| for_each.name.as_str());
        let is_given = |name: &str| mapping.contains_key(name) || item == Some(name);
        if let Some(parameter) = schema::required(spec).find(|name| !is_given(name)) {
            return Err(GraphError::ToolParameterMissing {
                node: node.name.clone(),
                tool: spec.name.clone(),
                parameter: parameter.to_owned(),
            });
        }
        if schema::is_open(spec) {
            return Ok(());
        }
        match mapping.keys().find(|name| !spec.parameter_names().any(|known| known == name.as_str())) {
            None => Ok(()),
            Some(parameter) => Err(GraphError::ToolParameterUnknown {
                node: node.name.clone(),
                tool: spec.name.clone(),
                parameter: parameter.clone(),
                known: spec.parameter_names().map(str::to_owned).collect(),
            }),
        }
    }
}

/// What is wrong with a name that people read: of a node, of a state key.
fn name_problem(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("it is empty; use letters, digits and `_`".into());
    }
    if name.trim() != name {
        return Some("remove the space around it".into());
    }
    if name.chars().any(char::is_control) {
        return Some("remove the line breaks and control characters".into());
    }
    (name.chars().count() > MAX_NAME).then(|| format!("use at most {MAX_NAME} characters"))
}

/// What is wrong with the name of a variable in expressions.
fn variable_problem(name: &str) -> Option<String> {
    let letters = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if name.is_empty() || !letters || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Some("use letters, digits and `_`, and no digit at the start".into());
    }
    RESERVED.contains(&name).then(|| "expressions read it as something else, use another name".into())
}
