//! The runs of a server: taken in, queued, driven, given up while they wait for people, brought back after a crash.

mod drive;
mod read;
mod recorder;
mod request;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use martlet::tools::AskUser;
use martlet_core::{Principal, RunId};
use martlet_store::{
    Answer, ApprovalKind, ApprovalRow, ApprovalState, Created, Decided, Fork, Journal, NewRun, RunKind,
    RunRow, RunState, Store, StoreError, StoreErrorKind, StoreOptions, ValueId,
};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{
    Admission, Allowance, InvalidLimits, Limits, Load, Offer, Place, RefusalKind, Standing,
};
use crate::catalog::Catalog;
use crate::clock;
use crate::desk::Desk;
use crate::hub::{Frame, Hub, Watch};
use crate::ids::random_bits;
use crate::metrics::Metrics;
use crate::problem::{Problem, ProblemKind};

use recorder::Recorder;
use request::Checked;
pub(crate) use request::RunSpec;
pub use request::{Attendance, NewTask, RunInput};

/// So often the server looks for questions whose time is over, and for storage that works again.
const ROUND: Duration = Duration::from_secs(2);

/// What a server is told besides what it offers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// How many runs there may be.
    pub limits: Limits,
    /// How long a question waits for a person; then it is answered with no. Default: 24 hours.
    pub approval_expiry: Duration,
    /// For how long ended runs are kept. Default: for ever.
    pub keep: Option<Duration>,
    /// How long runs may go on after the server was asked to end. What they have not done then, they do after the next
    /// start. Default: 8 seconds.
    pub grace: Duration,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            approval_expiry: Duration::from_secs(24 * 60 * 60),
            keep: None,
            grace: Duration::from_secs(8),
        }
    }
}

/// The runs of a server. Cheap to clone; HTTP is one way to use it.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    store: Store,
    /// The store as the journal of runs.
    journal: Arc<dyn Journal>,
    catalog: Catalog,
    options: ServiceOptions,
    hub: Hub,
    desk: Desk,
    metrics: Metrics,
    admission: Mutex<Admission>,
    /// Slots may have become free, or runs may have been added.
    schedule: Notify,
    /// The runs that are under way.
    live: Mutex<HashMap<RunId, Live>>,
    /// Runs that are admitted and not yet stored: they start when they are.
    intake: Mutex<HashMap<RunId, oneshot::Receiver<RunRow>>>,
    /// Runs that could not go on because the storage failed.
    stalled: Mutex<HashMap<RunId, Stalled>>,
    storage_failed: AtomicBool,
    draining: CancellationToken,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// A run that could not go on.
#[derive(Debug, Default)]
struct Stalled {
    tries: u32,
    /// When it may try again; nothing while it does.
    next_ms: Option<u64>,
}

impl Stalled {
    /// After 2 s, 4 s, and so on up to about 4 minutes: what it does not get stored it does again, and that may cost.
    fn again(&mut self, now_ms: u64) {
        self.next_ms = Some(now_ms.saturating_add(2_000 << self.tries.min(7)));
        self.tries = self.tries.saturating_add(1);
    }
}

/// A run that is under way.
struct Live {
    stop: watch::Sender<bool>,
    /// A question of it was answered since it began or went on.
    answered: bool,
}

/// The storage of a server and what hangs on it: made first, because tools that ask people need it.
pub struct Foundation {
    store: Store,
    hub: Hub,
    desk: Desk,
    metrics: Metrics,
    options: ServiceOptions,
    admission: Admission,
}

/// Why a server cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FoundationError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The limits.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
}

impl Foundation {
    /// Opens the store in `folder`. This blocks for some milliseconds.
    ///
    /// # Errors
    /// As [`Store::open`], and limits under which nothing could run.
    pub fn open(folder: impl AsRef<Path>, options: ServiceOptions) -> Result<Self, FoundationError> {
        let admission = Admission::new(options.limits.clone())?;
        let hub = Hub::default();
        let metrics = Metrics::new();
        let (shown, counted) = (hub.clone(), metrics.clone());
        let store = Store::open(
            folder,
            StoreOptions::new().on_commit(move |root, event| {
                counted.observe_stored(&event.event);
                shown.show(root, || Frame::Event(event.clone()));
            }),
        )?;
        let desk = Desk::new(store.clone(), options.approval_expiry);
        Ok(Self { store, hub, desk, metrics, options, admission })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The tool `ask_user`: brings a question to the one whose run it is, and gives the run up until there is an answer.
    pub fn ask_user(&self) -> AskUser {
        AskUser::new(self.desk.clone())
    }

    /// Begins to serve: what a crash interrupted goes on.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn serve(self, catalog: Catalog) -> Result<Service, StoreError> {
        self.begin(catalog, None).await
    }

