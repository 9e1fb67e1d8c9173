//! Properties of the run of a graph: whatever the graph, the failures, the conditions and the times are, it does what
//! the tables of `martlet_core::graph` say.

mod case;
mod model;
mod table;

use std::collections::{HashMap, HashSet};

use martlet_core::graph::{Join, NodeReport, NodeStatus, SkipKind};
use martlet_core::{
    ConditionOf, Decision, Effect, EffectId, EventKind, GraphResult, GraphStatus, Machine, Outcome,
    StopReason,
};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::simulate::{Happening, START, Simulation, events, fold, start};
use case::{Case, Clock, Edge, Taken, World, name};
use model::predict;
use table::{Change, NodeState, Table};

fn status(state: NodeState) -> (NodeStatus, Option<SkipKind>) {
    match state {
        NodeState::Pending => (NodeStatus::Pending, None),
        NodeState::Started => (NodeStatus::Running, None),
        NodeState::Completed => (NodeStatus::Completed, None),
        NodeState::Failed => (NodeStatus::Failed, None),
        NodeState::Skipped((kind, _)) => (NodeStatus::Skipped, Some(choice(kind))),
        NodeState::Cancelled((kind, _)) => (NodeStatus::Cancelled, Some(kind)),
    }
}

/// Where a choice and a race are decided in the same moment, either may be named.
fn choice(kind: SkipKind) -> SkipKind {
    if kind == SkipKind::Lost { SkipKind::NotChosen } else { kind }
}

fn said(node: &NodeReport) -> (NodeStatus, Option<SkipKind>) {
    let kind = node.cause.as_ref().map(|cause| cause.kind);
    let skipped = node.status == NodeStatus::Skipped;
    (node.status, if skipped { kind.map(choice) } else { kind })
}

/// Whether an effect is the work of a node: what counts for limits.
fn is_work(effect: &Effect) -> bool {
    matches!(effect, Effect::Function { .. } | Effect::Child { .. } | Effect::Tool { .. })
}

/// What must be so of every run that has ended.
fn check_result(case: &Case, result: &GraphResult, trace: &[Happening]) {
    assert_eq!(result.total_nodes, case.nodes.len());
    assert_eq!(result.nodes.len(), case.nodes.len());
    let count =
        |wanted: &[NodeStatus]| result.nodes.iter().filter(|node| wanted.contains(&node.status)).count();
    assert_eq!(result.completed_nodes, count(&[NodeStatus::Completed]));
    assert_eq!(result.failed_nodes, count(&[NodeStatus::Failed]));
    assert_eq!(result.skipped_nodes, count(&[NodeStatus::Skipped, NodeStatus::Cancelled]));
    assert_eq!(result.completed_nodes + result.failed_nodes + result.skipped_nodes, result.total_nodes);

    let mut told: HashMap<&str, NodeStatus> = HashMap::new();
    let mut begun: HashMap<&str, u32> = HashMap::new();
    let kinds: Vec<&EventKind> = events(trace).collect();
    for (place, kind) in kinds.iter().enumerate() {
        match kind {
            EventKind::GraphStarted { nodes, .. } => assert!(place == 0 && *nodes == case.nodes.len()),
            EventKind::NodeStarted { node, .. } => {
                assert!(!told.contains_key(&**node), "{node} starts after it ended");
                *begun.entry(node).or_default() += 1;
            }
            EventKind::NodeEnded { node, status, .. } => {
                assert!(told.insert(node, *status).is_none(), "{node} ends twice");
            }
            EventKind::GraphEnded { status, output, .. } => {
                assert_eq!(place + 1, kinds.len(), "nothing is told after the end");
                assert_eq!((status, output), (&result.status, &result.output));
            }
            _ => {}
        }
    }
    assert!(matches!(kinds.first(), Some(EventKind::GraphStarted { .. })));
    assert!(matches!(kinds.last(), Some(EventKind::GraphEnded { .. })));
    for (place, node) in result.nodes.iter().enumerate() {
        assert_eq!(*node.name, name(place));
        assert!(node.status.is_settled(), "{node:?}");
        assert_eq!(told.get(&*node.name), Some(&node.status), "{node:?}");
        assert_eq!(begun.get(&*node.name).copied().unwrap_or_default(), node.attempts, "{node:?}");
        let stopped = matches!(node.status, NodeStatus::Skipped | NodeStatus::Cancelled);
        assert_eq!(stopped, node.cause.is_some(), "{node:?}");
        assert_eq!(
            result.errors.contains_key(&*node.name),
            node.error.is_some(),
            "{node:?} {:?}",
            result.errors
        );
        assert_eq!(
            result.node_results.contains_key(&*node.name),
            node.status == NodeStatus::Completed,
            "{node:?}"
        );
        if node.status == NodeStatus::Failed {
            assert!(node.error.is_some(), "{node:?}");
        }
        assert_eq!(node.critical, result.critical_path.contains(&node.name), "{node:?}");
    }
    for pair in result.critical_path.windows(2) {
        assert!(leads(case, result, &pair[0], &pair[1]), "{:?} is a chain of edges", result.critical_path);
        let (before, after) = (result.node(&pair[0]).unwrap(), result.node(&pair[1]).unwrap());
        assert!(before.timing.ended_ms() <= after.timing.started_ms, "{before:?} {after:?}");
    }
}

