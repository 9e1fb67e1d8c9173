//! The guarded HTTP client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::error::{ClientError, FetchError, FetchErrorKind};
use super::policy::{Policy, parse};
use super::resolver::{Guarded, Lookup, System};

/// The most places that one fetch is sent on to.
const MAX_REDIRECTS: usize = 5;
/// The most bytes of a body, after decompression.
const MAX_BYTES: usize = 5 * 1024 * 1024;
/// The time that a fetch may take in all, redirects and body included.
const MAX_TIME: Duration = Duration::from_secs(20);
/// Fetches of one client at the same time; further ones wait.
const MAX_AT_ONCE: usize = 32;

type BuildError = Box<dyn std::error::Error + Send + Sync>;

/// An HTTP client for addresses that somebody else chose: a model, or a page that it read.
///
/// - It speaks http and https, and connects to public addresses alone: names are resolved first, what they stand for is
///   checked, and the connection goes to the very address that was checked. So is each address that a server redirects
///   to, at most five of them. Addresses with a user are refused, and ports that are not those of the web.
/// - A body may have 5 MiB after decompression, and a fetch may take 20 seconds in all.
/// - The system's proxy settings are not used, there are no cookies, and nothing is sent but the request.
///
/// Cloning it shares the connections. One client serves all tools of a program.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    guard: Guarded,
    max_bytes: usize,
    max_time: Duration,
    at_once: Semaphore,
    settings: ClientBuilder,
}

/// Says where a [`Client`] may go, and how far.
#[derive(Clone)]
pub struct ClientBuilder {
    policy: Policy,
    lookup: Arc<dyn Lookup>,
    proxy: Option<Url>,
    user_agent: String,
    max_bytes: usize,
    max_time: Duration,
}

/// What was fetched.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fetched {
    /// The address that it came from in the end.
    pub url: Url,
    /// The media type that the server gives it, with its parameters, in lower case.
    pub content_type: Option<String>,
    /// The body, decompressed.
    pub body: Bytes,
    /// Whether the body went on after what the client reads.
    pub cut: bool,
}

/// A request to be made.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// Whether to go where a server redirects to. Not with a key: it belongs to the one server.
    pub(super) follow: bool,
    /// What to do with a body that is too large.
    pub(super) oversize: Oversize,
}

/// What to do with a body that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oversize {
    /// Keep the beginning: that of a text still says something.
    Cut,
    Refuse,
}

