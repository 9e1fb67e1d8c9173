//! What the endpoints are: `/config` and `/gradio_api/info`.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::auth::Reader;
use crate::problem::Problem;
use crate::router::Api;

/// The version of Gradio whose API this is.
const VERSION: &str = "6.25.0";
/// The ids of the components. All endpoints share them.
const MESSAGE: u32 = 1;
const HISTORY: u32 = 2;
const WEB_SEARCH: u32 = 3;
const ANSWER: u32 = 4;

/// An agent, as a Gradio client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) id: usize,
    pub(super) api_name: String,
    pub(super) agent: String,
    /// Whether what is said is remembered for the client.
    pub(super) remembers: bool,
    description: String,
}

/// All of them: `predict` and `chat` are the default agent, the others have the names of their agents.
pub(super) fn endpoints(api: &Api) -> Vec<Endpoint> {
    let catalog = api.service().catalog();
    let default = catalog.default_agent_name();
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut add = |name: &str, agent: &str, remembers: bool| {
        let mut api_name = name.to_owned();
        while endpoints.iter().any(|known| known.api_name == api_name) {
            api_name.push_str("_1");
        }
        let offered = catalog.agents().get(agent);
        let description = offered.map(|offered| offered.agent.spec().description.clone()).unwrap_or_default();
        let id = endpoints.len();
        endpoints.push(Endpoint { id, api_name, agent: agent.to_owned(), remembers, description });
    };
    if let Some(default) = default {
        add("predict", default, false);
        add("chat", default, true);
    }
    for agent in catalog.agents().keys().filter(|agent| Some(agent.as_str()) != default) {
        add(agent, agent, true);
    }
    endpoints
}

/// The endpoint of this name, with or without a slash.
pub(super) fn named(api: &Api, name: &str) -> Result<Endpoint, Problem> {
    let name = name.strip_prefix('/').unwrap_or(name);
    let found = endpoints(api).into_iter().find(|endpoint| endpoint.api_name == name);
    found.ok_or_else(|| Problem::not_found("endpoint"))
}

/// Describes the endpoints to Gradio's clients when they connect.
#[utoipa::path(get, path = "/config", operation_id = "gradio_config", tag = "gradio", responses((status = 200, body = Object)))]
pub(super) async fn config(Reader(_caller): Reader, State(api): State<Api>) -> Json<Value> {
    let component = |id: u32, kind: &str, label: &str| json!({ "id": id, "type": kind, "props": { "label": label, "name": kind }, "skip_api": false });
    let dependencies = endpoints(&api).into_iter().map(|endpoint| {
        // A server with one agent has one endpoint that is taken where none is named.
        let visibility = if endpoint.api_name == "predict" { "undocumented" } else { "public" };
        json!({
            "id": endpoint.id, "inputs": [MESSAGE, HISTORY, WEB_SEARCH], "outputs": [ANSWER],
            "api_name": endpoint.api_name, "api_visibility": visibility, "show_api": visibility == "public",
            "api_description": endpoint.description, "backend_fn": true, "queue": true, "batch": false,
            "connection": "sse", "types": { "generator": true, "cancel": false }, "cancels": [], "targets": [],
        })
    });
    Json(json!({
        "version": VERSION, "api_prefix": "/gradio_api", "protocol": "sse_v3", "mode": "chat_interface",
        "title": "Martlet", "space_id": null, "is_space": false, "auth_required": false, "run_history": false,
        // Nothing depends on whether a client is still there but the streams that it reads.
        "connect_heartbeat": false, "max_file_size": 25 * 1024 * 1024,
        "components": [
            component(MESSAGE, "multimodaltextbox", "Message"),
            component(HISTORY, "json", "History"),
            component(WEB_SEARCH, "checkbox", "Web search"),
            component(ANSWER, "markdown", "Answer"),
        ],
        "dependencies": dependencies.collect::<Vec<_>>(),
    }))
}

/// Describes the parameters of the endpoints.
#[utoipa::path(get, path = "/gradio_api/info", operation_id = "gradio_info", tag = "gradio", responses((status = 200, body = Object)))]
pub(super) async fn info(Reader(_caller): Reader, State(api): State<Api>) -> Json<Value> {
    let named: Map<_, _> = endpoints(&api)
        .into_iter()
        .map(|endpoint| {
            let info = json!({
                "description": endpoint.description,
                "parameters": parameters(),
                "returns": [{
                    "label": "Answer", "type": { "type": "string" }, "python_type": { "type": "str", "description": "" },
                    "component": "Markdown",
                }],
                "api_visibility": "public",
            });
            (format!("/{}", endpoint.api_name), info)
        })
        .collect();
    Json(json!({ "named_endpoints": named, "unnamed_endpoints": {} }))
}

fn parameters() -> Value {
    json!([
        {
            "label": "Message", "parameter_name": "message", "parameter_has_default": false,
            "parameter_default": null, "type": {},
            "python_type": { "type": "str | dict(text: str, files: list[filepath])", "description": "" },
            "component": "MultimodalTextbox", "example_input": "Hello!",
        },
        {
            "label": "History", "parameter_name": "history", "parameter_has_default": true,
            "parameter_default": null, "type": {},
            "python_type": {
                "type": "list[dict(role: str, content: str)]",
                "description": "What was said before. Without it, all endpoints but /predict remember by themselves.",
            },
            "component": "JSON", "example_input": [],
        },
        {
            "label": "Web search", "parameter_name": "web_search", "parameter_has_default": true,
            "parameter_default": true, "type": { "type": "boolean" },
            "python_type": { "type": "bool", "description": "Whether the tools for the web may be used." },
            "component": "Checkbox", "example_input": true,
        },
    ])
}
