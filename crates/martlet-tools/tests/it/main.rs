//! Tools and the toolbox through the public surface.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, also in their helpers")]

mod attribute;
mod files;
mod python;
mod toolbox;
#[cfg(feature = "web")]
mod web;
