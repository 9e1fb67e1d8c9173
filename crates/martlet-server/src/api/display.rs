//! Showing a person what a call would do, so that nothing in it can look like something else.

use serde_json::{Map, Value};

/// Arguments of more characters than this are pointed out.
const LONG: usize = 4_000;

/// Arguments as a person should see them, and what is strange about them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// JSON with sorted keys. Characters that cannot be seen, or that change how others are seen, are escaped.
    pub(crate) text: String,
    /// What to look at twice.
    pub(crate) warnings: Vec<String>,
}

pub(crate) fn show(arguments: &Map<String, Value>) -> Shown {
    let sorted = sorted(&Value::Object(arguments.clone()));
    let plain = serde_json::to_string_pretty(&sorted).unwrap_or_default();
    let mut text = String::with_capacity(plain.len());
    for char in plain.chars() {
        // Line breaks are those of the layout: those of texts are escaped already.
        if char != '\n' && is_deceptive(char) {
            text.push_str(&format!("\\u{{{:04X}}}", u32::from(char)));
        } else {
            text.push(char);
        }
    }
    Shown { text, warnings: warnings(&plain, &sorted) }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// Characters that are not seen, or change how others are seen.
fn is_deceptive(char: char) -> bool {
    char.is_control() || is_bidi(char) || is_invisible(char)
}

/// Characters that change the direction of a text (Unicode UAX 9).
fn is_bidi(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

fn warnings(plain: &str, arguments: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |is_so: bool, text: &str| {
        if is_so {
            warnings.push(text.to_owned());
        }
    };
    warn(plain.chars().any(is_bidi), "characters that change the direction of the text are in it");
    warn(plain.chars().any(is_invisible), "characters that cannot be seen are in it");
    let mut texts = Vec::new();
    collect(arguments, &mut texts);
    let is_control = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
    warn(texts.iter().any(|text| text.contains(is_control)), "control characters are in it");
    warn(plain.chars().count() > LONG, "it is very long: read it to its end");
    let hosts: Vec<&str> = texts.iter().flat_map(|text| hosts(text)).collect();
    let looks_like_another = |host: &&str| !host.is_ascii() || host.to_ascii_lowercase().contains("xn--");
    if let Some(host) = hosts.iter().find(|host| looks_like_another(host)) {
        let ascii: String = host.chars().flat_map(char::escape_default).collect();
        warnings.push(format!("the name of a host has letters that look like others: {ascii}"));
    }
    if hosts.iter().any(|host| host.contains('@')) {
        warnings.push("an address has a name before an `@`: the host is what comes after it".into());
    }
    warnings
}

fn collect<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(object) => {
            for (key, value) in object {
                texts.push(key);
                collect(value, texts);
            }
        }
        _ => {}
    }
}

/// What stands between `://` and the end of the host, with what is before an `@`.
fn hosts(text: &str) -> impl Iterator<Item = &str> {
    text.split("://").skip(1).map(|rest| {
        let end = |char: char| {
            char.is_whitespace() || matches!(char, '/' | '\\' | '?' | '#' | '"' | '\'' | '<' | '>')
        };
        rest.split(end).next().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(arguments: &Value) -> Shown {
        show(arguments.as_object().unwrap())
    }

    #[test]
    fn plain_arguments_are_shown_as_they_are_in_one_order() {
        let shown = shown(&json!({"to": "Zoë", "amount": 3, "deep": {"b": [1], "a": "x\ny"}}));
        let expected = "{\n  \"amount\": 3,\n  \"deep\": {\n    \"a\": \"x\\ny\",\n    \"b\": [\n      1\n    ]\n  },\n  \
                        \"to\": \"Zoë\"\n}";
        assert_eq!(shown, Shown { text: expected.into(), warnings: vec![] });
    }

    #[test]
    fn fault_18_nothing_can_look_like_something_else() {
        let cases = [
            (json!({"a": "x\u{202e}y"}), "\\u{202E}", "direction"),
            (json!({"a": "x\u{200b}y"}), "\\u{200B}", "cannot be seen"),
            (json!({"a\u{feff}": 1}), "\\u{FEFF}", "cannot be seen"),
            (json!({"a": "\u{1b}[2J"}), "\\u001b[2J", "control characters"),
            (json!({"a": "\u{9b}2J"}), "\\u{009B}2J", "control characters"),
            (json!({"a": "https://g\u{043e}ogle.com/x"}), "google.com".get(1..1).unwrap(), "\\u{43e}"),
            (json!({"a": "see http://xn--ggle-0nda.com"}), "xn--", "look like others"),
            (json!({"a": "http://bank.com@evil.com/"}), "@evil", "before an `@`"),
            (json!({"a": "\n".repeat(10_000)}), "\\n\\n", "to its end"),
        ];
        for (arguments, text, warning) in cases {
            let shown = shown(&arguments);
            assert!(shown.text.contains(text), "{arguments}: {}", shown.text);
            assert!(
                shown.warnings.iter().any(|one| one.contains(warning)),
                "{arguments}: {:?}",
                shown.warnings
            );
            assert!(!shown.text.chars().any(|char| char != '\n' && is_deceptive(char)));
        }
    }
}
