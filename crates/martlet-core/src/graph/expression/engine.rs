//! Compiled expressions: Jinja, strict about what is not defined, bounded in its work.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::LazyLock;

use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};
use serde_json::Value;

use super::json;
use super::{ExpressionError, Scope, why_undefined};

/// Operations that one evaluation may take: some tens of milliseconds.
const FUEL: u64 = 1_000_000;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);
/// The engine as it comes.
static BUILT_IN: LazyLock<Environment<'static>> = LazyLock::new(Environment::new);

/// The language, the same for expressions and templates.
pub(super) fn environment<'source>() -> Environment<'source> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // Without it an error does not say which name was not defined.
    environment.set_debug(true);
    environment.set_formatter(json::print);
    for name in TESTS {
        let strict = move |_: &mut State<'_, '_>, value: &minijinja::Value, more: Rest<minijinja::Value>| {
            let values = defined(name, value, &more)?;
            BUILT_IN.empty_state().perform_test(name, &values)
        };
        environment.add_test(name, strict);
    }
    for name in FILTERS {
        let strict = move |_: &mut State<'_, '_>, value: &minijinja::Value, more: Rest<minijinja::Value>| {
            let values = defined(name, value, &more)?;
            BUILT_IN.empty_state().apply_filter(name, &values)
        };
        environment.add_filter(name, strict);
    }
    environment
}

/// The tests that ask about a value, which has to be there: all but `defined` and `undefined`.
const TESTS: [&str; 38] = [
    "none",
    "safe",
    "escaped",
    "boolean",
    "odd",
    "even",
    "divisibleby",
    "number",
    "integer",
    "int",
    "float",
    "string",
    "sequence",
    "iterable",
    "mapping",
    "startingwith",
    "endingwith",
    "lower",
    "upper",
    "sameas",
    "eq",
    "equalto",
    "==",
    "ne",
    "!=",
    "lt",
    "lessthan",
    "<",
    "le",
    "<=",
    "gt",
    "greaterthan",
    ">",
    "ge",
    ">=",
    "in",
    "true",
    "false",
];

/// The filters of the engine that take an undefined value for an empty one. `default` is meant to.
const FILTERS: [&str; 6] = ["escape", "e", "join", "groupby", "chain", "zip"];

/// The engine's own tests, and some filters, take an undefined value for one that does not pass or is empty. Here it is
/// an error.
fn defined(
    name: &str,
    value: &minijinja::Value,
    more: &[minijinja::Value],
) -> Result<Vec<minijinja::Value>, Error> {
    let values: Vec<minijinja::Value> = [value].into_iter().chain(more).cloned().collect();
    if values.iter().any(minijinja::Value::is_undefined) {
        let problem = format!("a value that `{name}` is asked of is not defined; ask `is defined` first");
        return Err(Error::new(ErrorKind::UndefinedError, problem));
    }
    Ok(values)
}

/// A compiled expression.
pub(super) struct Program {
    source: String,
    names: BTreeSet<String>,
    compiled: minijinja::Expression<'static, 'static>,
}

impl Program {
    pub(super) fn new(source: &str) -> Result<Self, ExpressionError> {
        let compiled = compile(source)?;
        Ok(Self { source: source.to_owned(), names: words(source), compiled })
    }

    pub(super) fn evaluate(&self, scope: &dyn Scope) -> Result<Value, ExpressionError> {
        json::from_engine(&self.run(scope)?).map_err(|problem| self.failed(problem))
    }

    pub(super) fn holds(&self, scope: &dyn Scope) -> Result<bool, ExpressionError> {
        Ok(self.run(scope)?.is_true())
    }

    fn run(&self, scope: &dyn Scope) -> Result<minijinja::Value, ExpressionError> {
        let context = context(&self.names, scope);
        let value =
            self.compiled.eval(context.clone()).map_err(|error| self.failed(explain(&error, scope)))?;
        if value.is_undefined() {
            // Nothing was done with the value, so that nothing noticed. Asked for its truth, it says what is missing.
            let asked = compile(&format!("not ({})", self.source))?.eval(context);
            return Err(self.failed(match asked {
                Err(error) => explain(&error, scope),
                Ok(_) => "it has no value here; add an `else`".into(),
            }));
        }
        Ok(value)
    }

    fn failed(&self, problem: String) -> ExpressionError {
        ExpressionError(format!("`{}` cannot be evaluated: {problem}", self.source.trim()))
    }
}

fn compile(source: &str) -> Result<minijinja::Expression<'static, 'static>, ExpressionError> {
    ENVIRONMENT.compile_expression_owned(source.to_owned()).map_err(|error| {
        let problem = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        ExpressionError(format!("`{}` is not an expression: {problem}", source.trim()))
    })
}

/// The words of a text that could be names of values: too many of them, but never too few. (The engine's own list of
/// undeclared variables leaves out those that are sliced.)
pub(super) fn words(source: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let inner = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut rest = source;
    while let Some(start) = rest.find(inner) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|letter| !inner(letter)).unwrap_or(from.len()));
        // What follows a dot is an attribute.
        if !before.trim_end().ends_with('.') && !words.contains(word) {
            words.insert(word.to_owned());
        }
        rest = after;
    }
    words
}

/// The values of those names that have one.
pub(super) fn context(names: &BTreeSet<String>, scope: &dyn Scope) -> minijinja::Value {
    let values: BTreeMap<String, minijinja::Value> =
        names.iter().filter_map(|name| Some((name.clone(), json::to_engine(scope.share(name)?)))).collect();
    minijinja::Value::from(values)
}

/// What went wrong, for the person who wrote it.
pub(super) fn explain(error: &minijinja::Error, scope: &dyn Scope) -> String {
    let detail = error.detail().unwrap_or_default();
    let mut text = match error.kind() {
        ErrorKind::UndefinedError => match detail.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
            Some((path, _)) => why_undefined(path, scope),
            None if detail.is_empty() => "a value that it uses is not defined".into(),
            None => detail.to_owned(),
        },
        ErrorKind::OutOfFuel => {
            format!("it was stopped after {FUEL} operations; do less in it, and more in a node")
        }
        kind if detail.is_empty() => kind.to_string(),
        _ => detail.to_owned(),
    };
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
