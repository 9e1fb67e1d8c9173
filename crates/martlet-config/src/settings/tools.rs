//! `[tools.…]`.

use serde::Deserialize;

use crate::secret::Secret;

/// How the tools work that need to be told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ToolsTable {
    /// Where the tools that use the web may go.
    pub web: WebTable,
    /// Who answers searches.
    pub web_search: SearchTable,
    /// How much of a page is read at once.
    pub visit_webpage: VisitTable,
}

/// Where the tools that use the web may go.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WebTable {
    /// Hosts that may be private addresses: names, `*.corp` for all names below one, or addresses. Default: none.
    pub allow_hosts: Vec<String>,
    /// Whether all private addresses, and this machine, may be visited. Default: no.
    pub allow_private: bool,
    /// The address of a proxy through which all goes. Default: none, whatever the environment says.
    pub proxy: Option<String>,
    /// How the client calls itself. Default: Martlet, with its version and address.
    pub user_agent: Option<String>,
}

/// Who answers searches.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SearchTable {
    /// Who is asked: `duckduckgo`, `brave`, `serper` or `searxng`. Default: `duckduckgo`.
    pub provider: SearchEngine,
    /// The key, for Brave and Serper: `env:NAME` or `file:PATH`.
    pub key: Option<Secret>,
    /// The address of the SearXNG server; for the others, of something that speaks like them.
    pub url: Option<String>,
    /// The most results. Default: 10.
    pub max_results: Option<usize>,
}

/// A search engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SearchEngine {
    /// DuckDuckGo, without a key.
    #[default]
    DuckDuckGo,
    /// The Brave Search API.
    Brave,
    /// Serper.
    Serper,
    /// A SearXNG server.
    SearXng,
}

/// How much of a page is read at once.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct VisitTable {
    /// The most characters. Default: 40,000.
    pub max_chars: Option<usize>,
}
