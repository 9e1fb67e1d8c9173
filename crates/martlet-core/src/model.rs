//! What is asked of a model and what comes back, in no provider's format.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::message::Message;
use crate::tool::{ToolCall, ToolSpec};

/// One request to a model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelRequest {
    /// The conversation.
    pub messages: Vec<Message>,
    /// Tools that the model may call by its provider's own means.
    #[serde(default, skip_serializing_if = "tools_are_empty")]
    pub tools: Arc<[ToolSpec]>,
    /// Whether it must call one.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// The text with which the model's turn begins; the reply's text does not repeat it. Clients of
    /// providers that cannot continue a turn ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<Arc<str>>,
    /// Texts at which the reply ends; they are not part of it. Clients cut the reply themselves where a
    /// provider ignores them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<Arc<str>>,
    /// The form that the reply must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Sampling and length.
    #[serde(default)]
    pub options: ModelOptions,
}

fn tools_are_empty(tools: &Arc<[ToolSpec]>) -> bool {
    tools.is_empty()
}

/// Whether a model must call a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// It must call at least one.
    Required,
    /// It must not.
    None,
}

/// The form that a reply must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON after a schema.
    JsonSchema {
        /// A name for the schema (letters, digits, `_`, `-`).
        name: String,
        /// The schema.
        schema: Value,
        /// Whether the provider is to enforce it to the letter.
        strict: bool,
    },
}

/// Sampling and length. What is `None` is left to the provider.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOptions {
    /// Randomness: 0 is the most likely text, 1 the model's own distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Nucleus sampling: the share of probability to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// The most tokens that the reply may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The seed of the provider's sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How much a reasoning model is to think: `low`, `medium`, `high` or what the provider knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Further fields of the request's body, as the provider names them.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl ModelOptions {
    /// These options, with what `over` sets taking precedence.
    pub fn overridden_by(&self, over: &ModelOptions) -> ModelOptions {
        let mut extra = self.extra.clone();
        extra.extend(over.extra.iter().map(|(key, value)| (key.clone(), value.clone())));
        ModelOptions {
            temperature: over.temperature.or(self.temperature),
            top_p: over.top_p.or(self.top_p),
            max_tokens: over.max_tokens.or(self.max_tokens),
            seed: over.seed.or(self.seed),
            reasoning_effort: over.reasoning_effort.clone().or_else(|| self.reasoning_effort.clone()),
            extra,
        }
    }
}

/// A model's whole reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReply {
    /// The text, without the request's prefill and without the stop text.
    pub text: String,
    /// What a reasoning model thought aloud, where its provider shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Structured tool calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why the reply ended.
    pub finish: FinishReason,
    /// What it cost, where the provider says.
    #[serde(default)]
    pub usage: Usage,
    /// The model that answered, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl ModelReply {
    /// A complete reply of text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            reasoning: None,
            tool_calls: Vec::new(),
            finish: FinishReason::Stop,
            usage: Usage::default(),
            model: None,
        }
    }
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done, or a stop text came.
    Stop,
    /// The token limit was reached: the text is cut.
    Length,
    /// The model asks for tool calls.
    ToolCalls,
    /// The provider withheld the reply.
    ContentFilter,
}

/// Tokens used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Of the tokens read: those that the provider had in a cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Of the tokens written: those spent on reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// Tokens read and written.
    pub fn total(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(other.reasoning_tokens);
    }
}

/// A piece of a reply as it is being written. Deltas are for watching: they carry no sequence number and
/// are not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delta {
    /// More of the reply's text.
    Text {
        /// The piece.
        text: String,
    },
    /// More of the model's visible reasoning.
    Reasoning {
        /// The piece.
        text: String,
    },
}

/// What an agent should know of a model when it writes its prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelProfile {
    /// A model of a few billion parameters at most: it gets the compact prompts.
    pub small: bool,
    /// The client can begin the model's turn with a text of ours ([`ModelRequest::prefill`]).
    pub prefill: bool,
    /// The model calls tools by its provider's own means ([`ModelRequest::tools`]).
    pub native_tools: bool,
    /// The model can look at images. One that cannot is told that they are there.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub vision: bool,
    /// The tokens that the model reads and writes at most in one call, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
}

impl Default for ModelProfile {
    fn default() -> Self {
        Self { small: false, prefill: false, native_tools: true, vision: true, context_tokens: None }
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_yes(flag: &bool) -> bool {
    *flag
}

/// Why a model gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ModelFailure {
    /// What kind of failure.
    pub kind: ModelFailureKind,
    /// What happened and what to do about it: no keys, no prompts.
    pub message: String,
}

/// The kinds of failure of a model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelFailureKind {
    /// The provider refused the credentials.
    Auth,
    /// The account's quota is used up.
    Quota,
    /// Too many requests, also after waiting and trying again.
    RateLimited,
    /// The request is wrong: an unknown model, an unknown parameter, a schema that the provider refuses.
    Request,
    /// The conversation is longer than the model can read.
    ContextLength,
    /// The provider cannot be reached, or answers with an error of its own.
    Unavailable,
    /// What came back is not what the protocol says: cut off, malformed.
    Protocol,
    /// It took too long.
    TimedOut,
    /// The embedded model could not run on this machine.
    Local,
    /// The call was not made, because the tokens are used up that the run, or one above it, may use.
    Budget,
}

impl ModelFailureKind {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Protocol | Self::TimedOut)
    }
}
