//! The reference: when each node of a random graph starts and ends, where nothing limits how many run at once.
//!
//! What a node does does not depend on the others once it has started, so that it is worked out as a whole; what
//! follows from its end is the [`Table`]'s business.

use std::collections::BTreeSet;

use martlet_core::graph::{Join, NodeFailureKind, OnError};
use serde_json::{Map, Value, json};

use super::case::{Case, Ending, Input, Key, Node, Taken, Until, Worker};
use super::table::{Change, NodeState, Table};

/// What a node does when nothing stops it.
#[derive(Debug, Default)]
struct Work {
    ends: u64,
    succeeds: bool,
    /// Whether copies failed that it can do without.
    failures: bool,
    /// When its attempts begin.
    attempts: Vec<u64>,
    /// When it writes what; `null` for a failure that counts as a result is not among them.
    writes: Vec<(u64, Value)>,
    /// Whether something depends on the order of what happens at the same moment.
    tie: bool,
}

struct Worked<'a> {
    node: &'a Node,
    performed: Vec<usize>,
    asked: Vec<usize>,
    /// The copies whose call a person has approved, which holds for another attempt, too.
    approved: Vec<bool>,
    work: Work,
}

fn work(node: &Node, start: u64) -> Work {
    let copies = node.copies.map_or(1, |copies| copies.items);
    let mut worker = Worked {
        node,
        performed: vec![0; copies],
        asked: vec![0; copies],
        approved: vec![false; copies],
        work: Work::default(),
    };
    (worker.work.ends, worker.work.succeeds) = worker.times(start);
    worker.work
}

impl Worked<'_> {
    /// Everything, repetitions included: when it is done, and whether well.
    fn times(&mut self, start: u64) -> (u64, bool) {
        let mut now = start;
        for time in 1.. {
            let (end, result) = self.once(now);
            let Some(value) = result else { return (end, false) };
            self.work.writes.push((end, value));
            let Some(times) = self.node.repeat else { return (end, true) };
            let met = match times.until {
                Until::Yes => true,
                Until::No => false,
                Until::Host(at) => time >= at,
                Until::Broken | Until::HostBroken => return (end, false),
            };
            if met || time == times.max {
                return (end, met || !times.fail);
            }
            self.approved.fill(false);
            now = end;
        }
        unreachable!()
    }

    /// One time, all copies included.
    fn once(&mut self, start: u64) -> (u64, Option<Value>) {
        let Some(copies) = self.node.copies else { return self.copy(0, start) };
        if self.node.input == Input::Missing && copies.items > 0 && self.node.on_error == OnError::Fail {
            self.work.attempts.push(start);
            return (start, None);
        }
        let mut slots = BTreeSet::from_iter((0..copies.window).map(|slot| (start, slot)));
        let mut done: Vec<(u64, usize, Option<Value>)> = Vec::new();
        let mut failed_at = None;
        for copy in 0..copies.items {
            let (begins, slot) = slots.pop_first().unwrap();
            if failed_at.is_some_and(|failed| begins >= failed) {
                break;
            }
            let (end, result) = self.copy(u32::try_from(copy).unwrap(), begins);
            slots.insert((end, slot));
            if result.is_none() && self.node.on_error == OnError::Fail {
                failed_at = Some(failed_at.map_or(end, |failed: u64| failed.min(end)));
            }
            let ordered = copies.as_finished || self.node.on_error == OnError::Fail;
            self.work.tie |= ordered && done.iter().any(|(other, _, _)| *other == end);
            done.push((end, copy, result));
        }
        if let Some(failed) = failed_at {
            self.work.tie |= self.work.attempts.contains(&failed);
            self.work.attempts.retain(|attempt| *attempt < failed);
            return (failed, None);
        }
        let end = done.iter().map(|(end, _, _)| *end).max().unwrap_or(start);
        if copies.as_finished {
            done.sort_by_key(|(end, _, _)| *end);
        }
        self.work.failures |= done.iter().any(|(_, _, value)| value.is_none());
        let skip = self.node.on_error == OnError::Skip;
        let values = done.into_iter().map(|(_, _, value)| value).filter(|value| value.is_some() || !skip);
        (end, Some(values.map(|value| value.unwrap_or(Value::Null)).collect()))
    }

    /// One copy, or the node itself, with all its attempts.
    fn copy(&mut self, copy: u32, start: u64) -> (u64, Option<Value>) {
        if self.node.input == Input::Missing {
            self.work.attempts.push(start);
            return (start, None);
        }
        let mut now = start;
        for attempt in 0.. {
            let (end, result) = self.attempt(copy, now);
            let kind = match result {
                Ok(value) => return (end, Some(value)),
                Err(kind) => kind,
            };
            let retry = &self.node.retry;
            if attempt == retry.count || !retry.on.contains(&kind) {
                return (end, None);
            }
            let backoff = (0..attempt).fold(retry.backoff_ms as f64, |backoff, _| backoff * retry.factor);
            now = end + (backoff as u64).min(retry.max_backoff_ms);
        }
        unreachable!()
    }

    fn attempt(&mut self, copy: u32, mut now: u64) -> (u64, Result<Value, NodeFailureKind>) {
        let place = copy as usize;
        self.work.attempts.push(now);
        if self.node.worker == Worker::ApprovedTool && !self.approved[place] {
            let (ms, approved) = self.node.approval(copy, self.asked[place]);
            self.asked[place] += 1;
            now += ms;
            self.approved[place] = approved;
            if !approved {
                return (now, Err(NodeFailureKind::Denied));
            }
        }
        let attempt = self.node.attempt(copy, self.performed[place]);
        self.performed[place] += 1;
        if let Some(limit) = self.node.timeout
            && attempt.ms > limit
        {
            return (now + limit, Err(NodeFailureKind::TimedOut));
        }
        let tool = matches!(self.node.worker, Worker::Tool | Worker::ApprovedTool);
        let result = match attempt.end {
            Ending::Ok => Ok(json!(self.performed[place])),
            Ending::Failed => Err(NodeFailureKind::Failed),
            // A tool does not say more than that it failed.
            Ending::Unavailable | Ending::Host if tool => Err(NodeFailureKind::Failed),
            Ending::Unavailable => Err(NodeFailureKind::Unavailable),
            Ending::Host => Err(NodeFailureKind::Host),
        };
        (now + attempt.ms, result)
    }
}

