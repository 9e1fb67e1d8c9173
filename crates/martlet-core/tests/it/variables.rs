//! Values that go with a task.

use std::sync::Arc;

use martlet_core::code::{CodeEnd, CodeError};
use martlet_core::{AgentSpec, CodeOutcome, CodeRequest, Effect, Part, Run, RunId, Strategy, Task};
use serde_json::{Map, Value, json};

use crate::support::*;

fn begin(strategy: Strategy, task: Task) -> Run {
    let agent = Arc::new(AgentSpec::new(settings(strategy)).unwrap());
    Run::start(RunId::new("r").unwrap(), agent, task)
}

fn task(values: Value) -> Task {
    let Value::Object(variables) = values else { panic!("variables are an object") };
    Task { variables, ..Task::new("Sum it.") }
}

/// What the next program is given.
fn given(run: &mut Run) -> (martlet_core::EffectId, Map<String, Value>) {
    match only_effect(run) {
        (id, Effect::Code { request: CodeRequest::Start { variables, .. } }) => (id, (*variables).clone()),
        other => panic!("expected a program, got {other:?}"),
    }
}

#[test]
fn the_model_of_a_code_agent_is_told_what_is_defined() {
    let mut task = task(json!({"limit": 3, "rows": (0..500).collect::<Vec<u32>>(), "unit": "m"}));
    task.parts.push(Part::file("Sales 2024.csv", "text/csv", "1,2"));
    task.parts.push(Part::file("lookup", "text/plain", "é"));
    task.parts.push(Part::file("photo.bin", "application/octet-stream", vec![0xff_u8, 0xfe]));
    let mut run = begin(Strategy::Code, task);
    let asked = says(&mut run, "```python\nx\n```");
    insta::assert_snapshot!(asked.messages[1].joined_text());
    let (_, variables) = given(&mut run);
    assert_eq!(variables["sales_2024_csv"], "1,2");
    assert_eq!(variables["file_lookup"], "é");
    assert_eq!(variables["rows"].as_array().unwrap().len(), 500);
    assert_eq!(variables.len(), 5);
}

#[test]
fn files_that_are_no_text_are_said_to_be_in_the_message_alone() {
    let mut task = Task::new("Look.");
    task.parts.push(Part::file("photo.bin", "application/octet-stream", vec![0xff_u8]));
    let mut run = begin(Strategy::Code, task);
    let asked = says(&mut run, "x");
    let told = asked.messages[1].joined_text();
    assert!(told.contains("Programs have no files: write what you need"), "{told}");
}

#[test]
fn an_agent_without_programs_is_told_the_values_themselves() {
    let mut run = begin(Strategy::ToolCalling, task(json!({"limit": 3, "rows": [{"a": "b"}]})));
    let asked = says(&mut run, "x");
    let told = asked.messages[1].joined_text();
    assert_eq!(told, "Sum it.\nThese values go with the task:\nlimit: 3\nrows: [{\"a\":\"b\"}]");
}

#[test]
fn a_session_is_given_them_until_it_is_saved_with_them() {
    let mut run = begin(Strategy::Code, task(json!({"n": 1})));
    says(&mut run, "```python\nprint(n)\n```");
    let (id, variables) = given(&mut run);
    assert_eq!(variables["n"], 1);
    code(&mut run, &id, CodeOutcome::lost("worker died"));
    let (id, variables) = given(&mut run);
    assert_eq!(variables["n"], 1, "the session that is built again lacks them");
    let error = CodeError { kind: "E".into(), message: "m".into(), line: None, source_line: None };
    code(&mut run, &id, CodeOutcome::Ended(CodeEnd { error: Some(error), ..CodeEnd::default() }));
    says(&mut run, "```python\nprint(n + 1)\n```");
    let (id, variables) = given(&mut run);
    assert_eq!(variables["n"], 1, "it was not saved");
    code(&mut run, &id, printed("2"));
    says(&mut run, "```python\nprint(n + 2)\n```");
    let (_, variables) = given(&mut run);
    assert!(variables.is_empty(), "the saved session has them: {variables:?}");
}

#[test]
fn a_run_without_variables_is_stored_as_before() {
    let stored = serde_json::to_value(start(settings(Strategy::Code))).unwrap();
    assert_eq!(stored.get("variables"), None);
    assert_eq!(serde_json::to_value(Task::new("x")).unwrap().get("variables"), None);
    let request = serde_json::to_value(CodeRequest::start("x", None)).unwrap();
    assert_eq!(request.get("variables"), None);
}
