//! Calls of tools: Python's arguments by the names of the tool's parameters, results as Python's values.

use martlet_core::code::CodeValue;
use martlet_core::tool::{ToolFailure, ToolFailureKind, ToolSpec};
use monty_types::{CallArgs, ExcType, MontyException, MontyObject};
use serde_json::{Map, Value};

use crate::dialect::value;

/// JSON that goes deeper than this cannot be read back on the other side of a pipe.
const MAX_DEPTH: usize = 100;
/// The bytes that the arguments of one call may have as JSON.
const MAX_ARGUMENT_BYTES: usize = 8 << 20;
/// The bytes of a last expression's `repr` that leave the sandbox.
const MAX_SHOWN_BYTES: usize = 1 << 20;

/// Binds the arguments of a call to the parameters of the tool.
pub(super) fn bind(tool: &ToolSpec, args: &CallArgs) -> Result<Map<String, Value>, MontyException> {
    let names: Vec<&str> = tool.parameter_names().collect();
    let given = args.args().len();
    if given > names.len() && !(names.is_empty() && open(tool)) {
        let most = names.len();
        return Err(mismatch(
            tool,
            &format!("takes at most {most} positional arguments but {given} were given"),
        ));
    }
    let mut bound = Map::new();
    for (name, value) in names.iter().zip(args.args()) {
        bound.insert((*name).to_owned(), json(&value.to_owned()));
    }
    for (key, value) in args.kwargs() {
        let key = key.as_str().unwrap_or_default();
        if !names.contains(&key) && !open(tool) {
            return Err(mismatch(tool, &format!("has no parameter '{key}'")));
        }
        if bound.contains_key(key) {
            return Err(mismatch(tool, &format!("got two values for '{key}'")));
        }
        bound.insert(key.to_owned(), json(&value.to_owned()));
    }
    let missing: Vec<String> =
        required(tool).filter(|name| !bound.contains_key(*name)).map(|name| format!("'{name}'")).collect();
    if !missing.is_empty() {
        return Err(mismatch(tool, &format!("is missing {}", missing.join(", "))));
    }
    let bytes = serde_json::to_vec(&bound).map_or(0, |json| json.len());
    if bytes > MAX_ARGUMENT_BYTES {
        let message = format!(
            "the arguments of {}() have {bytes} bytes as JSON, {MAX_ARGUMENT_BYTES} are allowed; pass less at a time",
            tool.name
        );
        return Err(MontyException::new(ExcType::ValueError, Some(message)));
    }
    Ok(bound)
}

/// The one argument of `final_answer`.
pub(super) fn answer(args: &CallArgs) -> Result<CodeValue, MontyException> {
    let mut values = args
        .args()
        .chain(args.kwargs().filter_map(|(key, value)| (key.as_str() == Some("answer")).then_some(value)));
    match (values.next(), args.args().len() + args.kwargs().len()) {
        (Some(value), 1) => Ok(code_value(&value.to_owned())),
        (_, count) => Err(MontyException::new(
            ExcType::TypeError,
            Some(format!(
                "final_answer(answer) takes one argument, but {count} did not fit; pass one value, \
                          for several things a dict"
            )),
        )),
    }
}

/// A value that leaves the sandbox.
pub(super) fn code_value(object: &MontyObject) -> CodeValue {
    CodeValue { json: json(object), repr: value::repr(object) }
}

/// The value of a program's last expression: it is only shown, so that a large one is cut instead of refused.
pub(super) fn shown_value(object: &MontyObject) -> CodeValue {
    let mut repr = value::repr(object);
    if repr.len() <= MAX_SHOWN_BYTES {
        return CodeValue { json: json(object), repr };
    }
    let bytes = repr.len();
    repr.truncate(repr.floor_char_boundary(MAX_SHOWN_BYTES));
    repr.push_str(&format!("... [cut: {bytes} bytes]"));
    CodeValue { json: Value::String(repr.clone()), repr }
}

/// The exception that a program is given for a call that failed.
pub(super) fn exception(failure: &ToolFailure) -> MontyException {
    let class = match failure.kind {
        ToolFailureKind::Unknown => ExcType::NameError,
        ToolFailureKind::Arguments => ExcType::TypeError,
        ToolFailureKind::TimedOut => ExcType::TimeoutError,
        ToolFailureKind::Denied => ExcType::PermissionError,
        _ => ExcType::RuntimeError,
    };
    MontyException::new(class, Some(failure.message.clone()))
}

fn json(object: &MontyObject) -> Value {
    let json = value::to_json(object);
    if shallow(&json, MAX_DEPTH) { json } else { Value::String(value::repr(object)) }
}

fn shallow(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth > 0 && items.iter().all(|item| shallow(item, depth - 1)),
        Value::Object(pairs) => depth > 0 && pairs.values().all(|item| shallow(item, depth - 1)),
        _ => true,
    }
}

/// Whether the tool takes arguments that its schema does not name.
fn open(tool: &ToolSpec) -> bool {
    matches!(tool.parameters.get("additionalProperties"), Some(Value::Bool(true) | Value::Object(_)))
}

fn required(tool: &ToolSpec) -> impl Iterator<Item = &str> {
    tool.parameters.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn mismatch(tool: &ToolSpec, problem: &str) -> MontyException {
    let parameters: Vec<String> = tool
        .parameter_names()
        .map(|name| {
            if required(tool).any(|required| required == name) {
                name.to_owned()
            } else {
                format!("{name}=...")
            }
        })
        .collect();
    let message = format!(
        "{name}() {problem}; its signature is {name}({parameters})",
        name = tool.name,
        parameters = parameters.join(", ")
    );
    MontyException::new(ExcType::TypeError, Some(message))
}
