//! The tokens that a run and all runs in it may use together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use martlet_core::{ModelFailure, ModelFailureKind, Usage};

/// The tokens that a run and all runs in it may use together. What is used counts for every run above, too.
///
/// Calls that are under way at the same time are all allowed as long as none of them is done, so what is used may be
/// more than the limit by what these calls use.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
    above: Option<Arc<Budget>>,
}

impl Budget {
    /// That of a run which has a limit of its own, or that of the run above.
    pub(crate) fn below(above: Option<Arc<Budget>>, limit: Option<u64>) -> Option<Arc<Budget>> {
        match limit {
            Some(limit) => Some(Arc::new(Budget { limit, used: AtomicU64::new(0), above })),
            None => above,
        }
    }

    /// Whether another call may be made.
    ///
    /// # Errors
    /// What the run is told if not.
    pub(crate) fn check(&self) -> Result<(), ModelFailure> {
        let mut budget = Some(self);
        while let Some(here) = budget {
            let used = here.used.load(Ordering::Relaxed);
            if used >= here.limit {
                return Err(ModelFailure {
                    kind: ModelFailureKind::Budget,
                    message: format!(
                        "{used} of {} tokens are used that this run and those around it may use: raise `max_tokens`",
                        here.limit
                    ),
                });
            }
            budget = here.above.as_deref();
        }
        Ok(())
    }

    /// Counts what a call used.
    pub(crate) fn count(&self, usage: Usage) {
        let mut budget = Some(self);
        while let Some(here) = budget {
            here.used.fetch_add(usage.total(), Ordering::Relaxed);
            budget = here.above.as_deref();
        }
    }
}
