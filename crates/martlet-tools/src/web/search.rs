//! `web_search`: asking a search engine.

mod answers;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use martlet_core::{ToolFlags, ToolOutput, ToolSpec};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::client::{Client, Fetched, Request};
use super::error::{FetchError, FetchErrorKind};
use super::policy::parse;
use crate::arguments::ArgumentReader;
use crate::{Tool, ToolContext, ToolError};

/// The most results, unless it is set.
const RESULTS: usize = 10;
/// The time between two questions to the engine, unless it is set.
const INTERVAL: Duration = Duration::from_secs(1);
/// A question that would have to wait longer for its turn is refused.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// The longest question, in characters.
const MAX_QUERY: usize = 400;

/// Who answers searches.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchProvider {
    /// DuckDuckGo's page without scripts. It needs no key, and refuses those who ask it too often.
    DuckDuckGo,
    /// The Brave Search API.
    Brave {
        /// The key.
        key: String,
    },
    /// Serper, which asks Google.
    Serper {
        /// The key.
        key: String,
    },
    /// A SearXNG server, which asks many; it has to offer its results as JSON.
    SearXng {
        /// Its address. It may be a private one.
        url: Url,
    },
}

impl SearchProvider {
    fn name(&self) -> &'static str {
        match self {
            Self::DuckDuckGo => "DuckDuckGo",
            Self::Brave { .. } => "Brave",
            Self::Serper { .. } => "Serper",
            Self::SearXng { .. } => "SearXNG",
        }
    }

    fn address(&self) -> &str {
        match self {
            Self::DuckDuckGo => "https://html.duckduckgo.com/html/",
            Self::Brave { .. } => "https://api.search.brave.com/res/v1/web/search",
            Self::Serper { .. } => "https://google.serper.dev/search",
            Self::SearXng { url } => url.as_str(),
        }
    }
}

/// Without the key.
impl fmt::Debug for SearchProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchResult {
    /// The title of the page.
    pub title: String,
    /// Its address.
    pub url: String,
    /// The part of it that fits the question, or what it is about; may be empty.
    pub snippet: String,
}

/// The tool `web_search`: finds pages of the web.
///
/// All runs that share it ask one after the other, at most once a second unless it is set otherwise: search engines shut
/// out those who ask faster.
#[derive(Debug)]
pub struct WebSearch {
    spec: ToolSpec,
    client: Client,
    provider: SearchProvider,
    address: Option<Url>,
    max_results: usize,
    interval: Duration,
    /// When the next question may be asked.
    next: Mutex<Option<Instant>>,
}

