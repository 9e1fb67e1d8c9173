//! The strategy `Reasoning`: replies that must not be taken for what they look like.

use martlet_core::{
    FinishReason, ModelReply, ModelRequest, Role, Run, RunFailure, RunStatus, Strategy, TaskStatus, ToolSpec,
};
use serde_json::{Value, json};

use crate::reasoning::{agent, complete, only_tool, plan, question, task};
use crate::support::{reply, says, settings, start, tool_ok};

/// Settles the model call that is open with a reply that ended at the token limit.
fn is_cut(run: &mut Run, text: &str) -> ModelRequest {
    let mut cut = ModelReply::text(text);
    cut.finish = FinishReason::Length;
    reply(run, cut)
}

fn told(request: &ModelRequest) -> String {
    request.messages.last().unwrap().joined_text()
}

#[test]
fn half_a_text_is_not_passed_to_a_tool() {
    let mut run = start(agent());
    says(&mut run, &plan(&[task("Find a", Some("lookup"), &[])]));
    is_cut(&mut run, "{\"key\": \"the first half of");
    let asked = says(&mut run, "{\"key\": \"short\"}");
    assert!(told(&asked).contains("cut off at the token limit: be shorter.\nCorrect it"), "{}", told(&asked));
    let (id, _, arguments) = only_tool(&mut run);
    assert_eq!(arguments, json!({"key": "short"}));
    tool_ok(&mut run, &id, json!(3));
    says(&mut run, &complete());
    assert_eq!(run.result().unwrap().output, json!(3));

    let mut run = start(agent());
    says(&mut run, &plan(&[task("Find a", Some("lookup"), &[])]));
    is_cut(&mut run, "{\"key\": \"the first half of");
    is_cut(&mut run, "{\"key\": \"again the first half of");
    // No tool is called: what is asked for next is the check.
    let asked = says(&mut run, &complete());
    assert!(question(&asked).contains("FAILED: the model's reply was cut off"), "{}", question(&asked));
}

#[test]
fn half_a_text_is_no_result_of_a_task() {
    let mut run = start(agent());
    says(&mut run, &plan(&[task("Tell of a", None, &[])]));
    is_cut(&mut run, "Once upon a");
    let asked = is_cut(&mut run, "Once upon");
    assert!(told(&asked).ends_with("be shorter.\nReply again."), "{}", told(&asked));
    says(&mut run, &complete());
    says(&mut run, "It could not be told.");
    let result = run.result().unwrap();
    let record = &result.steps[0].tasks[0];
    assert_eq!((record.status, &record.result), (TaskStatus::Failed, &None));
    assert!(record.error.as_ref().unwrap().contains("cut off"));
    assert_eq!(result.answer_text(), "It could not be told.");
}

#[test]
fn half_an_answer_is_asked_for_once_more_and_then_rejected() {
    let mut run = start(agent());
    says(&mut run, &plan(&[]));
    is_cut(&mut run, "Once upon a");
    let asked = is_cut(&mut run, "Once upon");
    assert!(told(&asked).contains("be shorter"), "{}", told(&asked));
    let asked = says(&mut run, &plan(&[]));
    let expected = "The answer `Once upon` was not accepted: it was cut off at the token limit";
    assert!(question(&asked).contains(expected), "{}", question(&asked));
    says(&mut run, "It was.");
    let result = run.result().unwrap();
    assert_eq!((result.status, result.answer_text()), (RunStatus::Succeeded, "It was.".into()));

    // JSON whose end is missing is not closed and taken.
    let mut settings = agent();
    settings.answer_schema = Some(json!({"type": "object", "properties": {"a": {"type": "string"}}}));
    let mut run = start(settings);
    says(&mut run, &plan(&[]));
    is_cut(&mut run, "{\"a\": \"Once");
    assert_eq!(run.result(), None);
}

#[test]
fn after_the_last_call_half_an_answer_is_taken_as_it_is() {
    let mut settings = agent();
    settings.limits.max_steps = 1;
    settings.answer_schema = Some(json!({"type": "object"}));
    let mut run = start(settings);
    says(&mut run, &plan(&[]));
    is_cut(&mut run, "{\"a\": 1");
    is_cut(&mut run, "{\"a\": 1");
    is_cut(&mut run, "{\"a\": 2");
    is_cut(&mut run, "{\"a\": 3");
    let result = run.result().unwrap();
    assert_eq!((result.status, result.output), (RunStatus::StepLimit, json!("{\"a\": 3")));
}

