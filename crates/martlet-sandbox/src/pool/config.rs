//! How workers are started and kept.

use std::ffi::OsString;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// How a pool starts and keeps its workers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// The worker's program: a path, or a name that is looked up in `PATH`.
    pub command: PathBuf,
    /// Its arguments. Default: `subprocess`.
    pub args: Vec<OsString>,
    /// The most workers that live at a time. Default: 2 per core.
    pub workers: usize,
    /// How long a program that waits for tools keeps its worker if nobody else wants it. Default: 20 ms.
    pub hold: Duration,
    /// How long a worker without work is kept. Default: 60 s.
    pub idle: Duration,
    /// After how many programs a worker is replaced. Default: 1,000.
    pub programs: u32,
    /// The memory, in bytes, with which a worker is replaced after a program. Default: 128 MiB.
    pub resident_bytes: u64,
    /// The time that a worker has beyond a program's own limit before it is killed. Default: 1 s.
    pub grace: Duration,
}

impl WorkerConfig {
    /// Workers that are started as `command subprocess`.
    pub fn new(command: impl Into<PathBuf>) -> Self {
        Self {
            command: command.into(),
            args: vec!["subprocess".into()],
            workers: thread::available_parallelism().map_or(2, |cores| cores.get() * 2),
            hold: Duration::from_millis(20),
            idle: Duration::from_secs(60),
            programs: 1_000,
            resident_bytes: 128 << 20,
            grace: Duration::from_secs(1),
        }
    }

    /// Sets the arguments.
    pub fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the most workers that live at a time; at least one.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets how long a program that waits for tools keeps its worker if nobody else wants it.
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Sets how long a worker without work is kept.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets after how many programs a worker is replaced.
    pub fn programs(mut self, programs: u32) -> Self {
        self.programs = programs;
        self
    }

    /// Sets the memory, in bytes, with which a worker is replaced after a program.
    pub fn resident_bytes(mut self, bytes: u64) -> Self {
        self.resident_bytes = bytes;
        self
    }

    /// Sets the time that a worker has beyond a program's own limit before it is killed.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}
