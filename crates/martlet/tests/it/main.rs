//! Agents through the public surface, on a scripted model.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod approvals;
mod cancel;
mod children;
mod examples;
mod files;
mod graph_journal;
mod graphs;
mod journal;
mod managed;
mod observe;
mod parking;
mod reasoning;
mod run;
mod support;
mod without_tools;
