//! What is asked for with a response, and what is stored of it.

use std::collections::BTreeMap;

use martlet_core::Role;
use martlet_store::{ApprovalId, FileId, RunRow};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::openai::content::{Piece, Said, pieces};
use crate::openai::fault::Fault;
use crate::problem::Problem;
use crate::service::{RunInput, RunSpec};

/// What a client asks for. Fields that are not listed are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ResponseRequest {
    /// `agent:NAME` or `workflow:NAME`; without it that of the previous response.
    pub(super) model: Option<String>,
    /// A text, or items: messages, or answers to questions (`mcp_approval_response`).
    #[schema(value_type = Object)]
    pub(super) input: Value,
    /// Instructions to the agent for this response alone.
    pub(super) instructions: Option<String>,
    /// The response whose conversation goes on with this, or whose questions are answered.
    pub(super) previous_response_id: Option<String>,
    /// Whether it is told as it happens.
    pub(super) stream: Option<bool>,
    /// Whether it goes on without the client: it is answered at once, to be asked for later.
    pub(super) background: Option<bool>,
    /// Whether it can be asked for later. Default: true.
    pub(super) store: Option<bool>,
    /// What is stored with it.
    #[schema(value_type = Option<Object>)]
    pub(super) metadata: Option<BTreeMap<String, Value>>,
    /// The most tokens of each reply of the model.
    #[schema(minimum = 1)]
    pub(super) max_output_tokens: Option<u32>,
    /// `format`: the form of the answer.
    #[schema(value_type = Option<Object>)]
    pub(super) text: Option<Value>,
    /// `effort`: how much a reasoning model is to think.
    #[schema(value_type = Option<Object>)]
    pub(super) reasoning: Option<Value>,
    /// Tools of the client: none.
    #[schema(value_type = Option<Vec<Object>>)]
    pub(super) tools: Option<Vec<Value>>,
    /// Whom the client asks for.
    pub(super) user: Option<String>,
    /// Conversations of OpenAI's own: none.
    #[schema(value_type = Option<Object>)]
    pub(super) conversation: Option<Value>,
}

impl ResponseRequest {
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
            let text = "tools of the client are not called from here: agents bring their own, which are set up in the \
                        server's configuration";
            return Err(Fault::unsupported("tools", text));
        }
        if self.conversation.as_ref().is_some_and(|conversation| !conversation.is_null()) {
            let text = "go on with a conversation by `previous_response_id`";
            return Err(Fault::unsupported("conversation", text));
        }
        if self.max_output_tokens == Some(0) {
            return Err(Fault::invalid(
                "max_output_tokens",
                "invalid_value",
                "an answer has at least one token",
            ));
        }
        if self.store == Some(false) && self.background == Some(true) {
            let text = "what goes on in the background has to be stored: leave `store` out";
            return Err(Fault::invalid("store", "invalid_value", text));
        }
        Ok(())
    }

    /// What is stored of it with the run. Images and files are stored by themselves.
    pub(super) fn note(&self, said: &[Said]) -> Note {
        Note {
            background: self.background.unwrap_or_default(),
            store: self.store.unwrap_or(true),
            metadata: self.metadata.clone().unwrap_or_default(),
            instructions: self.instructions.clone(),
            previous_response_id: self.previous_response_id.clone(),
            max_output_tokens: self.max_output_tokens,
            format: self.text.as_ref().and_then(|text| text.get("format")).cloned(),
            user: self.user.clone(),
            input: said.iter().map(item_of).collect(),
        }
    }
}

/// What came in.
pub(super) struct Input {
    pub(super) said: Vec<Said>,
    pub(super) answers: Vec<Answered>,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) question: ApprovalId,
    pub(super) approve: bool,
    pub(super) reason: Option<String>,
}

impl Input {
    pub(super) fn read(input: &Value) -> Result<Self, Fault> {
        let mut read = Self { said: Vec::new(), answers: Vec::new() };
        match input {
            Value::String(text) => {
                read.said.push(Said { role: Role::User, pieces: vec![Piece::Text(text.clone())] });
            }
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    read.item(item, &format!("input[{place}]"))?;
                }
            }
            _ => {
                return Err(Fault::invalid(
                    "input",
                    "invalid_type",
                    "the input is a text or a list of items",
                ));
            }
        }
        Ok(read)
    }

    fn item(&mut self, item: &Value, at: &str) -> Result<(), Fault> {
        let kind = item["type"].as_str();
        match kind {
            Some("message") | None if item["role"].is_string() => self.said.extend(Said::read(item, at)?),
            Some("mcp_approval_response") => self.answers.push(answered(item, at)?),
            // What clients send back of an earlier output: the server knows it.
            Some("reasoning" | "mcp_call" | "mcp_list_tools" | "mcp_approval_request") => {}
            Some(kind) => {
                let kind: String = kind.chars().take(40).collect();
                let text = format!("items of the type `{kind}` are not read here: send messages");
                return Err(Fault::unsupported(&format!("{at}.type"), text));
            }
            None => {
                // A part by itself is a message of the user.
                let pieces = pieces(&Value::Array(vec![item.clone()]), at)?;
                self.said.push(Said { role: Role::User, pieces });
            }
        }
        Ok(())
    }
}

