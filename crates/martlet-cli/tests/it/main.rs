//! The command as people and scripts meet it: the real binary against a fake provider.

mod chat;
mod commands;
mod python;
mod run;
mod signals;
mod support;