/// Whether an edge leads from one node to the other, or several by way of nodes that did not run.
fn leads(case: &Case, result: &GraphResult, from: &str, to: &str) -> bool {
    case.edges.iter().filter(|edge| name(edge.from) == from).any(|edge| {
        let next = name(edge.to);
        next == to || (result.node(&next).unwrap().attempts == 0 && leads(case, result, &next, to))
    })
}

/// Each effect once, each attempt of each copy after the one before.
fn check_effects(case: &Case, trace: &[Happening]) {
    let mut open: HashMap<EffectId, (usize, u32)> = HashMap::new();
    let mut busy: HashSet<(usize, u32)> = HashSet::new();
    let mut asked: HashMap<(usize, u32), Map<String, Value>> = HashMap::new();
    let mut approved: HashMap<(usize, u32), Map<String, Value>> = HashMap::new();
    for happening in trace {
        match happening {
            Happening::Began { id, effect, .. } => {
                let Some(worker) = case.worker_of(effect) else { continue };
                assert!(busy.insert(worker), "{worker:?} is worked on twice at once");
                match effect {
                    Effect::Tool { arguments, .. }
                        if case.nodes[worker.0].worker == case::Worker::ApprovedTool =>
                    {
                        assert_eq!(Some(arguments), approved.get(&worker), "a call as it was approved");
                    }
                    Effect::Approve { arguments, .. } => drop(asked.insert(worker, arguments.clone())),
                    _ => {}
                }
                open.insert(id.clone(), worker);
            }
            Happening::Settled { settlement, .. } => {
                if let Some(worker) = open.remove(&settlement.id) {
                    busy.remove(&worker);
                    let asked = asked.get(&worker).cloned();
                    let leave = match &settlement.outcome {
                        Outcome::Approve { decision: Decision::Approved } => asked,
                        Outcome::Approve { decision: Decision::Edited { arguments } } => {
                            Some(arguments.clone())
                        }
                        _ => None,
                    };
                    approved.extend(leave.map(|arguments| (worker, arguments)));
                }
            }
            Happening::Abandoned { id, .. } => {
                if let Some(worker) = open.remove(id) {
                    busy.remove(&worker);
                }
            }
            _ => {}
        }
    }
}

fn joins(spec: &martlet_core::GraphSpec) -> Vec<Join> {
    (0..).take(spec.len()).map(|node| spec.join(node)).collect()
}

