//! Driving one run: from its start, or from where it was left, to its end or to the next question.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use martlet::{GraphRunError, Part, RunError, RunRequest, Update};
use martlet_core::run::StopReason;
use martlet_core::{GraphResult, RunId, RunResult, RunStatus, Task, Usage};
use martlet_store::{Journal, RunEnd, RunRow, RunState, StoreError, StoreErrorKind};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::request::{Offered, RunInput, RunSpec, unknown_run};
use super::{Live, Service, lock};
use crate::catalog::OfferedAgent;
use crate::clock;
use crate::hub::Frame;
use crate::metrics::ModelCall;

/// The images that models look at. All else is a file, of which they are told.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// How driving a run went.
enum Drove {
    Ended(RunEnd),
    /// It waits for people.
    Parked,
    /// What it did could not be stored.
    Stalled,
    /// The server ends.
    Left,
}

impl Service {
    /// Drives a run on a task of its own.
    pub(super) fn start(&self, run: RunId) {
        let (stop, stopped) = watch::channel(false);
        {
            let mut live = lock(&self.0.live);
            if live.contains_key(&run) {
                return;
            }
            live.insert(run.clone(), Live { stop, answered: false });
        }
        let service = self.clone();
        self.0.tasks.spawn(async move {
            let stored = lock(&service.0.intake).remove(&run);
            let row = match stored {
                None => service.0.store.run(&run).await,
                Some(stored) => match stored.await {
                    Ok(row) => Ok(Some(row)),
                    Err(_) => {
                        // It was not taken in after all.
                        let mut live = lock(&service.0.live);
                        live.remove(&run);
                        lock(&service.0.admission).ended(&run, clock::now_ms());
                        service.0.schedule.notify_one();
                        return;
                    }
                },
            };
            service.drive(&run, row, stopped).await;
            service.0.schedule.notify_one();
        });
    }

    async fn drive(
        &self,
        run: &RunId,
        row: Result<Option<RunRow>, StoreError>,
        stopped: watch::Receiver<bool>,
    ) {
        let began_ms = clock::now_ms();
        let drove = match row {
            Ok(Some(mut row)) if row.state != RunState::Ended => {
                let attendance = RunSpec::of(&row).map(|spec| spec.attendance).unwrap_or_default();
                self.0.desk.opened(run, &row.owner, attendance);
                // Tools contain their panics; what is left is a model or a catalogue.
                let driving = AssertUnwindSafe(self.drive_row(&row, stopped)).catch_unwind();
                let drove = driving.await.unwrap_or_else(|_panic| {
                    failed("the run stopped at a panic, which the log of the server tells of".into())
                });
                row.started_ms.get_or_insert(began_ms);
                self.0.desk.closed(run);
                match drove {
                    Drove::Ended(end) => self.end(&row, end).await,
                    Drove::Parked if self.0.desk.take_unasked(run) => Drove::Stalled,
                    Drove::Parked => match self.state(run, RunState::Waiting).await {
                        Ok(()) => Drove::Parked,
                        Err(_) => Drove::Stalled,
                    },
                    other => other,
                }
            }
            // It is not there, or was ended in the meantime.
            Ok(_) => ended_unbegun(),
            Err(error) => {
                drop(self.storage(&error));
                Drove::Stalled
            }
        };
        let now_ms = clock::now_ms();
        // Held until the scheduler knows, so that an answer finds the run either here or there.
        let mut all_live = lock(&self.0.live);
        let live = all_live.remove(run);
        let mut admission = lock(&self.0.admission);
        match drove {
            Drove::Ended(_) => admission.ended(run, now_ms),
            Drove::Left => {}
            Drove::Parked => {
                admission.parked(run, now_ms);
                // An answer came while the run was being given up, or somebody wants it to end.
                if live.is_some_and(|live| live.answered || *live.stop.borrow()) {
                    admission.woken(run, now_ms);
                }
            }
            Drove::Stalled => {
                admission.parked(run, now_ms);
                lock(&self.0.stalled).entry(run.clone()).or_default().again(now_ms);
                return;
            }
        }
        lock(&self.0.stalled).remove(run);
    }

