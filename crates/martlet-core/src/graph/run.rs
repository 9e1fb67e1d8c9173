//! The run of a graph: one execution in progress, as a state machine.
//!
//! What a node does is the business of effects; here is only what follows from what. Edges that get a state are put on
//! a worklist, so that nothing recurses however long the graph is.

mod approvals;
mod edges;
mod queue;
mod report;
mod units;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::build::{GraphSpec, NodeIndex};
use super::result::{
    EditedCall, GraphFailure, GraphResult, GraphStatus, NodeStatus, Repeated, SkipCause, SkipKind,
};
use super::spec::{NodeFailure, NodeFailureKind, OnError, OnFailure};
use super::state::{State, StateLog};
use crate::effect::{Effect, Outcome, Settlement, Timing};
use crate::event::{Event, EventKind, Outbox};
use crate::id::{EffectId, RunId};
use crate::machine::Machine;
use crate::model::Usage;
use crate::run::{SettleError, StopReason};
use crate::tool::cut_value;
use edges::EdgeState;
use queue::Queue;
use units::Work;

/// How many characters of a node's result an event carries.
const SHOWN: usize = 2_000;

/// What a graph is to work on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GraphTask {
    /// The values that the state begins with.
    pub input: Map<String, Value>,
    /// Tools and managed agents that the runs in this one must not have, by name. A node that is such a tool fails.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub without_tools: Arc<[String]>,
    /// Nodes that run at the same time, if that is less than the graph's limit; 1 runs them one after the other.
    pub max_parallel: Option<usize>,
    /// The time of the start, in milliseconds since 1970-01-01 UTC.
    pub started_ms: u64,
}

/// One execution of a graph in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphRun {
    id: RunId,
    spec: Arc<GraphSpec>,
    status: Option<GraphStatus>,
    state: StateLog,
    nodes: Vec<NodeRun>,
    /// Nodes that are not settled.
    unsettled: usize,
    queue: Queue,
    open: BTreeMap<u64, Open>,
    /// Open effects that were not handed out.
    new: Vec<u64>,
    abandoned: Vec<EffectId>,
    /// Edges whose state is known and whose targets were not told yet.
    #[serde(skip)]
    told: VecDeque<(u32, EdgeState)>,
    /// The first failure that keeps an end of the graph, a node that nothing follows, from completing.
    failure: Option<(NodeIndex, NodeFailure)>,
    /// Why the output could not be made.
    no_output: Option<NodeFailure>,
    /// The state with which it began.
    input: State,
    /// What the runs in this one must do without.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    without_tools: Arc<[String]>,
    /// Something failed that the graph could do without.
    partial: bool,
    output: Value,
    usage: Usage,
    timing: Timing,
    events: Outbox,
}

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct NodeRun {
    status: NodeStatus,
    /// Inbound edges that are taken.
    taken: u32,
    /// Inbound edges whose state is known.
    known: u32,
    next_index: u32,
    attempts: u32,
    /// When its join was complete, in milliseconds since 1970-01-01 UTC.
    ready_ms: u64,
    timing: Timing,
    /// When it ended or was skipped, in microseconds since 1970-01-01 UTC.
    settled_us: u64,
    usage: Usage,
    /// Its work, from the moment when its join was complete.
    work: Option<Box<Work>>,
    result: Option<ResultAt>,
    /// Why it was skipped or cancelled; before that, the reason to skip it that an inbound edge brought.
    cause: Option<SkipCause>,
    error: Option<NodeFailure>,
    items: Option<u32>,
    repeated: Option<Repeated>,
    /// Calls whose arguments a person changed, for the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    edited: Vec<EditedCall>,
}

/// Where the result of a node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum ResultAt {
    /// It is what this write to the state wrote.
    Write(u64),
    /// A reducer made something else of it.
    Own(Value),
}

/// An effect that is not settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    effect: Effect,
    purpose: Purpose,
    handed_out: bool,
}

/// What an open effect is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Purpose {
    /// The work of a node, or of a copy of it.
    Work { copy: Option<u32> },
    /// Leave to do the work.
    Approval { copy: Option<u32> },
    /// The wait before another attempt.
    Backoff { copy: Option<u32> },
    /// The condition of an edge.
    Edge { edge: u32 },
    /// The condition that ends a repetition.
    Until,
}

