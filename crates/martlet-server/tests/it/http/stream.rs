//! Streams of events: complete, without repetition, whatever happens on the way.

use http::Method;
use http::header::{ACCEPT, LOCATION};
use serde_json::{Value, json};

use super::Server;
use super::server::{Frame, Frames};

fn durable(frames: &[Frame]) -> Vec<Value> {
    frames.iter().filter(|frame| frame.id.is_some()).map(|frame| frame.data.clone()).collect()
}

#[tokio::test]
async fn a_stream_has_every_event_once_and_an_end() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let request = ann.posting("/api/v1/runs", &json!({"task": "x"})).header(ACCEPT, "text/event-stream");
    let frames = Frames::of(request).await;
    let id = frames.headers[LOCATION].to_str().unwrap().rsplit('/').next().unwrap().to_owned();
    for (name, value) in [("cache-control", "no-cache"), ("x-accel-buffering", "no")] {
        assert_eq!(frames.headers[name], value);
    }
    let frames = frames.all().await;
    let events = durable(&frames);
    let ids: Vec<_> = frames.iter().filter_map(|frame| frame.id).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    assert!(events.iter().zip(&ids).all(|(event, id)| event["id"] == *id));
    assert_eq!(events[0]["type"], "run.started");
    assert_eq!(events.last().unwrap()["type"], "run.ended");
    let end = frames.last().unwrap();
    assert_eq!((&*end.event, &end.data), ("end", &json!({"state": "ended", "outcome": "succeeded"})));
    // Whoever comes back after any of them gets the rest.
    for after in 0..=ids.len() as u64 {
        let rest = ann.events(&id, after).await.all().await;
        assert_eq!(durable(&rest), events[after as usize..], "after {after}");
        assert_eq!(rest.last().unwrap().event, "end");
        let path = format!("/api/v1/runs/{id}/events?after={after}");
        let again = Frames::of(ann.request(Method::GET, &path)).await.all().await;
        assert_eq!(durable(&again), durable(&rest));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stream_tells_of_the_queue_and_of_people() {
    let mut options = super::server::quick();
    options.limits.max_running_per_user = 1;
    let http = martlet_server::HttpOptions::new(martlet_server::Auth::Keys);
    let server = Server::start_with(options, http).await;
    let ann = server.client("ann").await;
    let first = ann.start(json!({"agent": "slow", "task": "x"})).await;
    server.agents.waiting.notified().await;
    let second = ann.post("/api/v1/runs", json!({"agent": "payer", "task": "bob"})).await.is(202);
    assert_eq!(second["state"], "queued");
    assert_eq!(second["queue"]["position"], 1);
    let second = second["id"].as_str().unwrap();
    let mut frames = ann.events(second, 0).await;
    let place = frames.until(|frame| frame.event == "queue").await;
    assert_eq!((&place.data["position"], &place.data["of"]), (&json!(1), &json!(1)));
    server.agents.gate.add_permits(1);
    frames.until(|frame| frame.event == "state" && frame.data["state"] == "running").await;
    frames.until(|frame| frame.data["type"] == "tool.approval").await;
    frames.until(|frame| frame.event == "state" && frame.data["state"] == "waiting").await;
    let question = ann.question(second).await;
    let path = format!("/api/v1/approvals/{}", question["id"].as_str().unwrap());
    ann.post(&path, json!({"decision": "deny", "reason": "too much"})).await.is(200);
    let decided = frames.until(|frame| frame.event == "approval").await;
    assert_eq!((&decided.data["state"], &decided.data["by"]), (&json!("decided"), &json!("ann")));
    frames.until(|frame| frame.event == "end").await;
    assert!(frames.next().await.is_none());
    ann.ended(&first).await;
    server.stop().await;
}

#[tokio::test]
async fn many_readers_of_a_run_that_goes_on_all_see_everything() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let id = ann.start(json!({"agent": "slow", "task": "x"})).await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut frames = ann.events(&id, 0).await;
        frames.until(|frame| frame.id == Some(1)).await;
        readers.push(frames);
    }
    server.agents.waiting.notified().await;
    server.agents.gate.add_permits(1);
    let all = durable(&ann.events(&id, 0).await.all().await);
    for reader in readers {
        assert_eq!(durable(&reader.all().await), all[1..]);
    }
    server.stop().await;
}

#[tokio::test]
async fn shutting_down_ends_streams_and_the_run_goes_on_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let http = martlet_server::HttpOptions::new(martlet_server::Auth::Keys);
        Server::start_in(folder.path(), super::server::quick(), http, super::agents(), |router| router).await
    };
    let mut server = start().await;
    let ann = server.client("ann").await;
    let id = ann.start(json!({"agent": "slow", "task": "x"})).await;
    server.agents.waiting.notified().await;
    let mut frames = ann.events(&id, 0).await;
    let last = frames.until(|frame| frame.data["type"] == "tool.called").await.id.unwrap();
    let ended = server.ask_to_stop();
    let end = frames.until(|frame| frame.event == "end").await;
    assert_eq!(end.data["reason"], "shutting_down");
    assert!(frames.next().await.is_none());
    ended.await.unwrap().unwrap();
    let key = ann.key.clone();
    drop((server, ann));
    let server = start().await;
    let mut ann = server.nobody();
    ann.key = key;
    // What became of the call is for a person to say, as it is not known to be harmless.
    let mut frames = ann.events(&id, last).await;
    let waits = frames.until(|frame| frame.event == "state" && frame.data["state"] == "waiting").await;
    assert_eq!(waits.data["outcome"], json!(null));
    let question = ann.question(&id).await;
    assert_eq!(question["kind"], "doubt");
    let path = format!("/api/v1/approvals/{}", question["id"].as_str().unwrap());
    ann.post(&path, json!({"decision": "done", "output": "it was"})).await.is(200);
    frames.until(|frame| frame.event == "end").await;
    assert_eq!(ann.get(&format!("/api/v1/runs/{id}")).await.is(200)["answer"], "done");
    server.stop().await;
}
