//! The local driver: performs the effects of one run, as one future.
//!
//! Whatever the run asks for at the same time is performed at the same time. An outcome is recorded before it is
//! settled, and settled before it is shown. Dropping the future drops every effect: sockets close, tools stop,
//! Python ends.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use futures::future::{AbortHandle, Abortable, Aborted, BoxFuture};
use futures::stream::FuturesUnordered;
use martlet_core::code::{CodeOutcome, CodeRequest};
use martlet_core::run::StopReason;
use martlet_core::{
    Effect, EffectId, HostFailure, Outcome, Run, RunResult, RunStatus, Settlement, Timing, ToolFailure,
    ToolFailureKind,
};
use martlet_model::DeltaSink;
use martlet_sandbox::Session;
use martlet_store::Journal;
use martlet_tools::ToolContext;

use crate::agent::Parts;
use crate::error::RunError;
use crate::observe::{Bus, Update};
use crate::record::JournalRecord;

/// How one run is driven.
pub(crate) struct Driver {
    pub(crate) parts: Arc<Parts>,
    pub(crate) bus: Option<Arc<Bus>>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) deadline: Option<Duration>,
    /// The number of the next record of the journal.
    pub(crate) next_record: u64,
}

/// What a performed effect gives back.
struct Performed {
    id: EffectId,
    outcome: Outcome,
    timing: Timing,
    /// The Python session, which travels with the effect that uses it.
    session: Option<Box<dyn Session>>,
}

type Performing<'a> = Abortable<BoxFuture<'a, Performed>>;