#[test]
fn an_empty_list_before_a_plan_is_not_the_plan() {
    for before in ["- [ ] find a\n", "I begin with nothing, `[]`. ", "[]\n"] {
        let mut run = start(agent());
        says(&mut run, &format!("{before}{}", plan(&[task("Greet", None, &[])])));
        let asked = says(&mut run, "Hello.");
        assert!(question(&asked).contains("do this part of it: Greet"), "{before}: {}", question(&asked));
    }
}

#[test]
fn an_answer_that_is_to_be_a_text_may_look_like_json() {
    let text = json!({"type": "string"});
    for said in ["42", "It is a list: [1, 2].", "{\"a\": 1}", "true"] {
        let mut settings = agent();
        settings.answer_schema = Some(text.clone());
        let mut run = start(settings);
        says(&mut run, &plan(&[]));
        says(&mut run, said);
        let result = run.result().unwrap();
        assert_eq!((result.status, result.output), (RunStatus::Succeeded, json!(said)));
    }
    for (schema, said, expected) in [
        (text.clone(), "42", json!("42")),
        (text.clone(), "\"42\"", json!("42")),
        (json!({"type": ["string", "integer"]}), "42", json!(42)),
        (json!({"type": "integer"}), "42", json!(42)),
    ] {
        let mut settings = settings(Strategy::ToolCalling);
        settings.profile.native_tools = true;
        settings.answer_schema = Some(schema);
        let mut run = start(settings);
        says(&mut run, said);
        assert_eq!(run.result().map(|result| result.output), Some(expected));
    }
}

#[test]
fn a_question_to_the_user_is_no_value_of_a_type() {
    let lacks = r#"{"has_sufficient_info": false, "reasoning": "Which a is meant?", "tasks": []}"#;
    let expected = "I need more information to complete this task. Which a is meant?";
    let run_with = |schema: Value| {
        let mut settings = agent();
        settings.answer_schema = Some(schema);
        let mut run = start(settings);
        says(&mut run, lacks);
        run.result().unwrap()
    };
    let result = run_with(json!({"type": "object", "required": ["a"]}));
    assert_eq!((result.status, &result.output), (RunStatus::Failed, &Value::Null));
    assert_eq!(result.failure, Some(RunFailure::Information { needed: expected.into() }));
    assert_eq!(result.failure.as_ref().unwrap().to_string(), expected);
    // The user can answer it in the next run.
    let last = result.conversation.last().unwrap();
    assert_eq!((last.role, last.joined_text()), (Role::Assistant, expected.into()));

    let result = run_with(json!({"type": "string"}));
    assert_eq!((result.status, result.output), (RunStatus::Succeeded, json!(expected)));
}

#[test]
fn the_history_of_a_run_does_not_hold_the_call_that_hands_over_the_answer() {
    use crate::support::calls;
    let mut run = start(settings(Strategy::ToolCalling));
    calls(&mut run, &[("c1", "lookup", json!({"key": "a"}))]);
    let (id, _) = crate::support::only_effect(&mut run);
    tool_ok(&mut run, &id, json!(3));
    calls(&mut run, &[("c2", "final_answer", json!({"answer": "3"}))]);
    let response = run.result().unwrap().response();
    let history: Vec<_> = response
        .execution_history
        .iter()
        .map(|item| (item.tool.as_deref(), item.result.as_str(), item.status.as_str()))
        .collect();
    assert_eq!(history, [(Some("lookup"), "3", "completed")]);
    assert_eq!((response.metrics.tool_executions, response.metrics.failed_tool_calls), (1, 0));

    // The host's own is a call like any other.
    let own = ToolSpec::new("final_answer", "Ends it.").parameters(json!({
        "type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"],
    }));
    let mut settings = settings(Strategy::ToolCalling);
    settings.tools = [own].into();
    let mut run = start(settings);
    calls(&mut run, &[("c1", "final_answer", json!({"answer": "3"}))]);
    let (id, _) = crate::support::only_effect(&mut run);
    tool_ok(&mut run, &id, json!("three"));
    let history = run.result().unwrap().response().execution_history;
    assert_eq!((history.len(), history[0].status.as_str()), (1, "completed"));
}
