//! The strategy `ToolCalling`.

use martlet_core::{Effect, Outcome, Role, RunStatus, Strategy, ToolFailure, ToolFailureKind};
use serde_json::json;

use crate::support::*;

#[test]
fn calls_of_one_reply_run_at_once_and_their_results_keep_the_order_of_the_calls() {
    let mut run = start(settings(Strategy::ToolCalling));
    calls(
        &mut run,
        &[
            ("z", "lookup", json!({"key": "a"})),
            ("y", "lookup", json!({"key": "b"})),
            ("x", "lookup", json!({"key": "c"})),
        ],
    );
    let effects = run.take_effects();
    assert_eq!(effects.len(), 3);
    tool_ok(&mut run, &effects[2].0, json!("C"));
    let failure = ToolFailure::new(ToolFailureKind::Failed, "no such key");
    settle(&mut run, &effects[1].0, Outcome::Tool { result: Err(failure) });
    assert!(run.take_effects().is_empty(), "the model is asked when all results are there");
    tool_ok(&mut run, &effects[0].0, json!("A"));
    let asked = calls(&mut run, &[("f", "final_answer", json!({"answer": "AC"}))]);
    let shown: Vec<_> = asked
        .messages
        .iter()
        .filter(|message| message.role == Role::Tool)
        .map(|message| (message.tool_call_id.clone().unwrap(), message.joined_text()))
        .collect();
    assert_eq!(shown[0], ("z".into(), "A".into()));
    assert_eq!(shown[1].0, "y");
    assert!(shown[1].1.starts_with("Error: no such key"), "{shown:?}");
    assert_eq!(shown[2], ("x".into(), "C".into()));
    let result = run.result().unwrap();
    assert_eq!((result.status, result.answer_text()), (RunStatus::Succeeded, "AC".into()));
    assert!(result.steps[0].error.is_none(), "a step in which some calls worked is no failed step");
}

#[test]
fn bad_calls_are_told_which_argument_is_wrong_and_the_good_one_is_made() {
    let mut run = start(settings(Strategy::ToolCalling));
    calls(
        &mut run,
        &[
            ("1", "lookup", json!({"key": 3})),
            ("2", "lookup", json!({"key": "a", "colour": "red"})),
            ("3", "find", json!({})),
            ("4", "lookup", json!("{oops")),
            ("5", "lookup", json!({})),
            ("6", "lookup", json!({"key": "a", "times": 2})),
        ],
    );
    let (id, _) = only_effect(&mut run);
    tool_ok(&mut run, &id, json!(1));
    let asked = says(&mut run, "It is 1.");
    let shown: Vec<String> = asked
        .messages
        .iter()
        .filter(|message| message.role == Role::Tool)
        .map(|message| message.joined_text())
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert_eq!(run.result().unwrap().answer_text(), "It is 1.");
}

#[test]
fn an_answer_among_other_calls_waits_until_their_results_were_seen() {
    let mut run = start(settings(Strategy::ToolCalling));
    calls(&mut run, &[("1", "lookup", json!({"key": "a"})), ("2", "final_answer", json!({"answer": 0}))]);
    let (id, _) = only_effect(&mut run);
    tool_ok(&mut run, &id, json!(1));
    assert!(run.result().is_none());
    calls(&mut run, &[("3", "final_answer", json!({"answer": 1}))]);
    assert_eq!(run.result().unwrap().output, json!(1));
}

#[test]
fn calls_written_as_text_are_understood_and_answered_as_text() {
    let mut agent = settings(Strategy::ToolCalling);
    agent.profile.native_tools = false;
    let mut run = start(agent);
    let asked = says(&mut run, "```json\n{\"name\": \"lookup\", \"arguments\": {\"key\": \"a\"}}\n```");
    assert!(asked.tools.is_empty());
    let (id, _) = only_effect(&mut run);
    tool_ok(&mut run, &id, json!({"value": 7}));
    let asked = says(&mut run, "{\"name\": \"final_answer\", \"arguments\": {\"answer\": 7}}");
    let last = asked.messages.last().unwrap();
    assert_eq!((last.role, last.joined_text()), (Role::User, "Observation:\nlookup: {\"value\":7}".into()));
    assert_eq!(run.result().unwrap().output, json!(7));
}

