//! `/v1/chat/completions`.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use martlet::{Adjustment, ModelOptions, SharedModel};
use martlet_core::{ModelRequest, Principal, ResponseFormat, RunId};
use martlet_store::{Idempotency, RunRow, SessionId, ValueId};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::body::Posted;
use super::chunks::{self, DONE, Writer};
use super::content::{Conversation, Elsewhere, Said, keep, messages, task_text};
use super::fault::Fault;
use super::models::{Chosen, Wishes, choose};
use super::plain::{self, Answering};
use super::telling::{Telling, Told, WhenLeft, ending};
use crate::adapter;
use crate::auth::Runner;
use crate::ids::random_bits;
use crate::problem::{Problem, ProblemKind, allowance_headers};
use crate::router::Api;
use crate::service::{Attendance, NewTask};
use crate::sse::{self, KEEP_ALIVE};

/// How long a stream of a plain model waits for its first piece, so that a failure can still have a status of its own.
const FIRST: Duration = Duration::from_secs(5);

/// What a client asks of a model. Fields that are not listed are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChatRequest {
    /// `agent:NAME`, `workflow:NAME` or `llm:NAME`.
    model: String,
    /// The conversation; its last message, of the user, is the task.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Value>,
    /// Whether the answer comes in pieces.
    stream: Option<bool>,
    /// What comes with the pieces.
    stream_options: Option<StreamOptions>,
    /// The number of answers: 1.
    n: Option<u32>,
    /// The most tokens of each reply of the model.
    #[schema(minimum = 1)]
    max_completion_tokens: Option<u32>,
    /// The older name of `max_completion_tokens`.
    #[schema(minimum = 1)]
    max_tokens: Option<u32>,
    /// The seed of the model's sampling.
    seed: Option<i64>,
    /// Randomness; for plain models alone.
    temperature: Option<f32>,
    /// Nucleus sampling; for plain models alone.
    top_p: Option<f32>,
    /// Texts at which the reply ends; for plain models alone.
    #[schema(value_type = Option<Object>)]
    stop: Option<Value>,
    /// How much a reasoning model is to think.
    reasoning_effort: Option<String>,
    /// The form of the answer: `text`, `json_object` or `json_schema`.
    #[schema(value_type = Option<Object>)]
    response_format: Option<Value>,
    /// What is stored with the run. `session_id` names a conversation, `task` a chore of a chat front end.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Whom the client asks for; stored with the run.
    user: Option<String>,
    /// Tools of the client: none.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Value>>,
    /// The older name of `tools`.
    #[schema(value_type = Option<Vec<Object>>)]
    functions: Option<Vec<Value>>,
}

/// What comes with the pieces of an answer.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct StreamOptions {
    /// Whether the last piece tells the tokens.
    include_usage: Option<bool>,
}

impl ChatRequest {
    fn said(&self) -> Result<Vec<Said>, Fault> {
        if self.messages.is_empty() {
            return Err(Fault::invalid(
                "messages",
                "invalid_value",
                "there is no message: say what is to be done",
            ));
        }
        let mut said = Vec::with_capacity(self.messages.len());
        for (place, message) in self.messages.iter().enumerate() {
            said.extend(Said::read(message, &format!("messages[{place}]"))?);
        }
        Ok(said)
    }

