//! Agents through the public surface, on a scripted model.

mod cancel;
mod examples;
mod journal;
mod observe;
mod run;
