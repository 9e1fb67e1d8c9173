//! The journal of one run: writing it, and beginning a run with what it holds.

use std::borrow::Cow;
use std::sync::Arc;

use martlet_core::{Effect, Machine, Outcome, RunId, Settlement, Timing, Usage};
use martlet_store::{Entry, Journal};

use super::What;
use super::error::DriveError;
use super::host::Host;
use super::scope::Scope;
use crate::record::JournalRecord;

/// Where one run is recorded, if it is.
pub(super) struct Log {
    journal: Option<Arc<dyn Journal>>,
    /// The run at the top.
    root: RunId,
    /// The number of the next record.
    next: u64,
}

impl Log {
    pub(super) fn new(scope: &Scope) -> Self {
        Self { journal: scope.journal().cloned(), root: scope.root().clone(), next: 0 }
    }

    pub(super) async fn append(&mut self, run: &RunId, record: &JournalRecord<'_>) -> Result<(), DriveError> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let bytes = record
            .to_bytes()
            .map_err(|error| DriveError::Unreadable(format!("a record cannot be written: {error}")))?;
        journal.append(run, self.next, Entry::new(self.root.clone(), bytes)).await?;
        self.next += 1;
        Ok(())
    }
}

/// Begins a run, or goes on with one.
pub(super) async fn begin<H: Host>(
    host: &H,
    scope: &Scope,
    log: &mut Log,
    what: What<H::Task>,
) -> Result<H::Machine, DriveError> {
    let (id, task) = match what {
        What::Fresh { id, task } => (id, task),
        What::Resumed { id } => {
            let missing = || DriveError::Unreadable(format!("{id}: the journal does not hold it"));
            return read_back(host, scope, log, &id).await?.ok_or_else(missing);
        }
        What::ResumedOrFresh { id, task } => match read_back(host, scope, log, &id).await? {
            Some(machine) => return Ok(machine),
            None => (id, task),
        },
    };
    log.append(&id, &host.first_record(&task)).await?;
    Ok(host.start(id, task))
}

/// Folds the journal of a run, so that it can go on where it was; `None` if there is nothing of it.
async fn read_back<H: Host>(
    host: &H,
    scope: &Scope,
    log: &mut Log,
    id: &RunId,
) -> Result<Option<H::Machine>, DriveError> {
    let unreadable = |problem: String| DriveError::Unreadable(format!("{id}: {problem}"));
    let journal = log.journal.clone().ok_or_else(|| unreadable("there is no journal to read".into()))?;
    let recorded = journal.read(id).await?;
    let mut records = recorded.records.iter().map(|bytes| JournalRecord::from_bytes(bytes));
    let Some(first) = records.next() else { return Ok(None) };
    let mut machine = host.restart(id.clone(), first.map_err(unreadable)?).map_err(unreadable)?;
    log.next = 1;
    for record in records {
        let _ = machine.take_effects();
        match record.map_err(unreadable)? {
            JournalRecord::Settled { settlement } => {
                scope.count(usage(&settlement.outcome));
                machine.settle(settlement.into_owned()).map_err(|error| unreadable(error.to_string()))?;
            }
            JournalRecord::Stopped { reason, at_ms } => machine.stop(reason, at_ms),
            JournalRecord::Started { .. } | JournalRecord::GraphStarted { .. } => {
                return Err(unreadable("it begins twice".into()));
            }
        }
        log.next += 1;
    }
    let _ = machine.take_effects();
    let _ = machine.take_abandoned();
    machine.hand_out_again();
    settle_doubtful(host, scope, log, &mut machine).await?;
    Ok(Some(machine))
}

/// The tokens that count for the budget. Those of a child run that is still open count when that is read back.
fn usage(outcome: &Outcome) -> Usage {
    match outcome {
        Outcome::Model { result: Ok(reply) } => reply.usage,
        Outcome::Child { end } => end.usage,
        _ => Usage::default(),
    }
}

/// Of a tool call that was under way when the run was left, nobody knows whether it had its effect. Unless the
/// tool may be repeated, the run is told so, and the call is not made again.
async fn settle_doubtful<H: Host>(
    host: &H,
    scope: &Scope,
    log: &mut Log,
    machine: &mut H::Machine,
) -> Result<(), DriveError> {
    for (id, effect) in machine.take_effects() {
        if !machine.is_open(&id) {
            continue;
        }
        let Effect::Tool { name, .. } = effect else { continue };
        let Some(failure) = host.doubt(machine, &id, &name) else { continue };
        let settlement = Settlement {
            id,
            outcome: Outcome::Tool { result: Err(failure) },
            timing: Timing { started_ms: scope.clock().now_ms(), elapsed_us: 0 },
        };
        log.append(machine.id(), &JournalRecord::Settled { settlement: Cow::Borrowed(&settlement) }).await?;
        if let Err(error) = machine.settle(settlement) {
            tracing::error!(run = %machine.id(), %error, "an outcome was not taken");
        }
    }
    machine.hand_out_again();
    Ok(())
}
