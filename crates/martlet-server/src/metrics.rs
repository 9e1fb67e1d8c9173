//! Figures for Prometheus.
//!
//! Every server has its own [`Metrics`]; there is nothing global. Times are in seconds, labels have few values and never
//! tell of a user, a session or a run. What a run did is read from its events by [`Metrics::observe`] or
//! [`Metrics::observe_stored`]; the rest is told by whoever does it.

mod label;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use martlet_core::{Event, EventKind, ModelFailureKind, Timing, Usage};
use martlet_store::{Answer, ApprovalRow, RunRow};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::label::{
    AgentLabels, DecisionLabels, KindLabels, LabelValues, ModelLabels, OutcomeLabels, ReasonLabels,
    RunLabels, TokenLabels, ToolLabels,
};
use crate::admission::{Load, RefusalKind};
use crate::problem::Problem;

/// From a request that is answered at once to a workflow that takes an hour.
const RUN_SECONDS: [f64; 14] =
    [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0];
const TOKEN_SECONDS: [f64; 12] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];
const COMMIT_SECONDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Up to the day after which a question expires.
const PERSON_SECONDS: [f64; 9] = [1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 28_800.0, 86_400.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The figures of one server. Cheap to clone: all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Figures>);

#[derive(Debug)]
struct Figures {
    registry: Registry,
    values: LabelValues,
    runs: Family<RunLabels, Counter>,
    admitted: Family<AgentLabels, Counter>,
    rejected: Family<ReasonLabels, Counter>,
    active: Gauge,
    parked: Gauge,
    queue_depth: Gauge,
    queue_wait: Histogram,
    run_duration: Histogram,
    step_duration: Histograms<KindLabels>,
    model_calls: Family<ModelLabels, Counter>,
    first_token: Histogram,
    tokens: Family<TokenLabels, Counter>,
    tool_calls: Family<ToolLabels, Counter>,
    approvals_pending: Gauge,
    approval_wait: Histograms<DecisionLabels>,
    sse_clients: Gauge,
    slow_clients: Counter,
    commits: Histogram,
    recovered: Family<OutcomeLabels, Counter>,
}

/// Why a run was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The queue is full.
    QueueFull,
    /// The user's queue is full.
    UserLimit,
    /// The server is shutting down.
    Shutdown,
}

impl From<RefusalKind> for Rejection {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::QueueFull => Self::QueueFull,
            RefusalKind::UserLimit => Self::UserLimit,
            RefusalKind::Draining => Self::Shutdown,
        }
    }
}

/// A call of a model, as it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelCall<'a> {
    /// The model, as the configuration names it.
    pub model: &'a str,
    /// Why it gave no reply.
    pub failure: Option<ModelFailureKind>,
    /// How long the first token took, where that was seen.
    pub first_token: Option<Duration>,
    /// Tokens.
    pub usage: Usage,
}

/// A reader of events over SSE; it is counted until this is dropped.
#[derive(Debug)]
pub struct SseClient(Gauge);

