//! `/api/v1/agents` and `/api/v1/workflows`: what is on offer.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use martlet_core::graph::{When, Work, mermaid, mermaid_of, svg};
use martlet_core::{GraphResult, GraphSpec, Strategy, ToolSpec};
use martlet_store::RunKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Reader;
use crate::catalog::{OfferedAgent, OfferedWorkflow, Price};
use crate::problem::{Path, Problem, Query};
use crate::router::Api;

/// An agent on offer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub(crate) struct AgentView {
    /// Its name.
    name: String,
    /// What it is good for.
    description: String,
    /// How it acts: `code`, `tool_calling` or `reasoning`.
    strategy: &'static str,
    /// Its model.
    model: String,
    /// Whether it is taken where a request names none.
    is_default: bool,
    /// What calls of its model cost; `null` if nobody has said it.
    price: Option<PriceView>,
    /// The most steps of a run.
    max_steps: u32,
    /// Its tools.
    tools: Vec<ToolView>,
    /// JSON Schema of its input, if it takes typed input.
    #[schema(value_type = Option<Object>)]
    input_schema: Option<Value>,
    /// JSON Schema of its answers, if they have a type.
    #[schema(value_type = Option<Object>)]
    answer_schema: Option<Value>,
}

/// What calls of a model cost, in the currency in which they are paid.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Price)]
pub(crate) struct PriceView {
    /// A million tokens that it reads.
    input: f64,
    /// A million tokens that it writes.
    output: f64,
}

/// A tool of an agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tool)]
pub(crate) struct ToolView {
    /// Its name.
    pub(crate) name: String,
    /// What it does.
    pub(crate) description: String,
    /// JSON Schema of its arguments.
    #[schema(value_type = Object)]
    pub(crate) parameters: Value,
    /// It changes nothing.
    read_only: bool,
    /// Repeating it has no further effect.
    idempotent: bool,
    /// A person has to approve each call.
    needs_approval: bool,
}

impl From<&ToolSpec> for ToolView {
    fn from(spec: &ToolSpec) -> Self {
        Self {
            name: spec.name.clone(),
            description: spec.description.clone(),
            parameters: spec.parameters.clone(),
            read_only: spec.flags.read_only,
            idempotent: spec.flags.idempotent,
            needs_approval: spec.flags.needs_approval,
        }
    }
}

/// Agents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Agents {
    /// The agents.
    agents: Vec<AgentView>,
}

/// A workflow on offer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workflow)]
pub(crate) struct WorkflowView {
    /// Its name.
    name: String,
    /// What it does.
    description: String,
    /// Its nodes.
    nodes: Vec<NodeView>,
    /// Its edges.
    edges: Vec<EdgeView>,
}

/// A node of a workflow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Node)]
pub(crate) struct NodeView {
    /// Its name.
    name: String,
    /// What it does.
    description: String,
    /// `agent`, `graph`, `function` or `tool`.
    kind: &'static str,
}

/// An edge of a workflow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Edge)]
pub(crate) struct EdgeView {
    /// The node that it leaves.
    from: String,
    /// The node that it leads to.
    to: String,
    /// Whether it depends on a condition.
    conditional: bool,
}

/// Workflows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Workflows {
    /// The workflows.
    workflows: Vec<WorkflowView>,
}

/// How to draw.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Drawing {
    /// A picture.
    #[default]
    Svg,
    /// A Mermaid flowchart.
    Mermaid,
    /// JSON: the settings of the graph, or what came of it.
    Json,
}

/// How to draw a graph.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draw {
    /// By default as a picture.
    #[param(inline)]
    pub(crate) format: Option<Drawing>,
}

impl AgentView {
    fn new(api: &Api, name: &str, offered: &OfferedAgent) -> Self {
        let spec = offered.agent.spec();
        Self {
            name: name.into(),
            description: spec.description.clone(),
            strategy: match spec.strategy {
                Strategy::Code => "code",
                Strategy::ToolCalling => "tool_calling",
                Strategy::Reasoning => "reasoning",
                _ => "other",
            },
            model: offered.agent.model().name().to_owned(),
            is_default: api.service().catalog().default_agent_name() == Some(name),
            price: offered.price.map(|Price { input, output }| PriceView { input, output }),
            max_steps: spec.limits.max_steps,
            tools: spec.tools.iter().map(Into::into).collect(),
            input_schema: spec.input_schema.clone(),
            answer_schema: spec.answer_schema.clone(),
        }
    }
}

