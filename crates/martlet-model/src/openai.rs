//! The client for everything that speaks OpenAI's chat completions.

mod assembly;
mod builder;
mod client;
mod dialect;
mod failure;
mod request;
mod text;
mod wire;

pub use builder::{OpenAiCompatibleBuilder, Streaming, Timeouts};
pub use client::OpenAiCompatible;
pub use dialect::Dialect;
