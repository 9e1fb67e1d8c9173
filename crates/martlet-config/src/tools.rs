//! What the tools are made of.

use martlet::model::ApiKey;

use crate::error::Problem;
use crate::load::Config;
use crate::settings::SearchEngine;

impl Config {
    /// The key for the search engine, read now.
    ///
    /// # Errors
    /// The engine needs one and none is set, or it cannot be read; or the engine needs an address and none is set.
    pub fn search_key(&self) -> Result<Option<ApiKey>, Problem> {
        let table = &self.settings.tools.web_search;
        let at = ["tools", "web_search", "key"];
        match (table.provider, &table.key) {
            (SearchEngine::Brave | SearchEngine::Serper, None) => {
                let text = "this engine needs a key: set key = \"env:NAME\"";
                Err(self.problem(&["tools", "web_search", "provider"], text))
            }
            (SearchEngine::SearXng, _) if table.url.is_none() => {
                let text = "a SearXNG server has an address of its own: set url";
                Err(self.problem(&["tools", "web_search", "provider"], text))
            }
            (_, None) => Ok(None),
            (_, Some(key)) => {
                let directory = self.origin(&at).and_then(crate::Origin::directory);
                let variable = |name: &str| std::env::var(name).ok();
                let key = key.open(directory.as_deref(), &variable);
                key.map(Some).map_err(|text| self.problem(&at, text))
            }
        }
    }
}
