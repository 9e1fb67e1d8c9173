//! JSON Schema from Rust types, in the plain form that models read best.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

/// The JSON Schema of `T` for a model: without references where that is possible, without titles and without
/// Rust's names of number formats.
pub fn schema_of<T: JsonSchema>() -> Value {
    let mut generator = generator();
    let schema = generator.subschema_for::<T>().to_value();
    finish(schema, &mut generator)
}

/// Small models do not follow `$ref`, so that types are written out in their place. Only types that contain
/// themselves keep a definition.
pub(crate) fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator()
}

/// Adds the definitions that a schema refers to and takes out what no model needs.
pub(crate) fn finish(mut schema: Value, generator: &mut SchemaGenerator) -> Value {
    let definitions = generator.take_definitions(true);
    if let (false, Some(object)) = (definitions.is_empty(), schema.as_object_mut()) {
        object.insert("$defs".into(), Value::Object(definitions));
    }
    plain(&mut schema);
    schema
}

/// The formats that schemars adds to numbers: they say how Rust stores one, which is not the model's concern.
const NUMBER_FORMATS: [&str; 14] = [
    "int8", "int16", "int32", "int64", "int128", "int", "uint8", "uint16", "uint32", "uint64", "uint128",
    "uint", "float", "double",
];

fn plain(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    object.remove("$schema");
    // A property may be called `title`; as a keyword it is a text.
    if object.get("title").is_some_and(Value::is_string) {
        object.remove("title");
    }
    if object.get("format").and_then(Value::as_str).is_some_and(|format| NUMBER_FORMATS.contains(&format)) {
        object.remove("format");
    }
    for (keyword, value) in object.iter_mut() {
        match keyword.as_str() {
            "properties" | "patternProperties" | "$defs" => named(value),
            "items" | "additionalProperties" | "not" | "propertyNames" | "contains" => plain(value),
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => list(value),
            // Everything else holds data, such as `default`, `const` and `examples`.
            _ => {}
        }
    }
}

fn named(schemas: &mut Value) {
    schemas.as_object_mut().map(Map::values_mut).into_iter().flatten().for_each(plain);
}

fn list(schemas: &mut Value) {
    schemas.as_array_mut().into_iter().flatten().for_each(plain);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is looked at")]
    struct Trip {
        title: String,
        days: u8,
        legs: Vec<Leg>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is looked at")]
    struct Leg {
        kilometres: f64,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is looked at")]
    struct Tree {
        children: Vec<Tree>,
    }

    #[test]
    fn types_are_written_out_without_rusts_own_words() {
        assert_eq!(
            schema_of::<Trip>(),
            json!({
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "days": {"type": "integer", "minimum": 0, "maximum": 255},
                    "legs": {"type": "array", "items": {
                        "type": "object",
                        "properties": {"kilometres": {"type": "number"}},
                        "required": ["kilometres"],
                    }},
                },
                "required": ["title", "days", "legs"],
            })
        );
    }

    #[test]
    fn a_type_that_contains_itself_keeps_its_definition() {
        let schema = schema_of::<Tree>();
        assert!(schema.get("$defs").is_some(), "{schema}");
        assert!(martlet_core::schema::check(&schema, &json!({"children": [{"children": []}]})).is_ok());
        assert!(martlet_core::schema::check(&schema, &json!({"children": [{"children": 1}]})).is_err());
    }
}
