//! What a person decides on the calls of agents: each strategy, each decision.

use martlet_core::code::CodeCall;
use martlet_core::{
    AgentSettings, ApprovalPolicy, ApprovalRule, ChildEnd, CodeOutcome, CodeRequest, Decision, DecisionKind,
    Effect, EffectId, Event, EventKind, ModelRequest, Outcome, Run, RunId, RunResult, RunStatus, Settlement,
    Strategy, ToolFailureKind, ToolFlags, ToolSpec, Usage,
};
use serde_json::{Map, Value, json};

use crate::managed::with_scout;
use crate::reasoning::{check, complete, plan, question, task};
use crate::support::*;

const STRATEGIES: [Strategy; 3] = [Strategy::Code, Strategy::ToolCalling, Strategy::Reasoning];

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

fn edited(arguments: Value) -> Decision {
    Decision::Edited { arguments: object(arguments) }
}

fn decide(run: &mut Run, id: &EffectId, decision: Decision) {
    settle(run, id, Outcome::Approve { decision });
}

fn code_call(index: u32, name: &str, arguments: Value) -> CodeCall {
    CodeCall { index, name: name.into(), arguments: object(arguments) }
}

/// Brings a run to the one call `name(arguments)` and gives the effect that is then open.
fn asked(run: &mut Run, strategy: Strategy, name: &str, arguments: &Value) -> (EffectId, Effect) {
    match strategy {
        Strategy::Code => {
            says(run, "```python\nx\n```");
            let (id, _) = only_effect(run);
            let call = code_call(0, name, arguments.clone());
            code(run, &id, CodeOutcome::Waiting { calls: vec![call], awaiting: vec![0] });
        }
        Strategy::ToolCalling => {
            calls(run, &[("c1", name, arguments.clone())]);
        }
        _ => {
            says(run, &plan(&[task("Do it", Some(name), &[])]));
            says(run, &arguments.to_string());
        }
    }
    only_effect(run)
}

/// What the model is shown after the call of [`asked`] has its result.
fn shown(run: &mut Run, strategy: Strategy) -> (ModelRequest, String) {
    if strategy == Strategy::Code {
        let (id, effect) = only_effect(run);
        let Effect::Code { request: CodeRequest::Resume { results } } = effect else { panic!("{effect:?}") };
        // The program prints what it was given.
        let text = match &results[0].result {
            Ok(value) => value.to_string(),
            Err(failure) => failure.message.clone(),
        };
        code(run, &id, printed(&format!("{text}\n")));
    }
    let request = says(run, if strategy == Strategy::Reasoning { "{}" } else { "next" });
    let text = match strategy {
        Strategy::Reasoning => question(&request),
        _ => request.messages.last().unwrap().joined_text(),
    };
    (request, text)
}

fn approvals(events: &[Event]) -> Vec<&EventKind> {
    let is_about = |kind: &&EventKind| {
        matches!(
            kind,
            EventKind::ApprovalAsked { .. }
                | EventKind::ApprovalDecided { .. }
                | EventKind::ToolCalled { .. }
                | EventKind::ToolReturned { .. }
        )
    };
    events.iter().map(|event| &event.kind).filter(is_about).collect()
}

