//! The sandbox through its public surface: every promise of `docs/sandbox.md` that a test can show.

mod cases;
mod costs;
mod limits;
mod sessions;
mod snapshots;
mod support;
mod tools;
mod workers;
