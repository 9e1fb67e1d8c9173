//! Martlet over HTTP: many users run agents and workflows at once, and each run survives a crash.

pub mod admission;
pub mod keys;
pub mod problem;
