//! Who gets a slot, and who gives one back.

use martlet_core::{Principal, RunId};
use martlet_store::Lane;

use super::user::other;
use super::{Admission, Phase};

impl Admission {
    /// Starts a run of the user whose turn it is in a lane.
    pub(super) fn start(&mut self, turn: Lane, open: bool, now_ms: u64) -> Option<RunId> {
        let principal = self.lanes.get(turn).rounds.first()?.clone();
        let run = self.choose(&principal, turn, open, now_ms)?;
        let known = self.runs.get_mut(&run)?;
        let Phase::Queued { spot, since_ms } = known.phase else { return None };
        known.phase = Phase::Running { since_ms: now_ms, waited_ms: now_ms.saturating_sub(since_ms) };
        let lane = known.lane;

        let user = self.users.get_mut(&principal)?;
        let share = user.shares.get_mut(turn);
        let rounds = &mut self.lanes.get_mut(turn).rounds;
        rounds.unlist(share);
        let began = rounds.take_turn(share, user.weight);
        user.running += 1;
        self.lanes.get_mut(lane).running += 1;
        // The turn moved this user's other runs, whichever lane the run came from.
        self.lanes.get_mut(turn).moved = true;
        self.leave_line(&principal, lane, spot);
        if began {
            self.forget_resting();
        }
        Some(run)
    }

    /// The run of a user that is to start: the first of the lane, or one of the other lane that is older and has waited
    /// too long.
    fn choose(&self, principal: &Principal, turn: Lane, open: bool, now_ms: u64) -> Option<RunId> {
        let shares = &self.users.get(principal)?.shares;
        let first = shares.get(turn).line.first_ready()?;
        let Some(rival) = shares.get(other(turn)).line.first_ready() else { return Some(first.clone()) };
        let since = |run: &RunId| match self.runs.get(run).map(|known| known.phase) {
            Some(Phase::Queued { since_ms, .. }) => since_ms,
            _ => u64::MAX,
        };
        let fits = open || other(turn) == Lane::Interactive;
        let aged = now_ms.saturating_sub(since(rival)) >= self.limits.ageing_ms;
        let chosen = if fits && aged && since(rival) < since(first) { rival } else { first };
        Some(chosen.clone())
    }

    pub(super) fn free_slot(&mut self, principal: &Principal, lane: Lane, held_ms: u64) {
        if let Some(user) = self.users.get_mut(principal) {
            user.running = user.running.saturating_sub(1);
        }
        let state = self.lanes.get_mut(lane);
        state.running = state.running.saturating_sub(1);
        state.typical.learn(held_ms);
        self.relist(principal);
    }

    /// Forgets the users of whom nothing is queued or runs, once their last turn is past.
    fn forget_resting(&mut self) {
        let Self { users, lanes, resting, .. } = self;
        resting.retain(|principal| {
            let Some(user) = users.get_mut(principal) else { return false };
            user.resting = user.is_idle();
            let past = lanes.interactive.rounds.may_forget(&user.shares.interactive)
                && lanes.batch.rounds.may_forget(&user.shares.batch);
            if user.resting && past {
                users.remove(principal);
                return false;
            }
            user.resting
        });
    }
}
