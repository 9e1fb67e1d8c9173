//! The embedded model as a [`Model`]: a queue in front of one engine on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use martlet_core::{Delta, ModelFailureKind, ModelProfile, ModelReply, ModelRequest};
use tokio::sync::{mpsc, oneshot};

use super::catalog::CatalogModel;
use super::chat;
use super::engine::{Engine, Limits};
use super::weights::ModelDir;
use crate::error::ModelError;
use crate::model::{BoxFuture, DeltaSink, Model};

/// Requests that wait in the queue itself; more wait for a place in it, in order.
const QUEUE: usize = 64;

/// Pieces of a reply that may wait for their reader; a slower reader gets larger pieces.
const PIECES: usize = 32;

/// A model that runs inside this process, on the processor.
///
/// The weights are loaded once, at the first request. Requests are answered one after the other, first come,
/// first served, by a thread of the model's own; a conversation that goes on is read only from where it was
/// left. Dropping the future of a request takes it out of the queue, or stops the engine within one token.
///
/// It uses all processor cores; the environment variable `CANDLE_NUM_THREADS`, read once, sets another number.
///
/// Without a temperature in the request it writes the most likely text. It neither makes structured tool calls
/// nor enforces schemas: such requests fail at once with [`ModelFailureKind::Request`].
///
/// ```no_run
/// # async fn example() -> Result<(), martlet_model::ModelError> {
/// use martlet_core::Message;
/// use martlet_model::local::LocalModel;
/// use martlet_model::{Model, ModelRequest};
///
/// let model = LocalModel::open("local")?;
/// let request = ModelRequest { messages: vec![Message::user("What is 17 · 3?")], ..ModelRequest::default() };
/// println!("{}", model.generate(request, None).await?.text);
/// # Ok(()) }
/// ```
pub struct LocalModel {
    name: Arc<str>,
    weights: Weights,
    limits: Limits,
    /// Set when the model is dropped.
    closing: Arc<AtomicBool>,
    worker: Mutex<Option<Worker>>,
}

/// Where the weights are.
#[derive(Clone)]
enum Weights {
    File(PathBuf),
    Catalog(&'static CatalogModel, ModelDir),
}

struct Worker {
    queue: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

enum Job {
    Load(oneshot::Sender<Result<(), ModelError>>),
    Answer(Box<Question>),
}

struct Question {
    request: ModelRequest,
    stop: Arc<AtomicBool>,
    pieces: Option<mpsc::Sender<String>>,
    reply: oneshot::Sender<Result<Answer, ModelError>>,
}

struct Answer {
    reply: ModelReply,
    /// How much of the text was sent in pieces.
    sent: usize,
}

impl LocalModel {
    /// The catalogue's model `name` (such as `local` or `local/small`; the `local/` may be left out), or, for
    /// `local`, the file that `MARTLET_MODEL_PATH` names. Nothing is loaded yet.
    ///
    /// # Errors
    /// There is no such model, or no directory for models can be found.
    pub fn open(name: &str) -> Result<Self, ModelError> {
        let model = super::catalog::find(name)?;
        if model.is_default()
            && let Some(path) = super::weights::path_from_env()
        {
            return Ok(Self::from_path(path));
        }
        Ok(Self::from_catalog(model, ModelDir::from_env()?))
    }

    /// A model of the catalogue whose weights are in `dir`. Nothing is loaded yet.
    pub fn from_catalog(model: &'static CatalogModel, dir: ModelDir) -> Self {
        Self::new(model.name.into(), Weights::Catalog(model, dir))
    }

    /// The GGUF file at `path`: a qwen2 or llama model that speaks ChatML. Nothing is loaded yet.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy());
        Self::new(format!("local/{name}").into(), Weights::File(path))
    }

    fn new(name: Arc<str>, weights: Weights) -> Self {
        Self {
            name,
            weights,
            limits: Limits { context: 8192, cache: 512 << 20 },
            closing: Arc::default(),
            worker: Mutex::default(),
        }
    }

    /// Sets how many tokens a conversation may have, the reply included (default: 8192). More than the model
    /// was made for is never used. The larger model of the catalogue needs 57 kB for each token.
    #[must_use]
    pub fn context(mut self, tokens: usize) -> Self {
        self.limits.context = tokens;
        self
    }

    /// Sets how many bytes are kept for remembering conversations that may go on (default: 512 MiB). The last
    /// one is always remembered.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.limits.cache = bytes;
        self
    }

    /// Loads the weights now, if they are not loaded.
    ///
    /// # Errors
    /// The weights are not there, damaged, or of a kind that the engine cannot run.
    pub async fn load(&self) -> Result<(), ModelError> {
        let (done, loaded) = oneshot::channel();
        self.enqueue(Job::Load(done)).await?;
        loaded.await.map_err(|_| stopped())?
    }

    async fn enqueue(&self, mut job: Job) -> Result<(), ModelError> {
        while let Some((queue, unsent)) = self.queue(job)? {
            match queue.send(unsent).await {
                Ok(()) => break,
                // The worker could not load the weights and ended meanwhile. The next one has this job from the
                // start, so it is answered in any case.
                Err(mpsc::error::SendError(unsent)) => job = unsent,
            }
        }
        Ok(())
    }

