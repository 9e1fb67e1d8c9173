//! Questions to people, from the first look to the last.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use martlet_server::keys::Scope;
use martlet_server::{Auth, HttpOptions};
use serde_json::{Value, json};

use super::server::quick;
use super::{Server, agents};

fn path(question: &Value) -> String {
    format!("/api/v1/approvals/{}", question["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_question_is_seen_by_those_who_may_and_decided_once() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let chief = server.client_with("chief", [Scope::Approve]).await;
    let run = ann.run(json!({"agent": "payer", "task": "bob"})).await;
    assert_eq!((&run["state"], &run["pending_approvals"]), (&json!("waiting"), &json!(1)));
    let run = run["id"].as_str().unwrap();
    let question = chief.question(run).await;
    assert_eq!(question["arguments"], json!({"to": "bob", "amount": 5}));
    assert_eq!(question["display"], "{\n  \"amount\": 5,\n  \"to\": \"bob\"\n}");
    assert_eq!(
        (&question["user"], &question["kind"], &question["warnings"]),
        (&json!("ann"), &json!("call"), &json!([]))
    );
    assert_eq!(ann.get(&path(&question)).await.is(200), question);
    // A decision about something else does not count.
    let stale = json!({"decision": "approve", "digest": "0".repeat(64)});
    assert_eq!(chief.post(&path(&question), stale).await.problem(409), "conflict");
    let decided = chief
        .post(&path(&question), json!({"decision": "approve", "digest": question["digest"]}))
        .await
        .is(200);
    assert_eq!((&decided["state"], &decided["by"]), (&json!("decided"), &json!("chief")));
    assert_eq!(ann.ended(run).await["answer"], "paid 5 to bob");
    assert_eq!(ann.get("/api/v1/approvals").await.is(200)["approvals"], json!([]));
    assert_eq!(
        ann.get("/api/v1/approvals?state=all").await.is(200)["approvals"][0]["answer"]["decision"],
        "approve"
    );
    server.stop().await;
}

#[tokio::test]
async fn arguments_are_edited_and_answers_are_given() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let run = ann.run(json!({"agent": "payer", "task": "bob"})).await;
    let run = run["id"].as_str().unwrap();
    let question = ann.question(run).await;
    let wrong = json!({"decision": "edit", "arguments": {"to": "eve"}});
    assert_eq!(ann.post(&path(&question), wrong).await.problem(400), "bad_request");
    for (body, param) in [
        (json!({"decision": "edit"}), "arguments"),
        (json!({"decision": "approve", "reason": "x"}), "reason"),
        (json!({"decision": "reply", "text": "x"}), "decision"),
        (json!({"decision": "maybe"}), "decision"),
        (json!({}), "decision"),
        (json!({"decision": "approve", "digest": "x"}), "digest"),
    ] {
        let answer = ann.post(&path(&question), body.clone()).await;
        answer.problem(400);
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    let edited = json!({"decision": "edit", "arguments": {"to": "eve", "amount": 1}});
    ann.post(&path(&question), edited).await.is(200);
    assert!(ann.ended(run).await["answer"].as_str().unwrap().contains("paid 1 to eve"));

    let run = ann.run(json!({"agent": "asker", "task": "x"})).await;
    let run = run["id"].as_str().unwrap();
    let question = ann.question(run).await;
    assert_eq!(
        (&question["kind"], &question["arguments"]["question"]),
        (&json!("question"), &json!("which one?"))
    );
    ann.post(&path(&question), json!({"decision": "reply", "text": "the blue one"})).await.is(200);
    assert_eq!(ann.ended(run).await["answer"], "the blue one");
    server.stop().await;
}

#[tokio::test]
async fn fault_18_what_a_person_sees_is_what_will_be_done() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let task = "https://g\u{43e}ogle.com/\u{202e}x\u{200b}\u{1b}[2J";
    let run = ann.run(json!({"agent": "payer", "task": task})).await;
    let question = ann.question(run["id"].as_str().unwrap()).await;
    let display = question["display"].as_str().unwrap();
    assert!(!display.contains(['\u{202e}', '\u{200b}', '\u{1b}']), "{display}");
    assert!(display.contains("\\u{202E}x\\u{200B}\\u001b[2J"), "{display}");
    assert_eq!(question["warnings"].as_array().unwrap().len(), 4, "{question}");
    // Bytes as they will be used are there too.
    assert_eq!(question["arguments"]["to"], task);
    server.stop().await;
}

#[tokio::test]
async fn fault_19_of_many_decisions_one_is_taken_and_the_tool_runs_once() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let chief = server.client_with("chief", [Scope::Approve]).await;
    let run = ann.run(json!({"agent": "payer", "task": "bob"})).await;
    let run = run["id"].as_str().unwrap();
    let question = ann.question(run).await;
    let decisions = (0..30).map(|number| {
        let (who, path) = (if number % 2 == 0 { ann.clone() } else { chief.clone() }, path(&question));
        async move { who.post(&path, json!({"decision": "approve"})).await }
    });
    let answers = join_all(decisions).await;
    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(taken, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.problem(409), "already_decided");
    }
    ann.ended(run).await;
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 1);
    // And after a run was cancelled, nothing is decided any more.
    let run = ann.run(json!({"agent": "payer", "task": "bob"})).await;
    let run = run["id"].as_str().unwrap();
    let question = ann.question(run).await;
    ann.post(&format!("/api/v1/runs/{run}/cancel"), json!({})).await.is(202);
    assert_eq!(ann.ended(run).await["outcome"], "cancelled");
    assert_eq!(
        ann.post(&path(&question), json!({"decision": "approve"})).await.problem(409),
        "already_decided"
    );
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 1);
    server.stop().await;
}

