//! Tools made by `#[tool]`, used as an agent uses them.

use std::collections::HashMap;

use martlet_macros::tool;
use martlet_tools::{
    Tool, ToolContext, ToolError, ToolExt as _, ToolFailureKind, ToolFlags, ToolOutput, Toolbox,
};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Celsius,
    Fahrenheit,
}

#[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Place {
    /// Degrees north.
    latitude: f64,
    longitude: f64,
}

/// Temperature of a place.
///
/// # Arguments
/// * `unit` - The unit
///   of the result.
#[tool(
    read_only,
    idempotent,
    needs_approval,
    name = "get_temperature",
    timeout_ms = 2_000,
    example = 21.5,
    crate = "martlet_tools"
)]
async fn temperature(
    /// Where.
    place: Place,
    unit: Unit,
    /** Which days. */
    days: Vec<u8>,
    note: Option<String>,
) -> Result<f64, ToolError> {
    if days.contains(&0) {
        return Err(ToolError::new("days count from 1"));
    }
    let celsius = place.latitude / 2.0 + f64::from(days.iter().sum::<u8>());
    let _ = (note, place.longitude);
    Ok(match unit {
        Unit::Celsius => celsius,
        Unit::Fahrenheit => celsius * 1.8 + 32.0,
    })
}

async fn perform(tool: impl Tool + 'static, arguments: Value) -> Result<Value, (ToolFailureKind, String)> {
    let cx = ToolContext::trial().with_user("ann");
    let name = tool.spec().name.clone();
    let tools = Toolbox::new().with(tool).unwrap();
    let arguments = arguments.as_object().unwrap().clone();
    match tools.call(&name, arguments, &cx).await {
        Ok(output) => Ok(output.to_value()),
        Err(failure) => Err((failure.kind, failure.message)),
    }
}

#[test]
fn the_specification_comes_from_the_signature() {
    let spec = temperature.spec();
    assert_eq!(spec.name, "get_temperature");
    assert_eq!(spec.description, "Temperature of a place.");
    assert_eq!(spec.flags, ToolFlags { read_only: true, idempotent: true, needs_approval: true });
    assert_eq!(spec.example, Some(json!(21.5)));
    assert_eq!(spec.returns, Some(json!({"type": "number"})));
    assert_eq!(temperature.time_limit(), Some(std::time::Duration::from_secs(2)));
    assert_eq!(
        spec.parameters,
        json!({
            "type": "object",
            "properties": {
                "place": {
                    "type": "object",
                    "properties": {
                        "latitude": {"type": "number", "description": "Degrees north."},
                        "longitude": {"type": "number"},
                    },
                    "required": ["latitude", "longitude"],
                    "description": "Where.",
                },
                "unit": {
                    "type": "string",
                    "enum": ["celsius", "fahrenheit"],
                    "description": "The unit of the result.",
                },
                "days": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": 255},
                    "description": "Which days.",
                },
                "note": {"type": ["string", "null"]},
            },
            "required": ["place", "unit", "days"],
            "additionalProperties": false,
        })
    );
    assert_eq!(spec.parameter_names().collect::<Vec<_>>(), ["place", "unit", "days", "note"]);
}

#[tokio::test]
async fn arguments_arrive_and_results_leave() {
    let mut arguments =
        json!({"place": {"latitude": 40, "longitude": 2.5}, "unit": "celsius", "days": [1, 2.0]});
    assert_eq!(perform(temperature, arguments.clone()).await, Ok(json!(23.0)));
    arguments["note"] = json!(null);
    assert_eq!(perform(temperature, arguments.clone()).await, Ok(json!(23.0)));
    arguments["days"] = json!([0]);
    let failure = (ToolFailureKind::Failed, "days count from 1".to_owned());
    assert_eq!(perform(temperature, arguments).await, Err(failure));
}

#[tokio::test]
async fn wrong_arguments_are_the_models_to_mend() {
    for (arguments, expected) in [
        (json!({"unit": "celsius", "days": []}), "place"),
        (json!({"place": {"latitude": 1, "longitude": 2}, "unit": "kelvin", "days": []}), "kelvin"),
        (json!({"place": {"latitude": 1, "longitude": 2}, "unit": "celsius", "days": [1.5]}), "1.5"),
        (json!({"place": {"latitude": 1, "longitude": 2}, "unit": "celsius", "days": [], "x": 1}), "`x`"),
    ] {
        let (kind, message) = perform(temperature, arguments).await.unwrap_err();
        assert_eq!(kind, ToolFailureKind::Arguments);
        assert!(message.contains(expected), "{message}");
    }
    // Also without the toolbox and its checks.
    let error = Tool::call(&temperature, Default::default(), &ToolContext::trial()).await.unwrap_err();
    assert_eq!(error.kind(), ToolFailureKind::Arguments);
    assert_eq!(error.message(), "argument `place` is missing");
}

