//! Agents and workflows at chat completions.

use martlet_testkit::{FakeServer, Reply};
use serde_json::{Value, json};

use super::{Blocks, ask, data, golden, joined, serving, streamed};
use crate::http::Server;

const PATH: &str = "/v1/chat/completions";

fn looking() -> FakeServer {
    FakeServer::with_replies([
        Reply::tool_call("look", json!({"what": "keys"})).reasoning("Where could they be?"),
        Reply::text("They are in the drawer."),
    ])
}

#[tokio::test]
async fn what_is_on_offer_is_a_list_of_models() {
    let fake = looking();
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let list = ann.get("/v1/models").await.is(200);
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(ids[0], "agent:echo", "the default agent comes first");
    for id in ["agent:seeker", "workflow:flow", "llm:small"] {
        assert!(ids.contains(&json!(id)), "{ids:?}");
    }
    assert_eq!(list["object"], "list");
    for (asked, id) in [("agent:seeker", "agent:seeker"), ("seeker", "agent:seeker"), ("small", "llm:small")]
    {
        let model = ann.get(&format!("/v1/models/{asked}")).await.is(200);
        assert_eq!((&model["id"], &model["object"]), (&json!(id), &json!("model")));
    }
    assert_eq!(ann.get("/v1/models/agent:seeker+think_tags").await.is(200)["id"], "agent:seeker");
    for unknown in ["agent:none", "gpt-4o", "agent:seeker+nonsense", "llm:seeker"] {
        let answer = ann.get(&format!("/v1/models/{unknown}")).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
    }
    assert_eq!(ann.get("/v1/models/gpt-4o").await.is(404)["error"]["code"], "model_not_found");
    server.stop().await;
}

#[tokio::test]
async fn an_agent_answers_with_its_thoughts_and_tokens() {
    let fake = looking();
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let answer = ann.post(PATH, ask("agent:seeker", "Where are the keys?")).await;
    let completion = answer.is(200);
    let choice = &completion["choices"][0];
    assert_eq!(choice["message"]["content"], "They are in the drawer.");
    assert_eq!((&choice["finish_reason"], &choice["message"]["role"]), (&json!("stop"), &json!("assistant")));
    let thoughts = choice["message"]["reasoning_content"].as_str().unwrap();
    assert!(thoughts.contains("Where could they be?") && thoughts.contains("Calling look"), "{thoughts}");
    assert!(!thoughts.contains("drawer"), "the answer is not told twice: {thoughts}");
    assert_eq!(completion["usage"]["prompt_tokens"], 20);
    assert_eq!(completion["usage"]["total_tokens"], 30);
    let run = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(completion["id"], format!("chatcmpl-{run}"));
    assert_eq!(ann.get(&format!("/api/v1/runs/{run}")).await.is(200)["answer"], "They are in the drawer.");
    server.stop().await;
}

#[tokio::test]
async fn a_stream_is_what_it_was() {
    let fake = FakeServer::with_replies([
        Reply::tool_call("look", json!({"what": "keys"})),
        Reply::text("They are in the drawer."),
    ]);
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let mut body = streamed("agent:seeker", "Where are the keys?");
    body["stream_options"] = json!({"include_usage": true});
    let blocks = Blocks::post(&ann, PATH, &body).await;
    assert_eq!(blocks.headers["content-type"], "text/event-stream");
    let blocks = blocks.all().await;
    assert_eq!(blocks.last().unwrap(), "data: [DONE]");
    let (thoughts, content) = joined(&blocks);
    assert_eq!(content, "They are in the drawer.");
    assert!(thoughts.contains("Calling look({\"what\":\"keys\"})"), "{thoughts}");
    let told: Vec<_> = blocks.iter().filter(|block| !block.starts_with(':')).cloned().collect();
    golden!("openai_chat_stream", told.join("\n\n"));
    server.stop().await;
}

