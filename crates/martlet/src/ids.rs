//! Names of runs that nobody named.

use martlet_core::RunId;

use crate::driver::now_ms;

/// A name that two runs of the world will not share.
pub(crate) fn random_id() -> RunId {
    use std::hash::{BuildHasher as _, RandomState};
    // The keys of a `RandomState` come from the system's random numbers; its hashes of a counter and the time
    // differ for each call.
    static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let state = RandomState::new();
    let high = state.hash_one((count, now_ms(), 0_u8));
    let low = state.hash_one((count, now_ms(), 1_u8));
    RunId::from_bits((u128::from(high) << 64) | u128::from(low))
}
