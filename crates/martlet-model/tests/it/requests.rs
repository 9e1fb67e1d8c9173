//! What is sent.

use martlet_core::ModelOptions;
use martlet_model::{Dialect, Model, OpenAiCompatible};
use martlet_testkit::FakeServer;
use serde_json::{Value, json};

use crate::common::{client, request, soon};

#[tokio::test]
async fn address_headers_and_body() {
    let server = FakeServer::with_replies(["x"]);
    let model = client(&server).body_field("top_k", 5).body_field("model", "other").build().unwrap();
    soon(model.generate(request("hi"), None)).await.unwrap();
    let sent = &server.requests()[0];
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("authorization"), Some("Bearer sk-very-secret"));
    assert_eq!(sent.header("accept-encoding"), None, "compressed streams are held back");
    assert_eq!(
        sent.json(),
        json!({"messages": [{"role": "user", "content": "hi"}], "top_k": 5, "model": "other"})
    );
}

#[tokio::test]
async fn options_of_the_request_go_before_those_of_the_client() {
    let server = FakeServer::with_replies(["x"]);
    let own = ModelOptions { temperature: Some(0.5), max_tokens: Some(100), ..Default::default() };
    let model = client(&server).options(own).body_field("top_k", 5).build().unwrap();
    let mut asked = request("hi");
    asked.options = ModelOptions { temperature: Some(0.0), ..Default::default() };
    soon(model.generate(asked, None)).await.unwrap();
    let sent = server.requests()[0].json();
    assert_eq!(
        (&sent["temperature"], &sent["max_tokens"], &sent["top_k"]),
        (&json!(0.0), &json!(100), &json!(5))
    );
}

#[tokio::test]
async fn azure_has_its_own_address_and_header() {
    let server = FakeServer::with_replies(["x"]);
    let endpoint = format!("http://{}", server.address());
    let model = OpenAiCompatible::new(endpoint, "prod")
        .azure("2024-10-21")
        .api_key("sk-azure")
        .dialect(Dialect::Reasoning)
        .options(ModelOptions { max_tokens: Some(9), ..Default::default() })
        .build()
        .unwrap();
    soon(model.generate(request("hi"), None)).await.unwrap();
    let sent = &server.requests()[0];
    assert_eq!(sent.path, "/openai/deployments/prod/chat/completions?api-version=2024-10-21");
    assert_eq!((sent.header("api-key"), sent.header("authorization")), (Some("sk-azure"), None));
    assert_eq!(sent.json()["max_completion_tokens"], Value::from(9));
}

#[tokio::test]
async fn models_by_name_reach_their_server() {
    let server = FakeServer::with_replies(["x", "y"]);
    let url = server.base_url();
    let variable = |name: &str| (name == "MARTLET_API_KEY").then(|| "sk-by-name".to_owned());
    let model = martlet_model::from_name_with(&format!("{url}#some/model"), &variable).unwrap();
    assert_eq!(soon(model.generate(request("hi"), None)).await.unwrap().text, "x");
    let ollama = |name: &str| match name {
        "OLLAMA_HOST" => Some(server.address().to_string()),
        "MARTLET_MODEL" => Some("ollama/qwen2.5-coder:1.5b".to_owned()),
        _ => None,
    };
    let model = martlet_model::from_env_with(&ollama).unwrap();
    assert_eq!(model.name(), "ollama/qwen2.5-coder:1.5b");
    assert!(model.profile().prefill && model.profile().small);
    soon(model.generate(request("hi"), None)).await.unwrap();
    let sent = server.requests();
    assert_eq!(sent[0].json()["model"], "some/model");
    assert_eq!(sent[0].header("authorization"), Some("Bearer sk-by-name"));
    assert_eq!(sent[1].json()["model"], "qwen2.5-coder:1.5b");
    assert_eq!(sent[1].header("authorization"), None);
}
