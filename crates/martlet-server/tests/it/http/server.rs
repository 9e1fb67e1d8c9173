//! A server and its clients.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use futures::StreamExt as _;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use martlet::core::{ModelRequest, Principal, Role};
use martlet::tools::{ToolExt as _, tool_fn};
use martlet::{Agent, Graph, NodeFailure, ToolContext, ToolError, ToolSpec};
use martlet_server::keys::{ApiKey, KeyRequest, Scope, Scopes};
use martlet_server::{
    Auth, Catalog, Foundation, HttpOptions, OfferedAgent, Price, Service, ServiceOptions, router, serve,
};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;

/// What should happen within this time, on a machine that does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(20);

#[derive(Deserialize, JsonSchema)]
struct Payment {
    /// To whom.
    to: String,
    /// How much.
    amount: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// What the test sees of the agents, and how it holds them.
#[derive(Clone)]
pub(crate) struct Agents {
    /// A permit lets the agent `slow` answer once.
    pub(crate) gate: Arc<Semaphore>,
    /// Told when `slow` begins to wait for one.
    pub(crate) waiting: Arc<Notify>,
    /// Told when a wait of `slow` was given up.
    pub(crate) dropped: Arc<Notify>,
    /// How often the tool `pay` was performed.
    pub(crate) paid: Arc<AtomicUsize>,
    /// The agent that is taken where a request names none.
    pub(crate) default: &'static str,
    /// How often `slow` began to wait.
    pub(crate) waiters: Arc<AtomicUsize>,
}

pub(crate) fn agents() -> Agents {
    Agents {
        gate: Arc::new(Semaphore::new(0)),
        waiting: Arc::default(),
        dropped: Arc::default(),
        paid: Arc::default(),
        default: "echo",
        waiters: Arc::default(),
    }
}

struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn last_task(request: &ModelRequest) -> String {
    let user = request.messages.iter().rev().find(|message| message.role == Role::User);
    user.map(|message| message.joined_text()).unwrap_or_default()
}

fn has_result(request: &ModelRequest) -> bool {
    request.messages.iter().any(|message| message.role == Role::Tool)
}

fn answer(text: impl Into<String>) -> ScriptedReply {
    ScriptedReply::tool_call("final_answer", json!({ "answer": text.into() }))
}

impl Agents {
    /// `echo` answers with the task. `slow` waits until it is let. `payer` pays when a person says so.
    /// `spender` does that, waits as `slow` does, and pays again. `recall` repeats what people said.
    pub(crate) fn catalog(&self, foundation: &Foundation) -> Catalog {
        let echo = ScriptedModel::from_fn(|request, _| answer(format!("echo: {}", last_task(request))));
        let slow = ScriptedModel::from_fn(|request, _| match has_result(request) {
            true => answer("done"),
            false => ScriptedReply::tool_call("wait", json!({})),
        });
        let (gate, waiting, dropped) = (self.gate.clone(), self.waiting.clone(), self.dropped.clone());
        let waiters = self.waiters.clone();
        let wait = tool_fn(ToolSpec::new("wait", "Waits."), move |_: Nothing, _cx: ToolContext| {
            let (gate, waiting, told) = (gate.clone(), waiting.clone(), Told(dropped.clone()));
            let waiters = waiters.clone();
            async move {
                waiters.fetch_add(1, Ordering::SeqCst);
                waiting.notify_one();
                gate.acquire().await.map_err(|error| ToolError::new(error.to_string()))?.forget();
                // It was let: this is no wait that was given up.
                std::mem::forget(told);
                Ok::<_, ToolError>("waited")
            }
        });
        let payer = ScriptedModel::from_fn(|request, _| match has_result(request) {
            true => {
                let result = request.messages.iter().rev().find(|message| message.role == Role::Tool);
                answer(result.map(|message| message.joined_text()).unwrap_or_default())
            }
            false => ScriptedReply::tool_call("pay", json!({"to": last_task(request), "amount": 5})),
        });
        let paid = self.paid.clone();
        let pay = tool_fn(ToolSpec::new("pay", "Pays."), move |payment: Payment, _cx: ToolContext| {
            paid.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, ToolError>(format!("paid {} to {}", payment.amount, payment.to)) }
        });
        let spender = ScriptedModel::from_fn(|request, _| {
            let results: Vec<_> =
                request.messages.iter().filter(|message| message.role == Role::Tool).collect();
            match results.as_slice() {
                [] => ScriptedReply::tool_call("pay", json!({"to": last_task(request), "amount": 1})),
                [_] => ScriptedReply::tool_call("wait", json!({})),
                [_, _] => ScriptedReply::tool_call("pay", json!({"to": last_task(request), "amount": 2})),
                [.., last] => answer(last.joined_text()),
            }
        });
        let recall = ScriptedModel::from_fn(|request, _| {
            let of_user = request.messages.iter().filter(|message| message.role == Role::User);
            let texts: Vec<_> = of_user.map(|message| message.joined_text()).collect();
            answer(texts.join(" | "))
        });
        let asker = ScriptedModel::from_fn(|request, _| match has_result(request) {
            true => {
                let result = request.messages.iter().rev().find(|message| message.role == Role::Tool);
                answer(result.map(|message| message.joined_text()).unwrap_or_default())
            }
            false => ScriptedReply::tool_call("ask_user", json!({"question": "which one?"})),
        });
        let planner = ScriptedModel::from_fn(|_, _| {
            let task = json!({"description": "pay", "tool_name": "pay", "requires_user_input": false});
            let plan = json!({"has_sufficient_info": true, "reasoning": "clear", "tasks": [task]});
            ScriptedReply::text(plan.to_string())
        });
        let flow = Graph::new("flow")
            .node("a", |_: martlet::Input| async { Ok::<_, NodeFailure>(json!("from a")) })
            .node("b", |_: martlet::Input| async { Ok::<_, NodeFailure>(json!("from b")) })
            .edge("a", "b")
            .build()
            .unwrap();
        let agent = |model| Agent::tool_calling(model);
        let spender = agent(spender).tool(pay.clone().needs_approval()).tool(wait.clone()).build().unwrap();
        let price = Some(Price { input: 0.15, output: 0.6 });
        let spender = OfferedAgent { agent: spender, timeout: None, price };
        Catalog::new()
            .agent("echo", agent(echo).build().unwrap())
            .agent("slow", agent(slow).tool(wait.clone()).build().unwrap())
            .agent("payer", agent(payer).tool(pay.clone().needs_approval()).build().unwrap())
            .agent("asker", agent(asker).tool(foundation.ask_user()).build().unwrap())
            .agent("spender", spender)
            .agent("recall", agent(recall).build().unwrap())
            .agent("planner", Agent::reasoning(planner).tool(pay.needs_approval()).build().unwrap())
            .workflow("flow", flow)
            .default_agent(self.default)
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) service: Service,
    pub(crate) agents: Agents,
    folder: Option<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<std::io::Result<()>>>,
}

