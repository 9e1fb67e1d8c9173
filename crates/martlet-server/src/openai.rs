//! The API of OpenAI, as its clients speak it: models, chat completions, responses.
//!
//! Agents and workflows are models here, and what is asked of them are runs: everything that is answered is a projection of
//! the store. Plain models answer directly, and what is asked of them is stored nowhere.

mod body;
pub(crate) mod chat;
mod chunks;
mod content;
mod fault;
pub(crate) mod models;
mod narrator;
mod plain;
pub(crate) mod responses;
mod telling;

pub(crate) use fault::{FaultBody, translate};
