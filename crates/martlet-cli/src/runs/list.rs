//! `martlet runs list`.

use martlet::core::Principal;
use martlet::store::{RunFilter, RunRow, RunState, Store};

use super::table::{Table, ago};
use super::{view, write_json};
use crate::args::State;
use crate::data::now_ms;
use crate::exit::{Exit, Failure};
use crate::style::escaped;

/// Characters of a title that are shown.
const TITLE: usize = 60;

pub(super) async fn list(
    store: &Store,
    state: Option<State>,
    user: Option<&str>,
    limit: usize,
    json: bool,
) -> Result<Exit, Failure> {
    let state = state.map(|state| match state {
        State::Queued => RunState::Queued,
        State::Running => RunState::Running,
        State::Waiting => RunState::Waiting,
        State::Ended => RunState::Ended,
    });
    let runs = match user {
        None => store.all_runs(state, None, limit).await?,
        Some(user) => {
            let (tenant, user) = user.split_once('/').unwrap_or(("local", user));
            let owner =
                Principal::new(tenant, user).map_err(|error| Failure::usage(format!("--user: {error}")))?;
            let filter = RunFilter { state, limit, ..RunFilter::default() };
            store.of(&owner).runs(filter).await?
        }
    };
    match json {
        true => write_json(&runs.iter().map(view::Run::listed).collect::<Vec<_>>())?,
        false => table(&runs).write()?,
    }
    Ok(Exit::Success)
}

fn table(runs: &[RunRow]) -> Table<6> {
    let now = now_ms();
    let mut table = Table::new(["RUN", "STATE", "OF", "OWNER", "CREATED", "TITLE"]);
    for run in runs {
        let title: String = run.title.chars().take(TITLE).collect();
        let title = if title.len() < run.title.len() { format!("{title}…") } else { title };
        table.row([
            run.id.to_string(),
            standing(run),
            escaped(&run.name),
            escaped(&run.owner.to_string()),
            ago(run.created_ms, now),
            escaped(&title),
        ]);
    }
    table
}

/// Where a run stands; how it ended, if it has.
pub(super) fn standing(run: &RunRow) -> String {
    match (run.state, &run.outcome) {
        (RunState::Ended, Some(outcome)) => escaped(outcome),
        (_, _) if run.cancel && run.state != RunState::Ended => "cancelling".into(),
        (RunState::Waiting, _) if run.doubts > 0 => "needs attention".into(),
        (state, _) => state.as_str().into(),
    }
}
