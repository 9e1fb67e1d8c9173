//! The client against a fake server.

mod cancel;
mod common;
mod failures;
mod requests;
mod retry;
mod stream;
mod whole;
