//! What Gradio's clients use.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use http::Method;
use http::header::AUTHORIZATION;
use martlet_server::{Auth, HttpOptions};
use serde_json::{Value, json};

use super::files::form;
use super::golden::lines;
use super::server::{Client, Frames, quick};
use super::{Server, agents};

async fn index(client: &Client, name: &str) -> Value {
    let config = client.get("/config").await.is(200);
    let all = config["dependencies"].as_array().unwrap();
    let found = all.iter().find(|one| one["api_name"] == name);
    found.unwrap_or_else(|| panic!("{name} is there: {config}"))["id"].clone()
}

async fn join(client: &Client, name: &str, data: Value, visitor: &str) -> String {
    let body = json!({"data": data, "fn_index": index(client, name).await, "session_hash": visitor});
    let joined = client.post("/gradio_api/queue/join", body).await.is(200);
    joined["event_id"].as_str().unwrap().to_owned()
}

async fn stream(client: &Client, visitor: &str) -> Frames {
    let path = format!("/gradio_api/queue/data?session_hash={visitor}");
    Frames::of(client.request(Method::GET, &path)).await
}

async fn messages(client: &Client, visitor: &str) -> Vec<Value> {
    stream(client, visitor).await.all().await.into_iter().map(|frame| frame.data).collect()
}

fn of_kind<'a>(messages: &'a [Value], kind: &str) -> Vec<&'a Value> {
    messages.iter().filter(|message| message["msg"] == kind).collect()
}

fn value(messages: &[Value]) -> Value {
    let completed = of_kind(messages, "process_completed");
    assert_eq!(completed.len(), 1, "{messages:#?}");
    assert_eq!(completed[0]["success"], true, "{messages:#?}");
    completed[0]["output"]["data"][0].clone()
}

