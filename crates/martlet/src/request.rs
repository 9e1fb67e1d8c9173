//! A run that is asked for: its settings, and the ways to have it done.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::run::StopReason;
use martlet_core::{Blob, InputError, Message, Part, RunId, RunResult, RunStatus, Task};
use serde_json::Value;

use crate::agent::Agent;
use crate::blocking::block_on;
use crate::driver::{Asked, Scope, What, drive, now_ms, with_file_tool};
use crate::error::RunError;
use crate::handle::RunHandle;
use crate::ids::random_id;
use crate::observe::Bus;
use crate::settings::run_settings;

/// A run that is asked for. Await it for its result, [`start`](Self::start) it to watch it, or call
/// [`blocking`](Self::blocking) where there is no async.
///
/// A run that is resumed keeps the name, the task and the limits with which it began: of the settings below, only those
/// that do not change the task apply to it.
#[must_use = "a run does nothing until it is awaited or started"]
pub struct RunRequest {
    agent: Agent,
    what: What<Task>,
    asked: Asked,
    timeout: Option<Duration>,
    /// What is wrong with the input: then nothing is begun.
    refused: Option<InputError>,
}

impl RunRequest {
    pub(crate) fn fresh(agent: Agent, task: Task) -> Self {
        Self {
            agent,
            what: What::Fresh { id: random_id(), task },
            asked: Asked::default(),
            timeout: None,
            refused: None,
        }
    }

    pub(crate) fn resumed(agent: Agent, id: RunId) -> Self {
        Self { agent, what: What::Resumed { id }, asked: Asked::default(), timeout: None, refused: None }
    }

    pub(crate) fn refused(mut self, problem: Option<InputError>) -> Self {
        self.refused = problem;
        self
    }

    /// The most steps, if not as many as the agent's limit says; at least 1.
    pub fn max_steps(self, steps: u32) -> Self {
        self.task(|task| task.max_steps = Some(steps))
    }

    /// Adds an image or a file to the task.
    pub fn part(self, part: Part) -> Self {
        self.task(|task| task.parts.push(part))
    }

    /// Adds a value to the task: a variable in the programs of a code agent, which the model is told of; for other agents
    /// it is written out in the message. Values may be large: programs are given them as they are.
    ///
    /// The name is one that Python can read and that no tool has.
    pub fn variable(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.task(|task| {
            task.variables.insert(name.into(), value.into());
        })
    }

    /// Takes tools and managed agents away from this run, and from the runs in it, by name: its model is not told of them
    /// and cannot call them. Names that it does not have change nothing; `final_answer` stays.
    pub fn without_tools(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.task(|task| task.without_tools = names.into_iter().map(Into::into).collect())
    }

    /// What was said before: [`RunResult::conversation`] of an earlier run.
    pub fn history(self, messages: Vec<Message>) -> Self {
        self.task(|task| task.history = messages)
    }

    /// The Python session to go on with: [`RunResult::python`] of an earlier run.
    pub fn python(self, session: Option<Blob>) -> Self {
        self.task(|task| task.python = session)
    }

    run_settings!();

    /// Starts the run on the current tokio runtime and gives a handle to watch and to cancel it.
    ///
    /// # Panics
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    pub fn start(self) -> RunHandle {
        let id = self.what.id().clone();
        RunHandle::spawn(id, RunError::DriverGone, |bus, stop| self.drive(Some(bus), stop))
    }

    /// Does the run on this task until it ends, or until `stop` says why it is to be stopped.
    ///
    /// # Errors
    /// As awaiting it.
    pub async fn until(self, stop: impl Future<Output = StopReason> + Send) -> Result<RunResult, RunError> {
        self.drive(None, stop).await
    }

    /// Does the whole run and blocks this thread meanwhile, for code without async. Runs that are started this
    /// way share one runtime of the process.
    ///
    /// # Errors
    /// As awaiting it; and [`RunError::BlockingInAsync`] when called from async code.
    pub fn blocking(self) -> Result<RunResult, RunError> {
        block_on(self)?
    }

    async fn drive(
        self,
        bus: Option<Arc<Bus>>,
        stop: impl Future<Output = StopReason> + Send,
    ) -> Result<RunResult, RunError> {
        if let Some(problem) = self.refused {
            return Err(problem.into());
        }
        let mut what = self.what;
        if let What::Fresh { task, .. } = &mut what
            && task.started_ms == 0
        {
            task.started_ms = now_ms();
        }
        if let What::Fresh { task, .. } = &mut what {
            with_file_tool(self.agent.spec(), task);
        }
        let host = self.agent.parts();
        if let (What::Fresh { task, .. }, Some(python)) = (&what, &host.python) {
            for name in task.variables.keys() {
                let check = python.options.check_variable(name);
                check.map_err(|problem| RunError::Variable { name: name.clone(), problem })?;
            }
        }
        let scope = Scope::first(&**host, what.id().clone(), bus, self.asked, what.is_resumed());
        let work = scope.activity().work();
        let run = drive(&**host, &scope, what, self.timeout, &work, stop).await?;
        let result = run.into_result().ok_or(RunError::DriverGone)?;
        match (&result.status, &result.failure) {
            (RunStatus::Failed, Some(failure)) => {
                Err(RunError::Failed { failure: failure.clone(), result: Box::new(result) })
            }
            _ => Ok(result),
        }
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