    fn check(&self) -> Result<(), Fault> {
        if self.n.is_some_and(|answers| answers != 1) {
            return Err(Fault::unsupported("n", "one answer is given at a time: leave `n` out"));
        }
        for (name, tools) in [("tools", &self.tools), ("functions", &self.functions)] {
            if tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
                let text = "tools of the client are not called from here: agents bring their own, which are set up in the \
                            server's configuration";
                return Err(Fault::unsupported(name, text));
            }
        }
        for (name, tokens) in
            [("max_completion_tokens", self.max_completion_tokens), ("max_tokens", self.max_tokens)]
        {
            if tokens == Some(0) {
                return Err(Fault::invalid(name, "invalid_value", "an answer has at least one token"));
            }
        }
        Ok(())
    }

    /// Whether it is a chore of a chat front end, such as a title for the conversation, and no task for an agent.
    fn is_chore(&self, said: &[Said]) -> bool {
        let named = self.metadata.as_ref().and_then(|metadata| metadata.get("task"));
        named.is_some_and(|task| task.as_str().is_some_and(|task| !task.is_empty()))
            || said.last().is_some_and(|last| last.text().trim_start().starts_with("### Task:"))
    }

    /// Sampling and length. Agents have their own sampling.
    fn options(&self, is_plain: bool) -> Option<ModelOptions> {
        let options = ModelOptions {
            temperature: self.temperature.filter(|_| is_plain),
            top_p: self.top_p.filter(|_| is_plain),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            seed: self.seed.and_then(|seed| u64::try_from(seed).ok()),
            reasoning_effort: self.reasoning_effort.clone(),
            ..ModelOptions::default()
        };
        (options != ModelOptions::default()).then_some(options)
    }
}

/// The form of an answer.
pub(super) fn format_of(format: Option<&Value>, at: &str) -> Result<Option<ResponseFormat>, Fault> {
    let Some(format) = format else { return Ok(None) };
    match format["type"].as_str() {
        Some("text") | None => Ok(None),
        Some("json_object") => Ok(Some(ResponseFormat::JsonObject)),
        Some("json_schema") => {
            // Responses have the fields side by side.
            let inner = if format["json_schema"].is_object() { &format["json_schema"] } else { format };
            let missing = || {
                let param = format!("{at}.json_schema.schema");
                Fault::invalid(&param, "missing_required_parameter", "a JSON schema is missing")
            };
            let schema = inner.get("schema").filter(|schema| schema.is_object()).ok_or_else(missing)?;
            Ok(Some(ResponseFormat::JsonSchema {
                name: inner["name"].as_str().unwrap_or("answer").to_owned(),
                schema: schema.clone(),
                strict: inner["strict"].as_bool().unwrap_or_default(),
            }))
        }
        Some(other) => {
            let text =
                format!("`{other}` is no form of an answer: use `text`, `json_object` or `json_schema`");
            Err(Fault::invalid(&format!("{at}.type"), "invalid_value", text))
        }
    }
}

/// What a caller's form, instructions and options change of an agent for one run.
pub(super) fn adjustment(
    api: &Api,
    chosen: &Chosen,
    format: Option<ResponseFormat>,
    at: &str,
    instructions: Option<String>,
    options: Option<ModelOptions>,
) -> Result<Adjustment, Fault> {
    let mut adjustment = Adjustment::default();
    let Some(offered) = chosen.agent(api.service().catalog()) else {
        if format.is_some() {
            let text = "a workflow answers in its own form: leave this out, or ask an agent";
            return Err(Fault::unsupported(at, text));
        }
        return Ok(adjustment);
    };
    adjustment.instructions = instructions;
    adjustment.options = options;
    adjustment.answer_schema = match format {
        None => None,
        Some(ResponseFormat::JsonSchema { schema, .. }) => Some(schema),
        Some(_) => Some(json!({"type": "object"})),
    };
    if let Some(schema) = &adjustment.answer_schema {
        if offered.agent.spec().answer_schema.as_ref().is_some_and(|own| own != schema) {
            let text =
                "this agent has a form of its own for answers: leave this out, and read its answer as JSON";
            return Err(Fault::unsupported(at, text));
        }
        let adjusted = offered.agent.adjusted(&adjustment);
        adjusted.map_err(|error| Fault::invalid(at, "invalid_json_schema", error.to_string()))?;
    }
    Ok(adjustment)
}

/// The key under which a request is done once.
pub(super) fn idempotency(headers: &HeaderMap, digest: ValueId) -> Result<Option<Idempotency>, Fault> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > 255 {
        let text = "use 1 to 255 visible characters of ASCII";
        return Err(Fault::invalid("Idempotency-Key", "invalid_value", text));
    }
    Ok(Some(Idempotency { key: key.to_owned(), body: digest }))
}

