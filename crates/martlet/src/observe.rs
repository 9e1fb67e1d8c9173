//! Watching a run: events that are never lost, and what streams in between.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::Stream;
use martlet_core::{Delta, Event, ModelReply, RunId};
use martlet_model::{DeltaSink, ModelError};
use serde::Serialize;

/// How many pieces that stream are kept for an observer that falls behind; the oldest go first.
const STREAMED: usize = 1_024;

/// What an observer sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Update {
    /// An event: numbered, durable, never left out.
    Event {
        /// The event.
        event: Arc<Event>,
    },
    /// A piece of a model's reply. An observer that falls far behind misses some.
    Delta {
        /// The step.
        step: u32,
        /// The piece.
        delta: Delta,
    },
    /// Text that a program printed. An observer that falls far behind misses some.
    Printed {
        /// The step.
        step: u32,
        /// The text.
        text: String,
    },
    /// An update of a child run, or of one in it. What holds for the update holds for this.
    Child {
        /// The child run.
        child: RunId,
        /// The name of the managed agent or of the node.
        name: Arc<str>,
        /// The step; in a graph the node's number, from 1.
        step: u32,
        /// The update.
        update: Box<Update>,
    },
}

impl Update {
    /// The event in it, be it of the run or of one in it: each event says which run it is of.
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Event { event } => Some(event),
            Self::Child { update, .. } => update.event(),
            _ => None,
        }
    }
}

/// Where a run's updates go. It keeps the run's events, and a bounded number of streamed pieces.
#[derive(Default)]
pub(crate) struct Bus {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Events and streamed pieces share one numbering, so that each observer sees them in their order.
    next: u64,
    events: Vec<(u64, Update)>,
    streamed: VecDeque<(u64, Update)>,
    wakers: HashMap<u64, Waker>,
    next_observer: u64,
    observers: usize,
    closed: bool,
}

impl Bus {
    fn events(&self, events: impl ExactSizeIterator<Item = Update>) {
        if events.len() == 0 {
            return;
        }
        let mut state = self.lock();
        for event in events {
            let place = state.next;
            state.next += 1;
            state.events.push((place, event));
        }
        state.wake();
    }

    fn stream(&self, update: Update) {
        let mut state = self.lock();
        if state.observers == 0 {
            return;
        }
        let place = state.next;
        state.next += 1;
        if state.streamed.len() == STREAMED {
            state.streamed.pop_front();
        }
        state.streamed.push_back((place, update));
        state.wake();
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wake();
    }

    pub(crate) fn observe(self: &Arc<Self>) -> Observer {
        let mut state = self.lock();
        let id = state.next_observer;
        state.next_observer += 1;
        state.observers += 1;
        // Events are shown from the first one; what streamed before is over.
        let streamed_from = state.next;
        drop(state);
        Observer { bus: self.clone(), id, next: 0, streamed_from }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        for (_, waker) in self.wakers.drain() {
            waker.wake();
        }
    }

    fn at_or_after(&self, place: u64, streamed_from: u64) -> Option<(u64, Update)> {
        let event = self.events.partition_point(|(at, _)| *at < place);
        let event = self.events.get(event);
        let from = place.max(streamed_from);
        let streamed = self.streamed.partition_point(|(at, _)| *at < from);
        let streamed = self.streamed.get(streamed);
        match (event, streamed) {
            (Some(event), Some((streamed_at, _))) if event.0 < *streamed_at => Some(event.clone()),
            (_, Some(streamed)) => Some(streamed.clone()),
            (event, None) => event.cloned(),
        }
    }
}

/// A call of a model that ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct ModelCall<'a> {
    /// The model's name.
    pub model: &'a str,
    /// What came of it.
    pub result: Result<&'a ModelReply, &'a ModelError>,
    /// How long it took until the first piece of the reply was there, if it was streamed.
    pub first_piece: Option<Duration>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Is called with each call of a model that ended.
pub(crate) type ModelTap = Arc<dyn Fn(&ModelCall<'_>) + Send + Sync>;

/// Is called with all that streams, where it arises.
pub(crate) type Tap = Arc<dyn Fn(&Update) + Send + Sync>;

/// The way of one run's updates to those who watch: those of a child run are marked with the runs that they come through.
#[derive(Clone)]
pub(crate) struct Feed {
    bus: Option<Arc<Bus>>,
    tap: Option<Tap>,
    through: Option<Arc<Through>>,
}

struct Through {
    child: RunId,
    name: Arc<str>,
    step: u32,
    above: Option<Arc<Through>>,
}

impl Feed {
    /// The way to whoever there is; none if nobody watches.
    pub(crate) fn new(bus: Option<Arc<Bus>>, tap: Option<Tap>) -> Option<Self> {
        (bus.is_some() || tap.is_some()).then_some(Self { bus, tap, through: None })
    }

    /// That of a child run.
    pub(crate) fn below(&self, child: &RunId, name: &str, step: u32) -> Self {
        let above = self.through.clone();
        let through = Through { child: child.clone(), name: name.into(), step, above };
        Self { bus: self.bus.clone(), tap: self.tap.clone(), through: Some(Arc::new(through)) }
    }

    pub(crate) fn events(&self, events: Vec<Event>) {
        let Some(bus) = &self.bus else { return };
        bus.events(events.into_iter().map(|event| self.mark(Update::Event { event: Arc::new(event) })));
    }

    pub(crate) fn stream(&self, update: Update) {
        let update = self.mark(update);
        if let Some(tap) = &self.tap {
            tap(&update);
        }
        if let Some(bus) = &self.bus {
            bus.stream(update);
        }
    }

    pub(crate) fn deltas(&self, step: u32) -> DeltaSink {
        let feed = self.clone();
        DeltaSink::new(move |delta| feed.stream(Update::Delta { step, delta }))
    }

    fn mark(&self, mut update: Update) -> Update {
        let mut through = self.through.as_deref();
        while let Some(here) = through {
            update = Update::Child {
                child: here.child.clone(),
                name: here.name.clone(),
                step: here.step,
                update: Box::new(update),
            };
            through = here.above.as_deref();
        }
        update
    }
}

/// One observer of a run: a stream of [`Update`]s that ends with the run. It never slows the run down.
pub struct Observer {
    bus: Arc<Bus>,
    id: u64,
    next: u64,
    streamed_from: u64,
}

impl Observer {
    /// The next update; `None` when the run has ended and everything was seen.
    pub async fn next(&mut self) -> Option<Update> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Observer {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        let bus = self.bus.clone();
        let mut state = bus.lock();
        match state.at_or_after(self.next, self.streamed_from) {
            Some((place, update)) => {
                self.next = place + 1;
                Poll::Ready(Some(update))
            }
            None if state.closed => Poll::Ready(None),
            None => {
                state.wakers.insert(self.id, cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let mut state = self.bus.lock();
        state.observers -= 1;
        state.wakers.remove(&self.id);
    }
}
