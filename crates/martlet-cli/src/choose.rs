//! Which model: flags, then the configuration, then the environment, then the embedded one.

use martlet::SharedModel;
use martlet::model::from_name_with;
use martlet_config::settings::AgentTable;
use martlet_config::{Builder, Config, ModelChoice};

use crate::args::ModelArgs;
use crate::config::is_plain;
use crate::exit::Failure;
use crate::render::Level;
use crate::signals::Signals;

/// A model that was chosen and not opened yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Its name, as [`from_name_with`] takes it.
    pub(crate) name: String,
    /// Where the name comes from.
    pub(crate) origin: Origin,
    /// Variables that the flags set.
    variables: Vec<(String, String)>,
    /// What the configuration says it is.
    configured: Option<ModelChoice>,
}

/// Where the name of a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Variable(&'static str),
    /// A line of a file, or a variable.
    Setting(String),
    /// Nothing is configured.
    Default,
}

/// A provider whose server may be elsewhere, and the variables that say where and with which key.
struct Movable {
    prefix: &'static str,
    address: &'static str,
    key: &'static str,
}

const MOVABLE: [Movable; 5] = [
    Movable { prefix: "openai", address: "OPENAI_BASE_URL", key: "OPENAI_API_KEY" },
    Movable { prefix: "azure", address: "AZURE_OPENAI_ENDPOINT", key: "AZURE_OPENAI_API_KEY" },
    Movable { prefix: "ollama", address: "OLLAMA_HOST", key: "OLLAMA_API_KEY" },
    Movable { prefix: "llamacpp", address: "LLAMACPP_BASE_URL", key: "LLAMACPP_API_KEY" },
    Movable { prefix: "vllm", address: "VLLM_BASE_URL", key: "VLLM_API_KEY" },
];

/// Providers at one address, with the variable of their key.
const FIXED: [(&str, &str); 3] =
    [("hf", "HF_TOKEN"), ("openrouter", "OPENROUTER_API_KEY"), ("groq", "GROQ_API_KEY")];

/// Chooses the model: by the flags, by the agent's table, by the configuration, by the variables of providers.
///
/// # Errors
/// The flags contradict each other, a name means no model, or the variables name a provider and no model.
pub(crate) fn choose(
    args: &ModelArgs,
    config: &Config,
    agent: Option<(Option<&str>, &AgentTable)>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Choice, Failure> {
    if let Some(model) = args.model.as_deref().map(str::trim) {
        if is_plain(args) && config.settings().models.contains_key(model) {
            return Ok(configured(config.model_choice(model, &["models", model])?, Origin::Flag));
        }
        return from_flags(args, model);
    }
    let of_agent = agent.filter(|(_, table)| table.model.is_some());
    let (choice, path) = match of_agent {
        Some((name, table)) => {
            (config.model_of(name, table)?, vec!["agents", name.unwrap_or_default(), "model"])
        }
        None => (config.default_model()?, vec!["model"]),
    };
    match choice {
        Some(choice) => {
            let origin = config.origin(&path).map(ToString::to_string).unwrap_or_default();
            Ok(configured(choice, Origin::Setting(origin)))
        }
        None => from_variables(variable),
    }
}

fn configured(choice: ModelChoice, origin: Origin) -> Choice {
    Choice { name: choice.shown(), origin, variables: Vec::new(), configured: Some(choice) }
}

fn from_flags(args: &ModelArgs, model: &str) -> Result<Choice, Failure> {
    if model.is_empty() {
        return Err(Failure::usage(
            "--model is empty: give a name such as openai/gpt-4o, ollama/qwen3:4b or local",
        ));
    }
    let mut name = match &args.model_type {
        Some(kind) => of_type(kind, model)?,
        None => model.to_owned(),
    };
    if let Some(provider) = &args.provider {
        name = at_provider(provider, &name)?;
    }
    let mut variables = Vec::new();
    let mut key_variable = key_variable(&name);
    if let Some(address) = &args.api_base {
        match MOVABLE.iter().find(|movable| prefix(&name) == Some(movable.prefix)) {
            Some(movable) => variables.push((movable.address.to_owned(), address.clone())),
            None if FIXED.iter().any(|(fixed, _)| prefix(&name) == Some(*fixed))
                && args.provider.is_some() =>
            {
                return Err(Failure::usage(format!(
                    "the address of {name} is known: leave out --api-base, or leave out --provider"
                )));
            }
            None if address.starts_with("http://") || address.starts_with("https://") => {
                name = format!("{address}#{name}");
                key_variable = Some("MARTLET_API_KEY");
            }
            None => {
                return Err(Failure::usage(format!(
                    "--api-base {address} is no address: it begins with http:// or https://"
                )));
            }
        }
    }
    if let Some(key) = &args.api_key {
        match key_variable {
            Some(variable) => variables.push((variable.to_owned(), key.0.clone())),
            None => {
                return Err(Failure::usage(format!(
                    "{name} takes no key: leave out --api-key, or name a provider"
                )));
            }
        }
    }
    Ok(Choice { name, origin: Origin::Flag, variables, configured: None })
}

/// The model that the variables of providers name; the embedded one if they name none.
///
/// # Errors
/// They name a provider and no model.
pub(crate) fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Choice, Failure> {
    let set =
        |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let choice = |name, origin| Choice { name, origin, variables: Vec::new(), configured: None };
    for (name, prefix) in [("OPENAI_MODEL", "openai/"), ("AZURE_OPENAI_DEPLOYMENT", "azure/")] {
        if let Some(model) = set(name) {
            return Ok(choice(format!("{prefix}{model}"), Origin::Variable(name)));
        }
    }
    match martlet::model::from_env_with(variable) {
        // A half-made configuration is an error and not a reason for another model.
        Err(error) if !error.is_nothing_configured() => Err(error.into()),
        _ => Ok(choice("local".into(), Origin::Default)),
    }
}

fn prefix(name: &str) -> Option<&str> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return None;
    }
    name.split_once('/').map(|(prefix, _)| prefix)
}

