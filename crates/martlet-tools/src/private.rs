//! What the code that `#[tool]` generates stands on. Not for users: it may change in any release.

use std::marker::PhantomData;

use martlet_core::ToolFlags;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

pub use futures::future::BoxFuture;
pub use serde_json::{Map, Value, to_value};

pub use crate::arguments::ArgumentReader;
use crate::toolbox::panicked;
use crate::{ToolError, ToolOutput, ToolSpec, fn_tool, schema, schema_of};

/// Collects the parameters of a function into a specification.
#[derive(Debug)]
pub struct SpecBuilder {
    spec: ToolSpec,
    generator: SchemaGenerator,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl SpecBuilder {
    /// A tool without parameters.
    pub fn new(name: &str, description: &str, flags: ToolFlags) -> Self {
        Self {
            spec: ToolSpec::new(name, description).flags(flags),
            generator: schema::generator(),
            properties: Map::new(),
            required: Vec::new(),
        }
    }

    /// A parameter that must be given.
    pub fn required<T: JsonSchema>(mut self, name: &str, description: &str) -> Self {
        self.required.push(name.into());
        self.property::<T>(name, description, None)
    }

    /// A parameter that may be left out.
    pub fn optional<T: JsonSchema>(self, name: &str, description: &str) -> Self {
        self.property::<T>(name, description, None)
    }

    /// A parameter with a default.
    pub fn with_default<T: JsonSchema + Serialize>(self, name: &str, description: &str, default: T) -> Self {
        let default = to_value(default).ok();
        self.property::<T>(name, description, default)
    }

    /// What the function returns.
    pub fn returns(mut self, schema: Option<Value>) -> Self {
        self.spec.returns =
            schema.filter(|schema| schema.as_object().is_some_and(|object| !object.is_empty()));
        self
    }

    /// An example of what it returns.
    pub fn example(mut self, example: impl Serialize) -> Self {
        self.spec.example = to_value(example).ok();
        self
    }

    /// The specification.
    pub fn build(mut self) -> ToolSpec {
        let mut parameters = Map::new();
        parameters.insert("type".into(), "object".into());
        parameters.insert("properties".into(), Value::Object(self.properties));
        if !self.required.is_empty() {
            parameters.insert("required".into(), Value::Array(self.required));
        }
        parameters.insert("additionalProperties".into(), false.into());
        let parameters = schema::finish(Value::Object(parameters), &mut self.generator);
        self.spec.parameters(parameters)
    }

    fn property<T: JsonSchema>(mut self, name: &str, description: &str, default: Option<Value>) -> Self {
        let mut schema = self.generator.subschema_for::<T>();
        // What is said of the parameter is worth more than what is said of its type.
        if !description.is_empty() {
            schema.insert("description".into(), description.into());
        }
        if let Some(default) = default {
            schema.insert("default".into(), default);
        }
        self.properties.insert(name.to_owned(), schema.to_value());
        self
    }
}

/// Finds out whether a type has a schema, without asking that it has: the method of the reference is only
/// looked at if the type itself offers none.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

impl<T> Probe<T> {
    /// A probe of a type.
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// The type has a schema.
pub trait HasSchema {
    /// The schema.
    fn schema(&self) -> Option<Value>;
}

impl<T: JsonSchema> HasSchema for Probe<T> {
    fn schema(&self) -> Option<Value> {
        Some(schema_of::<T>())
    }
}

/// The type may have none.
pub trait MayLackSchema {
    /// No schema.
    fn schema(&self) -> Option<Value>;
}

impl<T> MayLackSchema for &Probe<T> {
    fn schema(&self) -> Option<Value> {
        None
    }
}

/// The output of a function that cannot fail.
///
/// # Errors
/// If the value cannot be written as JSON.
pub fn plain<R: Serialize + 'static>(value: R) -> Result<ToolOutput, ToolError> {
    fn_tool::output(value)
}

/// The output of a function that may fail.
///
/// # Errors
/// The function's own, or that its value cannot be written as JSON.
pub fn fallible<R: Serialize + 'static, E: Into<ToolError>>(
    value: Result<R, E>,
) -> Result<ToolOutput, ToolError> {
    fn_tool::output(value.map_err(Into::into)?)
}

/// Runs a function that blocks where it holds up nobody. A call that is cancelled no longer waits for it; the
/// function itself cannot be stopped and runs to its end.
///
/// # Errors
/// If the function panicked, or the runtime shuts down.
pub async fn blocking<R: Send + 'static>(
    tool: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, ToolError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        if error.is_panic() { panicked(tool).into() } else { ToolError::new("the process is shutting down") }
    })
}
