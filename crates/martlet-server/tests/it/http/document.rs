//! What the OpenAPI document says, as a model for tests that are about every operation.

use http::Method;
use serde_json::{Map, Value, json};

/// An operation of the document.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) id: String,
    /// The schema of its body, if it is JSON.
    pub(crate) body: Option<Value>,
    /// The names of its parameters in the query.
    pub(crate) query: Vec<String>,
}

pub(crate) fn document() -> Value {
    serde_json::to_value(martlet_server::openapi()).unwrap()
}

pub(crate) fn operations() -> Vec<Operation> {
    let document = document();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let Some(id) = operation["operationId"].as_str() else { continue };
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
            operations.push(Operation {
                method,
                path: path.clone(),
                id: id.to_owned(),
                body: schema.is_object().then(|| resolved(&document, schema)),
                query: query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect(),
            });
        }
    }
    assert!(operations.len() > 40, "{}", operations.len());
    operations
}

impl Operation {
    /// The path with this in the place of its parameter.
    pub(crate) fn path_with(&self, parameter: &str) -> String {
        match (self.path.find('{'), self.path.find('}')) {
            (Some(from), Some(to)) => format!("{}{parameter}{}", &self.path[..from], &self.path[to + 1..]),
            _ => self.path.clone(),
        }
    }

    pub(crate) fn has_id(&self) -> bool {
        self.path.contains("{id}")
    }
}

/// A schema without references.
fn resolved(document: &Value, schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            if let Some(name) = object.get("$ref").and_then(Value::as_str) {
                let name = name.rsplit('/').next().unwrap();
                return resolved(document, &document["components"]["schemas"][name]);
            }
            object
                .iter()
                .map(|(key, value)| (key.clone(), resolved(document, value)))
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(items) => items.iter().map(|item| resolved(document, item)).collect(),
        other => other.clone(),
    }
}

/// The smallest value of a schema that means something.
pub(crate) fn example(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let fields = required.iter().map(|name| {
                let name = name.as_str().unwrap();
                (name.to_owned(), example(&schema["properties"][name]))
            });
            Value::Object(fields.collect())
        }
        Some("array") => match schema["items"].is_object() {
            true => json!([example(&schema["items"])]),
            false => json!([]),
        },
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        _ => json!("x"),
    }
}

/// Values that fit few schemas.
pub(crate) fn odd_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("\u{202e}../../x\r\n%00'\"; DROP TABLE runs; --"),
        json!("x".repeat(5_000)),
        json!([]),
        json!([null, {}, [[]]]),
        json!({}),
        json!({"decision": {"$ref": "#/x"}, "\u{0}": 1}),
    ]
}

/// Bodies that are wrong, and some that are right by accident.
pub(crate) fn odd_bodies(schema: &Value) -> Vec<Value> {
    let mut bodies = odd_values();
    let right = example(schema);
    let Some(fields) = right.as_object() else {
        bodies.extend(odd_values().into_iter().map(|value| json!([value])));
        return bodies;
    };
    for name in fields.keys() {
        let mut without = fields.clone();
        without.remove(name);
        bodies.push(without.into());
    }
    let mut more = fields.clone();
    more.insert("unheard_of".into(), json!(1));
    bodies.push(more.into());
    for name in schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
        for value in odd_values() {
            let mut odd = fields.clone();
            odd.insert(name.clone(), value);
            bodies.push(odd.into());
        }
    }
    bodies
}