    /// Stores the end of a run and tells those who watch it.
    async fn end(&self, row: &RunRow, end: RunEnd) -> Drove {
        let outcome = end.outcome.clone();
        if let Err(error) = self.0.store.end_run(&row.id, end.clone()).await {
            drop(self.storage(&error));
            return Drove::Stalled;
        }
        self.0.metrics.ended(row, &outcome, clock::now_ms());
        self.show_state(&row.id, RunState::Ended, Some(&outcome));
        Drove::Ended(end)
    }

    /// Stores where a run stands and tells those who watch it.
    async fn state(&self, run: &RunId, state: RunState) -> Result<(), StoreError> {
        let stored = self.0.store.set_state(run, state, clock::now_ms()).await;
        match stored {
            Ok(_) => self.show_state(run, state, None),
            Err(error) => {
                drop(self.storage(&error));
                return Err(error);
            }
        }
        Ok(())
    }

    fn show_state(&self, run: &RunId, state: RunState, outcome: Option<&str>) {
        let data = json!({"state": state, "outcome": outcome});
        self.0.hub.show(run, || Frame::Passing { name: "state", data: Bytes::from(data.to_string()) });
    }

    async fn drive_row(&self, row: &RunRow, stopped: watch::Receiver<bool>) -> Drove {
        // Its first event is committed with its first record.
        let fresh = row.last_event == 0;
        if fresh && (row.cancel || *stopped.borrow()) {
            return ended_unbegun();
        }
        let spec = match RunSpec::of(row) {
            Ok(spec) => spec,
            Err(problem) => return failed(problem.to_string()),
        };
        let Some(offered) = self.offered(row.kind, &row.name) else {
            return if row.cancel { ended_unbegun() } else { failed(unknown_run(&row.id)) };
        };
        if self.state(&row.id, RunState::Running).await.is_err() {
            return Drove::Stalled;
        }
        if fresh {
            self.0.metrics.started(row, clock::now_ms());
        }
        let stop = asked(stopped, row.cancel);
        match offered {
            Offered::Agent(offered) => {
                let request = match self.agent_request(row, &spec, offered, fresh).await {
                    Ok(request) => request,
                    Err(drove) => return drove,
                };
                let request = match limit(offered.timeout, &spec) {
                    Some(timeout) => request.timeout(timeout),
                    None => request,
                };
                let run = request
                    .user(row.owner.user.clone())
                    .journal(self.0.journal.clone())
                    .approver(Arc::new(self.0.desk.clone()))
                    .on_stream(self.stream(&row.id))
                    .on_model_call(self.count_model_calls())
                    .park()
                    .until(stop);
                match self.unless_left(run, spec.blocking).await {
                    Some(result) => self.of_agent(result),
                    None => Drove::Left,
                }
            }
            Offered::Workflow(offered) => {
                let request = match fresh {
                    true => offered
                        .graph
                        .run(state_of(spec.input.clone()))
                        .id(row.id.clone())
                        .without_tools(spec.without_tools.iter().map(String::as_str)),
                    false => offered.graph.resume(row.id.clone()),
                };
                let request = match limit(offered.timeout, &spec) {
                    Some(timeout) => request.timeout(timeout),
                    None => request,
                };
                let run = request
                    .user(row.owner.user.clone())
                    .journal(self.0.journal.clone())
                    .approver(Arc::new(self.0.desk.clone()))
                    .on_stream(self.stream(&row.id))
                    .on_model_call(self.count_model_calls())
                    .park()
                    .until(stop);
                match self.unless_left(run, spec.blocking).await {
                    Some(result) => self.of_workflow(result),
                    None => Drove::Left,
                }
            }
        }
    }

