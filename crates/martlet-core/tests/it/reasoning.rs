//! The strategy `Reasoning`.

use std::sync::Arc;

use martlet_core::{
    AgentSettings, AgentSpec, Decision, Effect, EffectId, EventKind, FinishReason, ModelFailure,
    ModelFailureKind, ModelOptions, ModelProfile, ModelReply, ModelRequest, Outcome, ResponseFormat, Role,
    Run, RunStatus, Strategy, TaskStatus, ToolFailure, ToolFailureKind, ToolSpec, Usage,
};
use serde_json::{Value, json};

use crate::support::{lookup, only_effect, reply, say, says, settings, settle, start, tool_ok};

pub(crate) fn agent() -> AgentSettings {
    settings(Strategy::Reasoning)
}

pub(crate) fn task(description: &str, tool: Option<&str>, depends_on: &[u32]) -> Value {
    json!({"description": description, "tool_name": tool, "depends_on": depends_on, "requires_user_input": false})
}

pub(crate) fn plan(tasks: &[Value]) -> String {
    json!({"has_sufficient_info": true, "reasoning": "It is the way.", "tasks": tasks}).to_string()
}

pub(crate) fn complete() -> String {
    check(true, &[])
}

pub(crate) fn check(is_complete: bool, missing: &[&str]) -> String {
    json!({"is_complete": is_complete, "reasoning": "I looked.", "missing_steps": missing, "next_action": "Go on."}).to_string()
}

pub(crate) type ModelCall = (EffectId, ModelRequest);
pub(crate) type ToolCall = (EffectId, String, Value);

/// The model calls and the tool calls that are new.
fn new_effects(run: &mut Run) -> (Vec<ModelCall>, Vec<ToolCall>) {
    let (mut models, mut tools) = (Vec::new(), Vec::new());
    for (id, effect) in run.take_effects() {
        match effect {
            Effect::Model { request } => models.push((id, request)),
            Effect::Tool { name, arguments } => tools.push((id, name, Value::Object(arguments))),
            other => panic!("unexpected {other:?}"),
        }
    }
    (models, tools)
}

/// The one tool call that is new.
pub(crate) fn only_tool(run: &mut Run) -> ToolCall {
    let (models, mut tools) = new_effects(run);
    assert!(models.is_empty() && tools.len() == 1, "{models:?} {tools:?}");
    tools.remove(0)
}

pub(crate) fn question(request: &ModelRequest) -> String {
    request.messages.iter().rfind(|message| message.role == Role::User).unwrap().joined_text()
}

#[test]
fn tasks_run_at_the_same_time_and_those_that_depend_on_them_after() {
    let mut run = start(agent());
    let tasks = [
        task("Find a", Some("lookup"), &[]),
        task("Find b", Some("lookup"), &[]),
        task("Add them", None, &[1, 2]),
    ];
    let asked = says(&mut run, &plan(&tasks));
    assert!(
        matches!(&asked.response_format, Some(ResponseFormat::JsonSchema { name, strict: false, .. }) if name == "plan")
    );
    insta::assert_snapshot!("plan_is_asked_for", question(&asked));

    let (models, _) = new_effects(&mut run);
    assert_eq!(models.len(), 2, "both arguments are asked for at the same time");
    insta::assert_snapshot!("arguments_are_asked_for", question(&models[0].1));
    say(&mut run, &models[1].0, "{\"key\": \"b\"}");
    let (b, name, arguments) = only_tool(&mut run);
    assert_eq!((name.as_str(), arguments), ("lookup", json!({"key": "b"})));
    say(&mut run, &models[0].0, "Sure: ```json\n{'key': 'a',}\n```");
    let (a, _, _) = only_tool(&mut run);
    tool_ok(&mut run, &a, json!(20));
    assert!(run.take_effects().is_empty(), "the sum waits for both");
    tool_ok(&mut run, &b, json!(22));

    let asked = says(&mut run, "The sum is 42.");
    insta::assert_snapshot!("a_task_is_asked_for", question(&asked));
    assert_eq!(asked.response_format, None);
    let asked = says(&mut run, &complete());
    insta::assert_snapshot!("completion_is_asked_for", question(&asked));
    let asked = says(&mut run, "a + b = 42");
    insta::assert_snapshot!("the_answer_is_asked_for", question(&asked));
    let events: Vec<EventKind> = run.take_events().into_iter().map(|event| event.kind).collect();
    insta::assert_json_snapshot!("events", events);
    let result = run.result().unwrap();
    assert_eq!((result.status, result.answer_text()), (RunStatus::Succeeded, "a + b = 42".into()));
    assert_eq!(result.steps.len(), 1);
    let said: Vec<String> = result.conversation.iter().map(|message| message.joined_text()).collect();
    assert_eq!(said, ["What is a?", "a + b = 42"]);
    insta::assert_json_snapshot!("response", result.response());
}