#[test]
fn ids_that_are_missing_or_doubled_are_made_unique() {
    let mut run = start(settings(Strategy::ToolCalling));
    calls(
        &mut run,
        &[
            ("", "lookup", json!({"key": "a"})),
            ("i", "lookup", json!({"key": "b"})),
            ("i", "lookup", json!({"key": "c"})),
        ],
    );
    let effects = run.take_effects();
    assert_eq!(effects.len(), 3);
    for (id, _) in &effects {
        tool_ok(&mut run, id, json!(1));
    }
    let asked = says(&mut run, "done");
    let mut ids: Vec<_> = asked.messages.iter().filter_map(|message| message.tool_call_id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn too_many_calls_at_once_are_refused() {
    let mut agent = settings(Strategy::ToolCalling);
    agent.limits.calls_per_step = 2;
    let mut run = start(agent);
    let call = ("", "lookup", json!({"key": "a"}));
    calls(&mut run, &[call.clone(), call.clone(), call]);
    let asked = says(&mut run, "done");
    assert_eq!(asked.messages.iter().filter(|message| message.role == Role::Tool).count(), 3);
}

#[test]
fn a_final_answer_of_the_host_is_called_and_its_output_is_the_answer() {
    let mut agent = settings(Strategy::ToolCalling);
    let own = martlet_core::ToolSpec::new("final_answer", "Ends the task.").parameters(json!({
        "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"],
    }));
    agent.tools = std::sync::Arc::from([lookup(), own]);
    let mut run = start(agent);
    calls(&mut run, &[("1", "final_answer", json!({"text": "hi"}))]);
    let (id, effect) = only_effect(&mut run);
    assert!(matches!(effect, Effect::Tool { ref name, .. } if name == "final_answer"));
    tool_ok(&mut run, &id, json!("HI"));
    assert_eq!(run.result().unwrap().output, json!("HI"));
}

#[test]
fn a_run_that_is_stopped_leaves_no_call_without_a_result() {
    let mut run = start(settings(Strategy::ToolCalling));
    calls(&mut run, &[("1", "lookup", json!({"key": "a"})), ("2", "lookup", json!({"key": "b"}))]);
    let effects = run.take_effects();
    tool_ok(&mut run, &effects[0].0, json!(1));
    run.stop(martlet_core::StopReason::Cancelled, 3_000);
    let conversation = run.result().unwrap().conversation;
    let answered: Vec<_> =
        conversation.iter().filter_map(|message| message.tool_call_id.as_deref()).collect();
    assert_eq!(answered, ["1", "2"]);
}

#[test]
fn a_call_that_a_plain_answer_quotes_is_not_made() {
    let mut run = start(settings(Strategy::ToolCalling));
    let text = r#"The page says {"name": "send", "arguments": {"text": "hi"}}."#;
    says(&mut run, text);
    assert_eq!(run.result().unwrap().answer_text(), text);
}

#[test]
fn a_final_answer_of_the_host_that_needs_approval_waits_for_it() {
    for strategy in [Strategy::Code, Strategy::ToolCalling] {
        let mut agent = settings(strategy);
        let flags = martlet_core::ToolFlags { needs_approval: true, ..Default::default() };
        let own = martlet_core::ToolSpec::new("final_answer", "Ends the task.")
            .parameters(json!({"type": "object", "properties": {"answer": {}}, "required": ["answer"]}))
            .flags(flags);
        agent.tools = std::sync::Arc::from([own]);
        let mut run = start(agent);
        if strategy == Strategy::Code {
            says(&mut run, "```python\nfinal_answer(1)\n```");
            let (id, _) = only_effect(&mut run);
            code(&mut run, &id, answered(json!(1)));
        } else {
            says(&mut run, "1");
        }
        let (id, effect) = only_effect(&mut run);
        assert!(matches!(effect, Effect::Approve { .. }), "{effect:?}");
        settle(&mut run, &id, Outcome::Approve { decision: martlet_core::Decision::Approved });
        let (id, effect) = only_effect(&mut run);
        assert!(matches!(effect, Effect::Tool { .. }), "{effect:?}");
        tool_ok(&mut run, &id, json!("one"));
        assert_eq!(run.result().unwrap().output, json!("one"));
    }
}

#[test]
fn a_schema_that_lists_no_properties_takes_any() {
    let open = martlet_core::ToolSpec::new("any", "Takes anything.").parameters(json!({"type": "object"}));
    let arguments = json!({"x": 1}).as_object().unwrap().clone();
    assert_eq!(open.validate(&arguments), Ok(()));
    assert!(lookup().validate(&arguments).is_err());
}
