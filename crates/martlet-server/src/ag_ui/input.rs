//! What an AG-UI client sends.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A request to run an agent. Tools of the client are left alone: the agent has its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunAgentInput {
    /// The conversation, under a name of the client's choice: what is said in it is remembered.
    #[schema(min_length = 1, max_length = 200)]
    pub(super) thread_id: String,
    /// The run, under a name of the client's choice.
    #[schema(min_length = 1, max_length = 200)]
    pub(super) run_id: String,
    /// The messages of the thread. The last one counts: it must be the user's.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Message>,
    /// What the agent should know besides: `description` and `value`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    context: Vec<Context>,
    /// The values with which a workflow begins, besides what the user says, which is `task`. Agents have no state.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) state: Value,
    /// Answers to the interrupts of the run that waits: all of them.
    #[schema(value_type = Option<Vec<Object>>)]
    pub(super) resume: Option<Vec<Resume>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    pub(super) role: String,
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Deserialize)]
struct Context {
    description: String,
    value: String,
}

/// The answer to an interrupt.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resume {
    pub(super) interrupt_id: String,
    pub(super) status: ResumeStatus,
    pub(super) payload: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResumeStatus {
    Resolved,
    Cancelled,
}

impl RunAgentInput {
    /// The last message, which is the user's, and those before it.
    pub(super) fn last(&self) -> Option<(&Message, &[Message])> {
        // What a client shows besides the conversation is sent back by some.
        let end = self.messages.iter().rposition(|message| message.role != "activity")?;
        let (before, last) = (self.messages.get(..end)?, self.messages.get(end)?);
        (last.role == "user").then_some((last, before))
    }

    /// What the agent should know besides, in words.
    pub(super) fn context(&self) -> String {
        if self.context.is_empty() {
            return String::new();
        }
        let lines = self.context.iter().map(|one| format!("\n- {}: {}", one.description, one.value));
        format!("\n\nContext:{}", lines.collect::<String>())
    }
}

impl Message {
    pub(super) fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
                texts.collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        }
    }

    /// The files in it: `data`, `url` or `file`, the content or where it is, and the media type.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
        self.content.as_array().into_iter().flatten().filter_map(|part| {
            let source = part.get("source")?;
            let text = |key: &str| source.get(key).and_then(Value::as_str);
            Some((text("type")?, text("value")?, text("mimeType")))
        })
    }
}
