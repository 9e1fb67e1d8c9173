//! The result of a graph's run: what became of each node, and which of them took the time.

use serde_json::{Map, Value};

use super::GraphRun;
use crate::graph::build::NodeIndex;
use crate::graph::result::{GraphResult, GraphStatus, NodeReport, NodeStatus, SkipKind};
use crate::graph::spec::Name;

impl GraphRun {
    /// The output of the whole graph.
    pub(super) fn make_output(&self) -> Result<Value, String> {
        if let Some(output) = &self.spec.output {
            return output
                .evaluate(self.state.current())
                .map_err(|error| format!("the output `{}` cannot be made: {error}", output.as_str()));
        }
        let ends = (0..).take(self.spec.len()).filter(|node| self.spec.outgoing(*node).is_empty());
        let completed: Vec<NodeIndex> =
            ends.filter(|node| self.status_of(*node) == NodeStatus::Completed).collect();
        let result = |node: NodeIndex| self.result_of(node).cloned().unwrap_or_default();
        Ok(match completed.as_slice() {
            [] => Value::Null,
            [only] => result(*only),
            several => Value::Object(
                several.iter().map(|node| (self.spec.name(*node).to_string(), result(*node))).collect(),
            ),
        })
    }

    /// The chain of nodes that took the time: from the one that ended last back, each time to the one above that was
    /// settled last. It goes through nodes that were skipped, for their successors may have waited for that; they are
    /// not part of it.
    fn critical_path(&self) -> Vec<NodeIndex> {
        let run = |node: NodeIndex| self.nodes.get(node as usize);
        let settled_us = |node: NodeIndex| run(node).map_or(0, |run| run.settled_us);
        let ran = |node: &NodeIndex| run(*node).is_some_and(|run| run.attempts > 0);
        // Of those that were settled at the same moment, one that was stopped was not what the others waited for, and
        // one below another waited for it.
        let latest = |nodes: &mut dyn Iterator<Item = NodeIndex>| {
            nodes.max_by_key(|node| {
                let stopped = run(*node)
                    .and_then(|run| run.cause.as_ref())
                    .is_some_and(|cause| matches!(cause.kind, SkipKind::Lost | SkipKind::Ended));
                (settled_us(*node), !stopped, self.spec.rank(*node))
            })
        };
        let mut path: Vec<NodeIndex> = Vec::new();
        let mut next = latest(&mut (0..).take(self.spec.len()).filter(ran));
        while let Some(node) = next {
            let began_us = if ran(&node) {
                path.push(node);
                run(node).map_or(0, |run| run.ready_ms.saturating_mul(1_000).saturating_add(999))
            } else {
                settled_us(node)
            };
            next = latest(&mut self.spec.incoming(node).iter().filter_map(|edge| {
                let (from, _) = self.spec.ends(*edge)?;
                // With joins that do not wait for all, some end after the node has begun.
                (self.status_of(from).is_settled() && settled_us(from) <= began_us).then_some(from)
            }));
        }
        path.reverse();
        path
    }
}

pub(super) fn result(run: GraphRun, status: GraphStatus) -> GraphResult {
    let path = run.critical_path();
    let failure = run.why_failed();
    let mut critical = vec![false; run.nodes.len()];
    let mut on_path_us = 0_u64;
    for node in &path {
        if let Some(mark) = critical.get_mut(*node as usize) {
            *mark = true;
        }
        on_path_us += run.nodes.get(*node as usize).map_or(0, |node| node.timing.elapsed_us);
    }
    let mut results = Map::new();
    let mut errors = Map::new();
    let mut reports = Vec::with_capacity(run.nodes.len());
    let mut counts = [0_usize; 3];
    for (node, critical) in (0..).zip(critical) {
        let Some(state) = run.nodes.get(node as usize) else { break };
        let name = run.spec.name(node);
        let [completed, failed, skipped] = &mut counts;
        match state.status {
            NodeStatus::Completed => {
                *completed += 1;
                results.insert(name.to_string(), run.result_of(node).cloned().unwrap_or_default());
            }
            NodeStatus::Failed => *failed += 1,
            _ => *skipped += 1,
        }
        if let Some(error) = &state.error {
            errors.insert(name.to_string(), Value::String(error.to_string()));
        }
        let waited_ms = match state.timing.started_ms {
            0 => 0,
            started => started.saturating_sub(state.ready_ms),
        };
        reports.push(NodeReport {
            name,
            status: state.status,
            attempts: state.attempts,
            items: state.items,
            repeated: state.repeated,
            timing: state.timing,
            waited_ms,
            usage: state.usage,
            error: state.error.clone(),
            cause: state.cause.clone(),
            edited: state.edited.clone(),
            critical,
        });
    }
    let [completed_nodes, failed_nodes, skipped_nodes] = counts;
    let critical_path: Vec<Name> = path.into_iter().map(|node| run.spec.name(node)).collect();
    GraphResult {
        run: run.id,
        graph: run.spec.name.clone(),
        status,
        total_nodes: reports.len(),
        completed_nodes,
        failed_nodes,
        skipped_nodes,
        execution_time_seconds: seconds(run.timing.elapsed_us),
        node_results: results,
        errors,
        final_state: run.state.current().to_object(),
        output: run.output,
        failure,
        nodes: reports,
        critical_path,
        critical_path_seconds: seconds(on_path_us),
        usage: run.usage,
        timing: run.timing,
        state: run.state,
    }
}

/// Seconds to three decimals.
fn seconds(us: u64) -> f64 {
    let ms = us.saturating_add(500) / 1_000;
    #[expect(clippy::cast_precision_loss, reason = "the milliseconds of any run fit the 53 bits of a float")]
    let ms = ms as f64;
    ms / 1_000.0
}