fn key(step: u32, index: u32) -> u64 {
    (u64::from(step) << 32) | u64::from(index)
}

impl GraphRun {
    /// Begins a run: the nodes without inbound edges start.
    pub fn start(id: RunId, spec: Arc<GraphSpec>, task: GraphTask) -> Self {
        let count = spec.len();
        let mut run = Self {
            id,
            status: None,
            state: StateLog::default(),
            nodes: vec![NodeRun::default(); count],
            unsettled: count,
            queue: Queue::new(&spec, task.max_parallel),
            open: BTreeMap::new(),
            new: Vec::new(),
            abandoned: Vec::new(),
            told: VecDeque::new(),
            failure: None,
            no_output: None,
            input: State::default(),
            without_tools: task.without_tools,
            partial: false,
            output: Value::Null,
            usage: Usage::default(),
            timing: Timing { started_ms: task.started_ms, elapsed_us: 0 },
            events: Outbox::default(),
            spec,
        };
        run.emit(EventKind::GraphStarted { graph: run.spec.name.clone(), nodes: count });
        let source = "input".into();
        for (key, value) in task.input {
            run.state.write(&key, value, &source, task.started_ms);
        }
        run.input = run.state.current().clone();
        for node in 0..run.nodes.len() {
            let Ok(node) = NodeIndex::try_from(node) else { break };
            if run.spec.incoming(node).is_empty() {
                run.ready(node);
            }
        }
        run.advance();
        run
    }

    /// The graph.
    pub fn spec(&self) -> &Arc<GraphSpec> {
        &self.spec
    }

    /// The tools and managed agents that the runs in this one must not have.
    pub fn without_tools(&self) -> &Arc<[String]> {
        &self.without_tools
    }

    /// How it ended; `None` while it runs.
    pub fn status(&self) -> Option<GraphStatus> {
        self.status
    }

    /// The state as it is, with its history.
    pub fn state(&self) -> &StateLog {
        &self.state
    }

    /// Where a node stands.
    pub fn node_status(&self, name: &str) -> Option<NodeStatus> {
        let place = self.spec.place(name)?;
        self.nodes.get(place as usize).map(|node| node.status)
    }

    /// Tokens of all child runs that have ended.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The result, if the run has ended.
    pub fn into_result(self) -> Option<GraphResult> {
        let status = self.status?;
        Some(report::result(self, status))
    }

    /// Does all that follows without a further outcome.
    fn advance(&mut self) {
        loop {
            self.tell_edges();
            let fatal = self.failure.is_some() && self.spec.limits.on_failure == OnFailure::FailFast;
            if fatal || self.unsettled == 0 {
                return self.finish(None);
            }
            match self.queue.next() {
                Some((node, copy)) => self.start_work(node, copy),
                None => return,
            }
        }
    }

    /// Ends the run, because all is done, because of a failure, or because of `stopped`.
    fn finish(&mut self, stopped: Option<GraphStatus>) {
        let origin = self.failure.as_ref().map(|(node, _)| *node).filter(|_| stopped.is_none());
        for node in 0..self.nodes.len() {
            let Ok(node) = NodeIndex::try_from(node) else { break };
            if self.unsettled == 0 {
                break;
            }
            if self.status_of(node).is_settled() {
                continue;
            }
            let origin = self.spec.name(origin.unwrap_or(node));
            self.cancel(node, SkipCause { kind: SkipKind::Ended, from: origin.clone(), origin });
        }
        for (open, effect) in std::mem::take(&mut self.open) {
            if effect.handed_out {
                self.abandoned.push(self.effect_id(open));
            }
        }
        self.new.clear();
        self.told.clear();
        let mut status = match stopped {
            Some(status) => status,
            None if self.failure.is_some() => GraphStatus::Failed,
            None if self.partial => GraphStatus::Partial,
            None => GraphStatus::Success,
        };
        if matches!(status, GraphStatus::Success | GraphStatus::Partial) {
            match self.make_output() {
                Ok(output) => self.output = output,
                Err(problem) => {
                    status = GraphStatus::Failed;
                    self.no_output = Some(NodeFailure::new(NodeFailureKind::Input, problem));
                }
            }
        }
        self.status = Some(status);
        let error = self.why_failed().map(|failure| failure.to_string());
        self.emit(EventKind::GraphEnded {
            status,
            output: self.output.clone(),
            error,
            usage: self.usage,
            timing: self.timing,
        });
    }