    /// Begins to serve for one run alone: of what a crash interrupted, nothing else goes on.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn serve_only(self, catalog: Catalog, run: &RunId) -> Result<Service, StoreError> {
        self.begin(catalog, Some(run)).await
    }

    async fn begin(self, catalog: Catalog, only: Option<&RunId>) -> Result<Service, StoreError> {
        let Self { store, hub, desk, metrics, options, admission } = self;
        let service = Service(Arc::new(Inner {
            admission: Mutex::new(admission),
            journal: Arc::new(Recorder::new(store.clone(), metrics.clone())),
            store,
            catalog,
            options,
            hub,
            desk,
            metrics,
            schedule: Notify::new(),
            live: Mutex::default(),
            intake: Mutex::default(),
            stalled: Mutex::default(),
            storage_failed: AtomicBool::new(false),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }));
        service.recover(only).await?;
        let (dispatcher, rounds) = (service.clone(), service.clone());
        service.0.tasks.spawn(async move { dispatcher.dispatch().await });
        service.0.tasks.spawn(async move { rounds.rounds().await });
        Ok(service)
    }
}

impl Service {
    /// What is on offer.
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The figures.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// All figures, as they are now, in the OpenMetrics text format.
    ///
    /// # Errors
    /// If the store failed.
    pub async fn figures(&self) -> Result<axum::response::Response, Problem> {
        self.0.metrics.load(lock(&self.0.admission).load());
        let pending = self.0.store.count_pending().await.map_err(|error| self.storage(&error))?;
        self.0.metrics.approvals_pending(pending);
        Ok(self.0.metrics.response())
    }

    /// The options.
    pub fn options(&self) -> &ServiceOptions {
        &self.0.options
    }

    /// Takes a task in: when this returns, the run is stored and will be done, whatever happens to this process.
    ///
    /// # Errors
    /// What is wrong with the task, or why it is not taken now.
    pub async fn submit(&self, owner: &Principal, task: NewTask) -> Result<RunRow, Problem> {
        if self.is_draining() {
            self.0.metrics.rejected(RefusalKind::Draining);
            return Err(Problem::new(
                ProblemKind::Draining,
                "the server is shutting down: try again in a moment",
            ));
        }
        if self.0.storage_failed.load(Ordering::Relaxed) {
            return Err(storage_full());
        }
        let checked = self.check(owner, task).await?;
        let service = self.clone();
        let owner = owner.clone();
        // Not to be left half done when the one who asks goes away.
        let taken_in = self.0.tasks.spawn(async move { service.take_in(owner, checked).await });
        taken_in.await.map_err(|error| Problem::internal(&error))?
    }

    async fn take_in(&self, owner: Principal, checked: Checked) -> Result<RunRow, Problem> {
        let id = RunId::from_bits(random_bits());
        let created_ms = clock::now_ms();
        let offer = Offer {
            run: id.clone(),
            user: owner.clone(),
            lane: checked.lane,
            session: checked.session.clone(),
            weight: 1,
        };
        if let Some(idempotency) = &checked.idempotency {
            let known = self.0.store.of(&owner).run_of_key(&idempotency.key).await;
            if let Some(row) = known.map_err(|error| self.storage(&error))? {
                let same = row.idempotency.as_ref().is_some_and(|known| known.body == idempotency.body);
                return if same { Ok(row) } else { Err(key_reused()) };
            }
        }
        let (stored, is_stored) = oneshot::channel();
        lock(&self.0.intake).insert(id.clone(), is_stored);
        let offered = lock(&self.0.admission).offer(offer, created_ms);
        if let Err(refusal) = offered {
            lock(&self.0.intake).remove(&id);
            self.0.metrics.rejected(refusal.kind);
            return Err(refusal.into());
        }
        let request = serde_json::to_value(&checked.spec).map_err(|error| Problem::internal(&error));
        let created = match request {
            Err(problem) => Err(problem),
            Ok(request) => {
                let new = NewRun {
                    id: id.clone(),
                    owner,
                    kind: checked.kind,
                    name: checked.name,
                    session: checked.session,
                    title: checked.title,
                    request,
                    lane: checked.lane,
                    created_ms,
                    idempotency: checked.idempotency,
                    forked_from: checked.fork,
                };
                self.0.store.create_run(new).await.map_err(|error| self.storage(&error))
            }
        };
        match created {
            Ok(Created::New(row)) => {
                let _ = stored.send(row.clone());
                self.0.metrics.admitted(&row.name);
                self.0.schedule.notify_one();
                Ok(row)
            }
            not_new => {
                // A start that was waiting for it to be stored is told by the loss of `stored`.
                lock(&self.0.admission).withdraw(&id);
                lock(&self.0.intake).remove(&id);
                self.0.schedule.notify_one();
                match not_new? {
                    Created::New(row) | Created::Existing(row) => Ok(row),
                    Created::KeyReused => Err(key_reused()),
                }
            }
        }
    }

