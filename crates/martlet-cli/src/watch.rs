//! Watching a run: its updates are shown, signals stop it.

use std::future::pending;
use std::io::{self, Write as _};
use std::time::Duration;

use martlet::{RunHandle, Update};

use crate::render::Renderer;
use crate::signals::{Signal, Signals};

/// How a watched run ended.
pub(crate) struct Watched<T, E> {
    pub(crate) result: Result<T, E>,
    /// The signal that stopped it.
    pub(crate) signal: Option<Signal>,
    /// Why its updates could not be written any more.
    pub(crate) unwritten: Option<io::Error>,
}

/// What shows a run.
pub(crate) trait Watcher {
    /// Shows one update.
    fn update(&mut self, update: &Update);

    /// A remark of the command itself.
    fn note(&mut self, text: &str);

    /// Shows that time passes, every [`Watcher::ticks`].
    fn tick(&mut self) {}

    /// How often time is to be shown, if at all.
    fn ticks(&self) -> Option<Duration> {
        None
    }

    /// Ends what is still open.
    fn finish(&mut self);
}

impl<W: io::Write> Watcher for Renderer<W> {
    fn update(&mut self, update: &Update) {
        Renderer::update(self, update);
    }

    fn note(&mut self, text: &str) {
        Renderer::note(self, text);
    }

    fn finish(&mut self) {
        Renderer::finish(self);
    }
}

/// Shows the updates of `run` until it ends. The first signal cancels it; the second ends the process. `each` is
/// given every update, too; if it fails, the run is cancelled.
pub(crate) async fn watch<T: Send + 'static, E: Send + 'static>(
    mut run: RunHandle<T, E>,
    watcher: &mut impl Watcher,
    signals: &mut Signals,
    mut each: impl FnMut(&Update) -> io::Result<()>,
) -> Watched<T, E> {
    let mut signal = None;
    let mut unwritten = None;
    let mut clock = watcher.ticks().map(tokio::time::interval);
    loop {
        let tick = async {
            match &mut clock {
                Some(clock) => clock.tick().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            next = signals.next() => {
                if signal.is_some() {
                    // Workers die with this process; nothing else outlives it.
                    std::process::exit(next.exit().code());
                }
                signal = Some(next);
                run.cancel();
                watcher.note("stopping; press Ctrl-C again to end at once");
            }
            _ = tick => watcher.tick(),
            update = run.next() => {
                let Some(update) = update else { break };
                watcher.update(&update);
                if unwritten.is_none() && let Err(error) = each(&update) {
                    unwritten = Some(error);
                    run.cancel();
                }
            }
        }
    }
    watcher.finish();
    let _ = io::stderr().flush();
    Watched { result: run.result().await, signal, unwritten }
}
