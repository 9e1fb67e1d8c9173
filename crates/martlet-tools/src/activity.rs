//! What a run is busy with: a run that does nothing but wait for people can be given up and gone on with later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// What a run, and the runs in it, are busy with. For drivers; tools say through [`ToolContext`](crate::ToolContext) that
/// they wait for somebody. Clones are the same activity.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    busy: usize,
    waiting: usize,
    waker: Option<Waker>,
}

/// What a piece of work counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Nothing,
    Busy,
    Waiting,
}

impl Activity {
    /// Something that is worked on until it is dropped.
    pub fn work(&self) -> Work {
        self.shift(Part::Nothing, Part::Busy);
        Work(WorkHandle { activity: self.clone(), state: Arc::default() })
    }

    /// Ready when nothing is worked on and something waits for people.
    pub async fn idle(&self) {
        std::future::poll_fn(|cx| {
            let mut counts = self.lock();
            if counts.busy == 0 && counts.waiting > 0 {
                return Poll::Ready(());
            }
            counts.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn shift(&self, from: Part, to: Part) {
        if from == to {
            return;
        }
        let mut counts = self.lock();
        match from {
            Part::Nothing => {}
            Part::Busy => counts.busy -= 1,
            Part::Waiting => counts.waiting -= 1,
        }
        match to {
            Part::Nothing => {}
            Part::Busy => counts.busy += 1,
            Part::Waiting => counts.waiting += 1,
        }
        if counts.busy == 0
            && counts.waiting > 0
            && let Some(waker) = counts.waker.take()
        {
            drop(counts);
            waker.wake();
        }
    }

    /// The counts are changed in one go, so that a panic of another thread does no harm.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that a run works on; dropping it ends it.
#[derive(Debug)]
pub struct Work(WorkHandle);

impl Work {
    /// For those who do the work: lets them say that they wait for people.
    pub fn handle(&self) -> WorkHandle {
        self.0.clone()
    }

    /// Until the guard is dropped, this counts as nothing: others do what there is to do, and count themselves.
    pub fn pause(&self) -> Paused<'_> {
        self.0.change(|state| state.paused += 1);
        Paused(&self.0)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.change(|state| state.done = true);
    }
}

/// While it lives, the work counts as nothing.
#[derive(Debug)]
pub struct Paused<'a>(&'a WorkHandle);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.paused -= 1);
    }
}

/// A handle of some work.
#[derive(Debug, Clone)]
pub struct WorkHandle {
    activity: Activity,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    paused: u32,
    people: u32,
    done: bool,
}

impl State {
    fn part(&self) -> Part {
        match self {
            Self { done: true, .. } => Part::Nothing,
            Self { people: 1.., .. } => Part::Waiting,
            Self { paused: 1.., .. } => Part::Nothing,
            _ => Part::Busy,
        }
    }
}

impl WorkHandle {
    /// Until the guard is dropped, the work does nothing but wait for a person.
    pub fn waiting(&self) -> WaitingForPerson {
        self.change(|state| state.people += 1);
        WaitingForPerson(Some(self.clone()))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        // Held until the counts are changed: two changes of the same work follow one another.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.part();
        change(&mut state);
        self.activity.shift(before, state.part());
    }
}

/// While it lives, a call does nothing but wait for a person.
///
/// A run of which every part does so may be given up: its future is dropped, and the call is made again, under the same
/// idempotency key, when the person has answered.
#[derive(Debug)]
#[must_use = "the call waits for a person as long as this lives"]
pub struct WaitingForPerson(Option<WorkHandle>);

impl WaitingForPerson {
    /// Where nobody counts.
    pub(crate) fn uncounted() -> Self {
        Self(None)
    }
}

impl Drop for WaitingForPerson {
    fn drop(&mut self) {
        if let Some(work) = &self.0 {
            work.change(|state| state.people -= 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_idle(activity: &Activity) -> bool {
        pin!(activity.idle()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn nothing_at_all_is_not_waiting() {
        let activity = Activity::default();
        assert!(!is_idle(&activity));
        drop(activity.work());
        assert!(!is_idle(&activity));
    }

    #[test]
    fn it_is_idle_while_all_that_goes_on_waits_for_people() {
        let activity = Activity::default();
        let (one, other) = (activity.work(), activity.work());
        let first = one.handle().waiting();
        assert!(!is_idle(&activity), "the other is busy");
        let second = other.handle().waiting();
        assert!(is_idle(&activity));
        drop(second);
        assert!(!is_idle(&activity));
        drop(other);
        assert!(is_idle(&activity));
        // Two people at once are still one piece of work.
        let again = one.handle().waiting();
        drop(first);
        assert!(is_idle(&activity));
        drop(again);
        assert!(!is_idle(&activity));
    }

    #[test]
    fn paused_work_counts_as_nothing_and_work_that_is_done_cannot_wait() {
        let activity = Activity::default();
        let above = activity.work();
        let below = activity.work();
        let pause = above.pause();
        let handle = below.handle();
        let waiting = handle.waiting();
        assert!(is_idle(&activity));
        drop(pause);
        assert!(!is_idle(&activity));
        drop((below, waiting));
        let late = handle.waiting();
        drop(above);
        assert!(!is_idle(&activity));
        drop(late);
        let counts = activity.lock();
        assert_eq!((counts.busy, counts.waiting), (0, 0));
    }
}