impl WebSearch {
    /// The tool.
    pub fn new(client: Client, provider: SearchProvider) -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What to search for, in a few words."}},
            "required": ["query"],
            "additionalProperties": false,
        });
        let description =
            "Searches the web and returns the titles, addresses and summaries of the best pages.";
        let spec = ToolSpec::new("web_search", description)
            .parameters(parameters)
            .returns(json!({"type": "string"}))
            .flags(ToolFlags { read_only: true, idempotent: true, ..ToolFlags::default() });
        // Who configured a server of their own may well have it nearby.
        let client = match &provider {
            SearchProvider::SearXng { url } => match url.host_str().map(|host| client.allowing(host)) {
                Some(Ok(allowing)) => allowing,
                _ => client,
            },
            _ => client,
        };
        Self {
            spec,
            client,
            provider,
            address: None,
            max_results: RESULTS,
            interval: INTERVAL,
            next: Mutex::new(None),
        }
    }

    /// The most results of a search. Default: 10.
    #[must_use]
    pub fn max_results(mut self, results: usize) -> Self {
        self.max_results = results.clamp(1, 50);
        self
    }

    /// The time between two questions to the engine. Default: 1 s.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Asks at another address than that of the provider, such as a mirror that speaks like it.
    #[must_use]
    pub fn address(mut self, address: Url) -> Self {
        self.address = Some(address);
        self
    }

    /// Searches; the best results come first.
    ///
    /// # Errors
    /// Why there are no results, in words for a model.
    pub async fn search(&self, query: &str) -> Result<Vec<SearchResult>, FetchError> {
        self.turn().await?;
        let request = self.request(query)?;
        let fetched = self.client.send(request).await.map_err(|error| self.explained(error))?;
        let mut results = self.read(&fetched)?;
        results.retain(|result| matches!(result.url.split_once(':'), Some(("http" | "https", _))));
        results.truncate(self.max_results);
        if results.is_empty() {
            let message = "nothing was found: search for fewer or for other words";
            return Err(FetchError::new(FetchErrorKind::Status(200), message));
        }
        Ok(results)
    }

    /// Waits until it is this question's turn.
    async fn turn(&self) -> Result<(), FetchError> {
        let at = {
            let mut next = self.next.lock().await;
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            if at - now > MAX_WAIT {
                let message =
                    "too many searches are waiting: go on with what you know, or search again later";
                return Err(FetchError::new(FetchErrorKind::TimedOut, message));
            }
            *next = Some(at + self.interval);
            at
        };
        tokio::time::sleep_until(at).await;
        Ok(())
    }

    fn request(&self, query: &str) -> Result<Request, FetchError> {
        let mut url = match &self.address {
            Some(address) => address.clone(),
            None => parse(self.provider.address())?,
        };
        let count = self.max_results.min(20).to_string();
        Ok(match &self.provider {
            SearchProvider::DuckDuckGo => {
                url.query_pairs_mut().append_pair("q", query);
                Request::get(url).header(ACCEPT, HeaderValue::from_static("text/html"))
            }
            SearchProvider::Brave { key } => {
                url.query_pairs_mut().append_pair("q", query).append_pair("count", &count);
                Request { follow: false, ..Request::get(url) }
                    .header(ACCEPT, HeaderValue::from_static("application/json"))
                    .header(HeaderName::from_static("x-subscription-token"), self.key(key)?)
            }
            SearchProvider::Serper { key } => {
                let body = json!({"q": query, "num": self.max_results}).to_string();
                Request {
                    method: Method::POST,
                    body: Some(Bytes::from(body)),
                    follow: false,
                    ..Request::get(url)
                }
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .header(HeaderName::from_static("x-api-key"), self.key(key)?)
            }
            SearchProvider::SearXng { .. } => {
                if !url.path().ends_with("/search") {
                    let path = format!("{}/search", url.path().trim_end_matches('/'));
                    url.set_path(&path);
                }
                url.query_pairs_mut().append_pair("q", query).append_pair("format", "json");
                Request { follow: false, ..Request::get(url) }
            }
        })
    }

    fn key(&self, key: &str) -> Result<HeaderValue, FetchError> {
        let mut value = HeaderValue::from_str(key.trim()).map_err(|_| self.refused_key())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn read(&self, fetched: &Fetched) -> Result<Vec<SearchResult>, FetchError> {
        let name = self.provider.name();
        let unreadable = || {
            let advice = match self.provider {
                SearchProvider::SearXng { .. } => "its `search.formats` has to allow `json`",
                _ => "try again later",
            };
            FetchError::new(FetchErrorKind::Unreachable, format!("{name}'s answer cannot be read: {advice}"))
        };
        if self.provider == SearchProvider::DuckDuckGo {
            return answers::duckduckgo(&fetched.body).ok_or_else(|| self.blocked());
        }
        let answer: Value = serde_json::from_slice(&fetched.body).map_err(|_| unreadable())?;
        let (list, url, snippet) = match self.provider {
            SearchProvider::Brave { .. } => ("/web/results", "url", "description"),
            SearchProvider::Serper { .. } => ("/organic", "link", "snippet"),
            _ => ("/results", "url", "content"),
        };
        answers::json(&answer, list, url, snippet).ok_or_else(unreadable)
    }

    /// What a failed request to the engine means.
    fn explained(&self, error: FetchError) -> FetchError {
        let keyed = matches!(self.provider, SearchProvider::Brave { .. } | SearchProvider::Serper { .. });
        match error.kind() {
            FetchErrorKind::Status(401 | 403 | 422) if keyed => self.refused_key(),
            FetchErrorKind::Status(402 | 429) if keyed => {
                let message = format!("{}'s limit is used up: go on without searching", self.provider.name());
                FetchError::new(error.kind(), message)
            }
            FetchErrorKind::Status(403) => match self.provider {
                SearchProvider::DuckDuckGo => self.blocked(),
                _ => {
                    let text = "the SearXNG server gives no JSON: its `search.formats` has to allow `json`";
                    FetchError::new(error.kind(), text)
                }
            },
            FetchErrorKind::Status(418 | 429 | 503) if self.provider == SearchProvider::DuckDuckGo => {
                self.blocked()
            }
            _ => error,
        }
    }

    fn refused_key(&self) -> FetchError {
        let name = self.provider.name();
        let message = format!(
            "{name} refuses the key of this agent: it has to be set anew, so go on without searching"
        );
        FetchError::new(FetchErrorKind::Status(401), message)
    }

    fn blocked(&self) -> FetchError {
        let message = "DuckDuckGo takes this program for a robot and does not answer now: wait a minute before you search \
                       again, or visit a page whose address you know";
        FetchError::new(FetchErrorKind::Status(429), message)
    }
}

/// Results as Markdown.
fn shown(results: &[SearchResult]) -> String {
    let mut text = String::from("## Search Results\n");
    for SearchResult { title, url, snippet, .. } in results {
        text.push_str(&format!("\n[{title}]({url})\n"));
        if !snippet.is_empty() {
            text.push_str(snippet);
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

impl Tool for WebSearch {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        _cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let query: String = ArgumentReader::new(arguments).required("query")?;
            let query = query.trim();
            if query.is_empty() || query.chars().count() > MAX_QUERY {
                return Err(ToolError::arguments(format!("search for 1 to {MAX_QUERY} characters")));
            }
            let results = self.search(query).await?;
            Ok(ToolOutput::from(Value::String(shown(&results))))
        })
    }
}
