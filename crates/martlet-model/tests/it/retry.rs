//! Trying again, on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use martlet_core::ModelFailureKind;
use martlet_model::{Model, ModelError, Retry};
use martlet_testkit::{FakeServer, Reply, ScriptedModel, ScriptedReply, chunk, sse};
use serde_json::json;
use tokio::time::Instant;

use crate::common::{Watcher, client, request, soon};

fn failing(times: usize, kind: ModelFailureKind) -> Arc<ScriptedModel> {
    Arc::new(ScriptedModel::from_fn(move |_, index| {
        if index < times { ScriptedReply::failure(kind, "failed") } else { ScriptedReply::text("done") }
    }))
}

#[tokio::test(start_paused = true)]
async fn passing_failures_are_tried_again_with_growing_pauses() {
    for kind in [
        ModelFailureKind::Unavailable,
        ModelFailureKind::RateLimited,
        ModelFailureKind::Protocol,
        ModelFailureKind::TimedOut,
    ] {
        let script = failing(3, kind);
        let model = Retry::new(Arc::clone(&script));
        let begun = Instant::now();
        assert_eq!(model.generate(request("hi"), None).await.unwrap().text, "done");
        assert_eq!(script.calls(), 4);
        // 0.5 + 1 + 2 seconds, of which chance takes up to half away.
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(1750) && waited <= Duration::from_millis(3510), "{waited:?}");
        let requests = script.requests();
        assert!(requests.iter().all(|asked| *asked == requests[0]));
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_and_counted() {
    let script = failing(usize::MAX, ModelFailureKind::Unavailable);
    let error = Retry::new(Arc::clone(&script)).attempts(3).generate(request("hi"), None).await.unwrap_err();
    assert_eq!((script.calls(), error.attempts()), (3, 3));
    assert_eq!(error.to_string(), "failed (tried 3 times)");
}

#[tokio::test(start_paused = true)]
async fn lasting_failures_are_not_tried_again() {
    for kind in [
        ModelFailureKind::Auth,
        ModelFailureKind::Quota,
        ModelFailureKind::Request,
        ModelFailureKind::ContextLength,
        ModelFailureKind::Local,
    ] {
        let script = failing(1, kind);
        let error = Retry::new(Arc::clone(&script)).generate(request("hi"), None).await.unwrap_err();
        assert_eq!((script.calls(), error.to_string().as_str()), (1, "failed"));
    }
}

fn limited(wait: Duration) -> ScriptedModel {
    let error = ModelError::new(ModelFailureKind::RateLimited, "slow").with_retry_after(Some(wait));
    ScriptedModel::new([ScriptedReply::from(error), ScriptedReply::text("done")])
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_a_provider_asks_for_is_kept() {
    let begun = Instant::now();
    Retry::new(limited(Duration::from_secs(30))).generate(request("hi"), None).await.unwrap();
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(30) && waited <= Duration::from_millis(30_510), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_is_left_to_the_caller() {
    let begun = Instant::now();
    let error =
        Retry::new(limited(Duration::from_secs(3600))).generate(request("hi"), None).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(error.to_string().contains("asks to wait 3600 s and the limit is 60 s"), "{error}");
}

#[tokio::test]
async fn nothing_is_tried_again_once_a_piece_was_shown() {
    let cut = || Reply::stream([sse(&chunk(json!({"content": "The answer"}), None))]).then_cut();
    let server = FakeServer::with_replies([cut(), Reply::text("never")]);
    let model = Retry::new(client(&server).build().unwrap()).pauses(Duration::ZERO, Duration::ZERO);
    let watcher = Watcher::default();
    let error = soon(model.generate(request("hi"), Some(&watcher.sink()))).await.unwrap_err();
    assert_eq!(watcher.text(), "The answer");
    assert!(error.to_string().contains("part of the reply was already shown"), "{error}");
    assert_eq!(server.counters().requests, 1);
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_until_it_answers() {
    let server = FakeServer::with_replies([
        Reply::status(503, "busy"),
        Reply::closed(),
        Reply::status(429, "slow").retry_after(0),
        Reply::text("done"),
    ]);
    let model = Retry::new(client(&server).build().unwrap()).pauses(Duration::ZERO, Duration::ZERO);
    let watcher = Watcher::default();
    let reply = soon(model.generate(request("hi"), Some(&watcher.sink()))).await.unwrap();
    assert_eq!((reply.text.as_str(), watcher.text().as_str()), ("done", "done"));
    assert_eq!(server.counters().requests, 4);
}
