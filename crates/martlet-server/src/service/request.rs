//! What a run is asked for with, and whether it can be done.

use std::time::Duration;

use martlet::Adjustment;
use martlet_core::{Message, Principal, RunId};
use martlet_store::{ApprovalRow, FileId, Fork, Idempotency, Lane, RunKind, RunRow, RunState, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Service, bad_request};
use crate::catalog::{OfferedAgent, OfferedWorkflow};
use crate::problem::{Problem, ProblemKind};

/// The longest title of a run, in characters.
const TITLE: usize = 120;

/// The most names of tools that a run must not have, and the longest one, in bytes.
const MAX_WITHOUT: usize = 64;
const MAX_NAME: usize = 128;

/// What somebody asks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewTask {
    /// The agent; the session's, or the default one, if nothing is said.
    pub agent: Option<String>,
    /// The workflow, instead of an agent.
    pub workflow: Option<String>,
    /// What it is given.
    pub input: RunInput,
    /// The conversation that it belongs to.
    pub session: Option<SessionId>,
    /// Files of the owner that come with it.
    pub files: Vec<FileId>,
    /// Tools and managed agents that the run must not have, by name; names that it does not have change nothing.
    pub without_tools: Vec<String>,
    /// The most steps, if not as many as the agent's limit says.
    pub max_steps: Option<u32>,
    /// The most time, if less than the agent's limit says.
    pub timeout: Option<Duration>,
    /// Whether somebody waits for it. Default: interactive for agents, batch for workflows.
    pub lane: Option<Lane>,
    /// A key under which the same request is taken in only once.
    pub idempotency: Option<Idempotency>,
    /// What was said before, for callers that keep the conversation themselves.
    pub history: Vec<Message>,
    /// Whether the run is driven from the blocking pool, by the synchronous way into the library.
    pub blocking: bool,
    /// What the caller wants of the agent for this run alone.
    pub adjustment: Adjustment,
    /// The run of the owner whose conversation this one goes on with; `history` comes after it.
    pub continues: Option<RunId>,
    /// Whether people are there to be asked.
    pub attendance: Attendance,
    /// What whoever asks wants to read again of its request.
    pub(crate) note: Option<Value>,
    fork: Option<Fork>,
}

/// Whether people are there to answer the questions of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Attendance {
    /// Questions wait for somebody.
    #[default]
    Attended,
    /// Nobody will answer: what needs a person is denied at once.
    Unattended,
}

impl Attendance {
    fn is_attended(&self) -> bool {
        *self == Self::Attended
    }
}

/// What a run is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunInput {
    /// Words.
    Task(String),
    /// The typed input of an agent, or the state with which a workflow begins.
    Input(Value),
}

impl NewTask {
    /// A task in words.
    pub fn words(task: impl Into<String>) -> Self {
        Self::of(RunInput::Task(task.into()))
    }

    /// A typed input, or the state with which a workflow begins.
    pub fn input(input: Value) -> Self {
        Self::of(RunInput::Input(input))
    }

    fn of(input: RunInput) -> Self {
        Self {
            agent: None,
            workflow: None,
            input,
            session: None,
            files: Vec::new(),
            without_tools: Vec::new(),
            max_steps: None,
            timeout: None,
            lane: None,
            idempotency: None,
            history: Vec::new(),
            blocking: false,
            adjustment: Adjustment::default(),
            continues: None,
            attendance: Attendance::default(),
            note: None,
            fork: None,
        }
    }

    /// What a run was asked for with, to begin as that run did.
    pub(super) fn again(run: &RunRow, spec: RunSpec, fork: Fork) -> Self {
        let name = Some(run.name.clone());
        let (agent, workflow) = match run.kind {
            RunKind::Agent => (name, None),
            RunKind::Workflow => (None, name),
        };
        Self {
            agent,
            workflow,
            files: spec.files,
            without_tools: spec.without_tools,
            max_steps: spec.max_steps,
            timeout: spec.timeout_ms.map(Duration::from_millis),
            lane: Some(run.lane),
            history: spec.history,
            blocking: spec.blocking,
            adjustment: spec.adjustment,
            attendance: spec.attendance,
            fork: Some(fork),
            ..Self::of(spec.input)
        }
    }
}

/// What is stored of a request: all that it takes to start the run, also after a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunSpec {
    pub(crate) input: RunInput,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<FileId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) without_tools: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_steps: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) history: Vec<Message>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) blocking: bool,
    #[serde(default, skip_serializing_if = "Adjustment::is_empty")]
    pub(crate) adjustment: Adjustment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) continues: Option<RunId>,
    #[serde(default, skip_serializing_if = "Attendance::is_attended")]
    pub(crate) attendance: Attendance,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<Value>,
}

impl RunSpec {
    /// What a run was asked for with.
    pub(crate) fn of(run: &RunRow) -> Result<Self, Problem> {
        serde_json::from_value(run.request.clone()).map_err(|error| Problem::internal(&error))
    }
}

/// A request that can be done.
pub(super) struct Checked {
    pub(super) kind: RunKind,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) session: Option<SessionId>,
    pub(super) lane: Lane,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) spec: RunSpec,
    pub(super) fork: Option<Fork>,
}

