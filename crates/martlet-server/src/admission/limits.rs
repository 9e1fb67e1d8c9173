//! How many runs may run and wait.

use serde::{Deserialize, Serialize};

/// How many runs may run and wait at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Runs that run at once. Default: 16. Also read as `max_workers` and as `default_concurrency_limit`.
    #[doc(alias = "max_workers")]
    #[doc(alias = "default_concurrency_limit")]
    #[serde(alias = "max_workers", alias = "default_concurrency_limit")]
    pub max_running: u32,
    /// Runs of one user that run at once. Default: 2.
    pub max_running_per_user: u32,
    /// Runs of one user that wait; who offers more is refused. Default: 10.
    pub max_queued_per_user: u32,
    /// Runs of all users that wait. Default: 256. Also read as `max_size`.
    #[doc(alias = "max_size")]
    #[serde(alias = "max_size")]
    pub max_queued: u32,
    /// The share of `max_running` that only interactive runs may take, in percent, rounded down. One slot at least
    /// stays open to all. Default: 25.
    pub interactive_percent: u32,
    /// The wait after which a run goes before younger ones of its user that wait in the other lane, in milliseconds.
    /// Default: 60,000.
    pub ageing_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_running: 16,
            max_running_per_user: 2,
            max_queued_per_user: 10,
            max_queued: 256,
            interactive_percent: 25,
            ageing_ms: 60_000,
        }
    }
}

impl Limits {
    /// Slots that every run may take; the rest is for interactive runs alone.
    pub fn open_slots(&self) -> u32 {
        let kept = u64::from(self.max_running) * u64::from(self.interactive_percent) / 100;
        self.max_running.saturating_sub(u32::try_from(kept).unwrap_or(u32::MAX)).max(1)
    }

    pub(super) fn check(&self) -> Result<(), InvalidLimits> {
        let counts = [
            ("max_running", self.max_running),
            ("max_running_per_user", self.max_running_per_user),
            ("max_queued_per_user", self.max_queued_per_user),
            ("max_queued", self.max_queued),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(InvalidLimits::Zero { name });
        }
        if self.interactive_percent > 100 {
            return Err(InvalidLimits::Percent { percent: self.interactive_percent });
        }
        Ok(())
    }
}

/// Limits under which nothing could ever run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLimits {
    /// A number is 0.
    #[error("`{name}` is 0, so that no run could ever start: set it to 1 or more")]
    Zero {
        /// The field.
        name: &'static str,
    },
    /// More than all.
    #[error("`interactive_percent` is {percent}: set it to a number from 0 to 100")]
    Percent {
        /// What it is.
        percent: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_slots_is_kept_but_never_all() {
        let open = |max_running, interactive_percent| {
            Limits { max_running, interactive_percent, ..Limits::default() }.open_slots()
        };
        assert_eq!([open(16, 25), open(4, 25), open(3, 25), open(1, 25)], [12, 3, 3, 1]);
        assert_eq!([open(16, 100), open(16, 0), open(u32::MAX, 100)], [1, 16, 1]);
    }

    #[test]
    fn settings_are_found_under_the_names_of_other_servers() {
        let limits: Limits = serde_json::from_str(r#"{"max_workers":4,"max_size":20}"#).unwrap();
        assert_eq!((limits.max_running, limits.max_queued), (4, 20));
        assert_eq!(limits.max_running_per_user, 2);
        assert!(serde_json::from_str::<Limits>(r#"{"max_runing":4}"#).is_err());
    }

    #[test]
    fn limits_that_let_nothing_run_are_refused() {
        let error = Limits { max_queued: 0, ..Limits::default() }.check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`max_queued` is 0, so that no run could ever start: set it to 1 or more"
        );
        assert!(Limits { interactive_percent: 101, ..Limits::default() }.check().is_err());
    }
}
