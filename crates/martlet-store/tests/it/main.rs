//! What journals and stores promise.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, also in their helpers")]

mod approvals;
mod branches;
mod contract;
mod crash;
mod events;
mod files;
mod golden;
mod opening;
mod operator;
mod runs;
mod scoping;
mod sessions;
mod sign_ins;
mod space;
mod support;
mod sweep;
