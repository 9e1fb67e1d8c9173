//! Martlet over HTTP: many users run agents and workflows at once, and each run survives a crash.

pub mod admission;
mod catalog;
mod clock;
mod desk;
mod hub;
mod ids;
pub mod keys;
pub mod metrics;
pub mod problem;
mod service;

pub use catalog::{Catalog, OfferedAgent, OfferedWorkflow};
pub use metrics::Metrics;
pub use service::{Foundation, FoundationError, NewTask, RunInput, Service, ServiceOptions};
