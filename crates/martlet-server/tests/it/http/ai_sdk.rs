//! The stream of UI messages of the AI SDK.

use std::sync::atomic::Ordering;

use http::Method;
use martlet_server::{Auth, HttpOptions};
use serde_json::{Value, json};

use super::golden::lines;
use super::server::{Client, Frames, quick};
use super::{Server, agents};

/// A chat as a client of the SDK keeps it.
struct Chat {
    client: Client,
    id: &'static str,
    body: Value,
    messages: Vec<Value>,
}

impl Chat {
    fn new(client: &Client, id: &'static str, body: Value) -> Self {
        Self { client: client.clone(), id, body, messages: Vec::new() }
    }

    fn request(&self, trigger: &str) -> reqwest::RequestBuilder {
        let mut body = self.body.clone();
        body["id"] = self.id.into();
        body["messages"] = self.messages.clone().into();
        body["trigger"] = trigger.into();
        self.client.posting("/api/chat", &body)
    }

    fn say(&mut self, text: &str) {
        self.messages.push(json!({"id": "m", "role": "user", "parts": [{"type": "text", "text": text}]}));
    }

    async fn ask(&mut self, text: &str) -> Vec<Value> {
        self.say(text);
        self.send("submit-message").await
    }

    async fn send(&self, trigger: &str) -> Vec<Value> {
        parts(self.request(trigger)).await
    }

    /// The message that these parts make, with the answers to what they ask.
    fn answered(&mut self, parts: &[Value], approved: bool) {
        let part = |kind: &str| parts.iter().find(|part| part["type"] == kind).unwrap().clone();
        let (request, input) = (part("tool-approval-request"), part("tool-input-available"));
        let approval = json!({"id": request["approvalId"], "approved": approved, "reason": "too much"});
        self.messages.push(json!({
            "id": part("start")["messageId"], "role": "assistant", "metadata": part("finish")["messageMetadata"],
            "parts": [{
                "type": "dynamic-tool", "toolName": input["toolName"], "toolCallId": input["toolCallId"],
                "state": "approval-responded", "input": input["input"], "approval": approval,
            }],
        }));
    }
}

/// All parts of a stream; the last frame of it must be the SDK's own end.
async fn parts(request: reqwest::RequestBuilder) -> Vec<Value> {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-vercel-ai-ui-message-stream"], "v1");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let mut data: Vec<_> = text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: ")).collect();
    assert_eq!(data.pop(), Some("[DONE]"), "{text}");
    data.into_iter().map(|json| serde_json::from_str(json).unwrap()).collect()
}

fn of_kind<'a>(parts: &'a [Value], kind: &str) -> Vec<&'a Value> {
    parts.iter().filter(|part| part["type"] == kind).collect()
}

fn text(parts: &[Value]) -> String {
    of_kind(parts, "text-delta").iter().map(|part| part["delta"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_answer_is_a_message_and_is_remembered() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let mut chat = Chat::new(&ann, "my chat", json!({}));
    let first = chat.ask("hello").await;
    insta::assert_snapshot!("ai_sdk_answer", lines(&first));
    assert_eq!(text(&chat.ask("again").await), "echo: again");
    // Both are in one session, under the chat's name.
    let sessions = ann.get("/api/v1/sessions").await.is(200);
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "{sessions}");
    assert_eq!(sessions["sessions"][0]["runs"], 2);
    // The last answer is made anew, in its place.
    let again = chat.send("regenerate-message").await;
    assert_eq!(text(&again), "echo: again");
    assert_ne!(of_kind(&again, "start")[0]["messageId"], of_kind(&first, "start")[0]["messageId"]);
    server.stop().await;
}

#[tokio::test]
async fn a_call_is_approved_in_the_chat_and_the_same_run_goes_on() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let mut chat = Chat::new(&ann, "pay", json!({"agent": "payer"}));
    let asked = chat.ask("bob").await;
    insta::assert_snapshot!("ai_sdk_asked", lines(&asked));
    chat.answered(&asked, true);
    let paid = chat.send("submit-message").await;
    insta::assert_snapshot!("ai_sdk_approved", lines(&paid));
    assert_eq!(of_kind(&paid, "start")[0]["messageId"], of_kind(&asked, "start")[0]["messageId"]);
    // Sent again, it tells the same again and nothing is done twice.
    let again = chat.send("submit-message").await;
    assert_eq!(text(&again), text(&paid));
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_call_is_refused_in_the_chat() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let mut chat = Chat::new(&ann, "pay", json!({"agent": "payer"}));
    let asked = chat.ask("bob").await;
    chat.answered(&asked, false);
    let refused = chat.send("submit-message").await;
    assert_eq!(of_kind(&refused, "tool-output-denied").len(), 1, "{refused:?}");
    assert!(of_kind(&refused, "tool-output-error").is_empty());
    assert!(text(&refused).contains("too much"), "{refused:?}");
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_question_is_answered_as_the_output_of_its_call() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let mut chat = Chat::new(&ann, "ask", json!({"agent": "asker"}));
    let asked = chat.ask("x").await;
    let input = of_kind(&asked, "tool-input-available")[0];
    assert_eq!(input["input"]["question"], "which one?");
    assert_eq!(of_kind(&asked, "data-approval")[0]["data"]["kind"], "question");
    chat.messages.push(json!({
        "role": "assistant", "metadata": of_kind(&asked, "finish")[0]["messageMetadata"],
        "parts": [{
            "type": "dynamic-tool", "toolName": "ask_user", "toolCallId": input["toolCallId"],
            "state": "output-available", "input": input["input"], "output": "the blue one",
        }],
    }));
    let answered = chat.send("submit-message").await;
    assert_eq!(text(&answered), "the blue one", "{answered:?}");
    server.stop().await;
}