impl Driver {
    /// Drives `run` to its end. `stop` ends it from outside.
    ///
    /// # Errors
    /// [`RunError::Failed`] when the model or the machine failed, [`RunError::Journal`] when an outcome could not
    /// be recorded.
    pub(crate) async fn drive(
        mut self,
        mut run: Run,
        stop: impl Future<Output = StopReason> + Send,
    ) -> Result<RunResult, RunError> {
        let parts = self.parts.clone();
        let bus = self.bus.clone();
        let user = self.user.clone();
        let mut session: Option<Box<dyn Session>> = None;
        let mut performing: FuturesUnordered<Performing<'_>> = FuturesUnordered::new();
        let mut aborts: Vec<(EffectId, AbortHandle)> = Vec::new();
        let deadline = self.deadline;
        let expiry = async move {
            match deadline {
                Some(deadline) => tokio::time::sleep(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(stop, expiry);
        loop {
            let events = run.take_events();
            if let Some(bus) = &bus {
                bus.events(events);
            }
            for abandoned in run.take_abandoned() {
                if let Some(place) = aborts.iter().position(|(id, _)| *id == abandoned) {
                    aborts.swap_remove(place).1.abort();
                }
            }
            for (id, effect) in run.take_effects() {
                let held = if matches!(effect, Effect::Code { .. }) { session.take() } else { None };
                let perform = perform(&parts, bus.as_ref(), user.as_ref(), id.clone(), effect, held);
                let (abort, registration) = AbortHandle::new_pair();
                let future: BoxFuture<'_, Performed> = Box::pin(perform);
                performing.push(Abortable::new(future, registration));
                aborts.push((id, abort));
            }
            if performing.is_empty() || matches!(run.status(), martlet_core::Status::Finished(_)) {
                break;
            }
            let performed = tokio::select! {
                biased;
                reason = &mut stop => {
                    self.stop(&mut run, reason).await?;
                    continue;
                }
                () = &mut expiry => {
                    self.stop(&mut run, StopReason::TimedOut).await?;
                    continue;
                }
                performed = performing.next() => performed,
            };
            let Performed { id, outcome, timing, session: returned } = match performed {
                Some(Ok(performed)) => performed,
                Some(Err(Aborted)) => continue,
                None => break,
            };
            if returned.is_some() {
                session = returned;
            }
            let Some(place) = aborts.iter().position(|(open, _)| *open == id) else {
                // Abandoned in the moment in which it was done.
                continue;
            };
            aborts.swap_remove(place);
            let settlement = Settlement { id, outcome, timing };
            if let Some(journal) = &parts.journal {
                let record = JournalRecord::Settled { settlement: std::borrow::Cow::Borrowed(&settlement) };
                self.record(journal.as_ref(), &run, &record).await?;
            }
            // The run asked for it and was not told yet, so it takes it.
            if let Err(error) = run.settle(settlement) {
                tracing::error!(run = %run.id(), %error, "an outcome was not taken");
            }
        }
        drop(performing);
        if let Some(bus) = &bus {
            bus.events(run.take_events());
        }
        finish(run)
    }

    async fn stop(&mut self, run: &mut Run, reason: StopReason) -> Result<(), RunError> {
        let at_ms = now_ms();
        if let Some(journal) = self.parts.journal.clone() {
            self.record(journal.as_ref(), run, &JournalRecord::Stopped { reason, at_ms }).await?;
        }
        run.stop(reason, at_ms);
        Ok(())
    }

    pub(crate) async fn record(
        &mut self,
        journal: &dyn Journal,
        run: &Run,
        record: &JournalRecord<'_>,
    ) -> Result<(), RunError> {
        let bytes = record.to_bytes().map_err(|error| RunError::Resume(error.to_string()))?;
        journal.append(run.id(), self.next_record, bytes.into()).await?;
        self.next_record += 1;
        Ok(())
    }
}

fn finish(run: Run) -> Result<RunResult, RunError> {
    let Some(result) = run.into_result() else { return Err(RunError::DriverGone) };
    match (&result.status, &result.failure) {
        (RunStatus::Failed, Some(failure)) => {
            Err(RunError::Failed { failure: failure.clone(), result: Box::new(result) })
        }
        _ => Ok(result),
    }
}

async fn perform(
    parts: &Parts,
    bus: Option<&Arc<Bus>>,
    user: Option<&Arc<str>>,
    id: EffectId,
    effect: Effect,
    mut session: Option<Box<dyn Session>>,
) -> Performed {
    let started_ms = now_ms();
    let clock = Instant::now();
    let outcome = match effect {
        Effect::Model { request } => {
            let deltas = bus.map(|bus| delta_sink(bus.clone(), id.step));
            let reply = parts.model.generate(request, deltas.as_ref()).await;
            Outcome::Model { result: reply.map_err(|error| error.to_failure()) }
        }
        Effect::Tool { name, arguments } => {
            let mut cx = ToolContext::for_effect(&id);
            if let Some(user) = user {
                cx = cx.with_user(user.clone());
            }
            Outcome::Tool { result: parts.tools.call(&name, arguments, &cx).await }
        }
        Effect::Approve { name, arguments } => {
            let approver: &dyn crate::approve::Approver =
                parts.approver.as_deref().unwrap_or(&crate::approve::DenyAll);
            Outcome::Approve { decision: approver.decide(&id, &name, &arguments).await }
        }
        Effect::Code { request } => run_code(parts, bus, id.step, request, &mut session).await,
        Effect::Check { answer } => Outcome::Check { problem: check(parts, answer).await },
        other => Outcome::Tool {
            result: Err(ToolFailure::new(
                ToolFailureKind::Failed,
                format!("this driver cannot perform {other:?}: update Martlet"),
            )),
        },
    };
    let elapsed_us = u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX);
    Performed { id, outcome, timing: Timing { started_ms, elapsed_us }, session }
}

async fn run_code(
    parts: &Parts,
    bus: Option<&Arc<Bus>>,
    step: u32,
    request: CodeRequest,
    session: &mut Option<Box<dyn Session>>,
) -> Outcome {
    let Some(python) = &parts.python else {
        let message = "this agent has no sandbox for Python".to_owned();
        return Outcome::Code { result: Err(HostFailure { message }) };
    };
    let session = session.get_or_insert_with(|| python.sandbox.open(python.options.clone()));
    let result: Result<CodeOutcome, _> = match bus {
        None => session.perform(request, None).await,
        Some(bus) => {
            let print = |text: &str| bus.stream(Update::Printed { step, text: text.to_owned() });
            session.perform(request, Some(&print)).await
        }
    };
    Outcome::Code { result: result.map_err(|error| HostFailure { message: error.to_string() }) }
}

async fn check(parts: &Parts, answer: serde_json::Value) -> Option<String> {
    for check in &parts.checks {
        if let Err(problem) = check(answer.clone()).await {
            return Some(problem);
        }
    }
    None
}

fn delta_sink(bus: Arc<Bus>, step: u32) -> DeltaSink {
    DeltaSink::new(move |delta| bus.stream(Update::Delta { step, delta }))
}

/// The time of this machine, in milliseconds since 1970-01-01 UTC.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