pub(crate) fn quick() -> ServiceOptions {
    let mut options = ServiceOptions::default();
    options.grace = Duration::from_millis(200);
    options
}

impl Server {
    /// Where everybody shows a key.
    pub(crate) async fn start() -> Self {
        Self::start_with(quick(), HttpOptions::new(Auth::Keys)).await
    }

    /// Where `payer` is taken if no agent is named.
    pub(crate) async fn start_payer() -> Self {
        Self::start_agents(Agents { default: "payer", ..agents() }).await
    }

    /// Where `planner` is.
    pub(crate) async fn start_planner() -> Self {
        Self::start_agents(Agents { default: "planner", ..agents() }).await
    }

    /// Where `slow` is.
    pub(crate) async fn start_slow() -> Self {
        Self::start_agents(Agents { default: "slow", ..agents() }).await
    }

    async fn start_agents(agents: Agents) -> Self {
        let (folder, http) = (tempfile::tempdir().unwrap(), HttpOptions::new(Auth::Keys));
        let mut server = Self::start_in(folder.path(), quick(), http, agents, |router| router).await;
        server.folder = Some(folder);
        server
    }

    pub(crate) async fn start_with(service: ServiceOptions, http: HttpOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self::start_in(folder.path(), service, http, agents(), |router| router).await;
        server.folder = Some(folder);
        server
    }

    pub(crate) async fn start_in(
        folder: &Path,
        service: ServiceOptions,
        http: HttpOptions,
        agents: Agents,
        mount: impl FnOnce(Router) -> Router,
    ) -> Self {
        Self::start_offering(folder, service, http, agents, |_, catalog| catalog, mount).await
    }

    /// Where more is on offer.
    pub(crate) async fn start_with_more(
        service: ServiceOptions,
        more: impl FnOnce(&Foundation, Catalog) -> Catalog,
    ) -> Self {
        let (folder, http) = (tempfile::tempdir().unwrap(), HttpOptions::new(Auth::Keys));
        let mut server =
            Self::start_offering(folder.path(), service, http, agents(), more, |router| router).await;
        server.folder = Some(folder);
        server
    }

    async fn start_offering(
        folder: &Path,
        service: ServiceOptions,
        http: HttpOptions,
        agents: Agents,
        more: impl FnOnce(&Foundation, Catalog) -> Catalog,
        mount: impl FnOnce(Router) -> Router,
    ) -> Self {
        let foundation = Foundation::open(folder, service).unwrap();
        let catalog = more(&foundation, agents.catalog(&foundation));
        let service = foundation.serve(catalog).await.unwrap();
        let app = mount(router(service.clone(), http));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let task = tokio::spawn(serve(listener, app, service.clone(), stopped));
        Self { address, service, agents, folder: None, stop: Some(stop), task: Some(task) }
    }

