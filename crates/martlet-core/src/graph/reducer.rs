//! How a new value of a state key is joined with the one that is there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::expression::{Expression, Scope, Shared, kind};

/// How a new value of a state key is joined with the one that is there. With a reducer, nodes that run at the same
/// time may write the same key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reducer {
    /// The new value takes the place of the old one; whoever is done last wins.
    Replace,
    /// A list grows by the new value, or by its items if it is a list.
    Append,
    /// An object takes the new object's entries, in depth: objects in both are merged, anything else is replaced.
    Merge,
    /// A number grows by the new number. Integers stay integers; beyond 64 bits the sum is an error, not an
    /// approximation.
    Sum,
    /// An expression of `old` and `new`. It is not asked for the first value.
    Expression(Expression),
}

impl Reducer {
    /// The value that the key has from now on.
    ///
    /// # Errors
    /// Values that do not fit, or an expression that fails; in words for a person.
    pub fn reduce(&self, old: Option<&Value>, new: Value) -> Result<Value, String> {
        match self {
            Self::Replace => Ok(new),
            Self::Append => append(old, new),
            Self::Merge => merge(old, new),
            Self::Sum => sum(old, new),
            Self::Expression(expression) => match old {
                None => Ok(new),
                Some(old) => expression
                    .evaluate(&Both { old: old.clone().into(), new: new.into() })
                    .map_err(|error| error.to_string()),
            },
        }
    }
}

fn append(old: Option<&Value>, new: Value) -> Result<Value, String> {
    let mut items = match old {
        None => Vec::new(),
        Some(Value::Array(items)) => items.clone(),
        Some(other) => {
            return Err(format!(
                "nothing can be appended to {}: let the key begin as a list, or unset",
                kind(other)
            ));
        }
    };
    match new {
        Value::Array(more) => items.extend(more),
        one => items.push(one),
    }
    Ok(Value::Array(items))
}

fn merge(old: Option<&Value>, new: Value) -> Result<Value, String> {
    let Value::Object(new) = new else {
        return Err(format!("{} cannot be merged: give an object", kind(&new)));
    };
    match old {
        None => Ok(Value::Object(new)),
        Some(Value::Object(old)) => {
            let mut merged = old.clone();
            merge_into(&mut merged, new);
            Ok(Value::Object(merged))
        }
        Some(other) => Err(format!(
            "nothing can be merged into {}: let the key begin as an object, or unset",
            kind(other)
        )),
    }
}

fn merge_into(target: &mut Map<String, Value>, entries: Map<String, Value>) {
    // The pairs of objects that are still to be merged, instead of a recursion as deep as they are.
    let mut open = vec![(target, entries)];
    while let Some((target, entries)) = open.pop() {
        let mut below = Map::new();
        for (key, new) in entries {
            match new {
                Value::Object(new) if target.get(&key).is_some_and(Value::is_object) => {
                    below.insert(key, Value::Object(new));
                }
                new => {
                    target.insert(key, new);
                }
            }
        }
        for (key, old) in target.iter_mut() {
            if let (Value::Object(old), Some(Value::Object(new))) = (old, below.swap_remove(key)) {
                open.push((old, new));
            }
        }
    }
}

fn sum(old: Option<&Value>, new: Value) -> Result<Value, String> {
    let Value::Number(new) = new else {
        return Err(format!("{} cannot be added: give a number", kind(&new)));
    };
    match old {
        None => Ok(Value::Number(new)),
        Some(Value::Number(old)) => add(old, &new).map(Value::Number),
        Some(other) => {
            Err(format!("nothing can be added to {}: let the key begin as a number, or unset", kind(other)))
        }
    }
}

fn add(old: &Number, new: &Number) -> Result<Number, String> {
    if let (Some(a), Some(b)) = (old.as_i128(), new.as_i128()) {
        // Two numbers of 64 bits never overflow 128.
        return Number::from_i128(a + b).ok_or_else(|| format!("{old} + {new} does not fit in 64 bits"));
    }
    let sum = old.as_f64().zip(new.as_f64()).map(|(a, b)| a + b);
    sum.and_then(Number::from_f64).ok_or_else(|| format!("{old} + {new} is too big for a number"))
}

/// The names of a reducer's expression.
struct Both {
    old: Shared,
    new: Shared,
}

impl Scope for Both {
    fn lookup(&self, name: &str) -> Option<Value> {
        self.share(name).map(|value| Value::clone(&value))
    }

    fn share(&self, name: &str) -> Option<Shared> {
        match name {
            "old" => Some(self.old.clone()),
            "new" => Some(self.new.clone()),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        vec!["old".into(), "new".into()]
    }
}
