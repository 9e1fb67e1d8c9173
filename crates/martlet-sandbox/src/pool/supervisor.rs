//! The thread beside a worker process: takes jobs, talks to the process, kills it in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use martlet_core::message::Blob;

use super::process::{Death, Process, Silence};
use super::{Done, Event, Job, Shared, Waiting, What, Work};
use crate::error::SandboxError;
use crate::in_process::refused;
use crate::wire::{FromWorker, ToWorker};

/// The time that a worker has to save a program that waits.
const SAVE_TIME: Duration = Duration::from_secs(10);

/// Serves the queue until the pool is closed, or there was nothing to do for long.
pub(super) fn serve(shared: &Arc<Shared>) {
    let mut worker = Worker { shared, process: None };
    // Counted as idle by whoever started this thread.
    while let Some(mut job) = worker.next_job() {
        while let Some(next) = worker.perform(job) {
            job = next;
        }
        shared.lock().idle += 1;
    }
    worker.discard();
}

struct Worker<'a> {
    shared: &'a Shared,
    process: Option<Process>,
}

impl Worker<'_> {
    fn next_job(&mut self) -> Option<Job> {
        let until = Instant::now() + self.shared.config.idle;
        let mut state = self.shared.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !state.closed
                && let Some(job) = state.queue.pop_front()
            {
                state.idle -= 1;
                return Some(job);
            }
            if state.closed || left.is_zero() {
                state.idle -= 1;
                state.workers -= 1;
                return None;
            }
            state = self.shared.wait(state, left);
        }
    }

    /// Does a job. Gives the next one for the same program, if it came while this worker held it.
    fn perform(&mut self, job: Job) -> Option<Job> {
        if job.control.is_stopped() {
            return None;
        }
        let begun = Instant::now();
        if matches!(job.work, Work::Resume { saved: None, .. })
            && !self.process.as_ref().is_some_and(Process::is_alive)
        {
            self.discard();
            lost(job, "the worker that held it died".into());
            return None;
        }
        let mut process = match self.take_process() {
            Ok(process) => process,
            Err(error) => {
                job.fail(error);
                return None;
            }
        };
        if !job.control.run(&process.child) {
            self.process = Some(process);
            return None;
        }
        let Job { program, setup, work, budget, events, control } = job;
        let report = |what| {
            let busy = begun.elapsed();
            // Nobody listens when the session was dropped.
            let _ = events.blocking_send(Event::Done(Done { what, busy }));
        };
        let deadline = Instant::now() + budget;
        let mut last = process.set_up(&setup).and_then(|()| send(&mut process, work)).map_err(Silence::Gone);
        loop {
            let frame = match last {
                Ok(()) => process.receive(deadline),
                Err(silence) => Err(silence),
            };
            last = Ok(());
            if let Ok((FromWorker::Printed { text }, _)) = frame {
                let _ = events.blocking_send(Event::Printed(text));
                continue;
            }
            if !control.finish() {
                // Killed, because nobody waits for the job any more.
                self.process = Some(process);
                self.discard();
                return None;
            }
            let what = match frame {
                Ok((FromWorker::Waiting { wait }, _)) => {
                    self.process = Some(process);
                    self.shared.lock().waiting.insert(program, Waiting::Held);
                    report(Ok(What::Waiting(wait)));
                    return self.hold(program);
                }
                Ok((FromWorker::Ended { mut end, saved, resident_bytes }, session)) => {
                    end.session = saved.then_some(Blob(session));
                    process.programs += 1;
                    let config = &self.shared.config;
                    let worn = process.programs >= config.programs || resident_bytes > config.resident_bytes;
                    self.process = Some(process);
                    if worn {
                        self.discard();
                    }
                    Ok(What::Ended(end))
                }
                Ok((FromWorker::Refused { reason }, _)) => {
                    self.process = Some(process);
                    Err(refused(&reason))
                }
                Ok(_) => Ok(What::Died(self.bury(process, &garbled()))),
                Err(silence) => Ok(What::Died(self.bury(process, &silence))),
            };
            report(what);
            return None;
        }
    }

    /// Keeps a program that waits for a moment, in case its tools are quick and nobody else wants the worker.
    fn hold(&mut self, program: u64) -> Option<Job> {
        let until = Instant::now() + self.shared.config.hold;
        let mut state = self.shared.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Jobs for which no idle worker is there.
            let wanted = state.queue.len() > state.idle;
            match state.waiting.get(&program) {
                Some(Waiting::Called(_)) if !wanted => match state.waiting.remove(&program) {
                    Some(Waiting::Called(job)) => return Some(job),
                    _ => return None,
                },
                Some(Waiting::Held | Waiting::Called(_)) if wanted || left.is_zero() => {
                    drop(state);
                    self.save(program);
                    return None;
                }
                Some(Waiting::Held | Waiting::Called(_)) if !state.closed => {
                    state = self.shared.wait(state, left);
                }
                _ => {
                    drop(state);
                    self.forget();
                    return None;
                }
            }
        }
    }

    /// Takes a program that waits out of the worker.
    fn save(&mut self, program: u64) {
        let Some(mut process) = self.process.take() else { return };
        let answer = process
            .send(&ToWorker::Save, &[])
            .map_err(Silence::Gone)
            .and_then(|()| process.receive(Instant::now() + SAVE_TIME));
        let saved = match answer {
            Ok((FromWorker::Saved, bytes)) => {
                self.process = Some(process);
                Ok(bytes)
            }
            Ok((FromWorker::NotSaved { reason }, _)) => {
                self.process = Some(process);
                Err(reason)
            }
            Ok(_) => {
                let death = self.bury(process, &garbled());
                Err(format!("its worker died: {death:?}"))
            }
            Err(silence) => {
                let death = self.bury(process, &silence);
                Err(format!("its worker died: {death:?}"))
            }
        };
        let mut state = self.shared.lock();
        match (state.waiting.remove(&program), saved) {
            (Some(Waiting::Held), Ok(bytes)) => {
                state.waiting.insert(program, Waiting::Saved(bytes));
            }
            (Some(Waiting::Called(mut job)), Ok(bytes)) => {
                if let Work::Resume { saved, .. } = &mut job.work {
                    *saved = Some(bytes);
                }
                state.queue.push_back(job);
                self.shared.changed.notify_all();
            }
            (Some(Waiting::Held), Err(reason)) => {
                state.waiting.insert(program, Waiting::Lost(reason));
            }
            (Some(Waiting::Called(job)), Err(reason)) => {
                drop(state);
                lost(job, reason);
            }
            // Forgotten meanwhile.
            (_, _) => {}
        }
    }

    /// Drops a program that waits in the worker.
    fn forget(&mut self) {
        if let Some(process) = &mut self.process
            && process.send(&ToWorker::Forget, &[]).is_err()
        {
            self.discard();
        }
    }

    fn take_process(&mut self) -> Result<Process, SandboxError> {
        if let Some(process) = self.process.take() {
            if process.is_alive() {
                return Ok(process);
            }
            self.process = Some(process);
            self.discard();
        }
        let process = Process::start(&self.shared.config)?;
        self.shared.lock().processes.push(process.id);
        Ok(process)
    }

    fn discard(&mut self) {
        if let Some(process) = self.process.take() {
            self.unlist(process.id);
            drop(process);
        }
    }

    fn bury(&self, process: Process, silence: &Silence) -> Death {
        self.unlist(process.id);
        process.post_mortem(silence)
    }

    fn unlist(&self, id: u32) {
        self.shared.lock().processes.retain(|process| *process != id);
    }
}

fn lost(job: Job, reason: String) {
    let what = Ok(What::Lost(reason));
    let _ = job.events.blocking_send(Event::Done(Done { what, busy: Duration::ZERO }));
}

/// The worker said what has no place here.
fn garbled() -> Silence {
    Silence::Gone(std::io::ErrorKind::InvalidData.into())
}

fn send(process: &mut Process, work: Work) -> std::io::Result<()> {
    match work {
        Work::Start { code, session } => {
            let saved = session.is_some();
            process.send(&ToWorker::Start { code, saved }, &session.unwrap_or_default())
        }
        Work::Resume { results, saved: None } => process.send(&ToWorker::Resume { results }, &[]),
        Work::Resume { results, saved: Some(program) } => {
            process.send(&ToWorker::Restore { results }, &program)
        }
    }
}