fn answered(item: &Value, at: &str) -> Result<Answered, Fault> {
    let missing = |name: &str| {
        let param = format!("{at}.{name}");
        Fault::invalid(&param, "missing_required_parameter", format!("an answer needs `{name}`"))
    };
    // One version of the schema calls it otherwise.
    let id = item["approval_request_id"].as_str().or_else(|| item["request_id"].as_str());
    let id = id.ok_or_else(|| missing("approval_request_id"))?;
    Ok(Answered {
        question: ApprovalId::new(id).map_err(|_| Fault::from(Problem::not_found("question")))?,
        approve: item["approve"].as_bool().ok_or_else(|| missing("approve"))?,
        reason: item["reason"].as_str().map(str::to_owned),
    })
}

/// What is stored of a request with its run, to be shown again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Note {
    pub(super) background: bool,
    pub(super) store: bool,
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) instructions: Option<String>,
    pub(super) previous_response_id: Option<String>,
    pub(super) max_output_tokens: Option<u32>,
    pub(super) format: Option<Value>,
    pub(super) user: Option<String>,
    pub(super) input: Vec<Value>,
}

impl Default for Note {
    fn default() -> Self {
        Self {
            background: false,
            store: true,
            metadata: BTreeMap::new(),
            instructions: None,
            previous_response_id: None,
            max_output_tokens: None,
            format: None,
            user: None,
            input: Vec::new(),
        }
    }
}

impl Note {
    /// What was stored with a run; of a run that was asked for in another way, what it does.
    pub(super) fn of(row: &RunRow) -> Result<Self, Problem> {
        let spec = RunSpec::of(row)?;
        let mut note: Self = match spec.note.as_ref().and_then(|note| note.get("response")) {
            Some(note) => serde_json::from_value(note.clone()).map_err(|error| Problem::internal(&error))?,
            None => Self::default(),
        };
        if note.input.is_empty() {
            let text = match spec.input {
                RunInput::Task(text) => text,
                RunInput::Input(input) => input.to_string(),
            };
            note.input = vec![item_of(&Said { role: Role::User, pieces: vec![Piece::Text(text)] })];
        }
        Ok(note)
    }

    /// Says under which names the images and files of the last message are kept.
    pub(super) fn name_files(&mut self, files: &[FileId]) {
        let mut files = files.iter();
        let contents = self.input.last_mut().and_then(|item| item["content"].as_array_mut());
        for part in contents.into_iter().flatten() {
            if part.get("file_id").is_some_and(Value::is_null)
                && let Some(file) = files.next()
            {
                part["file_id"] = file.as_str().into();
            }
        }
    }

    /// As it is stored.
    pub(super) fn stored(&self) -> Result<Value, Problem> {
        serde_json::to_value(self)
            .map(|note| Value::Object(Map::from_iter([("response".to_owned(), note)])))
            .map_err(|error| Problem::internal(&error))
    }
}

/// A message as an item, without the bytes of what it brings.
fn item_of(said: &Said) -> Value {
    let role = match said.role {
        Role::System => "system",
        Role::Assistant => "assistant",
        _ => "user",
    };
    let content: Vec<_> = said
        .pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) if said.role == Role::Assistant => {
                json!({"type": "output_text", "text": text, "annotations": []})
            }
            Piece::Text(text) => json!({"type": "input_text", "text": text}),
            Piece::File { media_type, .. } if media_type.starts_with("image/") => {
                json!({"type": "input_image", "detail": "auto", "image_url": null, "file_id": null})
            }
            Piece::File { name, .. } => json!({"type": "input_file", "filename": name, "file_id": null}),
            Piece::Kept(id) => json!({"type": "input_file", "file_id": id.as_str()}),
            Piece::Url(url) => json!({"type": "input_image", "detail": "auto", "image_url": url}),
        })
        .collect();
    json!({"type": "message", "role": role, "content": content})
}

/// The items that came in with a run, with ids.
pub(super) fn numbered(items: Vec<Value>, stem: &str) -> Vec<Value> {
    let number = |(place, mut item): (usize, Value)| {
        item["id"] = format!("in_{stem}_{place}").into();
        item["status"] = "completed".into();
        item
    };
    items.into_iter().enumerate().map(number).collect()
}
