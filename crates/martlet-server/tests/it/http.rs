//! The HTTP API, as its clients meet it: over TCP, with models that follow a script.

mod ag_ui;
mod ai_sdk;
mod api;
mod approvals;
mod auth;
mod document;
mod faults;
mod files;
mod golden;
mod gradio;
mod openai;
mod openapi;
mod origin;
mod owners;
mod page;
mod server;
mod sessions;
mod stream;

pub(crate) use server::{Server, agents};