#[test]
fn one_result_is_the_answer_as_it_is() {
    let mut run = start(agent());
    says(&mut run, &plan(&[task("Find a", Some("lookup"), &[])]));
    says(&mut run, "{\"key\": \"a\"}");
    let (id, _, _) = only_tool(&mut run);
    tool_ok(&mut run, &id, json!({"value": 3}));
    says(&mut run, &complete());
    let result = run.result().unwrap();
    assert_eq!((result.status, result.output.clone()), (RunStatus::Succeeded, json!({"value": 3})));
    let metrics = result.metrics();
    assert_eq!((metrics.llm_calls, metrics.reasoning_calls, metrics.completion_checks), (3, 1, 1));
    assert_eq!((metrics.task_completed, metrics.iterations_to_completion), (true, Some(1)));
}

#[test]
fn what_is_missing_is_asked_of_the_user() {
    let mut run = start(agent());
    says(&mut run, r#"{"has_sufficient_info": false, "reasoning": "Which a is meant?", "tasks": []}"#);
    let result = run.result().unwrap();
    assert_eq!(result.status, RunStatus::Succeeded);
    assert_eq!(result.output, json!("I need more information to complete this task. Which a is meant?"));
    assert!(!result.metrics().task_completed);
    assert_eq!(result.conversation.last().unwrap().role, Role::Assistant);

    let mut question = task("Ask which a is meant", None, &[]);
    question["requires_user_input"] = json!(true);
    let mut run = start(agent());
    says(&mut run, &plan(&[question.clone(), task("Find it", Some("lookup"), &[1])]));
    let answer = run.result().unwrap().answer_text();
    assert!(answer.ends_with("It is the way.\n- Ask which a is meant"), "{answer}");

    let ask_user = ToolSpec::new("ask_user", "Asks the user.").parameters(json!({
        "type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"],
    }));
    let mut run = start(AgentSettings { tools: Arc::from([lookup(), ask_user]), ..agent() });
    says(&mut run, &plan(&[question, task("Find it", Some("lookup"), &[1])]));
    says(&mut run, "{\"question\": \"Which a?\"}");
    let (_, name, arguments) = only_tool(&mut run);
    assert_eq!((name.as_str(), arguments), ("ask_user", json!({"question": "Which a?"})));
}

#[test]
fn a_plan_without_tasks_is_answered_at_once() {
    let mut run = start(agent());
    says(&mut run, &plan(&[]));
    says(&mut run, "It is 3.");
    let result = run.result().unwrap();
    assert_eq!((result.status, result.answer_text()), (RunStatus::Succeeded, "It is 3.".into()));
    assert!(result.metrics().task_completed && result.metrics().completion_checks == 0);
}

#[test]
fn a_plan_that_cannot_be_read_is_asked_for_once_more_and_then_the_task_is_done_as_a_whole() {
    let mut run = start(agent());
    says(&mut run, "I would look it up.");
    let asked = says(&mut run, "Really, I would.");
    let told = asked.messages.last().unwrap().joined_text();
    assert!(told.contains("no JSON object"), "{told}");
    assert_eq!(asked.messages[asked.messages.len() - 2].joined_text(), "I would look it up.");
    let asked = says(&mut run, "It is 3.");
    assert!(question(&asked).contains("do this part of it: What is a?"));
    says(&mut run, &complete());
    let result = run.result().unwrap();
    assert_eq!(result.answer_text(), "It is 3.");
    assert!(result.steps[0].error.as_ref().unwrap().to_string().contains("no JSON object"));
}

