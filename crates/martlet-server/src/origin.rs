//! The endpoints of other agent servers, with their JSON, for clients that were written for those.
//!
//! They wait for the run: it is cancelled when the client goes away. There is no history that all share: everybody sees
//! their own.

pub(crate) mod agent;
pub(crate) mod ask;
pub(crate) mod dag;
pub(crate) mod history;
pub(crate) mod tools;
