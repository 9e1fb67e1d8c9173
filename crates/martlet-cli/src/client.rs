//! A client for servers of ours.

use std::time::Duration;

use crate::exit::{Exit, Failure};

/// How long a server may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client. `here`: for a server on this machine, which is reached through no proxy.
pub(crate) fn client(here: bool) -> Result<reqwest::Client, Failure> {
    // The choice is the application's, and that is this program. Somebody may have made it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(PATIENCE)
        .user_agent(concat!("martlet/", env!("CARGO_PKG_VERSION")));
    let builder = if here { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| Failure::host("cannot set up a client for HTTP", error))
}

/// Why a server of ours did not do what it was asked.
pub(crate) fn refused(status: reqwest::StatusCode, body: &str) -> Failure {
    let told: Option<String> = serde_json::from_str::<serde_json::Value>(body)
        .ok()
        .and_then(|body| body.get("detail").and_then(|detail| detail.as_str().map(str::to_owned)));
    let text = told.unwrap_or_else(|| format!("it answered with status {status}"));
    let exit = match status.as_u16() {
        400 | 401 | 403 | 404 | 422 => Exit::Usage,
        429 | 503 => Exit::Busy,
        _ => Exit::Failed,
    };
    Failure::new(exit, anyhow::Error::msg(format!("the server refused: {text}")))
}