#[tokio::test]
async fn fault_20_a_question_outlives_the_server_and_its_time_is_a_no() {
    let folder = tempfile::tempdir().unwrap();
    let start = async |expiry| {
        let mut options = quick();
        options.approval_expiry = expiry;
        Server::start_in(folder.path(), options, HttpOptions::new(Auth::Keys), agents(), |router| router)
            .await
    };
    let server = start(Duration::from_secs(3600)).await;
    let ann = server.client("ann").await;
    let run = ann.run(json!({"agent": "payer", "task": "bob"})).await;
    let run = run["id"].as_str().unwrap();
    let question = ann.question(run).await;
    server.stop().await;

    let server = start(Duration::from_millis(1)).await;
    let mut back = server.nobody();
    back.key.clone_from(&ann.key);
    assert_eq!(back.question(run).await, question);
    back.post(&path(&question), json!({"decision": "approve", "digest": question["digest"]})).await.is(200);
    assert_eq!(back.ended(run).await["answer"], "paid 5 to bob");
    // Nobody answers this one in time.
    let late = back.run(json!({"agent": "payer", "task": "eve"})).await;
    let late = back.ended(late["id"].as_str().unwrap()).await;
    assert!(late["answer"].as_str().unwrap().contains("in time"), "{late}");
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 1);
    let all = back.get("/api/v1/approvals?state=all").await.is(200);
    let expired = all["approvals"].as_array().unwrap().iter().find(|one| one["state"] == "expired").unwrap();
    assert_eq!(
        back.post(&path(expired), json!({"decision": "approve"})).await.problem(409),
        "already_decided"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_approved_for_the_run_is_done_without_a_further_question_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        Server::start_in(folder.path(), quick(), HttpOptions::new(Auth::Keys), agents(), |router| router)
            .await
    };
    let server = start().await;
    let ann = server.client("ann").await;
    let run = ann.run(json!({"agent": "spender", "task": "bob"})).await;
    let run = run["id"].as_str().unwrap();
    let first = ann.question(run).await;
    for decision in ["deny", "reply"] {
        let refused = ann.post(&path(&first), json!({"decision": decision, "for_run": true})).await;
        assert_eq!(refused.problem(400), "bad_request");
        assert_eq!(refused.json()["error"]["param"], "for_run");
    }
    let decided = ann.post(&path(&first), json!({"decision": "approve", "for_run": true})).await.is(200);
    assert_eq!(decided["answer"], json!({"decision": "approve", "for_run": true}));
    server.agents.waiting.notified().await;
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 1);
    server.stop().await;

    let server = start().await;
    let mut back = server.nobody();
    back.key.clone_from(&ann.key);
    // What became of the other call is for a person to say, as ever.
    let mut frames = back.events(run, 0).await;
    frames.until(|frame| frame.event == "state" && frame.data["state"] == "waiting").await;
    let doubt = back.question(run).await;
    assert_eq!(doubt["kind"], "doubt");
    back.post(&path(&doubt), json!({"decision": "done", "output": "waited"})).await.is(200);
    assert_eq!(back.ended(run).await["answer"], "paid 2 to bob");
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 1);
    let export = back.get(&format!("/api/v1/runs/{run}/export")).await.is(200);
    let second = export["approvals"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(second["arguments"], json!({"to": "bob", "amount": 2}));
    assert_eq!((&second["by"], &second["under"]), (&json!("ann"), &first["id"]));
    assert_eq!(second["answer"], json!({"decision": "approve"}));
    let events = export["events"].as_array().unwrap();
    let told: Vec<_> = events.iter().filter(|event| event["type"] == "tool.decided").collect();
    assert_eq!(told.len(), 2, "{told:?}");

    // Another run asks anew.
    let other = back.run(json!({"agent": "spender", "task": "eve"})).await;
    assert_eq!((&other["state"], &other["pending_approvals"]), (&json!("waiting"), &json!(1)));
    server.stop().await;
}
