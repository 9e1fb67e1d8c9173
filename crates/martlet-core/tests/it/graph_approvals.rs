//! What a person decides on the calls of tool nodes.

use std::sync::Arc;

use martlet_core::graph::{
    Condition, EditedCall, ForEach, GraphSettings, NodeFailureKind, NodeSpec, NodeStatus, Repeat, Retry, Work,
};
use martlet_core::{
    ApprovalPolicy, ApprovalRule, Decision, DecisionKind, Effect, EffectId, EventKind, GraphResult, GraphRun,
    GraphSpec, Machine, Outcome, Settlement, Timing, ToolFailure, ToolFailureKind, ToolOutput,
};
use serde_json::{Map, Value, json};

use crate::simulate::start;
use crate::support::send;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

fn letter() -> NodeSpec {
    let mut node = NodeSpec::new("letter", Work::Tool { spec: send() });
    node.retry = Retry { count: 1, backoff_ms: 0, ..Retry::default() };
    node
}

fn graph(node: NodeSpec) -> GraphSettings {
    GraphSettings { nodes: vec![node], ..GraphSettings::default() }
}

fn begin(settings: GraphSettings) -> GraphRun {
    let input = object(json!({"text": "hi", "texts": ["a", "b"]}));
    start(&Arc::new(GraphSpec::new(settings).unwrap()), input)
}

fn settle(run: &mut GraphRun, id: &EffectId, outcome: Outcome) {
    let timing = Timing { started_ms: 1_000_010, elapsed_us: 1_000 };
    run.settle(Settlement { id: id.clone(), outcome, timing }).unwrap();
}

fn only(run: &mut GraphRun) -> (EffectId, Effect) {
    let mut effects = run.take_effects();
    assert_eq!(effects.len(), 1, "{effects:?}");
    effects.remove(0)
}

fn edited(text: &str) -> Outcome {
    Outcome::Approve { decision: Decision::Edited { arguments: object(json!({ "text": text })) } }
}

fn tool(effect: &Effect) -> &str {
    match effect {
        Effect::Tool { arguments, .. } => arguments["text"].as_str().unwrap(),
        other => panic!("expected a call, got {other:?}"),
    }
}

fn sent() -> Outcome {
    Outcome::Tool { result: Ok(ToolOutput::from(json!("sent"))) }
}

fn broken() -> Outcome {
    Outcome::Tool { result: Err(ToolFailure::new(ToolFailureKind::Failed, "no paper")) }
}

fn result(run: &GraphRun) -> GraphResult {
    run.clone().into_result().unwrap()
}

