//! The native API: `/api/v1`.

pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod run;
pub(crate) mod runs;
mod wait;
