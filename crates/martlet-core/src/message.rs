//! Messages: what is said between the user, the model and the tools.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::tool::ToolCall;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Standing instructions to the model.
    System,
    /// The person, or Martlet on their behalf (observations of code agents are user messages).
    User,
    /// The model.
    Assistant,
    /// The result of a structured tool call; [`Message::tool_call_id`] names the call.
    Tool,
}

/// One message of a conversation.
///
/// Cheap to clone: texts and binary data are shared, not copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// Structured calls that an assistant message asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// For [`Role::Tool`]: the id of the call that this message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Whether a message of the user is none of theirs, but what Martlet says on their behalf: what came of an action.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observation: bool,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<Arc<str>>) -> Self {
        Self::new(role, vec![Part::text(text)])
    }

    /// A message of several parts.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, tool_calls: Vec::new(), tool_call_id: None, observation: false }
    }

    /// What came of an action, told on the user's behalf.
    pub fn observation(text: impl Into<Arc<str>>) -> Self {
        Self::observed(vec![Part::text(text)])
    }

    /// As [`observation`](Self::observation), of several parts.
    pub fn observed(parts: Vec<Part>) -> Self {
        Self { observation: true, ..Self::new(Role::User, parts) }
    }

    /// A system message.
    pub fn system(text: impl Into<Arc<str>>) -> Self {
        Self::text(Role::System, text)
    }

    /// A user message.
    pub fn user(text: impl Into<Arc<str>>) -> Self {
        Self::text(Role::User, text)
    }

    /// An assistant message.
    pub fn assistant(text: impl Into<Arc<str>>) -> Self {
        Self::text(Role::Assistant, text)
    }

    /// The result of the structured call `call_id`.
    pub fn tool(call_id: impl Into<String>, parts: Vec<Part>) -> Self {
        Self { tool_call_id: Some(call_id.into()), ..Self::new(Role::Tool, parts) }
    }

    /// All text parts, joined by line breaks.
    pub fn joined_text(&self) -> String {
        join_text(&self.parts)
    }
}

/// The text parts of `parts`, joined by line breaks.
pub fn join_text(parts: &[Part]) -> String {
    let mut joined = String::new();
    for part in parts {
        if let Part::Text { text } = part {
            if !joined.is_empty() {
                joined.push('\n');
            }
            joined.push_str(text);
        }
    }
    joined
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: Arc<str>,
    },
    /// An image that the model is to see.
    Image {
        /// The media type, such as `image/png`.
        media_type: Arc<str>,
        /// Where its data is.
        source: Source,
    },
    /// A file that comes with the task or out of a tool.
    File {
        /// The file's name, without a path.
        name: Arc<str>,
        /// The media type, such as `text/csv`.
        media_type: Arc<str>,
        /// Where its data is.
        source: Source,
    },
}

impl Part {
    /// A text part.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text { text: text.into() }
    }

    /// An image from its encoded bytes (PNG, JPEG …).
    pub fn image(media_type: impl Into<Arc<str>>, data: impl Into<Bytes>) -> Self {
        Self::Image { media_type: media_type.into(), source: Source::Data { data: Blob(data.into()) } }
    }

    /// An image that the provider fetches from a URL.
    pub fn image_url(media_type: impl Into<Arc<str>>, url: impl Into<Arc<str>>) -> Self {
        Self::Image { media_type: media_type.into(), source: Source::Url { url: url.into() } }
    }

    /// A file from its bytes.
    pub fn file(name: impl Into<Arc<str>>, media_type: impl Into<Arc<str>>, data: impl Into<Bytes>) -> Self {
        Self::File {
            name: name.into(),
            media_type: media_type.into(),
            source: Source::Data { data: Blob(data.into()) },
        }
    }

    /// The text, if this is a text part.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(text),
            _ => None,
        }
    }
}

/// Where the data of an image or file is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// Here.
    Data {
        /// The bytes.
        data: Blob,
    },
    /// At an address that the model's provider can reach.
    Url {
        /// The address.
        url: Arc<str>,
    },
}

impl Source {
    /// The source as a URL: its address, or a `data:` URL of its bytes.
    pub fn to_url(&self, media_type: &str) -> String {
        match self {
            Self::Url { url } => url.to_string(),
            Self::Data { data } => format!("data:{media_type};base64,{}", data.to_base64()),
        }
    }
}

/// Binary data: shared in memory, base64 where it is written as JSON.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Bytes);

impl Blob {
    /// The data in standard base64 with padding.
    pub fn to_base64(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(&self.0)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64::engine::general_purpose::STANDARD
            .decode(text.as_bytes())
            .map(|data| Self(data.into()))
            .map_err(serde::de::Error::custom)
    }
}
