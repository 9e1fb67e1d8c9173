//! Values between the interpreter and JSON.
//!
//! What JSON has no form for: tuples and sets become arrays, keys become texts, bytes and numbers that JSON cannot
//! hold become texts (bytes as base64, large integers as their digits, `nan` and `inf` as their `repr`), dates and
//! times are in ISO 8601, instances are objects of their fields, and everything else is its `repr`.

use monty_types::unstable::{self, MontyNode};
use monty_types::{MontyObject, ObjectRef};
use serde_json::{Map, Number, Value};

/// How many values one value may consist of, and how deeply; a value that shares its parts can be endlessly larger
/// written out than it is in memory.
const MAX_PARTS: usize = 200_000;
const MAX_DEPTH: usize = 200;

/// What stands for what is too large or too deep.
const LEFT_OUT: &str = "...";

/// The value as JSON.
pub(crate) fn to_json(object: &MontyObject) -> Value {
    let mut parts = MAX_PARTS;
    json(object.as_ref(), &mut parts, MAX_DEPTH)
}

fn json(object: ObjectRef<'_>, parts: &mut usize, depth: usize) -> Value {
    if *parts == 0 || depth == 0 {
        return Value::String(LEFT_OUT.to_owned());
    }
    *parts -= 1;
    match unstable::node(object) {
        MontyNode::None => Value::Null,
        MontyNode::Bool(flag) => Value::Bool(*flag),
        MontyNode::Int(number) => Value::Number((*number).into()),
        MontyNode::BigInt(number) => {
            let digits = number.to_string();
            digits.parse::<u64>().map_or(Value::String(digits), |number| Value::Number(number.into()))
        }
        MontyNode::Float(number) => {
            Number::from_f64(*number).map_or_else(|| Value::String(object.py_repr()), Value::Number)
        }
        MontyNode::String(text) | MontyNode::Path(text) | MontyNode::Decimal(text) => {
            Value::String(text.clone())
        }
        MontyNode::Bytes(bytes) => Value::String(base64(bytes)),
        MontyNode::List(_) | MontyNode::Tuple(_) | MontyNode::Set(_) | MontyNode::FrozenSet(_) => {
            let items = object.items().unwrap_or_default();
            Value::Array(items.into_iter().map(|item| json(item, parts, depth - 1)).collect())
        }
        MontyNode::NamedTuple { field_names, .. } => {
            let items = object.items().unwrap_or_default();
            let fields =
                field_names.iter().cloned().zip(items.into_iter().map(|item| json(item, parts, depth - 1)));
            Value::Object(fields.collect())
        }
        MontyNode::Dict(_) => {
            let mut out = Map::new();
            for (key, value) in object.pairs().unwrap_or_default() {
                out.insert(key_text(key), json(value, parts, depth - 1));
            }
            Value::Object(out)
        }
        MontyNode::ClassInstance { .. } => {
            let mut out = Map::new();
            for (key, value) in object.pairs().unwrap_or_default() {
                let key = key_text(key);
                // What the dialect keeps in instances is no field of theirs.
                if !key.starts_with("_mt_") {
                    out.insert(key, json(value, parts, depth - 1));
                }
            }
            Value::Object(out)
        }
        MontyNode::Date(date) => Value::String(format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)),
        MontyNode::DateTime(time) => Value::String(format!(
            "{:04}-{:02}-{:02}T{}{}",
            time.year,
            time.month,
            time.day,
            clock(time.hour.into(), time.minute.into(), time.second.into(), time.microsecond),
            offset(time.offset_seconds)
        )),
        MontyNode::Time(time) => Value::String(format!(
            "{}{}",
            clock(time.hour.into(), time.minute.into(), time.second.into(), time.microsecond),
            offset(time.offset_seconds)
        )),
        MontyNode::Repr(text) | MontyNode::Cycle(text) => Value::String(text.clone()),
        _ => Value::String(repr_of(object)),
    }
}

fn key_text(key: ObjectRef<'_>) -> String {
    match key.as_str() {
        Some(text) => text.to_owned(),
        None => repr_of(key),
    }
}

fn clock(hour: u32, minute: u32, second: u32, microsecond: u32) -> String {
    if microsecond == 0 {
        format!("{hour:02}:{minute:02}:{second:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}.{microsecond:06}")
    }
}

