//! The values of files and of flags with which a workflow's state begins, besides those of the configuration.

use std::path::Path;

use serde_json::{Map, Value};

use crate::args::WorkflowRunArgs;
use crate::exit::Failure;
use crate::input::{read_text, stdin_text};

/// Reads the input. Later ones take the place of earlier ones: `--input-file`, `--input`. Blocks while standard input is
/// open and silent.
pub(super) fn read(args: &WorkflowRunArgs) -> Result<Map<String, Value>, Failure> {
    let mut input = Map::new();
    for path in &args.input_files {
        let text = if path == Path::new("-") { stdin_text()? } else { read_text(path)? };
        match serde_json::from_str(&text) {
            Ok(Value::Object(values)) => input.extend(values),
            Ok(_) => {
                return Err(Failure::usage(format!(
                    "{} holds no JSON object: write {{\"name\": value}}",
                    path.display()
                )));
            }
            Err(error) => {
                return Err(Failure::usage(format!("{} is not JSON: {error}", path.display())));
            }
        }
    }
    for pair in &args.input {
        let (name, value) = self::pair(pair).map_err(Failure::usage)?;
        input.insert(name.to_owned(), value);
    }
    Ok(input)
}

/// `name=text`, or `name:=json`.
fn pair(text: &str) -> Result<(&str, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        format!("--input {text} has no `=`: write NAME=TEXT, or NAME:=JSON for numbers, lists and objects")
    })?;
    let (name, value) = match name.strip_suffix(':') {
        None => (name, Value::from(value)),
        Some(name) => {
            let read = serde_json::from_str(value).map_err(|error| {
                format!("the value of --input {name}:=… is not JSON ({error}): for a text, write {name}=TEXT")
            })?;
            (name, read)
        }
    };
    match name.trim() {
        "" => Err(format!("--input {text} names nothing: write NAME=TEXT")),
        name => Ok((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pairs_are_texts_or_json() {
        assert_eq!(pair("a=1"), Ok(("a", json!("1"))));
        assert_eq!(pair("a:=1"), Ok(("a", json!(1))));
        assert_eq!(pair("a:=[\"x=y\"]"), Ok(("a", json!(["x=y"]))));
        assert_eq!(pair("a=b=c"), Ok(("a", json!("b=c"))));
        assert_eq!(pair("a="), Ok(("a", json!(""))));
        assert!(pair("a").unwrap_err().contains("NAME=TEXT"));
        assert!(pair("a:=x").unwrap_err().contains("is not JSON"));
        assert!(pair("=x").unwrap_err().contains("names nothing"));
    }
}
