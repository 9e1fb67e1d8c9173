//! The embedded model: inference in this process, with weights fetched once (feature `local`).
//!
//! [`LocalModel`] is the model itself. [`CATALOG`] lists the models whose weights Martlet knows how to fetch
//! and check, [`ModelDir`] says where they are, and [`pull`] fetches them.

mod cache;
mod catalog;
mod chat;
mod engine;
mod gguf;
mod model;
mod pull;
mod reply_text;
mod sampling;
#[cfg(test)]
mod tiny;
mod transformer;
mod vocabulary;
mod weights;

pub use catalog::{CATALOG, CatalogModel, find};
pub use model::LocalModel;
pub use pull::{PackageClient, PullPhase, PullProgress, pull};
pub use weights::{ModelDir, WeightStatus, path_from_env};
