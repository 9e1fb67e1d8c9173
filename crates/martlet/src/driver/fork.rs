//! Another run that begins like one that is recorded, and goes on by itself.

use std::borrow::Cow;
use std::sync::Arc;

use martlet_core::{EffectId, Machine, RunId};
use martlet_store::Journal;

use super::error::DriveError;
use super::host::Host;
use super::log::Log;
use crate::record::JournalRecord;

/// Records a run `to` that begins as `from` did, up to and without step `step`. Child runs that were done are not copied:
/// what came of them is in the records.
pub(crate) async fn fork<H: Host>(
    host: &H,
    journal: Arc<dyn Journal>,
    from: &RunId,
    step: u32,
    to: RunId,
) -> Result<(), DriveError> {
    let unreadable = |problem: String| DriveError::Unreadable(format!("{from}: {problem}"));
    let recorded = journal.read(from).await?;
    let mut records = recorded.records.iter().map(|bytes| JournalRecord::read(bytes, &recorded.values));
    let Some(first) = records.next() else { return Err(unreadable("the journal does not hold it".into())) };
    let first = first.map_err(unreadable)?;
    let log = Log::of(Some(journal.clone()), to.clone());
    let start = log.prepare(&first)?;
    let mut machine = host.restart(to.clone(), first).map_err(unreadable)?;
    let mut entries = vec![start.with(&machine.take_events())?];
    for record in records {
        let JournalRecord::Settled { settlement } = record.map_err(unreadable)? else { continue };
        let mut settlement = settlement.into_owned();
        if settlement.id.step >= step {
            break;
        }
        settlement.id = EffectId { run: to.clone(), ..settlement.id };
        let entry = log.prepare(&JournalRecord::Settled { settlement: Cow::Borrowed(&settlement) })?;
        let _ = machine.take_effects();
        machine.settle(settlement).map_err(|error| unreadable(error.to_string()))?;
        entries.push(entry.with(&machine.take_events())?);
    }
    if machine.is_finished() {
        return Err(unreadable(format!("it ended before step {step}: choose a step that it took")));
    }
    // All at once: a part of them would be a fork from an earlier step.
    Ok(journal.begin_with(&to, entries.into_iter().flatten().collect()).await?)
}
