//! Python on threads of this process.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::code::{CallResult, CodeEnd, CodeOutcome, CodeRequest};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, mpsc};

use crate::engine::snapshot::{self, Kind};
use crate::engine::{self, Host, Paused, Setup, Turn};
use crate::error::{ErrorKind, SandboxError};
use crate::options::SessionOptions;
use crate::{Sandbox, Session};

/// Deeply nested source and data need a deep stack; the pages are only taken when they are used.
pub(crate) const STACK_BYTES: usize = 64 << 20;
/// Printed chunks that wait for a slow reader.
const OUTPUT_CHUNKS: usize = 16;

/// Runs programs on threads of this process: for programs that are trusted.
///
/// Files, network and environment are as far away as in a worker, and the time limit holds. But a program that
/// exhausts the memory, or finds a fault in the interpreter, takes the process along, and a native loop is only
/// stopped where the interpreter looks. For programs that a model wrote, use a `WorkerPool`.
#[derive(Debug, Clone)]
pub struct InProcess {
    threads: Arc<Semaphore>,
}

impl InProcess {
    /// A sandbox that runs as many programs at a time as there are cores.
    pub fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { threads: Arc::new(Semaphore::new(cores)) }
    }
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox for InProcess {
    fn open(&self, options: SessionOptions) -> Box<dyn Session> {
        Box::new(InProcessSession {
            setup: Arc::new(options.into()),
            threads: Arc::clone(&self.threads),
            waiting: None,
        })
    }
}

struct InProcessSession {
    setup: Arc<Setup>,
    threads: Arc<Semaphore>,
    waiting: Option<Box<Paused>>,
}

impl Session for InProcessSession {
    fn perform<'a>(
        &'a mut self,
        request: CodeRequest,
        output: Option<&'a (dyn Fn(&str) + Send + Sync)>,
    ) -> BoxFuture<'a, Result<CodeOutcome, SandboxError>> {
        Box::pin(async move {
            let mut work = match request {
                CodeRequest::Start { code, session, variables } => {
                    self.waiting = None;
                    let session = session.map(|blob| blob.0);
                    if let Some(bytes) = &session {
                        snapshot::check(Kind::Session, bytes).map_err(damaged)?;
                    }
                    Work::Start { code, variables, session }
                }
                CodeRequest::Resume { results } => match self.waiting.take() {
                    Some(paused) => Work::Resume { paused, results },
                    None => return Ok(CodeOutcome::lost(NOT_HELD)),
                },
            };
            loop {
                match self.run(work, output).await? {
                    Turn::Ended(end) => return Ok(CodeOutcome::Ended(*end)),
                    Turn::Refused(reason) => return Err(refused(&reason)),
                    Turn::Waiting(paused, wait) => match wait.sleep_ms {
                        Some(time) => {
                            tokio::time::sleep(Duration::from_millis(time)).await;
                            work = Work::Resume { paused, results: Vec::new() };
                        }
                        None => {
                            self.waiting = Some(paused);
                            return Ok(CodeOutcome::Waiting { calls: wait.calls, awaiting: wait.awaiting });
                        }
                    },
                }
            }
        })
    }
}

impl InProcessSession {
    async fn run(
        &mut self,
        work: Work,
        output: Option<&(dyn Fn(&str) + Send + Sync)>,
    ) -> Result<Turn, SandboxError> {
        let permit = Arc::clone(&self.threads)
            .acquire_owned()
            .await
            .map_err(|_| SandboxError::new(ErrorKind::Closed, "the sandbox was closed"))?;
        let (events, mut arriving) = mpsc::channel(OUTPUT_CHUNKS);
        let stop = StopOnDrop::default();
        let mut host = ThreadHost {
            events: events.clone(),
            stopped: Arc::clone(&stop.0),
            wants_output: output.is_some(),
        };
        let setup = Arc::clone(&self.setup);
        thread::Builder::new()
            .name("martlet-python".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let turn = catch_unwind(AssertUnwindSafe(|| work.run(&setup, &mut host)));
                let turn = turn.unwrap_or_else(|_| interpreter_failed());
                // Gone with the future that dropped it.
                let _ = events.blocking_send(Event::Done(turn));
                drop(permit);
            })
            .map_err(|error| {
                SandboxError::new(
                    ErrorKind::Worker,
                    "cannot start a thread for Python; raise the limit of threads of this process",
                )
                .caused_by(error)
            })?;
        loop {
            match arriving.recv().await {
                Some(Event::Printed(text)) => {
                    if let Some(output) = output {
                        output(&text);
                    }
                }
                Some(Event::Done(turn)) => return Ok(turn),
                None => return Ok(interpreter_failed()),
            }
        }
    }
}

enum Work {
    Start { code: String, variables: Arc<Map<String, Value>>, session: Option<bytes::Bytes> },
    Resume { paused: Box<Paused>, results: Vec<CallResult> },
}

impl Work {
    fn run(self, setup: &Setup, host: &mut dyn Host) -> Turn {
        match self {
            Self::Start { code, variables, session } => {
                engine::start(setup, &code, &variables, session.as_deref(), host)
            }
            Self::Resume { paused, results } => engine::resume(setup, *paused, results, host),
        }
    }
}

enum Event {
    Printed(String),
    Done(Turn),
}

struct ThreadHost {
    events: mpsc::Sender<Event>,
    stopped: Arc<AtomicBool>,
    wants_output: bool,
}

impl Host for ThreadHost {
    fn print(&mut self, text: &str) {
        if self.wants_output && self.events.blocking_send(Event::Printed(text.to_owned())).is_err() {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    fn checkpoint(&mut self) -> ControlFlow<()> {
        if self.stopped.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Stops the program when nobody waits for it any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) const NOT_HELD: &str = "the sandbox holds no waiting program of this session";

pub(crate) fn damaged(error: snapshot::SnapshotError) -> SandboxError {
    SandboxError::new(
        ErrorKind::Snapshot,
        format!("cannot restore the saved Python session: {error}; start the run again without it"),
    )
    .caused_by(error)
}

pub(crate) fn refused(reason: &str) -> SandboxError {
    SandboxError::new(ErrorKind::Request, format!("the sandbox refused the request: {reason}"))
}

fn interpreter_failed() -> Turn {
    let message = "the interpreter itself failed on this program; the variables are as they were before it. Write \
                   it in a simpler way";
    let error = engine::own_error("WorkerCrashed", message.into());
    Turn::Ended(Box::new(CodeEnd { error: Some(error), ..CodeEnd::default() }))
}
