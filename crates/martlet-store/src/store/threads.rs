//! The threads that do the work: one writes, others read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use martlet_core::RunId;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::CommitObserver;
use super::row::Failure;
use super::schema::{self, Beside};
use crate::{StoreError, StoredEvent};

/// Pieces of work that one commit takes together at most.
const BATCH: usize = 512;
/// Pieces of work that wait for a thread; who brings one more waits with it.
const WAITING: usize = 1024;

/// The answer when a thread is gone: it ended in a panic, or the store is being dropped.
fn gone() -> StoreError {
    StoreError::unavailable("the thread of the store has ended: restart the process")
}

/// A transaction that several pieces of work share.
pub(super) struct Commit<'c> {
    pub(super) connection: &'c Connection,
    /// The events that become known with it.
    pub(super) events: Vec<(RunId, StoredEvent)>,
}

/// A piece of work that writes. It may be done again if the transaction of the first time was rolled back.
trait Work: Send {
    /// Does it. An error says that the transaction cannot go on.
    fn perform(&mut self, commit: &mut Commit<'_>) -> Result<(), Failure>;
    /// Tells the caller, after the commit.
    fn done(self: Box<Self>);
    /// Tells the caller that nothing was written.
    fn failed(self: Box<Self>, error: StoreError);
}

struct Task<T, F> {
    work: F,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: FnMut(&mut Commit<'_>) -> Result<T, Failure> + Send,
{
    fn perform(&mut self, commit: &mut Commit<'_>) -> Result<(), Failure> {
        let before = commit.connection.total_changes();
        self.result = Some(match (self.work)(commit) {
            Ok(value) => Ok(value),
            // What changed nothing does not hinder the others of the transaction.
            Err(Failure::Refusal(refusal)) if commit.connection.total_changes() == before => Err(refusal),
            Err(failure) => return Err(failure),
        });
        Ok(())
    }

    fn done(self: Box<Self>) {
        if let Some(result) = self.result {
            // Whoever asked may be gone.
            let _ = self.answer.send(result);
        }
    }

    fn failed(self: Box<Self>, error: StoreError) {
        let _ = self.answer.send(Err(error));
    }
}

/// The thread that writes. Dropping it commits what was sent, and waits for that.
#[derive(Debug)]
pub(super) struct Writer {
    work: Option<mpsc::Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        observer: Option<CommitObserver>,
    ) -> Result<Self, StoreError> {
        let (work, received) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("martlet-store".into())
            .spawn(move || write(connection, received, observer.as_ref()))
            .map_err(StoreError::unavailable)?;
        Ok(Self { work: Some(work), thread: Some(thread) })
    }

    /// Lets the thread write, and waits until that is on the disk.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Commit<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.work.as_ref().ok_or_else(gone)?;
        queue.send(Box::new(Task { work, result: None, answer })).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.work = None;
        join(self.thread.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    // An observer of commits may hold the last handle of the store: a thread cannot wait for itself.
    if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
        // A panic there was reported by the thread itself.
        let _ = thread.join();
    }
}

fn write(
    mut connection: Connection,
    mut work: mpsc::Receiver<Box<dyn Work>>,
    observer: Option<&CommitObserver>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while work.blocking_recv_many(&mut batch, BATCH) > 0 {
        let Err(failure) = commit(&mut connection, &mut batch, observer) else { continue };
        if batch.len() == 1 {
            fail(std::mem::take(&mut batch), failure);
            continue;
        }
        // One of them may be what fails, like a value that is too big for the space that is left: it shall not take the
        // others along.
        for work in batch.drain(..) {
            let mut alone = vec![work];
            if let Err(failure) = commit(&mut connection, &mut alone, observer) {
                fail(alone, failure);
            }
        }
    }
    // The file alone is the whole store then, without its log beside it.
    let _ = connection.pragma_update_and_check(None, "wal_checkpoint", "truncate", |_| Ok(()));
}

/// Tells who waits for the one piece of work that it failed.
fn fail(alone: Vec<Box<dyn Work>>, failure: Failure) {
    let error = StoreError::from(failure);
    tracing::warn!(%error, "the store refused to write");
    if let Some(work) = alone.into_iter().next() {
        work.failed(error);
    }
}

/// Does all work in one transaction and tells those who wait, so that what they are told is on the disk. If that fails,
/// nothing of it was done, and all of it is still in the batch.
fn commit(
    connection: &mut Connection,
    batch: &mut Vec<Box<dyn Work>>,
    observer: Option<&CommitObserver>,
) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut commit = Commit { connection: &transaction, events: Vec::new() };
    for work in batch.iter_mut() {
        work.perform(&mut commit)?;
    }
    let events = commit.events;
    transaction.commit()?;
    if let Some(observer) = observer {
        for (root, event) in &events {
            let told = catch_unwind(AssertUnwindSafe(|| observer(root, event)));
            if told.is_err() {
                tracing::error!(run = %root, seq = event.seq, "the observer of commits panicked");
            }
        }
    }
    batch.drain(..).for_each(Work::done);
    Ok(())
}

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// Threads that read, each with a connection of its own.
#[derive(Debug)]
pub(super) struct Readers {
    questions: Option<mpsc::Sender<Question>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(path: &Path, beside: Beside, threads: usize) -> Result<Self, StoreError> {
        let (questions, received) = mpsc::channel::<Question>(WAITING);
        let received = Arc::new(Mutex::new(received));
        let mut readers = Self { questions: Some(questions), threads: Vec::with_capacity(threads) };
        for _ in 0..threads {
            let connection = schema::open_to_read(path, beside)?;
            let received = received.clone();
            let thread = std::thread::Builder::new()
                .name("martlet-store-reader".into())
                .spawn(move || read(&connection, &received))
                .map_err(StoreError::unavailable)?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Lets a thread read.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            if !answer.is_closed() {
                let _ = answer.send(read(connection).map_err(StoreError::from));
            }
        });
        let queue = self.questions.as_ref().ok_or_else(gone)?;
        queue.send(question).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn read(connection: &Connection, questions: &Mutex<mpsc::Receiver<Question>>) {
    loop {
        let next = questions.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(question) = next else { break };
        question(connection);
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.questions = None;
        self.threads.drain(..).for_each(|thread| join(Some(thread)));
    }
}
