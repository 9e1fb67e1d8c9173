//! What went wrong, from a status, a body, an error of the connection.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use martlet_core::ModelFailureKind as Kind;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::error::ModelError;
use crate::key::redact;
use crate::profile::Server;

/// So much of a provider's own words is shown.
const SHOWN_CHARS: usize = 500;

/// Where requests go, for messages about it.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The address without query.
    pub(super) url: String,
    pub(super) model: String,
    pub(super) server: Server,
    pub(super) has_key: bool,
    /// The variable that holds the key, if it is known.
    pub(super) key_variable: Option<&'static str>,
    /// What must never be shown.
    pub(super) secrets: Vec<String>,
}

/// What a provider says of a failure.
#[derive(Debug, Default)]
struct Complaint {
    message: String,
    /// `code` and `type`, lower-case, with spaces between them.
    words: String,
    /// A numeric code, as routers send it for the status of the provider behind them.
    status: Option<u16>,
}

impl Complaint {
    fn read(value: &Value) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(message) = value.as_str() {
            return Self { message: message.to_owned(), ..Self::default() };
        }
        let code = value.get("code");
        let words = format!("{} {}", text(code), text(value.get("type"))).to_ascii_lowercase();
        let status = code.and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
        let message = match (value.get("message"), value.get("detail")) {
            (Some(Value::String(message)), _) | (None, Some(Value::String(message))) => message.clone(),
            (Some(other), _) | (None, Some(other)) => other.to_string(),
            (None, None) => String::new(),
        };
        Self { message, words, status: status.and_then(|status| u16::try_from(status).ok()) }
    }

    /// Reads the body of an answer with an error status.
    fn read_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Array(list)) => list.first().map(Self::read_document).unwrap_or_default(),
            Ok(value) => Self::read_document(&value),
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                let text = text.trim();
                let message = if text.starts_with('<') { "(a web page, not an API)" } else { text };
                Self { message: message.to_owned(), ..Self::default() }
            }
        }
    }

    fn read_document(value: &Value) -> Self {
        Self::read(value.get("error").filter(|error| !error.is_null()).unwrap_or(value))
    }

    fn kind(&self, status: Option<u16>) -> Kind {
        let message = self.message.to_ascii_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
        let has = |words: &[&str]| words.iter().any(|word| self.words.contains(word));
        let of_request = matches!(status, None | Some(400 | 413 | 422 | 500));
        if has(&["context_length_exceeded", "exceed_context_size", "string_above_max_length"])
            || of_request
                && says(&[
                    "context length",
                    "context window",
                    "context size",
                    "maximum number of tokens",
                    "too many tokens",
                    "prompt is too long",
                    "input is too long",
                ])
        {
            return Kind::ContextLength;
        }
        if has(&["insufficient_quota", "billing", "insufficient_balance", "credits"]) {
            return Kind::Quota;
        }
        match status.or(self.status) {
            Some(401 | 403) => Kind::Auth,
            Some(402) => Kind::Quota,
            Some(408 | 504 | 524) => Kind::TimedOut,
            Some(429) => Kind::RateLimited,
            Some(425 | 498 | 500..) => Kind::Unavailable,
            Some(300..500) => Kind::Request,
            _ if has(&["rate_limit"]) => Kind::RateLimited,
            _ if has(&["invalid_request", "not_found", "bad_request"]) => Kind::Request,
            _ if has(&["authentication", "invalid_api_key", "permission"]) => Kind::Auth,
            _ => Kind::Unavailable,
        }
    }
}

impl Endpoint {
    /// A provider's words as they may be shown: on one line, without secrets, cut.
    fn shown(&self, text: &str) -> String {
        // Redacted before it is cut: the cut could leave half of a secret.
        let text = redact(text.to_owned(), self.secrets.iter().map(String::as_str));
        let mut shown = String::new();
        let mut count = 0;
        for word in text.split_whitespace() {
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.push_str(word);
            count += 1 + word.chars().count();
            if count > SHOWN_CHARS {
                let mut cut: String = shown.chars().take(SHOWN_CHARS).collect();
                cut.push('…');
                return cut;
            }
        }
        shown
    }

