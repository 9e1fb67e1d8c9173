//! How long runs take, learnt from those that ended.

/// What is assumed before the first run has ended.
const FIRST_GUESS_MS: u64 = 10_000;

/// A moving average of the time for which runs hold a slot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Typical {
    /// In 1/8 ms: the average keeps the fraction that whole milliseconds would lose.
    eighths: Option<u64>,
}

impl Typical {
    /// Each sample weighs an eighth, as in the round-trip estimate of RFC 6298.
    pub(super) fn learn(&mut self, ms: u64) {
        self.eighths = Some(match self.eighths {
            None => ms.saturating_mul(8),
            Some(eighths) => eighths.saturating_sub(eighths / 8).saturating_add(ms),
        });
    }

    pub(super) fn ms(self) -> u64 {
        self.eighths.map_or(FIRST_GUESS_MS, |eighths| eighths / 8)
    }

    /// The time until `starts` more have started, if `slots` of them run at once.
    pub(super) fn wait_ms(self, starts: u64, slots: u64) -> u64 {
        self.ms().saturating_mul(starts) / slots.max(1)
    }
}

/// As `Retry-After` says it: whole seconds, from 1 to 120.
pub(super) fn retry_after_s(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(1_000).clamp(1, 120)).unwrap_or(120)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_what_runs_take() {
        let mut typical = Typical::default();
        assert_eq!(typical.ms(), FIRST_GUESS_MS);
        typical.learn(100);
        assert_eq!(typical.ms(), 100);
        for _ in 0..60 {
            typical.learn(900);
        }
        assert!((890..=900).contains(&typical.ms()), "{}", typical.ms());
        typical.learn(u64::MAX);
        typical.learn(u64::MAX);
        assert!(typical.wait_ms(u64::MAX, 0) > 0);
    }

    #[test]
    fn retry_after_stays_within_its_bounds() {
        assert_eq!([0, 1, 1_000, 1_001, 119_500, u64::MAX].map(retry_after_s), [1, 1, 1, 2, 120, 120]);
    }
}
