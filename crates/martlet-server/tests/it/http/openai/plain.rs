//! Plain models, and the chores that chat front ends give them.

use std::time::Duration;

use martlet_testkit::{FakeServer, Reply};
use serde_json::json;

use super::{Blocks, ask, data, joined, serving, streamed};
use crate::http::server::SOON;

const PATH: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_plain_model_answers_token_by_token_and_nothing_is_stored() {
    let fake = FakeServer::with(|_| Reply::text("Hello, world!").reasoning("Hm."));
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let mut body = streamed("llm:small", "x");
    body["stream_options"] = json!({"include_usage": true});
    body["temperature"] = 0.5.into();
    body["stop"] = json!(["END"]);
    body["messages"] = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "x"}]);
    let blocks = Blocks::post(&ann, PATH, &body).await.all().await;
    assert_eq!(joined(&blocks), ("Hm.".into(), "Hello, world!".into()));
    let usage = data(&blocks[blocks.len() - 2]).unwrap();
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(15)));
    assert_eq!(blocks.last().unwrap(), "data: [DONE]");
    let asked = fake.requests()[0].json();
    assert_eq!((&asked["temperature"], &asked["stop"]), (&json!(0.5), &json!(["END"])));
    assert_eq!(asked["messages"][0], json!({"role": "system", "content": "s"}));
    assert!(asked["tools"].is_null());
    let whole = ann.post(PATH, ask("small", "x")).await.is(200);
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello, world!");
    assert_eq!(whole["choices"][0]["message"]["reasoning_content"], "Hm.");
    assert_eq!(ann.get("/api/v1/runs").await.is(200)["runs"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_plain_model_is_left_when_its_client_goes() {
    let fake = FakeServer::with(|_| Reply::text("x".repeat(4_000)).pieces(1, Duration::from_millis(20)));
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let mut blocks = Blocks::post(&ann, PATH, &streamed("llm:small", "x")).await;
    blocks.until(|block| block.contains("\"x")).await;
    drop(blocks);
    tokio::time::timeout(SOON, fake.wait_until_aborted(1)).await.expect("the call is closed");
    server.stop().await;
}

#[tokio::test]
async fn what_a_provider_refuses_has_a_status_of_its_own() {
    let fake = FakeServer::with_replies([
        Reply::status(401, "bad key"),
        Reply::error(400, json!({"message": "too long", "code": "context_length_exceeded"})),
    ]);
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    assert_eq!(ann.post(PATH, streamed("llm:small", "x")).await.is(502)["error"]["code"], "model_failed");
    let error = ann.post(PATH, ask("llm:small", "x")).await.is(400)["error"].clone();
    assert_eq!(error["code"], "context_length_exceeded");
    server.stop().await;
}

/// What Open WebUI asks besides the conversation, of the same model.
#[tokio::test]
async fn chores_are_no_runs() {
    let fake = FakeServer::with(|_| Reply::text("{\"title\": \"Keys\"}"));
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let chore = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.";
    let title = ann.post(PATH, ask("agent:seeker", chore)).await.is(200);
    assert_eq!(title["choices"][0]["message"]["content"], "{\"title\": \"Keys\"}");
    let mut body = streamed("agent:seeker", "Name three tags");
    body["metadata"] = json!({"task": "tags_generation"});
    assert_eq!(joined(&Blocks::post(&ann, PATH, &body).await.all().await).1, "{\"title\": \"Keys\"}");
    for request in fake.requests() {
        let asked = request.json();
        assert!(asked["tools"].is_null());
        assert_eq!(asked["messages"].as_array().unwrap().len(), 1, "no prompt of an agent");
    }
    // A workflow has no model of its own: the first plain one does it.
    ann.post(PATH, ask("workflow:flow", chore)).await.is(200);
    assert_eq!(ann.get("/api/v1/runs").await.is(200)["runs"], json!([]));
    server.stop().await;
}