#[tokio::test]
async fn thoughts_can_stand_in_the_content() {
    for suffix in [true, false] {
        let fake = looking();
        let server = serving(&fake).await;
        let ann = server.client("ann").await;
        let model = if suffix { "seeker+think_tags" } else { "seeker" };
        let header = if suffix { "" } else { "think_tags" };
        let request = ann.posting(PATH, &streamed(model, "?")).header("x-martlet-options", header);
        let (thoughts, content) = joined(&Blocks::of(request).await.all().await);
        assert_eq!(thoughts, "");
        assert!(content.starts_with("<think>\n") && content.contains("Calling look"), "{content}");
        assert!(content.ends_with("</think>\n\nThey are in the drawer."), "{content}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_workflow_takes_the_last_message_as_its_task() {
    let fake = looking();
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let answer = ann.post(PATH, ask("workflow:flow", "x")).await.is(200);
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().contains("from b"), "{answer}");
    server.stop().await;
}

/// What LibreChat sends by default, and what nobody here needs to know.
#[tokio::test]
async fn what_clients_send_by_habit_is_ignored() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let body = json!({
        "model": "agent:echo", "messages": [{"role": "user", "content": "x"}], "stream": false, "n": 1,
        "user": "66f0", "temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0,
        "logprobs": null, "stop": null, "logit_bias": {}, "service_tier": "auto", "tools": [], "seed": 7,
        "max_tokens": 1000, "parallel_tool_calls": true, "unheard_of": [1],
    });
    assert_eq!(ann.post(PATH, body).await.is(200)["choices"][0]["message"]["content"], "echo: x");
    server.stop().await;
}

#[tokio::test]
async fn instructions_and_what_was_said_reach_the_model_without_being_tasks() {
    let fake = FakeServer::with(|_| Reply::text("ok"));
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let messages = json!([
        {"role": "system", "content": "Answer in rhymes."},
        {"role": "user", "content": [{"type": "text", "text": "one"}]},
        {"role": "assistant", "content": "two"},
        {"role": "tool", "tool_call_id": "c", "content": "a result"},
        {"role": "user", "content": "three"},
    ]);
    let body = json!({"model": "seeker", "messages": messages, "max_completion_tokens": 77, "seed": 5});
    ann.post(PATH, body).await.is(200);
    let asked = fake.requests()[0].json();
    let said = asked["messages"].as_array().unwrap();
    assert_eq!(said[0]["role"], "system");
    assert!(said[0]["content"].as_str().unwrap().contains("Answer in rhymes."));
    let rest: Vec<_> = said[1..].iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(rest, ["one", "two", "The result of a tool:\na result", "three"].map(|text| text));
    assert_eq!((&asked["max_tokens"], &asked["seed"]), (&json!(77), &json!(5)));
    server.stop().await;
}

#[tokio::test]
async fn an_answer_has_the_form_that_was_asked_for() {
    let fake = FakeServer::with(|request| match request.index {
        0 => Reply::text("It is warm."),
        _ => Reply::text("{\"celsius\": 21}"),
    });
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let schema =
        json!({"type": "object", "properties": {"celsius": {"type": "integer"}}, "required": ["celsius"]});
    let mut body = ask("seeker", "How warm is it?");
    body["response_format"] =
        json!({"type": "json_schema", "json_schema": {"name": "t", "strict": true, "schema": schema}});
    let answer = ann.post(PATH, body.clone()).await.is(200);
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(content).unwrap(), json!({"celsius": 21}));
    body["response_format"]["json_schema"]["schema"] = json!({"type": "nonsense"});
    let error = ann.post(PATH, body.clone()).await.is(400)["error"].clone();
    assert_eq!((&error["code"], &error["param"]), (&json!("invalid_json_schema"), &json!("response_format")));
    body["model"] = "workflow:flow".into();
    assert_eq!(ann.post(PATH, body).await.is(400)["error"]["code"], "unsupported_parameter");
    server.stop().await;
}

