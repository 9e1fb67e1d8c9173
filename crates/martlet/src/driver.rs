//! The local driver: performs the effects of one run, of an agent or of a graph, as one future.
//!
//! Whatever the run asks for at the same time is performed at the same time. An outcome is recorded, with the events that
//! follow from it, before any of it is shown or acted upon. Dropping the future drops every effect: sockets close, tools
//! stop, Python ends, child runs end with all that is theirs.

mod agent;
mod budget;
mod child;
mod clock;
mod effect;
mod error;
mod fork;
mod graph;
mod host;
mod log;
mod scope;

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{AbortHandle, Abortable, Aborted};
use futures::stream::FuturesUnordered;
use martlet_core::run::StopReason;
use martlet_core::{EffectId, Machine, RunId, Settlement};
use martlet_tools::Work;

pub(crate) use agent::with_file_tool;
pub(crate) use clock::now_ms;
pub(crate) use error::DriveError;
pub(crate) use fork::fork;
pub(crate) use scope::{Asked, Scope};

use crate::record::JournalRecord;
use effect::{Done, Performed, perform};
use host::Host;
use log::{Begun, Log};

/// What is to be driven.
pub(crate) enum What<T> {
    /// A new run.
    Fresh { id: RunId, task: T },
    /// A run that the journal holds.
    Resumed { id: RunId },
    /// A run that the journal holds if it had begun.
    ResumedOrFresh { id: RunId, task: T },
}

impl<T> What<T> {
    /// The name of the run.
    pub(crate) fn id(&self) -> &RunId {
        match self {
            Self::Fresh { id, .. } | Self::Resumed { id } | Self::ResumedOrFresh { id, .. } => id,
        }
    }

    /// Whether the run, and those in it, may have begun before.
    pub(crate) fn is_resumed(&self) -> bool {
        !matches!(self, Self::Fresh { .. })
    }
}

/// Drives a run to its end. `stop` ends it from outside, and so does the end of `time`. `work` is what the run counts as
/// for as long as none of its effects is under way.
///
/// # Errors
/// When an outcome could not be recorded, the run cannot be read back, or it was given up because it only waits for
/// people. What a run itself comes to is no error.
pub(crate) async fn drive<H: Host>(
    host: &H,
    scope: &Scope,
    what: What<H::Task>,
    time: Option<Duration>,
    work: &Work,
    stop: impl Future<Output = StopReason> + Send,
) -> Result<H::Machine, DriveError> {
    let mut log = Log::new(scope);
    let Begun { mut machine, mut doubts } = log::begin(host, scope, &mut log, what).await?;
    scope.began(host.terms_of(&machine));
    let mut performing = FuturesUnordered::new();
    // By step and index: all of them are of this run.
    let mut open: HashMap<(u32, u32), AbortHandle> = HashMap::new();
    let expiry = async move {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let parked = async {
        match scope.parks() {
            true => scope.activity().idle().await,
            false => std::future::pending().await,
        }
    };
    tokio::pin!(stop, expiry, parked);
    loop {
        for id in machine.take_abandoned() {
            if let Some(effect) = open.remove(&place(&id)) {
                effect.abort();
            }
        }
        for (id, effect) in machine.take_effects() {
            let limit = machine.time_limit(&id);
            let doubt = doubts.remove(&place(&id));
            let (abort, registration) = AbortHandle::new_pair();
            open.insert(place(&id), abort);
            performing.push(Abortable::new(perform(host, scope, id, effect, limit, doubt), registration));
        }
        if performing.is_empty() || machine.is_finished() {
            break;
        }
        // Effects that are ready at once would otherwise keep this thread from everything else.
        tokio::task::coop::consume_budget().await;
        let others_work = work.pause();
        let performed = tokio::select! {
            biased;
            reason = &mut stop => {
                halt(scope, &mut log, &mut machine, reason).await?;
                continue;
            }
            () = &mut expiry => {
                halt(scope, &mut log, &mut machine, StopReason::TimedOut).await?;
                continue;
            }
            performed = performing.next() => performed,
            () = &mut parked => return Err(DriveError::Parked),
        };
        // Before the work on what was performed ends.
        drop(others_work);
        let Performed { id, done, timing, work: _ended } = match performed {
            Some(Ok(performed)) => performed,
            Some(Err(Aborted)) => continue,
            None => break,
        };
        if open.remove(&place(&id)).is_none() {
            // Abandoned in the moment in which it was done.
            continue;
        }
        let outcome = match done? {
            Done::Outcome(outcome) => outcome,
            Done::Repeat(effect) => {
                log.append(machine.id(), &JournalRecord::Repeated { id: Cow::Borrowed(&id) }, &[]).await?;
                let limit = machine.time_limit(&id);
                let (abort, registration) = AbortHandle::new_pair();
                open.insert(place(&id), abort);
                performing.push(Abortable::new(perform(host, scope, id, effect, limit, None), registration));
                continue;
            }
        };
        let settlement = Settlement { id, outcome, timing };
        let record = log.prepare(&JournalRecord::Settled { settlement: Cow::Borrowed(&settlement) })?;
        // The run asked for it and was not told yet, so it takes it. What comes of that is known to nobody until all of
        // it is recorded.
        if let Err(error) = machine.settle(settlement) {
            tracing::error!(run = %machine.id(), %error, "an outcome was not taken");
            continue;
        }
        commit(scope, &mut log, &mut machine, record).await?;
    }
    drop(performing);
    if machine.is_finished() { Ok(machine) } else { Err(DriveError::Stuck) }
}

fn place(id: &EffectId) -> (u32, u32) {
    (id.step, id.index)
}

/// Records what happened with the events that follow from it, and shows them.
async fn commit(
    scope: &Scope,
    log: &mut Log,
    machine: &mut impl Machine,
    record: log::Prepared,
) -> Result<(), DriveError> {
    let events = machine.take_events();
    log.commit(machine.id(), record, &events).await?;
    if let Some(feed) = scope.feed() {
        feed.events(events);
    }
    Ok(())
}

async fn halt(
    scope: &Scope,
    log: &mut Log,
    machine: &mut impl Machine,
    reason: StopReason,
) -> Result<(), DriveError> {
    let at_ms = scope.clock().now_ms();
    let record = log.prepare(&JournalRecord::Stopped { reason, at_ms })?;
    machine.stop(reason, at_ms);
    commit(scope, log, machine, record).await
}