/// The run of a case without limits agrees with the reference, to the millisecond.
fn check_exactly(case: &Case, result: &GraphResult, joins: Vec<Join>) {
    let expected = predict(case, joins, START);
    if expected.tie {
        return;
    }
    for (place, (node, expected)) in result.nodes.iter().zip(&expected.nodes).enumerate() {
        let said = said(node);
        assert_eq!(said, status(expected.state), "n{place}: {node:#?}\nexpected {expected:?}");
        assert_eq!(node.attempts as usize, expected.attempts, "n{place}: {node:#?}");
        // What was stopped may have had copies that failed.
        if node.status != NodeStatus::Cancelled {
            assert_eq!(node.error.is_some(), expected.error, "n{place}: {node:#?}");
        }
        if expected.attempts > 0 {
            assert_eq!(Some(node.timing.started_ms), expected.starts, "n{place}: {node:#?}");
            assert_eq!(node.timing.ended_ms(), expected.ends, "n{place}: {node:#?}");
        }
        assert_eq!(node.waited_ms, 0, "n{place}: {node:#?}");
    }
    let failures =
        result.nodes.iter().any(|node| node.status == NodeStatus::Cancelled && node.error.is_some());
    let status = match expected.status {
        GraphStatus::Success if failures => GraphStatus::Partial,
        status => status,
    };
    assert_eq!(result.status, status, "{:#?}", result.nodes);
    assert_eq!(serde_json::to_value(&result.final_state).unwrap(), serde_json::Value::Object(expected.state));
    assert_eq!(result.timing.started_ms, START);
    assert_eq!(result.timing.ended_ms(), expected.ends);
    let seconds = |ms: u64| ms as f64 / 1_000.0;
    assert!((result.execution_time_seconds - seconds(expected.ends - START)).abs() < 0.002);
    let asks = |edge: &Edge| matches!(edge.when, Taken::If(says) | Taken::Case(says) if says.host.is_some());
    if case.edges.iter().any(asks) {
        assert!(result.critical_path_seconds <= result.execution_time_seconds);
        return;
    }
    assert!(
        (result.critical_path_seconds - result.execution_time_seconds).abs() < 0.002,
        "{:?} takes {} of {}: {:#?}",
        result.critical_path,
        result.critical_path_seconds,
        result.execution_time_seconds,
        result.nodes
    );
}

fn follow(table: &mut Table<'_>, eligible: &mut HashSet<usize>) {
    for change in std::mem::take(&mut table.changes) {
        if let Change::Start(node) = change {
            eligible.insert(node);
        }
    }
}

/// The decisions follow from the order in which the work of the nodes ended, whatever that order was.
fn check_decisions(case: &Case, result: &GraphResult, trace: &[Happening], joins: Vec<Join>) {
    let mut table = Table::new(case, joins);
    let mut eligible: HashSet<usize> = HashSet::new();
    let mut deciding: HashMap<EffectId, usize> = HashMap::new();
    let mut started: HashSet<usize> = HashSet::new();
    for happening in trace {
        follow(&mut table, &mut eligible);
        match happening {
            Happening::Began { id, effect, .. } => {
                if let Effect::Decide { condition: ConditionOf::Edge { from, to }, .. } = effect {
                    let edge = case
                        .edges
                        .iter()
                        .position(|edge| (name(edge.from), name(edge.to)) == (from.clone(), to.clone()));
                    deciding.insert(id.clone(), edge.unwrap());
                }
                if let Some((node, _)) = case.worker_of(effect) {
                    assert!(eligible.contains(&node), "n{node} starts before its join is complete");
                }
            }
            Happening::Settled { settlement, .. } => {
                if let Some(edge) = deciding.remove(&settlement.id) {
                    table.decided(edge);
                }
            }
            Happening::Told(event) => {
                if let EventKind::NodeStarted { node, .. } = &event.kind {
                    started.insert(node[1..].parse().unwrap());
                }
                if let EventKind::NodeEnded { node, status, error, .. } = &event.kind {
                    let place: usize = node[1..].parse().unwrap();
                    let worked =
                        table.nodes[place] == NodeState::Started && !matches!(status, NodeStatus::Cancelled);
                    table.errors[place] |= error.is_some();
                    if worked {
                        table.worked(place, *status == NodeStatus::Completed);
                    }
                }
            }
            Happening::Abandoned { .. } | Happening::Idle { .. } => {}
        }
    }
    for (place, node) in result.nodes.iter().enumerate() {
        let said = said(node);
        let expected = table.nodes[place];
        let mut wanted = status(expected);
        if matches!(expected, NodeState::Cancelled(_)) && !started.contains(&place) {
            wanted = (NodeStatus::Skipped, wanted.1.map(choice));
        }
        assert_eq!(said, wanted, "n{place}: {node:#?}");
    }
    assert_eq!(result.status, table.status(), "{:#?}", result.nodes);
}

/// No limit is exceeded at any moment.
fn check_limits(case: &Case, trace: &[Happening]) {
    let mut open: HashMap<EffectId, usize> = HashMap::new();
    for happening in trace {
        match happening {
            Happening::Began { id, effect, .. } if is_work(effect) => {
                open.insert(id.clone(), case.worker_of(effect).unwrap().0);
            }
            Happening::Settled { settlement, .. } => drop(open.remove(&settlement.id)),
            Happening::Abandoned { id, .. } => drop(open.remove(id)),
            Happening::Idle { at } => {
                let count = |what: &dyn Fn(usize) -> bool| open.values().filter(|node| what(**node)).count();
                let all = count(&|_| true);
                assert!(case.max_parallel.is_none_or(|limit| all <= limit), "{all} run at {at}");
                let busy = count(&|node| case.nodes[node].classed);
                assert!(
                    case.class_limit.is_none_or(|limit| busy <= limit),
                    "{busy} of the class run at {at}"
                );
                for (place, node) in case.nodes.iter().enumerate() {
                    let copies = count(&|other| other == place);
                    assert!(
                        copies <= node.copies.map_or(1, |copies| copies.window),
                        "{copies} copies run at {at}"
                    );
                }
            }
            _ => {}
        }
    }
}

