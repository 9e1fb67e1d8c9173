//! Reading JSON as models write it: with text around it, in fences, and almost right.
//!
//! What is valid JSON is read as it is. What is not is read with the mistakes that models make: trailing or missing
//! commas, single quotes, quotes and line breaks inside strings, Python's `True`, `False` and `None`, keys without
//! quotes, comments, and brackets that are never closed because the reply was cut off.

use serde_json::{Map, Number, Value};

/// A value that is nested deeper is not read: the reader calls itself for each level.
const MAX_DEPTH: usize = 96;

/// So many brackets that begin no value are looked at; each costs a look at what follows.
const MAX_FALSE_STARTS: usize = 256;

/// The values that a text holds, in their order: the whole text if it is JSON, else every object and list in it.
pub(crate) fn values_in_text(text: &str) -> Vec<Value> {
    if let Ok(value) = serde_json::from_str::<Value>(text.trim()) {
        // Some models put the object into a string once more.
        let inner = value.as_str().and_then(|inner| serde_json::from_str(inner).ok());
        return std::iter::once(value).chain(inner).collect();
    }
    let mut found = Vec::new();
    let mut false_starts = 0;
    let mut rest = text;
    while let Some(start) = rest.find(['{', '[']) {
        let candidate = rest.get(start..).unwrap_or_default();
        let read = strict(candidate).or_else(|| tolerant(candidate));
        let end = match read {
            Some((value, end)) => {
                found.push(value);
                end.max(1)
            }
            None if false_starts == MAX_FALSE_STARTS => break,
            None => {
                false_starts += 1;
                1
            }
        };
        rest = candidate.get(end..).unwrap_or_default();
    }
    found
}

/// The value with which the text begins, and where it ends.
fn strict(text: &str) -> Option<(Value, usize)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = stream.next()?.ok()?;
    Some((value, stream.byte_offset()))
}

fn tolerant(text: &str) -> Option<(Value, usize)> {
    let mut reader = Reader { text, at: 0, depth: 0, lists: 0, objects: 0 };
    match reader.value() {
        Ok(value) => Some((value, reader.at)),
        Err(_) => None,
    }
}

