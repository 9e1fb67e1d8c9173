//! Whether the server lives and can work, and its figures.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::get;
use http::header::FORWARDED;

use crate::auth::identify;
use crate::keys::Scope;
use crate::origin;
use crate::problem::{Problem, ProblemKind};
use crate::router::Api;

/// The routes that ask nobody who they are, and the figures, which ask most.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/", get(origin::tools::root))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(State(api): State<Api>) -> Result<&'static str, Problem> {
    let service = api.service();
    if service.is_draining() {
        let detail = "the server is shutting down: it takes nothing in";
        return Err(Problem::new(ProblemKind::Draining, detail));
    }
    if !service.has_storage() {
        let detail = "the storage cannot be written: see the log of the server, and that its disk has space";
        return Err(Problem::new(ProblemKind::StorageUnavailable, detail));
    }
    Ok("ok\n")
}

/// Those who come from this machine, and not through a proxy on it, need no key.
async fn metrics(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let is_near = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback())
        && !parts.headers.contains_key(FORWARDED)
        && !parts.headers.contains_key("x-forwarded-for");
    if !is_near {
        identify(&api, &parts).await?.need(Scope::Admin)?;
    }
    Ok(api.service().metrics().response())
}
