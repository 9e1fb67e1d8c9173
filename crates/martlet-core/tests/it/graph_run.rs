//! The run of a graph, by examples. A number in a comment is that of a fault that graph executors are known for.

use std::sync::Arc;

use martlet_core::graph::{
    Condition, EdgeSpec, Expression, GraphSettings, Join, NodeFailure, NodeFailureKind, NodeSpec, NodeStatus,
    OnError, OnFailure, SkipKind, When, Work,
};
use martlet_core::{
    ChildEnd, Effect, GraphResult, GraphRun, GraphSpec, GraphStatus, GraphTask, Machine, Outcome, RunId,
    Settlement, Timing, Usage,
};
use serde_json::{Map, Value, json};

use crate::simulate::{Happening, START, Simulation, start};

/// A graph of functions: `a>b` is an edge, `a>b?x` one with the expression `x` as its condition.
fn graph(nodes: &[&str], edges: &[&str]) -> GraphSettings {
    let edges = edges.iter().map(|edge| {
        let (from, to) = edge.split_once('>').unwrap();
        let (to, when) = match to.split_once('?') {
            None => (to, When::Always),
            Some((to, condition)) => {
                (to, When::If(Condition::Expression(Expression::new(condition).unwrap())))
            }
        };
        EdgeSpec { from: from.into(), to: to.into(), when }
    });
    let nodes = nodes.iter().map(|name| NodeSpec { may_skip: true, ..NodeSpec::new(*name, Work::Function) });
    GraphSettings { nodes: nodes.collect(), edges: edges.collect(), ..GraphSettings::default() }
}

/// Runs it: a function whose name is in `fails` fails, `ms` says how long each takes.
fn run(settings: GraphSettings, fails: &[&str], ms: impl Fn(&str) -> u64) -> (GraphResult, Vec<Happening>) {
    let spec = Arc::new(GraphSpec::new(settings).unwrap());
    let input = Map::from_iter([("yes".into(), json!(true)), ("no".into(), json!(false))]);
    let world = |effect: &Effect| match effect {
        Effect::Function { name, .. } if fails.contains(&name.as_str()) => {
            let result = Err(NodeFailure::new(NodeFailureKind::Host, "it failed"));
            (ms(name), Outcome::Function { result })
        }
        Effect::Function { name, .. } => (ms(name), Outcome::Function { result: Ok(json!(name)) }),
        Effect::Child { name, input } => {
            let usage = Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() };
            let run = RunId::new("child").unwrap();
            (ms(name), Outcome::Child { end: ChildEnd { run, result: Ok(input.clone()), usage } })
        }
        other => panic!("{other:?}"),
    };
    Simulation::new(start(&spec, input), vec![0], world).finish()
}

fn status(result: &GraphResult, name: &str) -> (NodeStatus, Option<SkipKind>) {
    let node = result.node(name).unwrap();
    (node.status, node.cause.as_ref().map(|cause| cause.kind))
}

const COMPLETED: (NodeStatus, Option<SkipKind>) = (NodeStatus::Completed, None);
const UNCHOSEN: (NodeStatus, Option<SkipKind>) = (NodeStatus::Skipped, Some(SkipKind::NotChosen));
const FAILED: (NodeStatus, Option<SkipKind>) = (NodeStatus::Skipped, Some(SkipKind::Failed));

/// Runs `a` and `b` before `j`, whose join it is; `on_error` is what a failure of `a` means.
fn join(join: Join, edge_of_a: &str, fails: &[&str], on_error: OnError) -> GraphResult {
    let mut settings = graph(&["a", "b", "j", "k"], &[edge_of_a, "b>j", "j>k"]);
    settings.nodes[2].join = Some(join);
    settings.nodes[0].on_error = on_error;
    settings.limits.on_failure = OnFailure::Finish;
    run(settings, fails, |name| if name == "b" { 20 } else { 10 }).0
}

