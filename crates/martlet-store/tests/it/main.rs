//! What journals and stores promise.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also in their helpers")]

mod contract;
mod crash;
mod opening;
mod support;
