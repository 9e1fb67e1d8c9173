//! Values between the interpreter and JSON.

use monty_types::MontyObject;
use serde_json::Value;

/// The value as JSON.
pub(crate) fn to_json(object: &MontyObject) -> Value {
    Value::String(object.py_repr())
}

/// A JSON value as Python's.
pub(crate) fn from_json(value: &Value) -> MontyObject {
    match value {
        Value::Null => MontyObject::none(),
        Value::Bool(flag) => MontyObject::bool(*flag),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| MontyObject::float(number.as_f64().unwrap_or(f64::NAN)), MontyObject::int),
        Value::String(text) => MontyObject::string(text),
        Value::Array(items) => MontyObject::list(items.iter().map(from_json)),
        Value::Object(pairs) => {
            MontyObject::dict(pairs.iter().map(|(key, value)| (MontyObject::string(key), from_json(value))))
        }
    }
}

/// The value's `repr`, as CPython writes it.
pub(crate) fn repr(object: &MontyObject) -> String {
    object.py_repr()
}
