//! Managed agents: agents and graphs as tools of agents.

use martlet_core::code::{CallResult, CodeCall};
use martlet_core::graph::{NodeFailure, NodeFailureKind, task_text};
use martlet_core::{
    AgentSettings, AgentSpec, ChildEnd, CodeOutcome, CodeRequest, Decision, Effect, EffectId, Event,
    EventKind, ManagedSpec, Outcome, Run, RunStatus, SpecError, StepError, Strategy, Usage,
};
use serde_json::{Map, Value, json};

use crate::support::*;

pub(crate) fn scout() -> ManagedSpec {
    ManagedSpec::agent("scout", "Finds things out.")
}

pub(crate) fn with_scout(strategy: Strategy) -> AgentSettings {
    AgentSettings { agents: [scout()].into(), ..settings(strategy) }
}

fn tokens(input_tokens: u64) -> Usage {
    Usage { input_tokens, ..Usage::default() }
}

fn ended(id: &EffectId, result: Result<Value, NodeFailure>, usage: u64) -> Outcome {
    Outcome::Child { end: ChildEnd { run: id.child_run(), result, usage: tokens(usage) } }
}

fn child(effect: Effect) -> (String, Value) {
    match effect {
        Effect::Child { name, input } => (name, input),
        other => panic!("expected a child run, got {other:?}"),
    }
}

fn asks(index: u32, arguments: Value) -> CodeCall {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    CodeCall { index, name: "scout".into(), arguments }
}

/// The types of the events, with the child runs' names.
fn shape(events: Vec<Event>) -> Vec<String> {
    events
        .into_iter()
        .map(|event| match event.kind {
            EventKind::ToolCalled { call, .. } => format!("called {call}"),
            EventKind::ChildStarted { child, .. } => format!("started {child}"),
            EventKind::ChildEnded { child, error, usage, .. } => {
                format!("ended {child} {} {}", usage.total(), error.unwrap_or_default()).trim_end().to_owned()
            }
            EventKind::ToolReturned { call, output, error, .. } => {
                format!("returned {call} {}{}", output.unwrap_or_default(), error.unwrap_or_default())
            }
            EventKind::ApprovalAsked { call, .. } => format!("approval {call}"),
            _ => String::new(),
        })
        .filter(|text| !text.is_empty())
        .collect()
}

fn wait_for(run: &mut Run, calls: Vec<CodeCall>) -> Vec<(EffectId, Effect)> {
    says(run, "```python\nx\n```");
    let (id, _) = only_effect(run);
    let awaiting = calls.iter().map(|call| call.index).collect();
    code(run, &id, CodeOutcome::Waiting { calls, awaiting });
    run.take_effects()
}