impl Drop for SseClient {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Figures that are all at zero.
    pub fn new() -> Self {
        let mut book = Book(Registry::with_prefix("martlet"));
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        book.0.register("build", "The server's version", version);
        let runs = || Histogram::new(RUN_SECONDS);
        Self(Arc::new(Figures {
            values: LabelValues::default(),
            runs: book.note("runs", "Runs that ended", Family::default()),
            admitted: book.note("runs_admitted", "Runs that were taken in", Family::default()),
            rejected: book.note("run_rejected", "Runs that were not taken in", Family::default()),
            active: book.note("runs_active", "Runs that hold a slot", Gauge::default()),
            parked: book.note("runs_parked", "Runs that wait for a person", Gauge::default()),
            queue_depth: book.note("run_queue_depth", "Runs that wait for a slot", Gauge::default()),
            queue_wait: book.seconds("run_queue_wait", "Time until runs got their first slot", runs()),
            run_duration: book.seconds("run_duration", "Time from the start of runs to their end", runs()),
            step_duration: book.seconds(
                "step_duration",
                "Time that parts of runs took",
                Family::new_with_constructor(|| Histogram::new(RUN_SECONDS)),
            ),
            model_calls: book.note("llm_requests", "Calls of models", Family::default()),
            first_token: book.seconds(
                "llm_time_to_first_token",
                "Time until models wrote their first token",
                Histogram::new(TOKEN_SECONDS),
            ),
            tokens: book.note("llm_tokens", "Tokens that models read and wrote", Family::default()),
            tool_calls: book.note("tool_calls", "Calls of tools", Family::default()),
            approvals_pending: book.note(
                "approvals_pending",
                "Questions that wait for a person",
                Gauge::default(),
            ),
            approval_wait: book.seconds(
                "approval_wait",
                "Time for which questions waited for a person",
                Family::new_with_constructor(|| Histogram::new(PERSON_SECONDS)),
            ),
            sse_clients: book.note("sse_clients", "Readers of events", Gauge::default()),
            slow_clients: book.note(
                "sse_slow_client_disconnects",
                "Readers of events that were cut off because they did not keep up",
                Counter::default(),
            ),
            commits: book.seconds(
                "journal_commit",
                "Time of commits to the journal",
                Histogram::new(COMMIT_SECONDS),
            ),
            recovered: book.note(
                "recovered_runs",
                "Runs that were found unfinished at the start",
                Family::default(),
            ),
            registry: book.0,
        }))
    }

    /// A run of an agent or a workflow was taken in.
    pub fn admitted(&self, agent: &str) {
        let agent = self.0.values.agents.label(agent);
        self.0.admitted.get_or_create(&AgentLabels { agent }).inc();
    }

