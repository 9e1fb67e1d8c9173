//! Setting up an [`OpenAiCompatible`].

use std::time::Duration;

use martlet_core::{ModelOptions, ModelProfile};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use super::client::OpenAiCompatible;
use super::dialect::Dialect;
use super::failure::Endpoint;
use crate::config::{ConfigError, ConfigErrorKind};
use crate::http::{self, Reach};
use crate::key::ApiKey;
use crate::profile::{Server, profile_of};

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a connection. Default: 10 s.
    pub connect: Duration,
    /// For the first byte of a streamed reply; a model that is being loaded sends none. A reply that is not
    /// streamed comes all at once when it is finished, so that [`Timeouts::total`] alone counts.
    /// Default: 120 s.
    pub first_byte: Duration,
    /// Between two pieces of a streamed reply. Default: 60 s.
    pub idle: Duration,
    /// For the whole call. Default: 600 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

impl Timeouts {
    /// The limit for a connection.
    #[must_use]
    pub fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// The limit for the first byte of a streamed reply.
    #[must_use]
    pub fn first_byte(mut self, limit: Duration) -> Self {
        self.first_byte = limit;
        self
    }

    /// The limit between two pieces of a streamed reply.
    #[must_use]
    pub fn idle(mut self, limit: Duration) -> Self {
        self.idle = limit;
        self
    }

    /// The limit for the whole call.
    #[must_use]
    pub fn total(mut self, limit: Duration) -> Self {
        self.total = limit;
        self
    }
}

/// Whether replies are asked for as streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Streaming {
    /// If somebody watches, because reading a stream costs more.
    #[default]
    WhenWatched,
    /// Always: a server behind a proxy that closes quiet connections needs it.
    Always,
    /// Never: a watcher gets the reply as one piece.
    Never,
}

/// Sets up an [`OpenAiCompatible`]; see [`OpenAiCompatible::new`].
#[derive(Debug, Clone)]
#[must_use]
pub struct OpenAiCompatibleBuilder {
    base_url: String,
    model: String,
    name: Option<String>,
    key: Option<ApiKey>,
    key_variable: Option<&'static str>,
    headers: Vec<(String, ApiKey)>,
    azure: Option<String>,
    server: Option<Server>,
    dialect: Option<Dialect>,
    profile: Option<ModelProfile>,
    options: ModelOptions,
    timeouts: Timeouts,
    streaming: Streaming,
    plain_http: bool,
}

impl OpenAiCompatibleBuilder {
    pub(super) fn new(base_url: String, model: String) -> Self {
        Self {
            base_url,
            model,
            name: None,
            key: None,
            key_variable: None,
            headers: Vec::new(),
            azure: None,
            server: None,
            dialect: None,
            profile: None,
            options: ModelOptions::default(),
            timeouts: Timeouts::default(),
            streaming: Streaming::default(),
            plain_http: false,
        }
    }

    /// The provider's key. An empty one counts as none.
    pub fn api_key(mut self, key: impl Into<ApiKey>) -> Self {
        self.key = Some(key.into()).filter(|key| !key.expose().is_empty());
        self
    }

    pub(crate) fn key_variable(mut self, variable: &'static str) -> Self {
        self.key_variable = Some(variable);
        self
    }

