//! AG-UI.

use std::sync::atomic::Ordering;

use martlet_server::{Auth, HttpOptions};
use serde_json::{Value, json};

use super::golden::lines;
use super::server::{Client, Frames, quick};
use super::{Server, agents};

fn input(thread: &str, run: &str, text: &str) -> Value {
    json!({
        "threadId": thread, "runId": run, "protocolVersion": "1.0.0", "tools": [], "context": [], "forwardedProps": {},
        "messages": [{"id": "m1", "role": "user", "content": text}],
    })
}

async fn events(client: &Client, agent: &str, input: &Value) -> Vec<Value> {
    let frames = Frames::of(client.posting(&format!("/agui/{agent}"), input)).await.all().await;
    let events: Vec<_> = frames.into_iter().map(|frame| frame.data).collect();
    check(&events);
    events
}

/// The rules of the protocol that its client checks.
fn check(events: &[Value]) {
    assert_eq!(events[0]["type"], "RUN_STARTED", "{events:?}");
    let last = events.last().unwrap()["type"].as_str().unwrap();
    assert!(matches!(last, "RUN_FINISHED" | "RUN_ERROR"), "{events:?}");
    let mut open = Vec::new();
    for event in events {
        let of = &event["subagentRunId"];
        let name = ["messageId", "toolCallId", "stepName"].iter().find_map(|key| event[*key].as_str());
        let (kind, key) = match event["type"].as_str().unwrap() {
            kind if kind.starts_with("SUBAGENT") => (kind, of.as_str()),
            kind => (kind, name),
        };
        let key = |opened: &str| format!("{opened} {} {of}", key.unwrap_or_default());
        for (opens, closes) in [
            ("TEXT_MESSAGE_START", "TEXT_MESSAGE_END"),
            ("REASONING_START", "REASONING_END"),
            ("REASONING_MESSAGE_START", "REASONING_MESSAGE_END"),
            ("TOOL_CALL_START", "TOOL_CALL_END"),
            ("STEP_STARTED", "STEP_FINISHED"),
            ("SUBAGENT_STARTED", "SUBAGENT_FINISHED"),
        ] {
            if kind == opens {
                assert!(!open.contains(&key(opens)), "{kind} twice: {events:#?}");
                open.push(key(opens));
            } else if kind == closes {
                let place = open.iter().position(|open| *open == key(opens));
                open.remove(place.unwrap_or_else(|| panic!("{event} closes nothing: {events:#?}")));
            }
        }
    }
    assert!(open.is_empty() || last == "RUN_ERROR", "{open:?} {events:#?}");
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

fn interrupts(events: &[Value]) -> Vec<Value> {
    let outcome = &events.last().unwrap()["outcome"];
    assert_eq!(outcome["type"], "interrupt", "{events:#?}");
    outcome["interrupts"].as_array().unwrap().clone()
}

fn resume(mut input: Value, run: &str, interrupt: &Value, status: &str, payload: Value) -> Value {
    input["runId"] = run.into();
    input["resume"] = json!([{"interruptId": interrupt["id"], "status": status, "payload": payload}]);
    input
}

#[tokio::test]
async fn a_run_is_told_in_events_and_a_retry_is_the_same_run() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let mut asked = input("t", "r1", "hello");
    let told = events(&ann, "echo", &asked).await;
    insta::assert_snapshot!("ag_ui_answer", lines(&told));
    // The same name is the same run; with other content it is a mistake.
    assert_eq!(lines(&events(&ann, "echo", &asked).await), lines(&told));
    let runs = ann.get("/api/v1/runs").await.is(200);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
    asked["messages"][0]["content"] = "other".into();
    assert_eq!(ann.post("/agui/echo", asked.clone()).await.problem(422), "idempotency_key_reused");
    // What surrounds the conversation is told to the agent.
    asked["runId"] = "r2".into();
    asked["context"] = json!([{"description": "page", "value": "start"}]);
    asked["messages"][0]["content"] = json!([{"type": "text", "text": "hi"}]);
    let told = events(&ann, "echo", &asked).await;
    assert_eq!(told.last().unwrap()["result"], "echo: hi\n\nContext:\n- page: start");
    server.stop().await;
}

