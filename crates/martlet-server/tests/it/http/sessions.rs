//! Conversations: their branches and exports.

use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use serde_json::json;

use super::Server;
use super::server::Client;

/// A conversation with a run for each text.
async fn conversation(client: &Client, texts: &[&str]) -> (String, Vec<String>) {
    let session = client.post("/api/v1/sessions", json!({"agent": "recall"})).await.is(201);
    let session = session["id"].as_str().unwrap().to_owned();
    let mut runs = Vec::new();
    for text in texts {
        let run = client.run(json!({"session": session, "task": text})).await;
        runs.push(run["id"].as_str().unwrap().to_owned());
    }
    (session, runs)
}

/// The titles of the runs of a conversation, the oldest first.
async fn runs(client: &Client, session: &str) -> Vec<String> {
    let list = client.get(&format!("/api/v1/sessions/{session}/runs")).await.is(200);
    let titles = list["runs"].as_array().unwrap().iter().rev();
    titles.map(|run| run["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_branch_goes_on_before_a_run() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let (session, ids) = conversation(&ann, &["one", "two", "three"]).await;
    let shown = ann.get(&format!("/api/v1/sessions/{session}")).await.is(200);
    assert_eq!((&shown["title"], &shown["branched_from"]), (&json!("one"), &json!(null)));
    let made = ann.post(&format!("/api/v1/sessions/{session}/branch"), json!({"run": ids[2]})).await;
    let branch = made.is(201);
    let id = branch["id"].as_str().unwrap();
    assert_eq!(made.headers[LOCATION], format!("/api/v1/sessions/{id}"));
    assert_eq!(branch["branched_from"], json!({"session": session, "run": ids[2]}));
    let told = (&branch["title"], &branch["runs"], &branch["agent"]);
    assert_eq!(told, (&json!("one"), &json!(2), &json!("recall")));
    assert_eq!(runs(&ann, id).await, ["one", "two"]);
    // What the model is told is what was said on this branch.
    let other = ann.run(json!({"session": id, "task": "four"})).await;
    assert_eq!(other["answer"], "one | two | four");
    assert_eq!(runs(&ann, id).await, ["one", "two", "four"]);
    assert_eq!(runs(&ann, &session).await, ["one", "two", "three"]);
    let on = ann.run(json!({"session": session, "task": "on"})).await;
    assert_eq!(on["answer"], "one | two | three | on");
    // Before the first run, nothing was said.
    let path = format!("/api/v1/sessions/{session}/branch");
    let first = ann.post(&path, json!({"run": ids[0]})).await.is(201);
    let first = first["id"].as_str().unwrap().to_owned();
    assert_eq!(runs(&ann, &first).await, [""; 0]);
    let again = ann.run(json!({"session": first, "task": "five"})).await;
    assert_eq!(again["answer"], "five");

    // The session that was left can go; what the branch has of it stays.
    ann.delete(&format!("/api/v1/sessions/{session}")).await.is(204);
    assert_eq!(runs(&ann, id).await, ["one", "two", "four"]);
    let shown = ann.get(&format!("/api/v1/sessions/{id}")).await.is(200);
    assert_eq!(shown["branched_from"], json!(null));
    assert_eq!(ann.get(&format!("/api/v1/runs/{}", ids[0])).await.is(200)["session"], *id);
    assert_eq!(ann.get(&format!("/api/v1/runs/{}", ids[2])).await.problem(404), "not_found");
    let last = ann.run(json!({"session": id, "task": "six"})).await;
    assert_eq!(last["answer"], "one | two | four | six");
    server.stop().await;
}

#[tokio::test]
async fn a_branch_leaves_a_run_of_the_session_before_which_all_have_ended() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let (session, ids) = conversation(&ann, &["one"]).await;
    let (other, _) = conversation(&ann, &["one"]).await;
    let path = |session: &str| format!("/api/v1/sessions/{session}/branch");
    assert_eq!(ann.post(&path(&other), json!({"run": ids[0]})).await.problem(404), "not_found");
    assert_eq!(ann.post(&path(&session), json!({"run": "run_0"})).await.problem(404), "not_found");
    assert_eq!(ann.post(&path("sess_0"), json!({"run": ids[0]})).await.problem(404), "not_found");
    assert_eq!(ann.post(&path(&session), json!({})).await.problem(400), "bad_request");
    let bob = server.client("bob").await;
    assert_eq!(bob.post(&path(&session), json!({"run": ids[0]})).await.problem(404), "not_found");
    // A run that waits for a person may be left, but nothing after it.
    let (session, _) = conversation(&ann, &[]).await;
    let waits = ann.run(json!({"session": session, "agent": "payer", "task": "bob"})).await;
    assert_eq!(waits["state"], "waiting");
    let next = ann.start(json!({"session": session, "task": "two"})).await;
    ann.post(&path(&session), json!({"run": waits["id"]})).await.is(201);
    let refused = ann.post(&path(&session), json!({"run": next})).await;
    assert_eq!(refused.problem(409), "conflict");
    assert!(refused.text.contains("wait for it, or cancel it"), "{refused:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_conversation_is_exported() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let (session, ids) = conversation(&ann, &["# one", "two"]).await;
    let path = format!("/api/v1/sessions/{session}/export");
    let json = ann.get(&path).await;
    assert_eq!(json.headers[CONTENT_TYPE], "application/json");
    assert_eq!(json.headers[CONTENT_DISPOSITION], format!("attachment; filename=\"{session}.json\""));
    let export = json.is(200);
    assert_eq!((&export["version"], &export["session"]["id"]), (&json!(1), &json!(session)));
    let names: Vec<_> =
        export["runs"].as_array().unwrap().iter().map(|run| run["run"]["id"].clone()).collect();
    assert_eq!(names, ids);
    assert_eq!(export["runs"][0], ann.get(&format!("/api/v1/runs/{}/export", ids[0])).await.is(200));
    let markdown = ann.get(&format!("{path}?format=markdown")).await;
    assert_eq!(markdown.headers[CONTENT_TYPE], "text/markdown; charset=utf-8");
    let places: Vec<_> = ["# \\# one\n", "\n## \\# one\n", "\n### Step 1", "# one | two", "\n## two\n"]
        .iter()
        .map(|text| markdown.text.find(text).unwrap_or_else(|| panic!("no {text} in {}", markdown.text)))
        .collect();
    assert!(places[0] < places[1] && places[1] < places[2] && places[2] < places[4], "{places:?}");
    // One without runs, and one of somebody else.
    let empty = ann.post("/api/v1/sessions", json!({})).await.is(201);
    let empty = format!("/api/v1/sessions/{}/export", empty["id"].as_str().unwrap());
    assert_eq!(ann.get(&empty).await.is(200)["runs"], json!([]));
    let bob = server.client("bob").await;
    assert_eq!(bob.get(&path).await.problem(404), "not_found");
    assert_eq!(ann.get(&format!("{path}?format=pdf")).await.problem(400), "bad_request");
    server.stop().await;
}
