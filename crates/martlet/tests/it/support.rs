//! What several tests need.

use tokio::sync::oneshot;

/// Says when it is dropped.
pub(crate) struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            let _ = tell.send(());
        }
    }
}

/// Something that is to be dropped, and what to await for that.
pub(crate) fn dropped() -> (Dropped, oneshot::Receiver<()>) {
    let (tell, told) = oneshot::channel();
    (Dropped(Some(tell)), told)
}
