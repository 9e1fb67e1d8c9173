//! The command as people and scripts meet it: the real binary against a fake provider.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod approvals;
mod chat;
mod commands;
mod config;
#[cfg(unix)]
mod documents;
mod python;
mod run;
#[cfg(unix)]
mod serve;
// They look into /proc for the workers.
#[cfg(target_os = "linux")]
mod signals;
mod support;
mod workflow;
