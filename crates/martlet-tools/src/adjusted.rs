//! A tool under other terms: another name, a timeout, approval.

use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::{ToolOutput, ToolSpec};
use serde_json::{Map, Value};

use crate::{Tool, ToolContext, ToolError};

/// Offers a tool to an agent under other terms than its author set.
///
/// ```
/// # use std::time::Duration;
/// # use martlet_tools::{FinalAnswer, Tool, ToolExt};
/// let tool = FinalAnswer::new().timeout(Duration::from_secs(5)).needs_approval();
/// assert!(tool.spec().flags.needs_approval);
/// ```
pub trait ToolExt: Tool + Sized {
    /// Drops a call that takes longer than `limit`, and tells the model so.
    fn timeout(self, limit: Duration) -> Adjusted<Self> {
        Adjusted { timeout: Some(limit), ..Adjusted::new(self) }
    }

    /// Lets a person approve each call.
    fn needs_approval(self) -> Adjusted<Self> {
        Adjusted::new(self).needs_approval()
    }

    /// Gives the tool another name, so that two of the same name fit into one toolbox.
    fn named(self, name: impl Into<String>) -> Adjusted<Self> {
        Adjusted::new(self).named(name)
    }

    /// Tells the model in other words what the tool does.
    fn described(self, description: impl Into<String>) -> Adjusted<Self> {
        Adjusted::new(self).described(description)
    }
}

impl<T: Tool> ToolExt for T {}

/// A tool under other terms: see [`ToolExt`].
#[derive(Debug, Clone)]
pub struct Adjusted<T> {
    tool: T,
    spec: ToolSpec,
    timeout: Option<Duration>,
}

impl<T: Tool> Adjusted<T> {
    fn new(tool: T) -> Self {
        let (spec, timeout) = (tool.spec().clone(), tool.time_limit());
        Self { tool, spec, timeout }
    }

    /// Drops a call that takes longer than `limit`, and tells the model so.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Lets a person approve each call.
    pub fn needs_approval(mut self) -> Self {
        self.spec.flags.needs_approval = true;
        self
    }

    /// Gives the tool another name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.spec.name = name.into();
        self
    }

    /// Tells the model in other words what the tool does.
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.spec.description = description.into();
        self
    }
}

impl<T: Tool> Tool for Adjusted<T> {
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
        self.tool.call(arguments, cx)
    }
}
