//! Functions as nodes: what they are given, and what they may return.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use futures::future::BoxFuture;
use martlet_core::graph::{NodeFailure, NodeFailureKind, NodeInput, State};
use martlet_core::{EffectId, RunId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Performer;
use super::node::Node;

/// The function of a node.
#[derive(Clone)]
pub(crate) enum Function {
    Async(Arc<dyn Fn(Input) -> BoxFuture<'static, Result<Value, NodeFailure>> + Send + Sync>),
    Blocking(Arc<dyn Fn(Input) -> Result<Value, NodeFailure> + Send + Sync>),
}

/// Makes a node of a function that blocks or computes: it runs on the threads for such work, and keeps nothing else
/// waiting.
///
/// A node that is cancelled, or whose time is up, no longer waits for its function; a thread cannot be stopped, so the
/// function itself goes on until it returns.
///
/// ```
/// # use martlet::{Graph, Input, InputError, blocking};
/// let graph = Graph::new("sums").node("sum", blocking(|input: Input| {
///     let numbers: Vec<f64> = input.get("numbers")?;
///     Ok::<_, InputError>(numbers.iter().sum::<f64>())
/// }));
/// ```
pub fn blocking<F, R>(function: F) -> Node
where
    F: Fn(Input) -> R + Send + Sync + 'static,
    R: NodeOutput,
{
    let function = Arc::new(move |input| function(input).into_result());
    Node::from_performer(Performer::Function(Function::Blocking(function)))
}

/// What the function of a node is given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Input {
    values: NodeInput,
    effect: EffectId,
    user: Option<Arc<str>>,
}

impl Input {
    pub(crate) fn new(values: NodeInput, effect: EffectId, user: Option<Arc<str>>) -> Self {
        Self { values, effect, user }
    }

    /// A value by its name: the item of a copy, else one of the values that the node maps, else a state key.
    ///
    /// # Errors
    /// If there is none, or it is no `T`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, InputError> {
        let value = self
            .values
            .get(name)
            .ok_or_else(|| InputError { message: format!("there is no value `{name}`") })?;
        read(name, value)
    }

    /// The item of a copy of the node.
    ///
    /// # Errors
    /// If the node has no copies, or it is no `T`.
    pub fn item<T: DeserializeOwned>(&self) -> Result<T, InputError> {
        match &self.values.item {
            Some(item) => read(&item.name, &item.value),
            None => {
                Err(InputError { message: "there is no item: the node is not run for each of a list".into() })
            }
        }
    }

    /// The place of the item of a copy in the list, from 0.
    pub fn item_index(&self) -> Option<u32> {
        self.values.item.as_ref().map(|item| item.index)
    }

    /// What the node is given as one JSON value: the values that it maps, or the whole state where it maps none, with the
    /// item of a copy among them; the item alone for a copy of a node that maps none.
    pub fn value(&self) -> Value {
        self.values.to_value()
    }

    /// The state as it was when the node's join was complete; where it is repeated, after the time before.
    pub fn state(&self) -> &State {
        &self.values.state
    }

    /// The run.
    pub fn run_id(&self) -> &RunId {
        &self.effect.run
    }

    /// The name of this call: it is the same when the call is repeated after a crash. Pass it on to services that
    /// recognise a repeated request by such a key.
    pub fn idempotency_key(&self) -> String {
        self.effect.to_string()
    }

    /// The user on whose behalf the run acts, if the caller named one.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

fn read<T: DeserializeOwned>(name: &str, value: &Value) -> Result<T, InputError> {
    T::deserialize(value).map_err(|error| InputError { message: format!("`{name}` cannot be read: {error}") })
}

/// A value that a function needs is not there, or is of another type. The node fails with
/// [`NodeFailureKind::Input`], which is not tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InputError {
    message: String,
}

/// What the function of a node may return: a `Result` of anything that serialises, with any error that can be shown;
/// or a [`Value`], a text, a number, a list, a map.
///
/// Return a [`NodeFailure`] as the error to say what kind of failure it is; an [`InputError`] does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what the function of a node may return",
    label = "the function returns `{Self}`",
    note = "return a `Result<T, E>` where `T: Serialize` and `E: Display`, or a `serde_json::Value`"
)]
pub trait NodeOutput: Send + 'static {
    /// The result of the node.
    ///
    /// # Errors
    /// The function's own; or that its result cannot be written as JSON.
    fn into_result(self) -> Result<Value, NodeFailure>;
}

impl<T, E> NodeOutput for Result<T, E>
where
    T: Serialize + Send + 'static,
    E: Display + Send + 'static,
{
    fn into_result(self) -> Result<Value, NodeFailure> {
        to_value(&self.map_err(failure)?)
    }
}

/// The failure that an error stands for: the errors that say it are recognised, also in a box.
fn failure<E: Display + 'static>(error: E) -> NodeFailure {
    let any: &dyn Any = &error;
    if let Some(failure) = any.downcast_ref::<NodeFailure>() {
        return failure.clone();
    }
    let boxed = any.downcast_ref::<Box<dyn Error + Send + Sync>>();
    if let Some(failure) = boxed.and_then(|error| error.downcast_ref::<NodeFailure>()) {
        return failure.clone();
    }
    let is_input = any.is::<InputError>() || boxed.is_some_and(|error| error.is::<InputError>());
    let kind = if is_input { NodeFailureKind::Input } else { NodeFailureKind::Failed };
    NodeFailure::new(kind, error.to_string())
}

fn to_value(value: &impl Serialize) -> Result<Value, NodeFailure> {
    serde_json::to_value(value).map_err(|error| {
        NodeFailure::new(NodeFailureKind::Failed, format!("the result cannot be written as JSON: {error}"))
    })
}

impl NodeOutput for Value {
    fn into_result(self) -> Result<Value, NodeFailure> {
        Ok(self)
    }
}

macro_rules! plain {
    ($($type:ty $(where $parameter:ident)?,)+) => {$(
        impl $(<$parameter: Serialize + Send + 'static>)? NodeOutput for $type {
            fn into_result(self) -> Result<Value, NodeFailure> {
                to_value(&self)
            }
        }
    )+};
}

plain! {
    (), bool, char, f32, f64, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, String, &'static str,
    Map<String, Value>,
    Option<T> where T,
    Vec<T> where T,
    BTreeMap<String, T> where T,
    HashMap<String, T> where T,
}
