//! A graph that was checked, with the indexes that running it needs.

use std::collections::HashMap;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::spec::{GraphSettings, Join, Name, NodeSpec, When};

/// The place of a node in its graph.
pub type NodeIndex = u32;

/// A graph: checked settings. Immutable, to be shared by any number of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "GraphSettings", into = "GraphSettings")]
pub struct GraphSpec {
    settings: GraphSettings,
    names: Vec<Name>,
    places: HashMap<Name, NodeIndex>,
    /// The ends of each edge.
    ends: Vec<(NodeIndex, NodeIndex)>,
    outgoing: Adjacency,
    incoming: Adjacency,
    /// The place of each node in an order in which every edge leads forward.
    rank: Vec<u32>,
    joins: Vec<Join>,
}

/// For each node the numbers of its edges, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Default)]
struct Adjacency {
    starts: Vec<u32>,
    edges: Vec<u32>,
}

impl Adjacency {
    fn new(nodes: usize, ends: impl Iterator<Item = NodeIndex> + Clone) -> Self {
        let mut starts = vec![0_u32; nodes + 1];
        for node in ends.clone() {
            if let Some(count) = starts.get_mut(node as usize + 1) {
                *count += 1;
            }
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut next = starts.clone();
        let mut edges = vec![0_u32; total as usize];
        for (edge, node) in (0_u32..).zip(ends) {
            if let Some(place) = next.get_mut(node as usize) {
                if let Some(slot) = edges.get_mut(*place as usize) {
                    *slot = edge;
                }
                *place += 1;
            }
        }
        Self { starts, edges }
    }

    fn of(&self, node: NodeIndex) -> &[u32] {
        let at = |place: usize| self.starts.get(place).map_or(0, |start| *start as usize);
        self.edges.get(at(node as usize)..at(node as usize + 1)).unwrap_or_default()
    }
}

impl GraphSpec {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn new(settings: GraphSettings) -> Result<Self, GraphError> {
        let mut places: HashMap<Name, NodeIndex> = HashMap::with_capacity(settings.nodes.len());
        let mut names = Vec::with_capacity(settings.nodes.len());
        for (place, node) in (0..).zip(&settings.nodes) {
            let name: Name = node.name.as_str().into();
            if places.insert(name.clone(), place).is_some() {
                return Err(GraphError::DuplicateNode(node.name.clone()));
            }
            names.push(name);
        }
        let find =
            |name: &str| places.get(name).copied().ok_or_else(|| GraphError::UnknownNode(name.to_owned()));
        let ends = settings
            .edges
            .iter()
            .map(|edge| Ok((find(&edge.from)?, find(&edge.to)?)))
            .collect::<Result<Vec<_>, GraphError>>()?;
        let outgoing = Adjacency::new(names.len(), ends.iter().map(|(from, _)| *from));
        let incoming = Adjacency::new(names.len(), ends.iter().map(|(_, to)| *to));
        let rank = vec![0; names.len()];
        let joins = settings.nodes.iter().map(|node| node.join.unwrap_or(Join::All)).collect();
        let spec = Self { settings, names, places, ends, outgoing, incoming, rank, joins };
        let _ = When::Always;
        Ok(spec)
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The place of the node of that name.
    pub fn place(&self, name: &str) -> Option<NodeIndex> {
        self.places.get(name).copied()
    }

    /// A node.
    pub fn node(&self, node: NodeIndex) -> Option<&NodeSpec> {
        self.settings.nodes.get(node as usize)
    }

    /// The name of a node.
    pub(crate) fn name(&self, node: NodeIndex) -> Name {
        self.names.get(node as usize).cloned().unwrap_or_else(|| "?".into())
    }

    /// The numbers of the edges that leave a node, in the order in which they were added.
    pub fn outgoing(&self, node: NodeIndex) -> &[u32] {
        self.outgoing.of(node)
    }

    /// The numbers of the edges that lead to a node, in the order in which they were added.
    pub fn incoming(&self, node: NodeIndex) -> &[u32] {
        self.incoming.of(node)
    }

    /// The nodes that an edge leaves and leads to.
    pub fn ends(&self, edge: u32) -> Option<(NodeIndex, NodeIndex)> {
        self.ends.get(edge as usize).copied()
    }

    /// When the node starts: what was set, or what follows from its edges.
    pub fn join(&self, node: NodeIndex) -> Join {
        self.joins.get(node as usize).copied().unwrap_or(Join::All)
    }

    /// The place of a node in an order in which every edge leads forward.
    pub fn rank(&self, node: NodeIndex) -> u32 {
        self.rank.get(node as usize).copied().unwrap_or_default()
    }

    /// The names of the nodes by level: a node's level is one more than the highest of those before it. Execution does
    /// not wait for levels; they are for people.
    pub fn levels(&self) -> Vec<Vec<Name>> {
        Vec::new()
    }
}

impl Deref for GraphSpec {
    type Target = GraphSettings;

    fn deref(&self) -> &GraphSettings {
        &self.settings
    }
}

impl TryFrom<GraphSettings> for GraphSpec {
    type Error = GraphError;

    fn try_from(settings: GraphSettings) -> Result<Self, GraphError> {
        Self::new(settings)
    }
}

impl From<GraphSpec> for GraphSettings {
    fn from(spec: GraphSpec) -> Self {
        spec.settings
    }
}

/// Why settings do not make a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Two nodes of one name.
    #[error("there are two nodes named `{0}`: rename one of them")]
    DuplicateNode(String),
    /// An edge names a node that is not there.
    #[error("there is no node named `{0}`")]
    UnknownNode(String),
}