/// Why there is no value.
enum Stop {
    /// The text ends before one.
    End,
    /// This is none.
    Bad,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// How many lists and objects are open: a closing bracket of the other kind ends what is in it.
    lists: usize,
    objects: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Passes over white space and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let space = rest.len() - rest.trim_start().len();
            let comment = rest.trim_start();
            let length = if comment.starts_with("//") || comment.starts_with('#') {
                comment.find('\n').unwrap_or(comment.len())
            } else if comment.starts_with("/*") {
                comment.find("*/").map_or(comment.len(), |end| end + 2)
            } else {
                0
            };
            self.at += space + length;
            if length == 0 {
                return;
            }
        }
    }

    fn value(&mut self) -> Result<Value, Stop> {
        self.skip();
        match self.peek().ok_or(Stop::End)? {
            '{' => self.nested(Self::object),
            '[' => self.nested(Self::list),
            quote @ ('"' | '\'') => Ok(Value::String(self.string(quote))),
            '0'..='9' | '-' | '+' | '.' => self.number(),
            first if first.is_alphabetic() => self.literal(),
            _ => Err(Stop::Bad),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Stop>) -> Result<Value, Stop> {
        if self.depth == MAX_DEPTH {
            return Err(Stop::Bad);
        }
        self.depth += 1;
        self.bump();
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value, Stop> {
        self.objects += 1;
        let entries = self.entries();
        self.objects -= 1;
        entries.map(Value::Object)
    }

    fn entries(&mut self) -> Result<Map<String, Value>, Stop> {
        let mut entries = Map::new();
        loop {
            self.skip();
            match self.peek() {
                None => return Ok(entries),
                Some('}') => {
                    self.bump();
                    return Ok(entries);
                }
                // The list that this object is in ends: its own bracket is missing.
                Some(']') if self.lists > 0 => return Ok(entries),
                Some(',') => {
                    self.bump();
                    continue;
                }
                Some(_) => {}
            }
            let key = self.key()?;
            self.skip();
            match self.bump() {
                Some(':') => {}
                None => return Ok(entries),
                Some(_) => return Err(Stop::Bad),
            }
            match self.value() {
                Ok(value) => entries.insert(key, value),
                Err(Stop::End) => return Ok(entries),
                Err(Stop::Bad) => return Err(Stop::Bad),
            };
            self.separator(['}', ']'])?;
        }
    }

    fn list(&mut self) -> Result<Value, Stop> {
        self.lists += 1;
        let items = self.items();
        self.lists -= 1;
        items.map(Value::Array)
    }

    fn items(&mut self) -> Result<Vec<Value>, Stop> {
        let mut items = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                None => return Ok(items),
                Some(']') => {
                    self.bump();
                    return Ok(items);
                }
                Some('}') if self.objects > 0 => return Ok(items),
                Some(',') => {
                    self.bump();
                    continue;
                }
                Some(_) => {}
            }
            match self.value() {
                Ok(value) => items.push(value),
                Err(Stop::End) => return Ok(items),
                Err(Stop::Bad) => return Err(Stop::Bad),
            }
            self.separator([']', '}'])?;
        }
    }

    /// What may follow a value: a comma, a closing bracket, the end, or the next value where a comma was forgotten.
    fn separator(&mut self, closing: [char; 2]) -> Result<(), Stop> {
        self.skip();
        match self.peek() {
            None | Some(',' | '"' | '\'' | '{') => Ok(()),
            Some(next) if closing.contains(&next) => Ok(()),
            Some(_) => Err(Stop::Bad),
        }
    }

    fn key(&mut self) -> Result<String, Stop> {
        match self.peek().ok_or(Stop::End)? {
            quote @ ('"' | '\'') => Ok(self.string(quote)),
            first if first.is_alphabetic() || first == '_' || first == '$' => {
                Ok(self.word(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '-')))
            }
            _ => Err(Stop::Bad),
        }
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|letter| !belongs(letter)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default().to_owned();
        self.at += end;
        word
    }

    fn string(&mut self, quote: char) -> String {
        self.bump();
        let marks: String = std::iter::repeat_n(quote, 3).collect();
        if marks.get(1..).is_some_and(|others| self.rest().starts_with(others)) {
            return self.long_string(&marks);
        }
        let mut text = String::new();
        while let Some(next) = self.bump() {
            match next {
                '\\' => self.escape(&mut text),
                next if next == quote && self.is_end_of_string() => break,
                next => text.push(next),
            }
        }
        text
    }

    /// Python's string in three quotes, of which the first was passed.
    fn long_string(&mut self, marks: &str) -> String {
        self.at += 2;
        let rest = self.rest();
        let (body, length) = match rest.split_once(marks) {
            Some((body, _)) => (body.to_owned(), body.len() + marks.len()),
            None => (rest.to_owned(), rest.len()),
        };
        self.at += length;
        body
    }

    /// Whether the quote that was just passed ends its string: models forget to escape those inside.
    fn is_end_of_string(&self) -> bool {
        let rest = self.rest();
        let after = rest.trim_start();
        let broken = rest.get(..rest.len() - after.len()).unwrap_or_default().contains('\n');
        broken || after.is_empty() || after.starts_with([',', ':', '}', ']']) || after.starts_with("//")
    }

    fn escape(&mut self, text: &mut String) {
        match self.bump() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('u') => text.push(self.unicode()),
            Some(same @ ('"' | '\'' | '\\' | '/' | '\n')) => text.push(same),
            // No escape of JSON: a path or a pattern whose backslashes were not doubled.
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }

    fn unicode(&mut self) -> char {
        let Some(first) = self.hex() else { return char::REPLACEMENT_CHARACTER };
        if let Some(letter) = char::from_u32(first) {
            return letter;
        }
        let before = self.at;
        if self.rest().starts_with("\\u") {
            self.at += 2;
            if let Some(second) = self.hex()
                && (0xDC00..0xE000).contains(&second)
                && (0xD800..0xDC00).contains(&first)
            {
                let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
        }
        self.at = before;
        char::REPLACEMENT_CHARACTER
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        let code = u32::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        Some(code)
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let text = self
            .word(|letter| letter.is_ascii_digit() || matches!(letter, '+' | '-' | '.' | 'e' | 'E' | '_'));
        let text = text.trim_start_matches('+').replace('_', "");
        let number = text
            .parse::<i64>()
            .map(Number::from)
            .or_else(|_| text.parse::<u64>().map(Number::from))
            .ok()
            .or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
        // A number that the end of the reply cut off: `-`, `2e`.
        let none = if self.rest().is_empty() { Stop::End } else { Stop::Bad };
        number.map(Value::Number).ok_or(none)
    }

    fn literal(&mut self) -> Result<Value, Stop> {
        let word = self.word(char::is_alphanumeric);
        match word.as_str() {
            "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
            "null" | "None" | "NULL" | "nil" | "undefined" | "NaN" => Ok(Value::Null),
            // A word that the end of the reply cut off.
            _ if self.rest().is_empty()
                && ["true", "false", "null"].iter().any(|whole| whole.starts_with(&word)) =>
            {
                Err(Stop::End)
            }
            _ => Err(Stop::Bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn first(text: &str) -> Value {
        values_in_text(text).into_iter().next().unwrap_or(Value::Null)
    }

    #[test]
    fn the_mistakes_of_models_are_mended() {
        let plan = json!({"tasks": [{"description": "it's a test", "tool_name": null, "ok": true}], "n": 1});
        for text in [
            "Here is the plan:\n```json\n{\"tasks\": [{\"description\": \"it's a test\", \"tool_name\": null, \"ok\": true,},], \"n\": 1}\n```\nDone.",
            "{'tasks': [{'description': 'it's a test', 'tool_name': None, 'ok': True}], 'n': 1}",
            "{tasks: [{description: \"it's a test\", tool_name: null, ok: true}], n: 1}",
            "{\"tasks\": [ // the tasks\n {\"description\": \"it's a test\", /* none */ \"tool_name\": null, \"ok\": true}], # one\n \"n\": 1}",
            "{\"tasks\": [{\"description\": \"it's a test\" \n \"tool_name\": null, \"ok\": true}] \"n\": 1}",
            "{\"n\": 1, \"tasks\": [{\"description\": \"it's a test\", \"tool_name\": null, \"ok\": true",
            "{\"n\": +1, \"tasks\": [{\"description\": \"it's a test\", \"tool_name\": None, \"ok\": True]}",
            "{\"n\": 1, \"tasks\": [{\"description\": \"it's a test\", \"tool_name\": null, \"ok\": true}}",
        ] {
            assert_eq!(first(text), plan, "{text}");
        }
    }

    #[test]
    fn strings_keep_what_is_in_them() {
        for (text, value) in [
            (r#"{'a': "say "hi" twice", }"#, json!({"a": "say \"hi\" twice"})),
            ("{\"a\": \"two\nlines\"}", json!({"a": "two\nlines"})),
            (r#"{"a": "C:\dir\new",}"#, json!({"a": "C:\\dir\new"})),
            (r#"{"a": "\u00fc \ud83d\ude00 \ud83d!",}"#, json!({"a": "ü 😀 \u{fffd}!"})),
            ("{'a': '''x 'y' z''', 'b': ''}", json!({"a": "x 'y' z", "b": ""})),
            ("{\"a\": \"http://x\", // y\n}", json!({"a": "http://x"})),
        ] {
            assert_eq!(first(text), value, "{text}");
        }
    }

    #[test]
    fn a_reply_that_was_cut_gives_what_is_there() {
        let whole = r#"{"a": [1, {"b": "text"}], "c": false, "d": 12}"#;
        for end in 1..whole.len() {
            let cut = first(&whole[..end]);
            assert!(cut.is_object(), "{} -> {cut}", &whole[..end]);
        }
        assert_eq!(first(r#"{"a": [1, {"b": "te"#), json!({"a": [1, {"b": "te"}]}));
        assert_eq!(first(r#"{"a": 1, "c": fal"#), json!({"a": 1}));
    }

    #[test]
    fn prose_is_no_json() {
        for text in ["", "none at all", "{see below}", "[the docs]", "Use {x} and [y", "{a b: 1}"] {
            assert_eq!(values_in_text(text), Vec::<Value>::new(), "{text}");
        }
        assert_eq!(values_in_text("[see {x}] {\"a\": 1} and [2]"), [json!({"a": 1}), json!([2])]);
        assert_eq!(first("\"{\\\"a\\\": 1}\""), json!("{\"a\": 1}"));
        assert_eq!(values_in_text("\"{\\\"a\\\": 1}\"").pop(), Some(json!({"a": 1})));
    }

    #[test]
    fn brackets_without_end_cost_little() {
        assert!(values_in_text(&"[".repeat(200_000)).len() <= MAX_FALSE_STARTS + 1);
        assert!(values_in_text(&"{".repeat(200_000)).is_empty());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn valid_json_in_chatter_comes_back_equal(
            value in json().prop_filter("brackets", |value| value.is_object() || value.is_array()),
            before in "[^\\[{]*",
            after in "[^\\[{]*",
            pretty: bool,
        ) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(first(&format!("{before}{text}{after}")), value.clone());
            prop_assert_eq!(first(&format!("{before}\n```json\n{text}\n```{after}")), value);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), json_like in "[\\[\\]{}\"':,a-e0-9 \\\\/#*\n+.-]{0,80}") {
            let _ = values_in_text(&text);
            let _ = values_in_text(&json_like);
        }

        #[test]
        fn what_is_cut_anywhere_is_still_read(value in json(), cut in any::<proptest::sample::Index>()) {
            let text = format!("{{\"value\": {value}}}");
            let end = cut.index(text.len());
            let end = (0..=end).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
            if end > 0 {
                prop_assert!(first(&text[..end]).is_object(), "{}", &text[..end]);
            }
        }
    }
}