    /// Ends it as SIGTERM does, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> Option<TempDir> {
        drop(self.stop.take());
        let task = self.task.take().unwrap();
        tokio::time::timeout(SOON, task).await.expect("the server ends").unwrap().unwrap();
        self.folder.take()
    }

    /// Asks it to end.
    pub(crate) fn ask_to_stop(&mut self) -> JoinHandle<std::io::Result<()>> {
        drop(self.stop.take());
        self.task.take().unwrap()
    }

    /// A client with a key for this user of the tenant `acme`, with these scopes.
    pub(crate) async fn client_with(&self, user: &str, scopes: impl IntoIterator<Item = Scope>) -> Client {
        let owner = Principal::new("acme", user).unwrap();
        let scopes = Scopes::from_iter(scopes);
        let request = KeyRequest { owner, scopes, label: String::new(), created_ms: 1, expires_ms: None };
        let (key, row) = ApiKey::issue(request).unwrap();
        self.service.store().create_key(row).await.unwrap();
        Client::new(self.address, Some(key.text().expose().to_owned()))
    }

    /// A client that may run and read.
    pub(crate) async fn client(&self, user: &str) -> Client {
        self.client_with(user, [Scope::Run, Scope::Read]).await
    }

    /// A client without a key.
    pub(crate) fn nobody(&self) -> Client {
        Client::new(self.address, None)
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) key: Option<String>,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of an answer that must have this status.
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The code of a problem that must have this status.
    pub(crate) fn problem(&self, status: u16) -> String {
        let json = self.is(status);
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        json["error"]["code"].as_str().unwrap().to_owned()
    }
}

impl Client {
    fn new(address: SocketAddr, key: Option<String>) -> Self {
        // Somebody else may have installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, base: format!("http://{address}"), key }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        Answer { status, headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).header(ACCEPT, "application/json")).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) fn posting(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body.to_string())
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.posting(path, &body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        let request = self.request(Method::PATCH, path).header(CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// Takes a run in and gives its name.
    pub(crate) async fn start(&self, body: Value) -> String {
        self.post("/api/v1/runs", body).await.is(202)["id"].as_str().unwrap().to_owned()
    }

    /// Does a run and waits until it has ended, or waits for a person.
    pub(crate) async fn run(&self, body: Value) -> Value {
        let answer = self.send(self.posting("/api/v1/runs", &body).header("prefer", "wait=60")).await;
        assert!(answer.status.is_success(), "{answer:?}");
        answer.json()
    }

    pub(crate) async fn ended(&self, run: &str) -> Value {
        let frames = self.events(run, 0).await.all().await;
        assert_eq!(frames.last().unwrap().event, "end");
        self.get(&format!("/api/v1/runs/{run}")).await.is(200)
    }

    pub(crate) async fn events(&self, run: &str, after: u64) -> Frames {
        let request = self.request(Method::GET, &format!("/api/v1/runs/{run}/events"));
        Frames::of(request.header(ACCEPT, "text/event-stream").header("last-event-id", after)).await
    }

    /// The question that a run waits with.
    pub(crate) async fn question(&self, run: &str) -> Value {
        let list = self.get("/api/v1/approvals").await.is(200);
        let own = list["approvals"].as_array().unwrap().iter().find(|one| one["run"] == run);
        own.unwrap_or_else(|| panic!("{run} asks something: {list}")).clone()
    }
}

/// A frame of a stream of events.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Frame {
    pub(crate) id: Option<u64>,
    pub(crate) event: String,
    pub(crate) data: Value,
}

pub(crate) struct Frames {
    pub(crate) headers: HeaderMap,
    chunks: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Frames {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        assert_eq!(headers[CONTENT_TYPE], "text/event-stream");
        Self { headers, chunks: response.bytes_stream().boxed(), text: String::new() }
    }

    /// The next frame that is no comment; nothing at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let mut frame = Frame::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("id", id)) => frame.id = Some(id.parse().unwrap()),
                        Some(("event", name)) => frame.event = name.into(),
                        // So ends a stream of other protocols.
                        Some(("data", "[DONE]")) => frame.event = "done".into(),
                        Some(("data", data)) => frame.data = serde_json::from_str(data).unwrap(),
                        _ => {}
                    }
                }
                if frame != Frame::default() {
                    return Some(frame);
                }
            }
            let chunk = tokio::time::timeout(SOON, self.chunks.next()).await.expect("something is sent");
            match chunk {
                Some(Ok(chunk)) => self.text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub(crate) async fn all(mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// Reads on until there is such a frame.
    pub(crate) async fn until(&mut self, mut is_it: impl FnMut(&Frame) -> bool) -> Frame {
        let mut seen = Vec::new();
        while let Some(frame) = self.next().await {
            if is_it(&frame) {
                return frame;
            }
            seen.push(frame);
        }
        panic!("the stream ended without it: {seen:#?}");
    }
}
