//! Agents in a web application of one's own: its routes beside those of Martlet.
//!
//! `cargo run -p martlet-server --example 09_axum`, then
//! `curl localhost:3000/agents/run-agent -H 'content-type: application/json' -d '{"task": "What is 2+2?"}'`.

use anyhow::Result;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use martlet::Agent;
use martlet::core::Principal;
use martlet_server::problem::Problem;
use martlet_server::{
    Auth, Catalog, Foundation, HttpOptions, NewTask, Service, ServiceOptions, refuse_open_beyond_loopback,
    router, serve,
};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    // A model that answers from a script; put one of yours here.
    let model =
        ScriptedModel::from_fn(|_, _| ScriptedReply::tool_call("final_answer", json!({"answer": "4"})));
    let assistant = Agent::tool_calling(model).build()?;

    let folder = std::env::temp_dir().join("martlet-example");
    let foundation = Foundation::open(folder, ServiceOptions::default())?;
    let service = foundation.serve(Catalog::new().agent("assistant", assistant)).await?;

    // Everybody on this machine is the same user; give keys to people with `Auth::Keys`.
    let options = HttpOptions::new(Auth::Open { principal: Principal::local() });
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    refuse_open_beyond_loopback(listener.local_addr()?, &options).map_err(anyhow::Error::msg)?;

    let app = Router::new()
        .route("/", get(async || "an application of mine"))
        .route("/sum/{a}/{b}", get(sum))
        .with_state(service.clone())
        // The whole API below a path: `/agents/run-agent`, `/agents/api/v1/runs`, `/agents/openapi.json` …
        .nest("/agents", router(service.clone(), options));
    serve(listener, app, service, async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}

/// A route of one's own that lets an agent do a task. It needs nothing of HTTP: the same two calls work in a handler of
/// actix-web or any other framework on tokio, as `Service` is cheap to clone and waits without a thread.
async fn sum(State(service): State<Service>, Path((a, b)): Path<(u32, u32)>) -> Result<Json<Value>, Problem> {
    let run = service.submit(&Principal::local(), NewTask::words(format!("What is {a}+{b}?"))).await?;
    let run = service.ended(&run.id).await?;
    Ok(Json(json!({"answer": run.answer, "run": run.id})))
}
