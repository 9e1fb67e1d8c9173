//! Work that takes the processor, away from the async threads.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::ToolError;

/// So many pages and files are read at the same time in a process: each may take much memory while it is read.
static READERS: Semaphore = Semaphore::const_new(4);

/// Does `work` on the blocking pool. A panic in it is an error, and so is taking longer than `limit`: then nobody waits
/// for it any more, though it cannot be stopped.
pub(crate) async fn blocking<T: Send + 'static>(
    limit: Duration,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ToolError> {
    let done = tokio::time::timeout(limit, async {
        // The semaphore is never closed.
        let permit = READERS.acquire().await.ok();
        let worked = tokio::task::spawn_blocking(move || {
            // Until the work ends, also if nobody waits for it any more.
            let _permit = permit;
            work()
        });
        worked.await
    });
    match done.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(ToolError::new(format!("{what} failed: it may be damaged; use another source"))),
        Err(_) => {
            Err(ToolError::new(format!("{what} took longer than {} s: use another source", limit.as_secs())))
        }
    }
}