#[test]
fn plans_are_mended_where_the_model_does_not() {
    let wrong = plan(&[
        task("One", Some("lookupp"), &[2]),
        task("Two", Some("none"), &[1, 2, 7]),
        json!({"description": "Three", "tool_name": "final_answer"}),
    ]);
    let mut run = start(agent());
    says(&mut run, &wrong);
    let asked = says(&mut run, &wrong);
    insta::assert_snapshot!("a_wrong_plan", asked.messages.last().unwrap().joined_text());
    let (models, _) = new_effects(&mut run);
    assert!(models.is_empty() || models.len() == 1, "{models:?}");
    let planned: Vec<_> = run
        .take_events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::PlanMade { tasks, .. } => Some(tasks),
            _ => None,
        })
        .flatten()
        .map(|task| (task.tool_name, task.depends_on))
        .collect();
    assert_eq!(planned, [(Some("lookupp".into()), vec![]), (None, vec![1]), (None, vec![1, 2])]);
}

#[test]
fn a_task_that_fails_stops_only_those_that_depend_on_it() {
    let mut run = start(agent());
    let tasks = [
        task("Find a", Some("lookup"), &[]),
        task("Double it", None, &[1]),
        task("Say why", None, &[2]),
        task("Say hello", None, &[]),
    ];
    says(&mut run, &plan(&tasks));
    let (models, _) = new_effects(&mut run);
    assert_eq!(models.len(), 2);
    say(&mut run, &models[0].0, "{\"key\": \"a\"}");
    let (id, _, _) = only_tool(&mut run);
    let failure = ToolFailure::new(ToolFailureKind::Failed, "no such key");
    settle(&mut run, &id, Outcome::Tool { result: Err(failure) });
    assert!(run.take_effects().is_empty());
    say(&mut run, &models[1].0, "Hello.");
    says(&mut run, &check(false, &["a"]));
    let asked = says(&mut run, &plan(&[]));
    insta::assert_snapshot!("the_next_plan_is_asked_for", question(&asked));
    let ended: Vec<_> = run
        .take_events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::TaskEnded { task, status, error, .. } => Some((task, status, error)),
            _ => None,
        })
        .collect();
    let skipped = Some("not begun, because task 1 failed".to_owned());
    assert_eq!(
        ended,
        [
            (1, TaskStatus::Failed, Some("no such key".into())),
            (2, TaskStatus::Skipped, skipped.clone()),
            (3, TaskStatus::Skipped, skipped),
            (4, TaskStatus::Completed, None),
        ]
    );
    // One result, and nothing is left to do.
    let result = run.result().unwrap();
    assert_eq!(result.answer_text(), "Hello.");
    let statuses: Vec<String> =
        result.response().execution_history.into_iter().map(|item| item.status).collect();
    assert_eq!(statuses, ["failed", "failed", "failed", "completed"]);
    let metrics = result.metrics();
    assert_eq!((metrics.tool_executions, metrics.failed_tool_calls, metrics.success_rate), (1, 1, 0.0));
}

#[test]
fn arguments_that_do_not_fit_are_asked_for_once_more_and_then_the_task_failed() {
    let mut settings = agent();
    settings.options = ModelOptions {
        temperature: Some(0.8),
        top_p: Some(0.9),
        max_tokens: Some(50),
        ..ModelOptions::default()
    };
    let mut run = start(settings.clone());
    let asked = says(&mut run, &plan(&[task("Find a", Some("lookup"), &[]), task("Greet", None, &[])]));
    assert_eq!(asked.options, settings.options);
    let (models, _) = new_effects(&mut run);
    assert_eq!(models[0].1.options.temperature, Some(0.3));
    assert_eq!(models[1].1.options, settings.options, "no option is dropped");
    say(&mut run, &models[1].0, "Hello.");
    say(&mut run, &models[0].0, "{\"key\": 3}");
    let (again, _) = new_effects(&mut run);
    let told = again[0].1.messages.last().unwrap().joined_text();
    assert!(told.contains("argument `key`"), "{told}");
    assert_eq!(again[0].1.messages.iter().filter(|message| message.role == Role::User).count(), 2);
    say(&mut run, &again[0].0, "{\"key\": 4}");
    // The check of the whole comes next: the call was not made.
    says(&mut run, &check(false, &[]));
    let step = &run.result().map(|result| result.steps).unwrap_or_default();
    assert!(step.is_empty(), "the run goes on");
    let asked = says(&mut run, &plan(&[]));
    assert!(
        question(&asked).contains("FAILED: argument `key`: 4 is not of type \"string\""),
        "{}",
        question(&asked)
    );
    let result = run.result().unwrap();
    assert_eq!(result.steps[0].calls.len(), 1);
    assert_eq!(result.metrics().failed_tool_calls, 1);
}

