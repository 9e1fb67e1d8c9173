//! Responses: stored, followed from any place, asked about.

use http::Method;
use martlet_server::{Auth, HttpOptions};
use martlet_testkit::{FakeServer, Reply};
use serde_json::{Value, json};

use super::{Blocks, data, quick, serving};
use crate::http::Server;
use crate::http::server::{Client, agents};

const PATH: &str = "/v1/responses";

fn looking() -> FakeServer {
    FakeServer::with(|request| {
        match request.json()["messages"].as_array().unwrap().last().unwrap()["role"].as_str() {
            Some("tool") => Reply::text("They are in the drawer."),
            _ => Reply::tool_call("look", json!({"what": "keys"})).reasoning("Where could they be?"),
        }
    })
}

async fn create(client: &Client, body: Value) -> Value {
    client.post(PATH, body).await.is(200)
}

async fn get(client: &Client, id: &Value) -> Value {
    client.get(&format!("{PATH}/{}", id.as_str().unwrap())).await.is(200)
}

async fn frames(client: &Client, id: &Value, after: Option<u64>) -> Vec<Value> {
    let after = after.map(|after| format!("&starting_after={after}")).unwrap_or_default();
    let path = format!("{PATH}/{}?stream=true{after}", id.as_str().unwrap());
    let blocks = Blocks::of(client.request(Method::GET, &path)).await.all().await;
    blocks.iter().filter_map(|block| data(block)).collect()
}

