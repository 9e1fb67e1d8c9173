//! What goes wrong, in OpenAI's words.

use std::time::{Duration, Instant};

use martlet_testkit::{FakeServer, Reply};
use serde_json::json;

use super::{Blocks, ask, data, quick, serving, streamed};
use crate::http::Server;
use crate::http::server::SOON;

const PATH: &str = "/v1/chat/completions";

#[tokio::test]
async fn mistakes_are_named() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let user = json!([{"role": "user", "content": "x"}]);
    let cases = [
        (json!({"model": "none", "messages": user}), 404, "model_not_found", "model"),
        (json!({"messages": user}), 400, "bad_request", "model"),
        (json!({"model": "echo", "messages": user, "n": 2}), 400, "unsupported_parameter", "n"),
        (
            json!({"model": "echo", "messages": user, "tools": [{"type": "function"}]}),
            400,
            "unsupported_parameter",
            "tools",
        ),
        (json!({"model": "echo", "messages": []}), 400, "invalid_value", "messages"),
        (
            json!({"model": "echo", "messages": [{"role": "assistant", "content": "x"}]}),
            400,
            "invalid_value",
            "messages",
        ),
        (json!({"model": "echo", "messages": user, "stream": "yes"}), 400, "bad_request", "stream"),
        (json!({"model": "echo+loud", "messages": user}), 400, "unknown_option", "model"),
        (
            json!({"model": "echo", "messages": user, "response_format": {"type": "xml"}}),
            400,
            "invalid_value",
            "response_format.type",
        ),
    ];
    for (body, status, code, param) in cases {
        let error = ann.post(PATH, body.clone()).await.is(status)["error"].clone();
        assert_eq!((&error["code"], &error["param"]), (&json!(code), &json!(param)), "{body}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    assert_eq!(ann.get("/api/v1/runs").await.is(200)["runs"], json!([]), "nothing was begun");
    server.stop().await;
}

#[tokio::test]
async fn who_has_no_key_is_told_in_the_same_form() {
    let server = Server::start().await;
    for path in ["/v1/models", "/v1/models/x"] {
        let answer = server.nobody().get(path).await;
        let error = answer.is(401)["error"].clone();
        assert_eq!(
            (&error["code"], &error["type"]),
            (&json!("invalid_api_key"), &json!("authentication_error"))
        );
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    let answer = server
        .client_with("ann", [martlet_server::keys::Scope::Read])
        .await
        .post(PATH, ask("echo", "x"))
        .await;
    assert_eq!(answer.is(403)["error"]["type"], "permission_error");
    let nowhere = server.client("ann").await.get("/v1/nothing").await;
    assert_eq!(nowhere.is(404)["error"]["type"], "invalid_request_error");
    server.stop().await;
}

#[tokio::test]
async fn a_full_line_is_a_429_with_the_time_to_come_back() {
    let mut options = quick();
    options.limits.max_running_per_user = 1;
    options.limits.max_queued_per_user = 1;
    let server = Server::start_with_more(options, |_, catalog| catalog).await;
    let ann = server.client("ann").await;
    ann.start(json!({"agent": "slow", "task": "x"})).await;
    server.agents.waiting.notified().await;
    ann.start(json!({"agent": "slow", "task": "y"})).await;
    for body in [ask("echo", "x"), streamed("echo", "x")] {
        let answer = ann.post(PATH, body).await;
        let error = answer.is(429)["error"].clone();
        assert_eq!((&error["code"], &error["type"]), (&json!("user_limit"), &json!("rate_limit_error")));
        let seconds: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=120).contains(&seconds));
        assert_eq!(answer.headers["x-ratelimit-remaining-requests"], "0");
        assert!(!answer.headers.contains_key("x-should-retry"), "coming back does no harm");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_failure_after_the_first_byte_is_told_in_the_stream() {
    let fake = FakeServer::with(|_| Reply::status(400, "no such thing"));
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let blocks = Blocks::post(&ann, PATH, &streamed("seeker", "x")).await.all().await;
    let error = data(blocks.last().unwrap()).unwrap()["error"].clone();
    assert_eq!((&error["code"], &error["type"]), (&json!("run_failed"), &json!("server_error")));
    assert!(!blocks.contains(&"data: [DONE]".to_owned()));
    // Without a stream it has a status, and the SDK does not begin the whole again by itself.
    let answer = ann.post(PATH, ask("seeker", "x")).await;
    assert_eq!(answer.is(502)["error"]["code"], "run_failed");
    assert_eq!(answer.headers["x-should-retry"], "false");
    server.stop().await;
}

#[tokio::test]
async fn fault_05_who_goes_away_cancels_the_run_within_a_second() {
    let server = Server::start_slow().await;
    let ann = server.client("ann").await;
    for body in [streamed("slow", "x"), ask("slow", "x")] {
        let is_stream = body["stream"].is_boolean();
        let request = ann.posting(PATH, &body);
        if is_stream {
            let mut blocks = Blocks::of(request).await;
            blocks.until(|block| block.contains("Calling wait")).await;
            server.agents.waiting.notified().await;
        } else {
            let asking = tokio::spawn(request.send());
            server.agents.waiting.notified().await;
            asking.abort();
        }
        let left = Instant::now();
        tokio::time::timeout(SOON, server.agents.dropped.notified()).await.expect("the tool is stopped");
        assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
        let runs = ann.get("/api/v1/runs").await.is(200);
        let run = runs["runs"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(ann.ended(&run).await["outcome"], "cancelled");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_ends_says_so_and_loses_no_run_of_a_session() {
    let mut server = Server::start_slow().await;
    let ann = server.client("ann").await;
    let request = ann.posting(PATH, &streamed("slow", "x")).header("x-session-id", "s");
    let mut blocks = Blocks::of(request).await;
    server.agents.waiting.notified().await;
    let ending = server.ask_to_stop();
    let error = data(&blocks.until(|block| block.contains("\"error\"")).await).unwrap()["error"].clone();
    assert_eq!(error["code"], "draining");
    ending.await.unwrap().unwrap();
    let runs = server.service.store().unfinished().await.unwrap();
    assert_eq!(runs.len(), 1, "it goes on after the next start");
}
