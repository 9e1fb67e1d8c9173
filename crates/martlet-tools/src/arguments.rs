//! Arguments of a call as Rust values.

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use crate::ToolError;

/// Reads a value, and reads it once more with whole floats as integers if that fails: models, and JSON itself,
/// do not tell `3.0` from `3`.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    match T::deserialize(&value) {
        Ok(read) => Ok(read),
        Err(error) => match whole(value) {
            Some(whole) => T::deserialize(whole).map_err(|_| error),
            None => Err(error),
        },
    }
}

/// The value with all whole floats as integers; `None` if it has none.
fn whole(mut value: Value) -> Option<Value> {
    convert(&mut value).then_some(value)
}

fn convert(value: &mut Value) -> bool {
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64().and_then(integer) {
            Some(integer) => {
                *number = integer;
                true
            }
            None => false,
        },
        // `|` and not `||`: all of them have to be converted.
        Value::Array(items) => items.iter_mut().fold(false, |any, item| any | convert(item)),
        Value::Object(object) => object.values_mut().fold(false, |any, item| any | convert(item)),
        _ => false,
    }
}

fn integer(float: f64) -> Option<Number> {
    // Beyond 2^53 neighbouring integers are the same float, so that the integer would be a guess.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "the float is whole and within the range")]
    (float.fract() == 0.0 && float.abs() <= EXACT).then(|| Number::from(float as i64))
}

/// Takes the arguments of a call one by one.
#[derive(Debug)]
pub struct ArgumentReader(Map<String, Value>);

impl ArgumentReader {
    /// The arguments of a call.
    pub fn new(arguments: Map<String, Value>) -> Self {
        Self(arguments)
    }

    /// An argument that must be given.
    ///
    /// # Errors
    /// If it is absent or is not a `T`.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ToolError> {
        match self.0.shift_remove(name) {
            Some(value) => named(name, value),
            None => Err(ToolError::arguments(format!("argument `{name}` is missing"))),
        }
    }

    /// An argument that may be absent or null.
    ///
    /// # Errors
    /// If it is given and is not a `T`.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ToolError> {
        named(name, self.0.shift_remove(name).unwrap_or_default())
    }

    /// An argument with a default.
    ///
    /// # Errors
    /// If it is given and is not a `T`.
    pub fn or_default<T: DeserializeOwned>(
        &mut self,
        name: &str,
        default: impl FnOnce() -> T,
    ) -> Result<T, ToolError> {
        match self.0.shift_remove(name) {
            Some(value) => named(name, value),
            None => Ok(default()),
        }
    }
}

fn named<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, ToolError> {
    read(value).map_err(|error| ToolError::arguments(format!("argument `{name}`: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_floats_are_integers_where_integers_are_wanted() {
        assert_eq!(read::<u8>(json!(3.0)).unwrap(), 3);
        assert_eq!(read::<Vec<i64>>(json!([1.0, 2, -3.0])).unwrap(), [1, 2, -3]);
        assert_eq!(read::<Option<u32>>(json!(null)).unwrap(), None);
        assert!(read::<u8>(json!(3.5)).is_err());
        assert!(read::<u8>(json!(-1.0)).is_err());
        assert!(read::<i64>(json!(1e300)).is_err());
    }

    #[test]
    fn nothing_else_is_changed() {
        assert_eq!(read::<Value>(json!({"x": 3.0})).unwrap(), json!({"x": 3.0}));
        assert_eq!(read::<f64>(json!(3)).unwrap(), 3.0);
    }

    #[test]
    fn errors_name_the_argument() {
        let mut reader = ArgumentReader::new(json!({"days": "two"}).as_object().unwrap().clone());
        assert_eq!(reader.required::<String>("city").unwrap_err().message(), "argument `city` is missing");
        let error = reader.required::<u32>("days").unwrap_err();
        assert!(error.message().starts_with("argument `days`: invalid type: string"), "{error}");
    }
}
