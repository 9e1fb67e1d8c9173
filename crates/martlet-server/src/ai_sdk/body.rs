//! What a chat of the AI SDK sends.

use martlet_store::ApprovalId;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::adapter::as_text;
use crate::adapter::told::ASKING;
use crate::problem::Problem;
use crate::service::bad_request;

/// A chat, with what is asked now. Fields that are not known here are left alone: applications add their own.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AiSdkChat)]
pub(crate) struct Chat {
    /// The name of the chat: the conversation under it is remembered.
    #[schema(min_length = 1, max_length = 200)]
    pub(super) id: String,
    /// The messages of the chat. The last one counts.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    messages: Vec<UiMessage>,
    /// The last message alone, instead of `messages`.
    #[schema(value_type = Option<Object>)]
    message: Option<UiMessage>,
    /// `submit-message`, which is the default, or `regenerate-message`.
    pub(super) trigger: Option<String>,
    /// The message that is to be made anew.
    #[serde(rename = "messageId")]
    pub(super) message_id: Option<String>,
    /// The agent. By default that of the chat, or the default one.
    pub(super) agent: Option<String>,
    /// The workflow, instead of an agent.
    pub(super) workflow: Option<String>,
    /// The values with which the workflow begins, besides what the user says, which is `task`.
    #[schema(value_type = Option<Object>)]
    pub(super) input: Option<Map<String, Value>>,
    /// Whether the agent may use its tools for the web. By default it may.
    pub(super) web_search: Option<bool>,
    /// `detach`, which is the default, or `cancel`.
    pub(super) disconnect: Option<String>,
}

impl Chat {
    /// What is asked now.
    pub(super) fn last(&self) -> Result<&UiMessage, Problem> {
        let last = self.message.as_ref().or(self.messages.last());
        last.ok_or_else(|| bad_request("messages", "there is no message: send what the user says"))
    }

    /// What was said before.
    pub(super) fn before(&self) -> impl Iterator<Item = &UiMessage> {
        let count = if self.message.is_some() { 0 } else { self.messages.len().saturating_sub(1) };
        self.messages.iter().take(count)
    }
}

/// A message.
#[derive(Debug, Deserialize)]
pub(crate) struct UiMessage {
    pub(super) role: String,
    #[serde(default)]
    parts: Vec<Value>,
    metadata: Option<Value>,
}

/// The answer of a person to a question of a run.
#[derive(Debug)]
pub(crate) enum Reply<'a> {
    Decision { approval: ApprovalId, approved: bool, reason: Option<&'a str> },
    Text { run: &'a str, question: &'a str, text: String },
}

impl UiMessage {
    pub(super) fn text(&self) -> String {
        let texts = self.parts_of("text").filter_map(|part| part.get("text")?.as_str());
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The files in it: their names and addresses.
    pub(super) fn files(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.parts_of("file").map(|part| {
            let text = |key: &str| part.get(key).and_then(Value::as_str);
            (text("filename"), text("url").unwrap_or_default())
        })
    }

    fn parts_of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.parts.iter().filter(move |part| part.get("type").and_then(Value::as_str) == Some(kind))
    }

    /// The run that made it, and the number of the last event that is in it.
    pub(super) fn known(&self) -> Option<(&str, u64)> {
        let metadata = self.metadata.as_ref()?;
        Some((metadata.get("run")?.as_str()?, metadata.get("event")?.as_u64()?))
    }

    /// Answers to what was asked in it.
    pub(super) fn replies(&self) -> impl Iterator<Item = Reply<'_>> {
        self.parts.iter().filter_map(|part| {
            let text = |key: &str| part.get(key).and_then(Value::as_str);
            let kind = text("type")?;
            if kind != "dynamic-tool" && !kind.starts_with("tool-") {
                return None;
            }
            if let Some(approval) = part.get("approval")
                && let Some(approved) = approval.get("approved").and_then(Value::as_bool)
            {
                let approval_id = ApprovalId::new(approval.get("id")?.as_str()?).ok()?;
                let reason = approval.get("reason").and_then(Value::as_str);
                return Some(Reply::Decision { approval: approval_id, approved, reason });
            }
            let is_question = text("toolName").or(kind.strip_prefix("tool-")) == Some(ASKING);
            if !is_question || text("state") != Some("output-available") {
                return None;
            }
            let output = part.get("output")?;
            Some(Reply::Text {
                run: text("toolCallId")?.split('/').next()?,
                question: part.get("input")?.get("question")?.as_str()?,
                text: as_text(output.get("answer").unwrap_or(output)),
            })
        })
    }
}
