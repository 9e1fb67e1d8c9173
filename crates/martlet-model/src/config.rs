//! Models by name and from the environment.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::http::{self, Reach};
use crate::key::ApiKey;
use crate::model::SharedModel;
use crate::openai::{OpenAiCompatible, OpenAiCompatibleBuilder};
use crate::profile::Server;
use crate::retry::Retry;

/// The version of Azure's interface that is spoken unless `AZURE_OPENAI_API_VERSION` says otherwise.
const AZURE_API_VERSION: &str = "2024-10-21";

/// Why there is no model: what is missing or wrong, and what to do about it.
pub struct ConfigError {
    kind: ConfigErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`ConfigError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// The environment names no model and no provider; an application may then take the embedded model.
    NothingConfigured,
    /// A provider is configured but no model is named.
    MissingModel,
    /// The provider needs a key, an address or a deployment that is not there.
    MissingKey,
    /// The name does not say which provider, or one that is not known.
    UnknownProvider,
    /// An address, key or header cannot be used.
    Invalid,
    /// A key would be sent so that others can read it.
    Insecure,
    /// This build does not contain the embedded model.
    NotBuiltIn,
    /// The embedded model cannot be used.
    Local,
}

impl ConfigError {
    pub(crate) fn new(kind: ConfigErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of problem it is.
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// Whether the environment says nothing at all of models.
    pub fn is_nothing_configured(&self) -> bool {
        self.kind == ConfigErrorKind::NothingConfigured
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// A provider that is reached by its prefix.
struct Provider {
    prefix: &'static str,
    base_url: &'static str,
    /// The variable that moves it elsewhere.
    url_variable: Option<&'static str>,
    key_variable: &'static str,
    key: Key,
    server: Server,
    example: &'static str,
}

#[derive(PartialEq, Eq)]
enum Key {
    Required,
    /// Servers of one's own may have one.
    Optional,
}

const PROVIDERS: [Provider; 7] = [
    Provider {
        prefix: "openai",
        base_url: "https://api.openai.com/v1",
        url_variable: Some("OPENAI_BASE_URL"),
        key_variable: "OPENAI_API_KEY",
        key: Key::Required,
        server: Server::OpenAi,
        example: "openai/gpt-4o",
    },
    Provider {
        prefix: "hf",
        base_url: "https://router.huggingface.co/v1",
        url_variable: None,
        key_variable: "HF_TOKEN",
        key: Key::Required,
        server: Server::Other,
        example: "hf/Qwen/Qwen3-32B",
    },
    Provider {
        prefix: "openrouter",
        base_url: "https://openrouter.ai/api/v1",
        url_variable: None,
        key_variable: "OPENROUTER_API_KEY",
        key: Key::Required,
        server: Server::Other,
        example: "openrouter/openai/gpt-4o",
    },
    Provider {
        prefix: "groq",
        base_url: "https://api.groq.com/openai/v1",
        url_variable: None,
        key_variable: "GROQ_API_KEY",
        key: Key::Required,
        server: Server::Other,
        example: "groq/llama-3.3-70b-versatile",
    },
    Provider {
        prefix: "ollama",
        base_url: "http://localhost:11434/v1",
        url_variable: Some("OLLAMA_HOST"),
        key_variable: "OLLAMA_API_KEY",
        key: Key::Optional,
        server: Server::LlamaCpp,
        example: "ollama/qwen3:4b",
    },
    Provider {
        prefix: "llamacpp",
        base_url: "http://localhost:8080/v1",
        url_variable: Some("LLAMACPP_BASE_URL"),
        key_variable: "LLAMACPP_API_KEY",
        key: Key::Optional,
        server: Server::LlamaCpp,
        example: "llamacpp/qwen2.5-coder-1.5b",
    },
    Provider {
        prefix: "vllm",
        base_url: "http://localhost:8000/v1",
        url_variable: Some("VLLM_BASE_URL"),
        key_variable: "VLLM_API_KEY",
        key: Key::Optional,
        server: Server::Vllm,
        example: "vllm/Qwen/Qwen3-8B",
    },
];

/// The model with a name such as `openai/gpt-4o`; keys and addresses come from the environment.
///
/// | name | key | address |
/// |---|---|---|
/// | `openai/gpt-4o` | `OPENAI_API_KEY` | `OPENAI_BASE_URL` |
/// | `azure/deployment` | `AZURE_OPENAI_API_KEY` | `AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_API_VERSION` |
/// | `hf/Qwen/Qwen3-32B` | `HF_TOKEN` | |
/// | `openrouter/openai/gpt-4o` | `OPENROUTER_API_KEY` | |
/// | `groq/llama-3.3-70b-versatile` | `GROQ_API_KEY` | |
/// | `ollama/qwen3:4b` | `OLLAMA_API_KEY`, rarely | `OLLAMA_HOST`, else port 11434 here |
/// | `llamacpp/name` | `LLAMACPP_API_KEY`, rarely | `LLAMACPP_BASE_URL`, else port 8080 here |
/// | `vllm/Qwen/Qwen3-8B` | `VLLM_API_KEY`, rarely | `VLLM_BASE_URL`, else port 8000 here |
/// | `http://host:port/v1#model` | `MARTLET_API_KEY` | the name's |
/// | `local`, `local/small` | | the embedded model (feature `local`) |
///
/// Models behind HTTP come with a [`Retry`] around them.
///
/// # Errors
/// Says which variable to set, or how the name should look.
pub fn from_name(name: &str) -> Result<SharedModel, ConfigError> {
    from_name_with(name, &|variable| std::env::var(variable).ok())
}

/// Like [`from_name`], with variables that come from elsewhere.
///
/// # Errors
/// As for [`from_name`].
pub fn from_name_with(
    name: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<SharedModel, ConfigError> {
    let name = name.trim();
    if name == "local" || name.starts_with("local/") {
        return local(name);
    }
    let model = client_from_name(name, &Account::default(), variable)?.build()?;
    Ok(Arc::new(Retry::new(model)))
}

/// What a configuration says of an account at a provider. It takes precedence over the variables.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Account {
    base_url: Option<String>,
    key: Option<ApiKey>,
    api_version: Option<String>,
}

impl Account {
    /// The address of the server, if not the provider's.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The key.
    pub fn api_key(mut self, key: impl Into<ApiKey>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The version of Azure's interface.
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = Some(version.into());
        self
    }
}

/// The client for a model with a name as [`from_name`] takes it, to be set up further. It is not for `local`.
///
/// # Errors
/// As for [`from_name`].
pub fn client_from_name(
    name: &str,
    account: &Account,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<OpenAiCompatibleBuilder, ConfigError> {
    builder(name.trim(), account, &Variables(variable))
}

/// The providers that a name can begin with, `local` included.
pub fn providers() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().map(|provider| provider.prefix).chain(["azure", "local"])
}

/// The model that the environment names: `MARTLET_MODEL` (a name, see [`from_name`]), otherwise
/// `OPENAI_MODEL`, otherwise `AZURE_OPENAI_DEPLOYMENT`.
///
/// # Errors
/// [`ConfigError::is_nothing_configured`] if no variable speaks of a model or of a provider's account;
/// otherwise the error says which variable to set.
pub fn from_env() -> Result<SharedModel, ConfigError> {
    from_env_with(&|variable| std::env::var(variable).ok())
}

/// Like [`from_env`], with variables that come from elsewhere.
///
/// # Errors
/// As for [`from_env`].
pub fn from_env_with(variable: &dyn Fn(&str) -> Option<String>) -> Result<SharedModel, ConfigError> {
    let variables = Variables(variable);
    if let Some(name) = variables.get("MARTLET_MODEL") {
        return from_name_with(&name, variable);
    }
    if let Some(model) = variables.get("OPENAI_MODEL") {
        return from_name_with(&format!("openai/{model}"), variable);
    }
    if let Some(deployment) = variables.get("AZURE_OPENAI_DEPLOYMENT") {
        return from_name_with(&format!("azure/{deployment}"), variable);
    }
    // HF_TOKEN and OLLAMA_HOST do not count: people have them for other reasons.
    for (present, example) in [
        ("OPENAI_API_KEY", "openai/gpt-4o"),
        ("OPENAI_BASE_URL", "openai/name-of-the-model"),
        ("AZURE_OPENAI_ENDPOINT", "azure/name-of-the-deployment"),
        ("OPENROUTER_API_KEY", "openrouter/openai/gpt-4o"),
        ("GROQ_API_KEY", "groq/llama-3.3-70b-versatile"),
    ] {
        if variables.get(present).is_some() {
            return Err(ConfigError::new(
                ConfigErrorKind::MissingModel,
                format!(
                    "{present} is set but no model is named: set MARTLET_MODEL, for example to {example}"
                ),
            ));
        }
    }
    Err(ConfigError::new(
        ConfigErrorKind::NothingConfigured,
        "no model is configured: set MARTLET_MODEL, for example to openai/gpt-4o (with OPENAI_API_KEY), \
         ollama/qwen3:4b, or local",
    ))
}

/// Variables; empty ones count as missing.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn key(&self, name: &str) -> Option<ApiKey> {
        self.get(name).map(ApiKey::new)
    }
}

