//! Bodies that are wrong: each gives a clear answer that names the place, and none a panic or a fault of the server.

use std::time::Duration;

use axum::body::{Body as RawBody, Bytes};
use http::{Request, StatusCode};
use martlet_server::problem::MAX_BODY;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::ask;

async fn post(body: impl Into<Vec<u8>>) -> (StatusCode, Value) {
    let request = Request::post("/run").header("content-type", "application/json");
    let (status, _, answer) = ask(request.body(RawBody::from(body.into())).unwrap()).await;
    (status, answer)
}

async fn refused(body: impl Into<Vec<u8>>, code: &str, param: Option<&str>) -> String {
    let body = body.into();
    let shown = String::from_utf8_lossy(&body).chars().take(80).collect::<String>();
    let (status, answer) = post(body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{shown}: {answer}");
    assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
    assert_eq!(answer["error"].get("param").and_then(Value::as_str), param, "{shown}: {answer}");
    assert!(answer.to_string().len() < 2_000);
    answer["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_right_is_read() {
    let body = r#" {"task":"a \u00e9 \ud83d\ude00","max_steps":3,"messages":[{"content":"x","extra":1}],
        "lane":"batch","metadata":{"n":[1,-2,1.5e3,null,true,{"k":18446744073709551615}]}} "#;
    let (status, answer) = post(body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let read = r#"a é 😀 Some(3) ["x"] Some(Batch) {"n": Array [Number(1), Number(-2), Number(1500.0), Null, Bool(true), Object {"k": Number(18446744073709551615)}]}"#;
    assert_eq!(answer, json!(read));
}

/// Fault 1: what is no JSON, or JSON that readers disagree about.
#[tokio::test]
async fn broken_json_is_refused() {
    for body in
        ["{", "{\"task\":\"x\"", "", "nul", "{\"task\":\"x\"} {}", "{task:1}", "[1,]", "\u{feff}{}", "NaN"]
    {
        let (status, answer) = post(body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert_eq!(answer["error"]["code"], "invalid_json", "{body}: {answer}");
    }
    refused(r#"{"task":"x","metadata":{"deep":{"a":1,"a":2}}}"#, "invalid_json", Some("metadata.deep.a"))
        .await;
    refused(r#"{"task":"x","task":"y"}"#, "invalid_json", Some("task")).await;
    refused(r#"{"task":"x","ignored":{"\ud800":1}}"#, "invalid_json", Some("ignored")).await;
    refused(r#"{"task":"x","messages":[{"content":"\ud800"}]}"#, "invalid_json", Some("messages[0].content"))
        .await;
    let nul = refused(r#"{"task":"a\u0000b"}"#, "invalid_json", Some("task")).await;
    assert!(nul.starts_with("a text has a NUL character"), "{nul}");
    refused("{\"task\":\"a\0b\"}", "invalid_json", Some("task")).await;
    refused(r#"{"task":"x","metadata":{"a\u0000":1}}"#, "invalid_json", Some("metadata")).await;
    let utf8 = refused(b"{\"task\":\"\xff\"}".to_vec(), "invalid_json", None).await;
    assert_eq!(utf8, "the body is not UTF-8: see the byte at offset 9");
    refused(r#"{"task":"x","metadata":{"n":1e999}}"#, "invalid_json", Some("metadata.n")).await;
}

#[tokio::test]
async fn deep_nesting_is_refused_at_once() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [200, 100_000] {
            let begun = std::time::Instant::now();
            let nested = format!(
                "{{\"task\":\"x\",\"metadata\":{{\"a\":{}1{}}}}}",
                open.repeat(depth),
                close.repeat(depth)
            );
            let (status, answer) = post(nested).await;
            assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_json")));
            assert!(answer["detail"].as_str().unwrap().starts_with("recursion limit exceeded"), "{answer}");
            assert!(answer["error"]["param"].as_str().unwrap().starts_with("metadata.a"), "{answer}");
            assert!(begun.elapsed() < Duration::from_secs(1));
        }
    }
}

/// Fault 2: wrong types, unknown words, missing fields, each with its place.
#[tokio::test]
async fn what_does_not_fit_is_named() {
    refused("{}", "bad_request", Some("task")).await;
    refused(r#"["x"]"#, "bad_request", None).await;
    refused("null", "bad_request", None).await;
    refused(r#""text""#, "bad_request", None).await;
    refused(r#"{"task":1}"#, "bad_request", Some("task")).await;
    refused(r#"{"task":null}"#, "bad_request", Some("task")).await;
    refused(r#"{"task":"x","max_steps":-1}"#, "bad_request", Some("max_steps")).await;
    refused(r#"{"task":"x","max_steps":1.5}"#, "bad_request", Some("max_steps")).await;
    refused(r#"{"task":"x","max_steps":4294967296}"#, "bad_request", Some("max_steps")).await;
    refused(r#"{"task":"x","messages":{}}"#, "bad_request", Some("messages")).await;
    refused(r#"{"task":"x","messages":[{"content":"a"},{}]}"#, "bad_request", Some("messages[1].content"))
        .await;
    refused(r#"{"task":"x","messages":[{"content":[]}]}"#, "bad_request", Some("messages[0].content")).await;
    refused(r#"{"task":"x","lane":"fast"}"#, "bad_request", Some("lane")).await;
    refused(r#"{"task":"x","fly":true}"#, "bad_request", Some("fly")).await;
    // What was sent is not sent back whole.
    let long = json!({ "task": "x", "max_steps": "s".repeat(100_000) });
    refused(long.to_string(), "bad_request", Some("max_steps")).await;
}

#[tokio::test]
async fn the_type_of_the_body_is_checked() {
    for (content_type, status) in [
        (Some("application/json"), StatusCode::OK),
        (Some("Application/JSON; charset=utf-8"), StatusCode::OK),
        (Some("application/merge-patch+json"), StatusCode::OK),
        (Some("text/plain"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Some("application/x-www-form-urlencoded"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Some("application/jsonx"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (None, StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let mut request = Request::post("/run");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let (got, _, answer) = ask(request.body(RawBody::from(r#"{"task":"x"}"#)).unwrap()).await;
        assert_eq!(got, status, "{content_type:?}: {answer}");
    }
    let maybe = async |body: &'static str| {
        let (status, _, answer) = ask(Request::post("/maybe").body(RawBody::from(body)).unwrap()).await;
        (status, answer)
    };
    assert_eq!(maybe("").await, (StatusCode::OK, json!(false)));
    assert_eq!(maybe("{}").await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_or_not_it_says_so() {
    let fits = json!({ "task": "x".repeat(MAX_BODY - 11) }).to_string();
    assert_eq!(fits.len(), MAX_BODY);
    assert_eq!(post(fits.clone()).await.0, StatusCode::OK);
    let (status, answer) = post(format!("{fits} ")).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("payload_too_large"))
    );

    let pieces =
        futures::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 65_536]))));
    let request = Request::post("/run").header("content-type", "application/json");
    let (status, _, _) = ask(request.body(RawBody::from_stream(pieces)).unwrap()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // Its own word is enough: nothing of it is read.
    let request = Request::post("/run").header("content-type", "application/json");
    let request = request.header("content-length", "3000000");
    let endless = RawBody::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    assert_eq!(ask(request.body(endless).unwrap()).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let begun = tokio::time::Instant::now();
    let endless = RawBody::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::post("/run").header("content-type", "application/json").body(endless).unwrap();
    let (status, _, answer) = ask(request).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::REQUEST_TIMEOUT, &json!("request_timeout")));
    assert_eq!(begun.elapsed().as_secs(), 30);

    let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]);
    let request = Request::post("/run").header("content-type", "application/json");
    let (status, _, answer) = ask(request.body(RawBody::from_stream(broken)).unwrap()).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("bad_request")));
}

/// JSON of every form, with the fields that are read among others.
fn some_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let key = prop_oneof![
            Just("task".to_owned()),
            Just("messages".to_owned()),
            Just("content".to_owned()),
            Just("max_steps".to_owned()),
            Just("metadata".to_owned()),
            ".{0,6}",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::vec((key, inner), 0..5).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

fn answered(body: Vec<u8>) -> StatusCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(post(body)).0
}

proptest! {
    #[test]
    fn no_json_gives_a_fault_of_the_server(value in some_json()) {
        let status = answered(value.to_string().into_bytes());
        prop_assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{status}");
    }

    #[test]
    fn no_bytes_give_a_fault_of_the_server(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(answered(bytes), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn json_that_breaks_off_gives_no_fault_of_the_server(value in some_json(), keep in 0.0..1.0_f64) {
        let mut bytes = value.to_string().into_bytes();
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        let status = answered(bytes);
        prop_assert!(status == StatusCode::OK || status == StatusCode::BAD_REQUEST, "{status}");
    }
}