    /// What made the graph fail.
    fn why_failed(&self) -> Option<GraphFailure> {
        let of_node = self.failure.as_ref().map(|(node, failure)| (Some(self.spec.name(*node)), failure));
        let (node, failure) = of_node.or(self.no_output.as_ref().map(|failure| (None, failure)))?;
        Some(GraphFailure { node, failure: failure.clone() })
    }

    // --- the ends of nodes -------------------------------------------------------------------------------

    /// The node has a result. `written` says that it is in the state already.
    fn completed(&mut self, node: NodeIndex, value: Value, written: bool) {
        if !written && let Err(failure) = self.write(node, value) {
            return self.failed(node, failure);
        }
        self.settled(node, NodeStatus::Completed);
        self.decide_edges(node);
    }

    /// The node failed, and it is not tried again.
    fn failed(&mut self, node: NodeIndex, failure: NodeFailure) {
        self.abandon(node);
        let on_error = self.spec.node(node).map(|spec| spec.on_error).unwrap_or_default();
        let name = self.spec.name(node);
        if let Some(run) = self.node_mut(node) {
            run.error = Some(failure.clone());
        }
        match on_error {
            OnError::Continue => {
                self.partial = true;
                // Null fits every key, unless a reducer refuses it: then what was there stays.
                let _ = self.write(node, Value::Null);
                self.settled(node, NodeStatus::Completed);
                self.decide_edges(node);
            }
            OnError::Skip => {
                self.partial = true;
                let cause = SkipCause { kind: SkipKind::Error, origin: name.clone(), from: name };
                if let Some(run) = self.node_mut(node) {
                    run.cause = Some(cause.clone());
                }
                self.settled(node, NodeStatus::Skipped);
                self.tell_all(node, &EdgeState::NotChosen(cause));
            }
            OnError::Fail => {
                self.partial = true;
                if self.spec.outgoing(node).is_empty() {
                    self.failure.get_or_insert((node, failure));
                }
                self.settled(node, NodeStatus::Failed);
                let cause = SkipCause { kind: SkipKind::Failed, origin: name.clone(), from: name };
                self.tell_all(node, &EdgeState::Failed(cause));
            }
        }
    }

    /// The node will not run.
    fn skipped(&mut self, node: NodeIndex, cause: SkipCause) {
        // Whatever else is skipped may yet be made up for by another branch.
        if cause.kind == SkipKind::Failed
            && self.spec.outgoing(node).is_empty()
            && let Some(origin) = self.spec.place(&cause.origin)
            && let Some(failure) = self.nodes.get(origin as usize).and_then(|run| run.error.clone())
        {
            self.failure.get_or_insert((origin, failure));
        }
        self.partial |= cause.kind.is_error();
        let state = if cause.kind == SkipKind::Failed { EdgeState::Failed } else { EdgeState::NotChosen };
        let passed_on = SkipCause { from: self.spec.name(node), ..cause.clone() };
        if let Some(run) = self.node_mut(node) {
            run.cause = Some(cause);
        }
        self.settled(node, NodeStatus::Skipped);
        self.tell_all(node, &state(passed_on));
    }

    /// The node is stopped, or will not start any more.
    fn cancel(&mut self, node: NodeIndex, cause: SkipCause) {
        let ran = self.status_of(node) == NodeStatus::Running;
        self.abandon(node);
        let now = self.now();
        if let Some(run) = self.node_mut(node) {
            run.cause = Some(cause);
            if ran {
                // What is stopped has no outcome that says how long it took.
                run.timing = run.timing.spanning(&now);
            }
        }
        self.settled(node, if ran { NodeStatus::Cancelled } else { NodeStatus::Skipped });
    }

