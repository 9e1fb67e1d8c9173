//! A [`ModelRequest`] as the body of a chat completion.
//!
//! The views below serialise straight from the request into the body: the conversation is copied once,
//! into the bytes that are sent.

use std::fmt::{self, Display};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use martlet_core::{
    Arguments, Message, ModelOptions, ModelRequest, Part, ResponseFormat, Role, Source, ToolCall, ToolChoice,
    ToolSpec,
};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::{Value, json};

use super::dialect::Dialect;
use crate::profile::Server;

/// OpenAI takes so many stop texts; the client cuts at the others.
const MAX_STOPS: usize = 4;

/// The body of a request.
pub(super) struct Body<'a> {
    pub(super) model: &'a str,
    pub(super) request: &'a ModelRequest,
    /// The request's options over the client's own.
    pub(super) options: &'a ModelOptions,
    pub(super) dialect: Dialect,
    pub(super) server: Server,
    /// The text that begins the model's turn, if the server can continue it.
    pub(super) prefill: Option<&'a str>,
    pub(super) stream: bool,
}

impl Body<'_> {
    pub(super) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = Vec::with_capacity(512 + self.request.messages.iter().map(weight).sum::<usize>());
        serde_json::to_writer(&mut bytes, self)?;
        Ok(bytes)
    }
}

/// Roughly the bytes of a message in the body.
fn weight(message: &Message) -> usize {
    let data = |source: &Source| match source {
        Source::Data { data } => data.0.len() * 4 / 3,
        _ => 100,
    };
    let parts = message.parts.iter().map(|part| match part {
        Part::Text { text } => text.len() + text.len() / 16,
        Part::Image { source, .. } | Part::File { source, .. } => data(source),
        _ => 0,
    });
    64 + parts.sum::<usize>() + message.tool_calls.len() * 128
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { request, options, .. } = *self;
        let reasoning = self.dialect == Dialect::Reasoning;
        let mut map = serializer.serialize_map(None)?;
        // A field of `extra` takes the place of ours; JSON must not have it twice.
        macro_rules! field {
            ($name:expr, $value:expr) => {
                if !options.extra.contains_key($name) {
                    map.serialize_entry($name, $value)?;
                }
            };
        }
        field!("model", self.model);
        field!("messages", &Messages { messages: &request.messages, prefill: self.prefill });
        if !request.tools.is_empty() {
            field!("tools", &Tools(&request.tools));
            match request.tool_choice {
                ToolChoice::Auto => {}
                ToolChoice::Required => field!("tool_choice", "required"),
                ToolChoice::None => field!("tool_choice", "none"),
            }
        }
        let mut stops = request.stop.iter().filter(|stop| !stop.is_empty()).take(MAX_STOPS).peekable();
        if !reasoning && stops.peek().is_some() {
            field!("stop", &stops.collect::<Vec<_>>());
        }
        if let Some(format) = &request.response_format
            && let Some(format) = response_format(format)
        {
            field!("response_format", &format);
        }
        if let Some(limit) = options.max_tokens {
            field!(if reasoning { "max_completion_tokens" } else { "max_tokens" }, &limit);
        }
        if !reasoning {
            if let Some(temperature) = options.temperature {
                field!("temperature", &temperature);
            }
            if let Some(top_p) = options.top_p {
                field!("top_p", &top_p);
            }
        }
        if let Some(seed) = options.seed {
            field!("seed", &seed);
        }
        if let Some(effort) = &options.reasoning_effort {
            field!("reasoning_effort", effort);
        }
        if self.prefill.is_some() && self.server == Server::Vllm {
            field!("add_generation_prompt", &false);
            field!("continue_final_message", &true);
        }
        if self.stream {
            field!("stream", &true);
            field!("stream_options", &json!({"include_usage": true}));
        }
        for (name, value) in &options.extra {
            // Null takes a field out: some servers refuse one that the others want.
            if !value.is_null() {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

fn response_format(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::JsonObject => Some(json!({"type": "json_object"})),
        ResponseFormat::JsonSchema { name, schema, strict } => Some(json!({
            "type": "json_schema",
            "json_schema": {"name": name, "schema": schema, "strict": strict},
        })),
        _ => None,
    }
}

struct Tools<'a>(&'a [ToolSpec]);

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Tool<'a> {
            r#type: &'static str,
            function: Function<'a>,
        }
        #[derive(serde::Serialize)]
        struct Function<'a> {
            name: &'a str,
            description: &'a str,
            parameters: &'a Value,
        }
        serializer.collect_seq(self.0.iter().map(|tool| Tool {
            r#type: "function",
            function: Function {
                name: &tool.name,
                description: &tool.description,
                parameters: &tool.parameters,
            },
        }))
    }
}

