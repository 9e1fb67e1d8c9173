//! Following a run: what is stored of it in its order, and in between what is shown in passing.
//!
//! Every protocol in which a run can be watched is made of this. What is stored has a number and comes from the store, or
//! from the hub when it is the next one. So whoever falls behind or comes back reads on in the store, and nothing is missing
//! and nothing comes twice. Nothing is buffered for one who does not ask.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use martlet_core::{Delta, RunId};
use martlet_store::{RunRow, RunState, StoredEvent};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};

use crate::auth::{self, Caller};
use crate::hub::{Frame, Watch};
use crate::metrics::SseClient;
use crate::router::Api;
use crate::service::place_of;

/// Something is said at least so often, so that nobody on the way takes the connection for dead.
const QUIET: Duration = Duration::from_secs(15);
/// So often it is looked whether the key of a follower is still valid.
const CHECK: Duration = Duration::from_secs(2);
/// Events that are read at once.
const PAGE: usize = 128;

/// What a follower is given.
#[derive(Debug)]
pub(crate) enum Shown {
    /// An event that is stored. Its numbers have no gaps.
    Event(StoredEvent),
    /// Something that nobody stores: `queue`, `state`, `stream` or `approval`, with JSON. Of a `stream`, [`Streamed`] is the
    /// content.
    Passing { name: &'static str, data: Bytes },
    /// Nothing happened for a while.
    Quiet,
    /// The run has ended, and everything of it was given. The last item.
    Ended(Box<RunRow>),
    /// It cannot be followed any more, because of `storage_unavailable`, `gone`, `shutting_down` or `unauthorized`. The last
    /// item.
    Cut(&'static str),
}

/// What streams in between events.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Streamed {
    /// A piece of a model's reply.
    Delta { step: u32, delta: Delta },
    /// The same of a run in the run.
    Child { child: RunId, update: Box<Streamed> },
    /// Something else.
    #[serde(other)]
    Other,
}

impl Streamed {
    /// What the data of a `stream` says; nothing if it cannot be read.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        serde_json::from_slice(data).ok()
    }
}

enum Phase {
    /// What is stored is read.
    Stored,
    /// All that is stored was read: what happens is shown.
    Live,
    Over,
}

/// Somebody who follows a run.
pub(crate) struct Follower {
    api: Api,
    caller: Caller,
    run: RunId,
    watch: Watch,
    /// The number of the last event that was given.
    last: u64,
    phase: Phase,
    checks: Interval,
    ready: VecDeque<Shown>,
    _counted: SseClient,
}

impl Follower {
    /// Follows a run that the caller may see, from behind the event `after`.
    pub(crate) fn new(api: Api, caller: Caller, run: RunId, after: u64) -> Self {
        let mut checks = interval_at(Instant::now() + CHECK, CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            watch: api.service().watch(&run),
            _counted: api.service().metrics().sse_client(),
            api,
            caller,
            run,
            last: after,
            phase: Phase::Stored,
            checks,
            ready: VecDeque::new(),
        }
    }

    /// The next item; nothing after the last one.
    pub(crate) async fn next(&mut self) -> Option<Shown> {
        loop {
            if let Some(shown) = self.ready.pop_front() {
                return Some(shown);
            }
            match self.phase {
                Phase::Stored => self.stored().await,
                Phase::Live => self.live().await,
                Phase::Over => return None,
            }
        }
    }

    /// The next item, if it needs no waiting.
    pub(crate) fn ready(&mut self) -> Option<Shown> {
        self.ready.pop_front()
    }

    /// Reads a page. After the last one it is clear where the run stands.
    async fn stored(&mut self) {
        let (api, owner) = (self.api.clone(), self.caller.principal.clone());
        let owned = api.store().of(&owner);
        let page = match owned.events(&self.run, self.last, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                drop(api.failed(error));
                return self.end(Shown::Cut("storage_unavailable"));
            }
        };
        let is_last = page.len() < PAGE;
        for event in page {
            self.event(event);
        }
        if !is_last {
            return;
        }
        let row = match owned.run(&self.run).await {
            Ok(Some(row)) => row,
            // It was deleted, or cannot be read.
            Ok(None) | Err(_) => return self.end(Shown::Cut("gone")),
        };
        if row.last_event > self.last {
            return;
        }
        if row.state == RunState::Ended {
            return self.end(Shown::Ended(Box::new(row)));
        }
        let (name, data) = match api.service().place(&self.run) {
            Some(place) => ("queue", place_of(place)),
            None => ("state", json!({"state": row.state, "outcome": Value::Null})),
        };
        self.ready.push_back(Shown::Passing { name, data: Bytes::from(data.to_string()) });
        self.phase = Phase::Live;
    }

    async fn live(&mut self) {
        tokio::select! {
            biased;
            () = self.api.service().drained() => self.end(Shown::Cut("shutting_down")),
            frame = self.watch.next() => match frame {
                Ok(Frame::Event(event)) if event.seq == self.last + 1 => self.event(event),
                Ok(Frame::Event(event)) if event.seq <= self.last => {}
                Ok(Frame::Passing { name: "state", data }) if has_ended(&data) => self.phase = Phase::Stored,
                Ok(Frame::Passing { name, data }) => self.ready.push_back(Shown::Passing { name, data }),
                // Something was missed.
                Ok(Frame::Event(_)) | Err(_) => self.phase = Phase::Stored,
            },
            _ = self.checks.tick(), if self.caller.key.is_some() => {
                if !auth::is_still_valid(&self.api, &self.caller).await {
                    self.end(Shown::Cut("unauthorized"));
                }
            }
            () = sleep(QUIET) => self.ready.push_back(Shown::Quiet),
        }
    }

    fn event(&mut self, event: StoredEvent) {
        self.last = event.seq;
        self.ready.push_back(Shown::Event(event));
    }

    fn end(&mut self, last: Shown) {
        self.ready.push_back(last);
        self.phase = Phase::Over;
    }
}

fn has_ended(state: &[u8]) -> bool {
    serde_json::from_slice::<Value>(state).is_ok_and(|state| state["state"] == RunState::Ended.as_str())
}
