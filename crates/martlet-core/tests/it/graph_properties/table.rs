//! What follows from what: the tables of `martlet_core::graph`, word by word, without a thought for speed.

use std::collections::VecDeque;

use martlet_core::GraphStatus;
use martlet_core::graph::{Join, OnError, SkipKind};

use super::case::{Case, Taken, Truth};

/// Why something does not run: the kind and the node where it began.
pub(super) type Cause = (SkipKind, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EdgeState {
    Open,
    Taken,
    NotChosen(Cause),
    Failed(Cause),
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeState {
    Pending,
    Started,
    Completed,
    Failed,
    Skipped(Cause),
    Cancelled(Cause),
}

impl NodeState {
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Started)
    }
}

/// What a change leads to that is not a matter of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The node's work may begin.
    Start(usize),
    /// Nothing will happen to the node any more.
    Ended(usize),
    /// The host is asked for the condition of an edge.
    Decide(usize),
}

pub(super) struct Table<'a> {
    case: &'a Case,
    joins: Vec<Join>,
    /// What is known of the conditions of edges.
    known: Vec<Option<Truth>>,
    /// The cases for which the host was asked.
    asked: Vec<bool>,
    edges: Vec<EdgeState>,
    /// Edges of which the nodes that they lead to were not told.
    settled: VecDeque<(usize, EdgeState)>,
    pub(super) nodes: Vec<NodeState>,
    /// Nodes whose work failed, whatever that was made to count as.
    pub(super) errors: Vec<bool>,
    pub(super) changes: Vec<Change>,
    /// Whether the graph ended before its nodes.
    pub(super) over: bool,
}

impl<'a> Table<'a> {
    pub(super) fn new(case: &'a Case, joins: Vec<Join>) -> Self {
        let (nodes, edges) = (case.nodes.len(), case.edges.len());
        let mut table = Self {
            case,
            joins,
            known: vec![None; edges],
            asked: vec![false; edges],
            edges: vec![EdgeState::Open; edges],
            settled: VecDeque::new(),
            nodes: vec![NodeState::Pending; nodes],
            errors: vec![false; nodes],
            changes: Vec::new(),
            over: false,
        };
        for node in 0..nodes {
            if case.inbound(node).next().is_none() {
                table.start(node);
            }
        }
        table.follow();
        table
    }

    /// The work of a node is over.
    pub(super) fn worked(&mut self, node: usize, succeeded: bool) {
        assert_eq!(self.nodes[node], NodeState::Started, "{node}");
        if succeeded {
            self.complete(node)
        } else {
            self.fail(node)
        }
        self.follow();
    }

    /// The host told whether the condition of an edge holds.
    pub(super) fn decided(&mut self, edge: usize) {
        if let Taken::If(says) | Taken::Case(says) = self.case.edges[edge].when {
            self.known[edge] = Some(says.what);
            self.settle_edges(self.case.edges[edge].from);
        }
        self.follow();
    }

    fn start(&mut self, node: usize) {
        self.nodes[node] = NodeState::Started;
        // Where there is nothing to do, nothing is begun.
        let empty = self.case.nodes[node].copies.is_some_and(|copies| copies.items == 0);
        if !empty {
            self.changes.push(Change::Start(node));
        }
        if self.joins[node] == Join::FirstOk {
            self.cancel_losers(node);
        }
        if empty {
            self.complete(node);
        }
    }

    fn end(&mut self, node: usize, state: NodeState) {
        assert!(self.nodes[node].is_open(), "{node} ends twice");
        self.nodes[node] = state;
        self.changes.push(Change::Ended(node));
    }

    fn complete(&mut self, node: usize) {
        self.end(node, NodeState::Completed);
        for edge in self.case.outbound(node) {
            match self.case.edges[edge].when {
                Taken::If(says) | Taken::Case(says) if says.host.is_none() => {
                    self.known[edge] = Some(says.what);
                }
                Taken::If(_) => self.changes.push(Change::Decide(edge)),
                // The host is asked for a case when no earlier one is taken.
                _ => {}
            }
        }
        self.settle_edges(node);
    }

