//! JSON in the engine, and back: big values are read in place.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, Output, State};
use serde_json::{Map, Number, Value};

use super::Shared;
use crate::tool::display_value;

/// How deep a computed value may be nested. One that contains itself has no end.
const MAX_DEPTH: usize = 128;
/// How many values a computed value may hold: `[0] * 100000000` is a short text.
const MAX_VALUES: usize = 1_000_000;

/// A value as the engine sees it.
pub(super) fn to_engine(root: Shared) -> minijinja::Value {
    Place { root, path: Vec::new() }.into_engine()
}

/// A place in a JSON value: walked from the root each time, so that nothing is copied.
#[derive(Debug)]
struct Place {
    root: Shared,
    path: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Key(Arc<str>),
    Index(usize),
}

impl Place {
    fn value(&self) -> &Value {
        self.path
            .iter()
            .try_fold(&*self.root, |value, step| match step {
                Step::Key(key) => value.get(&**key),
                Step::Index(index) => value.get(index),
            })
            .unwrap_or(&Value::Null)
    }

    fn child(&self, step: Step) -> minijinja::Value {
        let path = self.path.iter().cloned().chain([step]).collect();
        Self { root: self.root.clone(), path }.into_engine()
    }

    fn into_engine(self) -> minijinja::Value {
        match self.value() {
            Value::Null => minijinja::Value::from(()),
            Value::Bool(truth) => minijinja::Value::from(*truth),
            Value::Number(number) => number_to_engine(number),
            Value::String(text) => minijinja::Value::from(text.as_str()),
            Value::Array(_) | Value::Object(_) => minijinja::Value::from_object(self),
        }
    }
}

fn number_to_engine(number: &Number) -> minijinja::Value {
    if let Some(integer) = number.as_i64() {
        integer.into()
    } else if let Some(integer) = number.as_u64() {
        integer.into()
    } else {
        number.as_f64().into()
    }
}

impl Object for Place {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.value().is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        match self.value() {
            Value::Array(items) => {
                let index = key.as_usize().filter(|index| *index < items.len())?;
                Some(self.child(Step::Index(index)))
            }
            _ => self.get_value_by_str(key.as_str()?),
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<minijinja::Value> {
        self.value().as_object()?.contains_key(key).then(|| self.child(Step::Key(key.into())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.value() {
            Value::Array(items) => Enumerator::Seq(items.len()),
            Value::Object(entries) => {
                Enumerator::Values(entries.keys().map(|key| minijinja::Value::from(key.as_str())).collect())
            }
            _ => Enumerator::Empty,
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        match self.value() {
            Value::Array(items) => Some(items.len()),
            Value::Object(entries) => Some(entries.len()),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

/// A value of the engine as JSON.
///
/// # Errors
/// What JSON cannot hold, in words.
pub(super) fn from_engine(value: &minijinja::Value) -> Result<Value, String> {
    let mut budget = MAX_VALUES;
    convert(value, 0, &mut budget)
}

fn convert(value: &minijinja::Value, depth: usize, budget: &mut usize) -> Result<Value, String> {
    if let Some(place) = value.downcast_object_ref::<Place>() {
        return Ok(place.value().clone());
    }
    if depth > MAX_DEPTH {
        return Err(format!("its value is nested more than {MAX_DEPTH} deep"));
    }
    *budget = budget.checked_sub(1).ok_or_else(|| format!("its value has more than {MAX_VALUES} parts"))?;
    match value.kind() {
        ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(value.is_true())),
        ValueKind::Number => number_from_engine(value),
        ValueKind::String => Ok(Value::String(value.as_str().unwrap_or_default().to_owned())),
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()
            .map_err(|error| error.to_string())?
            .map(|item| convert(&item, depth + 1, budget))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        ValueKind::Map => value
            .try_iter()
            .map_err(|error| error.to_string())?
            .map(|key| {
                let item = value.get_item(&key).map_err(|error| error.to_string())?;
                Ok((key_from_engine(&key)?, convert(&item, depth + 1, budget)?))
            })
            .collect::<Result<Map<_, _>, String>>()
            .map(Value::Object),
        ValueKind::Undefined => Err("a part of its value is not defined".into()),
        ValueKind::Bytes => Err("its value is bytes, not text".into()),
        ValueKind::Invalid => Err(value.to_string()),
        _ => Err(format!("its value is not data but {value}")),
    }
}

fn key_from_engine(key: &minijinja::Value) -> Result<String, String> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
        ValueKind::Bool | ValueKind::Number | ValueKind::None => from_engine(key).map(|key| key.to_string()),
        kind => Err(format!("a {kind} is no key of an object")),
    }
}

fn number_from_engine(value: &minijinja::Value) -> Result<Value, String> {
    if value.is_integer() {
        if let Some(integer) = value.as_i64() {
            return Ok(integer.into());
        }
        let integer = u64::try_from(value.clone());
        return integer.map(Value::from).map_err(|_| format!("{value} does not fit in 64 bits"));
    }
    let float = f64::try_from(value.clone()).map_err(|error| error.to_string())?;
    Number::from_f64(float).map(Value::Number).ok_or_else(|| format!("its value, {value}, is not a number"))
}

/// Prints a value in a template: a text as it is, all else as JSON.
pub(super) fn print(
    output: &mut Output<'_>,
    _: &mut State<'_, '_>,
    value: &minijinja::Value,
) -> Result<(), Error> {
    // Only what an `if` without an `else` leaves out arrives here undefined.
    if value.is_undefined() {
        return Ok(());
    }
    let written = match value.as_str() {
        Some(text) => output.write_str(text),
        None => {
            let value =
                from_engine(value).map_err(|problem| Error::new(ErrorKind::BadSerialization, problem))?;
            output.write_str(&display_value(&value))
        }
    };
    written.map_err(Error::from)
}
