//! Who may run now, who waits, and who is refused.
//!
//! [`Admission`] is a scheduler without a clock and without threads: it is told what happens and when, in milliseconds
//! of a clock that never goes back, and says which run may start. Users take turns, by weight; within a user it is first
//! come, first served. Interactive runs have a share of the slots for themselves; on the others the two lanes take
//! turns. The runs of a session run one after another. A run that waits for a person is parked: it holds the turn of
//! its session and nothing else.
//!
//! ```
//! use martlet_core::{Principal, RunId};
//! use martlet_server::admission::{Admission, Limits, Offer};
//!
//! let mut admission = Admission::new(Limits::default())?;
//! let run = RunId::from_bits(1);
//! admission.offer(Offer::new(run.clone(), Principal::local()), 0)?;
//! assert_eq!(admission.next(0), Some(run.clone()));
//! assert_eq!(admission.next(0), None);
//! admission.ended(&run, 1_500);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod estimate;
mod limits;
mod line;
mod offer;
mod place;
mod rounds;
mod sessions;
mod slots;
mod user;

use std::collections::HashMap;

use martlet_core::{Principal, RunId};
use martlet_store::{Lane, SessionId};

pub use self::limits::{InvalidLimits, Limits};
pub use self::offer::{Allowance, Offer, Place, Refusal, RefusalKind, Standing};

use self::estimate::retry_after_s;
use self::line::{Rank, Spot};
use self::place::count;
use self::sessions::Sessions;
use self::user::{LaneState, PerLane, User, other};

/// What a stopping server tells those who come: to try again when it has been restarted.
const RESTART_MS: u64 = 10_000;

/// Decides which runs may start. Call [`next`](Self::next) until it gives nothing after every call that takes a run in,
/// frees a slot or wakes a run.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    draining: bool,
    runs: HashMap<RunId, Known>,
    users: HashMap<Principal, User>,
    sessions: Sessions,
    lanes: PerLane<LaneState>,
    /// The lane that had the last turn on the open slots.
    last: Lane,
    next_spot: u64,
    /// Users of whom nothing is queued or runs.
    resting: Vec<Principal>,
}

/// What is known of a run.
#[derive(Debug)]
struct Known {
    user: Principal,
    lane: Lane,
    session: Option<SessionId>,
    weight: u32,
    phase: Phase,
    /// The position that [`Admission::changed`] told last; 0 for none.
    shown: u32,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Queued { spot: Spot, since_ms: u64 },
    Running { since_ms: u64, waited_ms: u64 },
    Parked,
}

/// How many runs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Runs that wait for their turn.
    pub queued: u32,
    /// Runs that hold a slot.
    pub running: u32,
    /// Runs that wait for a person.
    pub parked: u32,
}

impl Admission {
    /// A scheduler that knows no runs.
    ///
    /// # Errors
    /// If under these limits nothing could ever run.
    pub fn new(limits: Limits) -> Result<Self, InvalidLimits> {
        limits.check()?;
        Ok(Self {
            limits,
            draining: false,
            runs: HashMap::new(),
            users: HashMap::new(),
            sessions: Sessions::default(),
            lanes: PerLane::default(),
            last: Lane::Batch,
            next_spot: 0,
            resting: Vec::new(),
        })
    }

    /// Takes a run in, or says why not. A run that is known already is left as it is.
    ///
    /// # Errors
    /// If as many runs wait as may, or the server is shutting down. Nothing was changed.
    pub fn offer(&mut self, offer: Offer, now_ms: u64) -> Result<(), Refusal> {
        if self.runs.contains_key(&offer.run) {
            return Ok(());
        }
        self.refusal(&offer).map_or(Ok(()), Err)?;
        self.take_in(offer, Standing::Queued, now_ms);
        Ok(())
    }

    /// Takes a run in again after a restart, as it stood; it is never refused. One that was running goes before the
    /// other runs of its user. Restore runs in the order in which they were created.
    pub fn restore(&mut self, offer: Offer, standing: Standing, now_ms: u64) {
        if !self.runs.contains_key(&offer.run) {
            self.take_in(offer, standing, now_ms);
        }
    }

    /// The run that is to start now; it holds a slot from here on. Nothing if none may.
    pub fn next(&mut self, now_ms: u64) -> Option<RunId> {
        let max_running = u64::from(self.limits.max_running);
        if self.draining || self.running() >= max_running {
            return None;
        }
        let open_slots = u64::from(self.limits.open_slots());
        let open = self.lanes.batch.running < open_slots;
        let interactive = !self.lanes.interactive.rounds.is_empty();
        let batch = open && !self.lanes.batch.rounds.is_empty();
        // Below its share the interactive lane uses its own slots, which is no turn on the open ones.
        let own_slots = self.lanes.interactive.running < max_running.saturating_sub(open_slots);
        let turn = match (interactive, batch) {
            (true, true) if own_slots => Lane::Interactive,
            (true, true) => other(self.last),
            (true, false) => Lane::Interactive,
            (false, true) => Lane::Batch,
            (false, false) => return None,
        };
        if open && !(turn == Lane::Interactive && own_slots) {
            self.last = turn;
        }
        self.start(turn, open, now_ms)
    }

