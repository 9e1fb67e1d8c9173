//! Reading a response from the store, and following it as it comes.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use martlet_core::{EffectId, Event, EventKind};
use martlet_store::{ApprovalId, ApprovalKind, ApprovalRow, ApprovalState, RunRow, RunState};
use serde_json::Value;

use super::id::ResponseId;
use super::projection::Projection;
use super::request::Note;
use crate::api::wait::Ephemeral;
use crate::auth::Caller;
use crate::follow::{Follower, Shown};
use crate::openai::telling::{WhenLeft, cut};
use crate::problem::Problem;
use crate::router::Api;

/// Events that are read at once.
const PAGE: usize = 128;
/// The tool by which agents ask people in words.
const ASK_USER: &str = "ask_user";

/// A response that is being made of what is stored.
pub(super) struct Reading {
    api: Api,
    caller: Caller,
    pub(super) projection: Projection,
    /// All questions of the run.
    questions: Vec<ApprovalRow>,
    /// Those of them whose decision the run knows.
    known: HashSet<ApprovalId>,
    /// Those of them that it came to know in this response.
    began: HashSet<ApprovalId>,
}

impl Reading {
    /// Begins to read a response of a run that the caller may see.
    pub(super) async fn new(
        api: &Api,
        caller: &Caller,
        id: ResponseId,
        row: &RunRow,
    ) -> Result<Self, Problem> {
        let mut reading = Self {
            api: api.clone(),
            caller: caller.clone(),
            projection: Projection::new(id, Note::of(row)?, row),
            questions: Vec::new(),
            known: HashSet::new(),
            began: HashSet::new(),
        };
        reading.refresh().await?;
        Ok(reading)
    }

    /// The response as it stands now.
    pub(super) async fn now(
        api: &Api,
        caller: &Caller,
        id: ResponseId,
        row: RunRow,
    ) -> Result<Self, Problem> {
        let mut reading = Self::new(api, caller, id, &row).await?;
        drop(reading.projection.begin());
        let owned = api.store().of(&caller.principal);
        while !reading.projection.is_over() {
            let run = &reading.projection.id.run;
            let page = owned.events(run, reading.projection.last, PAGE).await;
            let page = page.map_err(|error| api.failed(error))?;
            let is_last = page.len() < PAGE;
            for event in page {
                drop(reading.event(event.seq, &event.event).await?);
                if reading.projection.is_over() {
                    return Ok(reading);
                }
            }
            if is_last {
                break;
            }
        }
        // It may have gone on since it was asked for.
        let row = api.run(&caller.principal, &row.id).await?;
        if row.state == RunState::Ended && row.last_event == reading.projection.last {
            drop(reading.projection.end_with_run(&row));
        } else if row.state == RunState::Queued && row.last_event == 0 {
            reading.projection.queued();
        } else {
            drop(reading.at_rest(&row).await?);
        }
        Ok(reading)
    }

    pub(super) fn questions(&self) -> &[ApprovalRow] {
        &self.questions
    }

    /// The questions whose answers it began with.
    pub(super) fn begun_with(&self) -> Vec<&ApprovalRow> {
        self.questions.iter().filter(|question| self.began.contains(&question.id)).collect()
    }

    async fn refresh(&mut self) -> Result<(), Problem> {
        let run = &self.projection.id.run;
        let questions = self.api.store().approvals_of(run).await;
        self.questions = questions.map_err(|error| self.api.failed(error))?;
        Ok(())
    }

    /// Takes the event with that number, and gives the frames that it makes.
    async fn event(&mut self, number: u64, event: &Bytes) -> Result<Vec<Value>, Problem> {
        let event: Event = serde_json::from_slice(event).map_err(|error| Problem::internal(&error))?;
        if self.projection.is_over() {
            return Ok(Vec::new());
        }
        if let Some(question) = self.decided_by(&event).await? {
            // What was allowed before for the whole run is decided when it is asked: nobody is waited for.
            let is_later = question
                .decided_ms
                .is_some_and(|at_ms| at_ms > self.projection.id.since_ms && at_ms > question.asked_ms);
            if is_later && number > self.projection.id.after {
                let open = self.open_at_end();
                return Ok(self.projection.end_with_questions(&open));
            }
            if number > self.projection.id.after {
                self.began.insert(question.id.clone());
            }
            self.known.insert(question.id);
        }
        Ok(self.projection.event(number, &event))
    }

    /// The question whose decision the run came to know with an event.
    async fn decided_by(&mut self, event: &Event) -> Result<Option<ApprovalRow>, Problem> {
        let is_decision = match &event.kind {
            EventKind::ApprovalDecided { .. } => true,
            // Whether it was waited for a person shows when it is looked up.
            EventKind::ToolReturned { name, .. } => {
                name == ASK_USER || self.questions.iter().any(|question| self.is_open(question))
            }
            _ => false,
        };
        if !is_decision {
            return Ok(None);
        }
        if self.questions.iter().any(|question| question.state == ApprovalState::Pending)
            || self.find(event).is_none()
        {
            self.refresh().await?;
        }
        Ok(self.find(event).cloned())
    }

