//! The strategy `Code`.

use martlet_core::code::{CallResult, CodeEnd, CodeError, CodeValue};
use martlet_core::{
    CodeOutcome, CodeRequest, Decision, Effect, FinishReason, ModelFailure, ModelFailureKind, ModelReply,
    Outcome, RunStatus, Status, Strategy, ToolFailure, ToolFailureKind,
};
use serde_json::json;

use crate::support::*;

fn request(effect: Effect) -> CodeRequest {
    match effect {
        Effect::Code { request } => request,
        other => panic!("expected code, got {other:?}"),
    }
}

#[test]
fn a_program_prints_and_the_next_one_answers() {
    let mut run = start(settings(Strategy::Code));
    says(&mut run, "Thought: look.\n```python\nprint(lookup('a'))\n```");
    let (id, effect) = only_effect(&mut run);
    assert_eq!(request(effect), CodeRequest::start("print(lookup('a'))", None));
    code(&mut run, &id, CodeOutcome::Waiting { calls: vec![call(0, "a")], awaiting: vec![0] });
    let (tool, effect) = only_effect(&mut run);
    assert!(matches!(effect, Effect::Tool { ref name, .. } if name == "lookup"), "{effect:?}");
    tool_ok(&mut run, &tool, json!(7));
    let (id, effect) = only_effect(&mut run);
    assert_eq!(
        request(effect),
        CodeRequest::Resume { results: vec![CallResult { index: 0, result: Ok(json!(7)) }] }
    );
    code(&mut run, &id, printed("7\n"));
    let asked = says(&mut run, "```python\nfinal_answer(7)\n```");
    assert_eq!(asked.messages.last().unwrap().joined_text(), "Observation:\n7");
    assert_eq!(asked.messages[2].joined_text(), "Thought: look.\n```python\nprint(lookup('a'))\n```");
    let (id, effect) = only_effect(&mut run);
    assert!(matches!(request(effect), CodeRequest::Start { session: Some(_), .. }), "the session goes on");
    code(&mut run, &id, answered(json!(7)));
    let result = run.result().unwrap();
    assert_eq!((result.status, &result.output), (RunStatus::Succeeded, &json!(7)));
    assert_eq!(result.usage.total(), 30);
    assert_eq!(result.steps.len(), 2);
    assert_eq!(result.steps[0].thought, "Thought: look.");
    insta::assert_snapshot!(martlet_core::replay::replay(&result));
}

#[test]
fn gathered_calls_run_at_once_and_each_result_is_passed_on_as_it_comes() {
    let mut run = start(settings(Strategy::Code));
    says(&mut run, "```python\nx\n```");
    let (id, _) = only_effect(&mut run);
    let waiting = CodeOutcome::Waiting { calls: vec![call(0, "a"), call(1, "b")], awaiting: vec![0, 1] };
    code(&mut run, &id, waiting);
    let effects = run.take_effects();
    assert_eq!(effects.len(), 2);
    tool_ok(&mut run, &effects[1].0, json!("B"));
    let (id, effect) = only_effect(&mut run);
    assert_eq!(
        request(effect),
        CodeRequest::Resume { results: vec![CallResult { index: 1, result: Ok(json!("B")) }] }
    );
    // While the program computes, the other result comes in: it is passed on when the program waits again.
    tool_ok(&mut run, &effects[0].0, json!("A"));
    assert!(run.take_effects().is_empty());
    code(&mut run, &id, CodeOutcome::Waiting { calls: vec![call(2, "c")], awaiting: vec![0, 2] });
    let effects = run.take_effects();
    assert_eq!(effects.len(), 2, "the new call and the result: {effects:?}");
    assert!(
        matches!(&effects[1].1, Effect::Code { request: CodeRequest::Resume { results } } if results[0].index == 0)
    );
}

#[test]
fn a_lost_session_is_rebuilt_and_no_tool_is_called_twice() {
    let mut run = start(settings(Strategy::Code));
    says(&mut run, "```python\nx\n```");
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, CodeOutcome::Waiting { calls: vec![call(0, "a")], awaiting: vec![0] });
    let (tool, _) = only_effect(&mut run);
    tool_ok(&mut run, &tool, json!(1));
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, CodeOutcome::lost("worker died"));
    let (id, effect) = only_effect(&mut run);
    assert_eq!(request(effect), CodeRequest::start("x", None));
    code(&mut run, &id, CodeOutcome::Waiting { calls: vec![call(0, "a")], awaiting: vec![0] });
    let (_, effect) = only_effect(&mut run);
    assert!(matches!(request(effect), CodeRequest::Resume { results } if results[0].result == Ok(json!(1))));
}

