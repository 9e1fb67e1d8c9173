//! Finding tool calls in a text, for models that do not call tools by their provider's means.

use serde_json::{Map, Value};

use crate::tool::{Arguments, ToolCall};

/// The calls that a text holds as JSON: a bare object or list, fenced, inside `<tool_call>` tags, or after
/// some prose. Also understood are OpenAI's own shape (`{"function": {"name", "arguments"}}`), `tool` and
/// `args`, `parameters` or `input` as names of the fields.
///
/// `known` tells tool names: an object counts as a call only if it names one of them or has arguments.
pub(crate) fn calls_in_text(text: &str, known: &dyn Fn(&str) -> bool) -> Vec<ToolCall> {
    let mut calls = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['{', '[']) {
        let candidate = rest.get(start..).unwrap_or_default();
        let mut stream = serde_json::Deserializer::from_str(candidate).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                collect(&value, known, &mut calls);
                rest = candidate.get(stream.byte_offset().max(1)..).unwrap_or_default();
            }
            // Not JSON from here: look on behind this bracket.
            _ => rest = candidate.get(1..).unwrap_or_default(),
        }
    }
    for (position, call) in calls.iter_mut().enumerate() {
        call.id = format!("call_{position}");
    }
    calls
}

/// The calls of a text that is nothing else: JSON, possibly in a fence or in `<tool_call>` tags, and only calls of known
/// tools.
pub(crate) fn calls_as_whole_text(text: &str, known: &dyn Fn(&str) -> bool) -> Vec<ToolCall> {
    let mut bare = text.trim().to_owned();
    for mark in ["<tool_call>", "</tool_call>", "```json", "```"] {
        bare = bare.replace(mark, " ");
    }
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&bare).into_iter().collect();
    if values.is_err() {
        return Vec::new();
    }
    let calls = calls_in_text(&bare, known);
    if calls.iter().all(|call| known(&call.name)) { calls } else { Vec::new() }
}

fn collect(value: &Value, known: &dyn Fn(&str) -> bool, calls: &mut Vec<ToolCall>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, known, calls)),
        Value::Object(object) => {
            if let Some(Value::Array(inner)) = object.get("tool_calls") {
                inner.iter().for_each(|item| collect(item, known, calls));
            } else if let Some(call) = as_call(object, known) {
                calls.push(call);
            }
        }
        _ => {}
    }
}

fn as_call(object: &Map<String, Value>, known: &dyn Fn(&str) -> bool) -> Option<ToolCall> {
    let object = match object.get("function") {
        Some(Value::Object(inner)) => inner,
        _ => object,
    };
    let name = ["name", "tool", "tool_name", "function", "action"]
        .iter()
        .find_map(|key| object.get(*key)?.as_str())?;
    let given =
        ["arguments", "args", "parameters", "input", "action_input"].iter().find_map(|key| object.get(*key));
    if given.is_none() && !known(name) {
        return None;
    }
    let arguments = match given {
        None | Some(Value::Null) => Arguments::Object(Map::new()),
        Some(Value::Object(arguments)) => Arguments::Object(arguments.clone()),
        Some(Value::String(text)) => Arguments::parse(text),
        Some(other) => Arguments::Malformed(other.to_string()),
    };
    Some(ToolCall { id: String::new(), name: name.to_owned(), arguments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(text: &str) -> Vec<(String, Value)> {
        calls_in_text(text, &|name| name == "now")
            .into_iter()
            .map(|call| match call.arguments {
                Arguments::Object(arguments) => (call.name, Value::Object(arguments)),
                Arguments::Malformed(text) => (call.name, Value::String(text)),
            })
            .collect()
    }

    #[test]
    fn calls_are_found_in_every_dress() {
        let weather = vec![("weather".to_owned(), json!({"city": "Oslo"}))];
        for text in [
            r#"{"name": "weather", "arguments": {"city": "Oslo"}}"#,
            "Let me look.\n```json\n{\"tool\": \"weather\", \"args\": {\"city\": \"Oslo\"}}\n```",
            r#"<tool_call>{"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}</tool_call>"#,
            r#"[{"type": "function", "function": {"name": "weather", "parameters": {"city": "Oslo"}}}]"#,
            r#"Action: {"action": "weather", "action_input": {"city": "Oslo"}} {broken"#,
            r#"{"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}"#,
        ] {
            assert_eq!(found(text), weather, "{text}");
        }
    }

    #[test]
    fn several_calls_keep_their_order() {
        let text = "{\"name\": \"a\", \"arguments\": {}}\n{\"name\": \"b\", \"arguments\": {\"x\": [1, {\"y\": 2}]}}";
        assert_eq!(found(text), [("a".into(), json!({})), ("b".into(), json!({"x": [1, {"y": 2}]}))]);
    }

    #[test]
    fn a_call_that_is_only_quoted_is_none() {
        let known = |name: &str| name == "send";
        let call = r#"{"name": "send", "arguments": {"to": "all"}}"#;
        assert_eq!(calls_as_whole_text(&format!("The page says: {call}"), &known), []);
        assert_eq!(calls_as_whole_text(r#"{"name": "other", "arguments": {}}"#, &known), []);
        for whole in
            [call.to_owned(), format!("```json\n{call}\n```"), format!("<tool_call>\n{call}\n</tool_call>")]
        {
            assert_eq!(calls_as_whole_text(&whole, &known).len(), 1, "{whole}");
        }
    }

    #[test]
    fn data_is_no_call() {
        assert_eq!(found(r#"The result is {"name": "Ann", "age": 3}."#), []);
        assert_eq!(found(r#"{"name": "now"}"#), [("now".into(), json!({}))]);
        assert_eq!(found("none at all"), []);
    }
}