#[tokio::test]
async fn images_and_files_come_along_and_nothing_is_fetched() {
    const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAAA";
    let fake = FakeServer::with(|_| Reply::text("a picture"));
    let server = serving(&fake).await;
    let ann = server.client("ann").await;
    let content = json!([
        {"type": "image_url", "image_url": {"url": PNG, "detail": "auto"}},
        {"type": "file", "file": {"filename": "../a.csv", "file_data": "data:text/csv;base64,YSxiCg=="}},
    ]);
    let body = json!({"model": "seeker", "messages": [{"role": "user", "content": content}]});
    for _ in 0..2 {
        ann.post(PATH, body.clone()).await.is(200);
    }
    let files = ann.get("/api/v1/files").await.is(200);
    let mut names: Vec<_> =
        files["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a.csv", "attachment.png"], "what is sent again is kept once");
    assert!(fake.requests()[0].json()["messages"].to_string().contains(PNG), "the model sees the image");
    let body = json!({"model": "seeker", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}},
    ]}]});
    let asked = fake.requests().len();
    assert_eq!(ann.post(PATH, body.clone()).await.is(400)["error"]["code"], "image_url_not_fetched");
    assert_eq!(fake.requests().len(), asked);
    // The provider of a plain model may fetch it.
    let mut body = body;
    body["model"] = "llm:small".into();
    ann.post(PATH, body).await.is(200);
    assert!(fake.requests()[asked].json()["messages"].to_string().contains("https://example.com/x.png"));
    server.stop().await;
}

#[tokio::test]
async fn what_needs_a_person_is_denied_unless_the_client_waits() {
    let server = Server::start_payer().await;
    let ann = server.client("ann").await;
    let answer = ann.post(PATH, ask("agent:payer", "bob")).await.is(200);
    let message = &answer["choices"][0]["message"];
    assert!(message["content"].as_str().unwrap().contains("nobody is there"), "{message}");
    assert!(message["reasoning_content"].as_str().unwrap().contains("pay was denied"), "{message}");
    let asked = ann.post(PATH, ask("agent:asker", "x")).await.is(200);
    assert!(
        asked["choices"][0]["message"]["content"].as_str().unwrap().contains("did not answer"),
        "{asked}"
    );

    let mut blocks = Blocks::post(&ann, PATH, &streamed("agent:payer+hold", "bob")).await;
    let told = blocks.until(|block| block.contains("needs a person")).await;
    assert!(told.contains("martlet runs approve appr_"), "{told}");
    blocks.until(|block| block.starts_with(": waiting for a person")).await;
    let open = ann.get("/api/v1/approvals").await.is(200);
    let id = open["approvals"][0]["id"].as_str().unwrap();
    ann.post(&format!("/api/v1/approvals/{id}"), json!({"decision": "approve"})).await.is(200);
    let rest = blocks.all().await;
    assert_eq!(joined(&rest).1, "paid 5 to bob");
    assert_eq!(rest.last().unwrap(), "data: [DONE]");
    server.stop().await;
}

#[tokio::test]
async fn the_same_key_makes_one_run() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let send =
        |text: &'static str| ann.send(ann.posting(PATH, &ask("echo", text)).header("idempotency-key", "k"));
    let (first, second) = (send("x").await, send("x").await);
    assert_eq!(first.is(200)["id"], second.is(200)["id"]);
    assert_eq!(send("y").await.is(422)["error"]["code"], "idempotency_key_reused");
    assert_eq!(ann.get("/api/v1/runs").await.is(200)["runs"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn whoever_waits_in_line_is_told() {
    let mut options = super::quick();
    options.limits.max_running_per_user = 1;
    let server = Server::start_with_more(options, |_, catalog| catalog).await;
    let ann = server.client("ann").await;
    let _first = ann.start(json!({"agent": "slow", "task": "x"})).await;
    server.agents.waiting.notified().await;
    let mut blocks = Blocks::post(&ann, PATH, &streamed("echo", "x")).await;
    let role = blocks.next().await.unwrap();
    assert_eq!(data(&role).unwrap()["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    blocks.until(|block| block == ": queued 1 of 1").await;
    server.agents.gate.add_permits(1);
    assert_eq!(joined(&blocks.all().await).1, "echo: x");
    server.stop().await;
}
