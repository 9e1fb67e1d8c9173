//! Replies that are streamed.

use std::sync::Arc;

use martlet_core::{Arguments, FinishReason, ModelFailureKind, ModelProfile};
use martlet_model::{Model, ModelReply, Streaming};
use martlet_testkit::{FakeServer, Reply, chunk, sse};
use serde_json::{Value, json};

use crate::common::{Watcher, client, request, soon, streamed, watched};

const DONE: &[u8] = b"data: [DONE]\n\n";

/// A stream of these deltas that ends as it should.
fn deltas(deltas: impl IntoIterator<Item = Value>, finish: &str) -> Reply {
    let mut reply = Reply::stream(deltas.into_iter().map(|delta| sse(&chunk(delta, None))));
    reply = reply.then(sse(&chunk(json!({}), Some(finish))));
    reply.then(DONE)
}

fn calls(reply: &ModelReply) -> Vec<(&str, &str, String)> {
    let text = |arguments: &Arguments| match arguments {
        Arguments::Object(_) => arguments.to_json(),
        Arguments::Malformed(text) => format!("malformed: {text}"),
    };
    reply.tool_calls.iter().map(|call| (&*call.id, &*call.name, text(&call.arguments))).collect()
}

#[tokio::test]
async fn a_reply_in_pieces_with_usage_at_its_tail() {
    let server = FakeServer::with_replies([Reply::text("Grüße aus Köln").reasoning("hm, hm").usage(8, 4)]);
    let model = client(&server).build().unwrap();
    let watcher = Watcher::default();
    let reply = soon(model.generate(request("hi"), Some(&watcher.sink()))).await.unwrap();
    assert_eq!(reply.text, "Grüße aus Köln");
    assert_eq!(reply.reasoning.as_deref(), Some("hm, hm"));
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (8, 4));
    assert_eq!(watcher.pieces(), ["Grüß", "e au", "s Kö", "ln"]);
    let body = server.requests()[0].json();
    assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
}

#[tokio::test]
async fn the_wire_may_be_cut_anywhere_and_speak_any_dialect_of_sse() {
    let text = format!(
        "\u{feff}: hello\r\n\r\ndata: {}\r\n\r\nevent: message\ndata: {}\n\n: keep-alive\n\ndata:{}\r\rdata: [DONE]",
        chunk(json!({"content": "ä😀"}), None),
        chunk(json!({"content": "ö"}), None),
        chunk(json!({}), Some("stop")),
    );
    let bytes = text.as_bytes();
    for size in [1, 2, 3, 7, bytes.len()] {
        let pieces = bytes.chunks(size).map(<[u8]>::to_vec);
        assert_eq!(streamed(Reply::stream(pieces)).await.unwrap().text, "ä😀ö", "{size}");
    }
}

#[tokio::test]
async fn calls_in_pieces() {
    let reply = deltas(
        [
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\""}}]}),
            json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g"}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
        ],
        "tool_calls",
    );
    let reply = streamed(reply).await.unwrap();
    assert_eq!(calls(&reply), [("a", "f", "{\"x\":1}".into()), ("b", "g", "{}".into())]);
    assert_eq!(reply.finish, FinishReason::ToolCalls);
}

#[tokio::test]
async fn two_calls_in_one_piece_without_index_or_id() {
    let pair = json!({"tool_calls": [
        {"function": {"name": "f", "arguments": "{\"x\":1}"}},
        {"function": {"name": "f", "arguments": "{\"x\":"}},
    ]});
    let rest = json!({"tool_calls": [{"function": {"arguments": "2}"}}]});
    let reply = streamed(deltas([pair, rest], "stop")).await.unwrap();
    assert_eq!(calls(&reply), [("call_0", "f", "{\"x\":1}".into()), ("call_1", "f", "{\"x\":2}".into())]);
    assert_eq!(reply.finish, FinishReason::ToolCalls);
}

#[tokio::test]
async fn calls_are_told_apart_by_id_alone_and_when_every_index_is_0() {
    for index in [json!(null), json!(0)] {
        let call = |id: &str, name: &str, arguments: &str| json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]});
        let reply =
            deltas([call("a", "f", "{}"), call("b", "g", "{\"y\""), call("b", "", ":2}")], "tool_calls");
        let reply = streamed(reply).await.unwrap();
        assert_eq!(calls(&reply), [("a", "f", "{}".into()), ("b", "g", "{\"y\":2}".into())], "{index}");
    }
}

