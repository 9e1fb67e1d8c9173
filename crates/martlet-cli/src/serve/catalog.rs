//! What a server offers: the agents, workflows and models of the configuration.

use martlet_config::settings::AgentTable;
use martlet_config::{Builder, Config};
use martlet_server::{Catalog, OfferedAgent, OfferedWorkflow, Price};

use crate::args::ModelArgs;
use crate::choose;
use crate::config::CommandHost;
use crate::exit::Failure;
use crate::render::Level;
use crate::signals::Signals;

/// The agent that is there when none is configured.
const ASSISTANT: &str = "assistant";
/// The plain model that agents have which name none.
const DEFAULT: &str = "default";

/// Of what a catalog is made.
pub(crate) struct Chosen<'a> {
    pub(crate) model: &'a ModelArgs,
    pub(crate) config: &'a Config,
    pub(crate) host: &'a CommandHost,
    pub(crate) level: Level,
}

/// All agents and workflows of the configuration; without any, the agent that `martlet run` would take. Weights that are
/// not here are fetched.
pub(crate) async fn catalog(chosen: &Chosen<'_>, signals: &mut Signals) -> Result<Catalog, Failure> {
    let Chosen { model, config, host, level } = *chosen;
    let settings = config.settings();
    let alone = settings.agents.is_empty() && settings.workflows.is_empty();
    if model.temperature.is_some() && !alone {
        return Err(Failure::usage(
            "--temperature is for the one agent that is there without a configuration: set options.temperature in \
             [agents.NAME] or [models.NAME]",
        ));
    }
    let mut builder = Builder::new(config, host);
    let mut asked = None;
    if model.model.is_some() {
        let variable = |name: &str| std::env::var(name).ok();
        let choice = choose::choose(model, config, None, &variable)?;
        choose::provide(&choice, level, signals).await?;
        let default = choice.open(&builder)?;
        builder = builder.default_to(default);
        asked = Some(choice);
    }
    let price_of = |name: Option<&str>, table: &AgentTable| -> Result<Option<Price>, Failure> {
        let choice = match &asked {
            Some(asked) if table.model.is_none() => asked.configured().cloned(),
            _ => config.model_of(name, table)?,
        };
        let price = choice.and_then(|choice| config.price(&choice));
        Ok(price.map(|price| Price { input: price.input, output: price.output }))
    };
    let mut catalog = Catalog::new();
    for (name, table) in &settings.agents {
        let timeout = table.timeout.map(|time| time.0);
        let (agent, price) = (builder.agent(name)?, price_of(Some(name), table)?);
        catalog = catalog.agent(name, OfferedAgent { agent, timeout, price });
    }
    for (name, table) in &settings.workflows {
        let timeout = table.timeout.map(|time| time.0);
        catalog = catalog.workflow(name, OfferedWorkflow { graph: builder.workflow(name)?, timeout });
    }
    // Models without an agent: what chat front ends give their small chores to.
    for name in settings.models.keys() {
        let choice = config.model_choice(name, &["models", name]).map_err(martlet_config::ConfigError::from);
        match choice.and_then(|choice| builder.model(&choice)) {
            Ok(model) => catalog = catalog.model(name, model),
            // No agent needs it, or it would have been told before: the others are served.
            Err(error) => tracing::warn!(model = name, %error, "a model cannot be offered by itself"),
        }
    }
    let has_default = alone || model.model.is_some() || config.default_model()?.is_some();
    if has_default && !settings.models.contains_key(DEFAULT) {
        catalog = catalog.model(DEFAULT, builder.default_model()?);
    }
    if let (Some(name), _) = crate::agent::named(None, config)? {
        catalog = catalog.default_agent(&name);
    }
    if alone {
        let mut table = AgentTable::default();
        table.options.temperature = model.temperature;
        let (agent, price) = (builder.agent_with(None, &table, None)?, price_of(None, &table)?);
        catalog = catalog.agent(ASSISTANT, OfferedAgent { agent, timeout: None, price });
    }
    host.provide(&builder.embedded(), level, signals).await?;
    Ok(catalog)
}
