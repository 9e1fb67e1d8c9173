//! Building what the configuration names, when it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use martlet::sandbox::Sandbox;
use martlet::{Agent, Graph, SharedModel};

use crate::error::{ConfigError, Problem, instead};
use crate::host::{Host, HostError};
use crate::load::Config;
use crate::models::ModelChoice;

/// Builds models and agents. Each model is opened once, however many agents share it.
pub struct Builder<'a> {
    pub(crate) config: &'a Config,
    pub(crate) host: &'a dyn Host,
    default: Option<SharedModel>,
    models: Mutex<HashMap<String, SharedModel>>,
    agents: Mutex<HashMap<String, Agent>>,
    workflows: Mutex<HashMap<String, Graph>>,
    /// The models of the catalogue that were opened.
    embedded: Mutex<Vec<String>>,
    sandbox: Mutex<Option<Arc<dyn Sandbox>>>,
}

impl<'a> Builder<'a> {
    /// A builder in a program.
    pub fn new(config: &'a Config, host: &'a dyn Host) -> Self {
        Self {
            config,
            host,
            default: None,
            models: Mutex::default(),
            agents: Mutex::default(),
            workflows: Mutex::default(),
            embedded: Mutex::default(),
            sandbox: Mutex::default(),
        }
    }

    /// Sets the model of agents that name none, whatever the configuration says it is.
    #[must_use]
    pub fn default_to(mut self, model: SharedModel) -> Self {
        self.default = Some(model);
        self
    }

    /// The configuration.
    pub fn config(&self) -> &'a Config {
        self.config
    }

    /// The model that a choice means.
    ///
    /// # Errors
    /// A key that is not there, an address that cannot be used.
    pub fn model(&self, choice: &ModelChoice) -> Result<SharedModel, ConfigError> {
        let key = choice.table().map_or_else(|| format!("/{}", choice.full()), str::to_owned);
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = models.get(&key) {
            return Ok(model.clone());
        }
        let model = self.config.open_model(choice)?;
        if let Some(name) = choice.embedded() {
            self.embedded.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        }
        models.insert(key, model.clone());
        Ok(model)
    }

    /// The models of the catalogue that were opened so far: their weights may have to be fetched.
    pub fn embedded(&self) -> Vec<String> {
        self.embedded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The model of agents that name none.
    ///
    /// # Errors
    /// As [`Builder::model`]; or there is none.
    pub fn default_model(&self) -> Result<SharedModel, ConfigError> {
        if let Some(model) = &self.default {
            return Ok(model.clone());
        }
        match self.config.default_model()? {
            Some(choice) => self.model(&choice),
            None => {
                let key = String::new();
                let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(model) = models.get(&key) {
                    return Ok(model.clone());
                }
                let model = self.host.default_model().map_err(of_host)?;
                models.insert(key, model.clone());
                Ok(model)
            }
        }
    }

    /// The agent of that name.
    ///
    /// # Errors
    /// There is none; or something that it names is wrong.
    pub fn agent(&self, name: &str) -> Result<Agent, ConfigError> {
        self.agent_within(name, &[])
    }

    /// The agent, which those of `above` manage, the outermost first.
    pub(crate) fn agent_within(&self, name: &str, above: &[String]) -> Result<Agent, ConfigError> {
        let built = self.agents.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(agent) = built {
            return Ok(agent);
        }
        let table = self.config.agent_table(name).map_err(Problem::new)?;
        let agent = self.agent_of(Some(name), table, None, above)?;
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), agent.clone());
        Ok(agent)
    }

    pub(crate) fn built_workflow(&self, name: &str) -> Option<Graph> {
        self.workflows.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn keep_workflow(&self, name: &str, graph: &Graph) {
        self.workflows.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), graph.clone());
    }

    /// Builds everything that is set, and tells everything that is wrong.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut note = |error: ConfigError| {
            for problem in error.problems() {
                // Whoever names something that is wrong is told the same.
                if !problems.contains(problem) {
                    problems.push(problem.clone());
                }
            }
        };
        let settings = self.config.settings();
        for name in settings.models.keys() {
            let choice = self.config.model_choice(name, &["models", name]);
            if let Err(error) = choice.map_err(ConfigError::from).and_then(|choice| self.model(&choice)) {
                note(error);
            }
        }
        if let Err(error) = self.default_model() {
            note(error);
        }
        if let Some(name) = &settings.agent
            && !settings.agents.contains_key(name)
        {
            note(self.config.problem(&["agent"], self.config.no_agent(name)).into());
        }
        if let Err(problem) = self.config.check_server() {
            note(problem.into());
        }
        if let Err(problem) = self.check_general_rules() {
            note(problem.into());
        }
        for name in settings.agents.keys() {
            if let Err(error) = self.agent(name) {
                note(error);
            }
        }
        for name in settings.workflows.keys() {
            if let Err(error) = self.workflow(name) {
                note(error);
            }
        }
        problems
    }

    pub(crate) fn sandbox(&self) -> Result<Arc<dyn Sandbox>, ConfigError> {
        let mut sandbox = self.sandbox.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sandbox) = sandbox.as_ref() {
            return Ok(sandbox.clone());
        }
        let opened = self.host.sandbox().map_err(of_host)?;
        *sandbox = Some(opened.clone());
        Ok(opened)
    }
}

impl Config {
    /// The model of agents that name none, if the key `model` says so.
    ///
    /// # Errors
    /// The name means no model.
    pub fn default_model(&self) -> Result<Option<ModelChoice>, Problem> {
        let name = self.settings.model.as_deref().map(str::trim).filter(|name| !name.is_empty());
        name.map(|name| self.model_choice(name, &["model"])).transpose()
    }

    /// What to say of a name that means no agent.
    pub fn no_agent(&self, name: &str) -> String {
        let known = self.settings.agents.keys().map(String::as_str);
        format!("there is no [agents.{name}]: {}", instead(name, known))
    }
}

pub(crate) fn of_host(error: HostError) -> ConfigError {
    ConfigError::caused(Problem::new(error.to_string()), error)
}