fn key_variable(name: &str) -> Option<&'static str> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return Some("MARTLET_API_KEY");
    }
    let prefix = prefix(name)?;
    let movable = MOVABLE.iter().find(|movable| movable.prefix == prefix).map(|movable| movable.key);
    movable.or_else(|| FIXED.iter().find(|(fixed, _)| *fixed == prefix).map(|(_, key)| *key))
}

/// What smolagents calls a model of `kind`.
fn of_type(kind: &str, model: &str) -> Result<String, Failure> {
    let with = |provider: &str| {
        if prefix(model) == Some(provider) { model.to_owned() } else { format!("{provider}/{model}") }
    };
    match kind {
        "OpenAIModel" | "OpenAIServerModel" => Ok(with("openai")),
        "AzureOpenAIModel" | "AzureOpenAIServerModel" => Ok(with("azure")),
        "InferenceClientModel" | "HfApiModel" => Ok(with("hf")),
        "VLLMModel" => Ok(with("vllm")),
        "LiteLLMModel" | "LiteLLMRouterModel" => Ok(of_litellm(model)),
        "TransformersModel" | "MLXModel" => Err(Failure::usage(format!(
            "--model-type {kind} loads weights into Python, which Martlet does not: use --model local for the embedded \
             model, or a server, as in --model ollama/qwen3:4b"
        ))),
        _ => Err(Failure::usage(format!(
            "--model-type {kind} is not known; there are OpenAIModel, AzureOpenAIModel, InferenceClientModel, \
             LiteLLMModel, VLLMModel: or leave it out and write the provider into the name, as in --model openai/gpt-4o"
        ))),
    }
}

/// LiteLLM's names: its own words for some providers, and OpenAI where it names none.
fn of_litellm(model: &str) -> String {
    let Some((prefix, rest)) = model.split_once('/') else { return format!("openai/{model}") };
    match prefix {
        "ollama_chat" => format!("ollama/{rest}"),
        "huggingface" => format!("hf/{rest}"),
        "hosted_vllm" => format!("vllm/{rest}"),
        _ => model.to_owned(),
    }
}

fn at_provider(provider: &str, name: &str) -> Result<String, Failure> {
    let known = MOVABLE.iter().map(|movable| movable.prefix).chain(FIXED.iter().map(|(prefix, _)| *prefix));
    let known: Vec<&str> = known.collect();
    let provider = if provider == "huggingface" { "hf" } else { provider };
    let current = prefix(name).filter(|prefix| known.contains(prefix));
    if provider == "auto" || current == Some(provider) {
        return Ok(name.to_owned());
    }
    if current == Some("hf") {
        // Hugging Face's router takes the inference provider behind a colon.
        return Ok(format!("{name}:{provider}"));
    }
    if known.contains(&provider) {
        return Ok(format!("{provider}/{name}"));
    }
    Err(Failure::usage(format!(
        "there is no provider `{provider}`; there are {}. For an inference provider behind Hugging Face, write \
         --model hf/{name}",
        known.join(", ")
    )))
}

impl Choice {
    /// The name in the catalogue, if it is a model of ours that runs in this process.
    pub(crate) fn embedded(&self) -> Option<&str> {
        match &self.configured {
            Some(choice) => choice.embedded(),
            None => (self.name == "local" || self.name.starts_with("local/")).then_some(self.name.as_str()),
        }
    }

    /// What the configuration says it is, if it does.
    pub(crate) fn configured(&self) -> Option<&ModelChoice> {
        self.configured.as_ref()
    }

    /// Opens the model as far as that goes without waiting: an embedded one may lack its weights.
    pub(crate) fn open(&self, builder: &Builder<'_>) -> Result<SharedModel, Failure> {
        match &self.configured {
            Some(choice) => Ok(builder.model(choice)?),
            None => self.open_named(),
        }
    }

