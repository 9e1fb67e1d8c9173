//! Failures before a reply begins.

use std::error::Error as _;
use std::time::Duration;

use martlet_core::ModelFailureKind;
use martlet_model::{Model, OpenAiCompatible, Server, Streaming, Timeouts};
use martlet_testkit::{FakeServer, Reply};
use serde_json::json;

use crate::common::{client, request, soon, streamed, whole};

#[tokio::test]
async fn statuses_become_kinds_with_words_that_help() {
    for (reply, kind, text) in [
        (Reply::status(401, "bad key"), ModelFailureKind::Auth, "bad key; check the key"),
        (Reply::status(402, "pay"), ModelFailureKind::Quota, "balance"),
        (Reply::status(404, "no such model"), ModelFailureKind::Request, "check that the model is named `m`"),
        (Reply::status(429, "slow"), ModelFailureKind::RateLimited, "answered 429: slow"),
        (Reply::error(429, json!({"code": "insufficient_quota"})), ModelFailureKind::Quota, "balance"),
        (
            Reply::error(400, json!({"message": "too long", "code": "context_length_exceeded"})),
            ModelFailureKind::ContextLength,
            "longer than the model can read",
        ),
        (Reply::status(500, "oops"), ModelFailureKind::Unavailable, "oops"),
        (Reply::status(529, "overloaded"), ModelFailureKind::Unavailable, "overloaded"),
    ] {
        for error in [whole(reply.clone()).await.unwrap_err(), streamed(reply.clone()).await.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(error.to_failure().kind, kind);
        }
    }
}

#[tokio::test]
async fn waits_are_passed_on() {
    let error = whole(Reply::status(429, "slow").retry_after(7)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.status(), Some(429));
}

#[tokio::test]
async fn neither_keys_nor_prompts_are_shown() {
    let body = "no: sk-very-secret and tell-nobody-token";
    let server = FakeServer::with(move |_| Reply::status(401, body));
    let model = client(&server).header("x-gateway", "tell-nobody-token").build().unwrap();
    let error = soon(model.generate(request("my private prompt"), None)).await.unwrap_err();
    for shown in [error.to_string(), format!("{error:?}"), error.to_failure().message, format!("{model:?}")] {
        assert!(!shown.contains("very-secret") && !shown.contains("tell-nobody"), "{shown}");
        assert!(!shown.contains("private prompt"), "{shown}");
    }
    let request = &server.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer sk-very-secret"));
    assert_eq!(request.header("x-gateway"), Some("tell-nobody-token"));
}

#[tokio::test]
async fn redirects_do_not_carry_the_key_away() {
    let other = FakeServer::with_replies(["never"]);
    let server = FakeServer::with_replies([
        Reply::status(307, "").header("location", format!("{}/chat/completions?key=x", other.base_url()))
    ]);
    let error = soon(client(&server).build().unwrap().generate(request("hi"), None)).await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::Request);
    assert!(error.to_string().contains(&other.address().to_string()), "{error}");
    assert!(!error.to_string().contains("key=x"), "{error}");
    assert_eq!(other.counters().connections, 0);
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let address = FakeServer::with_replies(["x"]).base_url();
    let model = OpenAiCompatible::new(&address, "m").server(Server::LlamaCpp).build().unwrap();
    let error = soon(model.generate(request("hi"), None)).await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::Unavailable);
    assert!(error.to_string().contains("is the server running there?"), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_server_that_does_not_speak_http() {
    for reply in [Reply::raw("garbage\r\n\r\n"), Reply::closed(), Reply::raw("HTTP/1.1 200 OK\r\ncont")] {
        for error in [whole(reply.clone()).await.unwrap_err(), streamed(reply.clone()).await.unwrap_err()] {
            assert_eq!(error.kind(), ModelFailureKind::Unavailable, "{error}");
            assert!(error.source().is_some());
        }
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off() {
    let reply = Reply::raw(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"choices\":",
    );
    let error = whole(reply).await.unwrap_err();
    assert_eq!(error.kind(), ModelFailureKind::Protocol);
    assert!(error.to_string().contains("cut off"), "{error}");
}

#[tokio::test]
async fn every_wait_has_a_limit() {
    let short = Duration::from_millis(50);
    let begun = Reply::stream(["data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"]).then_hang();
    for (reply, timeouts, streaming, text) in [
        (Reply::never(), Timeouts::default().first_byte(short), Streaming::Always, "did not begin to answer"),
        (
            begun,
            // A server that has sent its headers gets the first byte's limit for the first piece.
            Timeouts::default().idle(short),
            Streaming::Always,
            "sent nothing more",
        ),
        (Reply::never(), Timeouts::default().total(short), Streaming::Never, "did not finish"),
    ] {
        let server = FakeServer::with_replies([reply]);
        let model = client(&server).timeouts(timeouts).streaming(streaming).build().unwrap();
        let error = soon(model.generate(request("hi"), None)).await.unwrap_err();
        assert_eq!(error.kind(), ModelFailureKind::TimedOut);
        assert!(error.to_string().contains(text), "{error}");
        soon(server.wait_until_aborted(1)).await;
    }
}