#[test]
fn arguments_are_understood_in_every_dress() {
    for text in [
        "{\"key\": \"a\"}",
        "{\"arguments\": {\"key\": \"a\"}}",
        "{\"name\": \"lookup\", \"lookup\": {\"key\": \"a\"}}",
        "Arguments: {key: 'a'}",
    ] {
        let mut run = start(agent());
        says(&mut run, &plan(&[task("Find a", Some("lookup"), &[])]));
        says(&mut run, text);
        let (_, _, arguments) = only_tool(&mut run);
        assert_eq!(arguments, json!({"key": "a"}), "{text}");
    }
}

#[test]
fn a_tool_without_arguments_is_called_at_once() {
    let now = ToolSpec::new("now", "The time.");
    let mut run = start(AgentSettings { tools: Arc::from([now]), ..agent() });
    says(&mut run, &plan(&[task("What time is it?", Some("now"), &[])]));
    let (_, name, arguments) = only_tool(&mut run);
    assert_eq!((name.as_str(), arguments), ("now", json!({})));
}

#[test]
fn a_tool_that_needs_approval_is_asked_for_and_a_refusal_fails_the_task() {
    let mut run = start(agent());
    says(&mut run, &plan(&[task("Send it", Some("send"), &[])]));
    says(&mut run, "{\"text\": \"hi\"}");
    let (id, effect) = only_effect(&mut run);
    assert!(matches!(effect, Effect::Approve { .. }), "{effect:?}");
    settle(&mut run, &id, Outcome::Approve { decision: Decision::Denied { reason: "no".into() } });
    let asked = says(&mut run, &check(false, &[]));
    assert!(question(&asked).contains("FAILED: this call was refused: no"), "{}", question(&asked));
}

#[test]
fn a_check_that_cannot_be_read_counts_as_not_complete() {
    let mut run = start(agent());
    says(&mut run, &plan(&[task("Greet", None, &[])]));
    says(&mut run, "Hello.");
    says(&mut run, "Yes.");
    says(&mut run, "Yes, it is.");
    let asked = says(&mut run, &plan(&[]));
    assert!(question(&asked).contains("Next: Continue with next iteration"), "{}", question(&asked));
    let status = run.result().unwrap().response().completion_status.unwrap();
    assert_eq!((status.is_complete, status.reasoning.as_str()), (false, "Failed to parse completion check"));
}

#[test]
fn used_up_iterations_end_with_what_there_is_and_say_so() {
    let mut settings = agent();
    settings.limits.max_steps = 2;
    let mut run = start(settings);
    for key in ["a", "b"] {
        says(&mut run, &plan(&[task(&format!("Find {key}"), Some("lookup"), &[])]));
        says(&mut run, &json!({"key": key}).to_string());
        let (id, _, _) = only_tool(&mut run);
        tool_ok(&mut run, &id, json!(key));
        says(&mut run, &check(false, &["c", "d"]));
    }
    let asked = says(&mut run, "a and b");
    assert!(question(&asked).contains("say what is missing"), "{}", question(&asked));
    let result = run.result().unwrap();
    assert_eq!(result.status, RunStatus::StepLimit);
    insta::assert_snapshot!("incomplete", result.answer_text());
    let metrics = result.metrics();
    assert_eq!(
        (metrics.total_iterations, metrics.task_completed, metrics.iterations_to_completion),
        (2, false, None)
    );
}