/// What the header of options and the words behind the model id say.
pub(super) fn wishes(headers: &HeaderMap, words: &str) -> Result<Wishes, Fault> {
    let header = headers.get("x-martlet-options").and_then(|value| value.to_str().ok());
    Wishes::read(header, words)
}

/// The name that the client has for the conversation, if it has one.
fn session_name<'a>(headers: &'a HeaderMap, metadata: Option<&'a Map<String, Value>>) -> Option<&'a str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    header("x-session-id")
        .or_else(|| metadata?.get("session_id")?.as_str())
        .or_else(|| header("x-openwebui-chat-id"))
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// Answers a conversation, with an agent, a workflow or a plain model, at once or in pieces. An agent does the last message
/// of the user. Where the client names its conversation (`X-Session-Id`, `metadata.session_id`, `X-OpenWebUI-Chat-Id`), the
/// server remembers it and the run goes on without the client; otherwise the conversation is what is sent, and the run is
/// cancelled when the client goes away.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "openai", request_body = ChatRequest,
    params(
        ("X-Session-Id" = Option<String>, Header, description = "The client's name for the conversation."),
        ("X-Martlet-Options" = Option<String>, Header, description = "`think_tags`, `hold`, with commas between them."),
        ("Idempotency-Key" = Option<String>, Header, description = "Under the same key, the same request makes one run."),
    ),
    responses(
        (status = 200, description = "The answer, whole or in pieces.",
         content((Object = "application/json"), (Object = "text/event-stream"))),
        (status = 404, description = "There is no such model."),
        (status = 429, description = "As many runs wait as may wait."),
    ),
)]
pub(crate) async fn create_chat_completion(
    Runner(caller): Runner,
    State(api): State<Api>,
    headers: HeaderMap,
    Posted { body: asked, digest }: Posted<ChatRequest>,
) -> Result<Response, Fault> {
    let (chosen, words) = choose(api.service().catalog(), &asked.model)?;
    let wishes = wishes(&headers, words)?;
    asked.check()?;
    let format = format_of(asked.response_format.as_ref(), "response_format")?;
    let said = asked.said()?;
    let model = match &chosen {
        Chosen::Model { model, .. } => Some(model.clone()),
        other if asked.is_chore(&said) => Some(model_for_chores(&api, other)?),
        _ => None,
    };
    if let Some(model) = model {
        let writer = Writer::new(completion_id(&RunId::from_bits(random_bits())), chosen.id(), wishes);
        return plain_answer(&api, &caller.principal, model, &asked, &said, format, writer).await;
    }
    let conversation = Conversation::of(said, "messages")?;
    let Conversation { instructions, history, task } = conversation;
    let adjustment =
        adjustment(&api, &chosen, format, "response_format", instructions, asked.options(false))?;
    let owner = &caller.principal;
    let session = session(&api, owner, &chosen, &headers, asked.metadata.as_ref()).await?;
    let mut new = NewTask::words(task_text(&task));
    match &chosen {
        Chosen::Workflow(name) => new.workflow = Some(name.clone()),
        Chosen::Agent(name) | Chosen::Model { name, .. } => new.agent = Some(name.clone()),
    }
    // A conversation that is remembered is not told again.
    if !session.as_ref().is_some_and(|session| session.is_remembered)
        && chosen.agent(api.service().catalog()).is_some()
    {
        new.history = messages(&api, owner, &history, Elsewhere::Refused).await?;
    }
    new.files = keep(&api, owner, &task, "messages").await?;
    new.adjustment = adjustment;
    new.idempotency = idempotency(&headers, digest)?;
    if !wishes.hold {
        new.attendance = Attendance::Unattended;
    }
    if asked.metadata.is_some() || asked.user.is_some() {
        new.note = Some(json!({"metadata": asked.metadata, "user": asked.user}));
    }
    // What can be asked for again under its key, and what is remembered, is not lost with the connection.
    let when_left = match session.is_some() || new.idempotency.is_some() {
        true => WhenLeft::GoOn,
        false => WhenLeft::Cancel,
    };
    new.session = session.map(|session| session.id);
    let row = api.service().submit(owner, new).await?;
    let telling = Telling::new(&api, caller.clone(), &row.id, when_left);
    let writer = Writer::new(completion_id(&row.id), chosen.id(), wishes);
    let mut response = match asked.stream.unwrap_or_default() {
        true => {
            let stream = Stream::new(telling, writer, asked.wants_usage());
            sse::response(stream::unfold(stream, async |mut stream| Some((stream.next().await?, stream))))
        }
        false => whole(telling, writer).await?,
    };
    mark(&api, &mut response, &row);
    Ok(response)
}

