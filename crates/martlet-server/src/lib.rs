//! Martlet over HTTP: many users run agents and workflows at once, and each run survives a crash.
//!
//! [`Foundation`] opens the storage, a [`Catalog`] says what is on offer, and [`Service`] runs it, with or without HTTP.
//! [`router`] is the HTTP API as a router of axum, to be served by [`serve`] or to be mounted into an application of yours.
//!
//! ```no_run
//! # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
//! # fn assistant() -> martlet::Agent { unimplemented!() }
//! use martlet_server::{Auth, Catalog, Foundation, HttpOptions, ServiceOptions, router, serve};
//!
//! let foundation = Foundation::open("data", ServiceOptions::default())?;
//! let service = foundation.serve(Catalog::new().agent("assistant", assistant())).await?;
//! let app = router(service.clone(), HttpOptions::new(Auth::Keys));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! let stop = async { drop(tokio::signal::ctrl_c().await) };
//! serve(listener, app, service, stop).await?;
//! # Ok(())
//! # }
//! ```
//!
//! In an application of yours, `app.nest("/agents", router(service.clone(), options))` puts everything below a path. Pass the
//! addresses of the clients on (`into_make_service_with_connect_info::<SocketAddr>()`) if you use [`UserHeader`].

mod adapter;
pub mod admission;
mod ag_ui;
mod ai_sdk;
mod api;
mod auth;
mod catalog;
mod clock;
mod cross_site;
mod desk;
mod follow;
mod gradio;
mod hub;
mod ids;
pub mod keys;
pub mod metrics;
mod openai;
mod openapi;
mod options;
mod origin;
mod page;
pub mod problem;
mod router;
mod server;
mod service;
mod sse;

pub use auth::Caller;
pub use catalog::{Catalog, OfferedAgent, OfferedWorkflow, Price};
pub use metrics::Metrics;
pub use openapi::openapi;
pub use options::{Auth, HttpOptions, UserHeader, refuse_open_beyond_loopback};
pub use router::router;
pub use server::serve;
pub use service::{Attendance, Foundation, FoundationError, NewTask, RunInput, Service, ServiceOptions};