#[test]
fn joins_start_or_skip_their_node_as_the_table_says() {
    use OnError::{Continue, Fail, Skip};
    let error = (NodeStatus::Skipped, Some(SkipKind::Error));
    // What becomes of `j` where the edge of `a` is: taken, not chosen, failed, not chosen for an error, continued.
    let rows = [
        (Join::All, [COMPLETED, UNCHOSEN, FAILED, error, COMPLETED]),
        (Join::AllTaken, [COMPLETED, COMPLETED, FAILED, COMPLETED, COMPLETED]),
        (Join::Any, [COMPLETED; 5]),
        (Join::NOf(2), [COMPLETED, UNCHOSEN, FAILED, error, COMPLETED]),
        (Join::FirstOk, [COMPLETED; 5]),
    ];
    for (kind, expected) in rows {
        let results = [
            join(kind, "a>j", &[], Fail),
            join(kind, "a>j?no", &[], Fail),
            join(kind, "a>j", &["a"], Fail),
            join(kind, "a>j", &["a"], Skip),
            join(kind, "a>j", &["a"], Continue),
        ];
        for (result, expected) in results.iter().zip(expected) {
            assert_eq!(status(result, "j"), expected, "{kind:?} {:#?}", result.nodes);
            // 5, 6: what is skipped takes its descendants along.
            assert_eq!(status(result, "k"), expected, "{kind:?} {:#?}", result.nodes);
        }
    }
}

#[test]
fn a_condition_that_cannot_be_evaluated_fails_the_node_and_is_not_false() {
    let result = join(Join::Any, "a>j?nowhere", &[], OnError::Fail);
    let node = result.node("j").unwrap();
    assert_eq!(node.error.as_ref().unwrap().kind, NodeFailureKind::Condition);
    assert_eq!((node.status, result.status), (NodeStatus::Failed, GraphStatus::Failed));
}

#[test]
fn chains_of_unequal_nodes_take_no_longer_than_the_longest() {
    // 2: no barrier between levels.
    let nodes = ["a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4", "end"];
    let edges = ["a1>a2", "a2>a3", "a3>a4", "b1>b2", "b2>b3", "b3>b4", "a4>end", "b4>end"];
    let long = ["a2", "a4", "b1", "b3"];
    let (result, _) = run(graph(&nodes, &edges), &[], |name| if long.contains(&name) { 200 } else { 10 });
    assert_eq!(result.timing.elapsed_us, 430_000);
    assert_eq!((result.critical_path.len(), result.critical_path_seconds), (5, 0.43));
    // 11: times and attempts are there whichever way a node is run.
    assert!(result.nodes.iter().all(|node| node.attempts == 1 && node.timing.started_ms >= START));
}

#[test]
fn the_critical_path_leads_to_the_end_also_where_that_takes_no_time() {
    let settings = graph(&["a", "b", "c", "end"], &["a>b", "a>c", "b>end", "c>end"]);
    let (result, _) = run(settings, &[], |name| match name {
        "b" => 20,
        "c" => 30,
        _ => 0,
    });
    assert_eq!(result.critical_path, ["a", "c", "end"].map(std::sync::Arc::from));
}

#[test]
fn a_time_limit_stops_an_attempt_and_a_retry_begins_another() {
    // 3 and 4.
    let mut settings = graph(&["a"], &[]);
    settings.nodes[0].timeout_ms = Some(50);
    settings.nodes[0].retry.count = 2;
    let (result, _) = run(settings, &[], |_| 300);
    let node = result.node("a").unwrap();
    assert_eq!(node.error.as_ref().unwrap().kind, NodeFailureKind::TimedOut);
    assert_eq!((node.attempts, node.timing.elapsed_us), (3, (50 + 500 + 50 + 1_000 + 50) * 1_000));
}

#[test]
fn an_if_else_diamond_is_joined_whichever_branch_is_taken() {
    // 7.
    let edges = ["a>b?yes", "a>c?no", "b>d", "c>d"];
    let (result, _) = run(graph(&["a", "b", "c", "d"], &edges), &[], |_| 1);
    assert_eq!([status(&result, "c"), status(&result, "d")], [UNCHOSEN, COMPLETED]);
    assert_eq!(result.status, GraphStatus::Success);
}

#[test]
fn what_continues_writes_null_and_what_is_skipped_writes_nothing() {
    // 8 and 9.
    for (on_error, written) in [(OnError::Continue, Some(&Value::Null)), (OnError::Skip, None)] {
        let mut settings = graph(&["a"], &[]);
        settings.nodes[0].on_error = on_error;
        let (result, _) = run(settings, &["a"], |_| 1);
        assert_eq!(result.final_state.get("a"), written);
        assert_eq!(result.status, GraphStatus::Partial);
    }
}