fn offset(seconds: Option<i32>) -> String {
    let Some(seconds) = seconds else { return String::new() };
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, rest) = (seconds.abs() / 3600, seconds.abs() % 3600);
    match rest % 60 {
        0 => format!("{sign}{hours:02}:{:02}", rest / 60),
        second => format!("{sign}{hours:02}:{:02}:{second:02}", rest / 60),
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let letter = ALPHABET.get((bits >> (18 - 6 * index) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if index <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// A JSON value as Python's.
pub(crate) fn from_json(value: &Value) -> MontyObject {
    match value {
        Value::Null => MontyObject::none(),
        Value::Bool(flag) => MontyObject::bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => MontyObject::int(number),
            (None, Some(number)) => MontyObject::bigint(number.into()),
            (None, None) => MontyObject::float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => MontyObject::string(text),
        Value::Array(items) => MontyObject::list(items.iter().map(from_json)),
        Value::Object(pairs) => {
            MontyObject::dict(pairs.iter().map(|(key, value)| (MontyObject::string(key), from_json(value))))
        }
    }
}

/// The value's `repr`, as CPython writes it.
pub(crate) fn repr(object: &MontyObject) -> String {
    repr_of(object.as_ref())
}

fn repr_of(object: ObjectRef<'_>) -> String {
    let mut parts = MAX_PARTS;
    if fits(object, &mut parts, MAX_DEPTH) {
        object.py_repr()
    } else {
        format!("<{}, too large to show>", object.type_name())
    }
}

/// Whether a value is small enough to be written out.
fn fits(object: ObjectRef<'_>, parts: &mut usize, depth: usize) -> bool {
    if *parts == 0 || depth == 0 {
        return false;
    }
    *parts -= 1;
    object.items().is_none_or(|items| items.into_iter().all(|item| fits(item, parts, depth - 1)))
        && object.pairs().is_none_or(|pairs| {
            pairs.into_iter().all(|(key, value)| fits(key, parts, depth - 1) && fits(value, parts, depth - 1))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_round_trip() {
        for value in [
            json!(null),
            json!(true),
            json!(-3),
            json!(18_446_744_073_709_551_615_u64),
            json!(1.5),
            json!("é"),
            json!([1, [2, {"a": null}]]),
            json!({"b": 1, "a": [true]}),
        ] {
            assert_eq!(to_json(&from_json(&value)), value);
        }
    }

    #[test]
    fn what_json_has_no_form_for() {
        let digits = "123456789012345678901234567890";
        for (object, value) in [
            (MontyObject::tuple([MontyObject::int(1)]), json!([1])),
            (MontyObject::set([MontyObject::int(1)]), json!([1])),
            (MontyObject::dict([(MontyObject::int(1), MontyObject::none())]), json!({"1": null})),
            (MontyObject::bytes(*b"hello"), json!("aGVsbG8=")),
            (MontyObject::bytes(*b"hell"), json!("aGVsbA==")),
            (MontyObject::bytes(*b"hel"), json!("aGVs")),
            (MontyObject::bigint(digits.parse().unwrap()), json!(digits)),
            (MontyObject::float(f64::NAN), json!("nan")),
            (MontyObject::float(f64::INFINITY), json!("inf")),
            (MontyObject::float(3.0), json!(3.0)),
            (MontyObject::decimal("1.50"), json!("1.50")),
            (MontyObject::repr("<function f>"), json!("<function f>")),
        ] {
            assert_eq!(to_json(&object), value);
        }
    }

    #[test]
    fn a_value_that_shares_its_parts_does_not_explode() {
        let mut text = String::from("l = [1]\n");
        text.push_str("for i in range(60): l = [l, l]\nl");
        let mut repl = monty::MontyRepl::new(
            "test",
            monty_types::ResourceTracker::new(monty_types::ResourceLimits::default()),
            monty_types::CompileOptions::default(),
        );
        let value = repl
            .feed_run(&text, monty_types::NamedValues::new(), monty_types::PrintWriter::Disabled)
            .unwrap();
        assert!(repr(&value).contains("too large"));
        assert!(to_json(&value).is_array());
    }
}