#[test]
fn two_calls_of_one_agent_are_two_child_runs_and_each_gets_its_answer() {
    let mut run = start(with_scout(Strategy::Code));
    let calls = vec![asks(0, json!({"task": "Find a."})), asks(1, json!({"task": "Find b."}))];
    let effects = wait_for(&mut run, calls);
    let [(first, _), (second, _)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_ne!(first.child_run(), second.child_run());
    for ((_, effect), task) in effects.iter().zip(["Find a.", "Find b."]) {
        let (name, input) = child(effect.clone());
        assert_eq!(name, "scout");
        assert!(task_text(&input).contains(task), "{input}");
    }
    settle(&mut run, second, ended(second, Ok(json!({"b": 2})), 30));
    let (id, effect) = only_effect(&mut run);
    let given = |index, value| CodeRequest::Resume { results: vec![CallResult { index, result: Ok(value) }] };
    assert_eq!(
        effect,
        Effect::Code { request: given(1, json!({"b": 2})) },
        "a structured answer stays structured"
    );
    code(&mut run, &id, CodeOutcome::Waiting { calls: vec![], awaiting: vec![0] });
    settle(&mut run, first, ended(first, Ok(json!("a is 1")), 7));
    let (id, effect) = only_effect(&mut run);
    assert_eq!(effect, Effect::Code { request: given(0, json!("a is 1")) });
    code(&mut run, &id, answered(json!("done")));
    assert_eq!(
        shape(run.take_events()),
        [
            "called code_1_0",
            "started run_test-1-2",
            "called code_1_1",
            "started run_test-1-3",
            "ended run_test-1-3 30",
            "returned code_1_1 {\"b\":2}",
            "ended run_test-1-2 7",
            "returned code_1_0 a is 1",
        ]
    );
    let result = run.result().unwrap();
    assert_eq!(result.usage.total(), 15 + 30 + 7, "the model call and both children, each once");
    assert_eq!(result.steps[0].usage, result.usage);
    assert_eq!(result.steps[0].calls.len(), 2, "recorded as any call");
}

#[test]
fn the_task_says_for_whom_it_is_and_takes_the_values_along() {
    let mut run = start(with_scout(Strategy::ToolCalling));
    let arguments = json!({"task": "Add them.", "additional_args": {"numbers": [1, 2], "unit": "m"}});
    calls(&mut run, &[("c1", "scout", arguments)]);
    let (id, effect) = only_effect(&mut run);
    let (_, input) = child(effect);
    insta::assert_snapshot!(task_text(&input));
    settle(&mut run, &id, ended(&id, Ok(json!("3 m")), 1));
    let asked = says(&mut run, "so");
    assert_eq!(asked.messages.last().unwrap().joined_text(), "3 m");
}

#[test]
fn what_is_wrong_with_a_call_is_told_and_no_child_is_started() {
    let mut run = start(with_scout(Strategy::ToolCalling));
    calls(
        &mut run,
        &[
            ("c1", "scout", json!({"job": "x"})),
            ("c2", "scout", json!({"task": "x", "additional_args": [1]})),
            ("c3", "scouts", json!({"task": "x"})),
        ],
    );
    let asked = says(&mut run, "so");
    let told: Vec<String> =
        asked.messages.iter().rev().take(3).map(|message| message.joined_text()).collect();
    assert!(told[2].contains("unknown argument `job`"), "{told:?}");
    assert!(told[1].contains("additional_args"), "{told:?}");
    assert!(told[0].contains("did you mean `scout`"), "{told:?}");
}

#[test]
fn a_child_without_an_answer_is_a_failed_call_that_says_what_happened() {
    let failures = [
        (NodeFailureKind::Failed, "it used up its steps", "Try again"),
        (NodeFailureKind::Limit, "runs may be nested 8 deep", ""),
        (NodeFailureKind::TimedOut, "its time was up", "Try again"),
    ];
    for (kind, message, advice) in failures {
        let mut run = start(with_scout(Strategy::ToolCalling));
        calls(&mut run, &[("c1", "scout", json!({"task": "x"}))]);
        let (id, _) = only_effect(&mut run);
        settle(&mut run, &id, ended(&id, Err(NodeFailure::new(kind, message)), 5));
        let asked = says(&mut run, "so");
        let told = asked.messages.last().unwrap().joined_text();
        assert!(told.starts_with(&format!("Error: the agent `scout` gave no answer: {message}")), "{told}");
        assert_eq!(told.contains("Try again"), !advice.is_empty(), "{told}");
        let result = run.result().unwrap();
        assert!(
            matches!(result.steps[0].error, Some(StepError::Tools { .. })),
            "{:?}",
            result.steps[0].error
        );
        assert_eq!(result.steps[0].usage.total(), 5, "tokens are used up by those that fail, too");
    }
}

#[test]
fn a_call_that_is_stopped_at_its_time_limit_is_a_failed_call() {
    let mut run = start(with_scout(Strategy::ToolCalling));
    calls(&mut run, &[("c1", "scout", json!({"task": "x"})), ("c2", "lookup", json!({"key": "a"}))]);
    let effects = run.take_effects();
    run.take_events();
    for (id, _) in &effects {
        settle(&mut run, id, Outcome::TimedOut { limit_ms: 1_500 });
    }
    assert_eq!(
        shape(run.take_events()),
        [
            "ended run_test-1-1 0 `scout` took longer than 1.5 s and was stopped.",
            "returned c1 `scout` took longer than 1.5 s and was stopped.",
            "returned c2 `lookup` took longer than 1.5 s and was stopped.",
        ]
    );
}

#[test]
fn the_tokens_of_children_count_for_the_limit_of_the_run() {
    let mut agent = with_scout(Strategy::ToolCalling);
    agent.limits.max_tokens = Some(100);
    let mut run = start(agent);
    calls(&mut run, &[("c1", "scout", json!({"task": "x"}))]);
    let (id, _) = only_effect(&mut run);
    settle(&mut run, &id, ended(&id, Ok(json!("y")), 100));
    let result = run.result().unwrap();
    assert_eq!((result.status, result.usage.total()), (RunStatus::TokenLimit, 100));
}

#[test]
fn a_managed_agent_waits_for_approval_like_a_tool() {
    let mut agent = with_scout(Strategy::Code);
    let mut guarded = scout();
    guarded.needs_approval = true;
    agent.agents = [guarded].into();
    let mut run = start(agent);
    let effects = wait_for(&mut run, vec![asks(0, json!({"task": "x"}))]);
    let [(id, Effect::Approve { name, .. })] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(name, "scout");
    settle(&mut run, id, Outcome::Approve { decision: Decision::Approved });
    let (id, effect) = only_effect(&mut run);
    child(effect);
    assert_eq!(
        shape(run.take_events()),
        ["approval code_1_0", "called code_1_0", &format!("started {}", id.child_run())]
    );
}

#[test]
fn a_lost_session_starts_no_child_again() {
    let mut run = start(with_scout(Strategy::Code));
    let call = || asks(0, json!({"task": "x"}));
    let effects = wait_for(&mut run, vec![call()]);
    settle(&mut run, &effects[0].0, ended(&effects[0].0, Ok(json!(1)), 9));
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, CodeOutcome::lost("worker died"));
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, CodeOutcome::Waiting { calls: vec![call()], awaiting: vec![0] });
    let (id, effect) = only_effect(&mut run);
    assert!(matches!(effect, Effect::Code { request: CodeRequest::Resume { .. } }), "{effect:?}");
    code(&mut run, &id, answered(json!(1)));
    assert_eq!(run.result().unwrap().usage.total(), 15 + 9);
}