#[tokio::test]
async fn a_name_in_pieces_or_repeated() {
    let call = |name: &str| json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": name}}]});
    let in_pieces = streamed(deltas([call("get_"), call("weather")], "tool_calls")).await.unwrap();
    assert_eq!(in_pieces.tool_calls[0].name, "get_weather");
    let repeated = streamed(deltas([call("f"), call("f")], "tool_calls")).await.unwrap();
    assert_eq!(calls(&repeated), [("a", "f", "{}".into())]);
}

#[tokio::test]
async fn malformed_arguments_are_kept() {
    let call =
        json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{x: 1"}}]});
    let reply = streamed(deltas([call], "tool_calls")).await.unwrap();
    assert_eq!(calls(&reply), [("a", "f", "malformed: {x: 1".into())]);
}

#[tokio::test]
async fn a_hostile_index_costs_nothing_and_calls_are_bounded() {
    let call = |index: Value| json!({"tool_calls": [{"index": index, "function": {"name": "f"}}]});
    for index in [json!(u64::MAX), json!(-1), json!("zero"), json!(4_000_000_000_u32)] {
        let reply = streamed(deltas([call(index)], "tool_calls")).await.unwrap();
        assert_eq!(calls(&reply), [("call_0", "f", "{}".into())]);
    }
    let error = streamed(deltas((0..1000).map(|index| call(json!(index))), "tool_calls")).await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::Protocol);
    assert!(error.to_string().contains("more than 128 tool calls"), "{error}");
}

#[tokio::test]
async fn calls_that_were_announced_must_be_there() {
    let error = streamed(deltas([json!({"content": "x"})], "tool_calls")).await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::Protocol);
}

#[tokio::test]
async fn a_stream_that_ends_too_early_is_an_error() {
    let begun = || Reply::stream([sse(&chunk(json!({"content": "The answer is 4"}), None))]);
    for reply in [
        begun(),
        begun().then_cut(),
        begun().then("data: {\"choices\": [{\"del"),
        begun().then("data: {\"choices\": [{\"del").then_cut(),
        Reply::stream([DONE]),
        Reply::stream([": nothing\n\n"]),
        Reply::stream([""]),
    ] {
        let shown = format!("{reply:?}");
        let error = streamed(reply).await.unwrap_err();
        assert_eq!(error.kind(), ModelFailureKind::Protocol, "{shown}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn either_terminator_is_enough() {
    let piece = || sse(&chunk(json!({"content": "x"}), None));
    assert_eq!(streamed(Reply::stream([piece()]).then(DONE)).await.unwrap().finish, FinishReason::Stop);
    let finished = Reply::stream([piece(), sse(&chunk(json!({}), Some("length")))]);
    assert_eq!(streamed(finished).await.unwrap().finish, FinishReason::Length);
}

#[tokio::test]
async fn a_server_that_keeps_the_connection_open_after_the_end_is_not_waited_for() {
    let reply = Reply::stream([sse(&chunk(json!({"content": "x"}), Some("stop")))]).then(DONE).then_hang();
    assert_eq!(streamed(reply).await.unwrap().text, "x");
}

#[tokio::test]
async fn errors_in_the_middle_of_a_stream() {
    let begun = || Reply::stream([sse(&chunk(json!({"content": "x"}), None))]);
    for (reply, kind) in [
        (
            begun().then(sse(&json!({"error": {"message": "boom", "type": "server_error"}}))),
            ModelFailureKind::Unavailable,
        ),
        (
            begun().then(sse(&json!({"error": {"message": "boom", "code": 429}}))),
            ModelFailureKind::RateLimited,
        ),
        (begun().then("event: error\ndata: boom\n\n"), ModelFailureKind::Unavailable),
        (begun().then("event: error\ndata: {\"message\": \"boom\"}\n\n"), ModelFailureKind::Unavailable),
        (begun().then("data: boom\n\n"), ModelFailureKind::Protocol),
    ] {
        let error = streamed(reply.then(DONE)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.to_string().contains("boom"), kind != ModelFailureKind::Protocol, "{error}");
    }
    let ended = begun().then(sse(&chunk(json!({}), Some("error")))).then(DONE);
    assert_eq!(streamed(ended).await.unwrap_err().kind(), ModelFailureKind::Unavailable);
}

#[tokio::test]
async fn reasoning_under_each_of_its_names() {
    for delta in [
        json!({"reasoning_content": "hm"}),
        json!({"reasoning": "hm"}),
        json!({"content": "<think>hm</think>"}),
    ] {
        let reply = streamed(deltas([delta.clone(), json!({"content": "yes"})], "stop")).await.unwrap();
        assert_eq!((reply.text.as_str(), reply.reasoning.as_deref()), ("yes", Some("hm")), "{delta}");
    }
}

#[tokio::test]
async fn other_choices_and_unexpected_fields_are_passed_over() {
    let odd = json!({"choices": [
        {"index": 1, "delta": {"content": "no"}},
        {"index": 0, "delta": {"content": "yes", "audio": null, "role": 7, "reasoning": {"a": 1}}, "logprobs": []},
    ], "usage": null, "x": 1});
    let reply = Reply::stream([sse(&odd), sse(&chunk(json!({"content": null}), Some("stop")))]).then(DONE);
    assert_eq!(streamed(reply).await.unwrap().text, "yes");
}

#[tokio::test]
async fn a_stop_text_that_the_server_ignores_ends_the_reply_and_the_connection() {
    let pieces = ["x = 1\n``", "`\nand", " so on"].map(|text| sse(&chunk(json!({"content": text}), None)));
    let server = FakeServer::with_replies([Reply::stream(pieces).then_hang()]);
    let model = client(&server).build().unwrap();
    let mut asked = request("hi");
    asked.stop = vec![Arc::from("```")];
    let reply = watched(&model, asked).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.finish), ("x = 1\n", FinishReason::Stop));
    // The count of tokens would have come behind the cut.
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (1, 2));
    soon(server.wait_until_aborted(1)).await;
    assert_eq!(server.requests()[0].json()["stop"], json!(["```"]));
}

