//! Telling the story of a run in the form of a protocol, as a stream.

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::stream;
use martlet_store::{ApprovalRow, ApprovalState, RunKind, RunRow};
use serde::Serialize;
use serde_json::Value;

use super::dag::Dag;
use super::told::{Story, Told};
use crate::api::wait::Ephemeral;
use crate::auth::Caller;
use crate::follow::{Follower, Shown, Streamed};
use crate::router::Api;
use crate::sse;

/// What is sent: server-sent events.
#[derive(Debug, Default)]
pub(crate) struct Out(BytesMut);

impl Out {
    /// An event without a name.
    pub(crate) fn data(&mut self, data: &impl Serialize) {
        // What is sent is made of values that have a JSON form.
        let json = serde_json::to_vec(data).unwrap_or_default();
        self.0.extend_from_slice(b"data: ");
        self.0.extend_from_slice(&json);
        self.0.extend_from_slice(b"\n\n");
    }

    /// An event with a name.
    pub(crate) fn event(&mut self, name: &str, data: &impl Serialize) {
        self.raw(&format!("event: {name}\n"));
        self.data(data);
    }

    /// What keeps the connection alive.
    pub(crate) fn quiet(&mut self) {
        self.0.extend_from_slice(sse::KEEP_ALIVE);
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }
}

/// Whether there is more to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Stop,
}

/// How a protocol tells a story.
pub(crate) trait Form: Send + 'static {
    /// The first thing of all.
    fn begin(&mut self, _out: &mut Out) {}

    /// What the client knows has been gone through: from here on everything is new to it.
    fn caught_up(&mut self, _story: &Story, _out: &mut Out) {}

    /// The run stands in line: `position`, `of` and `eta_s`.
    fn queued(&mut self, place: &Value, out: &mut Out);

    /// The run runs. This may be said several times.
    fn running(&mut self, _out: &mut Out) {}

    fn told(&mut self, story: &Story, told: Told, out: &mut Out);

    /// All that has happened until now was told.
    fn flush(&mut self, _story: &Story, _out: &mut Out) {}

    fn quiet(&mut self, out: &mut Out) {
        out.quiet();
    }

    /// The run waits for the answers to these questions; `last` is the number of its last event.
    fn waiting(&mut self, story: &Story, asked: &[ApprovalRow], last: u64, out: &mut Out) -> Then;

    /// The run has ended.
    fn ended(&mut self, row: &RunRow, last: u64, out: &mut Out);

    /// It cannot be followed any more, because of this.
    fn cut(&mut self, reason: &'static str, out: &mut Out);
}

/// What becomes of the run when the client goes away before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It goes on.
    Detach,
    /// It is cancelled.
    Cancel,
}

/// The story of a run, as it is told to one client.
pub(crate) struct Telling<F> {
    api: Api,
    row: RunRow,
    follower: Follower,
    story: Story,
    form: F,
    /// The number of the last event that the client knows.
    known: u64,
    /// The number of the last event of all that came.
    last: u64,
    has_begun: bool,
    is_caught_up: bool,
    is_over: bool,
    ephemeral: Option<Ephemeral>,
}

impl<F: Form> Telling<F> {
    /// Tells a run that the caller may see, from behind the event `known`.
    pub(crate) fn new(api: &Api, caller: Caller, row: RunRow, form: F, known: u64, gone: Gone) -> Self {
        let workflow = || api.service().catalog().workflows().get(&row.name);
        let graph = match row.kind {
            RunKind::Workflow => workflow().map(|offered| Dag::new(offered.graph.spec())),
            RunKind::Agent => None,
        };
        Self {
            follower: Follower::new(api.clone(), caller, row.id.clone(), 0),
            story: Story::new(row.id.clone(), graph),
            ephemeral: (gone == Gone::Cancel).then(|| Ephemeral::new(api.service(), &row.id)),
            api: api.clone(),
            row,
            form,
            known,
            last: 0,
            has_begun: false,
            is_caught_up: false,
            is_over: false,
        }
    }

    /// As a response.
    pub(crate) fn response(self) -> Response {
        sse::response(stream::unfold(self, async |mut telling| {
            let frames = telling.next().await?;
            Some((frames, telling))
        }))
    }

