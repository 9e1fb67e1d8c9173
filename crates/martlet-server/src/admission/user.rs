//! What the scheduler knows of one user, and of one lane.

use martlet_store::Lane;

use super::estimate::Typical;
use super::rounds::{Rounds, Share};

/// One of something for each lane.
#[derive(Debug, Default)]
pub(super) struct PerLane<T> {
    pub(super) interactive: T,
    pub(super) batch: T,
}

impl<T> PerLane<T> {
    pub(super) fn get(&self, lane: Lane) -> &T {
        match lane {
            Lane::Interactive => &self.interactive,
            Lane::Batch => &self.batch,
        }
    }

    pub(super) fn get_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Batch => &mut self.batch,
        }
    }
}

pub(super) fn other(lane: Lane) -> Lane {
    match lane {
        Lane::Interactive => Lane::Batch,
        Lane::Batch => Lane::Interactive,
    }
}

/// One lane.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    pub(super) rounds: Rounds,
    pub(super) typical: Typical,
    pub(super) queued: u64,
    pub(super) running: u64,
    /// Whether places may have changed since they were last asked for.
    pub(super) moved: bool,
}

/// One user of whom a run is queued or runs, or who just had its turn.
#[derive(Debug)]
pub(super) struct User {
    pub(super) weight: u32,
    pub(super) running: u64,
    pub(super) shares: PerLane<Share>,
    /// Whether it is among those who may be forgotten soon.
    pub(super) resting: bool,
}

impl User {
    pub(super) fn new(weight: u32, lanes: &mut PerLane<LaneState>) -> Self {
        let shares =
            PerLane { interactive: lanes.interactive.rounds.share(), batch: lanes.batch.rounds.share() };
        Self { weight, running: 0, shares, resting: false }
    }

    pub(super) fn queued(&self) -> u64 {
        self.shares.interactive.line.len() + self.shares.batch.line.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running == 0 && self.queued() == 0
    }
}
