//! `martlet runs`: the runs of a server. They are read from its store, also beside it; what changes them is asked of the
//! server, or done here if there is none.

mod export;
mod find;
mod follow;
mod foreground;
mod list;
mod question;
mod show;
mod table;
mod view;

use std::path::Path;

use serde::Serialize;

use crate::args::RunsCommand;
use crate::data;
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::serve::{self, Done, Order};
use crate::signals::Signals;
use crate::style::unfaked;

pub(crate) use table::{Table, ago, at};

pub(crate) async fn runs(command: RunsCommand) -> Result<Exit, Failure> {
    match command {
        RunsCommand::List { state, user, limit, output, data } => {
            let store = data::open_to_read(&data::folder_of(&data)?)?;
            list::list(&store, state, user.as_deref(), limit as usize, output.json).await
        }
        RunsCommand::Show { run, output, data } => {
            let store = data::open_to_read(&data::folder_of(&data)?)?;
            let run = find::run(&store, &run.run).await?;
            show::show(&store, &run, output.json).await
        }
        RunsCommand::Logs { run, follow, output, loudness, data } => {
            let mut signals = Signals::listen()?;
            let store = data::open_to_read(&data::folder_of(&data)?)?;
            let run = find::run(&store, &run.run).await?;
            let mut screen = follow::Screen::stdout(output.json, loudness.level());
            match follow {
                false => {
                    follow::all(&store, &run.id, 0, &mut screen).await?;
                    Ok(Exit::Success)
                }
                true => signals.unless_stopped(follow::to_the_end(&store, &run.id, &mut screen)).await,
            }
        }
        RunsCommand::Cancel { run, output, data } => {
            let folder = data::folder_of(&data)?;
            let run = find::run(&data::open_to_read(&folder)?, &run.run).await?;
            match change(&folder, Order::Cancel { run: run.id.clone() }).await?.0 {
                Done::Cancelled { now: false } => {
                    return Err(Failure::new(
                        Exit::Failed,
                        anyhow::anyhow!("run {} has ended already", run.id),
                    ));
                }
                _ if output.json => write_json(&serde_json::json!({"run": run.id, "cancelled": true}))?,
                _ => crate::exit::say(&format!("run {} is being cancelled", run.id)),
            }
            Ok(Exit::Success)
        }
        RunsCommand::Resume { run, drive } => foreground::resume(&run.run, &drive).await,
        RunsCommand::Fork { run, step, drive } => foreground::fork(&run.run, step, &drive).await,
        RunsCommand::Approve { question, arguments, output, data } => {
            let folder = data::folder_of(&data)?;
            question::approve(&folder, &question.id, arguments.as_deref(), output.json).await
        }
        RunsCommand::Deny { question, reason, output, data } => {
            question::deny(&data::folder_of(&data)?, &question.id, reason, output.json).await
        }
        RunsCommand::Answer { question, text, output, data } => {
            question::answer(&data::folder_of(&data)?, &question.id, text, output.json).await
        }
        RunsCommand::Export { run, format, output_file, data } => {
            let mut sink = Sink::open(output_file.as_deref())?;
            let store = data::open_to_read(&data::folder_of(&data)?)?;
            let run = find::run(&store, &run.run).await?;
            export::export(&store, &run, format, &mut sink).await
        }
    }
}

/// Who changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Server,
    /// This process, as no server has the store open.
    Us,
}

/// Changes something at the server of a folder, or in its store if there is no server.
pub(crate) async fn change(folder: &Path, order: Order) -> Result<(Done, By), Failure> {
    match data::open_to_write(folder)? {
        Some(store) => Ok((serve::perform(&store, order).await?, By::Us)),
        None => Ok((serve::ask(folder, &order).await?, By::Server)),
    }
}

/// Writes a value as one line of JSON, in which no control character is as it is.
pub(crate) fn write_json(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(value).map_err(|error| Failure::host("cannot write JSON", error))?;
    Ok(Sink::Stdout.line(&unfaked(&json))?)
}
