//! The thread beside a worker process: takes jobs, talks to the process, kills it in time.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use martlet_core::message::Blob;

use super::process::{Death, Process, Silence};
use super::{Done, Event, Job, Shared, Waiting, What, Work};
use crate::error::{ErrorKind, SandboxError};
use crate::in_process::refused;
use crate::wire::{FromWorker, ToWorker};

/// The time that a worker has to save a program that waits.
const SAVE_TIME: Duration = Duration::from_secs(10);
/// How many frames of printed text are taken after a program's time was over: as many as a full pipe may hold. What
/// prints on and on is not about to end.
const LATE_FRAMES: u32 = 4_096;

/// Serves the queue until the pool is closed, or there was nothing to do for long.
pub(super) fn serve(shared: &Arc<Shared>) {
    let mut worker = Worker::new(shared);
    while let Some(mut job) = worker.next_job() {
        while let Some(next) = worker.perform(job) {
            job = next;
        }
        worker.held = None;
        worker.idle = true;
        shared.lock().idle += 1;
    }
}

/// A place among the pool's workers, and the process that fills it. Dropping it gives the place back, also when its
/// thread panics: a place that leaks would leave later jobs in the queue for ever.
struct Worker<'a> {
    shared: &'a Shared,
    process: Option<Process>,
    /// The process that is listed in the pool's state.
    listed: Option<u32>,
    /// Whether it is counted as a worker, and as an idle one.
    counted: bool,
    idle: bool,
    /// The program that waits in the process.
    held: Option<u64>,
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.discard();
        let mut state = self.shared.lock();
        if let Some(id) = self.listed.take() {
            state.processes.retain(|process| *process != id);
        }
        if self.counted {
            state.workers -= 1;
        }
        if self.idle {
            state.idle -= 1;
        }
        let mut orphans = Vec::new();
        if let Some(program) = self.held.take() {
            let reason = "the worker that held it stopped";
            match state.waiting.remove(&program) {
                Some(Waiting::Held) => {
                    state.waiting.insert(program, Waiting::Lost(reason.to_owned()));
                }
                Some(Waiting::Called(job)) => orphans.push((job, reason)),
                Some(other) => {
                    state.waiting.insert(program, other);
                }
                None => {}
            }
        }
        // Who leaves of his own accord saw the queue empty, or the pool closed; what came since has another worker.
        let last = self.counted && state.workers == 0;
        let failed = if last { mem::take(&mut state.queue) } else { VecDeque::new() };
        drop(state);
        for (job, reason) in orphans {
            lost(job, reason.to_owned());
        }
        for job in failed {
            job.fail(SandboxError::new(
                ErrorKind::Worker,
                "the sandbox's last worker stopped because of a fault in Martlet; run the program again, and please \
                 report it",
            ));
        }
    }
}

impl<'a> Worker<'a> {
    /// Takes a place that was counted, as idle, by whoever started this thread.
    fn new(shared: &'a Shared) -> Self {
        Self { shared, process: None, listed: None, counted: true, idle: true, held: None }
    }

