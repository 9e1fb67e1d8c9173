//! What the tests have in common: agents, settling, replies.

use std::sync::Arc;

use martlet_core::code::{CodeCall, CodeEnd, CodeValue};
use martlet_core::{
    AgentSettings, AgentSpec, Arguments, Blob, CodeOutcome, Effect, EffectId, ModelReply, Outcome, Run,
    RunId, Settlement, Strategy, Task, Timing, ToolCall, ToolFlags, ToolOutput, ToolSpec, Usage,
};
use serde_json::{Map, Value, json};

pub(crate) fn lookup() -> ToolSpec {
    ToolSpec::new("lookup", "Finds the value of a key.")
        .parameters(json!({
            "type": "object",
            "properties": {
                "key": {"type": "string", "description": "The key."},
                "times": {"type": "integer", "default": 1},
            },
            "required": ["key"],
        }))
        .returns(json!({"type": "integer"}))
        .example(json!({"value": 3}))
}

pub(crate) fn send() -> ToolSpec {
    ToolSpec::new("send", "Sends a letter.")
        .parameters(
            json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}),
        )
        .flags(ToolFlags { needs_approval: true, ..ToolFlags::default() })
}

pub(crate) fn settings(strategy: Strategy) -> AgentSettings {
    AgentSettings { strategy, tools: Arc::from([lookup(), send()]), ..AgentSettings::default() }
}

pub(crate) fn start(settings: AgentSettings) -> Run {
    let agent = Arc::new(AgentSpec::new(settings).unwrap());
    Run::start(RunId::new("run_test").unwrap(), agent, Task { started_ms: 1_000, ..Task::new("What is a?") })
}

/// The one effect that is new.
pub(crate) fn only_effect(run: &mut Run) -> (EffectId, Effect) {
    let mut effects = run.take_effects();
    assert_eq!(effects.len(), 1, "{effects:?}");
    effects.remove(0)
}

pub(crate) fn settle(run: &mut Run, id: &EffectId, outcome: Outcome) {
    let timing = Timing { started_ms: 2_000, elapsed_us: 10_000 };
    run.settle(Settlement { id: id.clone(), outcome, timing }).unwrap();
}

/// Settles the model call that is open and gives its request.
pub(crate) fn reply(run: &mut Run, reply: ModelReply) -> martlet_core::ModelRequest {
    let (id, effect) = only_effect(run);
    let Effect::Model { request } = effect else { panic!("expected a model call, got {effect:?}") };
    settle(run, &id, Outcome::Model { result: Ok(reply) });
    request
}

pub(crate) fn says(run: &mut Run, text: &str) -> martlet_core::ModelRequest {
    let usage = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
    reply(run, ModelReply { usage, ..ModelReply::text(text) })
}

/// Settles a model call that was handed out.
pub(crate) fn say(run: &mut Run, id: &EffectId, text: &str) {
    let usage = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
    settle(run, id, Outcome::Model { result: Ok(ModelReply { usage, ..ModelReply::text(text) }) });
}

pub(crate) fn calls(run: &mut Run, calls: &[(&str, &str, Value)]) -> martlet_core::ModelRequest {
    let tool_calls = calls
        .iter()
        .map(|(id, name, arguments)| ToolCall {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            arguments: match arguments {
                Value::Object(object) => Arguments::Object(object.clone()),
                other => Arguments::Malformed(other.to_string()),
            },
        })
        .collect();
    reply(run, ModelReply { tool_calls, ..ModelReply::text("") })
}

pub(crate) fn code(run: &mut Run, id: &EffectId, outcome: CodeOutcome) {
    settle(run, id, Outcome::Code { result: Ok(outcome) });
}

pub(crate) fn tool_ok(run: &mut Run, id: &EffectId, value: Value) {
    settle(run, id, Outcome::Tool { result: Ok(ToolOutput::from(value)) });
}

pub(crate) fn call(index: u32, key: &str) -> CodeCall {
    CodeCall { index, name: "lookup".into(), arguments: Map::from_iter([("key".into(), json!(key))]) }
}

pub(crate) fn printed(stdout: &str) -> CodeOutcome {
    CodeOutcome::Ended(CodeEnd {
        stdout: stdout.into(),
        session: Some(Blob(stdout.as_bytes().to_vec().into())),
        ..CodeEnd::default()
    })
}

pub(crate) fn answered(answer: Value) -> CodeOutcome {
    let repr = answer.to_string();
    CodeOutcome::Ended(CodeEnd { answer: Some(CodeValue { json: answer, repr }), ..CodeEnd::default() })
}
