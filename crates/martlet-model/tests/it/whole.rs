//! Replies that are not streamed.

use std::sync::Arc;

use martlet_core::{Arguments, FinishReason, ModelFailureKind, ModelProfile, Usage};
use martlet_model::{Model, Streaming};
use martlet_testkit::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::common::{Watcher, client, request, soon, whole};

fn message(message: Value, finish: Value) -> Reply {
    Reply::json(json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}))
}

#[tokio::test]
async fn a_reply_with_everything() {
    let reply = Reply::json(json!({
        "id": "x", "model": "m-2026", "choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": "Ja — ünïcode", "reasoning_content": "hm"}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}
    }));
    let reply = whole(reply).await.unwrap();
    assert_eq!(reply.text, "Ja — ünïcode");
    assert_eq!(reply.reasoning.as_deref(), Some("hm"));
    assert_eq!(reply.finish, FinishReason::Stop);
    assert_eq!(reply.model.as_deref(), Some("m-2026"));
    let usage = Usage { input_tokens: 7, output_tokens: 3, cached_tokens: 4, reasoning_tokens: 2 };
    assert_eq!(reply.usage, usage);
}

#[tokio::test]
async fn calls_are_read_however_they_come() {
    let calls = json!([
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
        {"type": "function", "function": {"name": "g", "arguments": {"y": 2}}},
        {"id": "a", "function": {"name": "h", "arguments": ""}},
        {"id": null, "function": {"name": "i", "arguments": "{\"x\": "}},
        {"id": "e", "function": {"name": "j", "arguments": null}},
        {},
    ]);
    let reply =
        whole(message(json!({"content": null, "tool_calls": calls}), json!("tool_calls"))).await.unwrap();
    let calls: Vec<_> =
        reply.tool_calls.iter().map(|call| (&*call.id, &*call.name, call.arguments.clone())).collect();
    let object = |value: Value| Arguments::Object(value.as_object().unwrap().clone());
    assert_eq!(
        calls,
        [
            ("a", "f", object(json!({"x": 1}))),
            ("call_1", "g", object(json!({"y": 2}))),
            ("call_2", "h", object(json!({}))),
            ("call_3", "i", Arguments::Malformed("{\"x\": ".into())),
            ("e", "j", object(json!({}))),
        ]
    );
    assert_eq!(reply.finish, FinishReason::ToolCalls);
}

#[tokio::test]
async fn finish_reasons_are_mapped() {
    let call = json!([{"id": "a", "function": {"name": "f", "arguments": "{}"}}]);
    for (content, finish, expected) in [
        (json!({"content": "x"}), json!("stop"), FinishReason::Stop),
        (json!({"content": "x"}), json!(null), FinishReason::Stop),
        (json!({"content": "x"}), json!("eos_token"), FinishReason::Stop),
        (json!({"content": "x"}), json!("length"), FinishReason::Length),
        (json!({"content": "x"}), json!("content_filter"), FinishReason::ContentFilter),
        (json!({"tool_calls": call}), json!("stop"), FinishReason::ToolCalls),
        (json!({"tool_calls": call}), json!("function_call"), FinishReason::ToolCalls),
        (json!({"tool_calls": call}), json!("length"), FinishReason::Length),
    ] {
        let reply = whole(message(content.clone(), finish.clone())).await.unwrap();
        assert_eq!(reply.finish, expected, "{content} {finish}");
    }
}

#[tokio::test]
async fn calls_that_were_announced_must_be_there() {
    let error =
        whole(message(json!({"content": "x", "tool_calls": []}), json!("tool_calls"))).await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::Protocol);
    assert!(error.to_string().contains("announced tool calls and sent none"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_a_withheld_reply() {
    let reply =
        whole(message(json!({"content": null, "refusal": "I cannot."}), json!("stop"))).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.finish), ("I cannot.", FinishReason::ContentFilter));
}

