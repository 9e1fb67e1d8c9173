//! The server, through its public surface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, in its helpers too, and prints its figures"
)]

mod admission;
mod keys;
