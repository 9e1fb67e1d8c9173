//! A request as the fake server received it.

use bytes::Bytes;
use serde_json::Value;

/// A request as the fake server received it.
#[derive(Debug, Clone)]
pub struct CapturedRequest {
    /// The method, such as `POST`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How many requests came before it.
    pub index: usize,
}

impl CapturedRequest {
    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether it asks for a stream.
    pub fn wants_stream(&self) -> bool {
        wants_stream(&self.body)
    }

    /// The text of the last message, if it is a plain one.
    pub fn last_text(&self) -> String {
        let body = self.json();
        let last = body.pointer("/messages").and_then(Value::as_array).and_then(|messages| messages.last());
        last.and_then(|message| message.get("content")).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// Whether a body asks for a stream, without reading all of it as JSON: inside a string the quotes of this
/// field would be escaped.
fn wants_stream(body: &[u8]) -> bool {
    let field = b"\"stream\"";
    body.windows(field.len()).enumerate().filter(|(_, window)| window == field).any(|(start, _)| {
        let rest = body.get(start + field.len()..).unwrap_or_default().trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"true"))
    })
}

#[cfg(test)]
mod tests {
    use super::wants_stream;

    #[test]
    fn streams_are_recognised() {
        assert!(wants_stream(br#"{"stream":true}"#));
        assert!(wants_stream(b"{\"stream\" : true}"));
        assert!(!wants_stream(br#"{"stream":false}"#));
        assert!(!wants_stream(br#"{"content":"\"stream\":true"}"#));
    }
}
