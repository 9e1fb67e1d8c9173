//! Agents in a web application of one's own, on actix-web: a service is all that a handler needs.
//!
//! It asks itself and ends. With `LISTEN=127.0.0.1:3000` it serves until Ctrl-C: `curl localhost:3000/sum/2/2`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context as _, Result};
use martlet::Agent;
use martlet::core::Principal;
use martlet_server::{Catalog, Foundation, NewTask, Service, ServiceOptions};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> Result<()> {
    // A model that answers from a script; put one of yours here.
    let model =
        ScriptedModel::from_fn(|_, _| ScriptedReply::tool_call("final_answer", json!({"answer": "4"})));
    let assistant = Agent::tool_calling(model).build()?;

    let folder = tempfile::tempdir()?;
    let foundation = Foundation::open(folder.path(), ServiceOptions::default())?;
    let service = foundation.serve(Catalog::new().agent("assistant", assistant)).await?;

    let state = web::Data::new(service.clone());
    let app = move || App::new().app_data(state.clone()).route("/sum/{a}/{b}", web::get().to(sum));
    let listen = std::env::var("LISTEN").ok();
    let server = HttpServer::new(app).workers(1).bind(listen.as_deref().unwrap_or("127.0.0.1:0"))?;
    let address = *server.addrs().first().context("the server listens")?;
    let server = server.run();
    if listen.is_none() {
        let handle = server.handle();
        tokio::spawn(async move {
            println!("{}", ask(address).await.unwrap_or_else(|error| error.to_string()));
            handle.stop(true).await;
        });
    }
    server.await?;
    service.shut_down().await;
    Ok(())
}

/// Lets an agent do a task. The run is stored before anything of it is done; who asks may be anybody.
async fn sum(service: web::Data<Service>, numbers: web::Path<(u32, u32)>) -> HttpResponse {
    let (a, b) = numbers.into_inner();
    let task = NewTask::words(format!("What is {a}+{b}?"));
    let run = async { service.ended(&service.submit(&Principal::local(), task).await?.id).await };
    match run.await {
        Ok(run) => HttpResponse::Ok().json(json!({"answer": run.answer, "run": run.id})),
        Err(problem) => {
            let status = actix_web::http::StatusCode::from_u16(problem.details().status).unwrap_or_default();
            HttpResponse::build(status).json(problem.details())
        }
    }
}

async fn ask(address: std::net::SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /sum/2/2 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
