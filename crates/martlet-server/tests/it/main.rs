//! The server, through its public surface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod admission;
mod http;
mod keys;
mod metrics;
mod problem;
mod service;
