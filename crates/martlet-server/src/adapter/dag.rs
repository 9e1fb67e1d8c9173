//! The graph of a workflow, as it looks while it runs.

use martlet_core::graph::{When, Work};
use martlet_core::{EventKind, GraphSpec};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A change of the graph, as an operation of a JSON Patch (RFC 6902): it sets a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Change {
    op: &'static str,
    path: String,
    value: Value,
}

/// A graph with where each of its nodes stands.
#[derive(Debug, Clone)]
pub(crate) struct Dag {
    name: String,
    status: Value,
    /// Each is an object with `id`, `kind` and `status`, and more once there is more.
    nodes: Vec<Map<String, Value>>,
    edges: Value,
}

impl Dag {
    pub(crate) fn new(spec: &GraphSpec) -> Self {
        let nodes = spec.nodes.iter().map(|node| {
            let kind = match node.work {
                Work::Agent => "agent",
                Work::Graph => "graph",
                Work::Function => "function",
                Work::Tool { .. } => "tool",
                _ => "other",
            };
            let node = [("id", &*node.name), ("kind", kind), ("status", "pending")];
            node.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
        });
        let edges = spec.edges.iter().map(
            |edge| json!({ "from": edge.from, "to": edge.to, "conditional": edge.when != When::Always }),
        );
        Self {
            name: spec.name.clone(),
            status: "pending".into(),
            nodes: nodes.collect(),
            edges: edges.collect(),
        }
    }

    /// All of it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "name": self.name, "status": self.status, "nodes": self.nodes, "edges": self.edges })
    }

    /// What an event of the workflow changes.
    pub(crate) fn apply(&mut self, event: &EventKind) -> Vec<Change> {
        match event {
            EventKind::GraphStarted { .. } => self.stands("running".into()),
            EventKind::GraphEnded { status, .. } => self.stands(json!(status)),
            EventKind::NodeStarted { node, attempt, .. } => {
                self.set(node, [("status", json!("running")), ("attempt", json!(attempt))])
            }
            EventKind::NodeRetried { node, error, .. } => self.set(node, [("error", json!(error))]),
            EventKind::NodeProgressed { node, done, of } => {
                self.set(node, [("done", json!(done)), ("of", json!(of))])
            }
            EventKind::NodeEnded { node, status, output, error, timing, .. } => {
                let mut fields = vec![("status", json!(status)), ("ms", json!(timing.elapsed_us / 1000))];
                fields.extend(output.as_ref().map(|output| ("output", json!(output))));
                fields.extend(error.as_ref().map(|error| ("error", json!(error))));
                self.set(node, fields)
            }
            _ => Vec::new(),
        }
    }

    fn stands(&mut self, status: Value) -> Vec<Change> {
        self.status = status.clone();
        vec![Change { op: "add", path: "/status".into(), value: status }]
    }

    fn set(&mut self, node: &str, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<Change> {
        let place = self.nodes.iter().position(|known| known.get("id").is_some_and(|id| id == node));
        let Some((place, known)) = place.and_then(|place| Some((place, self.nodes.get_mut(place)?))) else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        for (field, value) in fields {
            if known.get(field) != Some(&value) {
                known.insert(field.to_owned(), value.clone());
                changes.push(Change { op: "add", path: format!("/nodes/{place}/{field}"), value });
            }
        }
        changes
    }
}