impl WorkflowView {
    fn new(name: &str, offered: &OfferedWorkflow) -> Self {
        let spec = offered.graph.spec();
        let nodes = spec.nodes.iter().map(|node| NodeView {
            name: node.name.clone(),
            description: node.description.clone(),
            kind: match node.work {
                Work::Agent => "agent",
                Work::Graph => "graph",
                Work::Function => "function",
                Work::Tool { .. } => "tool",
                _ => "other",
            },
        });
        let edges = spec.edges.iter().map(|edge| EdgeView {
            from: edge.from.clone(),
            to: edge.to.clone(),
            conditional: edge.when != When::Always,
        });
        Self {
            name: name.into(),
            description: spec.description.clone(),
            nodes: nodes.collect(),
            edges: edges.collect(),
        }
    }
}

/// Lists the agents on offer.
#[utoipa::path(get, path = "/api/v1/agents", tag = "catalog", responses((status = 200, body = Agents)))]
pub(crate) async fn list_agents(Reader(_caller): Reader, State(api): State<Api>) -> Json<Agents> {
    let agents = api.service().catalog().agents().iter();
    Json(Agents { agents: agents.map(|(name, offered)| AgentView::new(&api, name, offered)).collect() })
}

/// Shows an agent on offer.
#[utoipa::path(
    get, path = "/api/v1/agents/{name}", tag = "catalog", params(("name" = String, Path)),
    responses((status = 200, body = AgentView), (status = 404, description = "There is no such agent.")),
)]
pub(crate) async fn get_agent(
    Reader(_caller): Reader,
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<AgentView>, Problem> {
    let offered = api.service().catalog().agents().get(&name);
    let offered = offered.ok_or_else(|| api.service().not_offered(RunKind::Agent, &name))?;
    Ok(Json(AgentView::new(&api, &name, offered)))
}

/// Lists the workflows on offer.
#[utoipa::path(get, path = "/api/v1/workflows", tag = "catalog", responses((status = 200, body = Workflows)))]
pub(crate) async fn list_workflows(Reader(_caller): Reader, State(api): State<Api>) -> Json<Workflows> {
    let workflows = api.service().catalog().workflows().iter();
    Json(Workflows { workflows: workflows.map(|(name, offered)| WorkflowView::new(name, offered)).collect() })
}

/// Shows a workflow on offer.
#[utoipa::path(
    get, path = "/api/v1/workflows/{name}", tag = "catalog", params(("name" = String, Path)),
    responses((status = 200, body = WorkflowView), (status = 404, description = "There is no such workflow.")),
)]
pub(crate) async fn get_workflow(
    Reader(_caller): Reader,
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<WorkflowView>, Problem> {
    let offered = workflow(&api, &name)?;
    Ok(Json(WorkflowView::new(&name, offered)))
}

pub(crate) fn workflow<'a>(api: &'a Api, name: &str) -> Result<&'a OfferedWorkflow, Problem> {
    let offered = api.service().catalog().workflows().get(name);
    offered.ok_or_else(|| api.service().not_offered(RunKind::Workflow, name))
}

/// Draws a workflow on offer.
#[utoipa::path(
    get, path = "/api/v1/workflows/{name}/graph", tag = "catalog", params(("name" = String, Path), Draw),
    responses(
        (status = 200, description = "The graph.",
         content((String = "image/svg+xml"), (String = "text/plain"), (Object = "application/json"))),
        (status = 404, description = "There is no such workflow."),
    ),
)]
pub(crate) async fn draw_workflow(
    Reader(_caller): Reader,
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(asked): Query<Draw>,
) -> Result<Response, Problem> {
    let graph = &workflow(&api, &name)?.graph;
    Ok(draw(graph.spec(), None, asked.format.unwrap_or_default()))
}

/// A graph, with what came of it.
pub(crate) fn draw(spec: &GraphSpec, result: Option<&GraphResult>, drawing: Drawing) -> Response {
    let of_type =
        |media_type: &'static str, text: String| ([(CONTENT_TYPE, media_type)], text).into_response();
    match (drawing, result) {
        (Drawing::Svg, result) => of_type("image/svg+xml", svg(spec, result)),
        (Drawing::Mermaid, Some(result)) => of_type("text/plain; charset=utf-8", mermaid_of(spec, result)),
        (Drawing::Mermaid, None) => of_type("text/plain; charset=utf-8", mermaid(spec)),
        (Drawing::Json, Some(result)) => Json(result).into_response(),
        (Drawing::Json, None) => Json(spec).into_response(),
    }
}