#[tokio::test]
async fn a_prefill_that_the_server_repeats_is_taken_off() {
    let profile = ModelProfile { small: true, prefill: true, native_tools: true, ..ModelProfile::default() };
    for text in ["```py\nx = 1", "x = 1"] {
        let server = FakeServer::with_replies([Reply::text(text)]);
        let model = client(&server).profile(profile).build().unwrap();
        let mut asked = request("hi");
        asked.prefill = Some("```py\n".into());
        assert_eq!(watched(&model, asked).await.unwrap().text, "x = 1");
        assert_eq!(server.requests()[0].last_text(), "```py\n");
    }
}

#[tokio::test]
async fn a_prefill_is_not_sent_where_the_server_cannot_continue_it() {
    let server = FakeServer::with_replies(["x"]);
    let mut asked = request("hi");
    asked.prefill = Some("```py\n".into());
    watched(&client(&server).build().unwrap(), asked).await.unwrap();
    assert_eq!(server.requests()[0].last_text(), "hi");
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let body = json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]});
    assert_eq!(streamed(Reply::json(body)).await.unwrap().text, "x");
}

#[tokio::test]
async fn an_endless_line_is_refused() {
    let megabyte = "x".repeat(1 << 20);
    let error = streamed(Reply::stream(std::iter::repeat_n(megabyte, 40))).await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::Protocol);
}

#[tokio::test]
async fn an_endless_reply_is_refused() {
    let piece = sse(&chunk(json!({"content": "x".repeat(1 << 20)}), None));
    let error = streamed(Reply::stream(std::iter::repeat_n(piece, 40))).await.unwrap_err();
    assert!(error.to_string().contains("32 MiB"), "{error}");
}

#[tokio::test]
async fn streams_can_be_asked_for_without_a_watcher() {
    let server = FakeServer::with_replies(["Hello"]);
    let model = client(&server).streaming(Streaming::Always).build().unwrap();
    assert_eq!(soon(model.generate(request("hi"), None)).await.unwrap().text, "Hello");
    assert!(server.requests()[0].wants_stream());
}
