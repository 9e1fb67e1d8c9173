//! Expressions without side effects, on the values of a graph's run.

mod engine;
mod json;
mod template;

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::StateEntry;
use crate::name;

pub use template::{check_template, render};

/// An expression in the language of Jinja: `patterns.n > 3 and 'x' in tags`. A state key alone is the simplest one.
///
/// It is checked when it is made, and stored as its text. What it says of values is what Python says: `0`, `""`, `[]`,
/// `{}` and `null` do not hold. A name that is not defined is an error wherever its value is used, and never `false`;
/// `x is defined` and `x|default(0)` ask without using it. Values are JSON before and after: integers stay integers,
/// objects keep their order, and what JSON cannot hold (an infinite number, one beyond 64 bits, a function) is an
/// error.
///
/// A text that is a key of the scope as it stands means that key, even if it is no name in Jinja (`my-key`).
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression {
    source: Arc<str>,
    form: Form,
}

/// What an expression was compiled to.
#[derive(Clone)]
enum Form {
    /// A key of the scope, or nothing.
    Key,
    /// A path of names with dots between them.
    Path,
    /// A program.
    Program(Arc<engine::Program>),
}

/// Where an expression finds the values of its names.
pub trait Scope: Send + Sync {
    /// The value of a name.
    fn lookup(&self, name: &str) -> Option<Value>;

    /// The value of a name, without a copy where the scope holds it in a shared form.
    fn share(&self, name: &str) -> Option<Shared> {
        self.lookup(name).map(Shared::from)
    }

    /// The names that are known, to say which one was probably meant; none if the scope cannot tell.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A JSON value that an expression reads in place, however big it is.
#[derive(Debug, Clone)]
pub struct Shared(Holder);

#[derive(Debug, Clone)]
enum Holder {
    Value(Arc<Value>),
    Entry(Arc<StateEntry>),
}

impl Deref for Shared {
    type Target = Value;

    fn deref(&self) -> &Value {
        match &self.0 {
            Holder::Value(value) => value,
            Holder::Entry(entry) => &entry.value,
        }
    }
}

impl From<Value> for Shared {
    fn from(value: Value) -> Self {
        Self(Holder::Value(Arc::new(value)))
    }
}

impl From<Arc<Value>> for Shared {
    fn from(value: Arc<Value>) -> Self {
        Self(Holder::Value(value))
    }
}

impl From<Arc<StateEntry>> for Shared {
    fn from(entry: Arc<StateEntry>) -> Self {
        Self(Holder::Entry(entry))
    }
}

impl Expression {
    /// Checks that the text is an expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(source: impl Into<Arc<str>>) -> Result<Self, ExpressionError> {
        let source: Arc<str> = source.into();
        let form = if is_path(&source) {
            Form::Path
        } else {
            match engine::Program::new(&source) {
                Ok(program) => Form::Program(Arc::new(program)),
                Err(_) if is_key(&source) => Form::Key,
                Err(error) => return Err(error),
            }
        };
        Ok(Self { source, form })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Its value.
    ///
    /// # Errors
    /// A name that is not defined, an operation that its values do not allow, too long a computation.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, ExpressionError> {
        self.with_value(scope, Value::clone, engine::Program::evaluate)
    }

    /// Whether it holds: its value as a truth value, as in Python.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn holds(&self, scope: &dyn Scope) -> Result<bool, ExpressionError> {
        self.with_value(scope, is_true, engine::Program::holds)
    }

    /// What is made of the value: in place where the text names one, else by running the program.
    fn with_value<T>(
        &self,
        scope: &dyn Scope,
        read: impl FnOnce(&Value) -> T,
        run: impl FnOnce(&engine::Program, &dyn Scope) -> Result<T, ExpressionError>,
    ) -> Result<T, ExpressionError> {
        let key = self.source.trim();
        if is_key(key)
            && let Some(value) = scope.share(key)
        {
            return Ok(read(&value));
        }
        match &self.form {
            Form::Key => Err(undefined(key, key, scope)),
            Form::Path => follow(key, scope, read).ok_or_else(|| undefined(key, key, scope)),
            Form::Program(program) => run(program, scope),
        }
    }
}

/// Reads the value at the end of a path.
fn follow<T>(path: &str, scope: &dyn Scope, read: impl FnOnce(&Value) -> T) -> Option<T> {
    let mut names = path.split('.').map(str::trim);
    let root = scope.share(names.next()?)?;
    let value = names.try_fold(&*root, |value, name| value.get(name))?;
    Some(read(value))
}

/// The truth of a JSON value, as in Python.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

/// The words of the language.
const WORDS: [&str; 13] =
    ["true", "True", "false", "False", "none", "None", "and", "or", "not", "in", "is", "if", "else"];

/// Names with dots between them, and no word of the language.
fn is_path(source: &str) -> bool {
    source.trim().split('.').all(|name| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            && !WORDS.contains(&name)
    })
}

/// Whether the text could be a key: letters, digits and the signs that people put between them; no number, no literal.
fn is_key(source: &str) -> bool {
    let inner = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/' | ':');
    !source.is_empty()
        && source.chars().all(inner)
        && source.parse::<f64>().is_err()
        && !WORDS.contains(&source)
}

/// The error of a name or path that has no value.
fn undefined(source: &str, path: &str, scope: &dyn Scope) -> ExpressionError {
    ExpressionError(format!("`{source}` cannot be evaluated: {}", why_undefined(path, scope)))
}

/// Says where a path leaves what is there, and which name was probably meant.
fn why_undefined(path: &str, scope: &dyn Scope) -> String {
    let names = scope.names();
    // A single letter is near to every other one.
    let guess = |wanted: &str, known: &[String]| match wanted.chars().nth(1) {
        None => String::new(),
        Some(_) => name::nearest(wanted, known.iter().map(String::as_str))
            .map(|name| format!("; did you mean `{name}`?"))
            .unwrap_or_default(),
    };
    let mut parts = path.split('.').map(str::trim);
    let root = parts.next().unwrap_or(path);
    let Some(shared) = scope.share(root).filter(|_| is_path(path)) else {
        let guess = guess(if is_path(path) { root } else { path }, &names);
        let known = match names.len() {
            0 => String::new(),
            count if guess.is_empty() && count <= 12 => format!("; there are {}", list(&names)),
            _ => String::new(),
        };
        let name = if is_path(path) { root } else { path };
        return format!("`{name}` is not defined{guess}{known}");
    };
    let mut value = &*shared;
    let mut walked = root.to_owned();
    for name in parts {
        let Some(next) = value.get(name) else {
            return match value {
                Value::Object(entries) => {
                    let keys: Vec<String> = entries.keys().cloned().collect();
                    format!("`{walked}` has no `{name}`{}", guess(name, &keys))
                }
                other => format!("`{walked}` is {}, which has no `{name}`", kind(other)),
            };
        };
        value = next;
        walked = format!("{walked}.{name}");
    }
    format!("`{path}` is not defined")
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What kind of value it is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(source: &str) -> Result<Self, ExpressionError> {
        Self::new(source)
    }
}

impl TryFrom<String> for Expression {
    type Error = ExpressionError;

    fn try_from(source: String) -> Result<Self, ExpressionError> {
        Self::new(source)
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.source.to_string()
    }
}

/// Why an expression has no value, for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub(crate) String);
