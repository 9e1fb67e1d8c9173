//! Models by the names that the configuration gives them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use martlet::SharedModel;
use martlet::model::{
    Account, BoxFuture, Concurrency, DeltaSink, Model, ModelError, ModelOptions, ModelProfile, ModelReply,
    ModelRequest, RateLimit, Retry, Streaming, Timeouts, client_from_name, from_name, providers,
};

use crate::error::{ConfigError, Problem, instead, list, nearest};
use crate::load::Config;
use crate::secret::Secret;
use crate::settings::{ModelTable, PriceTable, ProfileTable, Streamed};
use crate::show::without_password;

/// Which model a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelChoice {
    /// A model of the catalogue that runs in this process; its weights may have to be fetched first.
    Embedded {
        /// Its name in the catalogue, such as `local`.
        name: String,
        /// The table of the configuration that says so.
        table: Option<String>,
    },
    /// A file with weights.
    File {
        /// The file.
        path: PathBuf,
        /// The table of the configuration that says so.
        table: String,
    },
    /// A model behind HTTP.
    Remote {
        /// Its name, as [`from_name`] takes it.
        name: String,
        /// The table of the configuration that says so.
        table: Option<String>,
    },
}

impl ModelChoice {
    /// The table of `[models]` that it stands in.
    pub fn table(&self) -> Option<&str> {
        match self {
            Self::Embedded { table, .. } | Self::Remote { table, .. } => table.as_deref(),
            Self::File { table, .. } => Some(table),
        }
    }

