//! Where Python runs.

use std::sync::Arc;

use clap::ValueEnum;
use martlet::sandbox::{InProcess, Sandbox};

use crate::exit::Failure;

/// The first argument with which this program is started as a worker of its own sandbox.
#[cfg(unix)]
pub(crate) const WORKER: &str = "subprocess";

/// Where Python runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// In child processes: a program that crashes its interpreter costs one of them
    #[cfg(unix)]
    Worker,
    /// In this process: for programs that are trusted
    InProcess,
}

impl Default for Place {
    #[cfg(unix)]
    fn default() -> Self {
        Self::Worker
    }

    #[cfg(not(unix))]
    fn default() -> Self {
        Self::InProcess
    }
}

impl Place {
    /// The sandbox. Nothing is started yet.
    pub(crate) fn open(self) -> Result<Arc<dyn Sandbox>, Failure> {
        match self {
            #[cfg(unix)]
            Self::Worker => Ok(Arc::new(workers()?)),
            Self::InProcess => Ok(Arc::new(InProcess::new())),
        }
    }
}

/// Workers that are this program itself.
#[cfg(unix)]
pub(crate) fn workers() -> Result<martlet::sandbox::WorkerPool, Failure> {
    use martlet::sandbox::{WorkerConfig, WorkerPool};
    let program = std::env::current_exe().map_err(|error| {
        Failure::host(
            "cannot find this program to start it as the worker of the sandbox (--sandbox in-process does without)",
            error,
        )
    })?;
    Ok(WorkerPool::new(WorkerConfig::new(program).args([WORKER])))
}

/// Whether programs can be allowed to import this module.
pub(crate) fn has_module(name: &str) -> bool {
    martlet::sandbox::SessionOptions::new([]).imports([name]).is_ok()
}