struct Messages<'a> {
    messages: &'a [Message],
    prefill: Option<&'a str>,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for group in self.messages.chunk_by(|a, b| a.role == Role::Tool && b.role == Role::Tool) {
            for message in group {
                seq.serialize_element(&MessageView(message))?;
            }
            // The result of a tool may only be text, and nothing may stand between the results of one turn:
            // what else the tools returned follows them as a message of the user.
            let from_tools = || group.iter().filter(|message| message.role == Role::Tool);
            if from_tools().flat_map(|message| &message.parts).any(|part| !is_text(part)) {
                seq.serialize_element(&ToolMedia(group))?;
            }
        }
        if let Some(prefill) = self.prefill {
            seq.serialize_element(&json!({"role": "assistant", "content": prefill}))?;
        }
        seq.end()
    }
}

struct MessageView<'a>(&'a Message);

impl Serialize for MessageView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = self.0;
        let mut map = serializer.serialize_map(None)?;
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        map.serialize_entry("role", role)?;
        if let Some(id) = &message.tool_call_id {
            map.serialize_entry("tool_call_id", id)?;
        }
        match message.role {
            Role::User => map.serialize_entry("content", &Content(&message.parts))?,
            Role::Assistant if message.parts.is_empty() && !message.tool_calls.is_empty() => {
                map.serialize_entry("content", &())?;
            }
            _ => map.serialize_entry("content", &Texts(&message.parts))?,
        }
        if !message.tool_calls.is_empty() {
            map.serialize_entry("tool_calls", &Calls(&message.tool_calls))?;
        }
        map.end()
    }
}

struct Calls<'a>(&'a [ToolCall]);

impl Serialize for Calls<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Call<'a> {
            id: &'a str,
            r#type: &'static str,
            function: Function<'a>,
        }
        #[derive(serde::Serialize)]
        struct Function<'a> {
            name: &'a str,
            arguments: String,
        }
        serializer.collect_seq(self.0.iter().map(|call| Call {
            id: &call.id,
            r#type: "function",
            function: Function {
                name: &call.name,
                arguments: match &call.arguments {
                    Arguments::Object(_) => call.arguments.to_json(),
                    // vLLM and llama.cpp parse what we send back and refuse the whole conversation if it is
                    // no JSON object.
                    Arguments::Malformed(text) => json!({"malformed_arguments": text}).to_string(),
                },
            },
        }))
    }
}

/// The content of a user's message: a text if it is one, which every server understands, otherwise parts.
struct Content<'a>(&'a [Part]);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.iter().all(is_text) {
            return Texts(self.0).serialize(serializer);
        }
        serializer.collect_seq(self.0.iter().map(PartView))
    }
}

/// What can be said as text, as one text. The texts of several parts stand on lines of their own.
struct Texts<'a>(&'a [Part]);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [Part::Text { text }] => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

impl Display for Texts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.0.iter().filter(|part| is_text(part));
        for (index, part) in texts.enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write_text(part, f)?;
        }
        Ok(())
    }
}

/// Whether a part is sent as text.
fn is_text(part: &Part) -> bool {
    match part {
        Part::Text { .. } => true,
        Part::File { source: Source::Url { .. }, .. } => true,
        Part::File { media_type, source: Source::Data { data }, .. } => {
            is_text_type(media_type) && std::str::from_utf8(&data.0).is_ok()
        }
        _ => false,
    }
}

fn is_text_type(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let application = kind.strip_prefix("application/").unwrap_or_default();
    kind.starts_with("text/")
        || application.ends_with("+json")
        || application.ends_with("+xml")
        || matches!(
            application,
            "json"
                | "xml"
                | "yaml"
                | "x-yaml"
                | "toml"
                | "csv"
                | "javascript"
                | "sql"
                | "x-ndjson"
                | "x-sh"
                | "x-python"
        )
}

fn write_text(part: &Part, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match part {
        Part::Text { text } => f.write_str(text),
        // Chat completions take no address of a file, so the model is told of it.
        Part::File { name, media_type, source: Source::Url { url } } => {
            write!(f, "[file {name} ({media_type}) at {url}]")
        }
        Part::File { name, source: Source::Data { data }, .. } => {
            let text = std::str::from_utf8(&data.0).unwrap_or_default();
            let end = if text.ends_with('\n') { "" } else { "\n" };
            write!(f, "[file {name}]\n{text}{end}[end of file {name}]")
        }
        _ => Ok(()),
    }
}

