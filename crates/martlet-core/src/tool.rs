//! Tools as the core sees them: a specification, a call, a result.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::message::{Part, join_text};
use crate::schema::{self, ArgumentError};
use crate::text::cut_middle;

/// The name of the tool that ends a run with an answer.
pub const FINAL_ANSWER: &str = "final_answer";

/// The name of the tool that reads the files of a run.
pub const READ_FILE: &str = "read_file";

/// What a model and a driver need to know of a tool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToolSpec {
    /// A Python identifier, unique within an agent.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of the arguments: an object schema; the order of its properties is the order of
    /// positional arguments in Python.
    pub parameters: Value,
    /// JSON Schema of the result, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Value>,
    /// An example of a result, shown to small models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// What the driver may assume.
    #[serde(default)]
    pub flags: ToolFlags,
    #[serde(skip)]
    validator: OnceLock<Result<Arc<jsonschema::Validator>, String>>,
}

/// What a driver may assume of a tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolFlags {
    /// It changes nothing: it may be repeated freely after a crash.
    pub read_only: bool,
    /// Repeating it with the same idempotency key has no further effect.
    pub idempotent: bool,
    /// A person has to approve each call.
    pub needs_approval: bool,
}

impl ToolSpec {
    /// A tool without arguments; see [`ToolSpec::parameters`] to give it some.
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            parameters: json!({"type": "object", "properties": {}}),
            returns: None,
            example: None,
            flags: ToolFlags::default(),
            validator: OnceLock::new(),
        }
    }

    /// Sets the JSON Schema of the arguments.
    pub fn parameters(mut self, schema: Value) -> Self {
        self.parameters = schema;
        self.validator = OnceLock::new();
        self
    }

    /// Sets the JSON Schema of the result.
    pub fn returns(mut self, schema: Value) -> Self {
        self.returns = Some(schema);
        self
    }

    /// Sets an example of a result.
    pub fn example(mut self, example: Value) -> Self {
        self.example = Some(example);
        self
    }

    /// Sets the flags.
    pub fn flags(mut self, flags: ToolFlags) -> Self {
        self.flags = flags;
        self
    }

    /// The names of the parameters, in order.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.parameters
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|properties| properties.keys().map(String::as_str))
    }

    /// Checks `arguments` against the schema and fills in nothing.
    ///
    /// # Errors
    /// Says which argument is wrong and why, in words for the model.
    pub fn validate(&self, arguments: &Map<String, Value>) -> Result<(), ArgumentError> {
        let validator = self
            .validator
            .get_or_init(|| schema::compile(&self.parameters).map(Arc::new))
            .as_ref()
            .map_err(|problem| ArgumentError::schema(&self.name, problem))?;
        schema::validate(self, validator, arguments)
    }

    /// Whether the schema of the arguments can be used at all; an agent refuses a tool where it cannot.
    ///
    /// # Errors
    /// Says what is wrong with the schema.
    pub fn check_schema(&self) -> Result<(), String> {
        if self.parameters.get("type").and_then(Value::as_str) != Some("object") {
            return Err("the parameters must be a JSON Schema of type \"object\"".into());
        }
        schema::compile(&self.parameters).map(|_| ())
    }
}

impl PartialEq for ToolSpec {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.description, &self.parameters, &self.returns, &self.example, self.flags)
            == (
                &other.name,
                &other.description,
                &other.parameters,
                &other.returns,
                &other.example,
                other.flags,
            )
    }
}

/// A structured call that a model asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id by which its result is matched; unique within a reply.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model gave them.
    pub arguments: Arguments,
}

/// The arguments of a call: a JSON object, or the text that was not one.
///
/// A model's malformed arguments are kept as they came, so that it can be told what is wrong with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Arguments {
    /// A JSON object.
    Object(Map<String, Value>),
    /// What came instead.
    Malformed(String),
}

impl Arguments {
    /// Reads the text of a model's arguments; an empty text means no arguments.
    pub fn parse(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::Object(Map::new());
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Self::Object(object),
            Ok(Value::Null) => Self::Object(Map::new()),
            // Some providers encode the object twice.
            Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
                Ok(Value::Object(object)) => Self::Object(object),
                _ => Self::Malformed(text.to_owned()),
            },
            _ => Self::Malformed(text.to_owned()),
        }
    }

    /// The arguments as JSON text, as providers expect them back.
    pub fn to_json(&self) -> String {
        match self {
            Self::Object(object) => serde_json::to_string(object).unwrap_or_default(),
            Self::Malformed(text) => text.clone(),
        }
    }
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolOutput {
    /// A JSON value: what Python code receives; a text is shown to the model as it is, all else as JSON.
    Json {
        /// The value.
        value: Value,
    },
    /// Texts, images and files.
    Parts {
        /// The parts, in order.
        parts: Vec<Part>,
    },
}

impl ToolOutput {
    /// The output as a JSON value for Python code: parts give their joined text.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Json { value } => value.clone(),
            Self::Parts { parts } => Value::String(join_text(parts)),
        }
    }

    /// The output as the model is shown it.
    pub fn to_parts(&self) -> Vec<Part> {
        match self {
            Self::Json { value } => vec![Part::text(display_value(value))],
            Self::Parts { parts } => parts.clone(),
        }
    }

    /// The text of the output.
    pub fn to_text(&self) -> String {
        match self {
            Self::Json { value } => display_value(value),
            Self::Parts { parts } => join_text(parts),
        }
    }
}

/// A JSON value for a reader: a text as it is, all else as JSON.
pub fn display_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value as text, of at most about `limit` characters; a long text is not copied before it is cut.
pub(crate) fn cut_value(value: &Value, limit: usize) -> String {
    match value {
        Value::String(text) => cut_middle(text, limit).into_owned(),
        other => cut_middle(&other.to_string(), limit).into_owned(),
    }
}

impl From<Value> for ToolOutput {
    fn from(value: Value) -> Self {
        Self::Json { value }
    }
}

/// Why a call gave no output. It is shown to the model, which may try otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ToolFailure {
    /// What kind of failure.
    pub kind: ToolFailureKind,
    /// What happened, for the model: no secrets, no stack traces.
    pub message: String,
}

impl ToolFailure {
    /// A failure of `kind`.
    pub fn new(kind: ToolFailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The kinds of failure of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolFailureKind {
    /// There is no such tool.
    Unknown,
    /// The arguments do not fit the schema.
    Arguments,
    /// The tool itself failed.
    Failed,
    /// It took too long and was cancelled.
    TimedOut,
    /// A person or a policy refused it.
    Denied,
}