#[test]
fn every_strategy_takes_every_decision_and_tells_the_model() {
    let mut told = String::new();
    let decisions = [
        ("approved", Decision::Approved),
        ("denied", Decision::Denied { reason: "too early".into() }),
        ("edited", edited(json!({"text": "good day"}))),
        ("edited as it was", edited(json!({"text": "hi"}))),
        ("edited wrongly", edited(json!({"txt": "good day"}))),
    ];
    for strategy in STRATEGIES {
        for (name, decision) in &decisions {
            let mut run = start(settings(strategy));
            let (id, effect) = asked(&mut run, strategy, "send", &json!({"text": "hi"}));
            assert_eq!(
                effect,
                Effect::Approve { name: "send".into(), arguments: object(json!({"text": "hi"})) }
            );
            decide(&mut run, &id, decision.clone());
            let used = match *name {
                "approved" | "edited as it was" => Some("hi"),
                "edited" => Some("good day"),
                _ => None,
            };
            if let Some(text) = used {
                let (tool, effect) = only_effect(&mut run);
                let arguments = object(json!({"text": text}));
                assert_eq!(effect, Effect::Tool { name: "send".into(), arguments }, "{strategy:?} {name}");
                tool_ok(&mut run, &tool, json!("sent"));
            }
            let (_, text) = shown(&mut run, strategy);
            let observation = text.lines().filter(|line| {
                line.contains("send")
                    || line.contains("sent")
                    || line.contains("refused")
                    || line.contains("Error")
            });
            told.push_str(&format!("{strategy:?}, {name}:\n"));
            for line in observation {
                told.push_str(&format!("    {line}\n"));
            }
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn events_show_what_was_asked_decided_and_really_called() {
    for strategy in STRATEGIES {
        let mut run = start(settings(strategy));
        let (id, _) = asked(&mut run, strategy, "send", &json!({"text": "hi"}));
        decide(&mut run, &id, edited(json!({"text": "good day"})));
        let (tool, _) = only_effect(&mut run);
        tool_ok(&mut run, &tool, json!("sent"));
        let events = run.take_events();
        let [asked, decided, called, returned] = approvals(&events)[..] else { panic!("{events:?}") };
        let EventKind::ApprovalAsked { step, call, effect, arguments, .. } = asked else { panic!() };
        assert_eq!((*step, *effect), (id.step, id.index), "the event names the effect");
        assert_eq!(arguments["text"], "hi");
        let EventKind::ApprovalDecided { call: of, effect, decision, arguments, reason, .. } = decided else {
            panic!()
        };
        assert_eq!((of, *effect, *decision), (call, id.index, DecisionKind::Edited));
        assert_eq!((arguments.as_ref().unwrap()["text"].as_str(), reason), (Some("good day"), &None));
        assert!(
            matches!(called, EventKind::ToolCalled { call: of, arguments, .. } if of == call && arguments["text"] == "good day")
        );
        assert!(matches!(returned, EventKind::ToolReturned { call: of, .. } if of == call));
    }
}

#[test]
fn a_denial_is_an_event_with_its_reason_and_no_call_is_made() {
    let mut run = start(settings(Strategy::ToolCalling));
    let (id, _) = asked(&mut run, Strategy::ToolCalling, "send", &json!({"text": "hi"}));
    decide(&mut run, &id, Decision::Denied { reason: "too early".into() });
    let events = run.take_events();
    let [_, decided, returned] = approvals(&events)[..] else { panic!("{events:?}") };
    let text = serde_json::to_value(decided).unwrap();
    assert_eq!(
        text,
        json!({"type": "tool.decided", "step": 1, "call": "c1", "effect": 1, "name": "send",
               "decision": "denied", "reason": "too early"})
    );
    assert!(matches!(returned, EventKind::ToolReturned { error: Some(_), .. }));
}

#[test]
fn the_record_keeps_what_was_asked_and_what_was_used() {
    let mut run = start(settings(Strategy::ToolCalling));
    let (id, _) = asked(&mut run, Strategy::ToolCalling, "send", &json!({"text": "hi"}));
    decide(&mut run, &id, edited(json!({"text": "good day"})));
    let (tool, _) = only_effect(&mut run);
    tool_ok(&mut run, &tool, json!("sent"));
    says(&mut run, "Done.");
    let result = run.result().unwrap();
    let record = &result.steps[0].calls[0];
    assert_eq!(record.call.arguments.to_json(), r#"{"text":"good day"}"#);
    assert_eq!(record.asked, Some(object(json!({"text": "hi"}))));
    let replayed = martlet_core::replay::replay(&result);
    assert!(replayed.contains("good day\"}) (the arguments are a person's)"), "{replayed}");
    let said = &result.conversation[1].tool_calls[0].arguments;
    assert_eq!(said.to_json(), r#"{"text":"hi"}"#, "the model's own words stay its own");
}

#[test]
fn of_gathered_calls_one_is_edited_and_the_others_stay() {
    let mut run = start(settings(Strategy::Code));
    says(&mut run, "```python\nx\n```");
    let (id, _) = only_effect(&mut run);
    let made = || {
        vec![
            code_call(0, "send", json!({"text": "a"})),
            code_call(1, "send", json!({"text": "b"})),
            code_call(2, "lookup", json!({"key": "c"})),
        ]
    };
    code(&mut run, &id, CodeOutcome::Waiting { calls: made(), awaiting: vec![0, 1, 2] });
    let effects = run.take_effects();
    let [(first, _), (second, _), (third, _)] = effects.as_slice() else { panic!("{effects:?}") };
    decide(&mut run, second, edited(json!({"text": "B"})));
    tool_ok(&mut run, third, json!(7));
    let effects = run.take_effects();
    let [(tool, Effect::Tool { arguments, .. }), (resumed, Effect::Code { .. })] = effects.as_slice() else {
        panic!("the program goes on with what is there: {effects:?}")
    };
    assert_eq!(arguments["text"], "B");

    // The session is lost: the calls of the program that runs again are known as those that it asked for.
    code(&mut run, resumed, CodeOutcome::lost("gone"));
    tool_ok(&mut run, tool, json!("sent B"));
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, CodeOutcome::Waiting { calls: made(), awaiting: vec![0, 1, 2] });
    let (id, effect) = only_effect(&mut run);
    let Effect::Code { request: CodeRequest::Resume { results } } = effect else { panic!("{effect:?}") };
    assert_eq!(results.len(), 2, "what was made is not made again");
    code(&mut run, &id, CodeOutcome::Waiting { calls: vec![], awaiting: vec![0] });
    decide(&mut run, first, Decision::Approved);
    let (tool, effect) = only_effect(&mut run);
    assert_eq!(effect, Effect::Tool { name: "send".into(), arguments: object(json!({"text": "a"})) });
    tool_ok(&mut run, &tool, json!("sent a"));
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, printed("ok\n"));
    let request = says(&mut run, "```python\nfinal_answer(1)\n```");
    assert_eq!(
        request.messages.last().unwrap().joined_text(),
        "Observation:\nA person changed the arguments of `send` from {\"text\":\"b\"} to {\"text\":\"B\"}.\nok"
    );
}

#[test]
fn a_program_that_answers_leaves_word_of_what_was_changed() {
    let mut run = start(settings(Strategy::Code));
    let (id, _) = asked(&mut run, Strategy::Code, "send", &json!({"text": "hi"}));
    decide(&mut run, &id, edited(json!({"text": "good day"})));
    let (tool, _) = only_effect(&mut run);
    tool_ok(&mut run, &tool, json!("sent"));
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, answered(json!("done")));
    let result = run.result().unwrap();
    assert_eq!(result.status, RunStatus::Succeeded);
    let last = result.conversation.last().unwrap().joined_text();
    assert!(last.contains("A person changed the arguments of `send`"), "{last}");
}

/// A `final_answer` of the host that takes a text and needs approval.
fn own_final_answer(strategy: Strategy) -> AgentSettings {
    let own = ToolSpec::new("final_answer", "Ends the task.")
        .parameters(
            json!({"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}),
        )
        .flags(ToolFlags { needs_approval: true, ..ToolFlags::default() });
    AgentSettings { tools: [lookup(), own].into(), ..settings(strategy) }
}

/// Brings a run to the approval of its answer.
fn answer_asked(run: &mut Run, strategy: Strategy) -> EffectId {
    match strategy {
        Strategy::Code => {
            says(run, "```python\nfinal_answer('hi')\n```");
            let (id, _) = only_effect(run);
            code(run, &id, answered(json!("hi")));
        }
        Strategy::ToolCalling => {
            calls(run, &[("c1", "final_answer", json!({"answer": "hi"}))]);
        }
        _ => {
            says(run, &plan(&[task("Greet", None, &[])]));
            says(run, "hi");
            says(run, &complete());
        }
    }
    let (id, effect) = only_effect(run);
    assert!(matches!(effect, Effect::Approve { ref name, .. } if name == "final_answer"), "{effect:?}");
    id
}

#[test]
fn an_answer_can_be_edited() {
    for strategy in STRATEGIES {
        let mut run = start(own_final_answer(strategy));
        let id = answer_asked(&mut run, strategy);
        decide(&mut run, &id, edited(json!({"answer": "good day"})));
        let (tool, effect) = only_effect(&mut run);
        assert!(
            matches!(&effect, Effect::Tool { arguments, .. } if arguments["answer"] == "good day"),
            "{effect:?}"
        );
        tool_ok(&mut run, &tool, json!("Good day."));
        let result = run.result().unwrap();
        assert_eq!((result.status, &result.output), (RunStatus::Succeeded, &json!("Good day.")));

        let mut run = start(own_final_answer(strategy));
        let id = answer_asked(&mut run, strategy);
        decide(&mut run, &id, edited(json!({"answer": 7})));
        let asked =
            says(&mut run, &if strategy == Strategy::Reasoning { check(false, &[]) } else { "x".into() });
        let told: String = asked.messages.iter().map(|message| message.joined_text()).collect();
        assert!(told.contains("a person put in the place of yours do not fit"), "{strategy:?}: {told}");
        assert!(told.contains("A person changed the arguments of `final_answer`"), "{strategy:?}: {told}");
    }
}

#[test]
fn the_task_of_a_managed_agent_can_be_edited() {
    for strategy in STRATEGIES {
        let mut settings = with_scout(strategy);
        settings.approvals = ApprovalPolicy::new([ApprovalRule::ask().tool("scout".parse().unwrap())]);
        let mut run = start(settings);
        let (id, effect) = asked(&mut run, strategy, "scout", &json!({"task": "Look."}));
        assert!(matches!(effect, Effect::Approve { .. }), "{effect:?}");
        decide(&mut run, &id, edited(json!({"task": "Look twice."})));
        let (id, effect) = only_effect(&mut run);
        let Effect::Child { input, .. } = &effect else { panic!("{effect:?}") };
        let text = input.as_str().unwrap();
        assert!(text.contains("Look twice.") && !text.contains("Look."), "{text}");
        let end = ChildEnd { run: id.child_run(), result: Ok(json!("seen")), usage: Usage::default() };
        settle(&mut run, &id, Outcome::Child { end });
        let (_, text) = shown(&mut run, strategy);
        assert!(text.contains("A person changed the arguments of `scout`"), "{strategy:?}: {text}");
    }
}

#[test]
fn what_a_policy_refuses_a_person_cannot_bring_about_by_editing() {
    let mut settings = settings(Strategy::ToolCalling);
    settings.approvals = ApprovalPolicy::new([ApprovalRule::deny()
        .when("arguments.text == 'rm'".parse().unwrap())
        .reason("never that")]);
    let mut run = start(settings);
    let (id, effect) = asked(&mut run, Strategy::ToolCalling, "send", &json!({"text": "hi"}));
    assert!(matches!(effect, Effect::Approve { .. }), "{effect:?}");
    decide(&mut run, &id, edited(json!({"text": "rm"})));
    let (_, text) = shown(&mut run, Strategy::ToolCalling);
    assert!(text.contains("the approval policy refuses this call: never that"), "{text}");
}

#[test]
fn a_policy_refuses_without_asking_and_allows_what_the_tool_would_ask_for() {
    for strategy in STRATEGIES {
        let mut settings = settings(strategy);
        settings.approvals = ApprovalPolicy::new([
            ApprovalRule::deny().tool("look*".parse().unwrap()).reason("nothing is looked up here"),
            ApprovalRule::allow().tool("send".parse().unwrap()),
        ]);
        let mut run = start(settings.clone());
        let (_, effect) = asked(&mut run, strategy, "send", &json!({"text": "hi"}));
        assert!(matches!(effect, Effect::Tool { .. }), "{strategy:?}: {effect:?}");

        let mut run = start(settings);
        match strategy {
            Strategy::Code => {
                let (id, effect) = asked(&mut run, strategy, "lookup", &json!({"key": "a"}));
                let Effect::Code { request: CodeRequest::Resume { results } } = effect else {
                    panic!("{effect:?}")
                };
                let failure = results[0].result.as_ref().unwrap_err();
                assert_eq!(failure.kind, ToolFailureKind::Denied);
                assert_eq!(
                    failure.message,
                    "the approval policy refuses this call: nothing is looked up here. Do not repeat it; go on without it."
                );
                code(&mut run, &id, printed("x"));
            }
            Strategy::ToolCalling => {
                let (_, effect) = asked(&mut run, strategy, "lookup", &json!({"key": "a"}));
                assert!(matches!(effect, Effect::Model { .. }), "{effect:?}");
            }
            _ => {
                let (_, effect) = asked(&mut run, strategy, "lookup", &json!({"key": "a"}));
                let Effect::Model { request } = effect else { panic!("{effect:?}") };
                assert!(question(&request).contains("nothing is looked up here"));
            }
        }
        assert!(!run.take_events().iter().any(|event| matches!(event.kind, EventKind::ApprovalAsked { .. })));
    }
}

#[test]
fn the_person_is_told_why_the_policy_asks() {
    let mut settings = settings(Strategy::ToolCalling);
    settings.approvals = ApprovalPolicy::new([ApprovalRule::ask()
        .when("arguments.nothing > 3".parse().unwrap())
        .reason("too many")]);
    let mut run = start(settings);
    asked(&mut run, Strategy::ToolCalling, "lookup", &json!({"key": "a"}));
    let events = run.take_events();
    let reason = events.iter().find_map(|event| match &event.kind {
        EventKind::ApprovalAsked { reason, .. } => reason.clone(),
        _ => None,
    });
    let reason = reason.unwrap();
    assert!(reason.starts_with("a rule could not be applied to this call: "), "{reason}");
    assert!(reason.contains("nothing"), "{reason}");
}

#[test]
fn the_same_question_again_is_seen_whatever_a_person_made_of_it() {
    let mut run = start(settings(Strategy::ToolCalling));
    for text in ["once", "twice"] {
        let (id, _) = asked(&mut run, Strategy::ToolCalling, "send", &json!({"text": "hi"}));
        decide(&mut run, &id, edited(json!({"text": text})));
        let (tool, _) = only_effect(&mut run);
        tool_ok(&mut run, &tool, json!("sent"));
    }
    let asked = says(&mut run, "Done.");
    let last = asked.messages.last().unwrap().joined_text();
    assert!(last.starts_with("These were the same calls as before"), "{last}");
}

/// Settles, and writes down what was settled.
fn log(run: &mut Run, journal: &mut Vec<Settlement>, id: &EffectId, outcome: Outcome) {
    let timing = martlet_core::Timing { started_ms: 2_000, elapsed_us: 10_000 };
    let settlement = Settlement { id: id.clone(), outcome, timing };
    journal.push(settlement.clone());
    run.settle(settlement).unwrap();
}

#[test]
fn a_journal_with_edits_gives_the_same_run() {
    let drive = || -> (RunResult, Vec<Event>, Vec<Settlement>) {
        let mut run = start(settings(Strategy::Code));
        let mut journal = Vec::new();
        let mut events = run.take_events();
        for number in 0..100 {
            let Some((id, effect)) = run.take_effects().into_iter().next() else { break };
            let outcome = match effect {
                Effect::Model { .. } => {
                    Outcome::Model { result: Ok(martlet_core::ModelReply::text("```python\nx\n```")) }
                }
                Effect::Code { request: CodeRequest::Start { .. } } if number < 8 => {
                    let call = code_call(0, "send", json!({"text": format!("{number}")}));
                    Outcome::Code {
                        result: Ok(CodeOutcome::Waiting { calls: vec![call], awaiting: vec![0] }),
                    }
                }
                Effect::Code { request: CodeRequest::Start { .. } } => {
                    Outcome::Code { result: Ok(answered(json!(number))) }
                }
                Effect::Code { .. } => Outcome::Code { result: Ok(printed("p")) },
                Effect::Approve { .. } => {
                    Outcome::Approve { decision: edited(json!({"text": format!("better {number}")})) }
                }
                Effect::Tool { arguments, .. } => {
                    let value = Value::Object(arguments);
                    Outcome::Tool { result: Ok(martlet_core::ToolOutput::from(value)) }
                }
                other => panic!("{other:?}"),
            };
            log(&mut run, &mut journal, &id, outcome);
            events.extend(run.take_events());
        }
        (run.result().unwrap(), events, journal)
    };
    let (result, events, journal) = drive();
    assert!(result.steps[0].calls[0].asked.is_some());
    let text = serde_json::to_string(&journal).unwrap();
    let read: Vec<Settlement> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, journal);
    let mut again = start(settings(Strategy::Code));
    let mut told = again.take_events();
    for settlement in read {
        let _ = again.take_effects();
        again.settle(settlement).unwrap();
        told.extend(again.take_events());
    }
    assert_eq!(again.id(), &RunId::new("run_test").unwrap());
    assert_eq!((again.result().unwrap(), told), (result, events));
}
