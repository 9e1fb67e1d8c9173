//! The sandbox through its public surface: every promise of `docs/sandbox.md` that a test can show.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod cases;
mod costs;
mod limits;
mod sessions;
mod snapshots;
mod support;
mod tools;
mod variables;
mod workers;
