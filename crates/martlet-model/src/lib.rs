//! Language models for Martlet.
//!
//! A [`Model`] takes a [`ModelRequest`] and gives a [`ModelReply`]. [`OpenAiCompatible`] speaks to every
//! provider and server that knows OpenAI's chat completions; [`Retry`] repeats what failed for a passing
//! reason; [`Concurrency`] and [`RateLimit`] keep calls within limits. [`from_env`] and [`from_name`] find a model by its name:
//!
//! ```no_run
//! # fn main() -> Result<(), martlet_model::ConfigError> {
//! let hosted = martlet_model::from_name("openai/gpt-4o")?; // the key comes from OPENAI_API_KEY
//! let own = martlet_model::from_name("ollama/qwen3:4b")?;
//! let named = martlet_model::from_env()?; // MARTLET_MODEL says which
//! # Ok(()) }
//! ```
//!
//! What fails is a [`ModelError`]: it says what happened, whether the same request may succeed later, and
//! never contains a key or a prompt.

mod concurrency;
mod config;
mod error;
mod http;
mod key;
#[cfg(feature = "local")]
pub mod local;
mod model;
mod openai;
mod profile;
mod rate_limit;
mod retry;
mod sse;

pub use concurrency::Concurrency;
pub use config::{
    Account, ConfigError, ConfigErrorKind, client_from_name, from_env, from_env_with, from_name,
    from_name_with, providers,
};
pub use error::ModelError;
pub use key::ApiKey;
#[doc(no_inline)]
pub use martlet_core::{
    Delta, ModelFailure, ModelFailureKind, ModelOptions, ModelProfile, ModelReply, ModelRequest,
};
pub use model::{BoxFuture, DeltaSink, Model, SharedModel};
pub use openai::{Dialect, OpenAiCompatible, OpenAiCompatibleBuilder, Streaming, Timeouts};
pub use profile::{Server, profile_of};
pub use rate_limit::RateLimit;
pub use retry::Retry;