#[tokio::test]
async fn the_endpoints_are_the_agents() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    insta::assert_json_snapshot!("gradio_config", ann.get("/config").await.is(200));
    insta::assert_json_snapshot!("gradio_info", ann.get("/gradio_api/info?serialize=False").await.is(200));
    for path in ["/config", "/gradio_api/info", "/gradio_api/heartbeat/x"] {
        assert_eq!(server.nobody().get(path).await.problem(401), "unauthorized");
    }
    // The header that Gradio's Python client has for its `token`, with what else it puts there.
    let with = |header: &str, value: String| {
        let request = server.nobody().request(Method::GET, "/config").header(header, value);
        let client = server.nobody();
        async move { client.send(request).await.status.as_u16() }
    };
    let key = ann.key.clone().unwrap();
    assert_eq!(with("x-hf-authorization", format!("Bearer {key}")).await, 200);
    assert_eq!(with("x-hf-authorization", "Bearer hf_abc".into()).await, 401);
    let both = ann.request(Method::GET, "/config").header("x-hf-authorization", "Bearer hf_abc");
    assert_eq!(ann.send(both).await.status, 200);
    let two = ann.request(Method::GET, "/config").header("x-hf-authorization", "Bearer mrt_other");
    assert_eq!(ann.send(two).await.problem(401), "unauthorized");
    assert_eq!(with(AUTHORIZATION.as_str(), format!("Bearer {key}")).await, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_call_goes_through_the_queue() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    join(&ann, "chat", json!([{"text": "hi", "files": []}]), "s1").await;
    let told = messages(&ann, "s1").await;
    insta::assert_snapshot!("gradio_queue", lines(&told));
    // What is generated with a tool is text that grows, and at last the answer.
    server.agents.gate.add_permits(1);
    join(&ann, "slow", json!(["hi", null, true]), "s1").await;
    let told = messages(&ann, "s1").await;
    let generated = of_kind(&told, "process_generating");
    let mut shown = generated[0]["output"]["data"][0].as_str().unwrap().to_owned();
    for message in &generated[1..] {
        for change in message["output"]["data"][0].as_array().unwrap() {
            assert_eq!(change[1], json!([]));
            match change[0].as_str().unwrap() {
                "append" => shown.push_str(change[2].as_str().unwrap()),
                _ => shown = change[2].as_str().unwrap().to_owned(),
            }
        }
    }
    assert_eq!((json!(shown), value(&told)), (json!("done"), json!("done")));
    assert_eq!(told.last().unwrap()["msg"], "close_stream");
    // Nothing is left.
    assert_eq!(messages(&ann, "s1").await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_session_remembers_and_predict_does_not() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let sessions = async || ann.get("/api/v1/sessions").await.is(200)["sessions"].as_array().unwrap().clone();
    for text in ["one", "two"] {
        join(&ann, "predict", json!([text]), "s1").await;
        assert_eq!(value(&messages(&ann, "s1").await), format!("echo: {text}"));
    }
    assert_eq!(sessions().await.len(), 0);
    for text in ["one", "two"] {
        join(&ann, "chat", json!([text]), "s1").await;
        assert_eq!(value(&messages(&ann, "s1").await), format!("echo: {text}"));
    }
    assert_eq!(sessions().await.len(), 1);
    assert_eq!(sessions().await[0]["runs"], 2);
    // With a history of the client's own, nothing is.
    let history = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    join(&ann, "chat", json!(["three", history]), "s1").await;
    messages(&ann, "s1").await;
    assert_eq!(sessions().await[0]["runs"], 2);
    server.stop().await;
}

/// The load test of the document that these endpoints are from.
#[tokio::test]
async fn five_at_once_are_answered() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let asked = (0..5).map(|number| {
        let body = json!({"data": [{"text": format!("Test query {number}"), "files": []}, [], false]});
        ann.post(
            [
                "/api/predict",
                "/api/predict/",
                "/run/predict",
                "/gradio_api/run/chat",
                "/gradio_api/api/predict",
            ][number],
            body,
        )
    });
    let expected = (0..5).map(|number| format!("echo: Test query {number}"));
    for (answer, expected) in join_all(asked).await.iter().zip(expected) {
        assert_eq!(answer.is(200)["data"], json!([expected]));
        assert_eq!(answer.json()["is_generating"], false);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_in_two_steps_is_asked_for_as_often_as_one_likes() {
    let server = Server::start().await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    let called = ann.post("/gradio_api/call/chat", json!({"data": ["hi"]})).await.is(200);
    let path = format!("/gradio_api/call/chat/{}", called["event_id"].as_str().unwrap());
    for _ in 0..2 {
        let frames = Frames::of(ann.request(Method::GET, &path)).await.all().await;
        let last = frames.last().unwrap();
        assert_eq!((&*last.event, &last.data), ("complete", &json!(["echo: hi"])));
    }
    assert_eq!(bob.get(&path).await.problem(404), "not_found");
    assert_eq!(ann.get(&path.replace("/chat/", "/slow/")).await.problem(404), "not_found");
    assert_eq!(ann.post("/gradio_api/call/nobody", json!({"data": ["hi"]})).await.problem(404), "not_found");
    server.stop().await;
}

#[tokio::test]
async fn fault_09_an_event_is_shown_to_its_owner_alone() {
    let server = Server::start().await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    let event = join(&ann, "slow", json!(["x"]), "same").await;
    server.agents.waiting.notified().await;
    // The name of a session is no key to it.
    assert_eq!(messages(&bob, "same").await.len(), 1);
    join(&bob, "chat", json!(["y"]), "same").await;
    let of_bob = messages(&bob, "same").await;
    assert!(of_bob.iter().all(|message| message["event_id"] != event), "{of_bob:#?}");
    assert_eq!(value(&of_bob), "echo: y");
    for path in ["/gradio_api/cancel", "/gradio_api/reset"] {
        assert_eq!(bob.post(path, json!({"event_id": event})).await.problem(404), "not_found");
        let none = json!({"event_id": null, "fn_index": 0, "session_hash": "same"});
        assert_eq!(bob.post(path, none).await.is(200)["success"], false);
    }
    server.agents.gate.add_permits(1);
    assert_eq!(value(&messages(&ann, "same").await), "done");
    server.stop().await;
}

#[tokio::test]
async fn a_call_is_cancelled_by_name_and_by_going_away() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let event = join(&ann, "slow", json!(["x"]), "s").await;
    let mut frames = stream(&ann, "s").await;
    frames.until(|frame| frame.data["msg"] == "process_generating").await;
    assert_eq!(ann.post("/gradio_api/cancel", json!({"event_id": event})).await.is(200)["success"], true);
    let ended = frames.until(|frame| frame.data["msg"] == "process_completed").await;
    assert_eq!(ended.data["success"], false);
    assert!(ended.data["output"]["error"].as_str().unwrap().contains("cancelled"), "{ended:?}");
    frames.until(|frame| frame.data["msg"] == "close_stream").await;
    server.agents.dropped.notified().await;

    let event = join(&ann, "slow", json!(["x"]), "s").await;
    let mut frames = stream(&ann, "s").await;
    frames.until(|frame| frame.data["msg"] == "process_generating").await;
    drop(frames);
    server.agents.dropped.notified().await;
    assert_eq!(ann.ended(&event).await["outcome"], "cancelled");
    server.stop().await;
}

#[tokio::test]
async fn a_full_queue_has_the_status_that_clients_know() {
    let mut options = quick();
    options.limits.max_running_per_user = 1;
    options.limits.max_queued_per_user = 1;
    let server = Server::start_with(options, HttpOptions::new(Auth::Keys)).await;
    let ann = server.client("ann").await;
    join(&ann, "slow", json!(["x"]), "s").await;
    server.agents.waiting.notified().await;
    let waits = join(&ann, "slow", json!(["x"]), "s").await;
    let mut frames = stream(&ann, "s").await;
    let place = frames.until(|frame| frame.data["msg"] == "estimation").await.data;
    assert_eq!(
        (&place["event_id"], &place["rank"], &place["queue_size"]),
        (&json!(waits), &json!(0), &json!(1))
    );
    let body = json!({"data": ["x"], "fn_index": 0, "session_hash": "s"});
    let full = ann.post("/gradio_api/queue/join", body).await;
    assert_eq!((full.status.as_u16(), full.json()["error"]["code"].clone()), (503, json!("user_limit")));
    assert!(full.headers.contains_key("retry-after"));
    assert_eq!(ann.post("/gradio_api/call/chat", json!({"data": ["x"]})).await.status, 503);
    assert_eq!(ann.post("/api/predict", json!({"data": ["x"]})).await.problem(429), "user_limit");
    server.agents.gate.add_permits(2);
    while frames.next().await.is_some() {}
    server.stop().await;
}

#[tokio::test]
async fn a_person_is_waited_for() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let event = join(&ann, "payer", json!(["bob"]), "s").await;
    let mut frames = stream(&ann, "s").await;
    let log = frames.until(|frame| frame.data["msg"] == "log").await.data;
    let question = ann.question(&event).await;
    assert!(log["log"].as_str().unwrap().contains(question["id"].as_str().unwrap()), "{log}");
    let path = format!("/api/v1/approvals/{}", question["id"].as_str().unwrap());
    ann.post(&path, json!({"decision": "approve"})).await.is(200);
    let ended = frames.until(|frame| frame.data["msg"] == "process_completed").await.data;
    assert_eq!(ended["output"]["data"][0], "paid 5 to bob");
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 1);
    server.stop().await;
}

