//! What a reasoning agent's model is asked: the plan, the arguments of a tool, a part of the task, the completion check,
//! the answer.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{PromptError, Prompts, describe, properties, render};
use crate::agent::AgentSettings;
use crate::reasoning::CompletionCheck;
use crate::tool::ToolSpec;

/// Templates that take the place of what Martlet asks a reasoning agent's model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReasoningPrompts {
    /// Asks for a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Asks for the arguments of a task's tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Asks for the result of a task without a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// Asks whether the task is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Asks for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Says what is wrong with a reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

impl ReasoningPrompts {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One of the things that a reasoning agent's model is asked.
#[derive(Clone, Copy)]
pub(crate) enum Question<'a> {
    Plan,
    Arguments { part: &'a str, tool: &'a ToolSpec },
    Response { part: &'a str },
    Check,
    Answer { last_call: bool },
}

/// What a reasoning agent's model is told beside the question.
#[derive(Default)]
pub(crate) struct Known<'a> {
    pub(crate) task: &'a str,
    pub(crate) results: Vec<ResultShown>,
    pub(crate) rejected: Option<Rejected>,
    pub(crate) check: Option<&'a CompletionCheck>,
}

/// What came of a part of the task, as the templates see it.
#[derive(Serialize)]
pub(crate) struct ResultShown {
    pub(crate) task: String,
    pub(crate) tool: Option<String>,
    /// `completed`, `failed` or `skipped`.
    pub(crate) status: &'static str,
    pub(crate) result: String,
    pub(crate) error: Option<String>,
}

/// An answer that was not accepted, as the templates see it.
#[derive(Serialize)]
pub(crate) struct Rejected {
    pub(crate) answer: String,
    pub(crate) problem: String,
}

impl Prompts {
    /// What a reasoning agent's model is asked.
    pub(crate) fn question(
        &self,
        agent: &AgentSettings,
        question: Question<'_>,
        known: &Known<'_>,
    ) -> Result<String, PromptError> {
        let own = &self.reasoning;
        let small = agent.profile.small;
        let ask_user = agent.tools.iter().any(|tool| tool.name == "ask_user");
        let (custom, default) = match question {
            Question::Plan if small => (&own.plan, "reasoning/plan_compact"),
            Question::Plan => (&own.plan, "reasoning/plan"),
            Question::Arguments { .. } => (&own.arguments, "reasoning/arguments"),
            Question::Response { .. } => (&own.response, "reasoning/response"),
            Question::Check if small => (&own.check, "reasoning/check_compact"),
            Question::Check => (&own.check, "reasoning/check"),
            Question::Answer { .. } => (&own.answer, "reasoning/answer"),
        };
        let mut context = json!({
            "task": known.task,
            "results": known.results,
            "rejected": known.rejected,
            "check": known.check,
            "small": small,
            "ask_user": ask_user,
            "flag": if ask_user { ", \"requires_user_input\": false" } else { "" },
        });
        match question {
            Question::Arguments { part, tool } => {
                context["part"] = part.into();
                context["tool"] = describe(tool);
                context["schema"] = tool.parameters.to_string().into();
                context["form"] = argument_form(tool).into();
            }
            Question::Response { part } => context["part"] = part.into(),
            Question::Answer { last_call } => {
                context["last_call"] = last_call.into();
                context["answer_schema"] = agent.answer_schema.as_ref().map(Value::to_string).into();
            }
            Question::Plan | Question::Check => {}
        }
        render(custom.as_deref(), default, context)
    }

    /// What a reasoning agent's model is told of a reply that cannot be used; `is_json` says whether JSON was asked for.
    pub(crate) fn again(&self, problem: &str, is_json: bool) -> Result<String, PromptError> {
        let context = json!({ "problem": problem.trim_end_matches('.'), "json": is_json });
        render(self.reasoning.again.as_deref(), "reasoning/again", context)
    }

    /// Tries the templates that are the user's own, so that a mistake is found when the agent is built.
    pub(crate) fn try_reasoning(&self, agent: &AgentSettings) -> Result<(), PromptError> {
        let tool = ToolSpec::new("example", "An example.");
        let shown = |error: Option<&str>| ResultShown {
            task: "A part of it".into(),
            tool: Some("example".into()),
            status: if error.is_some() { "failed" } else { "completed" },
            result: "1".into(),
            error: error.map(Into::into),
        };
        let check = CompletionCheck {
            reasoning: "a reason".into(),
            missing_steps: vec!["a step".into()],
            next_action: "an action".into(),
            ..CompletionCheck::default()
        };
        let full = Known {
            task: "A task",
            results: vec![shown(None), shown(Some("broken"))],
            rejected: Some(Rejected { answer: "1".into(), problem: "wrong".into() }),
            check: Some(&check),
        };
        let empty = Known { task: "A task", ..Known::default() };
        let own = &self.reasoning;
        for (custom, question) in [
            (&own.plan, Question::Plan),
            (&own.arguments, Question::Arguments { part: "A part of it", tool: &tool }),
            (&own.response, Question::Response { part: "A part of it" }),
            (&own.check, Question::Check),
            (&own.answer, Question::Answer { last_call: true }),
        ] {
            if custom.is_some() {
                self.question(agent, question, &full)?;
                self.question(agent, question, &empty)?;
            }
        }
        if own.again.is_some() { self.again("wrong", true).map(|_| ()) } else { Ok(()) }
    }
}

/// The arguments of a tool as an object in which each value is described: `{"city": "(City name.)"}`.
fn argument_form(tool: &ToolSpec) -> String {
    let form = properties(tool).map(|(name, schema)| {
        let told = schema.get("description").and_then(Value::as_str).map(|text| text.trim_end_matches('.'));
        let value = match schema.get("type").and_then(Value::as_str) {
            Some("integer" | "number") => json!(1),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => json!(format!("({})", told.unwrap_or("text"))),
        };
        (name.clone(), value)
    });
    Value::Object(form.collect()).to_string()
}