#[test]
fn a_failure_ends_the_graph_unless_a_join_makes_up_for_it() {
    // 10.
    let (result, _) = run(graph(&["a", "b", "c"], &["b>c"]), &["a"], |name| if name == "a" { 5 } else { 50 });
    assert_eq!(result.status, GraphStatus::Failed);
    assert_eq!(result.timing.elapsed_us, 5_000);
    assert_eq!(status(&result, "b"), (NodeStatus::Cancelled, Some(SkipKind::Ended)));
    assert_eq!(status(&result, "c"), (NodeStatus::Skipped, Some(SkipKind::Ended)));

    let mut settings = graph(&["a", "a2", "b", "j"], &["a>a2", "a2>j", "b>j"]);
    settings.nodes[3].join = Some(Join::FirstOk);
    let (result, _) = run(settings, &["a"], |_| 5);
    assert_eq!([status(&result, "a2"), status(&result, "j")], [FAILED, COMPLETED]);
    assert_eq!(result.status, GraphStatus::Partial);
}

#[test]
fn the_losers_of_a_race_are_cancelled_with_what_leads_to_them_alone() {
    let mut settings = graph(&["slow", "next", "fast", "j"], &["slow>next", "next>j", "fast>j"]);
    settings.nodes[3].join = Some(Join::FirstOk);
    let (result, trace) = run(settings, &[], |name| if name == "slow" { 500 } else { 5 });
    assert_eq!(status(&result, "slow"), (NodeStatus::Cancelled, Some(SkipKind::Lost)));
    assert_eq!(status(&result, "next"), (NodeStatus::Skipped, Some(SkipKind::Lost)));
    assert_eq!(result.timing.elapsed_us, 10_000);
    assert_eq!(trace.iter().filter(|happening| matches!(happening, Happening::Abandoned { .. })).count(), 1);
}

#[test]
fn an_input_that_is_not_there_is_an_error_that_names_it() {
    // 9 and 12.
    let mut settings = graph(&["a"], &[]);
    settings.nodes[0].input_mapping = Some([("x".to_owned(), Expression::new("nowhere").unwrap())].into());
    let (result, _) = run(settings, &[], |_| 1);
    let error = result.node("a").unwrap().error.clone().unwrap();
    assert_eq!(error.kind, NodeFailureKind::Input);
    assert!(error.message.contains("nowhere") && error.message.contains("`x`"), "{error}");
}

#[test]
fn an_agent_is_given_its_prompt_filled_in_and_its_tokens_are_counted() {
    let mut settings = graph(&["a", "b"], &["a>b"]);
    settings.nodes[1].work = Work::Agent;
    settings.nodes[1].prompt = Some("About {{ a }}.".into());
    settings.nodes[1].output_key = Some("text".into());
    settings.output = Some(Expression::new("text").unwrap());
    let (result, _) = run(settings, &[], |_| 1);
    assert_eq!(result.output, json!("About a."));
    assert_eq!(result.final_state.get("text"), Some(&json!("About a.")));
    assert_eq!((result.usage.input_tokens, result.node("b").unwrap().usage.output_tokens), (3, 2));
}

/// What the child runs of a node are given, one after the other; each answers with the number of the call.
fn given(settings: GraphSettings, input: Value, node: &str) -> Vec<Value> {
    let spec = Arc::new(GraphSpec::new(settings).unwrap());
    let Value::Object(input) = input else { panic!("no object") };
    let task = GraphTask { input, started_ms: START, ..GraphTask::default() };
    let mut run = GraphRun::start(RunId::new("g").unwrap(), spec, task);
    let mut given = Vec::new();
    while !run.is_finished() {
        for (id, effect) in run.take_effects() {
            let outcome = match effect {
                Effect::Child { name, input } => {
                    if name == node {
                        given.push(input);
                    }
                    let end = ChildEnd {
                        run: id.child_run(),
                        result: Ok(json!(given.len())),
                        usage: Usage::default(),
                    };
                    Outcome::Child { end }
                }
                Effect::Function { name, .. } if name == "fails" => {
                    Outcome::Function { result: Err(NodeFailure::new(NodeFailureKind::Failed, "it fails")) }
                }
                _ => Outcome::Function { result: Ok(json!("done")) },
            };
            run.settle(Settlement { id, outcome, timing: Timing { started_ms: START, elapsed_us: 1 } })
                .unwrap();
        }
    }
    given
}

