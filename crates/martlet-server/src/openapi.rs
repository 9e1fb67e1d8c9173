//! The description of the HTTP API.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{approvals, catalog, events, export, files, keys, queue, runs, sessions, sign_in};
use crate::openai::{FaultBody, chat, models, responses};
use crate::origin::{agent, ask, dag, history, tools};
use crate::page::render;
use crate::problem::ProblemDetails;
use crate::router::Api;
use crate::{ag_ui, ai_sdk, gradio};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Martlet", description = "Runs of agents and workflows that survive crashes."),
    components(schemas(ProblemDetails, FaultBody<'_>)),
    tags(
        (name = "runs", description = "Runs of agents and workflows, and what happens in them."),
        (name = "sessions", description = "Conversations: runs that share a memory."),
        (name = "approvals", description = "Questions to people."),
        (name = "files", description = "Files that people bring."),
        (name = "catalog", description = "What is on offer."),
        (name = "keys", description = "Who may do what."),
        (name = "page", description = "What the chat page needs besides."),
        (name = "openai", description = "The API of OpenAI, for its clients."),
        (name = "gradio", description = "What the clients of Gradio use."),
        (name = "ai-sdk", description = "What the chats of Vercel's AI SDK use."),
        (name = "ag-ui", description = "What the clients of AG-UI use."),
        (name = "origin", description = "The endpoints of other agent servers, with their JSON."),
    ),
)]
struct Base;

/// All routes that ask who comes, with their description.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(runs::create_run, runs::list_runs))
        .routes(routes!(runs::get_run, runs::delete_run))
        .routes(routes!(runs::cancel_run))
        .routes(routes!(runs::fork_run))
        .routes(routes!(events::list_events))
        .routes(routes!(export::export_run))
        .routes(routes!(export::draw_run))
        .routes(routes!(sessions::create_session, sessions::list_sessions))
        .routes(routes!(sessions::get_session, sessions::change_session, sessions::delete_session))
        .routes(routes!(sessions::list_session_runs))
        .routes(routes!(sessions::branch_session))
        .routes(routes!(export::export_session))
        .routes(routes!(approvals::list_approvals))
        .routes(routes!(approvals::get_approval, approvals::decide_approval))
        .routes(routes!(files::create_files, files::list_files))
        .routes(routes!(files::get_file, files::delete_file))
        .routes(routes!(catalog::list_agents))
        .routes(routes!(catalog::get_agent))
        .routes(routes!(catalog::list_workflows))
        .routes(routes!(catalog::get_workflow))
        .routes(routes!(catalog::draw_workflow))
        .routes(routes!(keys::get_me))
        .routes(routes!(keys::create_key, keys::list_keys))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(queue::get_queue))
        .routes(routes!(render::render))
        .routes(routes!(ask::run_agent))
        .routes(routes!(ask::run_agent_threading))
        .routes(routes!(agent::query))
        .routes(routes!(agent::reasoning))
        .routes(routes!(agent::batch))
        .routes(routes!(agent::scenarios))
        .routes(routes!(tools::list_tools))
        .routes(routes!(tools::test_tool))
        .routes(routes!(tools::health))
        .routes(routes!(history::list_history, history::clear_history))
        .routes(routes!(dag::execute))
        .routes(routes!(models::list_models))
        .routes(routes!(models::get_model))
        .routes(routes!(chat::create_chat_completion))
        .routes(routes!(responses::create_response))
        .routes(routes!(responses::get_response, responses::delete_response))
        .routes(routes!(responses::cancel_response))
        .routes(routes!(responses::list_input_items))
        .merge(gradio::routes())
        .routes(routes!(ai_sdk::chat))
        .routes(routes!(ai_sdk::resume))
        .routes(routes!(ai_sdk::stop))
        .routes(routes!(ag_ui::run_agent))
        // Uploads have a limit of their own; the other bodies are read by an extractor that has one.
        .layer(DefaultBodyLimit::disable())
}

/// The routes by which people say who they are.
pub(crate) fn open_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(sign_in::sign_in)).routes(routes!(sign_in::sign_out))
}

/// The description of the HTTP API, as it is served at `/openapi.json`.
pub fn openapi() -> OpenApi {
    completed(routes().merge(open_routes()).into_openapi())
}

/// The route at which the description is served.
pub(crate) fn route() -> Router<Api> {
    let text = openapi().to_json().unwrap_or_default();
    let text: std::sync::Arc<str> = text.into();
    Router::new()
        .route("/openapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], text.to_string())))
}

/// Adds what all operations have in common: how to say who asks, and how problems are told.
fn completed(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("mrt_…").build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme(
        "api_key",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key"))),
    );
    document.security = Some(vec![
        SecurityRequirement::new("bearer", Vec::<String>::new()),
        SecurityRequirement::new("api_key", Vec::<String>::new()),
    ]);
    let schema = Ref::from_schema_name("ProblemDetails");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let fault = Ref::from_schema_name("OpenAiError");
    let fault = ContentBuilder::new().schema(Some(fault)).build();
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete, &mut item.put]
            .into_iter()
            .flatten();
        for operation in operations {
            let known = [
                ("400", "Something in the request is wrong."),
                ("401", "A valid API key is needed."),
                ("403", "The key has not the scope."),
                ("default", "What went wrong."),
            ];
            for (status, description) in known {
                operation
                    .responses
                    .responses
                    .entry(status.into())
                    .or_insert_with(|| ResponseBuilder::new().description(description).build().into());
            }
            for (status, response) in &mut operation.responses.responses {
                let is_problem = !status.starts_with(['1', '2', '3']);
                if let utoipa::openapi::RefOr::T(response) = response
                    && is_problem
                {
                    // Where OpenAI's API is spoken, faults are told in its form.
                    let (kind, content) = match path.starts_with("/v1/") {
                        true => ("application/json", &fault),
                        false => ("application/problem+json", &content),
                    };
                    response.content.insert(kind.into(), content.clone().into());
                }
            }
        }
    }
    document
}
