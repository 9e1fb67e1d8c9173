//! Following a run for somebody who waits for its answer.

use std::collections::VecDeque;

use martlet_core::{Event, RunId};
use martlet_store::RunRow;
use serde_json::Value;

use super::fault::Fault;
use super::narrator::Narrator;
use crate::adapter::{answer, as_text};
use crate::api::wait::Ephemeral;
use crate::auth::Caller;
use crate::follow::{Follower, Shown, Streamed};
use crate::problem::{Problem, ProblemKind};
use crate::router::Api;

/// What somebody is told who waits for a run.
#[derive(Debug)]
pub(super) enum Told {
    /// Something for people who look at the wire.
    Comment(String),
    /// What the run does.
    Thought(String),
    /// Nothing happened for a while.
    Quiet,
    /// The run has ended. The last thing that is told.
    Ended(Box<RunRow>),
    /// It cannot be followed any more. The last thing that is told.
    Failed(Fault),
}

/// What becomes of a run when the one who waits for it goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenLeft {
    /// It is cancelled.
    Cancel,
    /// It goes on.
    GoOn,
}

/// Somebody who waits for a run.
pub(super) struct Telling {
    follower: Follower,
    narrator: Narrator,
    run: RunId,
    ephemeral: Option<Ephemeral>,
    ready: VecDeque<Told>,
}

impl Telling {
    pub(super) fn new(api: &Api, caller: Caller, run: &RunId, when_left: WhenLeft) -> Self {
        Self {
            follower: Follower::new(api.clone(), caller, run.clone(), 0),
            narrator: Narrator::default(),
            run: run.clone(),
            ephemeral: (when_left == WhenLeft::Cancel).then(|| Ephemeral::new(api.service(), run)),
            ready: VecDeque::new(),
        }
    }

    /// The next thing; nothing after the last one.
    pub(super) async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Some(told);
            }
            let shown = self.follower.next().await?;
            let told = self.tell(shown);
            self.ready.extend(told);
        }
    }

    fn tell(&mut self, shown: Shown) -> Option<Told> {
        match shown {
            Shown::Event(event) => {
                // An event of a later version says nothing here.
                let event: Event = serde_json::from_slice(&event.event).ok()?;
                self.narrator.event(&self.run, &event).map(Told::Thought)
            }
            Shown::Passing { name: "stream", data } => {
                self.narrator.streamed(&Streamed::read(&data)?).map(Told::Thought)
            }
            Shown::Passing { name: "queue", data } => {
                let place: Value = serde_json::from_slice(&data).ok()?;
                Some(Told::Comment(format!("queued {} of {}", place["position"], place["of"])))
            }
            Shown::Passing { name: "state", data } => {
                let state: Value = serde_json::from_slice(&data).ok()?;
                (state["state"] == "waiting")
                    .then(|| Told::Comment(format!("waiting for a person: martlet runs show {}", self.run)))
            }
            Shown::Passing { .. } => None,
            Shown::Quiet => Some(Told::Quiet),
            Shown::Ended(row) => {
                self.detach();
                Some(Told::Ended(row))
            }
            Shown::Cut(reason) => Some(Told::Failed(self.cut(reason))),
        }
    }

    /// Lets the run go on by itself.
    fn detach(&mut self) {
        if let Some(ephemeral) = self.ephemeral.take() {
            ephemeral.detach();
        }
    }

    fn cut(&mut self, reason: &str) -> Fault {
        let problem = cut(reason, &self.run);
        if problem.kind() != ProblemKind::Unauthorized {
            // The run is stored: it goes on when it can.
            self.detach();
        }
        Fault::from(problem).harmful()
    }
}

/// Why a run cannot be followed any more.
pub(super) fn cut(reason: &str, run: &RunId) -> Problem {
    let (kind, text) = match reason {
        "unauthorized" => return Problem::unauthorized(),
        "shutting_down" => {
            let text = format!("the server is shutting down; see the run {run} when it is back");
            (ProblemKind::Draining, text)
        }
        "gone" => (ProblemKind::RunFailed, format!("the run {run} was deleted")),
        _ => {
            let text = format!("the server's storage failed; look at the run {run} later");
            (ProblemKind::StorageUnavailable, text)
        }
    };
    Problem::new(kind, text)
}

/// The answer of a run that has ended, and why it is as long as it is; or why there is none.
pub(super) fn ending(row: &RunRow) -> Result<(String, &'static str), Fault> {
    let answer = answer(row).map_err(Fault::from)?;
    let finish = match row.outcome.as_deref() {
        Some("step_limit" | "token_limit" | "timed_out") => "length",
        _ => "stop",
    };
    Ok((as_text(&answer), finish))
}
