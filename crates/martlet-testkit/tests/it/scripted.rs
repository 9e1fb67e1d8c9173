use std::sync::{Arc, Mutex};
use std::time::Duration;

use martlet_core::{Delta, Message, ModelFailureKind};
use martlet_model::{DeltaSink, Model, ModelRequest};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use serde_json::json;

fn request(text: &str) -> ModelRequest {
    ModelRequest { messages: vec![Message::user(text)], ..Default::default() }
}

#[tokio::test]
async fn replies_come_in_order_and_requests_are_kept() {
    let model = ScriptedModel::new([
        ScriptedReply::text("one"),
        ScriptedReply::tool_call("f", json!({"x": 1})),
        ScriptedReply::failure(ModelFailureKind::Quota, "empty"),
    ]);
    assert_eq!(model.generate(request("a"), None).await.unwrap().text, "one");
    assert_eq!(model.generate(request("b"), None).await.unwrap().tool_calls[0].name, "f");
    assert_eq!(model.generate(request("c"), None).await.unwrap_err().kind(), ModelFailureKind::Quota);
    let error = model.generate(request("d"), None).await.unwrap_err();
    assert!(error.to_string().contains("no reply for call 4") && !error.is_transient());
    let texts: Vec<String> = model.requests().iter().map(|asked| asked.messages[0].joined_text()).collect();
    assert_eq!(texts, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_watcher_gets_pieces() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let seen = Arc::clone(&seen);
        DeltaSink::new(move |delta| seen.lock().unwrap().push(delta))
    };
    let model = ScriptedModel::new([ScriptedReply::text("héllo").pieces(3)]);
    model.generate(request("a"), Some(&sink)).await.unwrap();
    let text = |text: &str| Delta::Text { text: text.into() };
    assert_eq!(*seen.lock().unwrap(), [text("hél"), text("lo")]);
}

#[tokio::test(start_paused = true)]
async fn delays_are_on_the_clock_of_the_test_and_a_dropped_call_is_over() {
    let model = ScriptedModel::from_fn(|_, index| index.to_string()).delay(Duration::from_secs(3600));
    let begun = tokio::time::Instant::now();
    assert_eq!(model.generate(request("a"), None).await.unwrap().text, "0");
    assert_eq!(begun.elapsed(), Duration::from_secs(3600));
    let dropped = tokio::time::timeout(Duration::from_secs(1), model.generate(request("b"), None)).await;
    assert!(dropped.is_err());
    assert_eq!((model.calls(), model.in_flight(), model.peak_in_flight()), (2, 0, 1));
}
