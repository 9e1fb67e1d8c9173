//! Python in child processes: a queue of programs, and workers that serve it.
//!
//! Each worker is a child process and a thread of ours that talks to it. A thread, because it can always kill
//! its child in time and reap it, whatever becomes of the async runtime that asked for the program. A worker is
//! taken only while Python executes: a program that waits stays in it for a moment, in case its tools are quick,
//! and is then saved, to be restored in whichever worker is free.

mod config;
mod process;
mod session;
mod supervisor;

use std::collections::{HashMap, VecDeque};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use martlet_core::code::{CallResult, CodeEnd, CodeOutcome, CodeRequest};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use self::session::PoolSession;
use crate::engine::{Setup, Wait};
use crate::error::{ErrorKind, SandboxError};
use crate::options::SessionOptions;
use crate::{Sandbox, Session};

pub use self::config::WorkerConfig;

/// Runs programs in child processes, which are started when they are needed and kept for the next program.
///
/// Cloning gives another handle to the same workers. The workers end with the last handle and session.
#[derive(Debug, Clone)]
pub struct WorkerPool {
    handle: Arc<Handle>,
}

impl WorkerPool {
    /// A pool that starts its workers as `config` says. Nothing is started yet.
    pub fn new(config: WorkerConfig) -> Self {
        let shared = Shared { config, state: Mutex::default(), changed: Condvar::new() };
        Self { handle: Arc::new(Handle { shared: Arc::new(shared), threads: Mutex::default() }) }
    }

    /// Runs an empty program, to see whether workers can be started.
    ///
    /// # Errors
    /// Says why they cannot, and what to do.
    pub async fn check(&self) -> Result<(), SandboxError> {
        let request = CodeRequest::start("0", None);
        match self.open(SessionOptions::new([])).perform(request, None).await? {
            CodeOutcome::Ended(CodeEnd { error: None, .. }) => Ok(()),
            other => Err(SandboxError::new(
                ErrorKind::Worker,
                format!("the worker does not work: it answered an empty program with {other:?}"),
            )),
        }
    }

    /// The process ids of the workers that live.
    pub fn processes(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.handle.shared.lock().processes.clone();
        ids.sort_unstable();
        ids
    }
}

impl Sandbox for WorkerPool {
    fn open(&self, options: SessionOptions) -> Box<dyn Session> {
        Box::new(PoolSession::new(Arc::clone(&self.handle), options.into()))
    }
}

/// Ends the workers when nobody uses the pool any more.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        // Nothing runs any more, or this handle would be alive: each thread kills an idle child and returns.
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

impl Handle {
    /// Puts a job at the end of the queue, and sees to it that somebody serves it.
    fn submit(&self, job: Job) {
        let mut state = self.shared.lock();
        state.queue.push_back(job);
        if state.queue.len() > state.idle && state.workers < self.shared.config.workers.max(1) {
            // Counted before it runs, so that the next job does not start another one in its place.
            state.workers += 1;
            state.idle += 1;
            drop(state);
            if let Err(error) = self.start_thread() {
                let mut state = self.shared.lock();
                state.workers -= 1;
                state.idle -= 1;
                if state.workers == 0 {
                    for job in state.queue.drain(..) {
                        job.fail(
                            SandboxError::new(
                                ErrorKind::Worker,
                                "cannot start a thread for a worker; raise the limit of threads of this process",
                            )
                            .caused_by(error.to_string()),
                        );
                    }
                }
            }
        }
        self.shared.changed.notify_all();
    }

    fn start_thread(&self) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("martlet-sandbox".into())
            .spawn(move || supervisor::serve(&shared))?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }
}

#[derive(Debug)]
struct Shared {
    config: WorkerConfig,
    state: Mutex<State>,
    /// Notified when anything in the state changes that a worker may wait for.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

#[derive(Debug, Default)]
struct State {
    /// First come, first served.
    queue: VecDeque<Job>,
    /// Programs that wait, by [`Job::program`].
    waiting: HashMap<u64, Waiting>,
    workers: usize,
    /// Workers that wait for a job.
    idle: usize,
    processes: Vec<u32>,
    next_program: u64,
    closed: bool,
}

/// Where a program is that waits for its tools.
#[derive(Debug)]
enum Waiting {
    /// In the worker that ran it.
    Held,
    /// As before, and this is to be done with it.
    Called(Job),
    /// Here.
    Saved(Bytes),
    /// Its worker died, or could not save it.
    Lost(String),
}

/// What a worker is to do.
#[derive(Debug)]
struct Job {
    program: u64,
    setup: Arc<Setup>,
    work: Work,
    /// The time after which the worker is killed.
    budget: Duration,
    events: mpsc::Sender<Event>,
    control: Arc<Control>,
}

#[derive(Debug)]
enum Work {
    Start {
        code: String,
        variables: Arc<Map<String, Value>>,
        session: Option<Bytes>,
    },
    Resume {
        results: Vec<CallResult>,
        /// The saved program; `None` while it is in the worker that does the job.
        saved: Option<Bytes>,
    },
}

impl Job {
    /// Tells the session that nothing came of it. The session may be gone.
    fn fail(self, error: SandboxError) {
        let _ = self.events.try_send(Event::Done(Done { what: Err(error), busy: Duration::ZERO }));
    }
}

/// What a session hears of its job.
#[derive(Debug)]
enum Event {
    Printed(String),
    Done(Done),
}

#[derive(Debug)]
struct Done {
    what: Result<What, SandboxError>,
    /// How long the worker was busy with it.
    busy: Duration,
}

#[derive(Debug)]
enum What {
    Waiting(Wait),
    Ended(Box<CodeEnd>),
    Died(process::Death),
    /// The program that waited is gone.
    Lost(String),
}

/// Lets a session stop its job from outside.
#[derive(Debug, Default)]
struct Control {
    phase: Mutex<Phase>,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Queued,
    Running(Arc<Mutex<Child>>),
    Done,
    Stopped,
}

impl Control {
    /// Ends the job, wherever it is: its worker is killed if it is at work on it, and only then.
    fn stop(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Running(child) = &*phase {
            process::kill(child);
        }
        if !matches!(*phase, Phase::Done) {
            *phase = Phase::Stopped;
        }
    }

    /// Says that `child` is at work on the job from now on; `false` if it was stopped before.
    fn run(&self, child: &Arc<Mutex<Child>>) -> bool {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let go = !matches!(*phase, Phase::Stopped);
        if go {
            *phase = Phase::Running(Arc::clone(child));
        }
        go
    }

    fn is_stopped(&self) -> bool {
        matches!(*self.phase.lock().unwrap_or_else(PoisonError::into_inner), Phase::Stopped)
    }

    /// Says that the worker is done with the job: from now on it must not be killed for its sake. `false` if it
    /// was killed already.
    fn finish(&self) -> bool {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let spared = !matches!(*phase, Phase::Stopped);
        if spared {
            *phase = Phase::Done;
        }
        spared
    }
}
