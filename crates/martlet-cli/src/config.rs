//! `martlet config`, and the configuration for the other commands.

use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum as _;
use martlet::sandbox::Sandbox;
use martlet::tools::AskUser;
use martlet::{SharedModel, Toolbox};
use martlet_config::{Builder, Config, Host, HostError, Line, Sources};

use crate::args::{ConfigArgs, ConfigCommand, ModelArgs};
use crate::choose::{self, Choice};
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::render::Level;
use crate::sandbox::Place;
use crate::signals::Signals;
use crate::tools;
use crate::web::WebTools;

/// Reads the configuration.
pub(crate) fn load(args: &ConfigArgs) -> Result<Config, Failure> {
    Ok(Config::load(&Sources::of_process(args.file.as_deref()))?)
}

/// What this command brings along for a configuration.
pub(crate) struct CommandHost {
    place: Place,
    /// How people are asked; at the terminal if nothing is said.
    ask_user: Option<AskUser>,
    web: WebTools,
    /// The model that was asked for because nothing names one.
    unnamed: Mutex<Option<Choice>>,
}

impl CommandHost {
    /// `place` is what the flags say, if they say something.
    pub(crate) fn new(config: &Config, place: Option<Place>) -> Result<Self, Failure> {
        let place = match (place, &config.settings().sandbox) {
            (Some(place), _) => place,
            (None, None) => Place::default(),
            (None, Some(word)) => Place::from_str(word, false).map_err(|_| {
                let known: Vec<String> = Place::value_variants()
                    .iter()
                    .filter_map(|place| place.to_possible_value())
                    .map(|value| format!("`{}`", value.get_name()))
                    .collect();
                let text = format!("there is no place `{word}`: there are {}", known.join(", "));
                Failure::usage(config.problem(&["sandbox"], text).to_string())
            })?,
        };
        Ok(Self { place, ask_user: None, web: WebTools::new(config), unnamed: Mutex::default() })
    }

    /// Sets how agents ask people.
    pub(crate) fn asking(mut self, ask_user: AskUser) -> Self {
        self.ask_user = Some(ask_user);
        self
    }

    /// Sees to it that the weights are here: of the models of the catalogue with these names, and of the embedded model
    /// if something takes it because nothing else is configured.
    pub(crate) async fn provide(
        &self,
        embedded: &[String],
        level: Level,
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        let unnamed = self.unnamed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(choice) = unnamed {
            choose::provide(&choice, level, signals).await?;
        }
        for name in embedded {
            choose::provide_embedded(name, false, level, signals).await?;
        }
        Ok(())
    }
}

impl Host for CommandHost {
    fn tool_names(&self) -> Vec<String> {
        tools::BUILT_IN.iter().map(|name| (*name).to_owned()).collect()
    }

    fn tools(
        &self,
        names: &[String],
        sandbox: &Arc<dyn Sandbox>,
        imports: &[String],
    ) -> Result<Toolbox, HostError> {
        tools::toolbox(names, sandbox, imports, self.ask_user.as_ref(), &self.web)
            .map_err(Failure::into_error)
    }

    fn sandbox(&self) -> Result<Arc<dyn Sandbox>, HostError> {
        self.place.open().map_err(Failure::into_error)
    }

    fn default_model(&self) -> Result<SharedModel, HostError> {
        let variable = |name: &str| std::env::var(name).ok();
        let choice = choose::from_variables(&variable).map_err(Failure::into_error)?;
        let model = choice.open_named().map_err(Failure::into_error)?;
        *self.unnamed.lock().unwrap_or_else(PoisonError::into_inner) = Some(choice);
        Ok(model)
    }
}

pub(crate) fn config(command: &ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Show { origin, config } => {
            let text = shown(&load(config)?.lines(), *origin);
            if !text.is_empty() {
                Sink::Stdout.line(&text)?;
            }
            Ok(Exit::Success)
        }
        ConfigCommand::Path { config } => {
            let files = Sources::of_process(config.file.as_deref()).files;
            let lines: Vec<String> = files
                .iter()
                .map(|source| {
                    let mark = if source.path.is_file() { "" } else { " (not there)" };
                    format!("{}{mark}", source.path.display())
                })
                .collect();
            Sink::Stdout.line(&lines.join("\n"))?;
            Ok(Exit::Success)
        }
        ConfigCommand::Check { config } => check(config),
    }
}

fn check(args: &ConfigArgs) -> Result<Exit, Failure> {
    let config = match Config::load(&Sources::of_process(args.file.as_deref())) {
        Ok(config) => config,
        Err(error) => return Ok(tell(error.problems())),
    };
    let host = CommandHost::new(&config, None)?;
    let builder = Builder::new(&config, &host);
    let problems = builder.check();
    if !problems.is_empty() {
        return Ok(tell(&problems));
    }
    let settings = config.settings();
    Sink::Stdout.line(&format!(
        "{}, {} and {}: everything fits together",
        counted(settings.models.len(), "model"),
        counted(settings.agents.len(), "agent"),
        counted(settings.workflows.len(), "workflow"),
    ))?;
    Ok(Exit::Success)
}

/// `1 node`, `2 nodes`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// Writes every problem.
pub(crate) fn tell(problems: &[martlet_config::Problem]) -> Exit {
    for problem in problems {
        crate::exit::tell(anyhow::Error::msg(problem.to_string()).as_ref(), false);
    }
    Exit::Usage
}

/// The values as TOML.
fn shown(lines: &[Line], with_origin: bool) -> String {
    let mut text = String::new();
    let mut table: &[String] = &[];
    let width = lines.iter().map(|line| line.key.chars().count() + line.value.chars().count() + 3).max();
    let width = width.unwrap_or_default().min(60);
    for line in lines {
        if line.table != table {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("[{}]\n", line.table.join(".")));
            table = &line.table;
        }
        let setting = format!("{} = {}", line.key, line.value);
        if with_origin {
            text.push_str(&format!("{setting:<width$}  # {}\n", line.origin));
        } else {
            text.push_str(&setting);
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Whether the flags choose a model in more words than its name.
pub(crate) fn is_plain(args: &ModelArgs) -> bool {
    args.model_type.is_none() && args.provider.is_none() && args.api_base.is_none() && args.api_key.is_none()
}