fn kinds(response: &Value) -> Vec<&str> {
    response["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect()
}

fn approval(request: &Value, approve: bool) -> Value {
    json!([{"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve}])
}

#[tokio::test]
async fn a_stream_is_what_it_was_and_goes_on_from_any_place() {
    let fake = looking();
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let body = json!({"model": "agent:seeker", "input": "Where are the keys?", "stream": true});
    let blocks = Blocks::post(&ann, PATH, &body).await.all().await;
    let told: Vec<_> = blocks.iter().filter(|block| !block.starts_with(':')).cloned().collect();
    let seen: Vec<_> = told.iter().filter_map(|block| data(block)).collect();
    let kinds: Vec<_> = seen.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    for (block, kind) in told.iter().zip(&kinds) {
        assert!(block.starts_with(&format!("event: {kind}\ndata: {{")), "{block}");
    }
    let item = |inner: &[&'static str]| {
        let all = ["response.output_item.added"].into_iter().chain(inner.iter().copied());
        all.chain(["response.output_item.done"]).collect::<Vec<_>>()
    };
    let expected = [
        vec!["response.created", "response.in_progress"],
        item(&[
            "response.content_part.added",
            "response.reasoning_text.delta",
            "response.reasoning_text.done",
            "response.content_part.done",
        ]),
        item(&[
            "response.mcp_call.in_progress",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.mcp_call.completed",
        ]),
        item(&[
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
        ]),
        vec!["response.completed"],
    ];
    assert_eq!(kinds, expected.concat());
    let id = seen[0]["response"]["id"].clone();
    for (number, frame) in seen.iter().enumerate() {
        assert_eq!(frame["sequence_number"], number, "{frame}");
        assert_eq!(frames(&ann, &id, Some(number as u64)).await, seen[number + 1..], "after {number}");
    }
    assert_eq!(frames(&ann, &id, None).await, seen);
    assert_eq!(get(&ann, &id).await, seen.last().unwrap()["response"]);
    server.stop().await;
}

#[tokio::test]
async fn a_response_is_told_at_once_and_kept() {
    let fake = looking();
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let body = json!({
        "model": "seeker", "input": [{"role": "user", "content": [{"type": "input_text", "text": "keys?"}]}],
        "instructions": "Be brief.", "metadata": {"a": "b"}, "max_output_tokens": 50, "user": "u",
    });
    let response = create(&ann, body).await;
    assert_eq!(kinds(&response), ["reasoning", "mcp_call", "message"]);
    assert_eq!((&response["status"], &response["model"]), (&json!("completed"), &json!("agent:seeker")));
    assert_eq!(response["output"][1]["output"], "keys: found");
    assert_eq!((&response["metadata"]["a"], &response["instructions"]), (&json!("b"), &json!("Be brief.")));
    assert_eq!(response["usage"]["total_tokens"], 30);
    assert_eq!(get(&ann, &response["id"]).await, response);
    let id = response["id"].as_str().unwrap();
    let items = ann.get(&format!("{PATH}/{id}/input_items")).await.is(200);
    assert_eq!(items["data"][0]["content"], json!([{"type": "input_text", "text": "keys?"}]));
    let run = id.replace("resp_", "run_");
    assert_eq!(ann.get(&format!("/api/v1/runs/{run}")).await.is(200)["answer"], "They are in the drawer.");
    assert_eq!(ann.delete(&format!("{PATH}/{id}")).await.is(200)["deleted"], true);
    assert_eq!(ann.get(&format!("{PATH}/{id}")).await.is(404)["error"]["code"], "not_found");
    // What is not to be stored is gone when it was told.
    let hidden = create(&ann, json!({"model": "seeker", "input": "x", "store": false})).await;
    assert_eq!(ann.get(&format!("{PATH}/{}", hidden["id"].as_str().unwrap())).await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn in_the_background_it_goes_on_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        Server::start_in(folder.path(), quick(), HttpOptions::new(Auth::Keys), agents(), |router| router)
            .await
    };
    let server = start().await;
    let ann = server.client("ann").await;
    let begun = create(&ann, json!({"model": "slow", "input": "x", "background": true})).await;
    assert!(begun["status"] == "queued" || begun["status"] == "in_progress", "{begun}");
    server.agents.waiting.notified().await;
    let path = format!("{PATH}/{}?stream=true", begun["id"].as_str().unwrap());
    let mut blocks = Blocks::of(ann.request(Method::GET, &path)).await;
    let mut before = Vec::new();
    while before.last().is_none_or(|frame: &Value| frame["type"] != "response.mcp_call_arguments.done") {
        before.extend(data(&blocks.next().await.unwrap()));
    }
    drop(blocks);
    let key = ann.key.clone();
    server.stop().await;

    let server = start().await;
    let ann = Client { key, ..server.nobody() };
    // Nobody knows whether the tool did its work: a person is asked, and so is whoever asked for the response.
    let run = begun["id"].as_str().unwrap().replace("resp_", "run_");
    let mut events = ann.events(&run, 0).await;
    events.until(|frame| frame.event == "state" && frame.data["state"] == "waiting").await;
    let asked = get(&ann, &begun["id"]).await;
    assert_eq!(
        (&asked["status"], kinds(&asked)),
        (&json!("completed"), vec!["mcp_call", "mcp_approval_request"])
    );
    let all = frames(&ann, &begun["id"], None).await;
    assert_eq!(all[..before.len()], before);
    server.agents.gate.add_permits(1);
    let body = json!({
        "input": approval(&asked["output"][1], true), "previous_response_id": begun["id"], "background": true,
    });
    let second = create(&ann, body).await;
    ann.ended(&run).await;
    let second = get(&ann, &second["id"]).await;
    assert_eq!((&second["status"], kinds(&second)), (&json!("completed"), vec!["mcp_call", "message"]));
    assert_eq!(get(&ann, &begun["id"]).await, asked, "the first one stays as it was");
    server.stop().await;
}

#[tokio::test]
async fn a_person_is_asked_and_the_same_run_goes_on() {
    let server = Server::start_payer().await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    for approve in [true, false] {
        let asked = create(&ann, json!({"model": "payer", "input": "carl"})).await;
        assert_eq!((&asked["status"], kinds(&asked)), (&json!("completed"), vec!["mcp_approval_request"]));
        let request = asked["output"][0].clone();
        assert_eq!(request["arguments"], "{\"to\":\"carl\",\"amount\":5}");
        let told = frames(&ann, &asked["id"], None).await;
        assert_eq!(told.last().unwrap()["response"], asked);
        // It cannot be gone on with otherwise.
        let more = json!({"input": "x", "previous_response_id": asked["id"]});
        assert_eq!(ann.post(PATH, more).await.is(400)["error"]["code"], "approval_required");
        let answer = json!({"input": approval(&request, approve), "previous_response_id": asked["id"]});
        assert_eq!(bob.post(PATH, answer.clone()).await.is(404)["error"]["param"], "previous_response_id");
        let mut of_bob = answer.clone();
        of_bob["input"][0]["approval_request_id"] = "appr_0000000000000000000000000".into();
        assert_eq!(ann.post(PATH, of_bob).await.is(404)["error"]["param"], "input");

        let second = create(&ann, answer.clone()).await;
        assert_ne!(second["id"], asked["id"]);
        let text = second["output"].as_array().unwrap().last().unwrap()["content"][0]["text"].clone();
        assert_eq!(text.as_str().unwrap().contains("paid 5 to carl"), approve, "{second}");
        if approve {
            assert_eq!(kinds(&second), ["mcp_call", "message"]);
            assert_eq!(second["output"][0]["approval_request_id"], request["id"]);
        }
        // Neither of them changes any more, nor do the numbers of their frames.
        assert_eq!(get(&ann, &asked["id"]).await, asked);
        assert_eq!(frames(&ann, &asked["id"], None).await, told);
        assert_eq!(get(&ann, &second["id"]).await, second);
        let of_second = frames(&ann, &second["id"], None).await;
        assert_eq!(of_second.last().unwrap()["response"], second);
        for (number, frame) in of_second.iter().enumerate() {
            assert_eq!(frame["sequence_number"], number);
        }
        let items = ann.get(&format!("{PATH}/{}/input_items", second["id"].as_str().unwrap())).await.is(200);
        assert_eq!(items["data"][0]["approve"], approve, "{items}");
        // The same answer again is the same, another one is none.
        let again = create(&ann, answer.clone()).await;
        assert_eq!(again["output"], second["output"]);
        let other = json!({"input": approval(&request, !approve), "previous_response_id": asked["id"]});
        assert_eq!(ann.post(PATH, other).await.is(400)["error"]["code"], "already_decided");
        let superseded = json!({"input": "x", "previous_response_id": asked["id"]});
        assert_eq!(ann.post(PATH, superseded).await.is(400)["error"]["code"], "response_superseded");
        create(&ann, json!({"input": "dora", "previous_response_id": second["id"]})).await;
    }
    assert_eq!(server.agents.paid.load(std::sync::atomic::Ordering::SeqCst), 1);
    server.stop().await;
}

/// Whoever else decides, what the client was asked stays what it was asked.
#[tokio::test]
async fn a_question_that_somebody_else_answers_is_still_where_it_was_asked() {
    let server = Server::start_payer().await;
    let ann = server.client("ann").await;
    let asked = create(&ann, json!({"model": "payer", "input": "carl"})).await;
    let id = asked["output"][0]["id"].as_str().unwrap();
    ann.post(&format!("/api/v1/approvals/{id}"), json!({"decision": "approve"})).await.is(200);
    let run = asked["id"].as_str().unwrap().replace("resp_", "run_");
    ann.ended(&run).await;
    assert_eq!(get(&ann, &asked["id"]).await, asked);
    let answer = json!({"input": approval(&asked["output"][0], true), "previous_response_id": asked["id"]});
    let second = create(&ann, answer).await;
    assert_eq!(kinds(&second), ["mcp_call", "message"]);
    server.stop().await;
}

#[tokio::test]
async fn a_question_in_words_is_answered_with_a_reason() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let asked = create(&ann, json!({"model": "asker", "input": "x"})).await;
    let request = asked["output"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&request["name"], &request["type"]), (&json!("ask_user"), &json!("mcp_approval_request")));
    assert_eq!(frames(&ann, &asked["id"], None).await.last().unwrap()["response"], asked);
    let mut answer = json!({"input": approval(&request, true), "previous_response_id": asked["id"]});
    assert_eq!(ann.post(PATH, answer.clone()).await.is(400)["error"]["code"], "missing_required_parameter");
    answer["input"][0]["reason"] = "the green one".into();
    let second = create(&ann, answer).await;
    assert_eq!(kinds(&second), ["mcp_call", "message"]);
    assert_eq!(second["output"][1]["content"][0]["text"], "the green one");
    assert_eq!(get(&ann, &second["id"]).await, second);
    assert_eq!(get(&ann, &asked["id"]).await, asked);
    server.stop().await;
}

#[tokio::test]
async fn a_conversation_goes_on_from_a_response() {
    let fake = FakeServer::with(|request| Reply::text(format!("answer {}", request.index)));
    let server = serving(&fake).await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    let first = create(&ann, json!({"model": "seeker", "input": "one", "instructions": "Rhyme."})).await;
    // Two ways on from the same place do not meet.
    for (index, text) in [(1, "two"), (2, "three")] {
        let body = json!({"input": text, "previous_response_id": first["id"]});
        let next = create(&ann, body.clone()).await;
        assert_eq!(next["previous_response_id"], first["id"]);
        let asked = fake.requests()[index].json();
        let said = asked["messages"].as_array().unwrap();
        let texts: Vec<_> = said[1..].iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert_eq!(texts, ["one", "answer 0", text]);
        assert!(
            !said[0]["content"].as_str().unwrap().contains("Rhyme."),
            "instructions are for one response"
        );
        assert_eq!(bob.post(PATH, body).await.is(404)["error"]["param"], "previous_response_id");
    }
    server.stop().await;
}

#[tokio::test]
async fn fault_09_nobody_sees_the_responses_of_others() {
    let fake = looking();
    let server = serving(&fake).await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    let response = create(&ann, json!({"model": "seeker", "input": "secret"})).await;
    let path = format!("{PATH}/{}", response["id"].as_str().unwrap());
    for answer in [
        bob.get(&path).await,
        bob.get(&format!("{path}?stream=true")).await,
        bob.get(&format!("{path}/input_items")).await,
        bob.delete(&path).await,
        bob.post(&format!("{path}/cancel"), json!({})).await,
    ] {
        assert_eq!(answer.is(404)["error"]["code"], "not_found");
    }
    assert_eq!(get(&ann, &response["id"]).await, response);
    server.stop().await;
}

#[tokio::test]
async fn a_response_is_cancelled_and_who_leaves_cancels_it() {
    let server = Server::start_slow().await;
    let ann = server.client("ann").await;
    let begun = create(&ann, json!({"model": "slow", "input": "x", "background": true})).await;
    server.agents.waiting.notified().await;
    let path = format!("{PATH}/{}", begun["id"].as_str().unwrap());
    assert_eq!(ann.delete(&path).await.is(400)["error"]["code"], "conflict", "cancel it first");
    let body = json!({"input": "x", "previous_response_id": begun["id"]});
    assert_eq!(ann.post(PATH, body).await.is(400)["error"]["code"], "response_not_ended");
    let cancelled = ann.post(&format!("{path}/cancel"), json!({})).await.is(200);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(
        ann.post(&format!("{path}/cancel"), json!({})).await.is(200),
        cancelled,
        "nothing more happens"
    );
    assert_eq!(frames(&ann, &begun["id"], None).await.last().unwrap()["type"], "response.cancelled");
    server.agents.dropped.notified().await;

    let body = json!({"model": "slow", "input": "x", "stream": true});
    let mut blocks = Blocks::post(&ann, PATH, &body).await;
    let first = data(&blocks.next().await.unwrap()).unwrap();
    server.agents.waiting.notified().await;
    drop(blocks);
    tokio::time::timeout(crate::http::server::SOON, server.agents.dropped.notified()).await.unwrap();
    let run = first["response"]["id"].as_str().unwrap().replace("resp_", "run_");
    assert_eq!(ann.ended(&run).await["outcome"], "cancelled");
    server.stop().await;
}

#[tokio::test]
async fn a_run_that_fails_is_a_response_that_failed() {
    let fake = FakeServer::with(|_| Reply::status(400, "no such thing"));
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let response = create(&ann, json!({"model": "seeker", "input": "x"})).await;
    assert_eq!((&response["status"], &response["error"]["code"]), (&json!("failed"), &json!("server_error")));
    let told = frames(&ann, &response["id"], None).await;
    assert_eq!(told.last().unwrap()["type"], "response.failed");
    server.stop().await;
}

#[tokio::test]
async fn mistakes_are_named() {
    let fake = looking();
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let cases = [
        (json!({"model": "seeker"}), 400, "input"),
        (json!({"input": "x"}), 400, "model"),
        (json!({"model": "none", "input": "x"}), 404, "model"),
        (json!({"model": "llm:small", "input": "x"}), 400, "model"),
        (json!({"model": "seeker", "input": "x", "tools": [{"type": "web_search"}]}), 400, "tools"),
        (json!({"model": "seeker", "input": "x", "conversation": "c"}), 400, "conversation"),
        (json!({"model": "seeker", "input": 3}), 400, "input"),
        (json!({"model": "seeker", "input": []}), 400, "input"),
        (json!({"model": "seeker", "input": [{"type": "computer_call"}]}), 400, "input[0].type"),
        (
            json!({"model": "seeker", "input": "x", "previous_response_id": "resp_1"}),
            404,
            "previous_response_id",
        ),
        (json!({"model": "seeker", "input": "x", "store": false, "background": true}), 400, "store"),
        (
            json!({"model": "seeker", "input": approval(&json!({"id": "appr_1"}), true)}),
            400,
            "previous_response_id",
        ),
    ];
    for (body, status, param) in cases {
        let error = ann.post(PATH, body.clone()).await.is(status)["error"].clone();
        assert_eq!(error["param"], param, "{body}: {error}");
    }
    for path in ["/v1/responses/resp_x", "/v1/responses/run_x", "/v1/responses/resp_x_1_1/input_items"] {
        assert_eq!(ann.get(path).await.is(404)["error"]["code"], "not_found");
    }
    assert_eq!(ann.get("/api/v1/runs").await.is(200)["runs"], json!([]), "nothing was begun");
    server.stop().await;
}
