//! Python for Martlet's code agents: sessions that wait for tools, worker processes, limits.
//!
//! A [`Sandbox`] opens a [`Session`]: the variables of one run. A session performs one [`CodeRequest`] after
//! another: it runs a program until that ends or waits for tools, and goes on with it when their results are
//! there. Between two programs a session is a handful of bytes that any sandbox of the same version restores.
//!
//! - [`WorkerPool`] runs Python in child processes. A program that crashes its interpreter, eats all memory or
//!   never ends costs one child; the host and the other sessions do not notice. This is the default.
//! - [`InProcess`] runs Python on threads of this process, for programs that are trusted.
//!
//! What is limited and what is not protected: `docs/sandbox.md`.
//!
//! ```no_run
//! use martlet_core::code::{CodeOutcome, CodeRequest};
//! use martlet_sandbox::{Sandbox, SessionOptions, WorkerConfig, WorkerPool};
//!
//! # async fn example() -> Result<(), martlet_sandbox::SandboxError> {
//! let pool = WorkerPool::new(WorkerConfig::new("martlet-sandbox-worker").args(Vec::<String>::new()));
//! let mut session = pool.open(SessionOptions::new([]));
//! let start = CodeRequest::start("6 * 7", None);
//! if let CodeOutcome::Ended(end) = session.perform(start, None).await? {
//!     assert_eq!(end.value.map(|value| value.repr), Some("42".to_owned()));
//! }
//! # Ok(())
//! # }
//! ```

mod dialect;
mod engine;
mod error;
mod in_process;
mod options;
#[cfg(unix)]
mod pool;
#[cfg(unix)]
mod wire;
#[cfg(unix)]
mod worker;

use futures::future::BoxFuture;
use martlet_core::code::{CodeOutcome, CodeRequest};

pub use dialect::{available_modules, dialect_notes};
pub use error::{ErrorKind, SandboxError};
pub use in_process::InProcess;
pub use options::SessionOptions;
#[cfg(unix)]
pub use pool::{WorkerConfig, WorkerPool};
#[cfg(unix)]
pub use worker::worker_main;

/// Where programs run.
pub trait Sandbox: Send + Sync {
    /// Opens a session without variables. Nothing is started before its first request.
    fn open(&self, options: SessionOptions) -> Box<dyn Session>;
}

/// The variables of one run, and the program that is at work on them.
pub trait Session: Send {
    /// Performs one request: runs a program, or goes on with the one that waits, until it ends or waits.
    ///
    /// `output` is given what the program prints, as it comes. Dropping the future while Python executes ends
    /// the program; what it had set is gone, and the last saved state stands.
    ///
    /// # Errors
    /// Only what the host has to mend: a worker that cannot be started, a saved state that is damaged, results
    /// for calls that were never made. What a program did wrong is a [`CodeOutcome::Ended`] with an error.
    fn perform<'a>(
        &'a mut self,
        request: CodeRequest,
        output: Option<&'a (dyn Fn(&str) + Send + Sync)>,
    ) -> BoxFuture<'a, Result<CodeOutcome, SandboxError>>;
}