#[test]
fn an_answer_satisfies_its_schema_or_the_model_is_told() {
    let mut settings = agent();
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    settings.answer_schema = Some(schema.clone());
    let mut run = start(settings.clone());
    says(&mut run, &plan(&[task("Greet", None, &[])]));
    says(&mut run, "Hello.");
    says(&mut run, &complete());
    // The one result is no answer of this form.
    let asked = says(&mut run, "{\"a\": \"three\"}");
    let form = ResponseFormat::JsonSchema { name: "answer".into(), schema, strict: false };
    assert_eq!(asked.response_format, Some(form));
    let asked = says(&mut run, "{\"b\": 3}");
    assert!(
        asked.messages.last().unwrap().joined_text().contains("argument `a`"),
        "{:?}",
        asked.messages.last()
    );
    // Twice wrong: the next iteration is told.
    let asked = says(&mut run, &plan(&[]));
    assert!(question(&asked).contains("The answer `{\"b\":3}` was not accepted"), "{}", question(&asked));
    says(&mut run, "It is: {\"a\": 3}");
    let result = run.result().unwrap();
    assert_eq!((result.status, &result.output), (RunStatus::Succeeded, &json!({"a": 3})));
    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Answer {
        a: i64,
    }
    assert_eq!(result.answer::<Answer>(), Ok(Answer { a: 3 }));
    assert!(result.answer::<String>().unwrap_err().to_string().contains("expected a string"));
    assert_eq!(result.steps.len(), 2);
}

#[test]
fn the_host_checks_an_answer_and_its_own_final_answer_is_called() {
    let mut settings = agent();
    settings.answer_checks = true;
    let own = ToolSpec::new("final_answer", "Ends the task.").parameters(json!({
        "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"],
    }));
    settings.tools = Arc::from([lookup(), own]);
    let mut run = start(settings);
    says(&mut run, &plan(&[]));
    says(&mut run, "hello");
    let (id, name, arguments) = only_tool(&mut run);
    assert_eq!((name.as_str(), arguments), ("final_answer", json!({"text": "hello"})));
    tool_ok(&mut run, &id, json!("HELLO"));
    let (id, effect) = only_effect(&mut run);
    assert_eq!(effect, Effect::Check { answer: json!("HELLO") });
    settle(&mut run, &id, Outcome::Check { problem: Some("say more".into()) });
    let asked = says(&mut run, &plan(&[]));
    assert!(question(&asked).contains("`HELLO` was not accepted: say more"), "{}", question(&asked));
    says(&mut run, "hello again");
    let (id, _, _) = only_tool(&mut run);
    tool_ok(&mut run, &id, json!("HELLO AGAIN"));
    let (id, _) = only_effect(&mut run);
    settle(&mut run, &id, Outcome::Check { problem: None });
    assert_eq!(run.result().unwrap().output, json!("HELLO AGAIN"));
}

#[test]
fn a_provider_that_takes_no_form_is_asked_without_one_from_then_on() {
    let mut run = start(agent());
    let (id, _) = only_effect(&mut run);
    let failure = ModelFailure { kind: ModelFailureKind::Request, message: "response_format?".into() };
    settle(&mut run, &id, Outcome::Model { result: Err(failure.clone()) });
    let asked = says(&mut run, &plan(&[task("Find a", Some("lookup"), &[])]));
    assert_eq!(asked.response_format, None);
    let (id, effect) = only_effect(&mut run);
    assert!(matches!(effect, Effect::Model { request } if request.response_format.is_none()));
    settle(&mut run, &id, Outcome::Model { result: Err(failure) });
    assert_eq!(run.result().unwrap().status, RunStatus::Failed);
}

#[test]
fn a_task_that_is_too_long_for_the_model_fails_alone() {
    let mut run = start(agent());
    says(&mut run, &plan(&[task("Greet", None, &[]), task("Count", None, &[])]));
    let (models, _) = new_effects(&mut run);
    let failure = ModelFailure { kind: ModelFailureKind::ContextLength, message: "too long".into() };
    settle(&mut run, &models[0].0, Outcome::Model { result: Err(failure) });
    say(&mut run, &models[1].0, "One, two.");
    says(&mut run, &complete());
    assert_eq!(run.result().unwrap().answer_text(), "One, two.");
}

