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

/// The answer when there is none: the work panicked, which a bug makes it do and the thread reported.
fn gone() -> StoreError {
    StoreError::unavailable("the store gave no answer: see its log for a panic, and report it")
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
        // A bug in one piece of work is not to end the thread that all others need.
        let performed = catch_unwind(AssertUnwindSafe(|| work.perform(&mut commit)));
        performed.unwrap_or_else(|_| Err(gone().into()))?;
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
        // Whoever asked is told by the answer that is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| question(connection)));
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.questions = None;
        self.threads.drain(..).for_each(|thread| join(Some(thread)));
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::join_all;

    use super::*;

    #[test]
    fn a_bug_in_one_piece_of_work_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("martlet.db");
        let writer = Writer::start(schema::open_to_write(&path).unwrap(), None).unwrap();
        let readers = Readers::start(&path, Beside::Writer, 1).unwrap();
        let count = |connection: &Connection| -> Result<u64, Failure> {
            Ok(connection.query_row("SELECT count(*) FROM roots", [], |row| row.get(0))?)
        };
        let written = join_all((0..9).map(|number| {
            writer.ask(move |commit| {
                let name = format!("r{number}");
                commit.connection.execute("INSERT INTO roots (name) VALUES (?1)", [name])?;
                assert!(number != 4, "on purpose");
                Ok(())
            })
        }));
        for (number, written) in block_on(written).into_iter().enumerate() {
            assert_eq!(written.is_ok(), number != 4, "{number}: {written:?}");
        }
        let none = block_on(readers.ask(|_| -> Result<u64, Failure> { panic!("on purpose") }));
        assert!(none.is_err());
        assert_eq!(block_on(readers.ask(count)).unwrap(), 8);
    }

    #[test]
    fn what_is_refused_half_way_is_undone_and_what_is_refused_at_once_hinders_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("martlet.db");
        let writer = Writer::start(schema::open_to_write(&path).unwrap(), None).unwrap();
        let refused = writer.ask(|commit| -> Result<(), Failure> {
            commit.connection.execute("INSERT INTO roots (name) VALUES ('half')", [])?;
            Err(StoreError::refused("half way").into())
        });
        let (refused, written) = block_on(futures::future::join(
            refused,
            writer.ask(|commit| {
                Ok(commit.connection.execute("INSERT INTO roots (name) VALUES ('whole')", [])?)
            }),
        ));
        assert_eq!(refused.unwrap_err().to_string(), "half way");
        assert_eq!(written.unwrap(), 1);
        let names = block_on(writer.ask(|commit| {
            let mut names = commit.connection.prepare("SELECT name FROM roots")?;
            let names = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
            Ok(names)
        }));
        assert_eq!(names.unwrap(), ["whole"]);
    }
}