    /// Asks a run to end. A run that is queued or waits for somebody ends at once, one that is under way as soon as
    /// everything in it is stopped. `false` if it had ended.
    ///
    /// # Errors
    /// If the store failed.
    pub async fn cancel(&self, run: &RunId) -> Result<bool, Problem> {
        let (service, run) = (self.clone(), run.clone());
        // Not to be left half done when the one who asks goes away.
        let cancelled = self.0.tasks.spawn(async move { service.cancel_now(&run).await });
        cancelled.await.map_err(|error| Problem::internal(&error))?
    }

    async fn cancel_now(&self, run: &RunId) -> Result<bool, Problem> {
        let asked = self.0.store.request_cancel(run).await.map_err(|error| self.storage(&error))?;
        if !asked {
            return Ok(false);
        }
        let is_live = lock(&self.0.live).contains_key(run);
        if !is_live {
            // It needs no slot to be ended.
            lock(&self.0.admission).withdraw(run);
            self.start(run.clone());
        }
        // Also to a run that starts just now: it may not have read yet that it is cancelled.
        if let Some(live) = lock(&self.0.live).get(run) {
            live.stop.send_replace(true);
        }
        Ok(true)
    }

    /// Answers a question.
    ///
    /// # Errors
    /// It is no answer to this question, somebody answered before, the call is another one by now, or its time is over.
    pub async fn answer(
        &self,
        approval: &ApprovalRow,
        digest: Option<ValueId>,
        answer: Answer,
        by: &Principal,
    ) -> Result<ApprovalRow, Problem> {
        if !answer.fits(approval.kind) {
            let expected = match approval.kind {
                ApprovalKind::Call => "`approve`, `edit` or `deny`",
                ApprovalKind::Question => "`reply` or `deny`",
                ApprovalKind::Doubt => "`repeat`, `done` or `deny`",
            };
            let text = format!("this does not answer the question: decide with {expected}");
            return Err(bad_request("decision", text));
        }
        if let Answer::Edit { arguments } = &answer {
            self.check_edited(approval, arguments).await?;
        }
        // Who says nothing of what was shown means what is asked now.
        let (id, digest, by) = (approval.id.clone(), digest.unwrap_or(approval.digest), by.clone());
        let service = self.clone();
        // Not to be left half done when the one who answers goes away.
        let decided = self.0.tasks.spawn(async move {
            let decided = service.0.desk.answer(&id, Some(digest), answer, &by).await?;
            if let Decided::Taken(row) = &decided {
                service.0.metrics.decided(row);
                service.note_decision(row);
                service.answered(&row.root);
            }
            Ok::<_, StoreError>(decided)
        });
        let decided = decided.await.map_err(|error| Problem::internal(&error))?;
        match decided.map_err(|error| self.storage(&error))? {
            Decided::Taken(row) => Ok(row),
            Decided::Already(_) => {
                Err(Problem::new(ProblemKind::AlreadyDecided, "somebody has answered this question already"))
            }
            Decided::Expired(_) => {
                Err(Problem::new(ProblemKind::AlreadyDecided, "the time to answer this question is over"))
            }
            Decided::Withdrawn(_) => {
                Err(Problem::new(ProblemKind::AlreadyDecided, "the run that asked this has ended"))
            }
            Decided::Changed(_) => Err(Problem::new(
                ProblemKind::Conflict,
                "the call is not the one that you were shown: load the question again and look at its arguments",
            )),
            Decided::Unknown => Err(Problem::not_found("question")),
        }
    }