fn simulate<'a>(case: &'a Case, spec: &std::sync::Arc<martlet_core::GraphSpec>) -> Simulation<'a> {
    let mut world = World::new(case);
    Simulation::new(start(spec, case.input()), case.tape.clone(), move |effect| world.perform(effect))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn without_limits_a_graph_does_what_the_reference_says_at_the_same_moment(case in case::case(Clock::Fine)) {
        let spec = case.spec();
        prop_assume!(spec.is_some());
        let spec = spec.unwrap();
        let (result, trace) = simulate(&case, &spec).finish();
        check_result(&case, &result, &trace);
        check_effects(&case, &trace);
        check_limits(&case, &trace);
        check_exactly(&case, &result, joins(&spec));
        check_decisions(&case, &result, &trace, joins(&spec));
    }

    #[test]
    fn much_at_the_same_moment_and_little_at_once_keep_to_the_tables_and_the_limits(
        case in prop_oneof![case::case(Clock::Coarse), case::limited(Clock::Coarse), case::limited(Clock::Fine)],
    ) {
        let spec = case.spec();
        prop_assume!(spec.is_some());
        let spec = spec.unwrap();
        let (result, trace) = simulate(&case, &spec).finish();
        check_result(&case, &result, &trace);
        check_effects(&case, &trace);
        check_limits(&case, &trace);
        check_decisions(&case, &result, &trace, joins(&spec));
    }

    #[test]
    fn the_same_settlements_give_the_same_run_whoever_was_there_in_between(
        case in prop_oneof![case::limited(Clock::Coarse), case::case(Clock::Fine)],
        crashes in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let spec = case.spec();
        prop_assume!(spec.is_some());
        let spec = spec.unwrap();
        let (result, trace) = simulate(&case, &spec).finish();

        let mut crashing = simulate(&case, &spec);
        for what in crashes.iter().cycle() {
            if what & 1 == 0 {
                crashing.crash();
            }
            if what & 6 == 0 {
                crashing.try_nonsense();
            }
            if !crashing.step() {
                break;
            }
        }
        crashing.try_nonsense();
        let folded = fold(start(&spec, case.input()), &crashing.trace);
        prop_assert_eq!(&folded, &crashing.run);
        prop_assert_eq!(&crashing.finish().0, &result);
        let again = fold(start(&spec, case.input()), &trace);
        prop_assert_eq!(again.into_result().unwrap(), result);
    }

    #[test]
    fn a_graph_that_is_stopped_ends_at_once_with_every_node_settled(
        case in prop_oneof![case::limited(Clock::Coarse), case::case(Clock::Fine)],
        steps in 0..20_usize,
        timed_out: bool,
    ) {
        let spec = case.spec();
        prop_assume!(spec.is_some());
        let spec = spec.unwrap();
        let mut simulation = simulate(&case, &spec);
        for _ in 0..steps {
            simulation.step();
        }
        let (reason, status) = if timed_out { (StopReason::TimedOut, GraphStatus::TimedOut) } else { (StopReason::Cancelled, GraphStatus::Cancelled) };
        let ended = simulation.run.is_finished();
        let before = simulation.run.clone();
        simulation.stop(reason);
        prop_assert!(simulation.run.is_finished());
        prop_assert_eq!(simulation.open(), 0);
        if ended {
            prop_assert_eq!(&simulation.run, &before);
        } else {
            prop_assert_eq!(simulation.run.status(), Some(status));
        }
        simulation.try_nonsense();
        let now = simulation.now;
        let (result, trace) = simulation.finish();
        check_result(&case, &result, &trace);
        if !ended {
            prop_assert_eq!(result.timing.ended_ms(), now);
        }
        for node in result.nodes {
            if let Some(cause) = node.cause && cause.kind == SkipKind::Ended && !case.fail_fast {
                prop_assert_eq!(cause.origin, node.name);
            }
        }
    }
}
