//! Work that could start, and the limits that it waits for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::units::Work;
use crate::graph::build::{GraphSpec, NodeIndex};

/// Work that could start: of each class the earliest first. One piece of work is a node, or a copy of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Queue {
    /// Pieces of work that may run at the same time.
    max: Option<usize>,
    running: usize,
    /// The first lane is for all that has no limit of its own.
    lanes: Vec<Lane>,
    /// The lane of each node that is not in the first one.
    lane_of: BTreeMap<NodeIndex, usize>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Lane {
    max: Option<usize>,
    running: usize,
    /// Rank, copy, node: the rank of the node decides, then the number of the copy.
    waiting: BTreeSet<(u32, Option<u32>, NodeIndex)>,
}

impl Queue {
    /// An empty queue with the graph's limits; `max_parallel` takes the place of the graph's if it is stricter.
    pub(super) fn new(spec: &GraphSpec, max_parallel: Option<usize>) -> Self {
        let max = match (spec.limits.max_parallel, max_parallel) {
            (Some(graph), Some(task)) => Some(graph.min(task.max(1))),
            (graph, task) => graph.or(task.map(|task| task.max(1))),
        };
        let mut lanes = vec![Lane::default()];
        let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
        for (class, limit) in &spec.limits.classes {
            classes.insert(class, lanes.len());
            lanes.push(Lane { max: Some(*limit), ..Lane::default() });
        }
        let lane_of = (0..)
            .zip(&spec.nodes)
            .filter_map(|(place, node)| Some((place, *classes.get(node.class.as_deref()?)?)))
            .collect();
        Self { max, running: 0, lanes, lane_of }
    }

    /// Adds a piece of work of a node that has this rank in its graph.
    pub(super) fn push(&mut self, rank: u32, node: NodeIndex, copy: Option<u32>) {
        if let Some(lane) = self.lane(node) {
            lane.waiting.insert((rank, copy, node));
        }
    }

    /// Takes the next piece of work for which there is a slot, and the slot.
    pub(super) fn next(&mut self) -> Option<(NodeIndex, Option<u32>)> {
        if self.max.is_some_and(|max| self.running >= max) {
            return None;
        }
        let lane = self
            .lanes
            .iter_mut()
            .filter(|lane| lane.max.is_none_or(|max| lane.running < max) && !lane.waiting.is_empty())
            .min_by_key(|lane| lane.waiting.first().copied())?;
        let (_, copy, node) = lane.waiting.pop_first()?;
        lane.running += 1;
        self.running += 1;
        Some((node, copy))
    }

    /// Gives a slot back.
    pub(super) fn release(&mut self, node: NodeIndex) {
        self.running = self.running.saturating_sub(1);
        if let Some(lane) = self.lane(node) {
            lane.running = lane.running.saturating_sub(1);
        }
    }

    /// Takes all of a node's work out, waiting or running.
    pub(super) fn remove(&mut self, rank: u32, node: NodeIndex, work: &Work) {
        if let Some(lane) = self.lane(node) {
            lane.waiting.remove(&(rank, None, node));
            for copy in work.copies_begun() {
                lane.waiting.remove(&(rank, Some(copy), node));
            }
        }
        for _ in 0..work.running {
            self.release(node);
        }
    }

    fn lane(&mut self, node: NodeIndex) -> Option<&mut Lane> {
        let place = self.lane_of.get(&node).copied().unwrap_or_default();
        self.lanes.get_mut(place)
    }
}
