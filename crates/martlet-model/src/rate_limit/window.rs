//! What was sent in the last minute.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// The limits of a minute; `None` is no limit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) requests: Option<usize>,
    pub(super) tokens: Option<u64>,
}

/// The calls of the last minute, the oldest first.
#[derive(Debug)]
pub(super) struct Window {
    calls: VecDeque<Call>,
    /// The number of the oldest call.
    first: u64,
    /// The tokens of all of them.
    tokens: u64,
    /// The tokens of a reply, averaged over the last ones.
    usual_output: u64,
}

#[derive(Debug)]
struct Call {
    at: Instant,
    tokens: u64,
}

impl Default for Window {
    fn default() -> Self {
        // What an answer or a tool call has, until the first replies show what is usual.
        Self { calls: VecDeque::new(), first: 0, tokens: 0, usual_output: 256 }
    }
}

impl Window {
    /// Counts a call of so many tokens, and says its number.
    ///
    /// # Errors
    /// When there may be room for it, if there is none now.
    pub(super) fn admit(&mut self, now: Instant, limits: Limits, tokens: u64) -> Result<u64, Instant> {
        self.forget(now);
        // What is bigger than the limit waits until nothing else is there.
        let tokens = limits.tokens.map_or(tokens, |limit| tokens.min(limit));
        let later = self.room_for_request(limits.requests).max(self.room_for_tokens(limits.tokens, tokens));
        if let Some(later) = later {
            return Err(later);
        }
        self.calls.push_back(Call { at: now, tokens });
        self.tokens = self.tokens.saturating_add(tokens);
        Ok(self.first + self.calls.len() as u64 - 1)
    }

    /// Sets what a call really cost, if it still counts.
    pub(super) fn settle(&mut self, number: u64, tokens: u64) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(call) = place.and_then(|place| self.calls.get_mut(place)) {
            self.tokens = self.tokens.saturating_sub(call.tokens).saturating_add(tokens);
            call.tokens = tokens;
        }
    }

    /// Takes a reply into account for the next estimates.
    pub(super) fn saw_output(&mut self, tokens: u64) {
        self.usual_output = self.usual_output.saturating_mul(7).saturating_add(tokens) / 8;
    }

    pub(super) fn usual_output(&self) -> u64 {
        self.usual_output
    }

    fn forget(&mut self, now: Instant) {
        while let Some(call) = self.calls.pop_front_if(|call| call.at + MINUTE <= now) {
            self.tokens = self.tokens.saturating_sub(call.tokens);
            self.first += 1;
        }
    }

    /// When enough calls are older than a minute; `None`: now.
    fn room_for_request(&self, limit: Option<usize>) -> Option<Instant> {
        let in_the_way = self.calls.len().checked_sub(limit?)?;
        self.calls.get(in_the_way).map(|call| call.at + MINUTE)
    }

    /// When enough tokens are older than a minute; `None`: now.
    fn room_for_tokens(&self, limit: Option<u64>, tokens: u64) -> Option<Instant> {
        let mut too_many =
            self.tokens.saturating_add(tokens).checked_sub(limit?).filter(|excess| *excess > 0)?;
        for call in &self.calls {
            if call.tokens >= too_many {
                return Some(call.at + MINUTE);
            }
            too_many -= call.tokens;
        }
        None
    }
}