    /// A run was not taken in.
    pub fn rejected(&self, why: impl Into<Rejection>) {
        let reason = match why.into() {
            Rejection::QueueFull => "queue_full",
            Rejection::UserLimit => "user_limit",
            Rejection::Shutdown => "shutdown",
        };
        self.0.rejected.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// A run got a slot for the first time.
    pub fn started(&self, row: &RunRow, now_ms: u64) {
        self.0.queue_wait.observe(seconds(now_ms.saturating_sub(row.created_ms)));
    }

    /// A run ended; `outcome` is the word that is stored for how. Of a run whose row knows no start, no time is counted:
    /// it was never at its turn.
    pub fn ended(&self, row: &RunRow, outcome: &str, now_ms: u64) {
        let (agent, outcome) = (self.0.values.agents.label(&row.name), self.0.values.words.label(outcome));
        self.0.runs.get_or_create(&RunLabels { agent, outcome }).inc();
        if let Some(started_ms) = row.started_ms {
            self.0.run_duration.observe(seconds(now_ms.saturating_sub(started_ms)));
        }
    }

    /// How many runs there are now.
    pub fn load(&self, load: Load) {
        self.0.active.set(load.running.into());
        self.0.parked.set(load.parked.into());
        self.0.queue_depth.set(load.queued.into());
    }

    /// A call of a model ended. Events do not tell which model it was.
    pub fn model_call(&self, call: ModelCall<'_>) {
        let model = self.0.values.models.label(call.model);
        let outcome = match call.failure {
            None => self.0.values.words.label("ok"),
            Some(kind) => self.0.values.words.label(&word(kind)),
        };
        self.0.model_calls.get_or_create(&ModelLabels { model: model.clone(), outcome }).inc();
        if let Some(first_token) = call.first_token {
            self.0.first_token.observe(first_token.as_secs_f64());
        }
        let Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens } = call.usage;
        let by_type = [
            ("input", input_tokens),
            ("output", output_tokens),
            ("cached", cached_tokens),
            ("reasoning", reasoning_tokens),
        ];
        for (r#type, count) in by_type.into_iter().filter(|(_, count)| *count > 0) {
            self.0.tokens.get_or_create(&TokenLabels { model: model.clone(), r#type }).inc_by(count);
        }
    }

    /// A question to a person was decided, expired or was withdrawn.
    pub fn decided(&self, row: &ApprovalRow) {
        let decision = match &row.answer {
            Some(Answer::Approve { .. }) => "approve",
            Some(Answer::Edit { .. }) => "edit",
            Some(Answer::Deny { .. }) => "deny",
            Some(Answer::Reply { .. }) => "reply",
            Some(Answer::Repeat) => "repeat",
            Some(Answer::Done { .. }) => "done",
            None => row.state.as_str(),
        };
        let waited = row.decided_ms.unwrap_or(row.asked_ms).saturating_sub(row.asked_ms);
        self.0.approval_wait.get_or_create(&DecisionLabels { decision }).observe(seconds(waited));
    }

    /// How many questions wait for a person now, as the store counts them.
    pub fn approvals_pending(&self, count: u64) {
        self.0.approvals_pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Somebody reads events; keep what this returns for as long.
    #[must_use]
    pub fn sse_client(&self) -> SseClient {
        self.0.sse_clients.inc();
        SseClient(self.0.sse_clients.clone())
    }

    /// A reader of events was cut off because it did not keep up.
    pub fn sse_slow_client(&self) {
        self.0.slow_clients.inc();
    }

    /// Something was committed to the journal.
    pub fn journal_commit(&self, took: Duration) {
        self.0.commits.observe(took.as_secs_f64());
    }

    /// A run was found unfinished at the start; `outcome` is the word for what was done with it.
    pub fn recovered(&self, outcome: &str) {
        self.0.recovered.get_or_create(&OutcomeLabels { outcome: self.0.values.words.label(outcome) }).inc();
    }

    /// A run did something. Call it once for every event: not for those that are shown again, and not for those that
    /// [`observe_stored`](Self::observe_stored) is told of.
    pub fn observe(&self, event: &Event) {
        match &event.kind {
            EventKind::ModelReplied { timing, .. } => self.part_took("model", timing),
            EventKind::StepEnded { timing, .. } => self.part_took("step", timing),
            EventKind::TaskEnded { timing, .. } => self.part_took("task", timing),
            EventKind::NodeEnded { timing, .. } => self.part_took("node", timing),
            EventKind::ChildEnded { timing, .. } => self.part_took("child", timing),
            EventKind::ToolReturned { name, error, timing, .. } => {
                self.tool_returned(name, error.is_none(), timing);
            }
            _ => {}
        }
    }

    /// The same for an event as it is stored. It reads no more of it than it needs, so that it does not hold up the
    /// thread that stores; what is no event is left alone.
    pub fn observe_stored(&self, event: &[u8]) {
        let Ok(Told { kind, name, error, timing }) = serde_json::from_slice(event) else { return };
        let timing = timing.unwrap_or_default();
        match &*kind {
            "model.replied" => self.part_took("model", &timing),
            "step.ended" => self.part_took("step", &timing),
            "task.ended" => self.part_took("task", &timing),
            "node.ended" => self.part_took("node", &timing),
            "child.ended" => self.part_took("child", &timing),
            "tool.returned" => self.tool_returned(&name.unwrap_or_default(), error.is_none(), &timing),
            _ => {}
        }
    }

    /// All figures in the OpenMetrics text format.
    ///
    /// # Errors
    /// If one cannot be written as text.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.0.registry)?;
        Ok(written)
    }

    /// The answer to `GET /metrics`.
    pub fn response(&self) -> Response {
        match self.text() {
            Ok(text) => {
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                ([(CONTENT_TYPE, kind)], text).into_response()
            }
            Err(error) => Problem::internal(&error).into_response(),
        }
    }

    fn tool_returned(&self, name: &str, succeeded: bool, timing: &Timing) {
        self.part_took("tool", timing);
        let outcome = if succeeded { "ok" } else { "error" };
        let tool = self.0.values.tools.label(name);
        self.0.tool_calls.get_or_create(&ToolLabels { tool, outcome }).inc();
    }

    fn part_took(&self, kind: &'static str, timing: &Timing) {
        let took = Duration::from_micros(timing.elapsed_us);
        self.0.step_duration.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
    }
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

/// What is counted of an event.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default)]
    error: Option<IgnoredAny>,
    #[serde(default)]
    timing: Option<Timing>,
}

/// The registry while it is being filled: it keeps one handle of every metric, and we another.
struct Book(Registry);

impl Book {
    fn note<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn seconds<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

/// The word under which a kind of failure is stored.
fn word(kind: ModelFailureKind) -> String {
    serde_json::to_value(kind).ok().and_then(|word| word.as_str().map(Into::into)).unwrap_or_default()
}
