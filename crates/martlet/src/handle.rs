//! A run under way: to be watched, cancelled, awaited.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use futures::future::BoxFuture;
use martlet_core::run::StopReason;
use martlet_core::{RunId, RunResult};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::RunError;
use crate::observe::{Bus, Observer, Update};
use crate::request::RunRequest;

/// A run under way. It is a stream of [`Update`]s; awaiting it gives the result. Dropping it cancels the run.
pub struct RunHandle {
    id: RunId,
    bus: Arc<Bus>,
    observer: Observer,
    stop: watch::Sender<bool>,
    task: AbortOnDrop,
}

/// A task that does not outlive its handle.
struct AbortOnDrop(JoinHandle<Result<RunResult, RunError>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends the streams of observers, also when the run's task is aborted.
struct CloseOnDrop(Arc<Bus>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl RunHandle {
    pub(crate) fn spawn(request: RunRequest) -> Self {
        let bus = Arc::new(Bus::default());
        let observer = bus.observe();
        let id = request.run_id().clone();
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn({
            let bus = bus.clone();
            async move {
                let close = CloseOnDrop(bus.clone());
                let stop = async move {
                    // The handle may be gone: then the task is aborted, and this never has to answer.
                    let gone = stopped.wait_for(|stopped| *stopped).await.is_err();
                    if gone {
                        std::future::pending::<()>().await;
                    }
                    StopReason::Cancelled
                };
                let result = request.drive(Some(bus), stop).await;
                drop(close);
                result
            }
        });
        Self { id, bus, observer, stop, task: AbortOnDrop(task) }
    }

    /// The run's name.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The next update; `None` when the run has ended and everything was seen.
    pub async fn next(&mut self) -> Option<Update> {
        self.observer.next().await
    }

    /// One more observer of the same run. It sees all events from the first one on.
    pub fn observe(&self) -> Observer {
        self.bus.observe()
    }

    /// Asks the run to end. Everything in it is stopped; its result has the status `Cancelled` and the steps so
    /// far.
    pub fn cancel(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// As awaiting a [`RunRequest`].
    pub async fn result(mut self) -> Result<RunResult, RunError> {
        match (&mut self.task.0).await {
            Ok(result) => result,
            Err(_) => Err(RunError::DriverGone),
        }
    }
}

impl Stream for RunHandle {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        Pin::new(&mut self.observer).poll_next(cx)
    }
}

impl IntoFuture for RunHandle {
    type Output = Result<RunResult, RunError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.result())
    }
}
