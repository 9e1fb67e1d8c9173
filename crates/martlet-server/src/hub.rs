//! Bringing what happens to those who watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use martlet_core::RunId;
use martlet_store::StoredEvent;
use tokio::sync::broadcast;

/// What is kept for a watcher that falls behind. Events that it misses are in the store; the rest is lost to it.
const KEPT: usize = 256;

/// Something to show.
#[derive(Debug, Clone)]
pub(crate) enum Frame {
    /// An event that is committed.
    Event(StoredEvent),
    /// Something that nobody stores.
    Passing {
        /// What it is: `queue`, `state`, `stream` or `approval`.
        name: &'static str,
        /// JSON.
        data: Bytes,
    },
}

/// Brings what happens in runs to those who watch them. Nothing is kept of runs that nobody watches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<HashMap<RunId, broadcast::Sender<Frame>>>>);

impl Hub {
    /// Everything of the run and the runs in it, from now on.
    pub(crate) fn watch(&self, root: &RunId) -> Watch {
        let mut runs = self.lock();
        let frames = match runs.get(root) {
            Some(sender) => sender.subscribe(),
            None => {
                let (sender, frames) = broadcast::channel(KEPT);
                runs.insert(root.clone(), sender);
                frames
            }
        };
        Watch { frames: Some(frames), hub: self.clone(), root: root.clone() }
    }

    /// Shows something to all who watch the run. Never waits.
    pub(crate) fn show(&self, root: &RunId, frame: impl FnOnce() -> Frame) {
        if let Some(sender) = self.lock().get(root) {
            // Whoever watched may have gone just now.
            let _ = sender.send(frame());
        }
    }

    #[cfg(test)]
    fn is_watched(&self, root: &RunId) -> bool {
        self.lock().contains_key(root)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, broadcast::Sender<Frame>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches a run.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Always there but while this is dropped.
    frames: Option<broadcast::Receiver<Frame>>,
    hub: Hub,
    root: RunId,
}

/// Some frames were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missed;

impl Watch {
    /// The next frame. A watcher that is too slow is told that it missed some.
    pub(crate) async fn next(&mut self) -> Result<Frame, Missed> {
        let Some(frames) = &mut self.frames else { return std::future::pending().await };
        match frames.recv().await {
            Ok(frame) => Ok(frame),
            Err(broadcast::error::RecvError::Lagged(_)) => Err(Missed),
            // The sender is in the hub for as long as somebody watches.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut runs = self.hub.lock();
        // Under the lock, so that of two who leave at once the second one finds that it is the last.
        self.frames = None;
        if runs.get(&self.root).is_some_and(|sender| sender.receiver_count() == 0) {
            runs.remove(&self.root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(text: &'static str) -> Frame {
        Frame::Passing { name: "delta", data: Bytes::from_static(text.as_bytes()) }
    }

    #[tokio::test]
    async fn each_run_has_its_own_watchers() {
        let hub = Hub::default();
        let (one, other) = (RunId::from_bits(1), RunId::from_bits(2));
        let mut watch = hub.watch(&one);
        let second = hub.watch(&one);
        hub.show(&other, || panic!("nobody watches this run"));
        hub.show(&one, || passing("x"));
        assert!(matches!(watch.next().await, Ok(Frame::Passing { data, .. }) if data == "x"));
        drop(watch);
        assert!(hub.is_watched(&one));
        drop(second);
        assert!(!hub.is_watched(&one));
    }

    #[tokio::test]
    async fn a_slow_watcher_is_told_and_slows_nobody() {
        let hub = Hub::default();
        let run = RunId::from_bits(1);
        let mut watch = hub.watch(&run);
        for _ in 0..2 * KEPT {
            hub.show(&run, || passing("x"));
        }
        assert_eq!(watch.next().await.err(), Some(Missed));
        assert!(watch.next().await.is_ok());
    }
}
