//! `[models.NAME]`.

use std::path::PathBuf;

use indexmap::IndexMap;
use martlet::ModelOptions;
use serde::Deserialize;

use super::ordered;
use crate::duration::Time;
use crate::secret::Secret;

/// A model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelTable {
    /// Its name at the provider (`gpt-4o`), or with the provider (`openai/gpt-4o`, `local/small`).
    pub model: Option<String>,
    /// The provider, if `model` does not begin with it: `openai`, `azure`, `hf`, `openrouter`, `groq`, `ollama`,
    /// `llamacpp`, `vllm` or `local`.
    pub provider: Option<String>,
    /// The address of the server. Default: the provider's.
    pub base_url: Option<String>,
    /// The key: `env:NAME` or `file:PATH`. Default: the provider's variable, such as `OPENAI_API_KEY`.
    pub api_key: Option<Secret>,
    /// Azure's version of its interface.
    pub api_version: Option<String>,
    /// A GGUF file with the weights of a model that runs in this process.
    pub path: Option<PathBuf>,
    /// Headers of each request; values may be `env:NAME` or `file:PATH`.
    #[serde(deserialize_with = "ordered")]
    pub headers: IndexMap<String, Secret>,
    /// Whether a key may go over plain HTTP to a public host. Default: no.
    pub allow_plain_http: bool,
    /// When replies are streamed. Default: `when_watched`.
    pub streaming: Option<Streamed>,
    /// The most calls at the same time; more wait. Default: no limit.
    pub max_concurrent: Option<usize>,
    /// The most requests in any 60 seconds; more wait. Default: no limit.
    pub requests_per_minute: Option<usize>,
    /// The most tokens, read and written, in any 60 seconds; more wait. Default: no limit.
    pub tokens_per_minute: Option<u64>,
    /// What its calls cost, for people to see. Default: nothing is said of it.
    pub price: Option<PriceTable>,
    /// Sampling and length.
    pub options: ModelOptions,
    /// What agents should know of the model, where its name does not tell.
    pub profile: ProfileTable,
    /// How long to wait.
    pub timeouts: TimeoutsTable,
    /// How failures that may pass are tried again.
    pub retry: RetryTable,
}

/// What calls of a model cost, in any currency.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PriceTable {
    /// A million tokens that it reads.
    pub input: f64,
    /// A million tokens that it writes.
    pub output: f64,
}

/// When replies are streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Streamed {
    /// If somebody watches.
    WhenWatched,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What agents should know of a model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProfileTable {
    /// A model of a few billion parameters at most: it gets the compact prompts.
    pub small: Option<bool>,
    /// The server continues a turn of the model that the request begins.
    pub prefill: Option<bool>,
    /// It calls tools by its provider's own means.
    pub native_tools: Option<bool>,
    /// It can look at images; one that cannot is told that they are there.
    pub vision: Option<bool>,
    /// The tokens that it reads and writes at most in one call: the memory of conversations is made to fit.
    pub context_tokens: Option<u32>,
}

/// How long to wait for a model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TimeoutsTable {
    /// For a connection. Default: 10 s.
    pub connect: Option<Time>,
    /// For the first byte of a streamed reply. Default: 120 s.
    pub first_byte: Option<Time>,
    /// Between two pieces of a streamed reply. Default: 60 s.
    pub idle: Option<Time>,
    /// For the whole call. Default: 600 s.
    pub total: Option<Time>,
}

/// How failures that may pass are tried again.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryTable {
    /// How often a request is sent at most, the first time included. Default: 4.
    pub attempts: Option<u32>,
    /// The first pause. Default: 0.5 s.
    pub first_pause: Option<Time>,
    /// The longest pause. Default: 20 s.
    pub longest_pause: Option<Time>,
    /// The longest wait that a provider may ask for. Default: 60 s.
    pub longest_wait: Option<Time>,
}
