//! Prompts: Jinja templates, Martlet's own and the user's.
//!
//! A template of the user replaces Martlet's of the same purpose. It can also extend it:
//! `{% extends "code/full" %}{% block rules %}{{ super() }} - Answer in French.{% endblock %}`. The names are
//! `code/full`, `code/compact`, `tools/native`, `tools/text`, `reasoning/full`, `reasoning/compact`, `last_call` and
//! `managed_task`; the blocks of a system prompt are `role`, `tools`, `team`, `examples`, `rules` and `instructions`. A
//! system prompt sees the tools as `tools` and the managed agents as `agents`, one of a reasoning agent sees both as
//! `plannable`. What a reasoning agent's model is asked is in `reasoning/plan`, `reasoning/plan_compact`,
//! `reasoning/arguments`, `reasoning/response`, `reasoning/check`, `reasoning/check_compact`, `reasoning/answer` and
//! `reasoning/again`; each but the last begins with `reasoning/context`.

mod questions;

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::agent::{AgentSettings, Strategy};
use crate::managed::ManagedSpec;
use crate::schema::{required, type_name};
use crate::tool::{FINAL_ANSWER, ToolSpec};

pub use questions::ReasoningPrompts;
pub(crate) use questions::{Known, Question, Rejected, ResultShown};

const TEMPLATES: [(&str, &str); 17] = [
    ("code/full", include_str!("prompt/code_full.j2")),
    ("code/compact", include_str!("prompt/code_compact.j2")),
    ("tools/native", include_str!("prompt/tools_native.j2")),
    ("tools/text", include_str!("prompt/tools_text.j2")),
    ("reasoning/full", include_str!("prompt/reasoning_full.j2")),
    ("reasoning/compact", include_str!("prompt/reasoning_compact.j2")),
    ("reasoning/context", include_str!("prompt/reasoning_context.j2")),
    ("reasoning/plan", include_str!("prompt/reasoning_plan.j2")),
    ("reasoning/plan_compact", include_str!("prompt/reasoning_plan_compact.j2")),
    ("reasoning/arguments", include_str!("prompt/reasoning_arguments.j2")),
    ("reasoning/response", include_str!("prompt/reasoning_response.j2")),
    ("reasoning/check", include_str!("prompt/reasoning_check.j2")),
    ("reasoning/check_compact", include_str!("prompt/reasoning_check_compact.j2")),
    ("reasoning/answer", include_str!("prompt/reasoning_answer.j2")),
    ("reasoning/again", include_str!("prompt/reasoning_again.j2")),
    ("last_call", include_str!("prompt/last_call.j2")),
    ("managed_task", include_str!("prompt/managed_task.j2")),
];

/// Martlet's templates, read once.
static ENVIRONMENT: LazyLock<Result<Environment<'static>, String>> =
    LazyLock::new(|| with_templates().map_err(|error| error.to_string()));

fn with_templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = environment()?;
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

/// Templates that take the place of Martlet's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompts {
    /// The system prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What the model is told when the steps are used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_call: Option<String>,
    /// What this agent is told when another agent gives it a task; not used with an input schema. It sees `manager`, the
    /// other agent's name; `task`; `additional_args`, the values that go with the task, as JSON text, or `none`; `name`,
    /// its own; and `structured`, which says whether its answer has a schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_task: Option<String>,
    /// What a reasoning agent is asked.
    #[serde(skip_serializing_if = "ReasoningPrompts::is_default")]
    pub reasoning: ReasoningPrompts,
}

impl Prompts {
    /// The system prompt. `offered` are the tools and the managed agents, as tools.
    pub(crate) fn system(&self, agent: &AgentSettings, offered: &[ToolSpec]) -> Result<String, PromptError> {
        let default = match (agent.strategy, agent.profile) {
            (Strategy::Code, profile) if profile.small => "code/compact",
            (Strategy::Code, _) => "code/full",
            (Strategy::ToolCalling, profile) if profile.native_tools => "tools/native",
            (Strategy::ToolCalling, _) => "tools/text",
            (Strategy::Reasoning, profile) if profile.small => "reasoning/compact",
            (Strategy::Reasoning, _) => "reasoning/full",
        };
        let plannable: Vec<Value> =
            offered.iter().filter(|tool| tool.name != FINAL_ANSWER).map(describe).collect();
        let (agents, tools): (Vec<&ToolSpec>, Vec<&ToolSpec>) =
            offered.iter().partition(|tool| agent.managed(&tool.name).is_some());
        let briefed: Vec<&str> = agent
            .agents
            .iter()
            .filter(|managed| managed.input.is_none())
            .map(|managed| managed.name.as_str())
            .collect();
        let described = |tools: Vec<&ToolSpec>| tools.into_iter().map(describe).collect::<Vec<Value>>();
        render(
            self.system.as_deref(),
            default,
            json!({
                "name": agent.name,
                "description": agent.description,
                "instructions": agent.instructions,
                "tools": described(tools),
                "agents": described(agents),
                // Those that are called with a task, and not with an input of their own form.
                "briefed": briefed,
                "plannable": plannable,
                "modules": agent.code.modules,
                "notes": agent.code.notes,
                "answer_schema": agent.answer_schema.as_ref().map(Value::to_string),
            }),
        )
    }