    /// The run of an agent, with the memory of its session and its files.
    async fn agent_request(
        &self,
        row: &RunRow,
        spec: &RunSpec,
        offered: &OfferedAgent,
        fresh: bool,
    ) -> Result<RunRequest, Drove> {
        let agent = &offered.agent;
        if !fresh {
            return Ok(agent.resume(row.id.clone()));
        }
        let journal: Arc<dyn Journal> = Arc::new(self.0.store.clone());
        if let Some(fork) = &row.forked_from {
            return match agent.fork(journal, &fork.run, fork.step, row.id.clone()).await {
                Ok(()) => Ok(agent.resume(row.id.clone())),
                Err(RunError::Journal(error)) => Err(self.stalled_or_failed(error)),
                Err(error) => Err(failed(error.to_string())),
            };
        }
        let mut task = match &spec.input {
            RunInput::Task(text) => Task::new(text.as_str()),
            RunInput::Input(input) => agent.spec().task(input).map_err(|error| failed(error.to_string()))?,
        };
        let agent = &agent.adjusted(&spec.adjustment).map_err(|error| failed(error.to_string()))?;
        task.history.clone_from(&spec.history);
        task.without_summary = !spec.history.is_empty();
        if let Some(run) = &spec.continues {
            let before = self.memory_of_run(run).await?;
            let gone =
                || failed(format!("the run {run}, which this one goes on with, is not there any more"));
            let before = before.ok_or_else(gone)?;
            task.history.splice(..0, before.conversation);
            task.without_summary = false;
            task.python = before.python;
        } else if let Some(before) = self.memory_of(row).await? {
            task.history = before.conversation;
            task.without_summary = false;
            task.python = before.python;
        }
        for id in &spec.files {
            let owned = self.0.store.of(&row.owner);
            let found = async { Ok((owned.file(id).await?, owned.file_data(id).await?)) };
            let (Some(file), Some(data)) = found.await.map_err(|error| self.stalled_or_failed(error))? else {
                return Err(failed(format!("the file {id} was deleted before the run began")));
            };
            let kind = file.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            task.parts.push(match IMAGES.contains(&kind.as_str()) {
                true => Part::image(kind, data),
                false => Part::file(file.name, file.media_type, data),
            });
        }
        task.max_steps = spec.max_steps;
        task.without_tools = spec.without_tools.clone().into();
        Ok(agent.run_task(task).id(row.id.clone()))
    }

    /// The last run of the session that is remembered.
    async fn memory_of(&self, row: &RunRow) -> Result<Option<RunResult>, Drove> {
        let Some(session) = &row.session else { return Ok(None) };
        let session = self.0.store.of(&row.owner).session(session).await;
        let Some(run) =
            session.map_err(|error| self.stalled_or_failed(error))?.and_then(|row| row.memory_run)
        else {
            return Ok(None);
        };
        self.memory_of_run(&run).await
    }

    /// What a run that has ended leaves to the next one.
    async fn memory_of_run(&self, run: &RunId) -> Result<Option<RunResult>, Drove> {
        let before = self.0.store.run(run).await.map_err(|error| self.stalled_or_failed(error))?;
        let Some(Offered::Agent(offered)) = before.and_then(|before| self.offered(before.kind, &before.name))
        else {
            return Ok(None);
        };
        // It has ended, so this reads its records and does nothing else.
        match offered.agent.resume(run.clone()).journal(Arc::new(self.0.store.clone())).await {
            Ok(result) => Ok(Some(result)),
            Err(RunError::Journal(error)) => Err(self.stalled_or_failed(error)),
            Err(error) => Err(failed(format!("what was said before cannot be read: {error}"))),
        }
    }