#[test]
fn a_sandbox_that_breaks_its_word_ends_the_step_and_not_the_run() {
    for outcome in [
        CodeOutcome::Waiting { calls: vec![], awaiting: vec![] },
        CodeOutcome::Waiting { calls: vec![], awaiting: vec![3] },
        CodeOutcome::Waiting { calls: vec![call(4, "a")], awaiting: vec![4] },
    ] {
        let mut run = start(settings(Strategy::Code));
        says(&mut run, "```python\nx\n```");
        let (id, _) = only_effect(&mut run);
        code(&mut run, &id, outcome);
        let asked = says(&mut run, "done");
        assert!(asked.messages.last().unwrap().joined_text().contains("SandboxError"));
    }
}

#[test]
fn errors_name_the_line_and_keep_what_was_printed() {
    let mut run = start(settings(Strategy::Code));
    says(&mut run, "```python\nprint(1)\ny\n```");
    let (id, _) = only_effect(&mut run);
    let error = CodeError {
        kind: "NameError".into(),
        message: "name 'y' is not defined".into(),
        line: Some(2),
        source_line: Some("y".into()),
    };
    let end = CodeEnd { stdout: "1\n".into(), error: Some(error), ..CodeEnd::default() };
    code(&mut run, &id, CodeOutcome::Ended(end));
    let asked = says(&mut run, "```python\nprint(1)\ny\n```");
    insta::assert_snapshot!(asked.messages.last().unwrap().joined_text(), @r"
    Observation:
    1
    Error in line 2 (`y`): NameError: name 'y' is not defined
    Names that were defined before the error are kept. Correct the program and go on.
    ");
}

#[test]
fn the_same_program_again_is_answered_differently_and_asked_at_a_higher_temperature() {
    let mut run = start(settings(Strategy::Code));
    for _ in 0..2 {
        says(&mut run, "```python\nprint(1)\n```");
        let (id, _) = only_effect(&mut run);
        code(&mut run, &id, printed("1\n"));
    }
    let asked = says(&mut run, "```python\nprint(2)\n```");
    assert!(asked.messages.last().unwrap().joined_text().contains("the same program as before"));
    assert_eq!(asked.options.temperature, Some(0.7));
}

#[test]
fn a_reply_that_was_cut_inside_its_program_is_not_run() {
    let mut run = start(settings(Strategy::Code));
    let cut = ModelReply { finish: FinishReason::Length, ..ModelReply::text("```python\nx = [1, 2,") };
    reply(&mut run, cut);
    let asked = says(&mut run, "```python\n1\n```");
    assert!(asked.messages.last().unwrap().joined_text().contains("cut off at the token limit"));
}

#[test]
fn prose_is_refused_once_and_then_taken_as_the_answer() {
    let mut run = start(settings(Strategy::Code));
    says(&mut run, "It is 7.");
    assert_eq!(run.status(), Status::Running);
    says(&mut run, "It is 7.");
    let result = run.result().unwrap();
    assert_eq!((result.status, result.answer_text()), (RunStatus::Succeeded, "It is 7.".into()));
}

#[test]
fn a_call_that_needs_approval_waits_for_it_and_a_refusal_reaches_the_program() {
    let mut run = start(settings(Strategy::Code));
    says(&mut run, "```python\nsend('hi')\n```");
    let (id, _) = only_effect(&mut run);
    let mut letter = call(0, "x");
    letter.name = "send".into();
    letter.arguments = serde_json::Map::from_iter([("text".into(), json!("hi"))]);
    code(&mut run, &id, CodeOutcome::Waiting { calls: vec![letter], awaiting: vec![0] });
    let (id, effect) = only_effect(&mut run);
    assert!(matches!(effect, Effect::Approve { .. }), "{effect:?}");
    settle(&mut run, &id, Outcome::Approve { decision: Decision::Denied { reason: "too early".into() } });
    let (_, effect) = only_effect(&mut run);
    let CodeRequest::Resume { results } = request(effect) else { panic!() };
    assert!(
        matches!(&results[0].result, Err(ToolFailure { kind: ToolFailureKind::Denied, message }) if message.contains("too early"))
    );
}

#[test]
fn calls_that_the_program_left_open_are_abandoned() {
    let mut run = start(settings(Strategy::Code));
    says(&mut run, "```python\nx\n```");
    let (id, _) = only_effect(&mut run);
    code(
        &mut run,
        &id,
        CodeOutcome::Waiting { calls: vec![call(0, "a"), call(1, "b")], awaiting: vec![0, 1] },
    );
    let effects = run.take_effects();
    tool_ok(&mut run, &effects[0].0, json!(1));
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, answered(json!("first")));
    assert_eq!(run.take_abandoned(), [effects[1].0.clone()]);
    assert_eq!(run.result().unwrap().output, json!("first"));
}

