//! Edges: what their conditions say, and what follows for the nodes that they lead to.

use std::collections::HashMap;

use crate::effect::{ConditionOf, Effect};
use crate::graph::build::NodeIndex;
use crate::graph::result::{NodeStatus, SkipCause, SkipKind};
use crate::graph::spec::{Condition, Join, NodeFailure, NodeFailureKind, When};
use crate::graph::state::State;

use super::{GraphRun, Purpose};

/// What is known of an edge whose node has ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum EdgeState {
    Taken,
    NotChosen(SkipCause),
    Failed(SkipCause),
    /// Its condition cannot be evaluated.
    Broken(String),
}

impl GraphRun {
    /// Gives all edges that leave a node the same state.
    pub(super) fn tell_all(&mut self, node: NodeIndex, state: &EdgeState) {
        let spec = self.spec.clone();
        self.told.extend(spec.outgoing(node).iter().map(|edge| (*edge, state.clone())));
    }

    /// The node completed: decides which edges are taken. The host is asked for what it alone can tell.
    pub(super) fn decide_edges(&mut self, node: NodeIndex) {
        let spec = self.spec.clone();
        let state = self.state.current().clone();
        let mut has_cases = false;
        for edge in spec.outgoing(node) {
            match spec.edges.get(*edge as usize).map(|edge| &edge.when) {
                Some(When::Always) => self.told.push_back((*edge, EdgeState::Taken)),
                Some(When::If(condition)) => match self.ask(node, *edge, condition, &state) {
                    Some(Ok(true)) => self.told.push_back((*edge, EdgeState::Taken)),
                    Some(Ok(false)) => self.not_chosen(node, *edge),
                    Some(Err(problem)) => self.told.push_back((*edge, EdgeState::Broken(problem))),
                    None => {}
                },
                Some(When::Case(_) | When::Otherwise) => has_cases = true,
                None => {}
            }
        }
        if has_cases {
            self.decide_cases(node, 0, &state);
        }
    }

    /// Goes through the cases of a node from the `from`-th edge on, up to the first that holds or that the host has to
    /// be asked for.
    fn decide_cases(&mut self, node: NodeIndex, from: usize, state: &State) {
        let spec = self.spec.clone();
        for (place, edge) in spec.outgoing(node).iter().enumerate().skip(from) {
            let Some(When::Case(condition)) = spec.edges.get(*edge as usize).map(|edge| &edge.when) else {
                continue;
            };
            match self.ask(node, *edge, condition, state) {
                Some(Ok(false)) => self.not_chosen(node, *edge),
                Some(result) => return self.case_decided(node, place, result),
                None => return,
            }
        }
        self.otherwise(node, &EdgeState::Taken);
    }

    /// The `place`-th edge of a node is a case that is taken, or that is broken: then so is the rest of the choice.
    fn case_decided(&mut self, node: NodeIndex, place: usize, result: Result<bool, String>) {
        let spec = self.spec.clone();
        let cause = self.choice(node);
        let (this, rest) = match result {
            Ok(_) => (EdgeState::Taken, EdgeState::NotChosen(cause)),
            Err(problem) => (EdgeState::Broken(problem.clone()), EdgeState::Broken(problem)),
        };
        for (at, edge) in spec.outgoing(node).iter().enumerate().skip(place) {
            if at == place {
                self.told.push_back((*edge, this.clone()));
            } else if matches!(spec.edges.get(*edge as usize).map(|edge| &edge.when), Some(When::Case(_))) {
                self.told.push_back((*edge, rest.clone()));
            }
        }
        self.otherwise(node, &rest);
    }

    fn otherwise(&mut self, node: NodeIndex, state: &EdgeState) {
        let spec = self.spec.clone();
        for edge in spec.outgoing(node) {
            if matches!(spec.edges.get(*edge as usize).map(|edge| &edge.when), Some(When::Otherwise)) {
                self.told.push_back((*edge, state.clone()));
            }
        }
    }

    /// What the condition of an edge says; `None` if the host was asked.
    fn ask(
        &mut self,
        node: NodeIndex,
        edge: u32,
        condition: &Condition,
        state: &State,
    ) -> Option<Result<bool, String>> {
        match condition {
            Condition::Expression(expression) => {
                Some(expression.holds(state).map_err(|error| format!("`{}`: {error}", expression.as_str())))
            }
            Condition::Host => {
                let (from, to) = self.spec.ends(edge)?;
                let condition = ConditionOf::Edge {
                    from: self.spec.name(from).to_string(),
                    to: self.spec.name(to).to_string(),
                };
                let effect = Effect::Decide { condition, state: state.clone() };
                self.ask_for(node, effect, Purpose::Edge { edge });
                None
            }
        }
    }

