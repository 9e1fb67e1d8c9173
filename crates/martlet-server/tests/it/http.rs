//! The HTTP API, as its clients meet it: over TCP, with models that follow a script.

mod api;
mod server;
mod stream;

pub(crate) use server::{Server, agents};
