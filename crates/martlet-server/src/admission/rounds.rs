//! Whose turn it is in a lane: deficit round-robin over users (Shreedhar and Varghese, 1996), every run at the same
//! price.
//!
//! In each round a user gets as many turns as it has weight, one after another with those of the others. Who comes anew
//! joins the round that is on, and so goes before those who had their turn in it; but a round takes in only so many,
//! so that it ends and nobody waits for ever.

use std::collections::BTreeMap;

use martlet_core::Principal;

use super::line::Line;

/// How many may join a round that is on, beside as many as it began with.
const NEWCOMERS: u64 = 64;

/// When a user has a turn: smaller comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) round: u64,
    /// Turns that the user had in the round.
    pub(super) pass: u64,
    /// In the order in which users joined; never the same for two of them.
    pub(super) seq: u64,
}

impl Due {
    /// The turn that comes this many turns after this one.
    pub(super) fn after(self, turns: u64, weight: u32) -> Self {
        let (passes, weight) = (self.pass + turns, u64::from(weight.max(1)));
        Self { round: self.round + passes / weight, pass: passes % weight, seq: self.seq }
    }

    /// How many turns, from this one on, come before another user's turn.
    pub(super) fn turns_before(self, other: Due, weight: u32) -> u64 {
        let weight = u64::from(weight.max(1));
        let Some(rounds) = other.round.checked_sub(self.round) else { return 0 };
        let in_its_round = (other.pass + u64::from(self.seq < other.seq)).min(weight);
        (rounds * weight + in_its_round).saturating_sub(self.pass)
    }
}

/// What one user has in one lane.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) due: Due,
    pub(super) listed: bool,
    pub(super) line: Line,
}

impl Share {
    pub(super) fn weigh(&mut self, weight: u32) {
        self.due = self.due.after(0, weight);
    }
}

/// The turns of one lane.
#[derive(Debug)]
pub(super) struct Rounds {
    /// The round of the last turn.
    round: u64,
    /// How many may still join it.
    newcomers: u64,
    next_seq: u64,
    /// The users of whom a run may start, by their turns.
    due: BTreeMap<Due, Principal>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { round: 1, newcomers: NEWCOMERS, next_seq: 0, due: BTreeMap::new() }
    }
}

impl Rounds {
    /// A share of a user who has not been here.
    pub(super) fn share(&mut self) -> Share {
        Share { due: Due { round: 0, pass: 0, seq: self.seq() }, listed: false, line: Line::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// The user whose turn it is.
    pub(super) fn first(&self) -> Option<&Principal> {
        self.due.first_key_value().map(|(_, user)| user)
    }

    /// Lists a user of whom a run may start. Turns that went by meanwhile are not made up for.
    pub(super) fn list(&mut self, share: &mut Share, user: &Principal) {
        if share.listed {
            return;
        }
        if self.is_behind(share) {
            let round = if self.newcomers > 0 { self.round } else { self.round + 1 };
            self.newcomers = self.newcomers.saturating_sub(1);
            share.due = Due { round, pass: 0, seq: self.seq() };
        }
        share.listed = true;
        self.due.insert(share.due, user.clone());
    }

    /// Takes a user off the list; it keeps its turn unless the round goes by.
    pub(super) fn unlist(&mut self, share: &mut Share) {
        if share.listed {
            self.due.remove(&share.due);
            share.listed = false;
        }
    }

    /// Uses up a turn of a user who is not on the list, and says whether a round began with it.
    pub(super) fn take_turn(&mut self, share: &mut Share, weight: u32) -> bool {
        let began = share.due.round > self.round;
        if began {
            self.round = share.due.round;
            self.newcomers = NEWCOMERS + self.due.len() as u64;
        }
        share.due = share.due.after(1, weight);
        began
    }

    /// When the user will have its next turn, as far as is known.
    pub(super) fn outlook(&self, share: &Share) -> Due {
        if share.listed || !self.is_behind(share) {
            return share.due;
        }
        // It will join behind those who have joined.
        Due { round: self.round, pass: 0, seq: share.due.seq | 1 << 63 }
    }

    /// Whether the user stands no worse by being forgotten than by being remembered.
    pub(super) fn may_forget(&self, share: &Share) -> bool {
        self.is_behind(share) || (share.due.round == self.round && share.due.pass == 0)
    }

    fn is_behind(&self, share: &Share) -> bool {
        share.due.round < self.round
    }

    fn seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_as_they_come() {
        // Every turn of a small tournament, counted one by one.
        for (weight, other_weight) in [(1, 1), (1, 3), (3, 1), (2, 5)] {
            let (mine, theirs) = (Due { round: 4, pass: 0, seq: 7 }, Due { round: 3, pass: 1, seq: 9 });
            let theirs = theirs.after(0, other_weight);
            for turn in 0..20 {
                let target = mine.after(turn, weight);
                let counted = (0..200).filter(|turn| theirs.after(*turn, other_weight) < target).count();
                assert_eq!(theirs.turns_before(target, other_weight), counted as u64);
            }
        }
    }
}
