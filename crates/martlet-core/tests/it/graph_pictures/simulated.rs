//! Executions made by hand: nodes with given times, and edges that are taken or not.

use std::collections::{HashMap, HashSet};

use martlet_core::graph::{
    Condition, EdgeSpec, Expression, GraphResult, GraphSettings, GraphSpec, GraphStatus, NodeFailure,
    NodeFailureKind, NodeReport, NodeSpec, NodeStatus, SkipCause, SkipKind, When, Work,
};
use martlet_core::{RunId, Timing, Usage};

/// Begins a graph.
pub(crate) fn graph(name: &str, nodes: Vec<NodeSpec>, edges: Vec<EdgeSpec>) -> GraphSpec {
    GraphSpec::new(GraphSettings { name: name.into(), nodes, edges, ..GraphSettings::default() }).unwrap()
}

pub(crate) fn node(name: &str) -> NodeSpec {
    NodeSpec::new(name, Work::Function)
}

pub(crate) fn agent(name: &str) -> NodeSpec {
    NodeSpec::new(name, Work::Agent)
}

pub(crate) fn edge(from: &str, to: &str) -> EdgeSpec {
    EdgeSpec { from: from.into(), to: to.into(), when: When::Always }
}

pub(crate) fn edge_when(from: &str, to: &str, when: When) -> EdgeSpec {
    EdgeSpec { from: from.into(), to: to.into(), when }
}

pub(crate) fn holds(expression: &str) -> Condition {
    Condition::Expression(Expression::new(expression).unwrap())
}

/// What happens in an execution.
#[derive(Default)]
pub(crate) struct Story<'a> {
    /// Milliseconds by node; 50 for others.
    pub(crate) times: HashMap<&'a str, u64>,
    pub(crate) failing: HashSet<&'a str>,
    /// Conditional edges, as `from to`, that are not taken.
    pub(crate) refused: HashSet<&'a str>,
    pub(crate) attempts: HashMap<&'a str, u32>,
}

/// The result of a graph whose edges lead forward in the order of its nodes.
pub(crate) fn execute(graph: &GraphSpec, story: &Story<'_>) -> GraphResult {
    const START: u64 = 1_700_000_000_000;
    let mut nodes: Vec<NodeReport> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::new();
    for (place, spec) in (0..).zip(&graph.nodes) {
        let mut begin = START;
        let (mut last, mut cause, mut taken) = (None, None, 0);
        let inbound = graph.incoming(place);
        for number in inbound {
            let (from, _) = graph.ends(*number).unwrap();
            let earlier = &nodes[from as usize];
            let refused = story.refused.contains(format!("{} {}", earlier.name, spec.name).as_str());
            if earlier.status == NodeStatus::Completed && !refused {
                taken += 1;
                if earlier.timing.ended_ms() >= begin {
                    begin = earlier.timing.ended_ms();
                    last = Some(from as usize);
                }
                continue;
            }
            let inherited =
                earlier.cause.clone().map(|cause| SkipCause { from: earlier.name.clone(), ..cause });
            let kind =
                if earlier.status == NodeStatus::Failed { SkipKind::Failed } else { SkipKind::NotChosen };
            let begun = SkipCause { kind, origin: earlier.name.clone(), from: earlier.name.clone() };
            cause = Some(inherited.unwrap_or(begun));
        }
        let skipped =
            !inbound.is_empty() && taken == 0 || cause.as_ref().is_some_and(|cause| cause.kind.is_error());
        let failed = story.failing.contains(&*spec.name);
        let elapsed = story.times.get(&*spec.name).copied().unwrap_or(50);
        nodes.push(NodeReport {
            name: spec.name.as_str().into(),
            status: match (skipped, failed) {
                (true, _) => NodeStatus::Skipped,
                (_, true) => NodeStatus::Failed,
                _ => NodeStatus::Completed,
            },
            attempts: if skipped { 0 } else { story.attempts.get(&*spec.name).copied().unwrap_or(1) },
            items: None,
            repeated: None,
            timing: if skipped {
                Timing::default()
            } else {
                Timing { started_ms: begin, elapsed_us: elapsed * 1_000 }
            },
            waited_ms: 0,
            usage: Usage::default(),
            error: (failed && !skipped)
                .then(|| NodeFailure::new(NodeFailureKind::Failed, "the service said no")),
            cause: if skipped { cause } else { None },
            edited: Vec::new(),
            critical: false,
        });
        before.push(last);
    }
    let mut at = (0..nodes.len()).max_by_key(|place| nodes[*place].timing.ended_ms());
    let mut critical_path = Vec::new();
    while let Some(place) = at {
        nodes[place].critical = true;
        critical_path.insert(0, nodes[place].name.clone());
        at = before[place];
    }
    let end = nodes.iter().map(|node| node.timing.ended_ms()).max().unwrap_or(START);
    let count = |status| nodes.iter().filter(|node| node.status == status).count();
    let seconds = (end - START) as f64 / 1_000.0;
    GraphResult {
        run: RunId::new("run_1").unwrap(),
        graph: graph.name.clone(),
        status: if count(NodeStatus::Failed) > 0 { GraphStatus::Failed } else { GraphStatus::Success },
        total_nodes: nodes.len(),
        completed_nodes: count(NodeStatus::Completed),
        failed_nodes: count(NodeStatus::Failed),
        skipped_nodes: count(NodeStatus::Skipped),
        execution_time_seconds: seconds,
        node_results: serde_json::Map::new(),
        errors: serde_json::Map::new(),
        final_state: serde_json::Map::new(),
        failure: None,
        output: serde_json::Value::Null,
        critical_path,
        critical_path_seconds: seconds,
        nodes,
        usage: Usage::default(),
        timing: Timing { started_ms: START, elapsed_us: (end - START) * 1_000 },
        state: martlet_core::graph::StateLog::default(),
    }
}