#[tokio::test]
async fn what_was_joined_is_found_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        Server::start_in(folder.path(), quick(), HttpOptions::new(Auth::Keys), agents(), |router| router)
            .await
    };
    let server = start().await;
    let ann = server.client("ann").await;
    let event = join(&ann, "slow", json!(["x"]), "s").await;
    server.agents.waiting.notified().await;
    let mut frames = stream(&ann, "s").await;
    frames.until(|frame| frame.data["msg"] == "process_generating").await;
    let stopping = tokio::spawn(server.stop());
    let cut = frames.until(|frame| frame.data["msg"] == "process_completed").await.data;
    assert!(cut["output"]["error"].as_str().unwrap().contains("shutting down"), "{cut}");
    stopping.await.unwrap();
    let server = start().await;
    server.agents.gate.add_permits(1);
    let mut back = server.nobody();
    back.key.clone_from(&ann.key);
    let mut frames = stream(&back, "s").await;
    // The tool was under way: a person says what came of it.
    frames.until(|frame| frame.data["msg"] == "log").await;
    let question = back.question(&event).await;
    let path = format!("/api/v1/approvals/{}", question["id"].as_str().unwrap());
    back.post(&path, json!({"decision": "repeat"})).await.is(200);
    let ended = frames.until(|frame| frame.data["msg"] == "process_completed").await.data;
    assert_eq!(ended["output"]["data"][0], "done");
    assert_eq!(ended["event_id"], event, "{ended}");
    server.stop().await;
}

