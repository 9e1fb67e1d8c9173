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

/// A run under way, of an agent or of a graph ([`GraphHandle`](crate::GraphHandle)). It is a stream of [`Update`]s;
/// awaiting it gives the result. Dropping it cancels the run.
pub struct RunHandle<T = RunResult, E = RunError> {
    id: RunId,
    bus: Arc<Bus>,
    observer: Observer,
    stop: watch::Sender<bool>,
    task: AbortOnDrop<Result<T, E>>,
    /// The error of a run whose task is gone.
    gone: E,
}

/// A task that does not outlive its handle.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
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

impl<T: Send + 'static, E: Send + 'static> RunHandle<T, E> {
    /// Spawns what `drive` makes of where the updates go and of what ends the run from outside.
    pub(crate) fn spawn<F>(id: RunId, gone: E, drive: impl FnOnce(Arc<Bus>, Stop) -> F) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let bus = Arc::new(Bus::default());
        let observer = bus.observe();
        let (stop, stopped) = watch::channel(false);
        let close = CloseOnDrop(bus.clone());
        let driving = drive(bus.clone(), Box::pin(asked(stopped)));
        let task = tokio::spawn(async move {
            let result = driving.await;
            drop(close);
            result
        });
        Self { id, bus, observer, stop, task: AbortOnDrop(task), gone }
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
    /// As awaiting a [`RunRequest`](crate::RunRequest).
    pub async fn result(mut self) -> Result<T, E> {
        match (&mut self.task.0).await {
            Ok(result) => result,
            Err(_) => Err(self.gone),
        }
    }
}

/// Ready when the run is asked to end.
pub(crate) type Stop = BoxFuture<'static, StopReason>;

async fn asked(mut stopped: watch::Receiver<bool>) -> StopReason {
    // The handle may be gone: then the task is aborted, and this never has to answer.
    let gone = stopped.wait_for(|stopped| *stopped).await.is_err();
    if gone {
        std::future::pending::<()>().await;
    }
    StopReason::Cancelled
}

impl<T: Unpin, E: Unpin> Stream for RunHandle<T, E> {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        Pin::new(&mut self.observer).poll_next(cx)
    }
}

impl<T: Send + 'static, E: Send + 'static> IntoFuture for RunHandle<T, E> {
    type Output = Result<T, E>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.result())
    }
}
