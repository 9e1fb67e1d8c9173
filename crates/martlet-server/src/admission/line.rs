//! The runs of one user that wait in one lane.

use std::collections::{BTreeSet, VecDeque};

use martlet_core::RunId;

/// Where a run stands in its user's line: smaller comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) rank: Rank,
    /// Grows with every run that queues up, whoever's it is.
    pub(super) seq: u64,
}

/// Who goes first within a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Runs that had begun: woken, or restored after a restart.
    Begun,
    New,
}

/// First come, first served; runs whose session is not at their turn let others pass.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// All of them, sorted.
    runs: VecDeque<(Spot, RunId)>,
    /// Those that nothing but the limits keeps from starting.
    ready: BTreeSet<Spot>,
}

impl Line {
    pub(super) fn push(&mut self, spot: Spot, run: RunId) {
        let index = self.index(spot);
        self.runs.insert(index, (spot, run));
    }

    pub(super) fn remove(&mut self, spot: Spot) {
        self.ready.remove(&spot);
        let index = self.index(spot);
        if self.runs.get(index).is_some_and(|(found, _)| *found == spot) {
            self.runs.remove(index);
        }
    }

    /// How many stand before this spot.
    pub(super) fn index(&self, spot: Spot) -> usize {
        self.runs.partition_point(|(other, _)| *other < spot)
    }

    pub(super) fn set_ready(&mut self, spot: Spot) {
        self.ready.insert(spot);
    }

    pub(super) fn hold(&mut self, spot: Spot) {
        self.ready.remove(&spot);
    }

    /// The first that may start.
    pub(super) fn first_ready(&self) -> Option<&RunId> {
        let spot = *self.ready.first()?;
        self.runs.get(self.index(spot)).map(|(_, run)| run)
    }

    pub(super) fn runs(&self) -> impl ExactSizeIterator<Item = &RunId> {
        self.runs.iter().map(|(_, run)| run)
    }

    pub(super) fn len(&self) -> u64 {
        self.runs.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}