    /// Makes another run that begins as a run did, up to and without a step, and goes on by itself.
    ///
    /// # Errors
    /// If it is no run of an agent, ended before that step, or cannot be taken now.
    pub async fn fork(&self, owner: &Principal, run: &RunRow, step: u32) -> Result<RunRow, Problem> {
        if run.kind != RunKind::Agent {
            return Err(bad_request("run", "only runs of agents can be forked: start the workflow again"));
        }
        let fork = Fork { run: run.id.clone(), step };
        self.submit(owner, NewTask::again(run, RunSpec::of(run)?, fork)).await
    }

    /// Makes another run in the place of one: it begins as that one did, with the same memory of the conversation, and its
    /// answer is what the session remembers.
    ///
    /// # Errors
    /// If it cannot be taken now.
    pub(crate) async fn regenerate(&self, owner: &Principal, run: &RunRow) -> Result<RunRow, Problem> {
        let fork = Fork { run: run.id.clone(), step: 1 };
        let mut task = NewTask::again(run, RunSpec::of(run)?, fork);
        task.session.clone_from(&run.session);
        self.submit(owner, task).await
    }

    /// Where a run stands in the queue; nothing for one that does not wait there.
    pub fn place(&self, run: &RunId) -> Option<Place> {
        lock(&self.0.admission).place(run)
    }

    /// Everything that happens in a run and the runs in it, from now on.
    pub(crate) fn watch(&self, run: &RunId) -> Watch {
        self.0.hub.watch(run)
    }

    /// Waits until a run has ended.
    ///
    /// # Errors
    /// If the store failed, or there is no such run.
    pub async fn ended(&self, run: &RunId) -> Result<RunRow, Problem> {
        let mut watch = self.watch(run);
        loop {
            let row = self.0.store.run(run).await.map_err(|error| self.storage(&error))?;
            let row = row.ok_or_else(|| Problem::not_found("run"))?;
            if row.state == RunState::Ended {
                return Ok(row);
            }
            // Until it says that its state is another one, or something was missed.
            while let Ok(frame) = watch.next().await {
                if matches!(frame, Frame::Passing { name: "state", .. }) {
                    break;
                }
            }
        }
    }

    /// Whether the server takes in no more.
    pub fn is_draining(&self) -> bool {
        self.0.draining.is_cancelled()
    }

    /// Ready when the server takes in no more.
    pub(crate) async fn drained(&self) {
        self.0.draining.cancelled().await;
    }

