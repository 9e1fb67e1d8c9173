//! A graph that was checked, with the indexes that running it needs.

mod edges;
mod error;
mod joins;
mod options;
mod writers;

use std::collections::{HashMap, HashSet};
use std::ops::Deref;

use serde::{Deserialize, Serialize};

pub use self::error::GraphError;

use self::edges::Edges;
use self::joins::Joins;
use super::spec::{GraphSettings, Join, Name, NodeSpec};
use crate::approval::ApprovalPolicy;
use crate::name;

/// The place of a node in its graph.
pub type NodeIndex = u32;

/// A graph: checked settings. Immutable, to be shared by any number of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "GraphSettings", into = "GraphSettings")]
pub struct GraphSpec {
    settings: GraphSettings,
    names: Vec<Name>,
    places: HashMap<Name, NodeIndex>,
    edges: Edges,
    /// The nodes in an order in which every edge leads forward.
    order: Vec<NodeIndex>,
    /// The place of each node in that order.
    rank: Vec<u32>,
    joins: Vec<Join>,
}

impl GraphSpec {
    /// Checks the settings, in a time that grows as the number of nodes and edges.
    ///
    /// Names must be there and be unique, edges must lead from one node to another without a cycle, options must make
    /// sense. Beyond that it is computed under which choices of branches each node runs, every condition holding or not
    /// whatever the others do, and refused are:
    ///
    /// - nodes that never run, as behind a join that waits for all of several branches that exclude each other;
    /// - joins ([`Join::All`], [`Join::NOf`]) that some choice reaches and does not complete, unless the node
    ///   [`may_skip`](NodeSpec::may_skip);
    /// - two nodes that write the same state key without a reducer and may run at the same time: both run under some
    ///   choice, and neither waits for the other. (A join that takes less than all of its edges waits for none of them,
    ///   unless what is before it excludes each other.)
    ///
    /// A node without a join of its own gets [`Join::All`] if its edges are always taken together, and
    /// [`Join::AllTaken`] otherwise.
    ///
    /// Of the edges of a node that are taken [`Otherwise`](super::When::Otherwise) there may be several: if no case is
    /// taken, all of them are.
    ///
    /// Conditions that depend on each other in very complicated ways would make these computations grow without bounds.
    /// They are given up after a fraction of a second: what is not known then is accepted, and its default join is
    /// [`Join::AllTaken`].
    ///
    /// # Errors
    /// The first thing that is wrong, and what to do about it.
    pub fn new(settings: GraphSettings) -> Result<Self, GraphError> {
        options::check(&settings)?;
        let (names, places) = places(&settings)?;
        let edges = Edges::new(names.len(), ends(&settings, &places)?);
        let order = edges
            .order(names.len())
            .map_err(|cycle| GraphError::Cycle(cycle.into_iter().map(|node| text(&names, node)).collect()))?;
        let mut joins = Joins::new(&settings.nodes, &settings.edges, &names, &edges, &order)?;
        writers::check(&settings, &names, &edges, &order, &mut joins)?;
        let mut rank = vec![0; names.len()];
        for (place, node) in (0..).zip(&order) {
            if let Some(slot) = rank.get_mut(*node as usize) {
                *slot = place;
            }
        }
        Ok(Self { settings, names, places, edges, order, rank, joins: joins.joins })
    }

    /// This graph where it works for what `outer` governs: bound by those rules as well.
    #[must_use]
    pub fn within(&self, outer: &ApprovalPolicy) -> Self {
        let mut spec = self.clone();
        spec.settings.approvals = spec.settings.approvals.within(outer);
        spec
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no nodes, which no graph allows.
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
        self.edges.outgoing(node)
    }

    /// The numbers of the edges that lead to a node, in the order in which they were added.
    pub fn incoming(&self, node: NodeIndex) -> &[u32] {
        self.edges.incoming(node)
    }

    /// The nodes that an edge leaves and leads to.
    pub fn ends(&self, edge: u32) -> Option<(NodeIndex, NodeIndex)> {
        self.edges.ends(edge)
    }

    /// When the node starts: what was set, or what follows from its edges.
    pub fn join(&self, node: NodeIndex) -> Join {
        self.joins.get(node as usize).copied().unwrap_or(Join::All)
    }

    /// The place of a node in an order in which every edge leads forward. Of the nodes that could come next in it, the
    /// one that was added first does.
    pub fn rank(&self, node: NodeIndex) -> u32 {
        self.rank.get(node as usize).copied().unwrap_or_default()
    }

    /// The names of the nodes by level: a node's level is one more than the highest of those before it. Execution does
    /// not wait for levels; they are for people.
    pub fn levels(&self) -> Vec<Vec<Name>> {
        let mut levels: Vec<Vec<Name>> = Vec::new();
        for (name, level) in self.names.iter().zip(self.edges.levels(&self.order)) {
            let level = level as usize;
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            if let Some(names) = levels.get_mut(level) {
                names.push(name.clone());
            }
        }
        levels
    }

    /// The names of the nodes that no edge leads to, in the order in which they were added.
    pub fn start_nodes(&self) -> Vec<Name> {
        self.names_where(|node| self.incoming(node).is_empty())
    }

    /// The names of the nodes that no edge leaves, in the order in which they were added.
    pub fn end_nodes(&self) -> Vec<Name> {
        self.names_where(|node| self.outgoing(node).is_empty())
    }

    fn names_where(&self, wanted: impl Fn(NodeIndex) -> bool) -> Vec<Name> {
        (0..).zip(&self.names).filter(|(node, _)| wanted(*node)).map(|(_, name)| name.clone()).collect()
    }
}

/// The names of the nodes and their places.
fn places(settings: &GraphSettings) -> Result<(Vec<Name>, HashMap<Name, NodeIndex>), GraphError> {
    let mut names = Vec::with_capacity(settings.nodes.len());
    let mut places: HashMap<Name, NodeIndex> = HashMap::with_capacity(settings.nodes.len());
    for (place, node) in (0..).zip(&settings.nodes) {
        let name: Name = node.name.as_str().into();
        if places.insert(name.clone(), place).is_some() {
            return Err(GraphError::DuplicateNode(node.name.clone()));
        }
        names.push(name);
    }
    Ok((names, places))
}

/// The places of the nodes that each edge leaves and leads to.
fn ends(
    settings: &GraphSettings,
    places: &HashMap<Name, NodeIndex>,
) -> Result<Vec<(NodeIndex, NodeIndex)>, GraphError> {
    let mut seen = HashSet::with_capacity(settings.edges.len());
    let mut ends = Vec::with_capacity(settings.edges.len());
    for edge in &settings.edges {
        let find = |wanted: &str| {
            places.get(wanted).copied().ok_or_else(|| GraphError::UnknownNode {
                from: edge.from.clone(),
                to: edge.to.clone(),
                name: wanted.to_owned(),
                nearest: name::nearest(wanted, settings.nodes.iter().map(|node| node.name.as_str()))
                    .map(str::to_owned),
            })
        };
        let (from, to) = (find(&edge.from)?, find(&edge.to)?);
        if from == to {
            return Err(GraphError::SelfEdge(edge.from.clone()));
        }
        if !seen.insert((from, to)) {
            return Err(GraphError::DuplicateEdge { from: edge.from.clone(), to: edge.to.clone() });
        }
        ends.push((from, to));
    }
    Ok(ends)
}

fn text(names: &[Name], node: NodeIndex) -> String {
    names.get(node as usize).map(ToString::to_string).unwrap_or_default()
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