fn builder(
    name: &str,
    account: &Account,
    variables: &Variables<'_>,
) -> Result<OpenAiCompatibleBuilder, ConfigError> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return at_url(name, account, variables);
    }
    let (prefix, model) = name.split_once('/').unwrap_or((name, ""));
    if prefix == "azure" {
        return azure(name, model, account, variables);
    }
    let Some(provider) = PROVIDERS.iter().find(|provider| provider.prefix == prefix) else {
        return Err(unknown(name));
    };
    if model.is_empty() {
        return Err(ConfigError::new(
            ConfigErrorKind::MissingModel,
            format!("`{name}` names a provider and no model: write, for example, {}", provider.example),
        ));
    }
    let elsewhere = account
        .base_url
        .clone()
        .or_else(|| provider.url_variable.and_then(|variable| variables.get(variable)));
    let url = match &elsewhere {
        Some(host) if prefix == "ollama" => ollama_url(host),
        Some(url) => url.clone(),
        None => provider.base_url.to_owned(),
    };
    let mut builder = OpenAiCompatible::new(url, model).name(name).key_variable(provider.key_variable);
    // OPENAI_BASE_URL may lead to a server of any kind, which need not ask for a key.
    if elsewhere.is_none() || prefix != "openai" {
        builder = builder.server(provider.server);
    }
    match account.key.clone().or_else(|| variables.key(provider.key_variable)) {
        Some(key) => builder = builder.api_key(key),
        None if provider.key == Key::Required && elsewhere.is_none() => {
            return Err(missing_key(name, provider.key_variable));
        }
        None => {}
    }
    Ok(builder)
}