#[test]
fn used_up_tokens_end_the_run() {
    let mut settings = agent();
    settings.limits.max_tokens = Some(20);
    let mut run = start(settings);
    says(&mut run, &plan(&[task("Greet", None, &[]), task("Count", None, &[1])]));
    says(&mut run, "Hello.");
    let result = run.result().unwrap();
    assert_eq!(result.status, RunStatus::TokenLimit);
    assert_eq!(result.steps[0].tasks[1].status, TaskStatus::Failed);
}

#[test]
fn the_questions_to_a_small_model_are_short() {
    let mut settings = agent();
    settings.profile =
        ModelProfile { small: true, prefill: true, native_tools: false, ..ModelProfile::default() };
    let mut run = start(settings.clone());
    let asked = says(&mut run, &plan(&[task("Find a", Some("lookup"), &[])]));
    insta::assert_snapshot!("compact_plan", question(&asked));
    assert_eq!((asked.options.temperature, asked.options.max_tokens), (Some(0.0), Some(400)));
    let Some(ResponseFormat::JsonSchema { schema, .. }) = &asked.response_format else { panic!("{asked:?}") };
    assert_eq!(schema.pointer("/properties/tasks/items/properties/requires_user_input"), None);
    let asked = says(&mut run, "{\"key\": \"a\"}");
    insta::assert_snapshot!("compact_arguments", question(&asked));
    let (id, _, _) = only_tool(&mut run);
    tool_ok(&mut run, &id, json!(3));
    let asked = says(&mut run, "It is, I think.");
    insta::assert_snapshot!("compact_check", question(&asked));
    assert_eq!(asked.options.max_tokens, Some(150));
    let Some(ResponseFormat::JsonSchema { schema, .. }) = &asked.response_format else { panic!("{asked:?}") };
    assert_eq!(schema["required"], json!(["is_complete"]));
    // A second try may be longer: some models think before they write.
    let asked = says(&mut run, "{\"is_complete\": true}");
    assert_eq!(asked.options.max_tokens, None);
    assert_eq!(run.result().unwrap().output, json!(3));

    settings.options.max_tokens = Some(900);
    let asked = says(&mut start(settings), "");
    assert_eq!(asked.options.max_tokens, Some(900));
}

#[test]
fn the_same_plan_again_is_asked_for_at_a_higher_temperature() {
    let mut settings = agent();
    settings.profile.small = true;
    let mut run = start(settings);
    for temperature in [0.0, 0.0, 0.7] {
        let asked = says(&mut run, &plan(&[task("Greet", None, &[])]));
        assert_eq!(asked.options.temperature, Some(temperature));
        says(&mut run, "Hello.");
        says(&mut run, &check(false, &[]));
    }
}

#[test]
fn a_reply_that_was_cut_is_read_as_far_as_it_goes() {
    let mut run = start(agent());
    let whole = plan(&[task("Find a", Some("lookup"), &[]), task("Find b", Some("lookup"), &[])]);
    let mut cut = ModelReply::text(&whole[..whole.len() - 4]);
    cut.finish = FinishReason::Length;
    cut.usage = Usage { input_tokens: 1, output_tokens: 1, ..Usage::default() };
    reply(&mut run, cut);
    assert_eq!(new_effects(&mut run).0.len(), 2);
}

#[test]
fn an_input_is_checked_before_anything_is_sent() {
    let mut settings = agent();
    settings.input_schema =
        Some(json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}));
    let spec = AgentSpec::new(settings.clone()).unwrap();
    assert_eq!(&*spec.task(&json!({"city": "Oslo"})).unwrap().text, "Oslo");
    assert!(spec.task(&json!({"city": 3})).unwrap_err().to_string().contains("city"));
    assert!(spec.check_input(&json!("{\"city\": \"Oslo\"}")).is_ok());
    assert!(spec.check_input(&json!("Oslo")).is_err());
    settings.input_schema = Some(json!({"type": "nonsense"}));
    assert!(AgentSpec::new(settings).unwrap_err().to_string().contains("schema of the input"));
}
