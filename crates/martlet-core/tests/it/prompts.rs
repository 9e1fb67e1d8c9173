//! The system prompts, whole, as models get them.

use martlet_core::{AgentSettings, AgentSpec, CodeSettings, ManagedSpec, ModelProfile, Prompts, Strategy};
use serde_json::json;

use crate::support::settings;

fn prompt(settings: AgentSettings) -> String {
    AgentSpec::new(settings).unwrap().system_prompt().to_string()
}

fn with_code(mut agent: AgentSettings) -> AgentSettings {
    agent.code = CodeSettings {
        modules: vec!["math".into(), "json".into()],
        notes: "- There are no generators.".into(),
        ..CodeSettings::default()
    };
    agent.instructions = Some("Answer in French.".into());
    agent
}

#[test]
fn code_full() {
    insta::assert_snapshot!(prompt(with_code(settings(Strategy::Code))));
}

#[test]
fn code_compact() {
    let mut agent = with_code(settings(Strategy::Code));
    agent.profile =
        ModelProfile { small: true, prefill: true, native_tools: false, ..ModelProfile::default() };
    insta::assert_snapshot!(prompt(agent));
}

#[test]
fn tools_native() {
    let mut agent = settings(Strategy::ToolCalling);
    agent.answer_schema = Some(json!({"type": "integer"}));
    insta::assert_snapshot!(prompt(agent));
}

#[test]
fn tools_text() {
    let mut agent = settings(Strategy::ToolCalling);
    agent.profile.native_tools = false;
    insta::assert_snapshot!(prompt(agent));
}

fn with_team(mut agent: AgentSettings) -> AgentSettings {
    let mut counter = ManagedSpec::graph("count_words", "Counts the words of a text.");
    counter.returns = Some(json!({"type": "integer"}));
    agent.agents = [ManagedSpec::agent("researcher", "Searches the web and reports."), counter].into();
    agent
}

#[test]
fn code_full_with_a_team() {
    insta::assert_snapshot!(prompt(with_team(settings(Strategy::Code))));
}

#[test]
fn code_compact_with_a_team() {
    let mut agent = with_team(settings(Strategy::Code));
    agent.profile =
        ModelProfile { small: true, prefill: true, native_tools: false, ..ModelProfile::default() };
    insta::assert_snapshot!(prompt(agent));
}

#[test]
fn tools_native_with_a_team() {
    insta::assert_snapshot!(prompt(with_team(settings(Strategy::ToolCalling))));
}

#[test]
fn tools_text_with_a_team() {
    let mut agent = with_team(settings(Strategy::ToolCalling));
    agent.profile.native_tools = false;
    insta::assert_snapshot!(prompt(agent));
}

#[test]
fn reasoning_full() {
    let mut agent = settings(Strategy::Reasoning);
    agent.instructions = Some("Answer in French.".into());
    insta::assert_snapshot!(prompt(agent));
}

#[test]
fn reasoning_compact() {
    let mut agent = settings(Strategy::Reasoning);
    agent.profile =
        ModelProfile { small: true, prefill: true, native_tools: false, ..ModelProfile::default() };
    insta::assert_snapshot!(prompt(agent));
}

#[test]
fn a_reasoning_agent_without_tools() {
    for small in [false, true] {
        let mut agent = settings(Strategy::Reasoning);
        agent.tools = [].into();
        agent.profile.small = small;
        let text = prompt(agent);
        assert!(text.contains("There are no tools"), "{text}");
    }
}

#[test]
fn templates_of_a_reasoning_agent_are_tried_when_it_is_built() {
    let mut agent = settings(Strategy::Reasoning);
    agent.prompts.reasoning.plan = Some("{% include 'reasoning/context' %} Plan, and say why.".into());
    prompt(agent.clone());
    agent.prompts.reasoning.check = Some("{{ nonsense }}".into());
    let error = AgentSpec::new(agent).unwrap_err().to_string();
    assert!(error.contains("replacing reasoning/check"), "{error}");
}

#[test]
fn a_template_can_replace_and_extend() {
    let mut agent = settings(Strategy::Code);
    agent.prompts = Prompts { system: Some("You are {{ name }}.".into()), ..Prompts::default() };
    assert_eq!(prompt(agent.clone()), "You are agent.");
    agent.prompts.system =
        Some("{% extends 'code/compact' %}{% block rules %}{{ super() }}- Be brief.{% endblock %}".into());
    let text = prompt(agent.clone());
    assert!(text.contains("Never invent data") && text.contains("- Be brief."), "{text}");
    agent.prompts.system = Some("{{ nonsense }}".into());
    let error = AgentSpec::new(agent).unwrap_err().to_string();
    assert!(error.contains("prompt template"), "{error}");
}