    /// What is to be sent next; nothing after the end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        let mut out = Out::default();
        if !self.has_begun {
            self.has_begun = true;
            self.form.begin(&mut out);
        }
        while out.0.is_empty() {
            if self.is_over {
                return None;
            }
            let Some(shown) = self.follower.next().await else {
                self.is_over = true;
                break;
            };
            self.shown(shown, &mut out).await;
            while !self.is_over
                && let Some(shown) = self.follower.ready()
            {
                self.shown(shown, &mut out).await;
            }
            if self.is_caught_up && !self.is_over {
                self.form.flush(&self.story, &mut out);
            }
        }
        Some(out.0.freeze())
    }

    async fn shown(&mut self, shown: Shown, out: &mut Out) {
        if !self.is_caught_up && !matches!(&shown, Shown::Event(event) if event.seq <= self.known) {
            self.is_caught_up = true;
            self.form.caught_up(&self.story, out);
        }
        match shown {
            Shown::Event(event) => {
                self.last = event.seq;
                let told = self.story.event(&event.event);
                if event.seq > self.known {
                    self.form.running(out);
                    self.tell(told, out);
                }
            }
            Shown::Passing { name: "queue", data } => {
                if let Ok(place) = serde_json::from_slice(&data) {
                    self.form.queued(&place, out);
                }
            }
            Shown::Passing { name: "stream", data } => {
                if let Some(streamed) = Streamed::read(&data) {
                    let told = self.story.streamed(streamed);
                    self.tell(told, out);
                }
            }
            Shown::Passing { name: "state", data } => {
                let state = serde_json::from_slice::<Value>(&data).unwrap_or_default();
                match state.get("state").and_then(Value::as_str) {
                    Some("running") => self.form.running(out),
                    Some("waiting") => self.waiting(out).await,
                    _ => {}
                }
            }
            Shown::Passing { .. } => {}
            Shown::Quiet => self.form.quiet(out),
            Shown::Ended(row) => {
                let told = self.story.ended(&row);
                self.tell(told, out);
                self.form.flush(&self.story, out);
                self.form.ended(&row, self.last, out);
                self.end();
            }
            Shown::Cut(reason) => {
                self.form.cut(reason, out);
                self.end();
            }
        }
    }

    fn tell(&mut self, told: Vec<Told>, out: &mut Out) {
        for told in told {
            self.form.told(&self.story, told, out);
        }
    }

    async fn waiting(&mut self, out: &mut Out) {
        let asked = match self.api.store().approvals_of(&self.row.id).await {
            Ok(asked) => asked,
            Err(error) => {
                drop(self.api.failed(error));
                self.form.cut("storage_unavailable", out);
                return self.end();
            }
        };
        let asked: Vec<_> = asked.into_iter().filter(|row| row.state == ApprovalState::Pending).collect();
        // They were answered, and the run is about to go on.
        if asked.is_empty() {
            return;
        }
        self.form.flush(&self.story, out);
        if self.form.waiting(&self.story, &asked, self.last, out) == Then::Stop {
            self.end();
        }
    }

    /// Nothing more is told. The client has not gone away, so the run goes on.
    fn end(&mut self) {
        self.is_over = true;
        if let Some(ephemeral) = self.ephemeral.take() {
            ephemeral.detach();
        }
    }
}

/// What is said of a stream that was cut.
pub(crate) fn cut_because(reason: &str) -> &'static str {
    match reason {
        "shutting_down" => "the server is shutting down: the run is stored and goes on after the next start",
        "unauthorized" => "the key is not valid any more: the run goes on without you",
        "gone" => "the run was deleted",
        _ => "the server's storage cannot be read at the moment: the run is stored, look at it later",
    }
}

/// Why a run that has no answer ended, in words.
pub(crate) fn why(row: &RunRow) -> String {
    let outcome = row.outcome.as_deref().unwrap_or("ended");
    match &row.error {
        Some(error) => format!("the run {} failed: {error}", row.id),
        None if outcome == "cancelled" => format!("the run {} was cancelled", row.id),
        None => format!("the run {} has no answer: it ended as `{outcome}`", row.id),
    }
}
