//! `martlet runs resume|fork`: driving a run in this process, if no server does.

use std::path::Path;
use std::time::Duration;

use martlet::RunId;
use martlet::core::tool::display_value;
use martlet::store::{RunKind, RunRow, RunState, StoreErrorKind};
use martlet_config::Config;
use martlet_server::{Foundation, FoundationError, Service};

use super::follow::{self, Screen};
use super::{find, view, write_json};
use crate::args::DriveArgs;
use crate::config;
use crate::data;
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::serve::{self, Chosen, Done, Order};
use crate::signals::Signals;
use crate::style::escaped;

pub(super) async fn resume(given: &str, args: &DriveArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let config = config::load(&args.data.config)?;
    let folder = data::folder(args.data.data.as_deref(), &config)?;
    let run = find::run(&data::open_to_read(&folder)?, given).await?;
    if run.state == RunState::Ended {
        return Err(Failure::usage(format!(
            "run {id} has ended: `martlet runs show {id}` shows its answer, `martlet runs fork` does some of it again",
            id = run.id
        )));
    }
    match begin(&folder, &config, &run, args, &mut signals).await? {
        Some(service) => watch(&service, &run.id, args, &mut signals).await,
        // A server drives it.
        None => beside(&folder, &run.id, args, &mut signals).await,
    }
}

pub(super) async fn fork(given: &str, step: u32, args: &DriveArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let config = config::load(&args.data.config)?;
    let folder = data::folder(args.data.data.as_deref(), &config)?;
    let run = find::run(&data::open_to_read(&folder)?, given).await?;
    let Some(service) = begin(&folder, &config, &run, args, &mut signals).await? else {
        return match serve::ask(&folder, &Order::Fork { run: run.id, step }).await? {
            Done::Forked { run } => {
                crate::exit::say(&format!("the fork is {run}"));
                beside(&folder, &run, args, &mut signals).await
            }
            other => Err(Failure::host("the server did something else", anyhow::anyhow!("{other:?}"))),
        };
    };
    let forked = service.fork(&run.owner, &run, step).await;
    let fork = forked.map_err(|problem| Failure::usage(problem.detail()))?;
    crate::exit::say(&format!("the fork is {}", fork.id));
    watch(&service, &fork.id, args, &mut signals).await
}

/// A service in this process that goes on with one run alone; `None` if a server has the store open.
async fn begin(
    folder: &Path,
    config: &Config,
    run: &RunRow,
    args: &DriveArgs,
    signals: &mut Signals,
) -> Result<Option<Service>, Failure> {
    config.check_server()?;
    let mut options = serve::service_options(config);
    // Who stops watching does not wait; the run goes on the next time.
    options.grace = Duration::ZERO;
    let foundation = match Foundation::open(folder, options) {
        Ok(foundation) => foundation,
        Err(FoundationError::Store(error)) if error.kind() == StoreErrorKind::Locked => return Ok(None),
        Err(error) => return Err(serve::foundation_failure(error)),
    };
    let host = serve::host(config, args.sandbox, &foundation)?;
    let level = args.loudness.level();
    let chosen = Chosen { model: &args.model, config, host: &host, level };
    let catalog = serve::catalog(&chosen, signals).await?;
    let is_offered = match run.kind {
        RunKind::Agent => catalog.agents().contains_key(&run.name),
        RunKind::Workflow => catalog.workflows().contains_key(&run.name),
    };
    if !is_offered {
        return Err(Failure::usage(format!(
            "the {} `{}` of this run is not configured here: add it to martlet.toml, or name its file with --config",
            run.kind,
            escaped(&run.name)
        )));
    }
    Ok(Some(foundation.serve_only(catalog, &run.id).await?))
}

/// Shows a run that is driven here until it ends, waits, or somebody stops watching.
async fn watch(
    service: &Service,
    run: &RunId,
    args: &DriveArgs,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let mut screen = Screen::stderr(false, args.loudness.level());
    let seen = signals.unless_stopped(follow::to_the_end(service.store(), run, &mut screen)).await;
    service.shut_down().await;
    if let Err(Failure::Quiet(_)) = &seen {
        crate::exit::say(&format!("stopped: `martlet runs resume {run}` goes on"));
    }
    told(service.store().run(run).await?, seen?, args)
}

/// Shows a run that a server drives.
async fn beside(
    folder: &Path,
    run: &RunId,
    args: &DriveArgs,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let store = data::open_to_read(folder)?;
    let mut screen = Screen::stderr(false, args.loudness.level());
    let exit = signals.unless_stopped(follow::to_the_end(&store, run, &mut screen)).await?;
    told(store.run(run).await?, exit, args)
}

/// Writes the answer, as `martlet run` does.
fn told(row: Option<RunRow>, exit: Exit, args: &DriveArgs) -> Result<Exit, Failure> {
    let Some(row) = row else { return Ok(exit) };
    if args.output.json {
        write_json(&view::Run::listed(&row))?;
        return Ok(exit);
    }
    if let Some(answer) = row.answer.as_ref().filter(|answer| !answer.is_null()) {
        Sink::Stdout.answer(&display_value(answer))?;
    }
    if let Some(error) = row.error {
        crate::exit::tell(anyhow::Error::msg(error).as_ref(), false);
    }
    Ok(exit)
}
