//! The fakes themselves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod script;
mod scripted;
mod server;