    fn settled(&mut self, node: NodeIndex, status: NodeStatus) {
        let name = self.spec.name(node);
        let result = self.result_of(node).map(|value| cut_value(value, SHOWN));
        let settled_us = self.timing.started_ms.saturating_mul(1_000).saturating_add(self.timing.elapsed_us);
        let Some(run) = self.node_mut(node) else { return };
        run.status = status;
        run.settled_us = settled_us;
        run.work = None;
        let (error, cause) = (run.error.as_ref().map(ToString::to_string), run.cause.clone());
        // An edge may have brought one before the node was found to start, or to fail.
        let cause = cause.filter(|_| matches!(status, NodeStatus::Skipped | NodeStatus::Cancelled));
        run.cause.clone_from(&cause);
        let (usage, timing) = (run.usage, run.timing);
        self.unsettled = self.unsettled.saturating_sub(1);
        self.emit(EventKind::NodeEnded { node: name, status, output: result, error, cause, usage, timing });
    }

    /// Writes a result of the node to the state.
    fn write(&mut self, node: NodeIndex, value: Value) -> Result<(), NodeFailure> {
        let spec = self.spec.clone();
        let Some(settings) = spec.node(node) else { return Ok(()) };
        let key = settings.output_key();
        let (written, own) = match spec.reducers.get(key) {
            None => (value, None),
            Some(reducer) => {
                let reduced =
                    reducer.reduce(self.state.current().get(key), value.clone()).map_err(|problem| {
                        NodeFailure::new(
                            NodeFailureKind::Failed,
                            format!("its result cannot be joined to the state key `{key}`: {problem}"),
                        )
                    })?;
                (reduced, Some(value))
            }
        };
        let at_ms = self.timing.ended_ms();
        self.state.write(key, written, &spec.name(node), at_ms);
        let version = self.state.current().entry(key).map(|entry| entry.version).unwrap_or_default();
        if let Some(run) = self.node_mut(node) {
            run.result = Some(own.map_or(ResultAt::Write(version), ResultAt::Own));
        }
        Ok(())
    }

    /// The result of a node that has one.
    fn result_of(&self, node: NodeIndex) -> Option<&Value> {
        match self.nodes.get(node as usize)?.result.as_ref()? {
            ResultAt::Write(version) => self.state.written(*version),
            ResultAt::Own(value) => Some(value),
        }
    }

    // --- bookkeeping -------------------------------------------------------------------------------------

    fn status_of(&self, node: NodeIndex) -> NodeStatus {
        self.nodes.get(node as usize).map(|run| run.status).unwrap_or_default()
    }

    fn node_mut(&mut self, node: NodeIndex) -> Option<&mut NodeRun> {
        self.nodes.get_mut(node as usize)
    }

    /// Lets work of a node wait for a slot.
    fn enqueue(&mut self, node: NodeIndex, copy: Option<u32>) {
        self.queue.push(self.spec.rank(node), node, copy);
    }

    fn ask_for(&mut self, node: NodeIndex, effect: Effect, purpose: Purpose) -> Option<u64> {
        let run = self.node_mut(node)?;
        let index = run.next_index;
        run.next_index += 1;
        let key = key(node.saturating_add(1), index);
        self.open.insert(key, Open { effect, purpose, handed_out: false });
        self.new.push(key);
        Some(key)
    }

    /// Stops all that is open or queued for the node.
    fn abandon(&mut self, node: NodeIndex) {
        let Some(work) = self.nodes.get_mut(node as usize).and_then(|run| run.work.take()) else { return };
        self.queue.remove(self.spec.rank(node), node, &work);
        let (first, last) = (key(node.saturating_add(1), 0), key(node.saturating_add(1), u32::MAX));
        let open: Vec<u64> = self.open.range(first..=last).map(|(key, _)| *key).collect();
        for key in open {
            if let Some(open) = self.open.remove(&key)
                && open.handed_out
            {
                self.abandoned.push(self.effect_id(key));
            }
        }
    }

    /// This moment, as far as outcomes tell.
    fn now(&self) -> Timing {
        Timing { started_ms: self.timing.ended_ms(), elapsed_us: 0 }
    }