struct TextOf<'a>(&'a Part);

impl Display for TextOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(self.0, f)
    }
}

/// One part of a content of parts.
struct PartView<'a>(&'a Part);

impl Serialize for PartView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Part::Image { media_type, source } => {
                map.serialize_entry("type", "image_url")?;
                map.serialize_entry("image_url", &ImageUrl { media_type, source })?;
            }
            Part::File { name, media_type, source: Source::Data { data } } if !is_text(self.0) => {
                map.serialize_entry("type", "file")?;
                map.serialize_entry("file", &FileData { name, media_type, data: &data.0 })?;
            }
            part => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", &Shown(&TextOf(part)))?;
            }
        }
        map.end()
    }
}

struct ImageUrl<'a> {
    media_type: &'a str,
    source: &'a Source,
}

impl Serialize for ImageUrl<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self.source {
            Source::Data { data } => {
                map.serialize_entry("url", &Shown(&DataUrl { media_type: self.media_type, data: &data.0 }))?;
            }
            other => map.serialize_entry("url", &other.to_url(self.media_type))?,
        }
        map.end()
    }
}

struct FileData<'a> {
    name: &'a str,
    media_type: &'a str,
    data: &'a [u8],
}

impl Serialize for FileData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("filename", self.name)?;
        map.serialize_entry("file_data", &Shown(&DataUrl { media_type: self.media_type, data: self.data }))?;
        map.end()
    }
}

struct DataUrl<'a> {
    media_type: &'a str,
    data: &'a [u8],
}

impl Display for DataUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data:{};base64,{}", self.media_type, Base64Display::new(self.data, &STANDARD))
    }
}

/// Writes what is displayed as a JSON string, without building it first.
struct Shown<'a, T>(&'a T);

impl<T: Display> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

/// What a group of tool results has besides text, as a message of the user.
struct ToolMedia<'a>(&'a [Message]);

