//! The journal of one run: writing it, and beginning a run with what it holds.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use martlet_core::{Effect, Event, Machine, Outcome, RunId, ToolFailure, Usage};
use martlet_store::{Entry, Journal};

use super::error::DriveError;
use super::host::Host;
use super::scope::Scope;
use super::{What, place};
use crate::record::JournalRecord;

/// Where one run is recorded, if it is.
pub(super) struct Log {
    journal: Option<Arc<dyn Journal>>,
    /// The run at the top.
    root: RunId,
    /// The number of the next record.
    next: u64,
}

/// A record in the form in which it is stored; nothing where nothing is recorded.
pub(super) struct Prepared(Option<Entry>);

impl Prepared {
    /// Adds the events that follow from it.
    pub(super) fn with(self, events: &[Event]) -> Result<Option<Entry>, DriveError> {
        let Some(mut entry) = self.0 else { return Ok(None) };
        for event in events {
            let event = serde_json::to_vec(event)
                .map_err(|error| DriveError::Unreadable(format!("an event cannot be written: {error}")))?;
            entry.events.push(Bytes::from(event));
        }
        Ok(Some(entry))
    }
}

impl Log {
    pub(super) fn new(scope: &Scope) -> Self {
        Self::of(scope.journal().cloned(), scope.root().clone())
    }

    pub(super) fn of(journal: Option<Arc<dyn Journal>>, root: RunId) -> Self {
        Self { journal, root, next: 0 }
    }

    /// Writes the record out, in memory.
    pub(super) fn prepare(&self, record: &JournalRecord<'_>) -> Result<Prepared, DriveError> {
        if self.journal.is_none() {
            return Ok(Prepared(None));
        }
        let entry = record
            .to_entry(self.root.clone())
            .map_err(|error| DriveError::Unreadable(format!("a record cannot be written: {error}")))?;
        Ok(Prepared(Some(entry)))
    }

    /// Commits a record, and the events that follow from it.
    pub(super) async fn commit(
        &mut self,
        run: &RunId,
        record: Prepared,
        events: &[Event],
    ) -> Result<(), DriveError> {
        let (Some(journal), Some(entry)) = (&self.journal, record.with(events)?) else { return Ok(()) };
        journal.append(run, self.next, entry).await?;
        self.next += 1;
        Ok(())
    }

    pub(super) async fn append(
        &mut self,
        run: &RunId,
        record: &JournalRecord<'_>,
        events: &[Event],
    ) -> Result<(), DriveError> {
        let record = self.prepare(record)?;
        self.commit(run, record, events).await
    }
}

/// A run that can be driven.
pub(super) struct Begun<M> {
    pub(super) machine: M,
    /// The calls that were under way when the run was left, by step and index.
    pub(super) doubts: HashMap<(u32, u32), InDoubt>,
}

/// A call of which nobody knows whether it had its effect.
pub(super) struct InDoubt {
    /// What the run is told if nobody finds out.
    pub(super) failure: ToolFailure,
    /// How often it was repeated on somebody's word.
    pub(super) repeated: u32,
}

/// Begins a run, or goes on with one.
pub(super) async fn begin<H: Host>(
    host: &H,
    scope: &Scope,
    log: &mut Log,
    what: What<H::Task>,
) -> Result<Begun<H::Machine>, DriveError> {
    let (id, task) = match what {
        What::Fresh { id, task } => (id, task),
        What::Resumed { id } => {
            let missing = || DriveError::Unreadable(format!("{id}: the journal does not hold it"));
            return read_back(host, scope, log, &id).await?.ok_or_else(missing);
        }
        What::ResumedOrFresh { id, task } => match read_back(host, scope, log, &id).await? {
            Some(begun) => return Ok(begun),
            None => (id, task),
        },
    };
    let record = log.prepare(&host.first_record(&task))?;
    let mut machine = host.start(id, task);
    super::commit(scope, log, &mut machine, record).await?;
    Ok(Begun { machine, doubts: HashMap::new() })
}

/// Folds the journal of a run, so that it can go on where it was; `None` if there is nothing of it.
async fn read_back<H: Host>(
    host: &H,
    scope: &Scope,
    log: &mut Log,
    id: &RunId,
) -> Result<Option<Begun<H::Machine>>, DriveError> {
    let unreadable = |problem: String| DriveError::Unreadable(format!("{id}: {problem}"));
    let journal = log.journal.clone().ok_or_else(|| unreadable("there is no journal to read".into()))?;
    let recorded = journal.read(id).await?;
    let mut records = recorded.records.iter().map(|bytes| JournalRecord::read(bytes, &recorded.values));
    let Some(first) = records.next() else { return Ok(None) };
    let mut machine = host.restart(id.clone(), first.map_err(unreadable)?).map_err(unreadable)?;
    log.next = 1;
    let mut repeated: HashMap<(u32, u32), u32> = HashMap::new();
    for record in records {
        let _ = machine.take_effects();
        match record.map_err(unreadable)? {
            JournalRecord::Settled { settlement } => {
                scope.count(usage(&settlement.outcome));
                machine.settle(settlement.into_owned()).map_err(|error| unreadable(error.to_string()))?;
            }
            JournalRecord::Stopped { reason, at_ms } => machine.stop(reason, at_ms),
            JournalRecord::Repeated { id } => *repeated.entry(place(&id)).or_default() += 1,
            JournalRecord::Started { .. } | JournalRecord::GraphStarted { .. } => {
                return Err(unreadable("it begins twice".into()));
            }
        }
        log.next += 1;
    }
    // They were recorded with what they follow from.
    let events = machine.take_events();
    if let Some(feed) = scope.feed() {
        feed.events(events);
    }
    let _ = machine.take_effects();
    let _ = machine.take_abandoned();
    machine.hand_out_again();
    let mut doubts = HashMap::new();
    for (id, effect) in machine.take_effects() {
        if let Effect::Tool { name, .. } = effect
            && let Some(failure) = host.doubt(&machine, &id, &name)
        {
            let repeated = repeated.get(&place(&id)).copied().unwrap_or_default();
            doubts.insert(place(&id), InDoubt { failure, repeated });
        }
    }
    machine.hand_out_again();
    Ok(Some(Begun { machine, doubts }))
}

/// The tokens that count for the budget. Those of a child run that is still open count when that is read back.
fn usage(outcome: &Outcome) -> Usage {
    match outcome {
        Outcome::Model { result: Ok(reply) } => reply.usage,
        Outcome::Child { end } => end.usage,
        _ => Usage::default(),
    }
}
