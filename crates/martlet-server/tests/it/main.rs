//! The server, through its public surface.

mod admission;
mod keys;