    /// The same for one that no configuration describes.
    pub(crate) fn open_named(&self) -> Result<SharedModel, Failure> {
        let variable = |name: &str| {
            let own = self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| std::env::var(name).ok())
        };
        Ok(from_name_with(&self.name, &variable)?)
    }
}

/// Sees to it that the weights of an embedded model are here.
pub(crate) async fn provide(choice: &Choice, level: Level, signals: &mut Signals) -> Result<(), Failure> {
    match choice.embedded() {
        Some(name) => provide_embedded(name, choice.origin == Origin::Default, level, signals).await,
        None => Ok(()),
    }
}

/// The same for a model of the catalogue; `by_default` if nobody chose it.
#[cfg(feature = "local")]
pub(crate) async fn provide_embedded(
    name: &str,
    by_default: bool,
    level: Level,
    signals: &mut Signals,
) -> Result<(), Failure> {
    signals.unless_stopped(crate::model::provide(name, by_default, level)).await
}

/// This build has no models of the catalogue; opening one says so.
#[cfg(not(feature = "local"))]
pub(crate) async fn provide_embedded(_: &str, _: bool, _: Level, _: &mut Signals) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(list: &[&str]) -> ModelArgs {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            model: ModelArgs,
        }
        let list = ["martlet"].iter().chain(list);
        <Only as clap::Parser>::try_parse_from(list).unwrap().model
    }

    fn nothing() -> Config {
        Config::load(&martlet_config::Sources::default()).unwrap()
    }

    fn chosen(list: &[&str]) -> Result<Choice, String> {
        choose(&args(list), &nothing(), None, &|_| None).map_err(|failure| match failure {
            Failure::Told { error, .. } => error.to_string(),
            Failure::Quiet(_) => String::new(),
        })
    }

    #[test]
    fn smolagents_spellings_lead_to_names() {
        for (list, name) in [
            (&["--model", "openai/gpt-4o"][..], "openai/gpt-4o"),
            (&["--model-id", "gpt-4o", "--model-type", "OpenAIModel"], "openai/gpt-4o"),
            (&["--model", "openai/gpt-4o", "--model-type", "OpenAIServerModel"], "openai/gpt-4o"),
            (&["--model", "gpt", "--model-type", "AzureOpenAIModel"], "azure/gpt"),
            (&["--model", "Qwen/Q", "--model-type", "InferenceClientModel"], "hf/Qwen/Q"),
            (
                &["--model", "Qwen/Q", "--model-type", "InferenceClientModel", "--provider", "together"],
                "hf/Qwen/Q:together",
            ),
            (&["--model", "gpt-4o", "--model-type", "LiteLLMModel"], "openai/gpt-4o"),
            (&["--model", "ollama_chat/q", "--model-type", "LiteLLMModel"], "ollama/q"),
            (&["--model", "hf/Q", "--provider", "huggingface"], "hf/Q"),
            (&["--model", "Q", "--provider", "huggingface"], "hf/Q"),
            (&["--model", "q", "--provider", "ollama"], "ollama/q"),
            (&["--model", "q", "--api-base", "http://h:1/v1"], "http://h:1/v1#q"),
            (&["--model", "openai/q", "--api-base", "http://h:1/v1"], "openai/q"),
        ] {
            assert_eq!(chosen(list).unwrap().name, name, "{list:?}");
        }
    }

    #[test]
    fn flags_set_the_variables_of_the_provider() {
        let key = ["--api-key", "k"];
        let choice =
            chosen(&[&["--model", "openai/q", "--api-base", "http://h:1/v1"][..], &key].concat()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(choice.variables, [pair("OPENAI_BASE_URL", "http://h:1/v1"), pair("OPENAI_API_KEY", "k")]);
        let choice = chosen(&[&["--model", "q", "--api-base", "http://h:1/v1"][..], &key].concat()).unwrap();
        assert_eq!(choice.variables, [pair("MARTLET_API_KEY", "k")]);
    }

    #[test]
    fn what_cannot_be_says_what_can() {
        for (list, text) in [
            (&["--model", "q", "--model-type", "TransformersModel"][..], "--model local"),
            (&["--model", "q", "--model-type", "GuessModel"], "there are OpenAIModel"),
            (&["--model", "q", "--provider", "nowhere"], "there are openai"),
            (&["--model", "q", "--api-base", "host"], "http://"),
            (&["--model", "local", "--api-key", "k"], "takes no key"),
            (&["--model", " "], "--model is empty"),
        ] {
            let error = chosen(list).unwrap_err();
            assert!(error.contains(text), "{list:?}: {error}");
        }
    }

    #[test]
    fn without_flags_the_environment_decides() {
        let choice = |variables: &[(&str, &str)]| {
            choose(&args(&[]), &nothing(), None, &|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(choice(&[]).unwrap().origin, Origin::Default);
        assert_eq!(choice(&[("OPENAI_MODEL", "m")]).unwrap().name, "openai/m");
        assert!(choice(&[("OPENAI_API_KEY", "k")]).is_err());
    }
}