    /// Awaits a run unless the server ends before; on the blocking pool if that is asked for.
    async fn unless_left<T: Send + 'static>(
        &self,
        run: impl Future<Output = T> + Send + 'static,
        blocking: bool,
    ) -> Option<T> {
        let left = self.0.stop.clone();
        let run = async move {
            tokio::select! {
                biased;
                result = run => Some(result),
                () = left.cancelled() => None,
            }
        };
        if !blocking {
            return run.await;
        }
        let runtime = tokio::runtime::Handle::current();
        match tokio::task::spawn_blocking(move || runtime.block_on(run)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime is being shut down.
            Err(_) => None,
        }
    }

    /// Shows what streams to those who watch the run.
    fn stream(&self, run: &RunId) -> impl Fn(&Update) + Send + Sync + 'static {
        let (hub, run) = (self.0.hub.clone(), run.clone());
        move |update| {
            hub.show(&run, || {
                let data = serde_json::to_vec(update).unwrap_or_default();
                Frame::Passing { name: "stream", data: Bytes::from(data) }
            });
        }
    }

    /// Notes how calls of models went.
    fn count_model_calls(&self) -> impl Fn(&martlet::ModelCall<'_>) + Send + Sync + 'static {
        let metrics = self.0.metrics.clone();
        move |call| {
            metrics.model_call(ModelCall {
                model: call.model,
                failure: call.result.err().map(|error| error.to_failure().kind),
                first_token: call.first_piece,
                usage: call.result.map(|reply| reply.usage).unwrap_or_default(),
            });
        }
    }

    fn of_agent(&self, result: Result<RunResult, RunError>) -> Drove {
        let (result, error) = match result {
            Ok(result) => {
                let error = result.failure.as_ref().map(ToString::to_string);
                (result, error)
            }
            Err(RunError::Failed { failure, result }) => (*result, Some(failure.to_string())),
            Err(RunError::Parked) => return Drove::Parked,
            Err(RunError::Journal(error)) => return self.stalled_or_failed(error),
            Err(error) => return failed(error.to_string()),
        };
        let remember = matches!(result.status, RunStatus::Succeeded | RunStatus::StepLimit);
        Drove::Ended(RunEnd {
            outcome: word(&result.status),
            answer: result.output,
            error,
            usage: result.usage,
            ended_ms: clock::now_ms(),
            remember,
        })
    }

    fn of_workflow(&self, result: Result<GraphResult, GraphRunError>) -> Drove {
        let (result, error) = match result {
            Ok(result) => (result, None),
            Err(GraphRunError::Failed { failure, result }) => (*result, Some(failure.to_string())),
            Err(GraphRunError::Parked) => return Drove::Parked,
            Err(GraphRunError::Journal(error)) => return self.stalled_or_failed(error),
            Err(error) => return failed(error.to_string()),
        };
        Drove::Ended(RunEnd {
            outcome: word(&result.status),
            answer: result.output,
            error,
            usage: result.usage,
            ended_ms: clock::now_ms(),
            remember: false,
        })
    }

    /// Storage that may work again is waited for; all else ends the run.
    fn stalled_or_failed(&self, error: StoreError) -> Drove {
        match error.kind() {
            StoreErrorKind::Full | StoreErrorKind::Unavailable => {
                drop(self.storage(&error));
                Drove::Stalled
            }
            _ => failed(error.to_string()),
        }
    }
}

/// Ready when somebody wants the run to end.
async fn asked(mut stopped: watch::Receiver<bool>, already: bool) -> StopReason {
    if !already && stopped.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
    StopReason::Cancelled
}

/// The shorter of two limits.
fn limit(offered: Option<Duration>, spec: &RunSpec) -> Option<Duration> {
    let asked = spec.timeout_ms.map(Duration::from_millis);
    offered.into_iter().chain(asked).min()
}

/// The end of a run that was cancelled and has nothing to show: it had not begun, or cannot go on.
fn ended_unbegun() -> Drove {
    Drove::Ended(RunEnd {
        outcome: "cancelled".into(),
        answer: Value::Null,
        error: None,
        usage: Usage::default(),
        ended_ms: clock::now_ms(),
        remember: false,
    })
}

fn failed(error: String) -> Drove {
    Drove::Ended(RunEnd {
        outcome: "failed".into(),
        answer: Value::Null,
        error: Some(error),
        usage: Usage::default(),
        ended_ms: clock::now_ms(),
        remember: false,
    })
}

/// The state with which a workflow begins.
fn state_of(input: RunInput) -> Value {
    match input {
        RunInput::Input(state) => state,
        RunInput::Task(text) => json!({ "task": text }),
    }
}

/// A status as the word with which it is written.
fn word(status: &impl Serialize) -> String {
    match serde_json::to_value(status) {
        Ok(Value::String(word)) => word,
        _ => "ended".into(),
    }
}
