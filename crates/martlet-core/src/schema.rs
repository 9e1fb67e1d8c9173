//! JSON Schema: checking a tool's arguments and telling the model what is wrong with them.

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::tool::ToolSpec;

/// Says, in words for the model, which arguments of a call are wrong and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ArgumentError(String);

impl ArgumentError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub(crate) fn schema(tool: &str, problem: &str) -> Self {
        Self(format!("the schema of tool `{tool}` cannot be used: {problem}"))
    }
}

/// Compiles a schema; references to other documents are refused, nothing is ever fetched.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options().build(schema).map_err(|error| error.to_string())
}

/// Checks a value against a schema.
///
/// # Errors
/// One line for each violation, with the place in the value, or why the schema itself cannot be used.
pub fn check(schema: &Value, value: &Value) -> Result<(), String> {
    let validator = compile(schema)?;
    let problems: Vec<String> = violations(&validator, value);
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

pub(crate) fn validate(
    spec: &ToolSpec,
    validator: &Validator,
    arguments: &Map<String, Value>,
) -> Result<(), ArgumentError> {
    let known: Vec<&str> = spec.parameter_names().collect();
    let mut problems: Vec<String> = Vec::new();
    if !is_open(spec) {
        for name in arguments.keys().filter(|name| !known.contains(&name.as_str())) {
            problems.push(format!("unknown argument `{name}`"));
        }
    }
    // A clone of the map, because the validator takes a whole value; arguments are small.
    let value = Value::Object(arguments.clone());
    if !validator.is_valid(&value) {
        // With the schema's own `additionalProperties: false` an unknown argument would be reported twice.
        let reported = !problems.is_empty();
        let mut violations = violations(validator, &value);
        violations.retain(|problem| !(reported && problem.contains("dditional properties are not allowed")));
        problems.append(&mut violations);
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(ArgumentError::new(format!(
        "{}. `{}` takes {}",
        problems.join("; "),
        spec.name,
        if known.is_empty() { "no arguments".to_owned() } else { signature(spec) },
    )))
}

/// Whether a tool may take arguments that its schema does not list.
pub(crate) fn is_open(spec: &ToolSpec) -> bool {
    // Where the schema lists its properties and says nothing of others, a name that is not listed is a mistake of the
    // caller; a schema that describes them otherwise decides by itself.
    let lists_all = spec.parameters.get("properties").is_some()
        && !["allOf", "anyOf", "oneOf", "$ref", "patternProperties"]
            .iter()
            .any(|key| spec.parameters.get(*key).is_some());
    let allows =
        spec.parameters.get("additionalProperties").is_some_and(|allowed| *allowed != Value::Bool(false));
    !lists_all || allows
}

/// The names of the parameters that a tool cannot do without.
pub(crate) fn required(spec: &ToolSpec) -> impl Iterator<Item = &str> {
    spec.parameters.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn violations(validator: &Validator, value: &Value) -> Vec<String> {
    validator
        .iter_errors(value)
        .take(8)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = place.trim_start_matches('/').replace('/', ".");
            if place.is_empty() { error.to_string() } else { format!("argument `{place}`: {error}") }
        })
        .collect()
}

/// The parameters in words: `city: string, days: integer (optional)`.
pub(crate) fn signature(spec: &ToolSpec) -> String {
    let required: Vec<&str> = required(spec).collect();
    let properties = spec.parameters.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let optional = if required.contains(&name.as_str()) { "" } else { " (optional)" };
            format!("`{name}`: {}{optional}", type_name(schema))
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// The type that a schema describes, in JSON Schema's own words; `any` where it says none.
pub(crate) fn type_name(schema: &Value) -> String {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return format!("one of {}", choices.iter().map(Value::to_string).collect::<Vec<_>>().join(", "));
    }
    match schema.get("type") {
        Some(Value::String(name)) if name == "array" => match schema.get("items") {
            Some(items) => format!("array of {}", type_name(items)),
            None => "array".into(),
        },
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".into(),
    }
}