#[test]
fn a_graph_begins_with_the_values_and_the_task() {
    let mut agent = settings(Strategy::ToolCalling);
    agent.agents = [ManagedSpec::graph("report", "Writes a report.")].into();
    let mut run = start(agent);
    let arguments = json!({"task": "On tea.", "additional_args": {"pages": 2, "task": "hidden"}});
    calls(&mut run, &[("c1", "report", arguments)]);
    let (_, effect) = only_effect(&mut run);
    assert_eq!(child(effect), ("report".into(), json!({"pages": 2, "task": "On tea."})));
}

#[test]
fn a_managed_agent_can_have_its_own_words_for_a_task() {
    let mut agent = settings(Strategy::ToolCalling);
    let mut own = scout();
    own.prompt = Some("{{ name }}, do this for {{ manager }}: {{ task }}".into());
    own.returns = Some(json!({"type": "integer"}));
    agent.agents = [own.clone()].into();
    let mut run = start(agent.clone());
    calls(&mut run, &[("c1", "scout", json!({"task": "count"}))]);
    let (_, effect) = only_effect(&mut run);
    assert_eq!(child(effect).1, json!("scout, do this for agent: count"));

    own.prompt = Some("{{ nonsense }}".into());
    agent.agents = [own].into();
    assert!(matches!(AgentSpec::new(agent), Err(SpecError::Prompt(_))));
}

#[test]
fn a_managed_agent_with_an_input_of_its_own_is_called_with_it() {
    let mut own = scout();
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"$ref": "#/$defs/days"}},
        "required": ["city"],
        "$defs": {"days": {"type": "integer"}},
    });
    own.input = Some(schema.clone());
    let team = AgentSettings { agents: [own.clone()].into(), ..settings(Strategy::ToolCalling) };
    let mut run = start(team.clone());
    assert_eq!(run.agent().tool("scout").unwrap().parameters, schema);
    assert!(!run.agent().system_prompt().contains("additional_args"));
    let asked = calls(&mut run, &[("c1", "scout", json!({"task": "Find figures."}))]);
    assert!(!asked.tools.is_empty());
    let asked = calls(&mut run, &[("c2", "scout", json!({"city": "Oslo", "days": 2}))]);
    assert!(asked.messages.last().unwrap().joined_text().contains("city"), "{:?}", asked.messages.last());
    let (_, effect) = only_effect(&mut run);
    assert_eq!(child(effect), ("scout".into(), json!({"city": "Oslo", "days": 2})));

    let refused = |own: &ManagedSpec| {
        let agents = [own.clone()].into();
        AgentSpec::new(AgentSettings { agents, ..team.clone() }).unwrap_err().to_string()
    };
    own.prompt = Some("{{ task }}".into());
    assert!(refused(&own).contains("remove the template or the schema"), "{}", refused(&own));
    own.prompt = None;
    own.input = Some(json!({"type": "integer"}));
    assert!(refused(&own).contains("type \"object\"; let it take a struct"), "{}", refused(&own));
}

#[test]
fn what_cannot_be_called_is_refused_when_the_agent_is_made() {
    let refused = |agents: Vec<ManagedSpec>| {
        let agent = AgentSettings { agents: agents.into(), ..settings(Strategy::Code) };
        AgentSpec::new(agent).unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        [
            refused(vec![scout(), scout()]),
            refused(vec![ManagedSpec::agent("scout", " ")]),
            refused(vec![ManagedSpec::agent("lookup", "x")]),
            refused(vec![ManagedSpec::agent("final_answer", "x")]),
            refused(vec![ManagedSpec::agent("web scout", "x")]),
        ]
        .join("\n")
    );
}

#[test]
fn an_agent_without_a_team_is_stored_as_before() {
    let stored = serde_json::to_value(settings(Strategy::Code)).unwrap();
    assert_eq!(stored.get("agents"), None);
    let read: AgentSettings = serde_json::from_value(Value::Object(Map::new())).unwrap();
    assert!(read.agents.is_empty());
    let team = with_scout(Strategy::Code);
    let read: AgentSettings = serde_json::from_value(serde_json::to_value(&team).unwrap()).unwrap();
    assert_eq!(read, team);
}
