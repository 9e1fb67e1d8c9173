//! What servers send, read leniently: what is missing, null or of an unexpected kind does no harm where it
//! does not matter.

use std::borrow::Cow;

use martlet_core::Usage;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A whole reply, or a piece of one.
#[derive(Debug, Deserialize)]
pub(super) struct Completion<'a> {
    #[serde(borrow, default, deserialize_with = "null_as_default")]
    pub(super) choices: Vec<Choice<'a>>,
    #[serde(default)]
    pub(super) usage: Option<Value>,
    #[serde(borrow, default)]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Option<Value>,
    #[serde(borrow, default)]
    delta: Option<WireMessage<'a>>,
    #[serde(borrow, default)]
    message: Option<WireMessage<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Cow<'a, str>>,
}

impl<'a> Choice<'a> {
    /// The message or the piece of one. Perplexity sends both: then the message is all that came so far.
    pub(super) fn take_message(&mut self) -> Option<WireMessage<'a>> {
        self.delta.take().or_else(|| self.message.take())
    }

    /// Whether this is the first choice; we never ask for a second one.
    pub(super) fn is_first(&self) -> bool {
        self.index.as_ref().and_then(Value::as_u64).unwrap_or(0) == 0
    }
}

/// A message, or a piece of one.
#[derive(Debug, Deserialize)]
pub(super) struct WireMessage<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "null_as_default")]
    pub(super) tool_calls: Vec<WireCall<'a>>,
}

impl WireMessage<'_> {
    /// The visible reasoning. Some servers send it under both names.
    pub(super) fn thought(&self) -> Option<&str> {
        let texts = [&self.reasoning_content, &self.reasoning].into_iter().flatten();
        texts.filter_map(Text::as_str).find(|text| !text.is_empty())
    }
}

/// Content: a text, or parts of which the texts count.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Parts(Vec<Value>),
    Other(serde::de::IgnoredAny),
}

/// A text; anything else is passed over.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Text<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Other(serde::de::IgnoredAny),
}

impl Text<'_> {
    fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }
}

/// A call, or a piece of one.
#[derive(Debug, Deserialize)]
pub(super) struct WireCall<'a> {
    #[serde(default)]
    pub(super) index: Option<Value>,
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) function: Option<WireFunction<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireFunction<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Cow<'a, str>>,
    /// A text of JSON; some servers send the object itself.
    #[serde(default)]
    pub(super) arguments: Option<Value>,
}

fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The tokens of a `usage` object; what is missing counts nothing.
pub(super) fn usage(wire: &Value) -> Usage {
    let count = |path: &str| wire.pointer(path).and_then(Value::as_u64);
    Usage {
        input_tokens: count("/prompt_tokens").or(count("/input_tokens")).unwrap_or(0),
        output_tokens: count("/completion_tokens").or(count("/output_tokens")).unwrap_or(0),
        cached_tokens: count("/prompt_tokens_details/cached_tokens")
            .or(count("/prompt_cache_hit_tokens"))
            .unwrap_or(0),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
    }
}