    /// A header of every request, such as an organisation or a gateway's token. Its value is treated as a
    /// secret.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<ApiKey>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A field of every request's body, as the server names it. It takes the place of a field that the client
    /// would send; null takes the field out.
    pub fn body_field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.extra.insert(name.into(), value.into());
        self
    }

    /// Speaks to Azure OpenAI: the base URL is the resource's (`https://name.openai.azure.com`), the model is
    /// the name of the deployment, the key goes into the header `api-key`.
    pub fn azure(mut self, api_version: impl Into<String>) -> Self {
        self.azure = Some(api_version.into());
        self
    }

    /// What kind of server it is. Default: OpenAI at `api.openai.com`, Azure at `*.azure.com`, Ollama at its
    /// port 11434, otherwise [`Server::Other`].
    pub fn server(mut self, server: Server) -> Self {
        self.server = Some(server);
        self
    }

    /// Which parameters the model understands. Default: by its name; see [`Dialect`].
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// What agents should know of the model. Default: [`profile_of`] its name and server.
    pub fn profile(mut self, profile: ModelProfile) -> Self {
        self.profile = Some(profile);
        self
    }

    /// Sampling and length for requests that do not say otherwise.
    pub fn options(mut self, options: ModelOptions) -> Self {
        self.options = self.options.overridden_by(&options);
        self
    }

    /// How long to wait. Default: see [`Timeouts`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Whether to ask for streams. Default: [`Streaming::WhenWatched`].
    pub fn streaming(mut self, streaming: Streaming) -> Self {
        self.streaming = streaming;
        self
    }

    /// The name that people are shown. Default: host and model.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lets a key go over plain HTTP to a public host, where anybody on the way can read it. Without this,
    /// `build` refuses. To this machine and to private networks it may go in any case.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// If the address, the key or a header cannot be used, or a key would travel in the open.
    pub fn build(self) -> Result<OpenAiCompatible, ConfigError> {
        let mut url = parse_base_url(&self.base_url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let server = self.server.unwrap_or_else(|| {
            if self.azure.is_some() || host.ends_with(".azure.com") {
                Server::Azure
            } else if host == "api.openai.com" {
                Server::OpenAi
            } else if url.port() == Some(11434) {
                Server::LlamaCpp
            } else {
                Server::Other
            }
        });
        if self.model.trim().is_empty() {
            return Err(ConfigError::new(
                ConfigErrorKind::MissingModel,
                "the model has no name: say which one to use",
            ));
        }
        self.check_secrecy(&url, &host)?;
        let name = self.name.unwrap_or_else(|| match url.port() {
            Some(port) => format!("{host}:{port}/{}", self.model),
            None => format!("{host}/{}", self.model),
        });

        let shown = http::shown(&url);
        set_path(&mut url, self.azure.as_deref(), &self.model)?;

        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let mut secrets = Vec::new();
        if let Some(key) = &self.key {
            let (name, value) = if self.azure.is_some() {
                ("api-key", key.expose().to_owned())
            } else {
                ("authorization", format!("Bearer {}", key.expose()))
            };
            headers.insert(name, secret_value(&value).ok_or_else(|| {
                ConfigError::new(
                    ConfigErrorKind::Invalid,
                    "the key contains characters that cannot be sent: was something else copied along with it?",
                )
            })?);
            secrets.push(key.expose().to_owned());
        }
        for (name, value) in &self.headers {
            let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(secret_value(value.expose()));
            let Some((header_name, header_value)) = header else {
                return Err(ConfigError::new(
                    ConfigErrorKind::Invalid,
                    format!("the header `{name}` has a name or a value that cannot be sent"),
                ));
            };
            headers.insert(header_name, header_value);
            secrets.push(value.expose().to_owned());
        }
        let client = http::client(&url, self.timeouts.connect).map_err(|error| {
            ConfigError::new(ConfigErrorKind::Invalid, "the HTTP client cannot be set up").with_source(error)
        })?;
        Ok(OpenAiCompatible {
            client,
            url,
            headers,
            endpoint: Endpoint {
                url: shown,
                model: self.model.clone(),
                server,
                has_key: self.key.is_some(),
                key_variable: self.key_variable,
                secrets,
            },
            name,
            dialect: self.dialect.unwrap_or_else(|| Dialect::of(&self.model, server)),
            profile: self.profile.unwrap_or_else(|| profile_of(&self.model, server)),
            options: self.options,
            timeouts: self.timeouts,
            streaming: self.streaming,
        })
    }

    fn check_secrecy(&self, url: &Url, host: &str) -> Result<(), ConfigError> {
        let has_secret = self.key.is_some() || !self.headers.is_empty();
        if url.scheme() != "http" || !has_secret || self.plain_http {
            return Ok(());
        }
        match http::reach(host) {
            Reach::Loopback => Ok(()),
            Reach::Private => {
                tracing::warn!(
                    host,
                    "the key is sent over plain HTTP: everybody on this network can read it"
                );
                Ok(())
            }
            Reach::Public => Err(ConfigError::new(
                ConfigErrorKind::Insecure,
                format!(
                    "the key would be sent to {host} over plain HTTP, where anybody can read it: use https://"
                ),
            )),
        }
    }
}

fn secret_value(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Reads a base URL. Without a scheme it is plain HTTP on this machine and in private networks, otherwise HTTPS.
fn parse_base_url(text: &str) -> Result<Url, ConfigError> {
    let text = text.trim();
    // The text may contain a password, so it is not repeated.
    let invalid = |why: &str| {
        ConfigError::new(
            ConfigErrorKind::Invalid,
            format!("the base URL cannot be used: {why}; it should look like https://host/v1"),
        )
    };
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        let host = text.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match host.rfind(':') {
            Some(colon) if !host.ends_with(']') => host.get(..colon).unwrap_or(host),
            _ => host,
        };
        let scheme = if http::reach(host) == Reach::Public { "https" } else { "http" };
        Url::parse(&format!("{scheme}://{text}"))
    };
    let url = url.map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("it is neither http nor https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("a user and password in it would be shown in logs; send them as a header"));
    }
    Ok(url)
}

