//! A named set of tools, and the one path that every call takes.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures::FutureExt as _;
use martlet_core::name;
use martlet_core::{Arguments, ToolCall, ToolFailure, ToolFailureKind, ToolOutput, ToolSpec};
use serde_json::{Map, Value};

use crate::{Tool, ToolContext};

/// A named set of tools: names are unique, the order is that in which the tools were added.
///
/// ```
/// # use martlet_tools::{FinalAnswer, Toolbox};
/// let tools = Toolbox::new().with(FinalAnswer::new())?;
/// assert_eq!(tools.names().collect::<Vec<_>>(), ["final_answer"]);
/// assert!(tools.with(FinalAnswer::new()).is_err());
/// # Ok::<(), martlet_tools::ToolboxError>(())
/// ```
#[derive(Clone, Default)]
pub struct Toolbox {
    tools: Vec<Arc<dyn Tool>>,
    places: HashMap<String, usize>,
    specs: OnceLock<Arc<[ToolSpec]>>,
}

impl Toolbox {
    /// An empty toolbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool; for chaining.
    ///
    /// # Errors
    /// See [`add`](Self::add).
    pub fn with(mut self, tool: impl Tool + 'static) -> Result<Self, ToolboxError> {
        self.add(tool)?;
        Ok(self)
    }

    /// Adds a tool; an `Arc<dyn Tool>` is one, too.
    ///
    /// # Errors
    /// If its name is taken or is none that Python code could use, or if the schema of its arguments is wrong.
    pub fn add(&mut self, tool: impl Tool + 'static) -> Result<(), ToolboxError> {
        let spec = tool.spec();
        let error = |problem| Err(ToolboxError { tool: spec.name.clone(), problem });
        if let Err(reason) = name::check(&spec.name) {
            return error(Problem::Name(reason));
        }
        if self.places.contains_key(&spec.name) {
            return error(Problem::Duplicate);
        }
        if let Err(reason) = spec.check_schema() {
            return error(Problem::Schema(reason));
        }
        self.places.insert(spec.name.clone(), self.tools.len());
        self.tools.push(Arc::new(tool));
        self.specs = OnceLock::new();
        Ok(())
    }

    /// Adds a tool unless there is one of its name already: that one stays. Built-in tools such as
    /// `final_answer` are added so, after the user's own.
    ///
    /// # Errors
    /// If the name or the schema of the tool is wrong.
    pub fn add_default(&mut self, tool: impl Tool + 'static) -> Result<(), ToolboxError> {
        if self.places.contains_key(&tool.spec().name) { Ok(()) } else { self.add(tool) }
    }

    /// The tool of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.places.get(name).and_then(|place| self.tools.get(*place))
    }

    /// The tools, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        self.tools.iter()
    }

    /// The names of the tools, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().map(|tool| tool.spec().name.as_str())
    }

    /// The specifications of the tools, in order; made once and shared.
    pub fn specs(&self) -> Arc<[ToolSpec]> {
        self.specs.get_or_init(|| self.tools.iter().map(|tool| tool.spec().clone()).collect()).clone()
    }

    /// The number of tools.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether there are no tools.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Performs a call: the one path for calls of models, of Python code and of graphs.
    ///
    /// The arguments are checked against the schema first. A panic in the tool is contained; the model is told
    /// that it happened and not with which words, as those may hold anything. Dropping the future cancels the call.
    ///
    /// A tool with a timeout needs a tokio runtime with its timer enabled.
    ///
    /// # Errors
    /// What the model is to be told: an unknown tool (with the name that was probably meant), wrong arguments, a
    /// timeout, or the tool's own failure. None of them is a reason to end the run.
    pub async fn call(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        cx: &ToolContext,
    ) -> Result<ToolOutput, ToolFailure> {
        let Some(tool) = self.get(name) else { return Err(self.unknown(name)) };
        tool.spec()
            .validate(&arguments)
            .map_err(|error| ToolFailure::new(ToolFailureKind::Arguments, error.to_string()))?;
        // Inside the block, because a tool may panic before it has made its future.
        let contained = AssertUnwindSafe(async { tool.call(arguments, cx).await }).catch_unwind();
        let result = match tool.time_limit() {
            None => contained.await,
            Some(limit) => match tokio::time::timeout(limit, contained).await {
                Ok(result) => result,
                Err(_) => {
                    return Err(ToolFailure::new(
                        ToolFailureKind::TimedOut,
                        format!("`{name}` took longer than {limit:?} and was stopped"),
                    ));
                }
            },
        };
        match result {
            Ok(result) => result.map_err(ToolFailure::from),
            Err(_panic) => Err(panicked(name)),
        }
    }

    /// Performs a structured call as a model made it, also one whose arguments are no JSON object.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_structured(&self, call: ToolCall, cx: &ToolContext) -> Result<ToolOutput, ToolFailure> {
        match call.arguments {
            Arguments::Object(arguments) => self.call(&call.name, arguments, cx).await,
            Arguments::Malformed(_) if self.get(&call.name).is_none() => Err(self.unknown(&call.name)),
            Arguments::Malformed(_) => Err(ToolFailure::new(
                ToolFailureKind::Arguments,
                format!(
                    "the arguments of `{}` are not a JSON object; send them as {{\"name\": value}}",
                    call.name
                ),
            )),
        }
    }

    fn unknown(&self, wanted: &str) -> ToolFailure {
        let known: Vec<&str> = self.names().collect();
        name::unknown(wanted, known.into_iter())
    }
}

pub(crate) fn panicked(tool: &str) -> ToolFailure {
    ToolFailure::new(
        ToolFailureKind::Failed,
        format!("`{tool}` stopped at an internal error; try other arguments or another way"),
    )
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Why a tool cannot be added to a toolbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tool `{tool}` cannot be added: {problem}")]
pub struct ToolboxError {
    tool: String,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("there is a tool of this name already; give one of them another name")]
    Duplicate,
    #[error("invalid name: {0}")]
    Name(String),
    #[error("the schema of its arguments cannot be used: {0}")]
    Schema(String),
}

impl ToolboxError {
    /// The name of the tool that was refused.
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// Whether the name is taken.
    pub fn is_duplicate(&self) -> bool {
        self.problem == Problem::Duplicate
    }
}