/// An agent or a workflow.
pub(super) enum Offered<'a> {
    Agent(&'a OfferedAgent),
    Workflow(&'a OfferedWorkflow),
}

impl Service {
    /// What is on offer under this name.
    pub(super) fn offered(&self, kind: RunKind, name: &str) -> Option<Offered<'_>> {
        match kind {
            RunKind::Agent => self.catalog().agents().get(name).map(Offered::Agent),
            RunKind::Workflow => self.catalog().workflows().get(name).map(Offered::Workflow),
        }
    }

    /// Whether a request can be done at all; nothing is changed.
    pub(super) async fn check(&self, owner: &Principal, task: NewTask) -> Result<Checked, Problem> {
        let mut of_session = None;
        if let Some(session) = &task.session {
            let row = self.store().of(owner).session(session).await.map_err(|error| self.storage(&error))?;
            let row = row.ok_or_else(|| Problem::not_found("session"))?;
            of_session = Some(row.agent);
        }
        let (kind, name) = match (task.agent, task.workflow) {
            (Some(_), Some(_)) => {
                return Err(bad_request("workflow", "name an agent or a workflow, not both"));
            }
            (None, Some(workflow)) => (RunKind::Workflow, workflow),
            (Some(agent), None) => (RunKind::Agent, agent),
            (None, None) => {
                let name = of_session.or_else(|| self.catalog().default_agent_name().map(str::to_owned));
                let missing = || bad_request("agent", "this server has no agent: name a workflow");
                (RunKind::Agent, name.ok_or_else(missing)?)
            }
        };
        let offered = self.offered(kind, &name).ok_or_else(|| self.not_offered(kind, &name))?;
        let title = match (&offered, &task.input) {
            (Offered::Agent(offered), RunInput::Input(input)) => {
                let task = offered.agent.spec().task(input);
                task.map_err(|error| bad_request("input", error.to_string()))?.text.to_string()
            }
            (Offered::Agent(_), RunInput::Task(text)) if text.trim().is_empty() => {
                return Err(bad_request("task", "the task is empty: say what is to be done"));
            }
            (_, RunInput::Task(text)) => text.clone(),
            (Offered::Workflow(_), RunInput::Input(Value::Object(_))) => name.clone(),
            (Offered::Workflow(_), RunInput::Input(_)) => {
                let text = "the input of a workflow is an object: the values with which its state begins";
                return Err(bad_request("input", text));
            }
        };
        if task.max_steps == Some(0) {
            return Err(bad_request("max_steps", "a run has at least one step"));
        }
        if task.without_tools.len() > MAX_WITHOUT
            || task.without_tools.iter().any(|name| name.len() > MAX_NAME)
        {
            let text = format!("name at most {MAX_WITHOUT} tools, each with at most {MAX_NAME} characters");
            return Err(bad_request("without_tools", text));
        }
        if !task.files.is_empty() && kind == RunKind::Workflow {
            return Err(bad_request("files", "workflows take values and no files: put them into the input"));
        }
        if let Some(before) = &task.continues {
            let row = self.store().of(owner).run(before).await.map_err(|error| self.storage(&error))?;
            let row = row.ok_or_else(|| Problem::not_found("run"))?;
            if row.kind != RunKind::Agent || row.state != RunState::Ended {
                let text = "only the run of an agent that has ended can be gone on with";
                return Err(bad_request("continues", text));
            }
        }
        for file in &task.files {
            let row = self.store().of(owner).file(file).await.map_err(|error| self.storage(&error))?;
            row.ok_or_else(|| Problem::not_found("file"))?;
        }
        if let Offered::Agent(offered) = &offered {
            let adjusted = offered.agent.adjusted(&task.adjustment);
            adjusted.map_err(|error| bad_request("adjustment", error.to_string()))?;
        }
        let lane = task.lane.unwrap_or(match kind {
            RunKind::Agent => Lane::Interactive,
            RunKind::Workflow => Lane::Batch,
        });
        Ok(Checked {
            kind,
            name,
            title: title_of(&title),
            session: task.session,
            lane,
            idempotency: task.idempotency,
            spec: RunSpec {
                input: task.input,
                files: task.files,
                without_tools: task.without_tools,
                max_steps: task.max_steps,
                timeout_ms: task.timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
                history: task.history,
                blocking: task.blocking,
                adjustment: task.adjustment,
                continues: task.continues,
                attendance: task.attendance,
                note: task.note,
            },
            fork: task.fork,
        })
    }

    pub(crate) fn not_offered(&self, kind: RunKind, name: &str) -> Problem {
        let (what, known): (_, Vec<&str>) = match kind {
            RunKind::Agent => ("agent", self.catalog().agents().keys().map(String::as_str).collect()),
            RunKind::Workflow => {
                ("workflow", self.catalog().workflows().keys().map(String::as_str).collect())
            }
        };
        let name: String = name.chars().take(80).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Problem::new(ProblemKind::NotFound, format!("there is no {what} `{name}`; there are: {known}"))
            .param(what)
    }

    /// Whether the arguments that somebody puts in the place of a call's fit the tool.
    pub(super) async fn check_edited(
        &self,
        approval: &ApprovalRow,
        arguments: &Map<String, Value>,
    ) -> Result<(), Problem> {
        // Tools of agents that others manage, and of nodes, are not known here: the run itself checks all of them.
        if approval.root != approval.effect.run {
            return Ok(());
        }
        let row = self.store().run(&approval.root).await.map_err(|error| self.storage(&error))?;
        let offered = row.and_then(|row| self.offered(row.kind, &row.name));
        let Some(Offered::Agent(offered)) = offered else { return Ok(()) };
        let Some(spec) = offered.agent.spec().tool(&approval.tool) else { return Ok(()) };
        spec.validate(arguments).map_err(|error| bad_request("arguments", error.to_string()))
    }
}

/// A line that says what a run is about.
fn title_of(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut title: String = line.chars().filter(|char| !char.is_control()).take(TITLE).collect();
    if line.chars().count() > TITLE {
        title.push('…');
    }
    title
}

/// What is said of a run whose agent or workflow is gone.
pub(super) fn unknown_run(run: &RunId) -> String {
    format!("{run}: there is nothing of this name on offer any more")
}
