//! What each route does when all is well.

use http::header::{ACCEPT, LOCATION};
use http::{Method, StatusCode};
use martlet_server::keys::Scope;
use serde_json::json;

use super::Server;

#[tokio::test]
async fn a_run_is_taken_in_done_listed_and_deleted() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let taken = ann.post("/api/v1/runs", json!({"task": "hello  there"})).await;
    let run = taken.is(202);
    let id = run["id"].as_str().unwrap();
    assert_eq!(taken.headers[LOCATION], format!("/api/v1/runs/{id}"));
    assert!(taken.headers.contains_key("x-ratelimit-remaining-requests"));
    let ended = ann.ended(id).await;
    assert_eq!(ended["state"], "ended");
    assert_eq!(ended["outcome"], "succeeded");
    assert_eq!(ended["answer"], "echo: hello  there");
    assert_eq!(ended["task"], "hello  there");
    assert_eq!(ended["title"], "hello there");
    assert_eq!(ended["kind"], "agent");
    assert_eq!(ended["name"], "echo");
    assert!(ended["usage"]["input_tokens"].is_u64());
    let list = ann.get("/api/v1/runs").await.is(200);
    assert_eq!(list["runs"][0]["id"], id);
    assert_eq!(list["next"], json!(null));
    assert_eq!(
        ann.post(&format!("/api/v1/runs/{id}/cancel"), json!({})).await.is(200)["outcome"],
        "succeeded"
    );
    ann.delete(&format!("/api/v1/runs/{id}")).await.is(204);
    assert_eq!(ann.get(&format!("/api/v1/runs/{id}")).await.problem(404), "not_found");
    server.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let mut runs = Vec::new();
    for number in 0..5 {
        runs.insert(0, ann.run(json!({"task": number.to_string()})).await["id"].clone());
    }
    let first = ann.get("/api/v1/runs?limit=2").await.is(200);
    assert_eq!(first["runs"][1]["id"], runs[1]);
    assert_eq!(first["next"], runs[1]);
    let next = first["next"].as_str().unwrap();
    let second = ann.get(&format!("/api/v1/runs?limit=3&before={next}&state=ended")).await.is(200);
    assert_eq!(second["runs"][0]["id"], runs[2]);
    assert_eq!(second["next"], json!(null));
    assert_eq!(ann.get("/api/v1/runs?state=queued").await.is(200)["runs"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_run_can_be_waited_for() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let ended = ann.posting("/api/v1/runs", &json!({"task": "x"})).header("prefer", "wait=30");
    let ended = ann.send(ended).await.is(200);
    assert_eq!(ended["answer"], "echo: x");
    // One that takes longer goes on after the answer.
    let slow = ann.posting("/api/v1/runs", &json!({"agent": "slow", "task": "x"})).header("prefer", "wait=0");
    let slow = ann.send(slow).await.is(202);
    server.agents.gate.add_permits(1);
    assert_eq!(ann.ended(slow["id"].as_str().unwrap()).await["answer"], "done");
    server.stop().await;
}

#[tokio::test]
async fn a_workflow_is_run_and_drawn() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let run = ann.run(json!({"workflow": "flow", "input": {"x": 1}})).await;
    assert_eq!((&run["outcome"], &run["answer"]), (&json!("success"), &json!("from b")));
    assert_eq!(run["input"], json!({"x": 1}));
    let id = run["id"].as_str().unwrap();
    let json = ann.get(&format!("/api/v1/runs/{id}/graph?format=json")).await.is(200);
    assert_eq!(json["node_results"], json!({"a": "from a", "b": "from b"}));
    let svg = ann.get(&format!("/api/v1/runs/{id}/graph")).await;
    assert!(svg.text.starts_with("<svg") && svg.headers["content-type"] == "image/svg+xml", "{svg:?}");
    assert!(svg.headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
    let mermaid = ann.get("/api/v1/workflows/flow/graph?format=mermaid").await;
    assert!(mermaid.text.starts_with("flowchart"), "{mermaid:?}");
    let shown = ann.get("/api/v1/workflows/flow").await.is(200);
    assert_eq!(shown["edges"], json!([{"from": "a", "to": "b", "conditional": false}]));
    assert_eq!(ann.get("/api/v1/workflows").await.is(200)["workflows"][0]["name"], "flow");
    server.stop().await;
}

#[tokio::test]
async fn a_session_is_a_conversation() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let created = ann.post("/api/v1/sessions", json!({"title": "Weather"})).await;
    let session = created.is(201);
    let id = session["id"].as_str().unwrap();
    assert_eq!(created.headers[LOCATION], format!("/api/v1/sessions/{id}"));
    assert_eq!(session["agent"], "echo");
    let run = ann.run(json!({"session": id, "task": "one"})).await;
    assert_eq!(run["session"], id);
    let runs = ann.get(&format!("/api/v1/sessions/{id}/runs")).await.is(200);
    assert_eq!(runs["runs"][0]["id"], run["id"]);
    ann.patch(&format!("/api/v1/sessions/{id}"), json!({"title": "Wind"})).await.is(200);
    let list = ann.get("/api/v1/sessions?search=Win").await.is(200);
    assert_eq!((&list["sessions"][0]["title"], &list["sessions"][0]["runs"]), (&json!("Wind"), &json!(1)));
    assert_eq!(ann.get("/api/v1/sessions?search=Rain").await.is(200)["sessions"], json!([]));
    ann.delete(&format!("/api/v1/sessions/{id}")).await.is(204);
    assert_eq!(ann.get(&format!("/api/v1/sessions/{id}")).await.problem(404), "not_found");
    assert_eq!(
        ann.get(&format!("/api/v1/runs/{}", run["id"].as_str().unwrap())).await.problem(404),
        "not_found"
    );
    let begun = ann.send(ann.request(Method::POST, "/api/v1/sessions")).await;
    begun.is(201);
    server.stop().await;
}