    fn effect_id(&self, key: u64) -> EffectId {
        let step = u32::try_from(key >> 32).unwrap_or(u32::MAX);
        let index = u32::try_from(key & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        EffectId { run: self.id.clone(), step, index }
    }

    fn emit(&mut self, kind: EventKind) {
        self.events.push(&self.id, self.timing.ended_ms(), kind);
    }
}

impl Machine for GraphRun {
    fn id(&self) -> &RunId {
        &self.id
    }

    fn is_finished(&self) -> bool {
        self.status.is_some()
    }

    fn take_effects(&mut self) -> Vec<(EffectId, Effect)> {
        let mut effects = Vec::with_capacity(self.new.len());
        for key in std::mem::take(&mut self.new) {
            let id = self.effect_id(key);
            // What was abandoned before it was handed out is not open any more.
            if let Some(open) = self.open.get_mut(&key) {
                open.handed_out = true;
                effects.push((id, open.effect.clone()));
            }
        }
        effects
    }

    fn hand_out_again(&mut self) {
        self.new.clear();
        for (key, open) in &mut self.open {
            open.handed_out = false;
            self.new.push(*key);
        }
    }

    fn take_abandoned(&mut self) -> Vec<EffectId> {
        std::mem::take(&mut self.abandoned)
    }

    fn is_open(&self, id: &EffectId) -> bool {
        id.run == self.id && self.open.contains_key(&key(id.step, id.index))
    }

    fn time_limit(&self, id: &EffectId) -> Option<Duration> {
        let open = self.open.get(&key(id.step, id.index))?;
        let Purpose::Work { .. } = open.purpose else { return None };
        let node = self.spec.node(id.step.checked_sub(1)?)?;
        node.timeout_ms.map(Duration::from_millis)
    }

    fn take_events(&mut self) -> Vec<Event> {
        self.events.take()
    }

    fn settle(&mut self, settlement: Settlement) -> Result<(), SettleError> {
        let Settlement { id, outcome, timing } = settlement;
        if self.status.is_some() {
            return Err(SettleError::Finished);
        }
        let key = key(id.step, id.index);
        let node = id.step.wrapping_sub(1);
        let Some(open) = self.open.get(&key).filter(|_| id.run == self.id) else {
            let past = self.nodes.get(node as usize).is_some_and(|run| id.index < run.next_index);
            return Err(if past && id.run == self.id {
                SettleError::AlreadySettled(id)
            } else {
                SettleError::Unknown(id)
            });
        };
        if !fits(open, &outcome) {
            return Err(SettleError::Mismatch(id));
        }
        let Some(open) = self.open.remove(&key) else { return Err(SettleError::Unknown(id)) };
        self.timing = self.timing.spanning(&timing);
        if let Some(run) = self.node_mut(node)
            && !run.status.is_settled()
        {
            run.timing = run.timing.spanning(&timing);
        }
        self.take_outcome(node, open, outcome, id, timing);
        self.advance();
        Ok(())
    }

    fn stop(&mut self, reason: StopReason, at_ms: u64) {
        if self.status.is_some() {
            return;
        }
        self.timing = self.timing.spanning(&Timing { started_ms: at_ms, elapsed_us: 0 });
        self.finish(Some(match reason {
            StopReason::Cancelled => GraphStatus::Cancelled,
            StopReason::TimedOut => GraphStatus::TimedOut,
        }));
    }
}

/// Whether the outcome is one of the open effect.
fn fits(open: &Open, outcome: &Outcome) -> bool {
    match (&open.effect, outcome) {
        (Effect::Child { .. }, Outcome::Child { .. })
        | (Effect::Function { .. }, Outcome::Function { .. })
        | (Effect::Tool { .. }, Outcome::Tool { .. })
        | (Effect::Approve { .. }, Outcome::Approve { .. })
        | (Effect::Decide { .. }, Outcome::Decide { .. })
        | (Effect::Wait { .. }, Outcome::Wait) => true,
        (_, Outcome::TimedOut { .. }) => matches!(open.purpose, Purpose::Work { .. }),
        _ => false,
    }
}
