//! The clock of a run and of the runs in it.

use std::time::{SystemTime, UNIX_EPOCH};

use martlet_core::Timing;
use tokio::time::Instant;

/// The clock of a run and of the runs in it: it begins with the time of the machine and goes on by tokio's, so that
/// setting the machine's clock does no harm, and paused time in tests counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    began_ms: u64,
    began: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began_ms: now_ms(), began: Instant::now() }
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) fn now_ms(&self) -> u64 {
        self.at_ms(Instant::now())
    }

    /// What began at `start` and ends now.
    pub(crate) fn since(&self, start: Instant) -> Timing {
        let elapsed_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Timing { started_ms: self.at_ms(start), elapsed_us }
    }

    fn at_ms(&self, instant: Instant) -> u64 {
        let passed = instant.saturating_duration_since(self.began).as_millis();
        self.began_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

/// The time of this machine, in milliseconds since 1970-01-01 UTC.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
