//! A session whose programs run in the pool's workers.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::code::{CallResult, CodeEnd, CodeOutcome, CodeRequest};
use martlet_core::tool::ToolSpec;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::process::Death;
use super::{Control, Done, Event, Handle, Job, Waiting, What, Work};
use crate::Session;
use crate::engine::snapshot::{self, Kind};
use crate::engine::{self, Setup};
use crate::error::{ErrorKind, SandboxError};
use crate::in_process::{NOT_HELD, damaged};

/// Printed chunks that wait for a slow reader.
const OUTPUT_CHUNKS: usize = 16;

type Output<'a> = Option<&'a (dyn Fn(&str) + Send + Sync)>;

pub(super) struct PoolSession {
    pool: Arc<Handle>,
    setup: Arc<Setup>,
    /// The program that waits for tools.
    program: Option<Program>,
}

/// A program between its start and its end.
struct Program {
    id: u64,
    pool: Arc<Handle>,
    /// What it printed; kept here as well, because a worker that dies takes its own copy along.
    printed: String,
    /// The time for which it kept workers busy.
    busy: Duration,
}

impl Drop for Program {
    fn drop(&mut self) {
        // The worker that holds it, if one does, wakes up and drops it too.
        if self.pool.shared.lock().waiting.remove(&self.id).is_some() {
            self.pool.shared.changed.notify_all();
        }
    }
}

impl PoolSession {
    pub(super) fn new(pool: Arc<Handle>, mut setup: Setup) -> Self {
        // Workers bind arguments; they have no use for descriptions.
        if setup.tools.iter().any(|tool| !tool.description.is_empty()) {
            setup.tools = setup
                .tools
                .iter()
                .map(|tool| ToolSpec::new(tool.name.clone(), "").parameters(tool.parameters.clone()))
                .collect();
        }
        Self { pool, setup: Arc::new(setup), program: None }
    }

    fn new_program(&self) -> Program {
        let mut state = self.pool.shared.lock();
        state.next_program += 1;
        Program {
            id: state.next_program,
            pool: Arc::clone(&self.pool),
            printed: String::new(),
            busy: Duration::ZERO,
        }
    }

    async fn start(
        &mut self,
        code: String,
        variables: Arc<Map<String, Value>>,
        session: Option<bytes::Bytes>,
        output: Output<'_>,
    ) -> Result<CodeOutcome, SandboxError> {
        self.program = None;
        if let Some(bytes) = &session {
            snapshot::check(Kind::Session, bytes).map_err(damaged)?;
        }
        let mut program = self.new_program();
        let what = self.run(&mut program, Work::Start { code, variables, session }, output).await?;
        self.settle(program, what, output).await
    }

    async fn resume(
        &mut self,
        results: Vec<CallResult>,
        output: Output<'_>,
    ) -> Result<CodeOutcome, SandboxError> {
        let Some(mut program) = self.program.take() else {
            return Ok(CodeOutcome::lost(NOT_HELD));
        };
        let what = self.run(&mut program, Work::Resume { results, saved: None }, output).await?;
        self.settle(program, what, output).await
    }

    /// Turns what came of a job into an outcome; a program that sleeps goes on here.
    async fn settle(
        &mut self,
        mut program: Program,
        mut what: What,
        output: Output<'_>,
    ) -> Result<CodeOutcome, SandboxError> {
        loop {
            let wait = match what {
                What::Ended(end) => return Ok(CodeOutcome::Ended(*end)),
                What::Died(death) => return Ok(CodeOutcome::Ended(self.died(program, death))),
                What::Lost(reason) => return Ok(CodeOutcome::lost(reason)),
                What::Waiting(wait) => wait,
            };
            let Some(time) = wait.sleep_ms else {
                self.program = Some(program);
                return Ok(CodeOutcome::Waiting { calls: wait.calls, awaiting: wait.awaiting });
            };
            tokio::time::sleep(Duration::from_millis(time)).await;
            let go_on = Work::Resume { results: Vec::new(), saved: None };
            what = self.run(&mut program, go_on, output).await?;
        }
    }

    /// Has a worker do one job. The worker is killed if this is dropped meanwhile.
    async fn run(&self, program: &mut Program, work: Work, output: Output<'_>) -> Result<What, SandboxError> {
        let (events, mut arriving) = mpsc::channel(OUTPUT_CHUNKS);
        let stop = StopOnDrop(Arc::default());
        let limit = Duration::from_millis(self.setup.limits.time_ms);
        let job = Job {
            program: program.id,
            setup: Arc::clone(&self.setup),
            budget: limit.saturating_sub(program.busy).saturating_add(self.pool.shared.config.grace),
            work,
            events,
            control: Arc::clone(&stop.0),
        };
        if let Err(reason) = self.hand_over(job) {
            return Ok(What::Lost(reason));
        }
        while let Some(event) = arriving.recv().await {
            match event {
                Event::Printed(text) => {
                    if let Some(output) = output {
                        output(&text);
                    }
                    program.printed.push_str(&text);
                }
                Event::Done(Done { what, busy }) => {
                    program.busy += busy;
                    return what;
                }
            }
        }
        Err(SandboxError::new(ErrorKind::Closed, "the sandbox was closed while a program was in its queue"))
    }

    /// Gives the job to the worker that holds its program, or to the queue.
    fn hand_over(&self, mut job: Job) -> Result<(), String> {
        if let Work::Resume { saved, .. } = &mut job.work {
            let mut state = self.pool.shared.lock();
            match state.waiting.remove(&job.program) {
                Some(Waiting::Held) => {
                    state.waiting.insert(job.program, Waiting::Called(job));
                    self.pool.shared.changed.notify_all();
                    return Ok(());
                }
                Some(Waiting::Saved(bytes)) => *saved = Some(bytes),
                Some(Waiting::Lost(reason)) => return Err(reason),
                Some(Waiting::Called(_)) | None => return Err(NOT_HELD.into()),
            }
        }
        self.pool.submit(job);
        Ok(())
    }

    fn died(&self, mut program: Program, death: Death) -> CodeEnd {
        let limits = &self.setup.limits;
        let (kind, message) = match death {
            Death::TimedOut => {
                let text = engine::time_exceeded(limits);
                ("TimeoutError", format!("{text}. The variables are as they were before the program"))
            }
            Death::OutOfMemory => ("MemoryError", engine::memory_exceeded(limits)),
            Death::StackOverflow => (
                "WorkerCrashed",
                "the program is nested too deeply for the interpreter (an expression, or lists in lists); the \
                 variables are as they were before it. Use a loop, or flatter data"
                    .to_owned(),
            ),
            Death::Crashed => (
                "WorkerCrashed",
                "the interpreter failed on this program; the variables are as they were before it. Write it in a \
                 simpler way"
                    .to_owned(),
            ),
        };
        CodeEnd {
            stdout: std::mem::take(&mut program.printed),
            error: Some(engine::own_error(kind, message)),
            ..CodeEnd::default()
        }
    }
}

impl Session for PoolSession {
    fn perform<'a>(
        &'a mut self,
        request: CodeRequest,
        output: Output<'a>,
    ) -> BoxFuture<'a, Result<CodeOutcome, SandboxError>> {
        Box::pin(async move {
            match request {
                CodeRequest::Start { code, session, variables } => {
                    self.start(code, variables, session.map(|blob| blob.0), output).await
                }
                CodeRequest::Resume { results } => self.resume(results, output).await,
            }
        })
    }
}

/// Stops a job when nobody waits for it any more.
struct StopOnDrop(Arc<Control>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}