    pub(crate) fn last_call(&self, task: &str) -> Result<String, PromptError> {
        render(self.last_call.as_deref(), "last_call", json!({ "task": task }))
    }
}

/// The task of a managed agent, for a call by the agent named `manager`.
pub(crate) fn managed_task(
    agent: &ManagedSpec,
    manager: &str,
    task: &str,
    additional_args: Option<&Map<String, Value>>,
) -> Result<String, PromptError> {
    let additional_args = additional_args.map(|values| serde_json::to_string(values).unwrap_or_default());
    render(
        agent.prompt.as_deref(),
        "managed_task",
        json!({
            "manager": manager,
            "name": agent.name,
            "task": task,
            "additional_args": additional_args,
            "structured": agent.returns.is_some(),
        }),
    )
}

fn render(custom: Option<&str>, default: &str, context: Value) -> Result<String, PromptError> {
    let failed = |problem: String| PromptError {
        template: custom.map_or_else(|| default.to_owned(), |_| format!("replacing {default}")),
        problem,
    };
    let context = minijinja::Value::from(Serde(context));
    let environment = ENVIRONMENT.as_ref().map_err(|problem| failed(problem.clone()))?;
    let rendered = match custom {
        Some(source) => environment.render_str(source, context),
        None => environment.get_template(default).and_then(|template| template.render(context)),
    };
    rendered.map(|text| text.trim().to_owned()).map_err(|error| failed(error.to_string()))
}

/// How templates are read and rendered, without any of them yet.
pub(crate) fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(1_000_000));
    Ok(environment)
}

/// A tool as the templates see it.
fn describe(tool: &ToolSpec) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "returns": tool.returns,
        "example": tool.example.as_ref().map(python_literal),
        "signature": python_signature(tool),
        "arguments": argument_docs(tool),
    })
}

/// The tool as the head of a Python function: `temperature(city: str, unit: str = None) -> float`.
fn python_signature(tool: &ToolSpec) -> String {
    let required: Vec<&str> = required(tool).collect();
    let parameters: Vec<String> = properties(tool)
        .map(|(name, schema)| {
            let default = if required.contains(&name.as_str()) {
                String::new()
            } else {
                format!(" = {}", schema.get("default").map_or_else(|| "None".into(), python_literal))
            };
            format!("{name}: {}{default}", python_type(schema))
        })
        .collect();
    let returns =
        tool.returns.as_ref().map(|schema| format!(" -> {}", python_type(schema))).unwrap_or_default();
    format!("{}({}){returns}", tool.name, parameters.join(", "))
}

fn properties(tool: &ToolSpec) -> impl Iterator<Item = (&String, &Value)> {
    tool.parameters.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// One line for each argument that has something to say: `city: City name.`
fn argument_docs(tool: &ToolSpec) -> Vec<String> {
    properties(tool)
        .filter_map(|(name, schema)| {
            let text = schema.get("description").and_then(Value::as_str);
            let choices = schema.get("enum").map(|_| type_name(schema));
            let doc: Vec<&str> = text.into_iter().chain(choices.as_deref()).collect();
            if doc.is_empty() { None } else { Some(format!("{name}: {}", doc.join("; "))) }
        })
        .collect()
}

fn python_type(schema: &Value) -> String {
    let name = |kind: &str| match kind {
        "string" => "str".to_owned(),
        "integer" => "int".to_owned(),
        "number" => "float".to_owned(),
        "boolean" => "bool".to_owned(),
        "array" => match schema.get("items") {
            Some(items) => format!("list[{}]", python_type(items)),
            None => "list".to_owned(),
        },
        "object" => "dict".to_owned(),
        "null" => "None".to_owned(),
        _ => "Any".to_owned(),
    };
    match schema.get("type") {
        Some(Value::String(kind)) => name(kind),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).map(name).collect::<Vec<_>>().join(" | ")
        }
        _ => "Any".to_owned(),
    }
}

/// A JSON value as Python writes it.
pub(crate) fn python_literal(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(python_literal).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| {
                    format!("{}: {}", python_literal(&Value::String(key.clone())), python_literal(value))
                })
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the prompt template ({template}) cannot be used: {problem}")]
pub struct PromptError {
    template: String,
    problem: String,
}