fn at_url(
    name: &str,
    account: &Account,
    variables: &Variables<'_>,
) -> Result<OpenAiCompatibleBuilder, ConfigError> {
    let (url, model) = name.split_once('#').unwrap_or((name, ""));
    if model.is_empty() {
        return Err(ConfigError::new(
            ConfigErrorKind::MissingModel,
            "the address names no model: write it behind a `#`, as in http://localhost:8000/v1#qwen3",
        ));
    }
    let builder = OpenAiCompatible::new(url, model).key_variable("MARTLET_API_KEY");
    Ok(match account.key.clone().or_else(|| variables.key("MARTLET_API_KEY")) {
        Some(key) => builder.api_key(key),
        None => builder,
    })
}

fn azure(
    name: &str,
    deployment: &str,
    account: &Account,
    variables: &Variables<'_>,
) -> Result<OpenAiCompatibleBuilder, ConfigError> {
    if deployment.is_empty() {
        return Err(ConfigError::new(
            ConfigErrorKind::MissingModel,
            "`azure` names no deployment: write azure/ and the name of the deployment",
        ));
    }
    let endpoint = account.base_url.clone().or_else(|| variables.get("AZURE_OPENAI_ENDPOINT"));
    let endpoint = endpoint.ok_or_else(|| {
        ConfigError::new(
            ConfigErrorKind::MissingKey,
            format!(
                "{name} needs the resource's address: set AZURE_OPENAI_ENDPOINT to https://….openai.azure.com"
            ),
        )
    })?;
    let key = account.key.clone().or_else(|| variables.key("AZURE_OPENAI_API_KEY"));
    let key = key.ok_or_else(|| missing_key(name, "AZURE_OPENAI_API_KEY"))?;
    let version = account.api_version.clone().or_else(|| variables.get("AZURE_OPENAI_API_VERSION"));
    let version = version.or_else(|| variables.get("OPENAI_API_VERSION"));
    Ok(OpenAiCompatible::new(endpoint, deployment)
        .azure(version.as_deref().unwrap_or(AZURE_API_VERSION))
        .name(name)
        .key_variable("AZURE_OPENAI_API_KEY")
        .api_key(key))
}

