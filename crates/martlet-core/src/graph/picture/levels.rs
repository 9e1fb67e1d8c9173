//! The level of each node: one more than the highest of those before it.

use crate::graph::GraphSpec;

/// The level of each node, from 0, in the order of the nodes. A node that waits for itself, which a checked graph does
/// not have, would be at level 0.
pub(super) fn of(graph: &GraphSpec) -> Vec<u32> {
    let nodes = 0..u32::try_from(graph.len()).unwrap_or(u32::MAX);
    let mut levels = vec![0_u32; graph.len()];
    let mut waits_for: Vec<usize> = nodes.clone().map(|node| graph.incoming(node).len()).collect();
    let mut ready: Vec<u32> = nodes.filter(|node| graph.incoming(*node).is_empty()).collect();
    while let Some(node) = ready.pop() {
        let next = levels[node as usize] + 1;
        for (_, to) in graph.outgoing(node).iter().filter_map(|edge| graph.ends(*edge)) {
            let place = to as usize;
            levels[place] = levels[place].max(next);
            waits_for[place] -= 1;
            if waits_for[place] == 0 {
                ready.push(to);
            }
        }
    }
    for (level, waits) in levels.iter_mut().zip(&waits_for) {
        if *waits > 0 {
            *level = 0;
        }
    }
    levels
}

/// The nodes of each level, in the order in which they were added.
pub(super) fn rows(levels: &[u32]) -> Vec<Vec<u32>> {
    let mut rows = vec![Vec::new(); levels.iter().max().map_or(0, |highest| *highest as usize + 1)];
    for (node, level) in (0..).zip(levels) {
        rows[*level as usize].push(node);
    }
    rows
}
