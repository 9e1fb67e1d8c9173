//! The document, and what happens to those who do not keep to it.

use http::header::{ACCEPT, CONTENT_TYPE};
use martlet_server::keys::Scope;
use serde_json::Value;

use super::Server;
use super::document::{document, odd_bodies, odd_values, operations};
use super::server::{Answer, Client};

#[test]
fn the_document_is_what_it_was() {
    let text = serde_json::to_string_pretty(&document()).unwrap();
    insta::with_settings!({prepend_module_to_snapshot => false, filters => [(r#""version": "\d[^"]*""#, r#""version": "…""#)]}, {
        insta::assert_snapshot!("openapi", text);
    });
}

#[tokio::test]
async fn the_document_is_served_to_all() {
    let server = Server::start().await;
    let answer = server.nobody().get("/openapi.json").await;
    assert_eq!(answer.is(200), document());
    assert_eq!(answer.json()["openapi"], "3.1.0");
    server.stop().await;
}

fn is_well_refused(answer: &Answer, what: &str) {
    assert!(answer.status.as_u16() < 500, "{what}: {answer:?}");
    if answer.status.is_client_error() && answer.headers[CONTENT_TYPE] == "application/json" {
        // In OpenAI's form, where that is what is spoken.
        let error = &answer.json()["error"];
        let is_told = ["message", "type", "code"].iter().all(|name| error[name].is_string());
        assert!(is_told && answer.json().as_object().unwrap().len() == 1, "{what}: {error}");
    } else if answer.status.is_client_error() {
        assert_eq!(answer.headers[CONTENT_TYPE], "application/problem+json", "{what}: {answer:?}");
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status.as_u16(), "{what}");
        assert!(problem["error"]["code"].is_string() && problem["detail"].is_string(), "{what}: {problem}");
    }
}

async fn send(client: &Client, request: reqwest::RequestBuilder, what: &str) -> Answer {
    let answer = client.send(request.header(ACCEPT, "application/json")).await;
    is_well_refused(&answer, what);
    answer
}

#[tokio::test]
async fn fault_02_whatever_is_sent_to_any_operation_is_no_fault_of_the_server() {
    let server = Server::start().await;
    let client = server.client_with("ann", Scope::ALL).await;
    let ids = [
        "run_0",
        "..%2f..%2fx",
        "%00",
        "%ff",
        "x%0d%0ay:%20z",
        &"a".repeat(2_000),
        "%E2%80%AE",
        "'%20OR%201=1",
        "a.b",
    ];
    let mut refused = 0;
    for operation in operations() {
        let request = |path: &str| client.request(operation.method.clone(), path);
        for id in ids.iter().take(if operation.path.contains('{') { ids.len() } else { 0 }) {
            send(&client, request(&operation.path_with(id)), &operation.id).await;
        }
        let path = operation.path_with("run_0");
        for name in operation.query.iter().map(String::as_str).chain(["unheard_of"]) {
            for value in
                ["", "0", "-1", "1e9", "99999999999999999999", "x", "%00", "%ff", "a&limit=2&limit=3", "[]"]
            {
                send(&client, request(&format!("{path}?{name}={value}")), &operation.id).await;
            }
        }
        let Some(schema) = &operation.body else { continue };
        for body in odd_bodies(schema) {
            let what = format!("{} {body}", operation.id);
            let what: String = what.chars().take(200).collect();
            let typed = request(&path).header(CONTENT_TYPE, "application/json");
            let answer = send(&client, typed.body(body.to_string()), &what).await;
            refused += u32::from(answer.status.is_client_error());
            if let (400, Some(param)) = (answer.status.as_u16(), answer.json()["error"]["param"].as_str()) {
                assert!(!param.is_empty() && param.len() < 1_300, "{what}: {param}");
            }
        }
        let untyped = send(&client, request(&path).body("{}"), &operation.id).await;
        assert_eq!(untyped.status, 415, "{}", operation.id);
    }
    assert!(refused > 300, "{refused} bodies were refused");
    server.stop().await;
}

/// What is sent as an optional field of a wrong type is refused and not left out.
#[tokio::test]
async fn fault_02_a_field_of_a_wrong_type_is_named() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    for (field, allowed) in
        [("max_steps", "a number"), ("lane", "a lane"), ("files", "a list"), ("agent", "a text")]
    {
        let mut named = 0;
        for value in odd_values() {
            let body = serde_json::json!({"task": "x", field: value});
            let answer = ann.post("/api/v1/runs", body).await;
            if answer.status == 400 {
                let param = answer.json()["error"]["param"].clone();
                assert!(
                    param == field || param.as_str().is_some_and(|param| param.starts_with(field)),
                    "{allowed}: {answer:?}"
                );
                named += 1;
            }
        }
        assert!(named > 5, "{field}: {named}");
    }
    assert_eq!(ann.get("/api/v1/runs?state=nothing").await.json()["error"]["param"], Value::from("state"));
    server.stop().await;
}