#[test]
fn edited_arguments_stay_approved_when_the_node_is_tried_again() {
    let mut run = begin(graph(letter()));
    let (id, effect) = only(&mut run);
    assert!(matches!(effect, Effect::Approve { .. }), "{effect:?}");
    settle(&mut run, &id, edited("good day"));
    let (id, effect) = only(&mut run);
    assert_eq!(tool(&effect), "good day");
    settle(&mut run, &id, broken());
    // Written and read in between, as after a crash.
    let text = serde_json::to_string(&run).unwrap();
    let mut run: GraphRun = serde_json::from_str(&text).unwrap();
    let (id, effect) = only(&mut run);
    assert_eq!(tool(&effect), "good day");
    settle(&mut run, &id, sent());
    let result = result(&run);
    let report = result.node("letter").unwrap();
    assert_eq!((report.status, report.attempts), (NodeStatus::Completed, 2));
    let asked = object(json!({"text": "hi"}));
    assert_eq!(
        report.edited,
        [EditedCall { item: None, asked, arguments: object(json!({"text": "good day"})) }]
    );
    let error = run.take_events().into_iter().find_map(|event| match event.kind {
        EventKind::NodeRetried { error, .. } => Some(error),
        _ => None,
    });
    assert_eq!(error.unwrap(), r#"no paper (a person changed the arguments to {"text":"good day"})"#);
}

#[test]
fn events_tell_what_was_asked_and_decided_and_of_which_effect() {
    let mut run = begin(graph(letter()));
    let (id, _) = only(&mut run);
    settle(&mut run, &id, edited("good day"));
    let events: Vec<EventKind> = run.take_events().into_iter().map(|event| event.kind).collect();
    let asked = events.iter().find(|kind| matches!(kind, EventKind::ApprovalAsked { .. })).unwrap();
    assert_eq!(
        serde_json::to_value(asked).unwrap(),
        json!({"type": "tool.approval", "step": id.step, "call": "letter", "effect": id.index, "name": "send",
               "arguments": {"text": "hi"}})
    );
    let decided = events.iter().find(|kind| matches!(kind, EventKind::ApprovalDecided { .. })).unwrap();
    assert_eq!(
        serde_json::to_value(decided).unwrap(),
        json!({"type": "tool.decided", "step": id.step, "call": "letter", "effect": id.index, "name": "send",
               "decision": "edited", "arguments": {"text": "good day"}})
    );
}

#[test]
fn what_does_not_fit_fails_the_node_and_is_not_called() {
    let mut run = begin(graph(letter()));
    let (id, _) = only(&mut run);
    let arguments = object(json!({"txt": "good day"}));
    settle(&mut run, &id, Outcome::Approve { decision: Decision::Edited { arguments } });
    let result = result(&run);
    let report = result.node("letter").unwrap();
    let error = report.error.as_ref().unwrap();
    assert_eq!((report.status, error.kind), (NodeStatus::Failed, NodeFailureKind::Input));
    assert!(error.message.starts_with("the arguments that a person changed do not fit"), "{error}");
    assert_eq!(report.edited.len(), 1, "the report says with what");
}

#[test]
fn the_same_arguments_again_are_an_approval() {
    let mut run = begin(graph(letter()));
    let (id, _) = only(&mut run);
    settle(&mut run, &id, edited("hi"));
    let (id, effect) = only(&mut run);
    assert_eq!(tool(&effect), "hi");
    settle(&mut run, &id, sent());
    assert_eq!(result(&run).node("letter").unwrap().edited, []);
    assert!(run.take_events().iter().any(|event| matches!(
        event.kind,
        EventKind::ApprovalDecided { decision: DecisionKind::Approved, .. }
    )));
}

#[test]
fn each_copy_has_its_own_decision() {
    let mut node = letter();
    let mut copies = ForEach::new("texts".parse().unwrap());
    copies.name = "text".into();
    node.for_each = Some(copies);
    let mut run = begin(graph(node));
    let effects = run.take_effects();
    let calls: Vec<String> = run
        .take_events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::ApprovalAsked { call, .. } => Some(call),
            _ => None,
        })
        .collect();
    assert_eq!(calls, ["letter[0]", "letter[1]"]);
    settle(&mut run, &effects[1].0, edited("B"));
    let (second, effect) = only(&mut run);
    assert_eq!(tool(&effect), "B");
    settle(&mut run, &effects[0].0, Outcome::Approve { decision: Decision::Approved });
    let (first, effect) = only(&mut run);
    assert_eq!(tool(&effect), "a");
    settle(&mut run, &second, broken());
    let (second, effect) = only(&mut run);
    assert_eq!(tool(&effect), "B");
    settle(&mut run, &second, sent());
    settle(&mut run, &first, sent());
    let result = result(&run);
    let items: Vec<_> = result.node("letter").unwrap().edited.iter().map(|edited| edited.item).collect();
    assert_eq!(items, [Some(1)]);
}

#[test]
fn each_time_of_a_repetition_is_asked_about_anew() {
    let mut node = letter();
    node.output_key = Some("text".into());
    node.repeat = Some(Repeat {
        until: Condition::Expression("text == 'end'".parse().unwrap()),
        max: 5,
        at_max: martlet_core::graph::AtMax::Complete,
    });
    let mut run = begin(graph(node));
    let (id, _) = only(&mut run);
    settle(&mut run, &id, edited("first"));
    let (id, effect) = only(&mut run);
    assert_eq!(tool(&effect), "first");
    settle(&mut run, &id, Outcome::Tool { result: Ok(ToolOutput::from(json!("x"))) });
    let (id, effect) = only(&mut run);
    assert!(
        matches!(&effect, Effect::Approve { arguments, .. } if arguments["text"] == "x"),
        "the words of a person were for one time: {effect:?}"
    );
    settle(&mut run, &id, Outcome::Approve { decision: Decision::Approved });
    let (id, effect) = only(&mut run);
    assert_eq!(tool(&effect), "x");
    settle(&mut run, &id, Outcome::Tool { result: Ok(ToolOutput::from(json!("end"))) });
    let calls: Vec<String> = run
        .take_events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::ApprovalDecided { call, .. } => Some(call),
            _ => None,
        })
        .collect();
    assert_eq!(calls, ["letter#1", "letter#2"]);
}

#[test]
fn the_policy_of_a_graph_decides_for_its_tool_nodes() {
    let with =
        |rule: ApprovalRule| GraphSettings { approvals: ApprovalPolicy::new([rule]), ..graph(letter()) };
    let mut run = begin(with(ApprovalRule::allow().tool("send".parse().unwrap())));
    assert_eq!(tool(&only(&mut run).1), "hi");

    let run =
        begin(with(ApprovalRule::deny().when("arguments.text == 'hi'".parse().unwrap()).reason("rude")));
    let result = result(&run);
    let error = result.node("letter").unwrap().error.clone().unwrap();
    assert_eq!(error.kind, NodeFailureKind::Denied);
    assert_eq!(error.message, "the approval policy refuses this call: rude");

    let mut run = begin(with(ApprovalRule::deny().when("arguments.text == 'bye'".parse().unwrap())));
    let (id, _) = only(&mut run);
    settle(&mut run, &id, edited("bye"));
    let error = self::result(&run).node("letter").unwrap().error.clone().unwrap();
    assert_eq!(error.kind, NodeFailureKind::Denied, "{error}");
}