    fn next_job(&mut self) -> Option<Job> {
        let until = Instant::now().checked_add(self.shared.config.idle);
        let mut state = self.shared.lock();
        loop {
            if !state.closed
                && let Some(job) = state.queue.pop_front()
            {
                state.idle -= 1;
                self.idle = false;
                return Some(job);
            }
            let left = left(until);
            if state.closed || left.is_zero() {
                // While the lock is held under which the queue was seen empty: nobody counts on this worker any more.
                state.idle -= 1;
                state.workers -= 1;
                self.idle = false;
                self.counted = false;
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
        let mut last = process.set_up(&setup).and_then(|()| send(&mut process, work)).map_err(Silence::Gone);
        // From here on it is the program's time: neither the start of a process nor a large session counts.
        let begun = Instant::now();
        // Nor does the time in which whoever reads what is printed keeps us from listening.
        let mut kept = Duration::ZERO;
        let mut late = 0;
        let report = |what, kept| {
            let busy = begun.elapsed().saturating_sub(kept);
            // Nobody listens when the session was dropped.
            let _ = events.blocking_send(Event::Done(Done { what, busy }));
        };
        loop {
            let deadline = begun.checked_add(budget.saturating_add(kept));
            let frame = match last {
                Ok(()) if late > LATE_FRAMES => Err(Silence::TimedOut),
                Ok(()) => process.receive(deadline),
                Err(silence) => Err(silence),
            };
            last = Ok(());
            if let Ok((FromWorker::Printed { text }, _)) = frame {
                let arrived = Instant::now();
                late += u32::from(deadline.is_some_and(|deadline| deadline <= arrived));
                let _ = events.blocking_send(Event::Printed(text));
                kept += arrived.elapsed();
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
                    self.held = Some(program);
                    report(Ok(What::Waiting(wait)), kept);
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
            report(what, kept);
            return None;
        }
    }

    /// Keeps a program that waits for a moment, in case its tools are quick and nobody else wants the worker.
    fn hold(&mut self, program: u64) -> Option<Job> {
        let until = Instant::now().checked_add(self.shared.config.hold);
        let mut state = self.shared.lock();
        loop {
            let left = left(until);
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
            .and_then(|()| process.receive(Instant::now().checked_add(SAVE_TIME)));
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
        self.listed = Some(process.id);
        self.shared.lock().processes.push(process.id);
        Ok(process)
    }

    fn discard(&mut self) {
        if let Some(process) = self.process.take() {
            self.unlist(process.id);
            drop(process);
        }
    }

    fn bury(&mut self, process: Process, silence: &Silence) -> Death {
        self.unlist(process.id);
        process.post_mortem(silence)
    }

    fn unlist(&mut self, id: u32) {
        self.listed = None;
        self.shared.lock().processes.retain(|process| *process != id);
    }
}

/// The time until a moment; without one, for ever.
fn left(until: Option<Instant>) -> Duration {
    until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
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
        Work::Start { code, variables, session } => {
            let saved = session.is_some();
            process.send(&ToWorker::Start { code, variables, saved }, &session.unwrap_or_default())
        }
        Work::Resume { results, saved: None } => process.send(&ToWorker::Resume { results }, &[]),
        Work::Resume { results, saved: Some(program) } => {
            process.send(&ToWorker::Restore { results }, &program)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use martlet_core::code::CodeLimits;
    use tokio::sync::mpsc;

    use super::super::{Control, WorkerConfig};
    use super::*;
    use crate::engine::Setup;

    fn job(program: u64) -> (Job, mpsc::Receiver<Event>) {
        let (events, arriving) = mpsc::channel(1);
        let setup = Setup { tools: [].into(), limits: CodeLimits::default(), imports: Vec::new() };
        let work = Work::Start { code: "0".into(), variables: Arc::default(), session: None };
        let control = Arc::new(Control::default());
        (Job { program, setup: Arc::new(setup), work, budget: Duration::ZERO, events, control }, arriving)
    }

    #[test]
    fn a_worker_whose_thread_panics_gives_its_place_back_and_hangs_nobody() {
        let config = WorkerConfig::new("/nowhere");
        let shared = Shared { config, state: Mutex::default(), changed: Condvar::new() };
        let (queued, mut of_queued) = job(1);
        let (called, mut of_called) = job(2);
        {
            let mut state = shared.lock();
            (state.workers, state.idle) = (1, 1);
            state.processes.push(77);
            state.queue.push_back(queued);
            state.waiting.insert(2, Waiting::Called(called));
        }
        let panicked = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let mut worker = Worker::new(&shared);
                worker.listed = Some(77);
                worker.held = Some(2);
                panic!("a test");
            });
            thread.join()
        });
        assert!(panicked.is_err());
        let state = shared.lock();
        assert_eq!((state.workers, state.idle, state.queue.len(), state.processes.len()), (0, 0, 0, 0));
        assert!(state.waiting.is_empty());
        assert!(matches!(of_queued.try_recv(), Ok(Event::Done(Done { what: Err(_), .. }))));
        assert!(matches!(of_called.try_recv(), Ok(Event::Done(Done { what: Ok(What::Lost(_)), .. }))));
    }
}