#[tokio::test]
async fn what_is_on_offer_and_who_asks_is_told() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let agents = ann.get("/api/v1/agents").await.is(200);
    let names: Vec<_> =
        agents["agents"].as_array().unwrap().iter().map(|agent| agent["name"].clone()).collect();
    assert_eq!(names, ["echo", "slow", "payer", "asker", "spender", "recall", "planner"]);
    let payer = ann.get("/api/v1/agents/payer").await.is(200);
    assert_eq!(payer["tools"][0]["name"], "pay");
    assert_eq!(payer["tools"][0]["needs_approval"], true);
    assert_eq!(payer["strategy"], "tool_calling");
    assert_eq!(payer["price"], json!(null));
    let spender = ann.get("/api/v1/agents/spender").await.is(200);
    assert_eq!(spender["price"], json!({"input": 0.15, "output": 0.6}));
    let missing = ann.get("/api/v1/agents/nobody").await;
    assert_eq!(missing.problem(404), "not_found");
    assert!(missing.text.contains("echo, slow, payer, asker"), "{missing:?}");
    let me = ann.get("/api/v1/me").await.is(200);
    assert_eq!(
        (&me["tenant"], &me["user"], &me["scopes"]),
        (&json!("acme"), &json!("ann"), &json!(["run", "read"]))
    );
    let queue = ann.get("/api/v1/queue").await.is(200);
    assert_eq!(
        (&queue["queued"], &queue["max_queued"], &queue["total"]),
        (&json!(0), &json!(10), &json!(null))
    );
    let boss = server.client_with("boss", [Scope::Admin]).await;
    assert_eq!(boss.get("/api/v1/queue").await.is(200)["total"]["running"], 0);
    server.stop().await;
}

#[tokio::test]
async fn a_run_is_exported_and_forked() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let run = ann.run(json!({"agent": "payer", "task": "bob"})).await;
    let id = run["id"].as_str().unwrap();
    let question = ann.question(id).await;
    ann.post(
        &format!("/api/v1/approvals/{}", question["id"].as_str().unwrap()),
        json!({"decision": "approve"}),
    )
    .await
    .is(200);
    ann.ended(id).await;
    let export = ann.get(&format!("/api/v1/runs/{id}/export")).await.is(200);
    assert_eq!((&export["version"], &export["run"]["id"]), (&json!(1), &json!(id)));
    let events = export["events"].as_array().unwrap();
    assert_eq!(events.len() as u64, export["run"]["last_event"].as_u64().unwrap());
    assert!(events.iter().enumerate().all(|(index, event)| event["id"] == index + 1));
    assert_eq!(export["approvals"][0]["state"], "decided");
    let markdown = ann.get(&format!("/api/v1/runs/{id}/export?format=markdown")).await;
    assert_eq!(markdown.status, StatusCode::OK);
    for text in ["# bob", "Call of `pay`", "paid 5 to bob", "**Answer**"] {
        assert!(markdown.text.contains(text), "no {text} in {}", markdown.text);
    }
    let fork = ann.post(&format!("/api/v1/runs/{id}/fork"), json!({"step": 2})).await.is(202);
    assert_eq!(fork["forked_from"], json!({"run": id, "step": 2}));
    let fork = ann.ended(fork["id"].as_str().unwrap()).await;
    assert_eq!((&fork["outcome"], &fork["answer"]), (&json!("succeeded"), &export["run"]["answer"]));
    server.stop().await;
}

#[tokio::test]
async fn events_come_as_pages_too() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let run = ann.run(json!({"task": "x"})).await;
    let path = format!("/api/v1/runs/{}/events", run["id"].as_str().unwrap());
    let all = ann.get(&path).await.is(200);
    assert_eq!(all["next"], json!(null));
    let all = all["events"].as_array().unwrap();
    let mut pages = Vec::new();
    let mut after = json!(0);
    while !after.is_null() {
        let page = ann.get(&format!("{path}?limit=2&after={after}")).await.is(200);
        pages.extend(page["events"].as_array().unwrap().clone());
        after = page["next"].clone();
    }
    assert_eq!(&pages, all);
    // Without a wish, it is a stream.
    let stream = ann.request(Method::GET, &path).header(ACCEPT, "*/*").send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    server.stop().await;
}

#[tokio::test]
async fn health_and_figures() {
    let mut server = Server::start().await;
    let nobody = server.nobody();
    assert_eq!(nobody.get("/livez").await.text, "ok\n");
    assert_eq!(nobody.get("/readyz").await.text, "ok\n");
    let figures = nobody.get("/metrics").await;
    assert!(figures.text.contains("martlet_runs_active"), "{figures:?}");
    // Through a proxy on this machine, others come from everywhere.
    let request = || nobody.request(Method::GET, "/metrics").header("x-forwarded-for", "192.0.2.1");
    assert_eq!(nobody.send(request()).await.problem(401), "unauthorized");
    let ann = server.client("ann").await;
    let boss = server.client_with("boss", [Scope::Admin]).await;
    assert_eq!(nobody.send(request().bearer_auth(ann.key.unwrap())).await.problem(403), "forbidden");
    assert_eq!(nobody.send(request().bearer_auth(boss.key.unwrap())).await.status, 200);
    server.ask_to_stop().await.unwrap().unwrap();
}
