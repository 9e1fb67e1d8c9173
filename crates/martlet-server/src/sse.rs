//! Server-sent events, and those of a run in Martlet's own form.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, StatusCode};
use martlet_core::RunId;
use martlet_store::StoredEvent;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::auth::Caller;
use crate::follow::{Follower, Shown};
use crate::router::Api;

/// A reader that is cut off after it has not taken what it was given for so long was too slow.
const SLOW: Duration = Duration::from_secs(5);
/// What keeps a connection alive.
pub(crate) const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// A response of server-sent events. Nothing on the way is to keep or to collect them.
pub(crate) fn response(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (StatusCode::OK, headers, Body::from_stream(frames.map(Ok::<_, Infallible>))).into_response()
}

/// An event with its number, as JSON.
pub(crate) fn numbered(event: &StoredEvent) -> Bytes {
    let mut json = BytesMut::with_capacity(event.event.len() + 24);
    json.extend_from_slice(format!("{{\"id\":{}", event.seq).as_bytes());
    match event.event.strip_prefix(b"{") {
        Some(rest) if rest != b"}" => {
            json.put_u8(b',');
            json.extend_from_slice(rest);
        }
        _ => json.put_u8(b'}'),
    }
    json.freeze()
}

/// The events of a run that the caller may see, from behind the event `after`, until it has ended.
pub(crate) fn events(api: Api, caller: Caller, run: RunId, after: u64) -> Response {
    let reader =
        Reader { follower: Follower::new(api.clone(), caller, run, after), api, begun: false, given: None };
    response(stream::unfold(reader, async |mut reader| {
        let frame = reader.next().await?;
        Some((frame, reader))
    }))
}

/// Somebody who reads the events of a run.
struct Reader {
    follower: Follower,
    api: Api,
    begun: bool,
    /// When something was given that nobody has come back after.
    given: Option<Instant>,
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        self.given = None;
        let mut text = BytesMut::new();
        if self.begun {
            write(&mut text, self.follower.next().await?);
            while let Some(shown) = self.follower.ready() {
                write(&mut text, shown);
            }
        } else {
            self.begun = true;
            text.extend_from_slice(b"retry: 2000\n\n");
        }
        self.given = Some(Instant::now());
        Some(text.freeze())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.given.is_some_and(|given| given.elapsed() >= SLOW) {
            self.api.service().metrics().sse_slow_client();
        }
    }
}

fn write(text: &mut BytesMut, shown: Shown) {
    match shown {
        Shown::Event(event) => {
            text.extend_from_slice(format!("id: {}\ndata: ", event.seq).as_bytes());
            text.extend_from_slice(&numbered(&event));
            text.extend_from_slice(b"\n\n");
        }
        Shown::Passing { name, data } => {
            text.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
            text.extend_from_slice(&data);
            text.extend_from_slice(b"\n\n");
        }
        Shown::Quiet => text.extend_from_slice(KEEP_ALIVE),
        Shown::Ended(row) => end(text, &json!({"state": row.state, "outcome": row.outcome})),
        Shown::Cut(reason) => {
            end(text, &json!({"state": Value::Null, "outcome": Value::Null, "reason": reason}));
        }
    }
}

fn end(text: &mut BytesMut, data: &Value) {
    text.extend_from_slice(format!("event: end\ndata: {data}\n\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_gets_its_number() {
        let numbered = |json: &'static str| {
            numbered(&StoredEvent { seq: 7, event: Bytes::from_static(json.as_bytes()) })
        };
        assert_eq!(numbered(r#"{"a":1}"#), r#"{"id":7,"a":1}"#);
        assert_eq!(numbered("{}"), r#"{"id":7}"#);
    }
}