impl Request {
    pub(super) fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: None,
            follow: true,
            oversize: Oversize::Refuse,
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl Client {
    /// Settings for a client, which reaches public addresses alone unless they say otherwise.
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            policy: Policy::default(),
            lookup: Arc::new(System),
            proxy: None,
            user_agent: concat!(
                "Mozilla/5.0 (compatible; Martlet/",
                env!("CARGO_PKG_VERSION"),
                "; +https://github.com/martlet-rs/martlet)"
            )
            .to_owned(),
            max_bytes: MAX_BYTES,
            max_time: MAX_TIME,
        }
    }

    /// The same client, which may also go to `host` where that is a private address.
    pub(super) fn allowing(&self, host: &str) -> Result<Self, ClientError> {
        self.inner.settings.clone().allow_hosts([host]).build()
    }

    /// Fetches what is at an address.
    ///
    /// # Errors
    /// Why there is nothing, in words for a model.
    pub async fn get(&self, url: &str) -> Result<Fetched, FetchError> {
        self.send(Request::get(parse(url)?)).await
    }

    /// As [`get`](Self::get), with what kinds of answers are wanted; of a body that is too large, the beginning.
    pub(super) async fn get_page(&self, url: &str) -> Result<Fetched, FetchError> {
        let accept = HeaderValue::from_static("text/html,application/xhtml+xml,text/*;q=0.9,*/*;q=0.5");
        let request = Request { oversize: Oversize::Cut, ..Request::get(parse(url)?) };
        self.send(request.header(ACCEPT, accept)).await
    }

    /// Makes a request, to its last redirect and to the end of its body.
    pub(super) async fn send(&self, request: Request) -> Result<Fetched, FetchError> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let fetched = tokio::time::timeout(self.inner.max_time, async {
            // The semaphore is never closed.
            let _permit = self.inner.at_once.acquire().await.ok();
            self.follow(request).await
        });
        fetched.await.unwrap_or_else(|_| Err(FetchError::timed_out(&host, self.inner.max_time)))
    }

    async fn follow(&self, request: Request) -> Result<Fetched, FetchError> {
        let Request { mut method, mut url, headers, mut body, follow, oversize } = request;
        let mut hops = 0;
        loop {
            self.inner.guard.policy.check(&url)?;
            if self.inner.guard.proxy.is_some()
                && let Some(Host::Domain(name)) = url.host()
            {
                // The proxy resolves the name itself: what is plainly private is not even asked of it.
                self.inner.guard.addresses(name).await?;
            }
            let mut asked = self.inner.http.request(method.clone(), url.clone()).headers(headers.clone());
            if let Some(body) = &body {
                asked = asked.body(body.clone());
            }
            let response = asked.send().await.map_err(|error| unreachable(&url, &error))?;
            let status = response.status();
            let Some(target) = redirect(&response) else {
                if !status.is_success() {
                    return Err(no_success(&url, status));
                }
                return self.read(url, response, oversize).await;
            };
            hops += 1;
            if !follow || hops > MAX_REDIRECTS {
                let message =
                    format!("{} sends on to other addresses too often: use another source", shown(&url));
                return Err(FetchError::new(FetchErrorKind::Redirects, message));
            }
            let target = url.join(&target).map_err(|error| {
                let message = format!("{} sends on to an address that cannot be read ({error})", shown(&url));
                FetchError::new(FetchErrorKind::Redirects, message)
            })?;
            if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                (method, body) = (Method::GET, None);
            }
            url = target;
        }
    }

    /// Reads a body up to the limit, however little of it the server announces.
    async fn read(
        &self,
        url: Url,
        mut response: Response,
        oversize: Oversize,
    ) -> Result<Fetched, FetchError> {
        let limit = self.inner.max_bytes;
        let too_large = || {
            let message = format!(
                "{} is larger than {} MiB: use another source",
                shown(&url),
                limit as f64 / 1_048_576.0
            );
            FetchError::new(FetchErrorKind::TooLarge, message)
        };
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let announced = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        let content_type = header(CONTENT_TYPE).map(str::to_ascii_lowercase);
        if oversize == Oversize::Refuse && announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        let mut cut = false;
        loop {
            match response.chunk().await.map_err(|error| unreachable(&url, &error))? {
                None => break,
                Some(chunk) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
                Some(_) if oversize == Oversize::Refuse => return Err(too_large()),
                Some(chunk) => {
                    body.extend_from_slice(chunk.get(..limit - body.len()).unwrap_or_default());
                    cut = true;
                    break;
                }
            }
        }
        Ok(Fetched { url, content_type, body: body.freeze(), cut })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("policy", &self.inner.guard.policy).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Lets the client reach these hosts also where they are private addresses, or addresses of this machine: names such
    /// as `wiki.corp`, everything below a name such as `*.corp`, or addresses. Those of services that hand out
    /// credentials stay refused.
    #[must_use]
    pub fn allow_hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.policy.allow_hosts.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Lets the client reach all private addresses and this machine, where all who use its tools may do that anyway.
    /// Those of services that hand out credentials stay refused.
    #[must_use]
    pub fn allow_private(mut self) -> Self {
        self.policy.allow_private = true;
        self
    }

    /// Sends all requests through a proxy. The proxy finds the addresses of names itself, so it is the proxy that has to
    /// refuse private ones; the client refuses those that it can tell.
    #[must_use]
    pub fn proxy(mut self, proxy: Url) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// How the client calls itself. Default: Martlet, with its version and address.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// The most bytes of a body, after decompression. Default: 5 MiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The time that a fetch may take in all. Default: 20 s.
    #[must_use]
    pub fn max_time(mut self, time: Duration) -> Self {
        self.max_time = time;
        self
    }

    /// Finds the addresses of names in another way than the system does.
    #[must_use]
    pub fn lookup(mut self, lookup: Arc<dyn Lookup>) -> Self {
        self.lookup = lookup;
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// The system's certificates cannot be read, or a setting cannot be used.
    pub fn build(self) -> Result<Client, ClientError> {
        self.try_build().map_err(ClientError::new)
    }

    fn try_build(self) -> Result<Client, BuildError> {
        let settings = self.clone();
        let proxy = self.proxy.as_ref().and_then(Url::host_str).map(str::to_owned);
        let guard = Guarded { lookup: self.lookup, policy: Arc::new(self.policy), proxy };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .dns_resolver(guard.clone())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.max_time)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4)
            .user_agent(self.user_agent)
            .no_proxy();
        if let Some(proxy) = self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy)?);
        }
        let http = builder.build()?;
        let inner = Inner {
            http,
            guard,
            max_bytes: self.max_bytes,
            max_time: self.max_time,
            at_once: Semaphore::new(MAX_AT_ONCE),
            settings,
        };
        Ok(Client { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The TLS configuration with ring and the system's certificates, without touching the process-wide default provider:
/// that belongs to the application.
fn tls() -> Result<rustls::ClientConfig, BuildError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Where a response sends on to.
fn redirect(response: &Response) -> Option<String> {
    let status = response.status();
    let is_one = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let target = response.headers().get(LOCATION).filter(|_| is_one)?;
    Some(String::from_utf8_lossy(target.as_bytes()).into_owned())
}

fn no_success(url: &Url, status: StatusCode) -> FetchError {
    let reason = status.canonical_reason().map(|reason| format!(" ({})", reason.to_ascii_lowercase()));
    let advice = match status.as_u16() {
        401 | 402 | 403 | 429 | 503 => "it does not let programs in now: use another source",
        404 | 410 => "there is no such page: check the address, or search for it",
        _ => "use another source",
    };
    let message =
        format!("{} answered {}{}: {advice}", shown(url), status.as_u16(), reason.unwrap_or_default());
    FetchError::new(FetchErrorKind::Status(status.as_u16()), message)
}

/// What a failed request comes to. What our resolver refused is found below the layers of the client.
fn unreachable(url: &Url, error: &reqwest::Error) -> FetchError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut last = None;
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<FetchError>() {
            return refused.clone();
        }
        last = Some(cause.to_string());
        source = cause.source();
    }
    let host = url.host_str().unwrap_or_default();
    if error.is_timeout() {
        return FetchError::new(
            FetchErrorKind::TimedOut,
            format!("{host} did not answer in time: use another source"),
        );
    }
    let reason = last.unwrap_or_default();
    let message = format!("{host} could not be read ({reason}): check the address, or use another source");
    FetchError::new(FetchErrorKind::Unreachable, message)
}

/// An address for a message: without a query, which may be long or private.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
