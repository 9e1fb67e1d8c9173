//! Tools from closures.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::{Part, ToolOutput, ToolSpec};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::arguments::read;
use crate::{Tool, ToolContext, ToolError, schema_of};

type Call = dyn Fn(Map<String, Value>, ToolContext) -> BoxFuture<'static, Result<ToolOutput, ToolError>>
    + Send
    + Sync;

/// A tool made from a closure: see [`tool_fn`]. Cheap to clone.
#[derive(Clone)]
pub struct FnTool {
    spec: ToolSpec,
    timeout: Option<Duration>,
    call: Arc<Call>,
}

/// Makes a tool from a closure, which may hold what the tool needs: a client, a pool, a channel.
///
/// The schema of the arguments is that of `T`, a struct; the one in `spec` is replaced. The closure's output is
/// anything that serialises, a [`ToolOutput`], or [`Part`]s for images and files.
///
/// ```
/// use martlet_tools::{ToolError, tool_fn};
/// use martlet_core::ToolSpec;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Order {
///     /// The number on the invoice.
///     number: u32,
/// }
///
/// let prices = std::sync::Arc::new(std::collections::HashMap::from([(7, 12.5)]));
/// let price = tool_fn(ToolSpec::new("price", "Price of an order in euros."), move |order: Order, _cx| {
///     let prices = prices.clone();
///     async move { prices.get(&order.number).copied().ok_or("there is no such order") }
/// });
/// ```
pub fn tool_fn<T, F, Fut, R, E>(spec: ToolSpec, call: F) -> FnTool
where
    T: DeserializeOwned + JsonSchema + Send + 'static,
    F: Fn(T, ToolContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Serialize + 'static,
    E: Into<ToolError>,
{
    FnTool {
        spec: spec.parameters(schema_of::<T>()),
        timeout: None,
        call: Arc::new(move |arguments, cx| {
            let started = read::<T>(Value::Object(arguments)).map(|arguments| call(arguments, cx));
            Box::pin(async move {
                let running = started.map_err(|error| ToolError::arguments(error.to_string()))?;
                output(running.await.map_err(Into::into)?)
            })
        }),
    }
}

impl FnTool {
    /// Drops a call that takes longer than `limit`, and tells the model so.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }
}

impl Tool for FnTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn time_limit(&self) -> Option<Duration> {
        self.timeout
    }

    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        (self.call)(arguments, cx.clone())
    }
}

impl fmt::Debug for FnTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnTool")
            .field("spec", &self.spec)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Whatever a function gave, as the output of a tool. What is an output already, or parts of one, goes through
/// as it is; everything serialises, so the types themselves are asked.
pub(crate) fn output<R: Serialize + 'static>(value: R) -> Result<ToolOutput, ToolError> {
    let any: &dyn Any = &value;
    if let Some(output) = any.downcast_ref::<ToolOutput>() {
        return Ok(output.clone());
    }
    if let Some(parts) = any.downcast_ref::<Vec<Part>>() {
        return Ok(ToolOutput::Parts { parts: parts.clone() });
    }
    if let Some(part) = any.downcast_ref::<Part>() {
        return Ok(ToolOutput::Parts { parts: vec![part.clone()] });
    }
    let value = serde_json::to_value(&value)
        .map_err(|error| ToolError::new(format!("its result cannot be written as JSON: {error}")))?;
    Ok(ToolOutput::from(value))
}
