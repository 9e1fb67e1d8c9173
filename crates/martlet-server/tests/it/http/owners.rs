//! Nobody sees what is somebody else's, on any route.

use futures::future::join_all;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};
use martlet_server::keys::Scope;
use serde_json::{Value, json};

use super::Server;
use super::document::{Operation, example, operations};
use super::files::form;
use super::server::{Client, Frames};

/// The names of things that somebody has.
#[derive(Debug, Clone)]
struct Things {
    run: String,
    session: String,
    file: String,
    approval: String,
}

/// Lets somebody have one of each, all with their secret in it.
async fn things(client: &Client, secret: &str) -> Things {
    let session = client.post("/api/v1/sessions", json!({"title": secret})).await.is(201);
    let session = session["id"].as_str().unwrap().to_owned();
    let upload = client.request(Method::POST, "/api/v1/files");
    let upload = form(upload, &[(&format!("{secret}.txt"), "text/plain", secret.as_bytes())]);
    let file = client.send(upload).await.is(201)["files"][0]["id"].as_str().unwrap().to_owned();
    client.run(json!({"session": session, "task": secret, "files": [file]})).await;
    let run = client.run(json!({"agent": "payer", "task": secret})).await;
    let run = run["id"].as_str().unwrap().to_owned();
    let approval = client.question(&run).await["id"].as_str().unwrap().to_owned();
    client.post("/agent/query", json!({"query": secret, "session_id": "shared name"})).await.is(200);
    Things { run, session, file, approval }
}

impl Things {
    fn ids(&self) -> [&str; 4] {
        [&self.run, &self.session, &self.file, &self.approval]
    }
}

fn request(client: &Client, operation: &Operation, id: &str, theirs: &Things) -> reqwest::RequestBuilder {
    let mut path = operation.path_with(id);
    // Lists are asked for what is theirs, too.
    let filters = operation.query.iter().filter_map(|name| match name.as_str() {
        "session" => Some(format!("session={}", theirs.session)),
        "session_id" => Some(format!("session_id={}", theirs.session)),
        _ => None,
    });
    let filters: Vec<_> = filters.collect();
    if !filters.is_empty() {
        path = format!("{path}?{}", filters.join("&"));
    }
    let request = client.request(operation.method.clone(), &path).header(ACCEPT, "application/json");
    let Some(schema) = &operation.body else { return request };
    let mut body = example(schema);
    if operation.id == "create_run" {
        body = json!({"task": "x", "session": theirs.session, "files": [theirs.file]});
    }
    request.header(CONTENT_TYPE, "application/json").body(body.to_string())
}

/// Asks every operation for what is theirs.
async fn hammer(client: Client, theirs: Things, secret: String, all: Vec<Operation>) {
    for operation in all {
        // Everything of one's own may be deleted.
        if operation.id == "clear_history" {
            continue;
        }
        let ids: Vec<&str> = if operation.has_id() { theirs.ids().to_vec() } else { vec![""] };
        for id in ids {
            let answer = client.send(request(&client, &operation, id, &theirs)).await;
            assert!(!answer.text.contains(&secret), "{operation:?} {id} tells the secret: {answer:?}");
            for (_, value) in &answer.headers {
                assert!(!String::from_utf8_lossy(value.as_bytes()).contains(&secret));
            }
            if operation.has_id() {
                // A key of this name cannot be, which is said; all else is not there.
                let expected: &[u16] = if operation.path.contains("/keys/") { &[403] } else { &[404] };
                assert!(expected.contains(&answer.status.as_u16()), "{operation:?} {id}: {answer:?}");
            }
            if operation.id == "create_run" {
                assert_eq!(answer.problem(404), "not_found");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_09_two_users_see_nothing_of_each_other_on_any_route() {
    let server = Server::start().await;
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    let (ann_secret, bob_secret) = ("annsecret7f3a", "bobsecret91cc");
    let (of_ann, of_bob) = tokio::join!(things(&ann, ann_secret), things(&bob, bob_secret));
    let all = operations();
    let rounds = (0..3).flat_map(|_| {
        [
            hammer(ann.clone(), of_bob.clone(), bob_secret.into(), all.clone()),
            hammer(bob.clone(), of_ann.clone(), ann_secret.into(), all.clone()),
        ]
    });
    join_all(rounds).await;
    // Both still have what they had.
    for (client, things, secret) in [(&ann, &of_ann, ann_secret), (&bob, &of_bob, bob_secret)] {
        assert_eq!(client.get(&format!("/api/v1/runs/{}", things.run)).await.is(200)["task"], secret);
        assert_eq!(
            client.get(&format!("/api/v1/sessions/{}", things.session)).await.is(200)["title"],
            secret
        );
        assert_eq!(client.get(&format!("/api/v1/files/{}", things.file)).await.text, secret);
        let approval = client.get(&format!("/api/v1/approvals/{}", things.approval)).await.is(200);
        assert_eq!(approval["state"], "pending");
        let history = client.get("/history?session_id=shared%20name").await.is(200);
        assert_eq!(history["total"], 1, "{history}");
        assert!(history.to_string().contains(secret));
    }
    server.stop().await;
}

/// While both work, neither's stream, list or answer has anything of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_09_what_goes_on_at_the_same_time_is_not_mixed_up() {
    let server = Server::start().await;
    let work = ["ann", "bob", "cleo"].map(|user| {
        let server = &server;
        async move {
            let client = server.client(user).await;
            let secret = format!("secretof{user}");
            for number in 0..15 {
                let task = json!({"task": format!("{secret} {number}")});
                let run = client.posting("/api/v1/runs", &task).header(ACCEPT, "text/event-stream");
                let frames = Frames::of(run).await.all().await;
                let text = format!("{frames:?}");
                assert!(text.contains(&secret));
                for other in ["ann", "bob", "cleo"].iter().filter(|other| **other != user) {
                    assert!(!text.contains(&format!("secretof{other}")));
                }
                let list = client.get("/api/v1/runs?limit=200").await.is(200);
                let runs = list["runs"].as_array().unwrap();
                assert_eq!(runs.len(), number + 1);
                assert!(runs.iter().all(|run| run["title"].as_str().unwrap().starts_with(&secret)));
                assert!(runs.iter().all(|run: &Value| run["answer"].is_null()
                    || run["answer"].as_str().unwrap().contains(&secret)));
            }
        }
    });
    join_all(work).await;
    server.stop().await;
}

/// The scope `approve` shows the questions of the tenant and nothing else of others.
#[tokio::test]
async fn fault_09_who_decides_for_others_sees_their_questions_alone() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let chief = server.client_with("chief", [Scope::Approve, Scope::Read, Scope::Run]).await;
    let of_ann = things(&ann, "annsecret").await;
    assert_eq!(chief.get(&format!("/api/v1/approvals/{}", of_ann.approval)).await.is(200)["user"], "ann");
    for path in ["runs", "sessions", "files"] {
        for id in of_ann.ids() {
            assert_eq!(chief.get(&format!("/api/v1/{path}/{id}")).await.problem(404), "not_found");
        }
    }
    assert_eq!(chief.get(&format!("/api/v1/runs/{}/events", of_ann.run)).await.problem(404), "not_found");
    assert_eq!(chief.get("/api/v1/runs").await.is(200)["runs"], json!([]));
    server.stop().await;
}
