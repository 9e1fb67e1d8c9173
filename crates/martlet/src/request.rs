//! A run that is asked for: its settings, and the ways to have it done.

use std::borrow::Cow;
use std::future::IntoFuture;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::run::StopReason;
use martlet_core::{
    Blob, Effect, Message, Outcome, Part, Run, RunId, RunResult, Settlement, Task, Timing, ToolFailure,
    ToolFailureKind,
};

use crate::agent::{Agent, Parts};
use crate::driver::{Driver, now_ms};
use crate::error::RunError;
use crate::handle::RunHandle;
use crate::observe::Bus;
use crate::record::JournalRecord;

/// A run that is asked for. Await it for its result, [`start`](Self::start) it to watch it, or call
/// [`blocking`](Self::blocking) where there is no async.
///
/// A run that is resumed keeps the name, the task and the limits with which it began: of the settings below, only
/// [`user`](Self::user) and [`timeout`](Self::timeout) apply to it.
#[must_use = "a run does nothing until it is awaited or started"]
pub struct RunRequest {
    agent: Agent,
    what: What,
    user: Option<Arc<str>>,
    timeout: Option<Duration>,
}

enum What {
    Fresh { id: RunId, task: Task },
    Resumed { id: RunId },
}

impl RunRequest {
    pub(crate) fn fresh(agent: Agent, task: Task) -> Self {
        Self {
            agent,
            what: What::Fresh { id: RunId::from_bits(random_bits()), task },
            user: None,
            timeout: None,
        }
    }

    pub(crate) fn resumed(agent: Agent, id: RunId) -> Self {
        Self { agent, what: What::Resumed { id }, user: None, timeout: None }
    }

    /// The most steps, if not as many as the agent's limit says; at least 1.
    pub fn max_steps(self, steps: u32) -> Self {
        self.task(|task| task.max_steps = Some(steps))
    }

    /// On whose behalf: tools are told.
    pub fn user(mut self, user: impl Into<Arc<str>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// How long the run may take. Then everything in it is stopped, and it ends with the status `TimedOut`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Adds an image or a file to the task.
    pub fn part(self, part: Part) -> Self {
        self.task(|task| task.parts.push(part))
    }

    /// What was said before: [`RunResult::conversation`] of an earlier run.
    pub fn history(self, messages: Vec<Message>) -> Self {
        self.task(|task| task.history = messages)
    }

    /// The Python session to go on with: [`RunResult::python`] of an earlier run.
    pub fn python(self, session: Option<Blob>) -> Self {
        self.task(|task| task.python = session)
    }

    /// A name for the run, instead of a random one.
    pub fn id(mut self, id: RunId) -> Self {
        if let What::Fresh { id: given, .. } = &mut self.what {
            *given = id;
        }
        self
    }

    /// Starts the run on the current tokio runtime and gives a handle to watch and to cancel it.
    ///
    /// # Panics
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    pub fn start(self) -> RunHandle {
        RunHandle::spawn(self)
    }

    /// Does the whole run and blocks this thread meanwhile, for code without async. Runs that are started this
    /// way share one runtime of the process.
    ///
    /// # Errors
    /// As awaiting it; and [`RunError::BlockingInAsync`] when called from async code.
    pub fn blocking(self) -> Result<RunResult, RunError> {
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(RunError::BlockingInAsync);
        }
        let runtime = match RUNTIME.get() {
            Some(runtime) => runtime,
            None => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .enable_all()
                    .build()
                    .map_err(RunError::Runtime)?;
                RUNTIME.get_or_init(|| runtime)
            }
        };
        runtime.block_on(self.into_future())
    }

    /// The name that the run has or will have.
    pub fn run_id(&self) -> &RunId {
        match &self.what {
            What::Fresh { id, .. } | What::Resumed { id } => id,
        }
    }

    pub(crate) async fn drive(
        self,
        bus: Option<Arc<Bus>>,
        stop: impl Future<Output = StopReason> + Send,
    ) -> Result<RunResult, RunError> {
        let parts = self.agent.parts().clone();
        let mut driver =
            Driver { parts: parts.clone(), bus, user: self.user, deadline: self.timeout, next_record: 0 };
        let run = match self.what {
            What::Fresh { id, mut task } => {
                if task.started_ms == 0 {
                    task.started_ms = now_ms();
                }
                begin(&mut driver, &parts, id, task).await?
            }
            What::Resumed { id } => read_back(&mut driver, &parts, id).await?,
        };
        driver.drive(run, stop).await
    }

    fn task(mut self, change: impl FnOnce(&mut Task)) -> Self {
        if let What::Fresh { task, .. } = &mut self.what {
            change(task);
        }
        self
    }
}

