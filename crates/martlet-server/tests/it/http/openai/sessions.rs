//! Conversations that clients name.

use martlet_testkit::{FakeServer, Reply};
use serde_json::{Value, json};

use super::{Blocks, serving, streamed};
use crate::http::Server;

const PATH: &str = "/v1/chat/completions";

fn said(fake: &FakeServer, index: usize) -> Vec<String> {
    let asked = fake.requests()[index].json();
    let messages = asked["messages"].as_array().unwrap().iter().skip(1);
    messages.map(|message| message["content"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_named_conversation_is_remembered_and_only_the_last_message_counts() {
    let fake = FakeServer::with(|request| Reply::text(format!("answer {}", request.index)));
    let server = serving(&fake).await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    let body = |text: &str| {
        json!({"model": "seeker", "messages": [
            {"role": "user", "content": "made up"}, {"role": "assistant", "content": "by the client"},
            {"role": "user", "content": text},
        ]})
    };
    let names: [(&str, Option<Value>); 3] =
        [("x-session-id", None), ("x-openwebui-chat-id", None), ("", Some(json!({"session_id": "c"})))];
    let mut index = 0;
    for (header, metadata) in names {
        let send = |text: &str| {
            let mut body = body(text);
            if let Some(metadata) = &metadata {
                body["metadata"] = metadata.clone();
            }
            let request = ann.posting(PATH, &body);
            ann.send(if header.is_empty() { request } else { request.header(header, "c-1") })
        };
        let _ = header;
        send("one").await.is(200);
        send("two").await.is(200);
        if header != "x-openwebui-chat-id" {
            // What was said before it was named is taken over once.
            assert_eq!(said(&fake, index), ["made up", "by the client", "one"]);
            let expected = ["made up", "by the client", "one", &format!("answer {index}"), "two"];
            assert_eq!(said(&fake, index + 1), expected);
        }
        index += 2;
    }
    // The same name is another conversation for somebody else.
    bob.send(bob.posting(PATH, &body("three")).header("x-session-id", "c-1")).await.is(200);
    assert_eq!(said(&fake, index), ["made up", "by the client", "three"]);
    assert_eq!(ann.get("/api/v1/sessions").await.is(200)["sessions"].as_array().unwrap().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_run_of_a_session_goes_on_without_its_client() {
    let server = Server::start_slow().await;
    let ann = server.client("ann").await;
    let request = ann.posting(PATH, &streamed("slow", "x")).header("x-session-id", "s");
    let mut blocks = Blocks::of(request).await;
    blocks.until(|block| block.contains("Calling wait")).await;
    server.agents.waiting.notified().await;
    drop(blocks);
    server.agents.gate.add_permits(1);
    let run = ann.get("/api/v1/runs").await.is(200)["runs"][0]["id"].as_str().unwrap().to_owned();
    let ended = ann.ended(&run).await;
    assert_eq!((&ended["outcome"], &ended["answer"]), (&json!("succeeded"), &json!("done")));
    server.stop().await;
}