    /// Does something beside; the server does not end before it is done.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(work);
    }

    /// How much more a user may ask for now.
    pub fn allowance(&self, owner: &Principal) -> Allowance {
        lock(&self.0.admission).allowance(owner)
    }

    /// How many runs there are now.
    pub fn load(&self) -> Load {
        lock(&self.0.admission).load()
    }

    /// Whether what is stored can be read and written.
    pub fn has_storage(&self) -> bool {
        !self.0.storage_failed.load(Ordering::Relaxed)
    }

    /// Ends the server: nothing is taken in any more, runs go on for the grace time, and what is not done then is done
    /// after the next start.
    pub async fn shut_down(&self) {
        self.0.draining.cancel();
        lock(&self.0.admission).drain();
        let none_left = async {
            while !lock(&self.0.live).is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(self.0.options.grace, none_left).await;
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    // --- inside ------------------------------------------------------------------------------------------

    /// Takes the runs in that have not ended, or one of them alone.
    async fn recover(&self, only: Option<&RunId>) -> Result<(), StoreError> {
        let now_ms = clock::now_ms();
        for row in self.0.store.unfinished().await? {
            if only.is_some_and(|only| *only != row.id) {
                continue;
            }
            if self.offered(row.kind, &row.name).is_none() && !row.cancel {
                tracing::warn!(
                    run = %row.id,
                    kind = row.kind.as_str(),
                    name = row.name,
                    "a run is left as it is, because what it is a run of is no longer on offer: offer it again and restart, \
                     or cancel the run"
                );
                continue;
            }
            let offer = Offer {
                run: row.id.clone(),
                user: row.owner.clone(),
                lane: row.lane,
                session: row.session.clone(),
                weight: 1,
            };
            // Also a run that waits for somebody: an answer may have come since, and if not it is given up again.
            lock(&self.0.admission).restore(offer, Standing::Queued, now_ms);
            self.0.metrics.recovered(row.state.as_str());
        }
        Ok(())
    }

    /// Starts what may start.
    async fn dispatch(&self) {
        loop {
            loop {
                let next = lock(&self.0.admission).next(clock::now_ms());
                let Some(run) = next else { break };
                self.start(run);
            }
            let moved = lock(&self.0.admission).changed();
            for (run, place) in moved {
                self.0.hub.show(&run, || Frame::Passing {
                    name: "queue",
                    data: Bytes::from(place_of(place).to_string()),
                });
            }
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                () = self.0.schedule.notified() => {}
                // Ageing may have changed the order.
                () = tokio::time::sleep(ROUND) => {}
            }
        }
    }

    async fn rounds(&self) {
        let mut last_sweep_ms = 0;
        loop {
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                () = tokio::time::sleep(ROUND) => {}
            }
            let now_ms = clock::now_ms();
            match self.0.store.expire(now_ms).await {
                Ok(expired) => {
                    for approval in expired {
                        self.0.desk.expired(&approval.id);
                        self.0.metrics.decided(&approval);
                        self.note_decision(&approval);
                        self.answered(&approval.root);
                    }
                }
                Err(error) => drop(self.storage(&error)),
            }
            self.retry_stalled().await;
            if let Some(keep) = self.0.options.keep
                && now_ms.saturating_sub(last_sweep_ms) > 3_600_000
            {
                last_sweep_ms = now_ms;
                let before = now_ms.saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
                let service = self.clone();
                // Questions that expire meanwhile are not to wait for it.
                self.0.tasks.spawn(async move {
                    match service.0.store.sweep(before).await {
                        Ok(swept) => tracing::info!(runs = swept.runs, "old runs were removed"),
                        Err(error) => drop(service.storage(&error)),
                    }
                });
            }
        }
    }

    /// Lets runs go on that stopped at storage which could not be written, when it can be again.
    async fn retry_stalled(&self) {
        let failed = self.0.storage_failed.load(Ordering::Relaxed);
        if !failed && lock(&self.0.stalled).is_empty() {
            return;
        }
        match self.0.store.probe().await {
            Ok(()) => {
                self.0.storage_failed.store(false, Ordering::Relaxed);
                let now_ms = clock::now_ms();
                let mut due = Vec::new();
                for (run, stalled) in lock(&self.0.stalled).iter_mut() {
                    if stalled.next_ms.is_some_and(|next_ms| next_ms <= now_ms) {
                        stalled.next_ms = None;
                        due.push(run.clone());
                    }
                }
                for run in due {
                    let mut admission = lock(&self.0.admission);
                    if admission.standing(&run).is_some() {
                        admission.woken(&run, now_ms);
                    } else {
                        // It was cancelled, and only its end is to be stored.
                        drop(admission);
                        self.start(run);
                    }
                }
                self.0.schedule.notify_one();
            }
            Err(error) => drop(self.storage(&error)),
        }
    }

    /// A question of the run was answered: if it was given up, it goes on when there is a slot.
    fn answered(&self, root: &RunId) {
        let mut live = lock(&self.0.live);
        match live.get_mut(root) {
            Some(live) => live.answered = true,
            None => {
                lock(&self.0.admission).woken(root, clock::now_ms());
                self.0.schedule.notify_one();
            }
        }
    }

    /// Tells those who watch the run who decided what.
    fn note_decision(&self, row: &ApprovalRow) {
        let by = row.by.as_ref().map(|by| by.user.to_string());
        let data = json!({
            "approval": row.id, "run": row.root, "state": row.state, "by": by,
            "expired": row.state == ApprovalState::Expired,
        });
        self.0
            .hub
            .show(&row.root, || Frame::Passing { name: "approval", data: Bytes::from(data.to_string()) });
    }

    /// What the caller is told of a failure of the storage; what it means for the server is noted.
    pub(crate) fn storage(&self, error: &StoreError) -> Problem {
        match error.kind() {
            StoreErrorKind::Full | StoreErrorKind::Unavailable => {
                if !self.0.storage_failed.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the storage cannot be written: no more runs are taken in");
                }
                storage_full()
            }
            _ => Problem::internal(error),
        }
    }
}

/// Where a run stands in line, as it is shown.
pub(crate) fn place_of(place: Place) -> Value {
    json!({"position": place.position, "of": place.of, "eta_s": place.eta_ms.div_ceil(1000)})
}

pub(crate) fn bad_request(param: &str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::BadRequest, detail).param(param)
}

fn key_reused() -> Problem {
    let text = "this idempotency key was used for another request: take a new one";
    Problem::new(ProblemKind::IdempotencyKeyReused, text)
}

fn storage_full() -> Problem {
    Problem::new(ProblemKind::StorageFull, "the server cannot store anything at the moment: try again later")
}

/// Nothing can be left in between two states, so that a panic of another thread does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
