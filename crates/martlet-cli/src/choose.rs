//! Which model: flags, then the environment, then the embedded one.

use martlet::SharedModel;
use martlet::model::from_name_with;

use crate::args::ModelArgs;
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
}

/// Where the name of a model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Variable(&'static str),
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

/// Chooses the model by the flags and by the variables.
///
/// # Errors
/// The flags contradict each other, or the variables name a provider and no model.
pub(crate) fn choose(args: &ModelArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Choice, Failure> {
    let Some(model) = args.model.as_deref().map(str::trim) else { return from_variables(variable) };
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
    Ok(Choice { name, origin: Origin::Flag, variables })
}

fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Choice, Failure> {
    let set =
        |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let named = [("MARTLET_MODEL", ""), ("OPENAI_MODEL", "openai/"), ("AZURE_OPENAI_DEPLOYMENT", "azure/")];
    for (name, prefix) in named {
        if let Some(model) = set(name) {
            let origin = Origin::Variable(name);
            return Ok(Choice { name: format!("{prefix}{model}"), origin, variables: Vec::new() });
        }
    }
    match martlet::model::from_env_with(variable) {
        // A half-made configuration is an error and not a reason for another model.
        Err(error) if !error.is_nothing_configured() => Err(error.into()),
        _ => Ok(Choice { name: "local".into(), origin: Origin::Default, variables: Vec::new() }),
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
    /// Whether it is a model that runs in this process.
    pub(crate) fn is_local(&self) -> bool {
        self.name == "local" || self.name.starts_with("local/")
    }

    /// Opens the model as far as that goes without waiting: an embedded one may lack its weights.
    pub(crate) fn open(&self) -> Result<SharedModel, Failure> {
        let variable = |name: &str| {
            let own = self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| std::env::var(name).ok())
        };
        Ok(from_name_with(&self.name, &variable)?)
    }
}

/// The model that the flags and the environment choose, ready to be used: the weights of an embedded one are
/// fetched if they are not here.
pub(crate) async fn ready(
    args: &ModelArgs,
    level: Level,
    signals: &mut Signals,
) -> Result<SharedModel, Failure> {
    let choice = choose(args, &|name| std::env::var(name).ok())?;
    #[cfg(feature = "local")]
    if choice.is_local() {
        signals.unless_stopped(crate::model::provide(&choice, level)).await?;
    }
    #[cfg(not(feature = "local"))]
    let _ = (level, signals);
    choice.open()
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

    fn chosen(list: &[&str]) -> Result<Choice, String> {
        choose(&args(list), &|_| None).map_err(|failure| match failure {
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
            choose(&args(&[]), &|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(choice(&[]).unwrap().origin, Origin::Default);
        assert_eq!(choice(&[("OPENAI_MODEL", "m")]).unwrap().name, "openai/m");
        assert!(choice(&[("OPENAI_API_KEY", "k")]).is_err());
    }
}
