//! Reads JSON strictly: what two readers could understand differently is refused.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Problem, ProblemKind};

/// Reads a body. Nesting beyond 128 levels, a key twice in an object, a NUL character, a lone surrogate and bytes that are
/// no UTF-8 are refused wherever they stand, also in fields that nobody reads. The whole must be an object.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value = strict(bytes)?;
    // A list would be read as an object's fields in their order, which nobody means.
    if !value.is_object() {
        return Err(Problem::new(ProblemKind::BadRequest, "the body must be a JSON object: `{…}`"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| problem(ProblemKind::BadRequest, &error))
}

/// The same for a body that must be a list.
pub(super) fn read_list<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, Problem> {
    let value = strict(bytes)?;
    if !value.is_array() {
        return Err(Problem::new(ProblemKind::BadRequest, "the body must be a JSON list: `[…]`"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| problem(ProblemKind::BadRequest, &error))
}

fn strict(bytes: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let place = error.valid_up_to();
        Problem::new(
            ProblemKind::InvalidJson,
            format!("the body is not UTF-8: see the byte at offset {place}"),
        )
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let Strict(value) = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| problem(ProblemKind::InvalidJson, &error))?;
    reader.end().map_err(|error| Problem::new(ProblemKind::InvalidJson, error.to_string()))?;
    Ok(value)
}

fn problem(kind: ProblemKind, error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let message = error.inner().to_string();
    let path = error.path().to_string();
    // `.` is the body itself; a key that could not be read shows as `?`.
    let path = path.trim_end_matches('?').trim_end_matches('.');
    let problem = Problem::new(kind, message.clone());
    match param(Some(path).filter(|path| !path.is_empty()), &message) {
        Some(param) => problem.param(param),
        None => problem,
    }
}

/// The part of the request that an error is about: the path that serde came to, and the field that its message names.
pub(super) fn param(path: Option<&str>, message: &str) -> Option<String> {
    let field = ["missing field `", "unknown field `", "duplicate field `", "duplicate key `"]
        .into_iter()
        .find_map(|beginning| message.strip_prefix(beginning))
        .and_then(|rest| rest.split('`').next());
    match (path, field) {
        (Some(path), Some(field)) if path == field || path.ends_with(&format!(".{field}")) => {
            Some(path.into())
        }
        (Some(path), Some(field)) => Some(format!("{path}.{field}")),
        (path, field) => path.or(field).map(Into::into),
    }
}

/// A value in which every object has each key once and no text has a NUL.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

fn without_nul<E: serde::de::Error>(text: String) -> Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom("a text has a NUL character (\\u0000): leave it out"));
    }
    Ok(text)
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        without_nul(text).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let key = without_nul(key)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("duplicate key `{key}`: an object has each key once")));
            }
            let Strict(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
