//! What `[server]` says together.

use crate::error::Problem;
use crate::load::Config;

impl Config {
    /// Whether what `[server]` says can be meant.
    ///
    /// # Errors
    /// The first thing that cannot.
    pub fn check_server(&self) -> Result<(), Problem> {
        let table = &self.settings().server;
        for (key, count) in table.counts() {
            if count == Some(0) {
                let text = "with 0 no run could ever start: set it to 1 or more";
                return Err(self.server_problem(key, text));
            }
        }
        if table.interactive_percent.is_some_and(|percent| percent > 100) {
            let text = "this is a share in percent: set it to a number from 0 to 100";
            return Err(self.server_problem("interactive_percent", text));
        }
        match (&table.user_header, table.trusted_proxies.is_empty()) {
            (Some(_), true) => {
                let text = "anybody could send this header: list the addresses of your proxies in \
                            `trusted_proxies`, or leave it out";
                Err(self.server_problem("user_header", text))
            }
            (None, false) => {
                let text = "the proxies name users in a header: say in which one with `user_header`, or leave \
                            this out";
                Err(self.server_problem("trusted_proxies", text))
            }
            _ => Ok(()),
        }
    }

    /// A problem with a key of `[server]`, under whichever of its names it is set.
    fn server_problem(&self, key: &str, text: &str) -> Problem {
        let names: &[&str] = match key {
            "max_running" => &["max_running", "max_workers", "default_concurrency_limit"],
            "max_queued" => &["max_queued", "max_size"],
            _ => &[],
        };
        let set = names.iter().copied().find(|name| self.origin(&["server", name]).is_some());
        self.problem(&["server", set.unwrap_or(key)], text)
    }
}