impl IntoFuture for RunRequest {
    type Output = Result<RunResult, RunError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.drive(None, std::future::pending()))
    }
}

async fn begin(driver: &mut Driver, parts: &Parts, id: RunId, task: Task) -> Result<Run, RunError> {
    let Some(journal) = parts.journal.clone() else { return Ok(Run::start(id, parts.spec.clone(), task)) };
    let record = JournalRecord::Started { agent: Cow::Borrowed(&**parts.spec), task: Cow::Borrowed(&task) };
    let bytes = record.to_bytes().map_err(|error| RunError::Resume(error.to_string()))?;
    let run = Run::start(id, parts.spec.clone(), task);
    journal.append(run.id(), driver.next_record, bytes.into()).await?;
    driver.next_record += 1;
    Ok(run)
}

/// Folds the journal of a run, so that it can go on where it was.
async fn read_back(driver: &mut Driver, parts: &Parts, id: RunId) -> Result<Run, RunError> {
    let unreadable = |problem: String| RunError::Resume(format!("{id}: {problem}"));
    let journal = parts.journal.clone().ok_or_else(|| unreadable("the agent has no journal".into()))?;
    let records = journal.read(&id).await?;
    let mut records = records.iter().map(|bytes| JournalRecord::from_bytes(bytes));
    let mut run = match records.next().transpose().map_err(unreadable)? {
        Some(JournalRecord::Started { agent, task }) => {
            // The run goes on as the agent that it began as, or its settled effects would not fit.
            let spec = if *agent == **parts.spec {
                parts.spec.clone()
            } else {
                let spec = martlet_core::AgentSpec::new(agent.into_owned());
                Arc::new(spec.map_err(|error| unreadable(error.to_string()))?)
            };
            Run::start(id.clone(), spec, task.into_owned())
        }
        Some(_) => return Err(unreadable("its journal does not begin with its start".into())),
        None => return Err(unreadable("the journal does not hold it".into())),
    };
    driver.next_record = 1;
    for record in records {
        let _ = run.take_effects();
        match record.map_err(unreadable)? {
            JournalRecord::Settled { settlement } => {
                run.settle(settlement.into_owned()).map_err(|error| unreadable(error.to_string()))?;
            }
            JournalRecord::Stopped { reason, at_ms } => run.stop(reason, at_ms),
            JournalRecord::Started { .. } => return Err(unreadable("it begins twice".into())),
        }
        driver.next_record += 1;
    }
    let _ = run.take_effects();
    let _ = run.take_abandoned();
    run.hand_out_again();
    settle_doubtful(driver, parts, &mut run).await?;
    Ok(run)
}

/// Of a tool call that was under way when the run was left, nobody knows whether it had its effect. Unless the
/// tool may be repeated, the model is told so, and it is not made again.
async fn settle_doubtful(driver: &mut Driver, parts: &Parts, run: &mut Run) -> Result<(), RunError> {
    for (id, effect) in run.take_effects() {
        if !run.is_open(&id) {
            continue;
        }
        let Effect::Tool { name, .. } = effect else { continue };
        let repeatable =
            run.agent().tool(&name).is_some_and(|spec| spec.flags.read_only || spec.flags.idempotent);
        if repeatable {
            continue;
        }
        let failure = ToolFailure::new(
            ToolFailureKind::Failed,
            format!(
                "the run was interrupted during this call of `{name}`: it is not known whether it took effect. Find \
                 that out before you repeat it."
            ),
        );
        let settlement = Settlement {
            id,
            outcome: Outcome::Tool { result: Err(failure) },
            timing: Timing { started_ms: now_ms(), elapsed_us: 0 },
        };
        if let Some(journal) = &parts.journal {
            let record = JournalRecord::Settled { settlement: Cow::Borrowed(&settlement) };
            driver.record(journal.as_ref(), run, &record).await?;
        }
        if let Err(error) = run.settle(settlement) {
            tracing::error!(run = %run.id(), %error, "an outcome was not taken");
        }
    }
    run.hand_out_again();
    Ok(())
}

/// 128 bits that two runs of the world will not share.
fn random_bits() -> u128 {
    use std::hash::{BuildHasher as _, RandomState};
    // The keys of a `RandomState` come from the system's random numbers; its hashes of a counter and the time
    // differ for each call.
    static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let state = RandomState::new();
    let high = state.hash_one((count, now_ms(), 0_u8));
    let low = state.hash_one((count, now_ms(), 1_u8));
    (u128::from(high) << 64) | u128::from(low)
}