/// What becomes of a node.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) state: NodeState,
    pub(super) starts: Option<u64>,
    pub(super) ends: u64,
    pub(super) attempts: usize,
    pub(super) error: bool,
}

/// What becomes of a graph.
pub(super) struct Prediction {
    pub(super) nodes: Vec<Expected>,
    pub(super) status: martlet_core::GraphStatus,
    pub(super) ends: u64,
    pub(super) state: Map<String, Value>,
    /// Whether it depends on the order of what happens at the same moment, so that the rest may be otherwise.
    pub(super) tie: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// The work of a node is over.
    Worked(usize),
    /// The host has decided on an edge.
    Decided(usize),
}

pub(super) fn predict(case: &Case, joins: Vec<Join>, start: u64) -> Prediction {
    let mut table = Table::new(case, joins);
    let mut works: Vec<Option<Work>> = case.nodes.iter().map(|_| None).collect();
    let mut starts = vec![None; case.nodes.len()];
    let mut ends = vec![start; case.nodes.len()];
    let mut queue: BTreeSet<(u64, Next)> = BTreeSet::new();
    let (mut now, mut tie) = (start, false);
    loop {
        for change in std::mem::take(&mut table.changes) {
            match change {
                Change::Start(node) => {
                    let work = work(&case.nodes[node], now);
                    starts[node] = Some(now);
                    queue.insert((work.ends, Next::Worked(node)));
                    tie |= work.tie;
                    works[node] = Some(work);
                }
                Change::Ended(node) => {
                    ends[node] = now;
                    let empty = works[node].is_none() && !table.errors[node];
                    if empty && table.nodes[node] == NodeState::Completed {
                        works[node] = Some(work(&case.nodes[node], now));
                    }
                }
                Change::Decide(edge) => {
                    if let Taken::If(says) | Taken::Case(says) = case.edges[edge].when {
                        queue.insert((now + says.host.unwrap_or_default(), Next::Decided(edge)));
                    }
                }
            }
        }
        if !table.nodes.iter().any(|node| node.is_open()) {
            break;
        }
        queue.retain(|(_, next)| match next {
            Next::Worked(node) => table.nodes[*node] == NodeState::Started,
            Next::Decided(_) => true,
        });
        let (time, next) = queue.pop_first().unwrap();
        // Two ends at one moment: the order matters to joins, lists and failures.
        tie |= queue.first().is_some_and(|(next, _)| *next == time);
        now = time;
        let stopped = table.stopped();
        match next {
            Next::Decided(edge) => table.decided(edge),
            Next::Worked(node) => {
                let work = works[node].as_ref().unwrap();
                table.errors[node] = work.failures;
                table.worked(node, work.succeeds);
                // What takes no time stops others in the moment in which they start, or would have.
                tie |= starts[node] == Some(now) && (table.over || table.stopped() > stopped);
            }
        }
    }
    let mut writes: Vec<(u64, usize, Value)> = Vec::new();
    let mut nodes = Vec::new();
    for (place, work) in works.iter().enumerate() {
        let state = table.nodes[place];
        let mut attempts = 0;
        if let Some(work) = work {
            let cut = matches!(state, NodeState::Cancelled(_));
            tie |= cut
                && (work.attempts.contains(&ends[place])
                    || work.writes.iter().any(|(at, _)| *at == ends[place]));
            attempts = work.attempts.iter().filter(|at| !cut || **at < ends[place]).count();
            writes.extend(
                work.writes
                    .iter()
                    .filter(|(at, _)| !cut || *at < ends[place])
                    .map(|(at, value)| (*at, place, value.clone())),
            );
        }
        if state == NodeState::Completed
            && table.errors[place]
            && !work.as_ref().is_some_and(|work| work.succeeds)
        {
            writes.push((ends[place], place, Value::Null));
        }
        nodes.push(Expected {
            state,
            starts: starts[place],
            ends: ends[place],
            attempts,
            error: table.errors[place],
        });
    }
    writes.sort_by_key(|(at, _, _)| *at);
    let state = writes.into_iter().fold(case.input(), |mut state, (_, node, value)| {
        let old = state.get(&case.key(node)).cloned();
        let new = match (case.nodes[node].key, old, value) {
            (Key::Own, _, new) => new,
            (Key::Log, old, Value::Array(new)) => {
                [old.as_ref().and_then(Value::as_array).cloned().unwrap_or_default(), new].concat().into()
            }
            (Key::Log, old, new) => {
                [old.as_ref().and_then(Value::as_array).cloned().unwrap_or_default(), vec![new]]
                    .concat()
                    .into()
            }
            (Key::Sum, old, new) => {
                json!(old.as_ref().and_then(Value::as_u64).unwrap_or_default() + new.as_u64().unwrap())
            }
        };
        state.insert(case.key(node), new);
        state
    });
    Prediction { nodes, status: table.status(), ends: now, state, tie }
}
