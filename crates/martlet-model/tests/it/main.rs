//! The client against a fake server.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod cancel;
mod common;
mod failures;
mod limits;
mod requests;
mod retry;
mod stream;
mod whole;
