//! The events of a run as a stream of server-sent events.
//!
//! What is stored has a number and comes from the store, or from the hub when it is the next one. So whoever falls behind
//! or comes back reads on in the store, and nothing is missing and nothing comes twice. Nothing is buffered for a reader:
//! one that does not read is not served, and cut off when its connection times out.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, StatusCode};
use martlet_core::RunId;
use martlet_store::{RunState, StoredEvent};
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};

use crate::auth::{self, Caller};
use crate::hub::{Frame, Watch};
use crate::metrics::SseClient;
use crate::router::Api;
use crate::service::place_of;

/// Something is sent at least so often, so that nobody on the way takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// So often it is looked whether the key of a reader is still valid.
const CHECK: Duration = Duration::from_secs(2);
/// Events that are read at once.
const PAGE: usize = 128;
/// A reader that is cut off after it has not taken what it was given for so long was too slow.
const SLOW: Duration = Duration::from_secs(5);

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
    let reader = Reader {
        watch: api.service().watch(&run),
        _counted: api.service().metrics().sse_client(),
        checks: checks(),
        api,
        caller,
        run,
        last: after,
        phase: Phase::Begin,
        given: None,
    };
    let frames = stream::unfold(reader, async |mut reader| {
        let frame = reader.next().await?;
        Some((Ok::<_, Infallible>(frame), reader))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (StatusCode::OK, headers, Body::from_stream(frames)).into_response()
}

fn checks() -> Interval {
    let mut checks = interval_at(Instant::now() + CHECK, CHECK);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    checks
}

enum Phase {
    Begin,
    /// What is stored is read.
    Stored,
    /// All that is stored was read: what happens is shown.
    Live,
    Over,
}

/// Somebody who reads the events of a run.
struct Reader {
    api: Api,
    caller: Caller,
    run: RunId,
    watch: Watch,
    /// The number of the last event that was given.
    last: u64,
    phase: Phase,
    checks: Interval,
    /// When something was given that nobody has come back after.
    given: Option<Instant>,
    _counted: SseClient,
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        self.given = None;
        let mut text = BytesMut::new();
        while text.is_empty() {
            match self.phase {
                Phase::Begin => {
                    text.extend_from_slice(b"retry: 2000\n\n");
                    self.phase = Phase::Stored;
                }
                Phase::Stored => self.stored(&mut text).await,
                Phase::Live => self.live(&mut text).await,
                Phase::Over => return None,
            }
        }
        self.given = Some(Instant::now());
        Some(text.freeze())
    }

    /// Reads a page. After the last one it is clear where the run stands.
    async fn stored(&mut self, text: &mut BytesMut) {
        let (api, owner) = (self.api.clone(), self.caller.principal.clone());
        let owned = api.store().of(&owner);
        let page = match owned.events(&self.run, self.last, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                drop(api.failed(error));
                return self.end(text, "storage_unavailable");
            }
        };
        let is_last = page.len() < PAGE;
        for event in &page {
            self.event(text, event);
        }
        if !is_last {
            return;
        }
        let row = match owned.run(&self.run).await {
            Ok(Some(row)) => row,
            // It was deleted, or cannot be read.
            Ok(None) | Err(_) => return self.end(text, "gone"),
        };
        if row.last_event > self.last {
            return;
        }
        if row.state == RunState::Ended {
            passing(text, "end", &json!({"state": row.state, "outcome": row.outcome}));
            self.phase = Phase::Over;
            return;
        }
        match api.service().place(&self.run) {
            Some(place) => passing(text, "queue", &place_of(place)),
            None => passing(text, "state", &json!({"state": row.state, "outcome": Value::Null})),
        }
        self.phase = Phase::Live;
    }

    async fn live(&mut self, text: &mut BytesMut) {
        tokio::select! {
            biased;
            () = self.api.service().drained() => self.end(text, "shutting_down"),
            frame = self.watch.next() => match frame {
                Ok(Frame::Event(event)) if event.seq == self.last + 1 => self.event(text, &event),
                Ok(Frame::Event(event)) if event.seq <= self.last => {}
                Ok(Frame::Passing { name: "state", data }) if has_ended(&data) => self.phase = Phase::Stored,
                Ok(Frame::Passing { name, data }) => {
                    text.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
                    text.extend_from_slice(&data);
                    text.extend_from_slice(b"\n\n");
                }
                // Something was missed.
                Ok(Frame::Event(_)) | Err(_) => self.phase = Phase::Stored,
            },
            _ = self.checks.tick(), if self.caller.key.is_some() => {
                if !auth::is_still_valid(&self.api, &self.caller).await {
                    self.end(text, "unauthorized");
                }
            }
            () = sleep(KEEP_ALIVE) => text.extend_from_slice(b": keep-alive\n\n"),
        }
    }

    fn event(&mut self, text: &mut BytesMut, event: &StoredEvent) {
        text.extend_from_slice(format!("id: {}\ndata: ", event.seq).as_bytes());
        text.extend_from_slice(&numbered(event));
        text.extend_from_slice(b"\n\n");
        self.last = event.seq;
    }

    /// Ends the stream before the run has ended.
    fn end(&mut self, text: &mut BytesMut, reason: &str) {
        passing(text, "end", &json!({"state": Value::Null, "outcome": Value::Null, "reason": reason}));
        self.phase = Phase::Over;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.given.is_some_and(|given| given.elapsed() >= SLOW) {
            self.api.service().metrics().sse_slow_client();
        }
    }
}

fn passing(text: &mut BytesMut, name: &str, data: &Value) {
    text.extend_from_slice(format!("event: {name}\ndata: {data}\n\n").as_bytes());
}

fn has_ended(state: &[u8]) -> bool {
    serde_json::from_slice::<Value>(state).is_ok_and(|state| state["state"] == RunState::Ended.as_str())
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