#[tokio::test]
async fn a_call_interrupts_the_run_until_it_is_approved() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let asked = input("t", "r1", "bob");
    let told = events(&ann, "payer", &asked).await;
    insta::assert_snapshot!("ag_ui_interrupt", lines(&told));
    let interrupt = &interrupts(&told)[0];
    // Nothing else can be asked meanwhile.
    assert_eq!(ann.post("/agui/payer", input("t", "r2", "eve")).await.problem(409), "conflict");
    let resumed = resume(asked.clone(), "r3", interrupt, "resolved", json!({"approved": true}));
    let told = events(&ann, "payer", &resumed).await;
    insta::assert_snapshot!("ag_ui_resumed", lines(&told));
    // Sent again, it is told again and done once.
    assert_eq!(lines(&events(&ann, "payer", &resumed).await), lines(&told));
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 1);
    server.stop().await;
}

#[tokio::test]
async fn interrupts_are_edited_refused_and_answered() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let cases = [
        ("resolved", json!({"approved": true, "editedArgs": {"to": "eve", "amount": 1}}), "paid 1 to eve"),
        ("resolved", json!({"approved": false, "reason": "too much"}), "too much"),
        ("cancelled", Value::Null, "said no"),
    ];
    for (number, (status, payload, expected)) in cases.into_iter().enumerate() {
        let asked = input(&format!("t{number}"), "r1", "bob");
        let told = events(&ann, "payer", &asked).await;
        let wrong = resume(asked.clone(), "r2", &interrupts(&told)[0], "resolved", json!({"editedArgs": 1}));
        assert_eq!(ann.post("/agui/payer", wrong).await.problem(400), "bad_request");
        let resumed = resume(asked, "r2", &interrupts(&told)[0], status, payload);
        let told = events(&ann, "payer", &resumed).await;
        assert_eq!(of_kind(&told, "TOOL_CALL_RESULT").len(), 1);
        assert!(of_kind(&told, "TOOL_CALL_START").is_empty(), "{told:#?}");
        assert!(told.last().unwrap()["result"].as_str().unwrap().contains(expected), "{told:#?}");
    }
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 1);
    let asked = input("q", "r1", "x");
    let told = events(&ann, "asker", &asked).await;
    let interrupt = &interrupts(&told)[0];
    assert_eq!(
        (&interrupt["reason"], &interrupt["message"]),
        (&json!("input_required"), &json!("which one?"))
    );
    let call = of_kind(&told, "TOOL_CALL_START")[0];
    assert_eq!(interrupt["toolCallId"], call["toolCallId"]);
    let resumed = resume(asked, "r2", interrupt, "resolved", json!({"answer": "the blue one"}));
    assert_eq!(events(&ann, "asker", &resumed).await.last().unwrap()["result"], "the blue one");
    server.stop().await;
}

#[tokio::test]
async fn the_graph_of_a_workflow_is_an_activity() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let told = events(&ann, "workflow:flow", &input("t", "r1", "go")).await;
    let snapshot = of_kind(&told, "ACTIVITY_SNAPSHOT")[0];
    let mut graph = snapshot["content"].clone();
    for delta in of_kind(&told, "ACTIVITY_DELTA") {
        assert_eq!(delta["messageId"], snapshot["messageId"]);
        for change in delta["patch"].as_array().unwrap() {
            let (parent, field) = change["path"].as_str().unwrap().rsplit_once('/').unwrap();
            graph.pointer_mut(parent).unwrap()[field] = change["value"].clone();
        }
    }
    insta::assert_snapshot!("ag_ui_graph", lines([&graph]));
    server.stop().await;
}

