//! Agents in a web application of one's own, on axum: its routes beside those of Martlet.
//!
//! It asks itself and ends. With `LISTEN=127.0.0.1:3000` it serves until Ctrl-C:
//! `curl localhost:3000/agents/run-agent -H 'content-type: application/json' -d '{"task": "What is 2+2?"}'`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

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
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<()> {
    // A model that answers from a script; put one of yours here.
    let model =
        ScriptedModel::from_fn(|_, _| ScriptedReply::tool_call("final_answer", json!({"answer": "4"})));
    let assistant = Agent::tool_calling(model).build()?;

    let folder = tempfile::tempdir()?;
    let foundation = Foundation::open(folder.path(), ServiceOptions::default())?;
    let service = foundation.serve(Catalog::new().agent("assistant", assistant)).await?;

    // Everybody on this machine is the same user; give keys to people with `Auth::Keys`.
    let options = HttpOptions::new(Auth::Open { principal: Principal::local() });
    let listen = std::env::var("LISTEN").ok();
    let listener = TcpListener::bind(listen.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let address = listener.local_addr()?;
    refuse_open_beyond_loopback(address, &options).map_err(anyhow::Error::msg)?;

    let app = Router::new()
        .route("/", get(async || "an application of mine"))
        .route("/sum/{a}/{b}", get(sum))
        .with_state(service.clone())
        // The whole API below a path: `/agents/run-agent`, `/agents/api/v1/runs`, `/agents/openapi.json` …
        .nest("/agents", router(service.clone(), options));
    let until = async move {
        match listen {
            Some(_) => drop(tokio::signal::ctrl_c().await),
            None => println!("{}", ask(address).await.unwrap_or_else(|error| error.to_string())),
        }
    };
    Ok(serve(listener, app, service, until).await?)
}

/// A route of one's own that lets an agent do a task.
async fn sum(State(service): State<Service>, Path((a, b)): Path<(u32, u32)>) -> Result<Json<Value>, Problem> {
    let run = service.submit(&Principal::local(), NewTask::words(format!("What is {a}+{b}?"))).await?;
    let run = service.ended(&run.id).await?;
    Ok(Json(json!({"answer": run.answer, "run": run.id})))
}

async fn ask(address: std::net::SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /sum/2/2 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