#[test]
fn answers_are_held_against_their_schema() {
    let mut agent = settings(Strategy::Code);
    agent.answer_schema = Some(json!({"type": "integer"}));
    let mut run = start(agent);
    says(&mut run, "```python\nfinal_answer('seven')\n```");
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, answered(json!("seven")));
    let asked = says(&mut run, "```python\nfinal_answer(7)\n```");
    assert!(asked.messages.last().unwrap().joined_text().contains("not accepted"), "{asked:?}");
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, answered(json!(7)));
    assert_eq!(run.result().unwrap().output, json!(7));
}

#[test]
fn checks_of_the_host_can_refuse_an_answer() {
    let mut agent = settings(Strategy::Code);
    agent.answer_checks = true;
    let mut run = start(agent);
    for (problem, status) in [(Some("too short".to_owned()), None), (None, Some(RunStatus::Succeeded))] {
        says(&mut run, "```python\nfinal_answer('x')\n```");
        let (id, _) = only_effect(&mut run);
        code(&mut run, &id, answered(json!("x")));
        let (id, effect) = only_effect(&mut run);
        assert_eq!(effect, Effect::Check { answer: json!("x") });
        settle(&mut run, &id, Outcome::Check { problem });
        assert_eq!(run.result().map(|result| result.status), status);
    }
}

#[test]
fn used_up_steps_end_in_one_last_call() {
    let mut agent = settings(Strategy::Code);
    agent.limits.max_steps = 1;
    let mut run = start(agent);
    says(&mut run, "```python\nprint(1)\n```");
    let (id, _) = only_effect(&mut run);
    code(&mut run, &id, printed("1\n"));
    let asked = says(&mut run, "Probably 1.");
    assert!(asked.messages.last().unwrap().joined_text().starts_with("All steps are used up."));
    let result = run.result().unwrap();
    assert_eq!((result.status, result.answer_text()), (RunStatus::StepLimit, "Probably 1.".into()));
    assert!(result.steps[1].last_call);
}

#[test]
fn a_model_that_fails_ends_the_run_with_the_reason() {
    let mut run = start(settings(Strategy::Code));
    let (id, _) = only_effect(&mut run);
    let failure = ModelFailure { kind: ModelFailureKind::Auth, message: "the key was refused".into() };
    settle(&mut run, &id, Outcome::Model { result: Err(failure) });
    let result = run.result().unwrap();
    assert_eq!(result.status, RunStatus::Failed);
    assert!(result.failure.unwrap().to_string().contains("the key was refused"));
}

#[test]
fn a_token_limit_ends_the_run_between_steps() {
    let mut agent = settings(Strategy::Code);
    agent.limits.max_tokens = Some(15);
    let mut run = start(agent);
    says(&mut run, "```python\n1\n```");
    let (id, _) = only_effect(&mut run);
    let value = Some(CodeValue { json: json!(1), repr: "1".into() });
    code(&mut run, &id, CodeOutcome::Ended(CodeEnd { value, ..CodeEnd::default() }));
    assert_eq!(run.status(), Status::Finished(RunStatus::TokenLimit));
}

#[test]
fn an_error_without_end_is_cut_like_any_output() {
    let mut agent = settings(Strategy::Code);
    agent.limits.observation_chars = 1_000;
    let mut run = start(agent);
    says(&mut run, "```python\nx\n```");
    let (id, _) = only_effect(&mut run);
    let error = CodeError { kind: "E".into(), message: "x".repeat(100_000), line: None, source_line: None };
    code(&mut run, &id, CodeOutcome::Ended(CodeEnd { error: Some(error), ..CodeEnd::default() }));
    let asked = says(&mut run, "```python\nx\n```");
    assert!(asked.messages.last().unwrap().joined_text().len() < 1_500);
}

#[test]
fn a_bare_program_that_was_cut_is_not_run() {
    let mut run = start(settings(Strategy::Code));
    let cut = ModelReply { finish: FinishReason::Length, ..ModelReply::text("x = 1\nprint(x") };
    reply(&mut run, cut);
    let asked = says(&mut run, "```python\n1\n```");
    assert!(asked.messages.last().unwrap().joined_text().contains("cut off at the token limit"));
}