    fn fail(&mut self, node: usize) {
        self.errors[node] = true;
        match self.case.nodes[node].on_error {
            OnError::Continue => self.complete(node),
            OnError::Skip => self.skip(node, (SkipKind::Error, node)),
            OnError::Fail => {
                self.end(node, NodeState::Failed);
                self.settle_all(node, EdgeState::Failed((SkipKind::Failed, node)));
            }
        }
    }

    fn skip(&mut self, node: usize, cause: Cause) {
        self.end(node, NodeState::Skipped(cause));
        let state =
            if cause.0 == SkipKind::Failed { EdgeState::Failed(cause) } else { EdgeState::NotChosen(cause) };
        self.settle_all(node, state);
    }

    /// The graph ends before its nodes.
    pub(super) fn stop(&mut self, cause: Cause) {
        if self.over {
            return;
        }
        self.over = true;
        for node in 0..self.nodes.len() {
            self.cancel(node, cause);
        }
    }

    /// Stops a node where it stands.
    fn cancel(&mut self, node: usize, cause: Cause) {
        let start = self.changes.iter().position(|change| *change == Change::Start(node));
        match (self.nodes[node], start) {
            // It would have started in this moment.
            (NodeState::Started, Some(start)) => {
                self.changes.remove(start);
                self.end(node, NodeState::Skipped(cause));
            }
            (NodeState::Started, None) => self.end(node, NodeState::Cancelled(cause)),
            (NodeState::Pending, _) => self.end(node, NodeState::Skipped(cause)),
            _ => {}
        }
    }

    fn settle_all(&mut self, node: usize, state: EdgeState) {
        for edge in self.case.outbound(node) {
            self.settle(edge, state);
        }
    }

    /// Settles those edges of a completed node of which enough is known.
    fn settle_edges(&mut self, node: usize) {
        let not_chosen = EdgeState::NotChosen((SkipKind::NotChosen, node));
        let own = |truth: Option<Truth>| match truth {
            None => EdgeState::Open,
            Some(Truth::Yes) => EdgeState::Taken,
            Some(Truth::No) => not_chosen,
            Some(Truth::Broken) => EdgeState::Broken,
        };
        for edge in self.case.outbound(node) {
            match self.case.edges[edge].when {
                Taken::Always => self.settle(edge, EdgeState::Taken),
                Taken::If(_) => self.settle(edge, own(self.known[edge])),
                _ => {}
            }
        }
        // What came of the cases before this one, as if they were one edge: taken, broken, not chosen, or open.
        let mut cases = not_chosen;
        for edge in self.case.outbound(node) {
            let Taken::Case(_) = self.case.edges[edge].when else { continue };
            let state = match cases {
                EdgeState::Taken => not_chosen,
                EdgeState::NotChosen(_) => {
                    cases = own(self.known[edge]);
                    if cases == EdgeState::Open && !self.asked[edge] {
                        self.asked[edge] = true;
                        self.changes.push(Change::Decide(edge));
                    }
                    cases
                }
                open_or_broken => open_or_broken,
            };
            self.settle(edge, state);
        }
        let otherwise = match cases {
            EdgeState::Taken => not_chosen,
            EdgeState::NotChosen(_) => EdgeState::Taken,
            open_or_broken => open_or_broken,
        };
        for edge in self.case.outbound(node) {
            if self.case.edges[edge].when == Taken::Otherwise {
                self.settle(edge, otherwise);
            }
        }
    }

    fn settle(&mut self, edge: usize, state: EdgeState) {
        if self.over || self.edges[edge] != EdgeState::Open || state == EdgeState::Open {
            return;
        }
        self.settled.push_back((edge, state));
    }