#[test]
fn a_child_is_given_the_input_and_the_results_above_it() {
    // What runs beside it writes a key of the input, and one of those above it was skipped.
    let mut settings =
        graph(&["beside", "first", "fails", "child"], &["first>fails", "fails>child", "first>child"]);
    settings.nodes[0].output_key = Some("draft".into());
    settings.nodes[2].on_error = OnError::Skip;
    settings.nodes[3].work = Work::Graph;
    settings.nodes[3].join = Some(Join::AllTaken);
    let input = json!({"draft": "v0", "style": "short"});
    assert_eq!(given(settings, input, "child"), [json!({"draft": "v0", "first": "done", "style": "short"})]);
}

#[test]
fn a_repeated_child_is_given_its_last_result() {
    for work in [Work::Graph, Work::Agent] {
        let mut settings = graph(&["improve"], &[]);
        settings.nodes[0].work = work;
        settings.nodes[0].output_key = Some("draft".into());
        settings.nodes[0].repeat = Some(martlet_core::graph::Repeat {
            until: Condition::Expression(Expression::new("draft == 3").unwrap()),
            max: 9,
            at_max: martlet_core::graph::AtMax::Fail,
        });
        let given = given(settings, json!({"draft": 0}), "improve");
        assert_eq!(given, [json!({"draft": 0}), json!({"draft": 1}), json!({"draft": 2})]);
    }
}

#[test]
fn a_copy_of_a_graph_is_given_its_item_and_not_the_whole_list() {
    let mut settings = graph(&["each"], &[]);
    settings.nodes[0].work = Work::Graph;
    settings.nodes[0].for_each = Some(martlet_core::graph::ForEach::new(Expression::new("docs").unwrap()));
    let given = given(settings, json!({"docs": ["a", "b"], "style": "short"}), "each");
    assert_eq!(given, [json!({"item": "a", "style": "short"}), json!({"item": "b", "style": "short"})]);
}

#[test]
fn a_graph_says_which_failure_it_ended_by() {
    let mut settings = graph(&["a", "b", "either", "c"], &["a>either", "b>either", "either>c"]);
    settings.nodes[2].join = Some(Join::Any);
    let (result, _) = run(settings.clone(), &["a", "c"], |name| if name == "a" { 1 } else { 5 });
    assert_eq!(result.failure.unwrap().node.as_deref(), Some("c"), "the failure of a was made up for");
    settings.output = Some(Expression::new("eihter").unwrap());
    let (result, _) = run(settings, &[], |_| 1);
    let failure = result.failure.unwrap();
    assert_eq!((failure.node, failure.failure.kind), (None, NodeFailureKind::Input));
    assert!(failure.failure.message.contains("did you mean `either`"), "{}", failure.failure.message);
    assert_eq!(result.status, GraphStatus::Failed);
}

#[test]
fn two_runs_of_one_graph_share_nothing() {
    // 13.
    let spec = Arc::new(GraphSpec::new(graph(&["a"], &[])).unwrap());
    let world = |value: u32| move |_: &Effect| (1, Outcome::Function { result: Ok(json!(value)) });
    let mut one = Simulation::new(start(&spec, Map::new()), vec![0], world(1));
    let (two, _) = Simulation::new(start(&spec, Map::new()), vec![0], world(2)).finish();
    one.step();
    assert_eq!((&one.finish().0.output, &two.output), (&json!(1), &json!(2)));
}

#[test]
fn long_and_wide_graphs_run_without_recursion() {
    let names: Vec<String> = (0..10_000).map(|node| format!("n{node}")).collect();
    let edge = |from: &str, to: &str| EdgeSpec { from: from.into(), to: to.into(), when: When::Always };
    let node = |name: &String| NodeSpec::new(name, Work::Function);
    let long = names.windows(2).map(|pair| edge(&pair[0], &pair[1])).collect();
    let wide = names[1..].iter().map(|name| edge("n0", name)).collect();
    for edges in [long, wide] {
        let nodes = names.iter().map(node).collect();
        let spec = Arc::new(GraphSpec::new(GraphSettings { nodes, edges, ..Default::default() }).unwrap());
        let mut run = GraphRun::start(RunId::new("r").unwrap(), spec, GraphTask::default());
        // Not the simulation, whose checks cost more than the run.
        let mut settled = 0;
        while run.status().is_none() {
            for (id, _) in run.take_effects() {
                let outcome = Outcome::Function { result: Ok(json!(1)) };
                let timing = Timing { started_ms: 1, elapsed_us: 1 };
                run.settle(Settlement { id, outcome, timing }).unwrap();
                settled += 1;
            }
        }
        assert_eq!(settled, 10_000);
        assert_eq!(run.into_result().unwrap().completed_nodes, 10_000);
    }
}
