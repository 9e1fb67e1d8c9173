//! What earlier versions wrote is read, and goes on as it would have then.

use std::sync::Arc;

use martlet_core::graph::GraphSettings;
use martlet_core::{
    AgentSettings, AgentSpec, Decision, Effect, Event, GraphResult, GraphRun, GraphSpec, GraphTask, Machine,
    Outcome, Run, RunId, RunResult, Settlement, Task, Timing,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The journals and states in `golden/` are of the version before approval policies and edited calls.
macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("golden/before_policies/", $name))
    };
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn settlements(lines: &[Value]) -> impl Iterator<Item = Settlement> {
    lines.iter().filter_map(|line| line.get("settlement")).map(read)
}

fn id() -> RunId {
    RunId::new("run_test").unwrap()
}

#[test]
fn the_journal_of_an_agent_gives_the_run_that_it_gave() {
    let lines = lines(golden!("agent.jsonl"));
    let settings: AgentSettings = read(&lines[0]["agent"]);
    assert!(settings.approvals.is_empty());
    let task: Task = read(&lines[0]["task"]);
    let mut run = Run::start(id(), Arc::new(AgentSpec::new(settings).unwrap()), task);
    for settlement in settlements(&lines) {
        let _ = run.take_effects();
        run.settle(settlement).unwrap();
    }
    let mut then: RunResult = read(&lines.last().unwrap()["result"]);
    let now = run.result().unwrap();
    // Neither is part of the stored form.
    then.conversation.clone_from(&now.conversation);
    then.python.clone_from(&now.python);
    assert_eq!(now, then);
    assert_eq!(
        serde_json::to_value(&now).unwrap(),
        lines.last().unwrap()["result"],
        "nothing is added to it"
    );
}

#[test]
fn the_events_of_an_agent_are_read() {
    let events = lines(golden!("events.jsonl"));
    assert!(events.iter().any(|event| event["type"] == "tool.approval" && event.get("effect").is_none()));
    for event in &events {
        let _: Event = read(event);
    }
}

#[test]
fn a_run_that_waited_for_approval_goes_on_and_takes_an_edit() {
    let mut run: Run = read(&lines(golden!("run.json"))[0]);
    run.hand_out_again();
    let effects = run.take_effects();
    let (id, _) = effects.iter().find(|(_, effect)| matches!(effect, Effect::Approve { .. })).unwrap();
    let arguments = [("text".to_owned(), Value::from("later"))].into_iter().collect();
    let outcome = Outcome::Approve { decision: Decision::Edited { arguments } };
    run.settle(Settlement { id: id.clone(), outcome, timing: Timing::default() }).unwrap();
    let effects = run.take_effects();
    assert!(matches!(&effects[0].1, Effect::Tool { arguments, .. } if arguments["text"] == "later"));
}

#[test]
fn the_journal_of_a_graph_gives_the_run_that_it_gave() {
    let lines = lines(golden!("graph.jsonl"));
    let settings: GraphSettings = read(&lines[0]["graph"]);
    assert!(settings.approvals.is_empty());
    let task: GraphTask = read(&lines[0]["task"]);
    let mut run = GraphRun::start(id(), Arc::new(GraphSpec::new(settings).unwrap()), task);
    for settlement in settlements(&lines) {
        let _ = run.take_effects();
        run.settle(settlement).unwrap();
    }
    let now = run.into_result().unwrap();
    let mut then: GraphResult = read(&lines.last().unwrap()["result"]);
    then.state.clone_from(&now.state);
    assert_eq!(now, then);
}

#[test]
fn a_graph_that_was_approved_goes_on_as_it_was_approved() {
    let mut run: GraphRun = read(&lines(golden!("graph_run.json"))[0]);
    run.hand_out_again();
    let effects = run.take_effects();
    assert!(
        matches!(&effects[0].1, Effect::Tool { arguments, .. } if arguments["text"] == "hi"),
        "{effects:?}"
    );
}