    /// The queue of the running worker and the job for it. If there is none, one is started with the job.
    fn queue(&self, job: Job) -> Result<Option<(mpsc::Sender<Job>, Job)>, ModelError> {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*worker
            && !running.queue.is_closed()
        {
            return Ok(Some((running.queue.clone(), job)));
        }
        if let Some(ended) = worker.take() {
            // It could not load the weights. They may be there by now.
            drop(ended.queue);
            let _ = ended.thread.join();
        }
        let (queue, jobs) = mpsc::channel(QUEUE);
        queue.try_send(job).map_err(|_| stopped())?;
        let (name, weights, limits) = (Arc::clone(&self.name), self.weights.clone(), self.limits);
        let closing = Arc::clone(&self.closing);
        let thread = std::thread::Builder::new()
            .name("martlet-engine".to_owned())
            .spawn(move || work(jobs, name, &weights, limits, &closing))
            .map_err(|error| {
                ModelError::new(ModelFailureKind::Local, "the embedded model's thread could not be started")
                    .with_source(error)
            })?;
        *worker = Some(Worker { queue, thread });
        Ok(None)
    }

    async fn answer(
        &self,
        request: ModelRequest,
        deltas: Option<&DeltaSink>,
    ) -> Result<ModelReply, ModelError> {
        chat::check(&request)?;
        let stop = StopOnDrop(Arc::default());
        let (reply, mut answer) = oneshot::channel();
        let (piece_sender, mut pieces) = mpsc::channel(PIECES);
        let question =
            Question { request, stop: Arc::clone(&stop.0), pieces: deltas.map(|_| piece_sender), reply };
        self.enqueue(Job::Answer(Box::new(question))).await?;

        let show = |text: String| {
            if let Some(deltas) = deltas {
                deltas.send(Delta::Text { text });
            }
        };
        let mut open = true;
        let answer = loop {
            tokio::select! {
                biased;
                piece = pieces.recv(), if open => match piece {
                    Some(piece) => show(piece),
                    None => open = false,
                },
                answer = &mut answer => break answer,
            }
        };
        while let Ok(piece) = pieces.try_recv() {
            show(piece);
        }
        let Answer { reply, sent } = answer.map_err(|_| stopped())??;
        if let Some(rest) = reply.text.get(sent..)
            && !rest.is_empty()
        {
            show(rest.to_owned());
        }
        Ok(reply)
    }
}

impl Model for LocalModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn profile(&self) -> ModelProfile {
        ModelProfile {
            small: true,
            prefill: true,
            native_tools: false,
            vision: false,
            context_tokens: u32::try_from(self.limits.context).ok(),
        }
    }

    fn generate<'a>(
        &'a self,
        request: ModelRequest,
        deltas: Option<&'a DeltaSink>,
    ) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        Box::pin(self.answer(request, deltas))
    }
}

impl std::fmt::Debug for LocalModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalModel")
            .field("name", &self.name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Drop for LocalModel {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        let worker = self.worker.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Worker { queue, thread }) = worker {
            drop(queue);
            // No request is left, since each one borrows the model: the thread is idle, or ends after a layer.
            let _ = thread.join();
        }
    }
}

/// Stops the engine when the future of a request is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn stopped() -> ModelError {
    ModelError::new(ModelFailureKind::Local, "the embedded model stopped before it answered; try again")
}

/// The thread's whole life.
fn work(
    mut jobs: mpsc::Receiver<Job>,
    name: Arc<str>,
    weights: &Weights,
    limits: Limits,
    closing: &AtomicBool,
) {
    let load = || Engine::load(name, &weights.find()?, limits, closing);
    let loaded = catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| Err(panicked()));
    let mut engine = match loaded {
        Ok(engine) => engine,
        Err(error) => return refuse(jobs, error),
    };
    while let Some(job) = jobs.blocking_recv() {
        match job {
            Job::Load(done) => {
                // Whoever asked may have gone.
                let _ = done.send(Ok(()));
            }
            Job::Answer(question) => answer(&mut engine, *question),
        }
    }
}

impl Weights {
    fn find(&self) -> Result<PathBuf, ModelError> {
        match self {
            Self::File(path) => Ok(path.clone()),
            Self::Catalog(model, dir) => dir.find(model),
        }
    }
}

/// Answers everything in the queue with `error`, which is not to be had twice: the first job gets it whole.
fn refuse(mut jobs: mpsc::Receiver<Job>, error: ModelError) {
    jobs.close();
    let failure = error.to_failure();
    let mut error = Some(error);
    while let Some(job) = jobs.blocking_recv() {
        let error = error.take().unwrap_or_else(|| failure.clone().into());
        match job {
            Job::Load(done) => drop(done.send(Err(error))),
            Job::Answer(question) => drop(question.reply.send(Err(error))),
        }
    }
}

fn answer(engine: &mut Engine, question: Question) {
    let Question { request, stop, pieces, reply } = question;
    if stop.load(Ordering::Relaxed) {
        return;
    }
    let mut sent = 0;
    let mut show = |text: &str| {
        if let Some(pieces) = &pieces
            && let Some(more) = text.get(sent..)
            && !more.is_empty()
            && pieces.try_send(more.to_owned()).is_ok()
        {
            sent = text.len();
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| engine.answer(&request, &stop, &mut show)));
    let answer = match outcome {
        Ok(Ok(Some(reply))) => Ok(Answer { reply, sent }),
        Ok(Ok(None)) => return,
        Ok(Err(error)) => Err(error),
        Err(_) => {
            engine.forget();
            Err(panicked())
        }
    };
    // Whoever asked may have gone.
    let _ = reply.send(answer);
}

fn panicked() -> ModelError {
    ModelError::new(
        ModelFailureKind::Local,
        "the embedded engine met a defect of its own; please report it with the lines above, or choose another model",
    )
}
