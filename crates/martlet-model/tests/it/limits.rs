//! Limits around a model, on a paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use martlet_core::{ModelFailureKind, ModelProfile, ModelReply, ModelRequest, Usage};
use martlet_model::{Concurrency, Model, RateLimit};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use tokio::time::{Instant, timeout};

use crate::common::request;

const SECOND: Duration = Duration::from_secs(1);

fn slow(delay: Duration) -> Arc<ScriptedModel> {
    Arc::new(ScriptedModel::from_fn(|_, _| ScriptedReply::text("done")).delay(delay))
}

/// A model that notes when it is called.
fn timed(
    reply: impl Fn() -> ScriptedReply + Send + Sync + 'static,
) -> (ScriptedModel, Arc<Mutex<Vec<Duration>>>) {
    let begun = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let model = ScriptedModel::from_fn(move |_, _| {
        noted.lock().unwrap().push(begun.elapsed());
        reply()
    });
    (model, times)
}

/// A request whose reply may have so many tokens.
fn up_to(tokens: u32) -> ModelRequest {
    let mut request = request("hi");
    request.options.max_tokens = Some(tokens);
    request
}

fn reply_of(input_tokens: u64, output_tokens: u64) -> ScriptedReply {
    let mut reply = ModelReply::text("done");
    reply.usage = Usage { input_tokens, output_tokens, ..Usage::default() };
    ScriptedReply::new(Ok(reply))
}

fn asked(script: &ScriptedModel) -> Vec<String> {
    script.requests().iter().map(|request| request.messages[0].joined_text()).collect()
}

#[tokio::test(start_paused = true)]
async fn never_more_calls_than_places() {
    let script = slow(SECOND);
    let model = Concurrency::new(Arc::clone(&script), 8);
    let begun = Instant::now();
    let replies = join_all((0..1000).map(|caller| {
        let model = model.clone();
        async move { model.generate(request(&caller.to_string()), None).await }
    }))
    .await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!((script.peak_in_flight(), begun.elapsed()), (8, 125 * SECOND));
    assert_eq!(asked(&script), (0..1000).map(|caller| caller.to_string()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_place_up() {
    let script = slow(100 * SECOND);
    let model = Concurrency::new(Arc::clone(&script), 1);
    let mut running = model.generate(request("running"), None);
    let mut waiting = model.generate(request("waiting"), None);
    let mut last = model.generate(request("last"), None);
    assert!((&mut running).now_or_never().is_none());
    assert!((&mut waiting).now_or_never().is_none());
    assert!((&mut last).now_or_never().is_none());
    drop(waiting);
    drop(running);
    last.await.unwrap();
    assert_eq!((asked(&script), script.peak_in_flight()), (vec!["running".into(), "last".into()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_limited_model_is_still_itself() {
    let profile = ModelProfile { small: true, ..ModelProfile::default() };
    let script = || ScriptedModel::new(["done"]).named("mine").profile(profile);
    let limited = Concurrency::new(script(), 0);
    assert_eq!((limited.name(), limited.profile()), ("mine", profile));
    assert_eq!(limited.generate(request("hi"), None).await.unwrap().text, "done");
    let limited = RateLimit::new(script()).requests_per_minute(0);
    assert_eq!((limited.name(), limited.profile()), ("mine", profile));
    assert_eq!(limited.generate(request("hi"), None).await.unwrap().text, "done");
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_held_in_any_minute() {
    let (script, times) = timed(|| ScriptedReply::text("done"));
    let model = RateLimit::new(Arc::new(script)).requests_per_minute(100);
    // A start in the middle of a minute must not count as half of one.
    for _ in 0..30 {
        model.generate(request("early"), None).await.unwrap();
        tokio::time::advance(SECOND).await;
    }
    let calls = join_all((0..1000).map(|_| model.generate(request("hi"), None)));
    assert!(timeout(149 * SECOND + SECOND / 2, calls).await.is_err(), "1,000 calls take ten minutes");
    let times = times.lock().unwrap();
    assert!(times.len() >= 299, "three minutes have room for 300 calls: {}", times.len());
    for start in times.iter() {
        let in_a_minute = times.iter().filter(|at| *at >= start && **at < *start + 60 * SECOND).count();
        assert!(in_a_minute <= 100, "{in_a_minute} calls from {start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_go_in_the_order_in_which_they_came() {
    let script = slow(Duration::ZERO);
    let model = RateLimit::new(Arc::clone(&script)).requests_per_minute(7);
    let names: Vec<String> = (0..50).map(|caller| caller.to_string()).collect();
    join_all(names.iter().map(|name| model.generate(request(name), None))).await;
    assert_eq!(asked(&script), names);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_has_taken_nothing() {
    let (script, times) = timed(|| ScriptedReply::text("done"));
    let model = RateLimit::new(script).requests_per_minute(1);
    model.generate(request("first"), None).await.unwrap();
    let mut second = model.generate(request("second"), None);
    let mut third = model.generate(request("third"), None);
    assert!((&mut second).now_or_never().is_none());
    assert!((&mut third).now_or_never().is_none());
    tokio::time::advance(30 * SECOND).await;
    drop(second);
    third.await.unwrap();
    assert_eq!(times.lock().unwrap().len(), 2);
    let waited = times.lock().unwrap()[1];
    assert!(waited >= 60 * SECOND && waited < 61 * SECOND, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_reserved_and_corrected() {
    // Each reply takes 5 seconds and far fewer tokens than it might.
    let (script, times) = timed(|| reply_of(5, 20).delay(5 * SECOND));
    let model = RateLimit::new(script).tokens_per_minute(1000);
    join_all((0..3).map(|_| model.generate(up_to(900), None))).await;
    let seconds: Vec<u64> = times.lock().unwrap().iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [0, 5, 10], "what a reply did not need is there for the next one");
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_used_count_for_a_minute() {
    let (script, times) = timed(|| reply_of(400, 200));
    let model = RateLimit::new(script).tokens_per_minute(1000);
    for _ in 0..3 {
        model.generate(up_to(400), None).await.unwrap();
    }
    // A call that is bigger than the limit goes alone, and does not wait for ever.
    model.generate(up_to(50_000), None).await.unwrap();
    let seconds: Vec<u64> = times.lock().unwrap().iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [0, 60, 120, 180]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_or_is_dropped_gives_back_its_reply() {
    let (script, times) =
        timed(|| ScriptedReply::failure(ModelFailureKind::Unavailable, "down").delay(5 * SECOND));
    let model = RateLimit::new(script).tokens_per_minute(1000);
    assert!(model.generate(up_to(900), None).await.is_err());
    assert!(timeout(2 * SECOND, model.generate(up_to(900), None)).await.is_err());
    assert!(model.generate(up_to(900), None).await.is_err());
    let seconds: Vec<u64> = times.lock().unwrap().iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [0, 5, 7]);
}