    /// An answer with an error status.
    pub(super) fn refused(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> ModelError {
        let complaint = Complaint::read_body(body);
        let kind = complaint.kind(Some(status));
        let mut message = format!("{} answered {status}", self.url);
        if !complaint.message.is_empty() {
            message.push_str(": ");
            message.push_str(&self.shown(&complaint.message));
        }
        if let Some(hint) = self.hint(status, kind, headers) {
            message.push_str("; ");
            message.push_str(&hint);
        }
        ModelError::new(kind, message)
            .with_status(status)
            .with_retry_after(retry_after(headers, SystemTime::now()))
    }

    /// An `error` object where a reply was expected: in a body with status 200, or in the middle of a stream.
    pub(super) fn complained(&self, error: &Value) -> ModelError {
        let complaint = Complaint::read(error);
        let kind = complaint.kind(None);
        let said = if complaint.message.is_empty() { "no reason given" } else { &complaint.message };
        let message = format!("{} broke off with an error: {}", self.url, self.shown(said));
        let error = ModelError::new(kind, message);
        match complaint.status {
            Some(status @ 100..600) => error.with_status(status),
            _ => error,
        }
    }

    fn hint(&self, status: u16, kind: Kind, headers: &HeaderMap) -> Option<String> {
        let Endpoint { model, .. } = self;
        Some(match (status, kind) {
            (300..400, _) => {
                let target = headers.get("location").and_then(|target| target.to_str().ok());
                let target = target.and_then(|target| reqwest::Url::parse(target).ok());
                match target {
                    Some(url) => format!(
                        "redirects are not followed because they could carry the key to another host: if {} is \
                         the right server, use it as the base URL",
                        self.shown(&crate::http::shown(&url))
                    ),
                    None => "redirects are not followed: check the base URL".into(),
                }
            }
            (_, Kind::Auth) => match (self.has_key, self.key_variable) {
                (true, Some(variable)) => format!("check the key in {variable}"),
                (true, None) => "check the key".into(),
                (false, Some(variable)) => format!("no key was sent: set {variable}"),
                (false, None) => "no key was sent: give the model one".into(),
            },
            (_, Kind::Quota) => "check the account's balance and limits with the provider".into(),
            (_, Kind::ContextLength) => "the conversation is longer than the model can read".into(),
            (404, _) if self.server == Server::LlamaCpp => {
                format!("is the model there? with Ollama: `ollama pull {model}`")
            }
            (404, _) => {
                format!(
                    "check that the model is named `{model}` there and that the base URL is right (most end in /v1)"
                )
            }
            _ => return None,
        })
    }

    /// The connection failed: before anything came if `begun` is false, otherwise in the middle of a reply.
    pub(super) fn broken(&self, error: reqwest::Error, begun: bool) -> ModelError {
        // An address may carry a key in its query.
        let error = error.without_url();
        let reason = innermost(&error);
        let (kind, message) = if begun {
            (Kind::Protocol, format!("the reply of {} was cut off ({reason})", self.url))
        } else if error.is_connect() {
            let hint = match self.server {
                Server::LlamaCpp => "is the server running there? with Ollama: `ollama serve`",
                _ => "is the server running there, and the address right?",
            };
            (Kind::Unavailable, format!("could not connect to {} ({reason}): {hint}", self.url))
        } else {
            (Kind::Unavailable, format!("the connection to {} failed ({reason})", self.url))
        };
        ModelError::new(kind, self.shown(&message)).with_source(error)
    }

    pub(super) fn timed_out(&self, what: &str, limit: Duration) -> ModelError {
        ModelError::new(
            Kind::TimedOut,
            format!(
                "{} {what} within {:?}; a longer limit can be set with the client's timeouts",
                self.url, limit
            ),
        )
    }

    /// What came is not what the protocol says.
    pub(super) fn protocol(&self, what: impl AsRef<str>) -> ModelError {
        ModelError::new(Kind::Protocol, format!("{} {}", self.url, what.as_ref()))
    }

    /// A reply with status 200 that is no JSON.
    pub(super) fn not_json(&self, body: &[u8], error: serde_json::Error) -> ModelError {
        let what = if body.trim_ascii().is_empty() {
            "sent an empty reply"
        } else if body.trim_ascii_start().starts_with(b"<") {
            "sent a web page instead of a reply: check the base URL (most end in /v1)"
        } else if error.is_eof() {
            "sent a reply that is cut off"
        } else {
            "sent a reply that is not a chat completion"
        };
        self.protocol(what).with_source(error)
    }
}

/// The text of the error at the bottom: what the layers above add is their names.
fn innermost(error: &reqwest::Error) -> String {
    let mut innermost = error.source();
    while let Some(next) = innermost.and_then(|error| error.source()) {
        innermost = Some(next);
    }
    innermost.map_or_else(|| error.to_string(), ToString::to_string)
}

/// How long a provider asks to wait: `retry-after-ms` (OpenAI, Azure), or `Retry-After` in seconds or as a
/// date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str, unit: f64| {
        let seconds = text.parse::<f64>().ok()? * unit;
        Duration::try_from_secs_f64(seconds).ok()
    };
    if let Some(wait) = text("retry-after-ms").and_then(|text| seconds(text, 0.001)) {
        return Some(wait);
    }
    let text = text("retry-after")?;
    seconds(text, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        // A date that has passed means: now.
        Some(date.duration_since(now).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use serde_json::json;

    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            url: "http://h/v1".into(),
            model: "m".into(),
            server: Server::Other,
            has_key: true,
            key_variable: Some("OPENAI_API_KEY"),
            secrets: vec!["sk-secret-key".into()],
        }
    }

    fn refused(status: u16, body: Value) -> ModelError {
        endpoint().refused(status, &HeaderMap::new(), body.to_string().as_bytes())
    }

    #[test]
    fn statuses_have_kinds() {
        let error =
            |code: &str, message: &str| json!({"error": {"code": code, "message": message, "type": "x"}});
        for (status, body, kind) in [
            (400, error("", "bad"), Kind::Request),
            (400, error("context_length_exceeded", ""), Kind::ContextLength),
            (400, error("", "This model's maximum context length is 8192 tokens"), Kind::ContextLength),
            (
                400,
                json!({"object": "error", "message": "the maximum context length is 5", "code": 400}),
                Kind::ContextLength,
            ),
            (401, error("invalid_api_key", "no"), Kind::Auth),
            (402, json!({"error": "Payment required"}), Kind::Quota),
            (403, json!({"detail": "no"}), Kind::Auth),
            (404, error("model_not_found", "no"), Kind::Request),
            (413, error("", "too large"), Kind::Request),
            (422, json!({"detail": [{"loc": ["body"], "msg": "bad"}]}), Kind::Request),
            (429, error("rate_limit_exceeded", "slow"), Kind::RateLimited),
            (429, error("insufficient_quota", "pay"), Kind::Quota),
            (429, error("", "too many tokens per minute"), Kind::RateLimited),
            (500, json!(null), Kind::Unavailable),
            (503, json!("loading"), Kind::Unavailable),
            (504, json!([]), Kind::TimedOut),
            (529, error("overloaded_error", ""), Kind::Unavailable),
            (302, json!({}), Kind::Request),
        ] {
            let failure = refused(status, body.clone());
            assert_eq!(failure.kind(), kind, "{status} {body}");
            assert_eq!(failure.status(), Some(status));
        }
    }

    #[test]
    fn words_of_the_provider_are_cut_and_redacted() {
        let message = format!("Incorrect key sk-secret-key.\n{}", "word ".repeat(300));
        let shown = refused(401, json!({"error": {"message": message}})).to_string();
        assert!(shown.starts_with("http://h/v1 answered 401: Incorrect key [secret]. word"), "{shown}");
        assert!(shown.ends_with("…; check the key in OPENAI_API_KEY"), "{shown}");
        assert!(shown.chars().count() < SHOWN_CHARS + 100);
    }

    #[test]
    fn errors_inside_replies_have_kinds() {
        for (error, kind, status) in [
            (json!({"code": 502, "message": "upstream"}), Kind::Unavailable, Some(502)),
            (json!({"code": "429", "message": "slow"}), Kind::RateLimited, Some(429)),
            (json!({"type": "rate_limit_error"}), Kind::RateLimited, None),
            (json!({"type": "overloaded_error"}), Kind::Unavailable, None),
            (json!({"type": "invalid_request_error", "message": "x"}), Kind::Request, None),
            (json!("it broke"), Kind::Unavailable, None),
        ] {
            let failure = endpoint().complained(&error);
            assert_eq!((failure.kind(), failure.status()), (kind, status), "{error}");
        }
    }

    #[test]
    fn waits_are_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (name, value, expected) in [
            ("retry-after", "7", Some(Duration::from_secs(7))),
            ("retry-after", "0.5", Some(Duration::from_millis(500))),
            ("retry-after-ms", "1500", Some(Duration::from_millis(1500))),
            ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT", Some(Duration::from_secs(30))),
            ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT", Some(Duration::ZERO)),
            ("retry-after", "-1", None),
            ("retry-after", "1e99", None),
            ("retry-after", "soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            assert_eq!(retry_after(&headers, now), expected, "{value}");
        }
    }
}
