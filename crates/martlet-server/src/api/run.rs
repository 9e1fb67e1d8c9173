//! A run, as clients see it.

use martlet_core::{RunId, Usage};
use martlet_store::{Fork, RunRow, RunState};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::files::FileView;
use crate::problem::Problem;
use crate::router::Api;
use crate::service::{RunInput, RunSpec};

/// A run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(crate) struct RunView {
    /// Its name.
    #[schema(example = "run_01hzy3v5k8q2m6n4p7r9s0t1vw")]
    id: String,
    /// `agent` or `workflow`.
    #[schema(value_type = RunKindWord)]
    kind: &'static str,
    /// The name of the agent or of the workflow.
    name: String,
    /// What people see in lists: the beginning of the task.
    title: String,
    /// Where it stands.
    #[schema(value_type = RunStateWord)]
    state: &'static str,
    /// How it ended: `succeeded`, `failed`, `cancelled`, `timed_out` and others.
    outcome: Option<String>,
    /// Its answer.
    #[schema(value_type = Option<Value>)]
    answer: Option<Value>,
    /// Why it failed.
    error: Option<String>,
    /// The tokens that it used.
    usage: UsageView,
    /// The session that it belongs to.
    session: Option<String>,
    /// The line in which it waits, or waited.
    #[schema(value_type = LaneWord)]
    lane: &'static str,
    /// When it was asked for, in milliseconds since 1970-01-01 UTC.
    created_ms: u64,
    /// When it ran first.
    started_ms: Option<u64>,
    /// When it ended.
    ended_ms: Option<u64>,
    /// Whether somebody asked to cancel it.
    cancel_requested: bool,
    /// Questions of it that wait for a person.
    pending_approvals: u32,
    /// Whether it waits because a call was under way when the server died, and somebody has to say what came of it.
    needs_attention: bool,
    /// The number of its last event; 0 if it has none.
    last_event: u64,
    /// What it is a fork of.
    forked_from: Option<ForkView>,
    /// Where it stands in line, while it waits there.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<PlaceView>,
    /// The task in words; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// The input; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    input: Option<Value>,
    /// The files that came with it and are still there; of one run alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileView>>,
}

/// Tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageView {
    /// Tokens read.
    input_tokens: u64,
    /// Tokens written, reasoning included.
    output_tokens: u64,
    /// Of the tokens read: those that the provider had in a cache.
    cached_tokens: u64,
    /// Of the tokens written: those spent on reasoning.
    reasoning_tokens: u64,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        let Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens } = usage;
        Self { input_tokens, output_tokens, cached_tokens, reasoning_tokens }
    }
}

/// The place at which a run left another one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fork)]
pub(crate) struct ForkView {
    /// The other run.
    run: String,
    /// The step from which on it goes its own way.
    step: u32,
}

impl From<Fork> for ForkView {
    fn from(fork: Fork) -> Self {
        Self { run: fork.run.to_string(), step: fork.step }
    }
}

/// A place in line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Place)]
pub(crate) struct PlaceView {
    /// The place, from 1.
    position: u32,
    /// How many wait in this line.
    of: u32,
    /// The wait until it starts, in seconds: an estimate.
    eta_s: u64,
}

/// What a run is a run of.
#[derive(ToSchema)]
#[schema(as = RunKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "it is for the document alone")]
pub(crate) enum RunKindWord {
    /// An agent.
    Agent,
    /// A workflow.
    Workflow,
}

/// Where a run stands.
#[derive(ToSchema)]
#[schema(as = RunState, rename_all = "snake_case")]
#[expect(dead_code, reason = "it is for the document alone")]
pub(crate) enum RunStateWord {
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// It waits for a person.
    Waiting,
    /// It has ended.
    Ended,
}

/// The line in which a run waits for its turn.
#[derive(ToSchema)]
#[schema(as = Lane, rename_all = "snake_case")]
#[expect(dead_code, reason = "it is for the document alone")]
pub(crate) enum LaneWord {
    /// Somebody waits for the answer.
    Interactive,
    /// It may take its time.
    Batch,
}

/// Runs, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Runs {
    /// The runs.
    pub(crate) runs: Vec<RunView>,
    /// Ask for `before` this run to see older ones; `null` if there are none.
    pub(crate) next: Option<String>,
}

impl RunView {
    /// With what was asked for.
    pub(crate) fn whole(api: &Api, row: RunRow) -> Result<Self, Problem> {
        let spec = RunSpec::of(&row)?;
        let view = Self::listed(api, row);
        Ok(match spec.input {
            RunInput::Task(text) => Self { task: Some(text), ..view },
            RunInput::Input(input) => Self { input: Some(input), ..view },
        })
    }

    /// With what was asked for, and the files that came with it.
    pub(crate) async fn with_files(api: &Api, row: RunRow) -> Result<Self, Problem> {
        let (owner, spec) = (row.owner.clone(), RunSpec::of(&row)?);
        let mut files = Vec::new();
        for id in &spec.files {
            let file = api.store().of(&owner).file(id).await.map_err(|error| api.failed(error))?;
            files.extend(file.map(FileView::from));
        }
        Ok(Self { files: Some(files), ..Self::whole(api, row)? })
    }

    /// As it stands in lists.
    pub(crate) fn listed(api: &Api, row: RunRow) -> Self {
        let place = match row.state {
            RunState::Queued => api.service().place(&row.id),
            _ => None,
        };
        Self {
            id: row.id.to_string(),
            kind: row.kind.as_str(),
            name: row.name,
            title: row.title,
            state: row.state.as_str(),
            outcome: row.outcome,
            answer: row.answer.filter(|answer| !answer.is_null()),
            error: row.error,
            usage: row.usage.into(),
            session: row.session.map(|session| session.to_string()),
            lane: row.lane.as_str(),
            created_ms: row.created_ms,
            started_ms: row.started_ms,
            ended_ms: row.ended_ms,
            cancel_requested: row.cancel,
            pending_approvals: row.pending,
            needs_attention: row.doubts > 0,
            last_event: row.last_event,
            forked_from: row.forked_from.map(Into::into),
            queue: place.map(|place| PlaceView {
                position: place.position,
                of: place.of,
                eta_s: place.eta_ms.div_ceil(1000),
            }),
            task: None,
            input: None,
            files: None,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn kind(&self) -> &str {
        self.kind
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// How it ended, or where it stands.
    pub(crate) fn standing(&self) -> &str {
        self.outcome.as_deref().unwrap_or(self.state)
    }

    /// What was asked for, as text.
    pub(crate) fn task(&self) -> Option<String> {
        self.task.clone().or_else(|| self.input.as_ref().map(ToString::to_string))
    }

    pub(crate) fn answer(&self) -> Option<&Value> {
        self.answer.as_ref()
    }

    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// A page of a list that was asked for with one more than `limit`.
    pub(crate) fn page(api: &Api, mut rows: Vec<RunRow>, limit: usize) -> Runs {
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().map(|row: &RunRow| row.id.to_string());
        Runs {
            runs: rows.into_iter().map(|row| Self::listed(api, row)).collect(),
            next: last.filter(|_| has_more),
        }
    }
}

/// The address of a run, below that of the API.
pub(crate) fn address(run: &RunId) -> String {
    format!("/api/v1/runs/{run}")
}