    /// The run waits for a person: its slot is free, the turn of its session is not. Does nothing to a run that does
    /// not run.
    pub fn parked(&mut self, run: &RunId, now_ms: u64) {
        let Some(known) = self.runs.get_mut(run) else { return };
        let Phase::Running { since_ms, .. } = known.phase else { return };
        known.phase = Phase::Parked;
        let (user, lane) = (known.user.clone(), known.lane);
        self.free_slot(&user, lane, now_ms.saturating_sub(since_ms));
    }

    /// What a parked run waited for is there: it is back in line, before the other runs of its user, and never refused.
    /// Does nothing to a run that is not parked.
    pub fn woken(&mut self, run: &RunId, now_ms: u64) {
        if self.standing(run) == Some(Standing::Parked) {
            self.queue_up(run, Rank::Begun, now_ms);
        }
    }

    /// The run has ended, wherever it stood: all that it held is free, and it is forgotten.
    pub fn ended(&mut self, run: &RunId, now_ms: u64) {
        let Some(known) = self.runs.remove(run) else { return };
        match known.phase {
            Phase::Queued { spot, .. } => self.leave_line(&known.user, known.lane, spot),
            Phase::Running { since_ms, .. } => {
                self.free_slot(&known.user, known.lane, now_ms.saturating_sub(since_ms));
            }
            Phase::Parked => {}
        }
        let Some(session) = &known.session else { return };
        if let Some(next) = self.sessions.leave(session, run) {
            self.refresh(&next);
        }
    }

    /// Takes a queued run out of the line and forgets it. Says whether it was queued; another is left as it is.
    pub fn withdraw(&mut self, run: &RunId) -> bool {
        let queued = self.standing(run) == Some(Standing::Queued);
        if queued {
            self.ended(run, 0);
        }
        queued
    }

    /// Starts nothing any more and refuses what is offered. What is queued stays so, to be restored after the restart.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether [`drain`](Self::drain) was called.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Where a run stands; nothing for one that is not known, or has ended.
    pub fn standing(&self, run: &RunId) -> Option<Standing> {
        self.runs.get(run).map(|known| match known.phase {
            Phase::Queued { .. } => Standing::Queued,
            Phase::Running { .. } => Standing::Running,
            Phase::Parked => Standing::Parked,
        })
    }

    /// How long a running run had waited for its slot, in milliseconds.
    pub fn waited_ms(&self, run: &RunId) -> Option<u64> {
        match self.runs.get(run)?.phase {
            Phase::Running { waited_ms, .. } => Some(waited_ms),
            Phase::Queued { .. } | Phase::Parked => None,
        }
    }

