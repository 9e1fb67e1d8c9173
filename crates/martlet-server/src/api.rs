//! The native API: `/api/v1`.

pub(crate) mod approvals;
pub(crate) mod catalog;
pub(crate) mod display;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod queue;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod upload;
pub(crate) mod wait;