    /// The name in the catalogue, if the weights may have to be fetched.
    pub fn embedded(&self) -> Option<&str> {
        match self {
            Self::Embedded { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The model's name for people: without a password that its address may hold.
    pub fn shown(&self) -> String {
        without_password(&self.full())
    }

    /// The model's whole name.
    pub(crate) fn full(&self) -> String {
        match self {
            Self::Embedded { name, .. } | Self::Remote { name, .. } => name.clone(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

impl Config {
    /// Which model `name` means, which stands at `path`: one of `[models]`, or a name with a provider.
    ///
    /// # Errors
    /// It is neither; or its table does not say which model it is.
    pub fn model_choice(&self, name: &str, path: &[&str]) -> Result<ModelChoice, Problem> {
        if let Some(table) = self.settings.models.get(name) {
            return self.choice_of(name, table);
        }
        match provider_of(name) {
            Some("local") => Ok(ModelChoice::Embedded { name: name.to_owned(), table: None }),
            Some(_) => Ok(ModelChoice::Remote { name: name.to_owned(), table: None }),
            None => Err(self.problem(path, self.no_model(name))),
        }
    }

    /// What calls of a model cost, if its table says so.
    pub fn price(&self, choice: &ModelChoice) -> Option<PriceTable> {
        self.settings.models.get(choice.table()?)?.price
    }

    /// What to say of a name that means no model.
    pub(crate) fn no_model(&self, name: &str) -> String {
        let known: Vec<&str> = self.settings.models.keys().map(String::as_str).collect();
        if let Some(near) = nearest(name, known.iter().copied()) {
            return format!("there is no [models.{name}]: did you mean `{near}`?");
        }
        let others = match known.is_empty() {
            true => String::new(),
            false => format!("; [models] has {}", list(&known)),
        };
        // The client's own words on names that say no provider.
        match client_from_name(name, &Account::default(), &|_| None) {
            Err(error) => format!("{error}{others}"),
            Ok(_) => format!("`{name}` means no model{others}"),
        }
    }

    fn choice_of(&self, name: &str, table: &ModelTable) -> Result<ModelChoice, Problem> {
        let at = |key| ["models", name, key];
        for (key, is_zero) in [
            ("max_concurrent", table.max_concurrent == Some(0)),
            ("requests_per_minute", table.requests_per_minute == Some(0)),
            ("tokens_per_minute", table.tokens_per_minute == Some(0)),
        ] {
            if is_zero {
                return Err(self.problem(&at(key), "it must be at least 1; without a limit, leave it out"));
            }
        }
        let is_price = |price: f64| price.is_finite() && price >= 0.0;
        if table.price.is_some_and(|price| !is_price(price.input) || !is_price(price.output)) {
            let text = "a price is a number from 0, for a million tokens: correct it, or leave it out";
            return Err(self.problem(&at("price"), text));
        }
        let own = || Some(name.to_owned());
        let model = table.model.as_deref().map(str::trim).filter(|model| !model.is_empty());
        if let Some(path) = &table.path {
            if model.is_some() {
                return Err(
                    self.problem(&at("path"), "a file with weights needs no `model`: leave out one of them")
                );
            }
            self.only_for_servers(name, table)?;
            let directory = self.origin(&at("path")).and_then(crate::Origin::directory);
            let path = directory.map_or_else(|| path.clone(), |directory| directory.join(path));
            return Ok(ModelChoice::File { path, table: name.to_owned() });
        }
        if let Some(provider) = &table.provider
            && !providers().any(|known| known == provider)
        {
            let text = format!("there is no provider `{provider}`: {}", instead(provider, providers()));
            return Err(self.problem(&at("provider"), text));
        }
        let full = match (table.provider.as_deref(), model) {
            (Some("local"), None) => "local".to_owned(),
            (Some(provider), Some(model)) if provider_of(model) == Some(provider) => model.to_owned(),
            (Some(provider), Some(model)) => format!("{provider}/{model}"),
            (None, Some(model)) => match (provider_of(model), &table.base_url) {
                (Some(_), _) => model.to_owned(),
                (None, Some(address)) if provider_of(address).is_some() => format!("{address}#{model}"),
                (None, Some(_)) => {
                    let text = "this is no address: it begins with http:// or https://";
                    return Err(self.problem(&at("base_url"), text));
                }
                (None, None) => {
                    let text = format!(
                        "`{model}` does not say where it is: add `provider` (such as \"openai\") or `base_url`"
                    );
                    return Err(self.problem(&at("model"), text));
                }
            },
            (_, None) => {
                return Err(self.problem(
                    &["models", name],
                    "it has no `model`: add the model's name, such as \"openai/gpt-4o\" or \"local\"",
                ));
            }
        };
        if provider_of(&full) == Some("local") {
            self.only_for_servers(name, table)?;
            return Ok(ModelChoice::Embedded { name: full, table: own() });
        }
        Ok(ModelChoice::Remote { name: full, table: own() })
    }

    /// A model in this process has no address, no key, no time limits of a network.
    fn only_for_servers(&self, name: &str, table: &ModelTable) -> Result<(), Problem> {
        let set = [
            ("base_url", table.base_url.is_some()),
            ("api_key", table.api_key.is_some()),
            ("api_version", table.api_version.is_some()),
            ("headers", !table.headers.is_empty()),
            ("allow_plain_http", table.allow_plain_http),
            ("streaming", table.streaming.is_some()),
            ("timeouts", self.origin(&["models", name, "timeouts"]).is_some()),
            ("retry", self.origin(&["models", name, "retry"]).is_some()),
        ];
        match set.into_iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((key, _)) => Err(self.problem(
                &["models", name, key],
                "this is for servers, and the model runs in this process: leave it out",
            )),
        }
    }

    /// Opens a model, as far as that goes without waiting: an embedded one may lack its weights.
    ///
    /// # Errors
    /// A key that is not there, an address that cannot be used.
    pub(crate) fn open_model(&self, choice: &ModelChoice) -> Result<SharedModel, ConfigError> {
        let Some(name) = choice.table() else {
            return from_name(&choice.full())
                .map_err(|error| ConfigError::caused(Problem::new(error.to_string()), error));
        };
        let Some(table) = self.settings.models.get(name) else {
            return Err(Problem::new(self.no_model(name)).into());
        };
        let failed = |error: martlet::model::ConfigError| {
            ConfigError::caused(self.problem(&["models", name], error.to_string()), error)
        };
        let model: SharedModel = match choice {
            ModelChoice::Embedded { name, .. } => limited(from_name(name).map_err(failed)?, table),
            ModelChoice::File { path, .. } => limited(self.open_file(name, path)?, table),
            ModelChoice::Remote { name: full, .. } => self.open_remote(name, table, full)?,
        };
        let profile = profile(model.profile(), &table.profile);
        Ok(Arc::new(Configured { model, options: table.options.clone(), profile }))
    }

    #[cfg(feature = "local")]
    fn open_file(&self, name: &str, path: &std::path::Path) -> Result<SharedModel, ConfigError> {
        if !path.is_file() {
            let text = format!("there is no file {}: check the path", crate::origin::shown(path).display());
            return Err(self.problem(&["models", name, "path"], text).into());
        }
        Ok(Arc::new(martlet::model::local::LocalModel::from_path(path)))
    }

    #[cfg(not(feature = "local"))]
    fn open_file(&self, name: &str, _: &std::path::Path) -> Result<SharedModel, ConfigError> {
        let text = "this build cannot run models in its own process: build with the feature `local`";
        Err(self.problem(&["models", name, "path"], text).into())
    }

    fn open_remote(&self, name: &str, table: &ModelTable, full: &str) -> Result<SharedModel, ConfigError> {
        let variable = |name: &str| std::env::var(name).ok();
        let secret = |secret: &Secret, path: &[&str]| {
            let directory = self.origin(path).and_then(crate::Origin::directory);
            secret.open(directory.as_deref(), &variable).map_err(|text| self.problem(path, text))
        };
        let mut account = Account::default();
        if let Some(address) = &table.base_url {
            account = account.base_url(address);
        }
        if let Some(key) = &table.api_key {
            account = account.api_key(secret(key, &["models", name, "api_key"])?);
        }
        if let Some(version) = &table.api_version {
            account = account.api_version(version);
        }
        let failed = |error: martlet::model::ConfigError| {
            ConfigError::caused(self.problem(&["models", name], error.to_string()), error)
        };
        let mut client = client_from_name(full, &account, &variable).map_err(failed)?;
        for (header, value) in &table.headers {
            client = client.header(header, secret(value, &["models", name, "headers", header])?);
        }
        if table.allow_plain_http {
            client = client.allow_plain_http();
        }
        client = client.streaming(match table.streaming {
            None | Some(Streamed::WhenWatched) => Streaming::WhenWatched,
            Some(Streamed::Always) => Streaming::Always,
            Some(Streamed::Never) => Streaming::Never,
        });
        let mut timeouts = Timeouts::default();
        let set = &table.timeouts;
        if let Some(time) = set.connect {
            timeouts = timeouts.connect(time.0);
        }
        if let Some(time) = set.first_byte {
            timeouts = timeouts.first_byte(time.0);
        }
        if let Some(time) = set.idle {
            timeouts = timeouts.idle(time.0);
        }
        if let Some(time) = set.total {
            timeouts = timeouts.total(time.0);
        }
        let client = client.timeouts(timeouts).build().map_err(failed)?;
        let mut model = Retry::new(limited(Arc::new(client), table));
        let set = &table.retry;
        if let Some(attempts) = set.attempts {
            model = model.attempts(attempts);
        }
        if set.first_pause.is_some() || set.longest_pause.is_some() {
            let first = set.first_pause.map_or(Duration::from_millis(500), |time| time.0);
            let longest = set.longest_pause.map_or(Duration::from_secs(20), |time| time.0);
            model = model.pauses(first, longest);
        }
        if let Some(wait) = set.longest_wait {
            model = model.longest_wait(wait.0);
        }
        Ok(Arc::new(model))
    }
}

/// The provider that a name begins with; an address counts as one.
fn provider_of(name: &str) -> Option<&'static str> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return Some("http");
    }
    let prefix = name.split('/').next().unwrap_or_default();
    // A provider alone names no model; `local` does.
    providers().find(|known| *known == prefix).filter(|known| *known == "local" || name.contains('/'))
}

/// The model with its limits. They stand inside of the retries: a pause holds no place, and each attempt counts.
fn limited(mut model: SharedModel, table: &ModelTable) -> SharedModel {
    if table.requests_per_minute.is_some() || table.tokens_per_minute.is_some() {
        let mut limits = RateLimit::new(model);
        if let Some(requests) = table.requests_per_minute {
            limits = limits.requests_per_minute(requests);
        }
        if let Some(tokens) = table.tokens_per_minute {
            limits = limits.tokens_per_minute(tokens);
        }
        model = Arc::new(limits);
    }
    match table.max_concurrent {
        Some(calls) => Arc::new(Concurrency::new(model, calls)),
        None => model,
    }
}

fn profile(known: ModelProfile, set: &ProfileTable) -> ModelProfile {
    ModelProfile {
        small: set.small.unwrap_or(known.small),
        prefill: set.prefill.unwrap_or(known.prefill),
        native_tools: set.native_tools.unwrap_or(known.native_tools),
        vision: set.vision.unwrap_or(known.vision),
        context_tokens: set.context_tokens.or(known.context_tokens),
    }
}

/// A model with the sampling and the profile that the configuration gives it.
struct Configured {
    model: SharedModel,
    options: ModelOptions,
    profile: ModelProfile,
}

impl Model for Configured {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn profile(&self) -> ModelProfile {
        self.profile
    }

    fn generate<'a>(
        &'a self,
        mut request: ModelRequest,
        deltas: Option<&'a DeltaSink>,
    ) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        request.options = self.options.overridden_by(&request.options);
        self.model.generate(request, deltas)
    }
}
