//! Reasoning agents through the library: tasks at the same time, typed inputs and answers, journals.

use std::sync::Arc;
use std::time::Duration;

use martlet::store::MemoryJournal;
use martlet::{Agent, AgentResponse, RunError, RunId, Strategy, tool};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Measures a place, which takes 300 ms.
#[tool(read_only)]
async fn measure(
    /// The place.
    place: String,
) -> String {
    tokio::time::sleep(Duration::from_millis(300)).await;
    format!("{place}: 7")
}

/// Waits 300 ms.
#[tool(read_only)]
async fn rest() -> String {
    tokio::time::sleep(Duration::from_millis(300)).await;
    "rested".into()
}

fn task(description: &str, tool: &str) -> Value {
    json!({"description": description, "tool_name": tool, "depends_on": [], "requires_user_input": false})
}

fn plan(tasks: &[Value]) -> String {
    json!({"has_sufficient_info": true, "reasoning": "so", "tasks": tasks}).to_string()
}

/// Answers what it is asked, however the calls come.
fn measuring() -> ScriptedModel {
    ScriptedModel::from_fn(|request, _| {
        let asked = request.messages.last().unwrap().joined_text();
        if asked.contains("Now plan") {
            plan(&["here", "there", "elsewhere"].map(|place| task(place, "measure")))
        } else if let Some((_, place)) = asked.split_once("is done: ") {
            json!({"place": place.lines().next().unwrap()}).to_string()
        } else if asked.contains("Is the task complete") {
            json!({"is_complete": true, "reasoning": "", "missing_steps": [], "next_action": ""}).to_string()
        } else {
            "All are 7.".to_owned()
        }
    })
}

#[tokio::test(start_paused = true)]
async fn three_independent_tasks_of_300_ms_take_300_ms() {
    let agent = Agent::reasoning(measuring()).tool(measure).build().unwrap();
    let clock = Instant::now();
    let result = agent.run("Measure three places.").await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_millis(300));
    assert_eq!(result.answer_text(), "All are 7.");
    assert_eq!(result.metrics().successful_tool_calls, 3);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_the_model_writes_run_at_the_same_time_too() {
    let model = ScriptedModel::from_fn(|request, _| {
        let asked = request.messages.last().unwrap().joined_text();
        let second = asked.contains("do this part");
        let text = if asked.contains("Now plan") {
            let mut tasks = ["one", "two", "three"].map(|word| task(word, "none"));
            tasks[2]["depends_on"] = json!([1]);
            plan(&tasks)
        } else if asked.contains("Is the task complete") {
            json!({"is_complete": true}).to_string()
        } else {
            "text".to_owned()
        };
        ScriptedReply::text(text).delay(Duration::from_millis(if second { 300 } else { 0 }))
    });
    let agent = Agent::reasoning(model).build().unwrap();
    let clock = Instant::now();
    agent.run("Write.").await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_millis(600), "the third waits for the first alone");
}

#[tokio::test]
async fn a_tool_without_arguments_needs_no_model_call() {
    let model =
        Arc::new(ScriptedModel::new([plan(&[task("rest", "rest")]), "{\"is_complete\": true}".into()]));
    let agent = Agent::reasoning(model.clone()).tool(rest).build().unwrap();
    let result = agent.run("Rest.").await.unwrap();
    assert_eq!((result.answer_text().as_str(), model.calls()), ("rested", 2));
}

#[derive(Serialize, JsonSchema)]
struct Order {
    customer: String,
    items: Vec<String>,
}

#[derive(Deserialize, JsonSchema, Debug, PartialEq)]
struct Quote {
    euros: f64,
}

#[tokio::test]
async fn inputs_are_checked_before_anything_is_sent_and_answers_are_read_as_their_type() {
    let model = Arc::new(ScriptedModel::new([plan(&[]), "{'euros': 12.5}".into()]));
    let agent = Agent::reasoning(model.clone()).input::<Order>().answer::<Quote>().build().unwrap();

    let wrong = agent.run_with(&json!({"customer": "Ann", "items": "pear"})).await.unwrap_err();
    assert!(matches!(&wrong, RunError::Input(_)) && wrong.to_string().contains("pear"), "{wrong}");
    let wrong = agent.run("a pear for Ann").await.unwrap_err();
    assert!(matches!(&wrong, RunError::Input(_)), "{wrong}");
    assert_eq!(model.calls(), 0);

    let order = Order { customer: "Ann".into(), items: vec!["pear".into()] };
    let result = agent.run_with(&order).await.unwrap();
    assert_eq!(&*result.task, r#"{"customer":"Ann","items":["pear"]}"#);
    assert_eq!(result.answer::<Quote>().unwrap(), Quote { euros: 12.5 });
}

#[tokio::test]
async fn typed_answers_work_for_every_strategy() {
    let code = Agent::code(ScriptedModel::new(["```python\nfinal_answer({'euros': 3})\n```"]));
    let calls = Agent::tool_calling(ScriptedModel::new(["{\"euros\": 3}"]));
    for agent in [code, calls] {
        let agent = agent.answer::<Quote>().build().unwrap();
        assert_eq!(agent.run("?").await.unwrap().answer::<Quote>().unwrap(), Quote { euros: 3.0 });
    }
}

#[tokio::test]
async fn a_recorded_run_is_resumed_without_asking_again() {
    let journal = Arc::new(MemoryJournal::new());
    let model = Arc::new(measuring());
    let agent = Agent::reasoning(model.clone()).tool(measure).journal(journal).build().unwrap();
    let id = RunId::new("run_1").unwrap();
    let result = agent.run("Measure three places.").id(id.clone()).await.unwrap();
    let calls = model.calls();
    let again = agent.resume(id).await.unwrap();
    assert_eq!((again.steps, again.output, model.calls()), (result.steps, result.output, calls));
}

#[tokio::test]
async fn every_strategy_gives_a_response() {
    let agent = Agent::tool_calling(ScriptedModel::new([
        ScriptedReply::tool_call("rest", json!({})),
        ScriptedReply::tool_call("nothing", json!({})),
        ScriptedReply::text("Done."),
    ]));
    let result = agent.tool(rest).build().unwrap().run("Rest.").await.unwrap();
    let response = serde_json::to_value(result.response()).unwrap();
    assert_eq!(response["metrics"]["success_rate"], json!(0.5));
    assert_eq!(response["execution_history"][0]["status"], json!("completed"));
    assert_eq!(response["execution_history"][1]["status"], json!("failed"));
    assert_eq!(response["completion_status"], Value::Null);
    let read: AgentResponse = serde_json::from_value(response).unwrap();
    assert_eq!(read, result.response());
}

#[tokio::test]
async fn the_preset_is_a_reasoning_agent_on_ollama() {
    let agent = Agent::gemma_on_ollama().unwrap().build().unwrap();
    let spec = agent.spec();
    assert_eq!((spec.strategy, spec.limits.max_steps), (Strategy::Reasoning, 10));
    assert_eq!(spec.options.temperature, Some(0.7));
    assert!(agent.model().name().contains("gemma3:27b"), "{}", agent.model().name());
}
