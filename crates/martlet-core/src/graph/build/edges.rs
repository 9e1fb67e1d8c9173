//! The edges of a graph by the nodes that they leave and lead to, and the order of the nodes that follows from them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::NodeIndex;

/// The ends of each edge, and for each node its edges.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edges {
    ends: Vec<(NodeIndex, NodeIndex)>,
    outgoing: Adjacency,
    incoming: Adjacency,
}

impl Edges {
    pub(super) fn new(nodes: usize, ends: Vec<(NodeIndex, NodeIndex)>) -> Self {
        let outgoing = Adjacency::new(nodes, ends.iter().map(|(from, _)| *from));
        let incoming = Adjacency::new(nodes, ends.iter().map(|(_, to)| *to));
        Self { ends, outgoing, incoming }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn ends(&self, edge: u32) -> Option<(NodeIndex, NodeIndex)> {
        self.ends.get(edge as usize).copied()
    }

    pub(super) fn outgoing(&self, node: NodeIndex) -> &[u32] {
        self.outgoing.of(node)
    }

    pub(super) fn incoming(&self, node: NodeIndex) -> &[u32] {
        self.incoming.of(node)
    }

    /// The nodes to which an edge of the node leads.
    pub(super) fn after(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.outgoing(node).iter().filter_map(|edge| self.ends(*edge)).map(|(_, to)| to)
    }

    /// The nodes from which an edge leads to the node.
    pub(super) fn before(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.incoming(node).iter().filter_map(|edge| self.ends(*edge)).map(|(from, _)| from)
    }

    /// The nodes in an order in which every edge leads forward; of those that could come next, the one that was added
    /// first (A. B. Kahn, 1962). If there is none: the nodes of a cycle.
    pub(super) fn order(&self, nodes: usize) -> Result<Vec<NodeIndex>, Vec<NodeIndex>> {
        let mut waits_for: Vec<usize> = (0..).take(nodes).map(|node| self.incoming(node).len()).collect();
        let mut ready: BinaryHeap<Reverse<NodeIndex>> =
            (0..).zip(&waits_for).filter(|(_, count)| **count == 0).map(|(node, _)| Reverse(node)).collect();
        let mut order = Vec::with_capacity(nodes);
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for next in self.after(node) {
                if let Some(count) = waits_for.get_mut(next as usize) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(Reverse(next));
                    }
                }
            }
        }
        if order.len() == nodes { Ok(order) } else { Err(self.cycle(&waits_for)) }
    }

    /// A cycle among the nodes that still wait for one another. Each of them has one before it that waits as well, so
    /// going back from any of them ends in a circle.
    fn cycle(&self, waits_for: &[usize]) -> Vec<NodeIndex> {
        let waits = |node: &NodeIndex| waits_for.get(*node as usize).is_some_and(|count| *count > 0);
        let mut seen_at: Vec<Option<usize>> = vec![None; waits_for.len()];
        let mut path: Vec<NodeIndex> = Vec::new();
        let mut here = (0..).take(waits_for.len()).find(waits);
        while let Some(node) = here {
            let Some(seen) = seen_at.get_mut(node as usize) else { break };
            if let Some(start) = *seen {
                path.drain(..start);
                break;
            }
            *seen = Some(path.len());
            path.push(node);
            here = self.before(node).find(waits);
        }
        path.reverse();
        // From the node that was added first: that is where people begin to read.
        let first = path.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(place, _)| place);
        path.rotate_left(first);
        path
    }

    /// The level of each node: one more than the highest of those before it.
    pub(super) fn levels(&self, order: &[NodeIndex]) -> Vec<u32> {
        let mut levels = vec![0_u32; order.len()];
        for node in order {
            let level = self
                .before(*node)
                .filter_map(|before| levels.get(before as usize))
                .max()
                .map_or(0, |highest| highest + 1);
            if let Some(slot) = levels.get_mut(*node as usize) {
                *slot = level;
            }
        }
        levels
    }
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