    fn is_open(&self, question: &ApprovalRow) -> bool {
        question.kind != ApprovalKind::Call && !self.known.contains(&question.id)
    }

    fn find(&self, event: &Event) -> Option<&ApprovalRow> {
        let of_call = match &event.kind {
            EventKind::ApprovalDecided { step, effect, .. } => {
                let effect = EffectId { run: event.run.clone(), step: *step, index: *effect };
                Some(ApprovalId::of(&effect))
            }
            _ => None,
        };
        self.questions.iter().find(|question| match &of_call {
            Some(id) => question.id == *id,
            None => self.is_open(question) && self.projection.returns(event, question),
        })
    }

    /// The questions that nobody had answered when the response ended.
    fn open_at_end(&self) -> Vec<ApprovalRow> {
        let since_ms = self.projection.id.since_ms;
        let is_open = |question: &&ApprovalRow| {
            !self.known.contains(&question.id) && question.decided_ms.is_none_or(|at_ms| at_ms > since_ms)
        };
        self.questions.iter().filter(is_open).cloned().collect()
    }

    /// Looks whether a run only waits for people, and ends the response if it does.
    async fn at_rest(&mut self, row: &RunRow) -> Result<Vec<Value>, Problem> {
        if row.state != RunState::Waiting || row.pending == 0 || row.last_event != self.projection.last {
            return Ok(Vec::new());
        }
        self.refresh().await?;
        // What was answered is on its way into the run.
        let is_answered = |question: &ApprovalRow| {
            question.state != ApprovalState::Pending && !self.known.contains(&question.id)
        };
        if self.questions.iter().any(is_answered) {
            return Ok(Vec::new());
        }
        let open = self.open_at_end();
        Ok(self.projection.end_with_questions(&open))
    }
}

/// What somebody is told who follows a response.
pub(super) enum Told {
    Frame(Value),
    /// Something for people who look at the wire.
    Comment(String),
    /// Nothing happened for a while.
    Quiet,
}

/// Somebody who follows a response.
pub(super) struct Following {
    pub(super) reading: Reading,
    follower: Follower,
    ephemeral: Option<Ephemeral>,
    ready: VecDeque<Told>,
    /// Why it cannot be followed any more.
    pub(super) broken: Option<Problem>,
    is_over: bool,
}

impl Following {
    pub(super) fn new(mut reading: Reading, when_left: WhenLeft) -> Self {
        let (api, run) = (reading.api.clone(), reading.projection.id.run.clone());
        let ephemeral = (when_left == WhenLeft::Cancel).then(|| Ephemeral::new(api.service(), &run));
        let ready = reading.projection.begin().into_iter().map(Told::Frame).collect();
        let follower = Follower::new(api, reading.caller.clone(), run, 0);
        Self { reading, follower, ephemeral, ready, broken: None, is_over: false }
    }

    /// The next thing; nothing after the last one.
    pub(super) async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Some(told);
            }
            if self.is_over {
                return None;
            }
            let Some(shown) = self.follower.next().await else {
                self.is_over = true;
                continue;
            };
            if let Err(problem) = self.take(shown).await {
                self.fail(problem);
            }
        }
    }

    async fn take(&mut self, shown: Shown) -> Result<(), Problem> {
        let frames = match shown {
            Shown::Event(event) => self.reading.event(event.seq, &event.event).await?,
            Shown::Passing { name: "state", .. } => {
                let run = self.reading.projection.id.run.clone();
                let row = self.reading.api.run(&self.reading.caller.principal, &run).await?;
                self.reading.at_rest(&row).await?
            }
            Shown::Passing { name: "queue", data } => {
                let place: Value = serde_json::from_slice(&data).unwrap_or_default();
                let text = format!("queued {} of {}", place["position"], place["of"]);
                self.ready.push_back(Told::Comment(text));
                Vec::new()
            }
            Shown::Passing { .. } => Vec::new(),
            Shown::Quiet => {
                self.ready.push_back(Told::Quiet);
                Vec::new()
            }
            Shown::Ended(row) => self.reading.projection.end_with_run(&row),
            Shown::Cut(reason) => {
                if reason != "unauthorized" {
                    // The run is stored: it goes on when it can.
                    self.detach();
                }
                return Err(cut(reason, &self.reading.projection.id.run));
            }
        };
        self.ready.extend(frames.into_iter().map(Told::Frame));
        if self.reading.projection.is_over() {
            self.detach();
            self.is_over = true;
        }
        Ok(())
    }

    fn fail(&mut self, problem: Problem) {
        let frame = self.reading.projection.failure(problem.kind().code(), problem.detail());
        self.ready.push_back(Told::Frame(frame));
        self.broken = Some(problem);
        self.is_over = true;
    }

    /// Lets the run go on by itself.
    fn detach(&mut self) {
        if let Some(ephemeral) = self.ephemeral.take() {
            ephemeral.detach();
        }
    }
}
