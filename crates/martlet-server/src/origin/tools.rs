//! `/tools`, `/tools/test`, `/health` and `/`.

use axum::Json;
use axum::extract::State;
use indexmap::IndexMap;
use martlet::ToolContext;
use martlet_core::{ToolSpec, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::auth::{Reader, Runner};
use crate::catalog::OfferedAgent;
use crate::problem::{Body, Problem, ProblemKind};
use crate::router::Api;

/// The tools of all agents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tools {
    tools: Vec<ToolOf>,
}

/// A tool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolOf {
    name: String,
    description: String,
    /// JSON Schema of its arguments.
    #[schema(value_type = Object)]
    schema: Value,
}

/// A call to try a tool with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestTool {
    tool_name: String,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    tool_args: Map<String, Value>,
}

/// What the call gave.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolTested {
    tool: String,
    #[schema(value_type = Object)]
    args: Map<String, Value>,
    result: String,
}

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy` or `unhealthy`.
    status: &'static str,
    agent_ready: bool,
    model: String,
    available_tools: Vec<String>,
}

fn all_tools(api: &Api) -> IndexMap<&str, (&ToolSpec, &OfferedAgent)> {
    let mut tools = IndexMap::new();
    for offered in api.service().catalog().agents().values() {
        for spec in offered.agent.spec().tools.iter() {
            tools.entry(&*spec.name).or_insert((spec, offered));
        }
    }
    tools
}

/// Lists the tools of all agents.
#[utoipa::path(get, path = "/tools", tag = "origin", responses((status = 200, body = Tools)))]
pub(crate) async fn list_tools(Reader(_caller): Reader, State(api): State<Api>) -> Json<Tools> {
    let tools = all_tools(&api).into_values().map(|(spec, _)| ToolOf {
        name: spec.name.clone(),
        description: spec.description.clone(),
        schema: spec.parameters.clone(),
    });
    Json(Tools { tools: tools.collect() })
}

/// Calls a tool as an agent would. What a person has to approve is not called from here.
#[utoipa::path(
    post, path = "/tools/test", tag = "origin", request_body = TestTool,
    responses((status = 200, body = ToolTested), (status = 404, description = "There is no such tool.")),
)]
pub(crate) async fn test_tool(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<TestTool>,
) -> Result<Json<ToolTested>, Problem> {
    let tools = all_tools(&api);
    let (spec, offered) = tools.get(&*asked.tool_name).ok_or_else(|| Problem::not_found("tool"))?;
    let agent = &offered.agent;
    if agent.spec().approvals.ruling(spec, &asked.tool_args).verdict != Verdict::Allow {
        let text = "this call is not made without a person's approval: let an agent ask for it";
        return Err(Problem::new(ProblemKind::Forbidden, text));
    }
    let cx = ToolContext::trial().with_user(caller.principal.user.clone());
    let result = match agent.tools().call(&asked.tool_name, asked.tool_args.clone(), &cx).await {
        Ok(output) => output.to_text(),
        // Errors are text here, as they are for a model.
        Err(failure) => format!("Error: {}", failure.message),
    };
    Ok(Json(ToolTested { tool: asked.tool_name, args: asked.tool_args, result }))
}

/// Says whether the server can work, and with what.
#[utoipa::path(get, path = "/health", tag = "origin", responses((status = 200, body = Health)))]
pub(crate) async fn health(Reader(_caller): Reader, State(api): State<Api>) -> Json<Health> {
    let service = api.service();
    let catalog = service.catalog();
    let agent = catalog.default_agent_name().and_then(|name| catalog.agents().get(name));
    let is_healthy = service.has_storage() && !service.is_draining();
    Json(Health {
        status: if is_healthy { "healthy" } else { "unhealthy" },
        agent_ready: agent.is_some() && is_healthy,
        model: agent.map(|offered| offered.agent.model().name().to_owned()).unwrap_or_default(),
        available_tools: all_tools(&api).into_keys().map(str::to_owned).collect(),
    })
}

/// Says what this is.
pub(crate) async fn root() -> Json<Value> {
    Json(json!({"name": "martlet", "version": env!("CARGO_PKG_VERSION"), "status": "running"}))
}