#[tokio::test]
async fn the_function_can_be_called_directly() {
    let place = Place { latitude: 10.0, longitude: 0.0 };
    assert_eq!(temperature::call_directly(place, Unit::Fahrenheit, vec![], None).await.unwrap(), 41.0);
}

#[test]
fn the_name_of_a_tool_is_free_for_variables() {
    let tool: std::sync::Arc<dyn Tool> = std::sync::Arc::new(temperature);
    let temperature = tool.spec().name.clone();
    assert_eq!(temperature, "get_temperature");
}

/// Writes a line many times.
#[tool(crate = "martlet_tools")]
fn repeat(line: String, #[default = 2] times: usize, #[default = "; "] separator: String) -> String {
    vec![line; times].join(&separator)
}

#[tokio::test]
async fn defaults_stand_in_for_what_is_left_out() {
    assert_eq!(perform(repeat, json!({"line": "a"})).await, Ok(json!("a; a")));
    assert_eq!(perform(repeat, json!({"line": "a", "times": 3.0, "separator": ""})).await, Ok(json!("aaa")));
    let properties = &repeat.spec().parameters["properties"];
    assert_eq!(properties["times"]["default"], json!(2));
    assert_eq!(properties["separator"], json!({"type": "string", "default": "; "}));
    assert_eq!(repeat.spec().parameters["required"], json!(["line"]));
    assert_eq!(repeat::call_directly("a".into(), 1, String::new()), "a");
}

/// Where it runs, and for whom.
#[tool(crate = "martlet_tools")]
fn whereabouts(cx: &ToolContext, r#type: String) -> HashMap<String, String> {
    let thread = format!("{:?}", std::thread::current().id());
    let user = cx.user().unwrap_or_default().to_owned();
    HashMap::from([("thread".into(), thread), ("user".into(), user), ("type".into(), r#type)])
}

#[tokio::test]
async fn a_plain_function_leaves_the_async_threads_and_keeps_its_context() {
    let here = format!("{:?}", std::thread::current().id());
    let result = perform(whereabouts, json!({"type": "t"})).await.unwrap();
    assert_ne!(result["thread"], json!(here));
    assert_eq!(result["user"], json!("ann"));
    assert_eq!(result["type"], json!("t"));
    assert_eq!(whereabouts.spec().parameter_names().collect::<Vec<_>>(), ["type"]);
}

/// Stops at an internal error.
#[tool(crate = "martlet_tools")]
fn explode() -> Result<(), ToolError> {
    panic!("the password is swordfish")
}

#[tokio::test]
async fn the_panic_of_a_plain_function_is_a_failure_without_its_words() {
    let (kind, message) = perform(explode, json!({})).await.unwrap_err();
    assert_eq!(kind, ToolFailureKind::Failed);
    assert!(message.contains("`explode`") && !message.contains("swordfish"), "{message}");
    assert_eq!(explode.spec().returns, None);
}

/// Gives back what the framework's own types hold.
#[tool(crate = "martlet_tools")]
async fn output(text: String) -> ToolOutput {
    ToolOutput::Parts { parts: vec![martlet_tools::Part::text(text)] }
}

/// Errors of other kinds.
#[tool(crate = "martlet_tools")]
async fn parse(text: String) -> Result<i32, std::num::ParseIntError> {
    text.parse()
}

/// A text as the error.
#[tool(crate = "martlet_tools")]
async fn refuse() -> Result<i32, String> {
    Err("no".to_owned())
}

/// Gives nothing.
#[tool(crate = "martlet_tools")]
async fn nothing() {}

#[tokio::test]
async fn results_may_be_of_many_kinds() {
    let cx = ToolContext::trial();
    let arguments = json!({"text": "x"}).as_object().unwrap().clone();
    assert!(matches!(Tool::call(&output, arguments, &cx).await.unwrap(), ToolOutput::Parts { .. }));
    assert_eq!(output.spec().returns, None);
    assert_eq!(perform(parse, json!({"text": "7"})).await, Ok(json!(7)));
    assert!(perform(parse, json!({"text": "x"})).await.is_err());
    assert_eq!(perform(refuse, json!({})).await, Err((ToolFailureKind::Failed, "no".to_owned())));
    assert_eq!(perform(nothing, json!({})).await, Ok(json!(null)));
}

#[tokio::test]
async fn a_tool_may_be_defined_where_it_is_used() {
    /// Doubles a number.
    #[tool(crate = "martlet_tools")]
    async fn double(number: i64) -> i64 {
        number * 2
    }
    assert_eq!(perform(double.named("twice"), json!({"number": 4.0})).await, Ok(json!(8)));
}