    /// How many runs there are.
    pub fn load(&self) -> Load {
        let (queued, running) = (self.queued(), self.running());
        let parked = (self.runs.len() as u64).saturating_sub(queued + running);
        Load { queued: count(queued), running: count(running), parked: count(parked) }
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    // --- taking in ---------------------------------------------------------------------------------------

    fn refusal(&self, offer: &Offer) -> Option<Refusal> {
        let refusal = |kind, wait_ms, limit| {
            let retry_after_s = retry_after_s(wait_ms);
            Some(Refusal { kind, retry_after_s, limit, remaining: 0 })
        };
        if self.draining {
            return refusal(RefusalKind::Draining, RESTART_MS, 0);
        }
        // The user's own limit first: who floods is told so even when the flood has filled the queue.
        let limit = self.limits.max_queued_per_user;
        if let Some(user) = self.users.get(&offer.user)
            && user.queued() >= limit.into()
        {
            return refusal(RefusalKind::UserLimit, self.first_start_ms(user), limit);
        }
        let limit = self.limits.max_queued;
        if self.queued() >= limit.into() {
            return refusal(RefusalKind::QueueFull, self.room_ms(offer.lane), limit);
        }
        None
    }

    fn take_in(&mut self, offer: Offer, standing: Standing, now_ms: u64) {
        let Offer { run, user, lane, session, weight } = offer;
        if standing == Standing::Queued {
            self.weigh(&user, weight.max(1));
        }
        if let Some(session) = &session {
            self.ask_turn(session, &run, standing);
        }
        // It is queued at once unless it is parked.
        let known = Known { user, lane, session, weight: weight.max(1), phase: Phase::Parked, shown: 0 };
        self.runs.insert(run.clone(), known);
        match standing {
            Standing::Queued => self.queue_up(&run, Rank::New, now_ms),
            Standing::Running => self.queue_up(&run, Rank::Begun, now_ms),
            Standing::Parked => {}
        }
    }

    fn ask_turn(&mut self, session: &SessionId, run: &RunId, standing: Standing) {
        let has_begun = |known: &Known| match known.phase {
            Phase::Queued { spot, .. } => spot.rank == Rank::Begun,
            Phase::Running { .. } | Phase::Parked => true,
        };
        let holder = self.sessions.holder(session).and_then(|holder| self.runs.get(holder));
        if standing == Standing::Queued || holder.is_some_and(has_begun) {
            self.sessions.ask(session, run);
        } else if let Some(before) = self.sessions.seize(session, run) {
            self.refresh(&before);
        }
    }

    fn weigh(&mut self, principal: &Principal, weight: u32) {
        let Some(user) = self.users.get_mut(principal) else { return };
        if user.weight == weight {
            return;
        }
        user.weight = weight;
        for lane in [Lane::Interactive, Lane::Batch] {
            let (state, share) = (self.lanes.get_mut(lane), user.shares.get_mut(lane));
            state.rounds.unlist(share);
            share.weigh(weight);
            state.moved = true;
        }
        self.relist(principal);
    }

    // --- the line ----------------------------------------------------------------------------------------

    fn queue_up(&mut self, run: &RunId, rank: Rank, now_ms: u64) {
        let Some(known) = self.runs.get_mut(run) else { return };
        let spot = Spot { rank, seq: self.next_spot };
        self.next_spot += 1;
        known.phase = Phase::Queued { spot, since_ms: now_ms };
        known.shown = 0;
        let (principal, lane, weight) = (known.user.clone(), known.lane, known.weight);
        // What is known of a user may be forgotten while all of its runs are parked.
        let user = self.users.entry(principal).or_insert_with(|| User::new(weight, &mut self.lanes));
        user.shares.get_mut(lane).line.push(spot, run.clone());
        let state = self.lanes.get_mut(lane);
        state.queued += 1;
        state.moved = true;
        self.refresh(run);
    }

    /// Says of a queued run whether it may start, now that the turn of its session may have changed.
    fn refresh(&mut self, run: &RunId) {
        let Some(known) = self.runs.get(run) else { return };
        let Phase::Queued { spot, .. } = known.phase else { return };
        let has_turn =
            known.session.as_ref().is_none_or(|session| self.sessions.holder(session) == Some(run));
        let Some(user) = self.users.get_mut(&known.user) else { return };
        let line = &mut user.shares.get_mut(known.lane).line;
        if has_turn {
            line.set_ready(spot);
        } else {
            line.hold(spot);
        }
        let principal = known.user.clone();
        self.relist(&principal);
    }

    fn leave_line(&mut self, principal: &Principal, lane: Lane, spot: Spot) {
        if let Some(user) = self.users.get_mut(principal) {
            user.shares.get_mut(lane).line.remove(spot);
        }
        let state = self.lanes.get_mut(lane);
        state.queued = state.queued.saturating_sub(1);
        state.moved = true;
        self.relist(principal);
    }

    /// Puts a user on the lists of those of whom a run may start, or takes it off.
    fn relist(&mut self, principal: &Principal) {
        let Some(user) = self.users.get_mut(principal) else { return };
        let has_room = user.running < self.limits.max_running_per_user.into();
        for lane in [Lane::Interactive, Lane::Batch] {
            let (state, share) = (self.lanes.get_mut(lane), user.shares.get_mut(lane));
            if has_room && share.line.first_ready().is_some() {
                state.rounds.list(share, principal);
            } else {
                state.rounds.unlist(share);
            }
        }
        if user.is_idle() && !user.resting {
            user.resting = true;
            self.resting.push(principal.clone());
        }
    }

    fn queued(&self) -> u64 {
        self.lanes.interactive.queued + self.lanes.batch.queued
    }

    fn running(&self) -> u64 {
        self.lanes.interactive.running + self.lanes.batch.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_who_are_gone_are_forgotten() {
        let mut admission = Admission::new(Limits::default()).unwrap();
        for number in 0..10_000_u32 {
            let user = Principal::new("acme", number.to_string()).unwrap();
            let lane = if number % 3 == 0 { Lane::Batch } else { Lane::Interactive };
            let run = RunId::from_bits(number.into());
            admission.offer(Offer { lane, ..Offer::new(run.clone(), user) }, 0).unwrap();
            assert_eq!(admission.next(0), Some(run.clone()));
            admission.ended(&run, 0);
        }
        assert!(admission.users.len() < 300, "{} are remembered", admission.users.len());
        assert!(admission.resting.len() < 300, "{}", admission.resting.len());
        assert!(admission.runs.is_empty());
    }
}