    /// Goes on to what follows from edges: what is nearer comes first.
    fn follow(&mut self) {
        while let Some((edge, state)) = self.settled.pop_front() {
            self.edges[edge] = state;
            let node = self.case.edges[edge].to;
            if self.nodes[node] == NodeState::Pending {
                self.look(node, state);
            }
        }
        // A failure may turn out to matter only when the last edge that could have made up for it is gone.
        if self.case.fail_fast
            && let Some(node) = self.what_matters()
        {
            self.stop((SkipKind::Ended, node));
        }
    }

    /// The second table: an inbound edge of a node that waits has just got its state.
    fn look(&mut self, node: usize, new: EdgeState) {
        if new == EdgeState::Broken {
            return self.fail(node);
        }
        let states: Vec<EdgeState> = self.case.inbound(node).map(|edge| self.edges[edge]).collect();
        let count = |wanted: EdgeState| states.iter().filter(|state| **state == wanted).count();
        let (taken, open) = (count(EdgeState::Taken), count(EdgeState::Open));
        let (starts, skipped) = match self.joins[node] {
            Join::All => (taken == states.len(), new != EdgeState::Taken),
            Join::AllTaken => {
                let failed = matches!(new, EdgeState::Failed(_));
                (!failed && open == 0 && taken > 0, failed || open == 0 && taken == 0)
            }
            Join::Any | Join::FirstOk => (taken == 1, taken + open == 0),
            Join::NOf(m) => (taken == m as usize, taken + open < m as usize),
        };
        if starts {
            self.start(node);
        } else if skipped {
            // What went wrong says more than what was not chosen.
            let worst = |state: &EdgeState| match state {
                EdgeState::Failed(cause) | EdgeState::NotChosen(cause) => Some(*cause),
                _ => None,
            };
            let of = |kind: SkipKind| states.iter().filter_map(worst).find(|cause| cause.0 == kind);
            let cause = of(SkipKind::Failed)
                .or_else(|| of(SkipKind::Error))
                .or_else(|| states.iter().filter_map(worst).next());
            self.skip(node, cause.unwrap());
        }
    }

    /// A join has its first result: what runs or waits for it alone is not needed any more.
    fn cancel_losers(&mut self, winner: usize) {
        let mut lost = vec![false; self.nodes.len()];
        // Edges lead from lower numbers to higher ones.
        for node in (0..winner).rev() {
            let mut targets = self.case.outbound(node).map(|edge| self.case.edges[edge].to).peekable();
            lost[node] = self.nodes[node].is_open()
                && targets.peek().is_some()
                && targets.all(|target| target == winner || lost[target]);
        }
        for (node, _) in lost.iter().enumerate().filter(|(_, lost)| **lost) {
            self.cancel(node, (SkipKind::Lost, winner));
        }
    }

    /// The failure that keeps something from running that the graph is there for: a node that nothing follows.
    fn what_matters(&self) -> Option<usize> {
        let ends = (0..self.nodes.len()).filter(|node| self.case.outbound(*node).next().is_none());
        ends.filter_map(|node| match self.nodes[node] {
            NodeState::Failed => Some(node),
            NodeState::Skipped((SkipKind::Failed, origin)) => Some(origin),
            _ => None,
        })
        .next()
    }

    /// How many nodes did not come to their end because of others.
    pub(super) fn stopped(&self) -> usize {
        let stopped = |state: &&NodeState| {
            matches!(
                state,
                NodeState::Cancelled(_) | NodeState::Skipped((SkipKind::Lost | SkipKind::Ended, _))
            )
        };
        self.nodes.iter().filter(stopped).count()
    }

    /// How the graph ended.
    pub(super) fn status(&self) -> GraphStatus {
        let error = |state: &NodeState| match state {
            NodeState::Failed => true,
            NodeState::Skipped((kind, _)) => kind.is_error(),
            _ => false,
        };
        if self.what_matters().is_some() {
            GraphStatus::Failed
        } else if self.nodes.iter().any(error) || self.errors.contains(&true) {
            GraphStatus::Partial
        } else {
            GraphStatus::Success
        }
    }
}