fn missing_key(name: &str, variable: &str) -> ConfigError {
    ConfigError::new(ConfigErrorKind::MissingKey, format!("{name} needs a key: set {variable}"))
}

fn unknown(name: &str) -> ConfigError {
    let prefixes: Vec<&str> = PROVIDERS.iter().map(|provider| provider.prefix).collect();
    let hint = if ["gpt-", "o1", "o3", "o4", "chatgpt-"].iter().any(|start| name.starts_with(start)) {
        format!("write openai/{name}")
    } else if name.contains('/') {
        format!("write hf/{name} for a model on Hugging Face, openrouter/{name} for one on OpenRouter")
    } else {
        format!("write ollama/{name} for a model in Ollama")
    };
    ConfigError::new(
        ConfigErrorKind::UnknownProvider,
        format!(
            "`{name}` does not begin with a provider that is known ({}, azure, local, or an address with \
             #model): {hint}",
            prefixes.join(", ")
        ),
    )
}

/// `OLLAMA_HOST` as Ollama itself reads it: the scheme, the port and even the host may be missing, and
/// 0.0.0.0, which is where a server listens, means this machine.
fn ollama_url(host: &str) -> String {
    let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host, Some(port))
        }
        _ => (authority, None),
    };
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    let scheme = match scheme {
        "" if http::reach(host) == Reach::Public && port.is_none_or(|port| port == "443") => "https",
        "" => "http",
        scheme => scheme,
    };
    let port = match (port, scheme) {
        (Some(port), _) => port,
        (None, "https") => "443",
        (None, _) => "11434",
    };
    let path = path.trim_end_matches('/');
    format!("{scheme}://{host}:{port}{}", if path.is_empty() { "/v1" } else { path })
}

#[cfg(feature = "local")]
fn local(name: &str) -> Result<SharedModel, ConfigError> {
    match crate::local::LocalModel::open(name) {
        Ok(model) => Ok(Arc::new(model)),
        Err(error) => Err(ConfigError::new(ConfigErrorKind::Local, error.to_string()).with_source(error)),
    }
}

