//! Where runs stand in line, and how long they will wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use martlet_core::{Principal, RunId};
use martlet_store::Lane;

use super::estimate::retry_after_s;
use super::user::{User, other};
use super::{Admission, Allowance, Phase, Place};

impl Admission {
    /// Where a queued run stands in line; nothing for one that is not queued.
    pub fn place(&self, run: &RunId) -> Option<Place> {
        let known = self.runs.get(run)?;
        let Phase::Queued { spot, .. } = known.phase else { return None };
        let (user, lane) = (self.users.get(&known.user)?, known.lane);
        let own = user.shares.get(lane).line.index(spot) as u64;
        Some(self.place_at(lane, self.position(lane, user, own), user, own))
    }

    /// The queued runs whose position is another one than when this was last asked, with their places. It costs
    /// nothing if no run was queued, started or withdrawn since, and a walk along the lane's line otherwise.
    pub fn changed(&mut self) -> Vec<(RunId, Place)> {
        let mut changed = Vec::new();
        for lane in [Lane::Interactive, Lane::Batch] {
            if !std::mem::take(&mut self.lanes.get_mut(lane).moved) {
                continue;
            }
            for (run, place) in self.walk(lane) {
                let Some(known) = self.runs.get_mut(&run) else { continue };
                if known.shown != place.position {
                    known.shown = place.position;
                    changed.push((run, place));
                }
            }
        }
        changed
    }

    /// How much more a user may offer now.
    pub fn allowance(&self, user: &Principal) -> Allowance {
        let limit = self.limits.max_queued_per_user;
        let known = self.users.get(user);
        let own = u64::from(limit).saturating_sub(known.map_or(0, User::queued));
        let all = u64::from(self.limits.max_queued).saturating_sub(self.queued());
        let reset_s = match known {
            Some(known) if own.min(all) == 0 => retry_after_s(self.first_start_ms(known)),
            _ if all == 0 => retry_after_s(self.room_ms(Lane::Interactive)),
            _ => 0,
        };
        Allowance { limit, remaining: count(own.min(all)), reset_s }
    }

    /// The time until one of the queued runs of a user starts.
    pub(super) fn first_start_ms(&self, user: &User) -> u64 {
        [Lane::Interactive, Lane::Batch]
            .into_iter()
            .filter(|lane| !user.shares.get(*lane).line.is_empty())
            .map(|lane| self.place_at(lane, self.position(lane, user, 0), user, 0).eta_ms)
            .min()
            .unwrap_or_default()
    }

    /// The time until one of all queued runs starts.
    pub(super) fn room_ms(&self, lane: Lane) -> u64 {
        self.lanes.get(lane).typical.wait_ms(1, self.limits.max_running.into())
    }

    /// The position of the run of a user that `own` of its runs precede.
    fn position(&self, lane: Lane, user: &User, own: u64) -> u64 {
        let rounds = &self.lanes.get(lane).rounds;
        let due = rounds.outlook(user.shares.get(lane));
        let mine = due.after(own, user.weight);
        let ahead = self.users.values().map(|user| {
            let share = user.shares.get(lane);
            let theirs = rounds.outlook(share);
            if theirs.seq == mine.seq {
                return own;
            }
            theirs.turns_before(mine, user.weight).min(share.line.len())
        });
        ahead.sum::<u64>() + 1
    }

    fn place_at(&self, lane: Lane, position: u64, user: &User, own: u64) -> Place {
        let state = self.lanes.get(lane);
        // Those for whom a slot is free need not wait; the others wait for as many to end as are before them.
        let starts = position.saturating_sub(self.free(lane));
        let per_user = u64::from(self.limits.max_running_per_user);
        let own_starts = (user.running + own + 1).saturating_sub(per_user);
        let line = state.typical.wait_ms(starts, self.slots(lane));
        let eta_ms = line.max(state.typical.wait_ms(own_starts, per_user));
        Place { position: count(position), of: count(state.queued), eta_ms }
    }

    /// The slots that a run of the lane could take now.
    fn free(&self, lane: Lane) -> u64 {
        let free = u64::from(self.limits.max_running).saturating_sub(self.running());
        match lane {
            Lane::Interactive => free,
            Lane::Batch => {
                free.min(u64::from(self.limits.open_slots()).saturating_sub(self.lanes.batch.running))
            }
        }
    }

    /// The slots on which a lane can count.
    fn slots(&self, lane: Lane) -> u64 {
        let open = u64::from(self.limits.open_slots());
        // The lanes take turns on the open slots while both wait.
        let open_to_it = if self.lanes.get(other(lane)).queued > 0 { open.div_ceil(2) } else { open };
        match lane {
            Lane::Interactive => u64::from(self.limits.max_running).saturating_sub(open) + open_to_it,
            Lane::Batch => open_to_it,
        }
    }

    /// The queued runs of a lane in the order of their positions.
    fn walk(&self, lane: Lane) -> Vec<(RunId, Place)> {
        let rounds = &self.lanes.get(lane).rounds;
        let mut lines: Vec<_> = self
            .users
            .values()
            .filter(|user| !user.shares.get(lane).line.is_empty())
            .map(|user| (user, user.shares.get(lane).line.runs()))
            .collect();
        let mut turns: BinaryHeap<_> = lines
            .iter()
            .enumerate()
            .map(|(index, (user, _))| Reverse((rounds.outlook(user.shares.get(lane)), index, 0)))
            .collect();
        let mut places = Vec::new();
        while let Some(Reverse((due, index, own))) = turns.pop() {
            let Some((user, line)) = lines.get_mut(index) else { continue };
            let Some(run) = line.next() else { continue };
            places.push((run.clone(), self.place_at(lane, places.len() as u64 + 1, user, own)));
            if line.len() > 0 {
                turns.push(Reverse((due.after(1, user.weight), index, own + 1)));
            }
        }
        places
    }
}

pub(super) fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