#[tokio::test]
async fn content_may_come_in_parts() {
    let parts = json!([{"type": "text", "text": "a"}, {"type": "other"}, {"type": "text", "text": "b"}]);
    assert_eq!(whole(message(json!({"content": parts}), json!("stop"))).await.unwrap().text, "ab");
}

#[tokio::test]
async fn thoughts_stops_and_prefills_are_cut_here_too() {
    let text = "<think>hm</think>\n\n```py\nx = 1\n```\nand more";
    let server = FakeServer::with_replies([message(json!({"content": text}), json!("stop"))]);
    let profile = ModelProfile { small: true, prefill: true, native_tools: false, ..ModelProfile::default() };
    let model = client(&server).profile(profile).build().unwrap();
    let mut asked = request("hi");
    asked.prefill = Some("```py\n".into());
    asked.stop = vec![Arc::from("```")];
    let reply = soon(model.generate(asked, None)).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.reasoning.as_deref()), ("x = 1\n", Some("hm")));
    assert_eq!(server.requests()[0].last_text(), "```py\n");
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let body = json!({"choices": [{"message": {"content": "x"}}]}).to_string();
    for content_type in ["text/plain", "application/json; charset=utf-8", "application/octet-stream", ""] {
        assert_eq!(
            whole(Reply::bytes(content_type, body.clone())).await.unwrap().text,
            "x",
            "{content_type}"
        );
    }
}

#[tokio::test]
async fn a_server_that_streams_unasked_is_understood() {
    let stream = b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    assert_eq!(whole(Reply::stream([&stream[..]])).await.unwrap().text, "x");
}

#[tokio::test]
async fn an_error_with_status_200_is_an_error() {
    let error =
        whole(Reply::json(json!({"error": {"code": 429, "message": "slow down"}}))).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ModelFailureKind::RateLimited, Some(429)));
    assert!(error.to_string().contains("slow down"));
}

#[tokio::test]
async fn what_is_no_completion_is_said_clearly() {
    for (reply, text) in [
        (Reply::bytes("text/html", "<!doctype html><p>secret page"), "web page"),
        (Reply::bytes("application/json", ""), "empty reply"),
        (Reply::bytes("application/json", "{\"choices\": ["), "cut off"),
        (Reply::bytes("application/json", "hello"), "not a chat completion"),
        (Reply::json(json!({"choices": []})), "without choices"),
        (Reply::json(json!({"choices": null})), "without choices"),
    ] {
        let error = whole(reply).await.unwrap_err();
        assert_eq!(error.kind(), ModelFailureKind::Protocol);
        assert!(error.to_string().contains(text), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_watcher_of_a_client_that_never_streams_gets_one_piece() {
    let server = FakeServer::with_replies(["Hello there"]);
    let model = client(&server).streaming(Streaming::Never).build().unwrap();
    let watcher = Watcher::default();
    soon(model.generate(request("hi"), Some(&watcher.sink()))).await.unwrap();
    assert_eq!(watcher.pieces(), ["Hello there"]);
    assert!(!server.requests()[0].wants_stream());
}

#[tokio::test]
async fn calls_at_once_do_not_mix_and_connections_are_used_again() {
    let server = FakeServer::with(|request| Reply::text(request.last_text()));
    let model = client(&server).build().unwrap();
    for _ in 0..2 {
        let calls = (0..50).map(|number| {
            let model = &model;
            async move {
                let text = format!("number {number}");
                let stream = number % 2 == 0;
                let watcher = Watcher::default();
                let sink = watcher.sink();
                let reply = model.generate(request(&text), stream.then_some(&sink)).await.unwrap();
                assert_eq!(reply.text, text);
                assert_eq!(reply.usage.total(), 15);
            }
        });
        soon(futures::future::join_all(calls)).await;
    }
    let counters = server.counters();
    assert_eq!(counters.requests, 100);
    assert!(counters.connections <= 50, "{counters:?}");
}