#[cfg(not(feature = "local"))]
fn local(name: &str) -> Result<SharedModel, ConfigError> {
    Err(ConfigError::new(
        ConfigErrorKind::NotBuiltIn,
        format!(
            "{name} is the embedded model, which this build does not contain: build with the feature `local`"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model as _;

    fn look_up<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    fn named(name: &str, set: &[(&str, &str)]) -> Result<String, ConfigError> {
        let variables = look_up(set);
        builder(name, &Account::default(), &Variables(&variables))?.build().map(|model| format!("{model:?}"))
    }

    fn environment(set: &[(&str, &str)]) -> Result<String, ConfigError> {
        from_env_with(&look_up(set)).map(|model| model.name().to_owned())
    }

    #[test]
    fn names_lead_to_servers() {
        for (name, set, url) in [
            ("openai/gpt-4o", &[("OPENAI_API_KEY", "k")][..], "https://api.openai.com/v1"),
            ("openai/m", &[("OPENAI_BASE_URL", "http://localhost:1/v1")], "http://localhost:1/v1"),
            ("hf/Qwen/Qwen3-32B", &[("HF_TOKEN", "k")], "https://router.huggingface.co/v1"),
            ("groq/m", &[("GROQ_API_KEY", "k")], "https://api.groq.com/openai/v1"),
            ("openrouter/a/b", &[("OPENROUTER_API_KEY", "k")], "https://openrouter.ai/api/v1"),
            ("ollama/qwen3:4b", &[], "http://localhost:11434/v1"),
            ("ollama/q", &[("OLLAMA_HOST", "0.0.0.0")], "http://127.0.0.1:11434/v1"),
            ("vllm/a/b", &[("VLLM_BASE_URL", "gpu:8000/v1")], "http://gpu:8000/v1"),
            ("llamacpp/q", &[], "http://localhost:8080/v1"),
            ("http://localhost:7/v1#a/b", &[], "http://localhost:7/v1"),
            (
                "azure/prod",
                &[("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com"), ("AZURE_OPENAI_API_KEY", "k")],
                "https://r.openai.azure.com/",
            ),
        ] {
            let model = named(name, set).unwrap();
            assert!(model.contains(&format!("url: {url:?}")), "{name}: {model}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        for (name, kind, text) in [
            ("openai/gpt-4o", ConfigErrorKind::MissingKey, "set OPENAI_API_KEY"),
            ("hf/a/b", ConfigErrorKind::MissingKey, "set HF_TOKEN"),
            ("azure/d", ConfigErrorKind::MissingKey, "set AZURE_OPENAI_ENDPOINT"),
            ("openai", ConfigErrorKind::MissingModel, "openai/gpt-4o"),
            ("ollama/", ConfigErrorKind::MissingModel, "ollama/qwen3:4b"),
            ("http://localhost:7/v1", ConfigErrorKind::MissingModel, "#qwen3"),
            ("gpt-4o", ConfigErrorKind::UnknownProvider, "write openai/gpt-4o"),
            ("Qwen/Qwen3-8B", ConfigErrorKind::UnknownProvider, "write hf/Qwen/Qwen3-8B"),
            ("llama3", ConfigErrorKind::UnknownProvider, "write ollama/llama3"),
        ] {
            let error = named(name, &[]).unwrap_err();
            assert_eq!(error.kind(), kind, "{name}");
            assert!(error.to_string().contains(text), "{name}: {error}");
        }
    }

    #[test]
    fn the_environment_is_read_in_order() {
        let key = ("OPENAI_API_KEY", "k");
        let named = environment(&[("MARTLET_MODEL", "ollama/q"), ("OPENAI_MODEL", "m"), key]);
        assert_eq!(named.unwrap(), "ollama/q");
        assert_eq!(environment(&[("OPENAI_MODEL", "m"), key]).unwrap(), "openai/m");
        assert_eq!(environment(&[key]).unwrap_err().kind(), ConfigErrorKind::MissingModel);
        assert!(environment(&[]).unwrap_err().is_nothing_configured());
        let of_other_use = [("HF_TOKEN", "k"), ("OLLAMA_HOST", "h"), ("MARTLET_MODEL", " ")];
        assert!(environment(&of_other_use).unwrap_err().is_nothing_configured());
    }

    #[test]
    fn addresses_of_ollama() {
        for (host, url) in [
            ("localhost", "http://localhost:11434/v1"),
            ("0.0.0.0:9999", "http://127.0.0.1:9999/v1"),
            (":9999", "http://127.0.0.1:9999/v1"),
            ("http://box:80", "http://box:80/v1"),
            ("http://box/", "http://box:11434/v1"),
            ("https://ollama.example.com", "https://ollama.example.com:443/v1"),
            ("https://ollama.example.com/v1/", "https://ollama.example.com:443/v1"),
            ("ollama.example.com:11434", "http://ollama.example.com:11434/v1"),
            ("[::]:11434", "http://[::1]:11434/v1"),
        ] {
            assert_eq!(ollama_url(host), url, "{host}");
        }
    }

    #[cfg(not(feature = "local"))]
    #[test]
    fn the_embedded_model_is_missed_clearly() {
        let error = from_name("local/small").map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ConfigErrorKind::NotBuiltIn);
    }
}