impl Serialize for ToolMedia<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Parts<'a>(&'a [Message]);
        impl Serialize for Parts<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut seq = serializer.serialize_seq(None)?;
                for message in self.0 {
                    if message.parts.iter().all(is_text) {
                        continue;
                    }
                    let id = message.tool_call_id.as_deref().unwrap_or_default();
                    let text = Part::text(format!("Returned by the tool call {id}:"));
                    seq.serialize_element(&PartView(&text))?;
                    for part in message.parts.iter().filter(|part| !is_text(part)) {
                        seq.serialize_element(&PartView(part))?;
                    }
                }
                seq.end()
            }
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("role", "user")?;
        map.serialize_entry("content", &Parts(self.0))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Map;

    use super::*;

    fn body_with(request: &ModelRequest, change: impl FnOnce(&mut Body<'_>)) -> Value {
        let mut body = Body {
            model: "m",
            request,
            options: &request.options,
            dialect: Dialect::Classic,
            server: Server::Other,
            prefill: None,
            stream: false,
        };
        change(&mut body);
        serde_json::from_slice(&body.to_json().unwrap()).unwrap()
    }

    fn body(request: &ModelRequest) -> Value {
        body_with(request, |_| {})
    }

    fn messages(messages: Vec<Message>) -> Value {
        body(&ModelRequest { messages, ..Default::default() })["messages"].take()
    }

    #[test]
    fn a_plain_conversation() {
        let request = ModelRequest {
            messages: vec![
                Message::system("be brief"),
                Message::user("hé \"you\"\n"),
                Message::assistant("yes?"),
            ],
            ..Default::default()
        };
        assert_eq!(
            body(&request),
            json!({"model": "m", "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "hé \"you\"\n"},
                {"role": "assistant", "content": "yes?"},
            ]})
        );
    }

    #[test]
    fn calls_and_results() {
        let mut turn = Message::new(Role::Assistant, vec![]);
        let arguments = json!({"city": "Oslo"}).as_object().unwrap().clone();
        turn.tool_calls = vec![
            ToolCall { id: "a".into(), name: "f".into(), arguments: Arguments::Object(arguments) },
            ToolCall { id: "b".into(), name: "g".into(), arguments: Arguments::Malformed("{\"x\":".into()) },
        ];
        let sent = messages(vec![turn, Message::tool("a", vec![Part::text("3"), Part::text("4")])]);
        assert_eq!(
            sent,
            json!([
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"city\":\"Oslo\"}"}},
                    {"id": "b", "type": "function",
                     "function": {"name": "g", "arguments": "{\"malformed_arguments\":\"{\\\"x\\\":\"}"}},
                ]},
                {"role": "tool", "tool_call_id": "a", "content": "3\n4"},
            ])
        );
    }

    #[test]
    fn images_and_files() {
        let parts = vec![
            Part::text("look"),
            Part::image("image/png", &b"png"[..]),
            Part::image_url("image/png", "https://example.org/a.png"),
            Part::file("a.csv", "text/csv", &b"x,y\n1,2\n"[..]),
            Part::file("a.pdf", "application/pdf", &b"%PDF"[..]),
        ];
        assert_eq!(
            messages(vec![Message::new(Role::User, parts)]),
            json!([{"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "text", "text": "[file a.csv]\nx,y\n1,2\n[end of file a.csv]"},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
            ]}])
        );
        let text_alone = vec![Part::text("sum it"), Part::file("a.json", "application/json", &b"[1]"[..])];
        assert_eq!(
            messages(vec![Message::new(Role::User, text_alone)]),
            json!([{"role": "user", "content": "sum it\n[file a.json]\n[1]\n[end of file a.json]"}])
        );
    }

    #[test]
    fn images_from_tools_follow_all_results_of_the_turn() {
        let image = Part::image("image/png", &b"png"[..]);
        let sent = messages(vec![
            Message::tool("a", vec![Part::text("drawn"), image]),
            Message::tool("b", vec![Part::text("2")]),
            Message::user("go on"),
        ]);
        assert_eq!(
            sent,
            json!([
                {"role": "tool", "tool_call_id": "a", "content": "drawn"},
                {"role": "tool", "tool_call_id": "b", "content": "2"},
                {"role": "user", "content": [
                    {"type": "text", "text": "Returned by the tool call a:"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
                ]},
                {"role": "user", "content": "go on"},
            ])
        );
    }

    #[test]
    fn parameters_follow_the_dialect() {
        let stop: Vec<Arc<str>> = ["", "a", "b", "c", "d", "e"].map(Arc::from).to_vec();
        let options = ModelOptions {
            temperature: Some(0.5),
            top_p: Some(0.25),
            max_tokens: Some(9),
            seed: Some(3),
            reasoning_effort: Some("low".into()),
            extra: Map::new(),
        };
        let request = ModelRequest { stop, options, ..Default::default() };
        let mut classic = body(&request);
        classic.as_object_mut().unwrap().remove("messages");
        assert_eq!(
            classic,
            json!({"model": "m", "stop": ["a", "b", "c", "d"], "max_tokens": 9, "temperature": 0.5, "top_p": 0.25,
                   "seed": 3, "reasoning_effort": "low"})
        );
        let mut reasoning = body_with(&request, |body| body.dialect = Dialect::Reasoning);
        reasoning.as_object_mut().unwrap().remove("messages");
        assert_eq!(
            reasoning,
            json!({"model": "m", "max_completion_tokens": 9, "seed": 3, "reasoning_effort": "low"})
        );
    }

    #[test]
    fn extra_fields_replace_and_remove_ours() {
        let extra =
            json!({"model": "other", "stream_options": null, "top_k": 5}).as_object().unwrap().clone();
        let options = ModelOptions { extra, ..Default::default() };
        let request = ModelRequest { options, ..Default::default() };
        let sent = body_with(&request, |body| body.stream = true);
        assert_eq!(sent, json!({"messages": [], "stream": true, "model": "other", "top_k": 5}));
    }

    #[test]
    fn tools_and_formats() {
        let request = ModelRequest {
            tools: vec![ToolSpec::new("f", "does f")].into(),
            tool_choice: ToolChoice::Required,
            response_format: Some(ResponseFormat::JsonSchema {
                name: "n".into(),
                schema: json!({"type": "object"}),
                strict: true,
            }),
            ..Default::default()
        };
        assert_eq!(
            body(&request),
            json!({"model": "m", "messages": [],
                "tools": [{"type": "function", "function": {"name": "f", "description": "does f",
                    "parameters": {"type": "object", "properties": {}}}}],
                "tool_choice": "required",
                "response_format": {"type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}}})
        );
    }

    #[test]
    fn a_prefill_is_the_last_message() {
        let request = ModelRequest { messages: vec![Message::user("hi")], ..Default::default() };
        let sent = body_with(&request, |body| {
            body.prefill = Some("```py\n");
            body.server = Server::Vllm;
        });
        assert_eq!(sent["messages"][1], json!({"role": "assistant", "content": "```py\n"}));
        assert_eq!(sent["continue_final_message"], true);
        assert_eq!(sent["add_generation_prompt"], false);
    }
}
