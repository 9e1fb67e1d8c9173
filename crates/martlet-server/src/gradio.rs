//! The part of Gradio's API that its clients use: `/config`, `/gradio_api/…` and `/api/predict`.
//!
//! Each agent is an endpoint. An event of Gradio's queue is a run: its name is the run's, it is stored before the client
//! hears of it, and who asks for it must own it. Which events a client has joined and not seen yet is all that is kept
//! beside the store, and it is found again there.

mod ask;
mod call;
mod describe;
mod files;
mod form;
mod lobby;
mod queue;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::lobby::Lobby;
use crate::router::Api;

/// All routes of it.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(describe::config))
        .routes(routes!(describe::info))
        .routes(routes!(queue::join))
        .routes(routes!(queue::data))
        .routes(routes!(queue::cancel))
        .routes(routes!(queue::reset))
        .routes(routes!(call::call))
        .routes(routes!(call::result))
        .routes(routes!(call::predict))
        .routes(routes!(call::run_predict))
        .routes(routes!(call::run))
        .routes(routes!(call::api))
        .routes(routes!(files::upload))
        .routes(routes!(files::file))
        // It never ends, and says nothing.
        .route("/gradio_api/heartbeat/{session}", axum::routing::get(queue::heartbeat))
        .route("/api/predict/", axum::routing::post(call::predict))
}
