//! What is answered when something is wrong.

mod bad_bodies;

use axum::Router;
use axum::body::Body as RawBody;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderMap, Request, StatusCode};
use martlet_core::RunId;
use martlet_server::admission::{Allowance, Refusal, RefusalKind};
use martlet_server::keys::{KeyRefusal, MalformedKey};
use martlet_server::problem::{Body, Path, Problem, ProblemKind, Query};
use martlet_store::StoreError;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    task: String,
    #[serde(default)]
    max_steps: Option<u32>,
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    lane: Option<martlet_store::Lane>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: u32,
    #[serde(default)]
    after: Option<u64>,
}

fn app() -> Router {
    Router::new()
        .route(
            "/run",
            post(async |Body(asked): Body<Asked>| {
                let contents: Vec<_> = asked.messages.into_iter().map(|message| message.content).collect();
                format!(
                    "{} {:?} {contents:?} {:?} {:?}",
                    asked.task, asked.max_steps, asked.lane, asked.metadata
                )
            }),
        )
        .route("/maybe", post(async |body: Option<Body<Asked>>| body.is_some().to_string()))
        .route(
            "/list",
            get(async |Query(listing): Query<Listing>| format!("{} {:?}", listing.limit, listing.after)),
        )
        .route("/runs/{run}", get(async |Path(run): Path<RunId>| run.to_string()))
        .route("/steps/{step}", get(async |Path(step): Path<u32>| step.to_string()))
}

async fn ask(request: Request<RawBody>) -> (StatusCode, HeaderMap, Value) {
    read(app().oneshot(request).await.unwrap()).await
}

async fn read(response: Response) -> (StatusCode, HeaderMap, Value) {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
}

fn get_request(address: &str) -> Request<RawBody> {
    Request::get(address).body(RawBody::empty()).unwrap()
}

async fn answer(problem: impl Into<Problem>) -> (StatusCode, HeaderMap, Value) {
    read(problem.into().into_response()).await
}

#[tokio::test]
async fn a_problem_is_told_in_both_forms() {
    let problem = Problem::new(ProblemKind::Conflict, "the run has ended: start another one").param("run");
    let (status, headers, body) = answer(problem).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(
        body,
        json!({
            "type": "urn:martlet:problem:conflict",
            "title": "Conflict",
            "status": 409,
            "detail": "the run has ended: start another one",
            "error": {
                "code": "conflict",
                "message": "the run has ended: start another one",
                "param": "run",
            },
        })
    );
    let (_, _, body) = answer(Problem::not_found("run")).await;
    assert_eq!(body["error"], json!({ "code": "not_found", "message": "there is no such run" }));
}

/// The codes are what programs go by: this list grows, and nothing in it changes.
#[test]
fn codes_and_statuses_stay_as_they_are() {
    let told: Vec<_> =
        ProblemKind::ALL.iter().map(|kind| format!("{} {}", kind.status().as_u16(), kind.code())).collect();
    assert_eq!(
        told,
        [
            "400 bad_request",
            "400 invalid_json",
            "401 unauthorized",
            "403 forbidden",
            "404 not_found",
            "405 method_not_allowed",
            "408 request_timeout",
            "409 conflict",
            "409 already_decided",
            "413 payload_too_large",
            "415 unsupported_media_type",
            "422 idempotency_key_reused",
            "429 queue_full",
            "429 user_limit",
            "502 run_failed",
            "503 draining",
            "503 storage_full",
            "503 storage_unavailable",
            "500 internal",
        ]
    );
}

#[tokio::test]
async fn limits_say_when_to_come_back() {
    let refusal = |kind| Refusal { kind, retry_after_s: 7, limit: 10, remaining: 0 };
    let (status, headers, body) = answer(refusal(RefusalKind::UserLimit)).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("user_limit")));
    assert_eq!(headers["retry-after"], "7");
    assert_eq!(headers["x-ratelimit-limit-requests"], "10");
    assert_eq!(headers["x-ratelimit-remaining-requests"], "0");
    assert_eq!(headers["x-ratelimit-reset-requests"], "7s");

    let (status, headers, body) = answer(refusal(RefusalKind::QueueFull)).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("queue_full")));
    assert_eq!(headers["retry-after"], "7");

    let (status, headers, body) = answer(refusal(RefusalKind::Draining)).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("draining")));
    assert_eq!(headers["retry-after"], "7");
    assert!(!headers.contains_key("x-ratelimit-limit-requests"));

    // Every answer of these statuses says when, whoever made it.
    for kind in ProblemKind::ALL {
        let (status, headers, _) = answer(Problem::new(*kind, "no")).await;
        let later = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(headers.contains_key("retry-after"), later, "{kind:?}");
    }
    let far = Problem::new(ProblemKind::UserLimit, "no").retry_after_s(86_400);
    assert_eq!(answer(far).await.1["retry-after"], "120");
    let spent = Allowance { limit: 10, remaining: 3, reset_s: 0 };
    let headers = martlet_server::problem::allowance_headers(spent);
    assert_eq!(headers["x-ratelimit-remaining-requests"], "3");
}

#[tokio::test]
async fn every_invalid_key_is_told_alike() {
    let malformed = answer(MalformedKey).await;
    for refusal in [KeyRefusal::Unknown, KeyRefusal::WrongSecret, KeyRefusal::Expired, KeyRefusal::Revoked] {
        assert_eq!(answer(refusal).await, malformed);
    }
    assert_eq!(malformed.0, StatusCode::UNAUTHORIZED);
    assert_eq!(malformed.1["www-authenticate"], "Bearer realm=\"martlet\"");
}

#[tokio::test]
async fn faults_of_the_server_keep_their_details_to_themselves() {
    let secret = std::io::Error::other("disk /srv/martlet: password hunter2");
    let (status, _, body) = answer(Problem::internal(&secret)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!body.to_string().contains("hunter2") && !body.to_string().contains("/srv"), "{body}");

    let (status, headers, body) = answer(StoreError::unavailable(secret)).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("storage_unavailable"))
    );
    assert_eq!(headers["retry-after"], "30");
    assert!(!body.to_string().contains("hunter2"), "{body}");

    let conflict = StoreError::conflict(&RunId::from_bits(1), 1, 2);
    assert_eq!(answer(conflict).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn parameters_that_are_wrong_are_named() {
    assert_eq!(ask(get_request("/list?limit=5&after=9")).await.2, json!("5 Some(9)"));
    for (address, param) in [
        ("/list", "limit"),
        ("/list?limit=many", "limit"),
        ("/list?limit=-1", "limit"),
        ("/list?limit=99999999999", "limit"),
        ("/list?limit=1&after=x", "after"),
        ("/list?limit=1&limit=2", "limit"),
        ("/list?limit=1&fly=2", "fly"),
        ("/list?limit=%ff", "limit"),
        ("/steps/many", "step"),
        ("/steps/-1", "step"),
        ("/runs/..%2f..%2fetc", "run"),
        ("/runs/%ff", "run"),
        ("/runs/a%00b", "run"),
    ] {
        let (status, headers, body) = ask(get_request(address)).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("bad_request")),
            "{address}"
        );
        assert_eq!(headers["content-type"], "application/problem+json");
        // A path of one parameter tells no name; all else does.
        let named = body["error"]["param"].as_str();
        assert!(
            named == Some(param) || (named.is_none() && !address.starts_with("/list")),
            "{address}: {body}"
        );
    }
}
