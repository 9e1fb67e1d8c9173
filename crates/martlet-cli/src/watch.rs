//! Watching a run: its updates are shown, signals stop it.

use std::io::{self, Write as _};

use martlet::{RunError, RunHandle, RunResult, Update};

use crate::render::Renderer;
use crate::signals::{Signal, Signals};

/// How a watched run ended.
pub(crate) struct Watched {
    pub(crate) result: Result<RunResult, RunError>,
    /// The signal that stopped it.
    pub(crate) signal: Option<Signal>,
    /// Why its updates could not be written any more.
    pub(crate) unwritten: Option<io::Error>,
}

/// Shows the updates of `run` until it ends. The first signal cancels it; the second ends the process. `each` is
/// given every update, too; if it fails, the run is cancelled.
pub(crate) async fn watch<W: io::Write>(
    mut run: RunHandle,
    renderer: &mut Renderer<W>,
    signals: &mut Signals,
    mut each: impl FnMut(&Update) -> io::Result<()>,
) -> Watched {
    let mut signal = None;
    let mut unwritten = None;
    loop {
        tokio::select! {
            biased;
            next = signals.next() => {
                if signal.is_some() {
                    // Workers die with this process; nothing else outlives it.
                    std::process::exit(next.exit().code());
                }
                signal = Some(next);
                run.cancel();
                renderer.note("stopping; press Ctrl-C again to end at once");
            }
            update = run.next() => {
                let Some(update) = update else { break };
                renderer.update(&update);
                if unwritten.is_none() && let Err(error) = each(&update) {
                    unwritten = Some(error);
                    run.cancel();
                }
            }
        }
    }
    renderer.finish();
    let _ = io::stderr().flush();
    Watched { result: run.result().await, signal, unwritten }
}
