//! `martlet.toml`: models, agents and workflows for those who write no Rust.
//!
//! [`Config::load`] reads the layers (files, variables) and says of each mistake in which line it is and what was
//! probably meant. What the settings name is built when it is asked for, by a [`Builder`].
//! The [`Host`] brings what a file cannot: tools, the sandbox, the model that is taken when nothing is configured.

mod agents;
mod approvals;
mod builder;
mod decode;
#[cfg(test)]
mod documented;
mod duration;
mod error;
mod file;
mod host;
mod load;
mod models;
mod origin;
mod secret;
mod server;
pub mod settings;
mod show;
mod tools;
mod tree;
mod variables;
mod workflows;

pub use builder::Builder;
pub use duration::Time;
pub use error::{ConfigError, Problem};
pub use host::{Host, HostError};
pub use load::{Config, FILE_NAME, LoadedFile, Source, Sources};
pub use models::ModelChoice;
pub use origin::Origin;
pub use secret::Secret;
pub use settings::Settings;
pub use show::{Line, without_password};
