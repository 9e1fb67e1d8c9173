//! Watching a run: events that are never lost, and what streams in between.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use martlet_core::{Delta, Event};
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
    events: Vec<(u64, Arc<Event>)>,
    streamed: VecDeque<(u64, Update)>,
    wakers: HashMap<u64, Waker>,
    next_observer: u64,
    observers: usize,
    closed: bool,
}

impl Bus {
    pub(crate) fn events(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut state = self.lock();
        for event in events {
            let place = state.next;
            state.next += 1;
            state.events.push((place, Arc::new(event)));
        }
        state.wake();
    }

    pub(crate) fn stream(&self, update: Update) {
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
            (Some((at, event)), Some((streamed_at, _))) if at < streamed_at => {
                Some((*at, Update::Event { event: event.clone() }))
            }
            (_, Some(streamed)) => Some(streamed.clone()),
            (Some((at, event)), None) => Some((*at, Update::Event { event: event.clone() })),
            (None, None) => None,
        }
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