    /// The host said what the condition of an edge says, on that state.
    pub(super) fn edge_decided(
        &mut self,
        node: NodeIndex,
        edge: u32,
        result: Result<bool, String>,
        state: &State,
    ) {
        let spec = self.spec.clone();
        let is_case = matches!(spec.edges.get(edge as usize).map(|edge| &edge.when), Some(When::Case(_)));
        let place = spec.outgoing(node).iter().position(|other| *other == edge).unwrap_or_default();
        match (is_case, result) {
            (true, Ok(false)) => {
                self.not_chosen(node, edge);
                self.decide_cases(node, place + 1, state);
            }
            (true, result) => self.case_decided(node, place, result),
            (false, Ok(true)) => self.told.push_back((edge, EdgeState::Taken)),
            (false, Ok(false)) => self.not_chosen(node, edge),
            (false, Err(problem)) => self.told.push_back((edge, EdgeState::Broken(problem))),
        }
    }

    fn not_chosen(&mut self, node: NodeIndex, edge: u32) {
        let cause = self.choice(node);
        self.told.push_back((edge, EdgeState::NotChosen(cause)));
    }

    fn choice(&self, node: NodeIndex) -> SkipCause {
        let name = self.spec.name(node);
        SkipCause { kind: SkipKind::NotChosen, origin: name.clone(), from: name }
    }

    /// Tells nodes what became of their inbound edges, until nothing more follows.
    pub(super) fn tell_edges(&mut self) {
        while let Some((edge, state)) = self.told.pop_front() {
            let Some((from, to)) = self.spec.ends(edge) else { continue };
            self.tell(from, to, state);
        }
    }

    fn tell(&mut self, from: NodeIndex, to: NodeIndex, state: EdgeState) {
        let spec = self.spec.clone();
        let inbound = u32::try_from(spec.incoming(to).len()).unwrap_or(u32::MAX);
        let join = spec.join(to);
        let Some(run) = self.node_mut(to) else { return };
        run.known += 1;
        if run.status != NodeStatus::Pending {
            return;
        }
        let mut at_once = None;
        match state {
            EdgeState::Taken => run.taken += 1,
            EdgeState::NotChosen(cause) => {
                if join == Join::All {
                    at_once = Some(cause);
                } else if run
                    .cause
                    .as_ref()
                    .is_none_or(|known| cause.kind.is_error() && !known.kind.is_error())
                {
                    // An error is more telling than a choice.
                    run.cause = Some(cause);
                }
            }
            EdgeState::Failed(cause) => {
                if matches!(join, Join::All | Join::AllTaken) {
                    at_once = Some(cause);
                } else if run.cause.as_ref().is_none_or(|known| known.kind != SkipKind::Failed) {
                    run.cause = Some(cause);
                }
            }
            EdgeState::Broken(problem) => {
                let message = format!(
                    "the condition of the edge `{}` -> `{}`: {problem}",
                    spec.name(from),
                    spec.name(to)
                );
                return self.failed(to, NodeFailure::new(NodeFailureKind::Condition, message));
            }
        }
        if let Some(cause) = at_once {
            return self.skipped(to, cause);
        }
        let (taken, open) = (run.taken, inbound.saturating_sub(run.known));
        let (needed, wait_for_all) = match join {
            Join::All => (inbound, false),
            Join::AllTaken => (1, true),
            Join::Any | Join::FirstOk => (1, false),
            Join::NOf(needed) => (needed.max(1), false),
        };
        if taken >= needed && (!wait_for_all || open == 0) {
            self.ready(to);
            if join == Join::FirstOk {
                self.cancel_losers(to);
            }
        } else if taken.saturating_add(open) < needed {
            let cause = run.cause.take();
            let cause = cause.unwrap_or_else(|| self.choice(from));
            self.skipped(to, cause);
        }
    }

    /// Cancels what has not ended and leads to this node alone.
    fn cancel_losers(&mut self, winner: NodeIndex) {
        let spec = self.spec.clone();
        let name = spec.name(winner);
        // Of the edges that leave a node, those that lead to the winner or to what is cancelled for it.
        let mut needless: HashMap<NodeIndex, usize> = HashMap::new();
        let mut below = vec![winner];
        while let Some(node) = below.pop() {
            for (from, _) in spec.incoming(node).iter().filter_map(|edge| spec.ends(*edge)) {
                let count = needless.entry(from).or_default();
                *count += 1;
                if *count == spec.outgoing(from).len() && !self.status_of(from).is_settled() {
                    let cause = SkipCause { kind: SkipKind::Lost, origin: name.clone(), from: name.clone() };
                    self.cancel(from, cause);
                    below.push(from);
                }
            }
        }
    }
}
