//! `[agents.NAME]`.

use std::path::PathBuf;

use martlet::{ModelOptions, Strategy};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Rules;
use crate::duration::Time;

/// An agent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AgentTable {
    /// One of `[models]`, or a name such as `openai/gpt-4o`. Default: the key `model` outside of all tables.
    pub model: Option<String>,
    /// How it acts: `code`, `tool_calling` or `reasoning`. Default: `code`.
    pub strategy: Option<Strategy>,
    /// What it is good for, for other agents and for people.
    pub description: String,
    /// Instructions that are added to the system prompt: a text, or `{ file = "…" }`.
    pub instructions: Option<Text>,
    /// Its tools, by name.
    pub tools: Vec<String>,
    /// Agents and workflows of the configuration that it may give tasks to; each needs a `description`.
    pub agents: Vec<String>,
    /// Modules that its programs may import beyond those of the sandbox.
    pub imports: Vec<String>,
    /// The most steps of a run; then one last call asks for an answer. Default: 20.
    pub max_steps: Option<u32>,
    /// The most tokens, read and written, of all model calls of a run. Default: no limit.
    pub max_tokens: Option<u64>,
    /// The most time of a run, also as a node of a workflow that has no limit of its own. It does not count where another
    /// agent manages this one. Default: no limit.
    pub timeout: Option<Time>,
    /// The most characters of one observation. Default: 20,000.
    pub observation_chars: Option<usize>,
    /// The most tokens of what was said before, in earlier runs of a session, that a run is shown. Default: three quarters
    /// of the model's context where that is known, else 24,000.
    pub memory_tokens: Option<u64>,
    /// JSON Schema that the answer must satisfy: a table, or the path of a JSON file.
    pub answer_schema: Option<AnswerSchema>,
    /// Which system prompt a code agent gets. Default: `auto`.
    pub prompt: Option<PromptSize>,
    /// Which of its calls need a person, are allowed or refused; before those of the key `approvals` outside of all
    /// tables.
    pub approvals: Rules,
    /// Sampling and length of each model call.
    pub options: ModelOptions,
    /// How far its programs may go.
    pub code: CodeTable,
}

/// Which system prompt a code agent gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PromptSize {
    /// By the size of the model.
    Auto,
    /// The short one.
    Compact,
    /// The long one.
    Full,
}

/// A text, or the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Text {
    /// The text.
    Inline(String),
    /// The file.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            file: PathBuf,
        }
        super::text_or_table(deserializer, "a text, or { file = \"…\" }", Self::Inline, |File { file }| {
            Self::File(file)
        })
    }
}

/// JSON Schema that an answer must satisfy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AnswerSchema {
    /// The schema.
    Inline(Value),
    /// The JSON file that holds it.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for AnswerSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "the path of a JSON file, or a table that is the schema";
        super::text_or_table(
            deserializer,
            expected,
            |path| Self::File(path.into()),
            |schema: serde_json::Map<String, Value>| Self::Inline(Value::Object(schema)),
        )
    }
}

/// How far the programs of a code agent may go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CodeTable {
    /// The time that a program may compute; waiting for tools does not count. Default: 30 s.
    pub time: Option<Time>,
    /// The memory of a session, in MiB. Default: 256.
    pub memory_mib: Option<u64>,
    /// The characters that a program may print. Default: 50,000.
    pub output_chars: Option<usize>,
    /// The tool calls that one program may make. Default: 1,000.
    pub calls: Option<u32>,
}
