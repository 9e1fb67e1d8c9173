//! The tools that use the web, as the configuration sets them.

use std::sync::{Arc, OnceLock};

use martlet::model::ApiKey;
use martlet::tools::web::{Client, DownloadImages, SearchProvider, Url, VisitWebpage, WebSearch};
use martlet_config::settings::{SearchEngine, ToolsTable};
use martlet_config::{Config, Problem};

use crate::exit::Failure;

/// The tools that use the web. They are made when an agent has them, and all agents share one client.
pub(crate) struct WebTools {
    settings: ToolsTable,
    key: Result<Option<ApiKey>, Problem>,
    client: OnceLock<Client>,
    /// All agents share it, because what the engine counts is this program.
    search: OnceLock<Arc<WebSearch>>,
}

impl WebTools {
    pub(crate) fn new(config: &Config) -> Self {
        let settings = config.settings().tools.clone();
        Self { settings, key: config.search_key(), client: OnceLock::new(), search: OnceLock::new() }
    }

    pub(crate) fn search(&self) -> Result<Arc<WebSearch>, Failure> {
        if let Some(search) = self.search.get() {
            return Ok(search.clone());
        }
        let table = &self.settings.web_search;
        let key = self.key.as_ref().map_err(|problem| Failure::usage(problem.to_string()))?;
        let key = key.as_ref().map(|key| key.expose().to_owned()).unwrap_or_default();
        let url: Option<Url> =
            table.url.as_deref().map(|url| address("web_search", "url", url)).transpose()?;
        let provider = match (table.provider, &url) {
            (SearchEngine::Brave, _) => SearchProvider::Brave { key },
            (SearchEngine::Serper, _) => SearchProvider::Serper { key },
            (SearchEngine::SearXng, Some(url)) => SearchProvider::SearXng { url: url.clone() },
            _ => SearchProvider::DuckDuckGo,
        };
        let mut search = WebSearch::new(self.client()?, provider);
        if let Some(url) = url {
            search = search.address(url);
        }
        if let Some(results) = table.max_results {
            search = search.max_results(results);
        }
        Ok(self.search.get_or_init(|| Arc::new(search)).clone())
    }

    pub(crate) fn visit(&self) -> Result<VisitWebpage, Failure> {
        let visit = VisitWebpage::new(self.client()?);
        Ok(match self.settings.visit_webpage.max_chars {
            Some(chars) => visit.max_chars(chars),
            None => visit,
        })
    }

    pub(crate) fn images(&self) -> Result<DownloadImages, Failure> {
        Ok(DownloadImages::new(self.client()?))
    }

    fn client(&self) -> Result<Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let table = &self.settings.web;
        let mut builder = Client::builder().allow_hosts(table.allow_hosts.iter().cloned());
        if table.allow_private {
            builder = builder.allow_private();
        }
        if let Some(proxy) = &table.proxy {
            builder = builder.proxy(address("web", "proxy", proxy)?);
        }
        if let Some(name) = &table.user_agent {
            builder = builder.user_agent(name);
        }
        let client = builder
            .build()
            .map_err(|error| Failure::usage(format!("failed to {error}: check [tools.web]")))?;
        Ok(self.client.get_or_init(|| client).clone())
    }
}

fn address<T: std::str::FromStr>(table: &str, key: &str, text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| {
        Failure::usage(format!(
            "[tools.{table}] {key}: `{text}` is no address such as https://example.com ({error})"
        ))
    })
}