impl ChatRequest {
    fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or_default()
    }
}

fn completion_id(run: &RunId) -> String {
    format!("chatcmpl-{run}")
}

/// Which run it is, and how much more may be asked.
pub(super) fn mark(api: &Api, response: &mut Response, row: &RunRow) {
    let headers = response.headers_mut();
    headers.extend(allowance_headers(api.service().allowance(&row.owner)));
    if let Ok(run) = HeaderValue::try_from(row.id.as_str()) {
        headers.insert(HeaderName::from_static("x-request-id"), run);
    }
}

/// A conversation that the server remembers.
struct Session {
    id: SessionId,
    /// Whether something of it is remembered already.
    is_remembered: bool,
}

async fn session(
    api: &Api,
    owner: &Principal,
    chosen: &Chosen,
    headers: &HeaderMap,
    metadata: Option<&Map<String, Value>>,
) -> Result<Option<Session>, Fault> {
    let (Chosen::Agent(agent), Some(name)) = (chosen, session_name(headers, metadata)) else {
        return Ok(None);
    };
    let id = adapter::session(api, owner, Some(agent), name).await?;
    let row = api.store().of(owner).session(&id).await.map_err(|error| api.failed(error))?;
    Ok(Some(Session { id, is_remembered: row.is_some_and(|row| row.memory_run.is_some()) }))
}

/// The model that does the chores of chat front ends: that of the agent which they named.
fn model_for_chores(api: &Api, chosen: &Chosen) -> Result<SharedModel, Fault> {
    let catalog = api.service().catalog();
    let of_agent = chosen.agent(catalog).map(|offered| offered.agent.model().clone());
    let none = || {
        let text = "this server has no plain model that could do this: ask an agent, or name an `llm:` model";
        Fault::no_model(text)
    };
    of_agent.or_else(|| catalog.models().values().next().cloned()).ok_or_else(none)
}

/// Waits for the whole answer.
async fn whole(mut telling: Telling, writer: Writer) -> Result<Response, Fault> {
    let mut thoughts = String::new();
    while let Some(told) = telling.next().await {
        match told {
            Told::Thought(text) => thoughts.push_str(&text),
            Told::Comment(_) | Told::Quiet => {}
            Told::Failed(fault) => return Err(fault),
            Told::Ended(row) => {
                let (content, finish) = ending(&row)?;
                return Ok(Json(writer.completion(&thoughts, &content, finish, row.usage)).into_response());
            }
        }
    }
    Err(Problem::internal(&std::io::Error::other("a run was followed and did not end")).into())
}

/// An answer of a run in pieces.
struct Stream {
    telling: Telling,
    writer: Writer,
    with_usage: bool,
    ready: VecDeque<Bytes>,
}