#[tokio::test]
async fn a_run_ends_when_the_client_goes_unless_it_is_to_go_on() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let mut frames = Frames::of(ann.posting("/agui/slow", &input("t", "r1", "x"))).await;
    frames.until(|frame| frame.data["type"] == "TOOL_CALL_START").await;
    drop(frames);
    server.agents.dropped.notified().await;
    let told = events(&ann, "slow", &input("t", "r1", "x")).await;
    assert_eq!(told.last().unwrap()["outcome"]["type"], "cancelled");
    let detached = "/agui/slow?disconnect=detach";
    let mut frames = Frames::of(ann.posting(detached, &input("t", "r2", "x"))).await;
    frames.until(|frame| frame.data["type"] == "TOOL_CALL_START").await;
    drop(frames);
    server.agents.gate.add_permits(1);
    let told = events(&ann, "slow", &input("t", "r2", "x")).await;
    assert_eq!(told.last().unwrap()["result"], "done");
    server.stop().await;
}

#[tokio::test]
async fn an_interrupt_outlives_the_server_and_is_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        Server::start_in(folder.path(), quick(), HttpOptions::new(Auth::Keys), agents(), |router| router)
            .await
    };
    let server = start().await;
    let ann = server.client("ann").await;
    let bob = server.client("bob").await;
    let asked = input("t", "r1", "bob");
    let told = events(&ann, "payer", &asked).await;
    let resumed = resume(asked.clone(), "r2", &interrupts(&told)[0], "resolved", json!({"approved": true}));
    assert_eq!(bob.post("/agui/payer", resumed.clone()).await.problem(404), "not_found");
    let mut elsewhere = resumed.clone();
    elsewhere["threadId"] = "another".into();
    assert_eq!(ann.post("/agui/payer", elsewhere).await.problem(404), "not_found");
    server.stop().await;
    let server = start().await;
    let mut back = server.nobody();
    back.key.clone_from(&ann.key);
    let told = events(&back, "payer", &resumed).await;
    assert_eq!(told.last().unwrap()["result"], "paid 5 to bob");
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let mut options = quick();
    options.limits.max_running_per_user = 1;
    options.limits.max_queued_per_user = 1;
    let server = Server::start_with(options, HttpOptions::new(Auth::Keys)).await;
    let ann = server.client("ann").await;
    let with = |key: &str, value: Value| {
        let mut input = input("t", "r", "x");
        input[key] = value;
        input
    };
    for (body, param) in [
        (with("messages", json!([])), "messages"),
        (with("messages", json!([{"role": "assistant", "content": "x"}])), "messages"),
        (with("threadId", json!("")), "session_id"),
        (with("runId", json!("")), "runId"),
        (with("runId", json!(1)), "runId"),
        (with("resume", json!([{"interruptId": "x", "status": "maybe"}])), "resume[0].status"),
        (
            with(
                "messages",
                json!([{"role": "user", "content": [{"type": "image", "source": {"type": "url", "value": "http://127.0.0.1/"}}]}]),
            ),
            "messages",
        ),
    ] {
        let answer = ann.post("/agui/echo", body.clone()).await;
        assert_eq!(answer.status, 400, "{body} {answer:?}");
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    assert_eq!(ann.post("/agui/nobody", input("t", "r", "x")).await.problem(404), "not_found");
    assert_eq!(ann.post("/agui/workflow:echo", input("t", "r", "x")).await.problem(404), "not_found");
    let unknown = with("resume", json!([{"interruptId": "x", "status": "cancelled"}]));
    assert_eq!(ann.post("/agui/echo", unknown).await.problem(404), "not_found");
    ann.start(json!({"agent": "slow", "task": "x"})).await;
    server.agents.waiting.notified().await;
    // One that waits tells its place in line.
    let mut waiting = Frames::of(ann.posting("/agui/echo", &input("t", "r1", "x"))).await;
    let place = waiting.until(|frame| frame.data["type"] == "CUSTOM").await;
    assert_eq!((&place.data["name"], &place.data["value"]["position"]), (&json!("queue"), &json!(1)));
    assert_eq!(ann.post("/agui/echo", input("u", "r1", "x")).await.problem(429), "user_limit");
    server.agents.gate.add_permits(1);
    waiting.until(|frame| frame.data["type"] == "RUN_FINISHED").await;
    server.stop().await;
}
