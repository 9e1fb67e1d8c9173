//! For tests and benchmarks of agents: models that do what they are told.
//!
//! - [`FakeServer`] speaks OpenAI's chat completions over HTTP, with every fault that a server can have. It
//!   also serves load tests: ten thousand requests at once cost it little.
//! - [`Script`] says in a file what it answers, for programs that are tried from outside.
//! - [`ScriptedModel`] is a [`Model`](martlet_model::Model) without any network.
//!
//! ```
//! use martlet_testkit::{FakeServer, Reply};
//!
//! let server = FakeServer::with_replies([Reply::status(503, "busy"), Reply::text("Hello!")]);
//! let model = martlet_model::OpenAiCompatible::new(server.base_url(), "any").build();
//! # let _ = model;
//! ```

mod captured;
mod gate;
mod reply;
mod script;
mod scripted;
mod server;

pub use captured::CapturedRequest;
pub use gate::{Gate, Moment};
pub use reply::{Reply, chunk, sse};
pub use script::{SCRIPT_FORM, Script, ScriptError};
pub use scripted::{ScriptedModel, ScriptedReply};
pub use server::{Counters, FakeServer, FakeServerBuilder};

/// The page of the book about models: its examples are compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/models.md")]
struct ModelsPage;