#[tokio::test]
async fn the_graph_of_a_workflow_is_shown_as_it_runs() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let mut chat = Chat::new(&ann, "flow", json!({"workflow": "flow"}));
    let parts = chat.ask("go").await;
    let graphs = of_kind(&parts, "data-dag");
    let last = &graphs.last().unwrap()["data"];
    assert!(graphs.iter().all(|graph| graph["id"] == "dag"));
    insta::assert_snapshot!("ai_sdk_graph", lines([last]));
    assert_eq!(of_kind(&parts, "finish")[0]["finishReason"], "stop");
    server.stop().await;
}

#[tokio::test]
async fn a_chat_is_come_back_to_and_stopped() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let bob = server.client("bob").await;
    let mut chat = Chat::new(&ann, "slow", json!({"agent": "slow"}));
    let stream = |client: &Client| client.request(Method::GET, "/api/chat/slow/stream");
    assert_eq!(ann.send(stream(&ann)).await.status, 204);
    chat.say("x");
    let mut frames = Frames::of(chat.request("submit-message")).await;
    frames.until(|frame| frame.data["type"] == "tool-input-available").await;
    // Going away leaves it alone.
    drop(frames);
    assert_eq!(bob.send(stream(&bob)).await.status, 204);
    let back = tokio::spawn(parts(stream(&ann)));
    assert_eq!(bob.post("/api/chat/slow/stop", json!({})).await.status, 204);
    server.agents.gate.add_permits(1);
    let back = back.await.unwrap();
    assert_eq!(text(&back), "done");
    assert_eq!(of_kind(&back, "tool-output-available").len(), 1);
    assert_eq!(ann.send(stream(&ann)).await.status, 204);

    let mut chat = Chat::new(&ann, "slow too", json!({"agent": "slow"}));
    chat.say("x");
    let mut frames = Frames::of(chat.request("submit-message")).await;
    frames.until(|frame| frame.data["type"] == "tool-input-available").await;
    assert_eq!(ann.post("/api/chat/slow%20too/stop", json!({})).await.status, 204);
    frames.until(|frame| frame.data["type"] == "abort").await;
    server.agents.dropped.notified().await;
    // And who wants it so, stops it by going away.
    let mut chat = Chat::new(&ann, "slow again", json!({"agent": "slow", "disconnect": "cancel"}));
    chat.say("x");
    let mut frames = Frames::of(chat.request("submit-message")).await;
    frames.until(|frame| frame.data["type"] == "tool-input-available").await;
    drop(frames);
    server.agents.dropped.notified().await;
    server.stop().await;
}

#[tokio::test]
async fn a_chat_outlives_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        Server::start_in(folder.path(), quick(), HttpOptions::new(Auth::Keys), agents(), |router| router)
            .await
    };
    let server = start().await;
    let ann = server.client("ann").await;
    let mut chat = Chat::new(&ann, "pay", json!({"agent": "payer"}));
    let asked = chat.ask("bob").await;
    server.stop().await;
    let server = start().await;
    let mut back = server.nobody();
    back.key.clone_from(&ann.key);
    let shown = parts(back.request(Method::GET, "/api/chat/pay/stream")).await;
    assert_eq!(of_kind(&shown, "tool-approval-request"), of_kind(&asked, "tool-approval-request"));
    chat.client = back;
    chat.answered(&asked, true);
    assert_eq!(text(&chat.send("submit-message").await), "paid 5 to bob");
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let mut options = quick();
    options.limits.max_running_per_user = 1;
    options.limits.max_queued_per_user = 1;
    let server = Server::start_with(options, HttpOptions::new(Auth::Keys)).await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    let user = json!({"role": "user", "parts": [{"type": "text", "text": "x"}]});
    let odd = [
        (json!({"id": "c", "messages": []}), "messages"),
        (json!({"id": "", "messages": [user]}), "session_id"),
        (json!({"id": "c", "messages": [user], "trigger": "x"}), "trigger"),
        (json!({"id": "c", "messages": [user], "disconnect": "x"}), "disconnect"),
        (json!({"id": "c", "messages": [{"role": "assistant", "parts": []}]}), "messages"),
        (
            json!({"id": "c", "messages": [{"role": "user", "parts": [{"type": "text", "text": " "}]}]}),
            "task",
        ),
        (
            json!({"id": "c", "messages": [{"role": "user", "parts": [{"type": "file", "url": "http://169.254.169.254/"}]}]}),
            "messages",
        ),
        (json!({"id": "c", "messages": "x"}), "messages"),
    ];
    for (body, param) in odd {
        let answer = ann.post("/api/chat", body.clone()).await;
        assert_eq!(answer.status, 400, "{body} {answer:?}");
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    let unknown = json!({"id": "d", "messages": [user], "agent": "nobody"});
    assert_eq!(ann.post("/api/chat", unknown).await.problem(404), "not_found");
    // The question of another owner is not there.
    let mut chat = Chat::new(&ann, "pay", json!({"agent": "payer"}));
    let asked = chat.ask("bob").await;
    chat.answered(&asked, true);
    chat.client = bob;
    assert_eq!(chat.client.send(chat.request("submit-message")).await.problem(404), "not_found");
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 0);
    ann.post("/api/chat/pay/stop", json!({})).await;
    // A full queue.
    ann.start(json!({"agent": "slow", "task": "x"})).await;
    server.agents.waiting.notified().await;
    ann.start(json!({"agent": "slow", "task": "x"})).await;
    let full = ann.post("/api/chat", json!({"id": "e", "messages": [user]})).await;
    assert_eq!(full.problem(429), "user_limit");
    server.agents.gate.add_permits(2);
    server.stop().await;
}