/// Completes a base URL to the address of chat completions. A base URL without a path gets `/v1`.
fn set_path(url: &mut Url, azure: Option<&str>, model: &str) -> Result<(), ConfigError> {
    let base = url.path().trim_end_matches('/').to_owned();
    if let Some(version) = azure {
        {
            let mut path = url.path_segments_mut().map_err(|()| {
                ConfigError::new(
                    ConfigErrorKind::Invalid,
                    "the base URL cannot be used: it cannot have a path",
                )
            })?;
            path.pop_if_empty();
            if !base.ends_with("/openai") {
                path.push("openai");
            }
            path.extend(["deployments", model, "chat", "completions"]);
        }
        url.query_pairs_mut().append_pair("api-version", version);
        return Ok(());
    }
    if base.is_empty() {
        url.set_path("/v1/chat/completions");
    } else if !base.ends_with("/chat/completions") {
        url.set_path(&format!("{base}/chat/completions"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(base: &str, azure: Option<&str>) -> String {
        let mut url = parse_base_url(base).unwrap();
        set_path(&mut url, azure, "my model").unwrap();
        url.to_string()
    }

    #[test]
    fn addresses_are_completed() {
        for (base, expected) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
            ("http://localhost:11434", "http://localhost:11434/v1/chat/completions"),
            ("localhost:8000/v1", "http://localhost:8000/v1/chat/completions"),
            ("[::1]:8000", "http://[::1]:8000/v1/chat/completions"),
            ("vllm:8000/v1", "http://vllm:8000/v1/chat/completions"),
            ("api.example.com/v1", "https://api.example.com/v1/chat/completions"),
            ("https://h/x/chat/completions", "https://h/x/chat/completions"),
            ("https://h/v1?k=1", "https://h/v1/chat/completions?k=1"),
        ] {
            assert_eq!(address(base, None), expected);
        }
        let azure = "https://r.openai.azure.com/openai/deployments/my%20model/chat/completions?api-version=2024-10-21";
        assert_eq!(address("https://r.openai.azure.com", Some("2024-10-21")), azure);
        assert_eq!(address("https://r.openai.azure.com/openai/", Some("2024-10-21")), azure);
    }

    fn refusal(builder: OpenAiCompatibleBuilder) -> String {
        builder.build().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let new = |url: &str| OpenAiCompatible::new(url, "m");
        assert!(refusal(new("ftp://h/v1")).contains("neither http nor https"));
        assert!(refusal(new("")).contains("the base URL cannot be used"));
        let with_password = refusal(new("https://me:hunter2@h/v1"));
        assert!(with_password.contains("send them as a header") && !with_password.contains("hunter2"));
        let key = refusal(new("https://h/v1").api_key("a\nb-secret"));
        assert!(key.contains("the key contains characters") && !key.contains("b-secret"), "{key}");
        assert!(refusal(new("https://h/v1").header("bad name", "x")).contains("`bad name`"));
        assert!(refusal(OpenAiCompatible::new("https://h/v1", " ")).contains("no name"));
    }

    #[test]
    fn keys_do_not_travel_in_the_open() {
        let public = || OpenAiCompatible::new("http://api.example.com/v1", "m");
        assert!(refusal(public().api_key("secret-key")).contains("use https://"));
        assert!(refusal(public().header("x-token", "secret-key")).contains("use https://"));
        public().build().unwrap();
        public().api_key("secret-key").allow_plain_http().build().unwrap();
        OpenAiCompatible::new("http://10.0.0.8/v1", "m").api_key("secret-key").build().unwrap();
    }

    #[test]
    fn neither_builder_nor_client_prints_a_key() {
        let builder =
            OpenAiCompatible::new("https://h/v1", "m").api_key("secret-key").header("x", "other-secret");
        let printed = format!("{builder:?} {:?}", builder.clone().build().unwrap());
        assert!(!printed.contains("secret-key") && !printed.contains("other-secret"), "{printed}");
    }

    #[test]
    fn the_server_is_known_by_its_address() {
        let profile = |url: &str| OpenAiCompatible::new(url, "qwen3:4b").build().unwrap().profile;
        assert!(profile("http://localhost:11434/v1").prefill);
        assert!(!profile("http://localhost:8000/v1").prefill);
    }
}
