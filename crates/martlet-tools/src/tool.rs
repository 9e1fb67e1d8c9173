//! The trait that every tool implements.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::{ToolOutput, ToolSpec};
use serde_json::{Map, Value};

use crate::{ToolContext, ToolError};

/// Something that a model can call: an async function with a JSON Schema.
///
/// Most tools are written with `#[tool]` on a function, or with [`tool_fn`](crate::tool_fn) from a closure. Implement
/// the trait where the specification is only known at run time.
///
/// A tool is shared by all runs of all agents that have it, so it keeps what belongs to one run out of its
/// fields. Calls are cancelled by dropping the future.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool",
    label = "not a tool",
    note = "put `#[tool]` above the function, make a tool from a closure with `tool_fn`, or implement `Tool`"
)]
pub trait Tool: Send + Sync {
    /// What models and drivers need to know of the tool. It must not change.
    fn spec(&self) -> &ToolSpec;

    /// How long a call may take; then it is dropped and the model is told. `None`, the default, sets no limit.
    fn time_limit(&self) -> Option<Duration> {
        None
    }

    /// Performs a call. Use [`Toolbox::call`](crate::Toolbox::call) instead wherever a model made the call: it
    /// checks the arguments, holds the timeout, and contains panics.
    ///
    /// # Errors
    /// Whatever the model should know about: it is shown the message and goes on.
    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>>;
}

/// What `#[tool]` leaves in the place of the function: naming it gives the tool.
///
/// A function, and not a constant, because local variables may have the name of a function that is in scope.
impl<F, T> Tool for F
where
    F: Fn() -> &'static T + Send + Sync,
    T: Tool + 'static,
{
    fn spec(&self) -> &ToolSpec {
        self().spec()
    }

    fn time_limit(&self) -> Option<Duration> {
        self().time_limit()
    }

    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        self().call(arguments, cx)
    }
}

impl<T: Tool + ?Sized> Tool for Arc<T> {
    fn spec(&self) -> &ToolSpec {
        (**self).spec()
    }

    fn time_limit(&self) -> Option<Duration> {
        (**self).time_limit()
    }

    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        (**self).call(arguments, cx)
    }
}
