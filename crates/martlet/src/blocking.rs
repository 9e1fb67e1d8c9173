//! Runs from code without async.

use std::future::IntoFuture;
use std::sync::OnceLock;

/// Awaits a run on a runtime that all runs of the process which are started this way share.
pub(crate) fn block_on<R: IntoFuture>(run: R) -> Result<R::Output, BlockingError> {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(BlockingError::InAsync);
    }
    let runtime = match RUNTIME.get() {
        Some(runtime) => runtime,
        None => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(BlockingError::Runtime)?;
            RUNTIME.get_or_init(|| runtime)
        }
    };
    Ok(runtime.block_on(run.into_future()))
}

/// Why a run could not be awaited. Each kind of run has its own error for it.
pub(crate) enum BlockingError {
    InAsync,
    Runtime(std::io::Error),
}