impl Stream {
    fn new(telling: Telling, writer: Writer, with_usage: bool) -> Self {
        let ready = VecDeque::from([writer.role()]);
        Self { telling, writer, with_usage, ready }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            match self.telling.next().await? {
                Told::Comment(text) => return Some(chunks::comment(&text)),
                Told::Quiet => return Some(Bytes::from_static(KEEP_ALIVE)),
                Told::Thought(text) => return Some(self.writer.thought(&text)),
                Told::Failed(fault) => return Some(chunks::failure(&fault)),
                Told::Ended(row) => match ending(&row) {
                    Ok((content, finish)) => {
                        self.ready.push_back(self.writer.content(&content));
                        self.ready.push_back(self.writer.finish(finish));
                        if self.with_usage {
                            self.ready.push_back(self.writer.usage(row.usage));
                        }
                        self.ready.push_back(Bytes::from_static(DONE));
                    }
                    Err(fault) => return Some(chunks::failure(&fault)),
                },
            }
        }
    }
}

/// The answer of a plain model.
async fn plain_answer(
    api: &Api,
    owner: &Principal,
    model: SharedModel,
    asked: &ChatRequest,
    said: &[Said],
    format: Option<ResponseFormat>,
    writer: Writer,
) -> Result<Response, Fault> {
    if api.service().is_draining() {
        let text = "the server is shutting down: try again in a moment";
        return Err(Problem::new(ProblemKind::Draining, text).into());
    }
    let request = ModelRequest {
        messages: messages(api, owner, said, Elsewhere::Passed).await?,
        response_format: format,
        stop: stops(asked.stop.as_ref())?,
        options: asked.options(true).unwrap_or_default(),
        ..ModelRequest::default()
    };
    let mut answering = Answering::new(api, model, request);
    if !asked.stream.unwrap_or_default() {
        let mut thoughts = String::new();
        while let Some(said) = answering.next().await {
            match said {
                plain::Said::Thought(text) => thoughts.push_str(&text),
                plain::Said::Text(_) | plain::Said::Quiet => {}
                plain::Said::Failed(fault) => return Err(fault),
                plain::Said::Replied(reply) => {
                    let finish = plain::finish(&reply);
                    let body = writer.completion(&thoughts, &reply.text, finish, reply.usage);
                    return Ok(Json(body).into_response());
                }
            }
        }
        return Err(Problem::internal(&std::io::Error::other("a model was asked and did not end")).into());
    }
    match tokio::time::timeout(FIRST, answering.next()).await {
        Ok(Some(plain::Said::Failed(fault))) => return Err(fault),
        Ok(Some(first)) => answering.again(first),
        Ok(None) | Err(_) => {}
    }
    let ready = VecDeque::from([writer.role()]);
    let stream = PlainStream { answering, writer, with_usage: asked.wants_usage(), ready };
    Ok(sse::response(stream::unfold(stream, async |mut stream| Some((stream.next().await?, stream)))))
}

/// An answer of a plain model in pieces.
struct PlainStream {
    answering: Answering,
    writer: Writer,
    with_usage: bool,
    ready: VecDeque<Bytes>,
}

impl PlainStream {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            match self.answering.next().await? {
                plain::Said::Quiet => return Some(Bytes::from_static(KEEP_ALIVE)),
                plain::Said::Thought(text) => return Some(self.writer.thought(&text)),
                plain::Said::Text(text) => return Some(self.writer.content(&text)),
                plain::Said::Failed(fault) => return Some(chunks::failure(&fault)),
                plain::Said::Replied(reply) => {
                    self.ready.push_back(self.writer.finish(plain::finish(&reply)));
                    if self.with_usage {
                        self.ready.push_back(self.writer.usage(reply.usage));
                    }
                    self.ready.push_back(Bytes::from_static(DONE));
                }
            }
        }
    }
}

fn stops(stop: Option<&Value>) -> Result<Vec<std::sync::Arc<str>>, Fault> {
    let bad = || Fault::invalid("stop", "invalid_type", "use a text, or a list of texts");
    match stop {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.as_str().into()]),
        Some(Value::Array(texts)) => {
            texts.iter().map(|text| text.as_str().map(Into::into).ok_or_else(bad)).collect()
        }
        Some(_) => Err(bad()),
    }
}