#[tokio::test]
async fn files_have_names_and_no_paths() {
    let server = Server::start().await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    let upload = ann.request(Method::POST, "/gradio_api/upload?upload_id=x");
    let upload = form(upload, &[("../../data.csv", "text/csv", b"a,b\n1,2\n")]);
    let paths = ann.send(upload).await.is(200);
    let path = paths[0].as_str().unwrap();
    assert!(path.starts_with("file_") && !path.contains(['/', '.']), "{path}");
    let file = format!("/gradio_api/file={path}");
    assert_eq!(ann.get(&file).await.text, "a,b\n1,2\n");
    assert_eq!(bob.get(&file).await.problem(404), "not_found");
    for odd in ["/etc/passwd", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "http:%2f%2f127.0.0.1%2f"] {
        assert_eq!(ann.get(&format!("/gradio_api/file={odd}")).await.problem(404), "not_found", "{odd}");
    }
    let data = json!({"path": path, "orig_name": "data.csv", "meta": {"_type": "gradio.FileData"}});
    let asked = json!({"data": [{"text": "x", "files": [data]}]});
    assert_eq!(ann.post("/api/predict", asked.clone()).await.is(200)["data"][0], "echo: x");
    assert_eq!(bob.post("/api/predict", asked).await.problem(404), "not_found");
    for (file, status) in [
        (json!({"path": "http://169.254.169.254/latest", "url": "http://169.254.169.254/latest"}), 404),
        (json!({"path": "/etc/passwd"}), 404),
        (json!({"url": "http://127.0.0.1/"}), 400),
        (json!({"path": "../x.y"}), 400),
    ] {
        let asked = json!({"data": [{"text": "x", "files": [file]}]});
        assert_eq!(ann.post("/api/predict", asked).await.status, status, "{file}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    for (data, param) in [
        (json!([]), "data"),
        (json!([1]), "data[0]"),
        (json!([{"files": []}]), "data[0]"),
        (json!(["x", "history"]), "data[1]"),
        (json!(["x", [], 1]), "data[2]"),
        (json!(["x", [], true, 4]), "data"),
        (json!([""]), "task"),
        (json!([{"text": "x", "files": "y"}]), "data[0].files"),
    ] {
        let answer = ann.post("/api/predict", json!({"data": data})).await;
        assert_eq!(answer.problem(400), "bad_request");
        assert_eq!(answer.json()["error"]["param"], param, "{data}");
    }
    for body in [
        json!({"data": ["x"], "fn_index": 0, "session_hash": ""}),
        json!({"data": ["x"], "fn_index": 0, "session_hash": "a b"}),
        json!({"data": ["x"], "session_hash": "s"}),
    ] {
        assert_eq!(ann.post("/gradio_api/queue/join", body).await.problem(400), "bad_request");
    }
    let unknown = json!({"data": ["x"], "fn_index": 99, "session_hash": "s"});
    assert_eq!(ann.post("/gradio_api/queue/join", unknown).await.problem(404), "not_found");
    server.stop().await;
}
