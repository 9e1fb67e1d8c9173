//! What there is to show of a graph and its execution, before any format.

use std::fmt::Write as _;

use super::words::{duration, sign, status};
use crate::graph::{
    Condition, GraphResult, GraphSpec, Join, NodeFailureKind, NodeReport, NodeSpec, NodeStatus, SkipKind,
    When, Work,
};

/// A graph, and what became of its nodes and edges.
pub(super) struct View<'a> {
    pub(super) graph: &'a GraphSpec,
    pub(super) result: Option<&'a GraphResult>,
    reports: Vec<Option<&'a NodeReport>>,
    /// What became of each edge; `None` where that cannot be known from the result.
    passages: Vec<Option<Passage>>,
    /// For each node of the critical path the one after it.
    critical_next: Vec<Option<u32>>,
}

/// What became of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    Taken,
    NotTaken,
    Failed,
}

impl<'a> View<'a> {
    pub(super) fn new(graph: &'a GraphSpec, result: Option<&'a GraphResult>) -> Self {
        let mut reports = vec![None; graph.len()];
        let mut critical_next = vec![None; graph.len()];
        for report in result.iter().flat_map(|result| &result.nodes) {
            if let Some(slot) = graph.place(&report.name).and_then(|place| reports.get_mut(place as usize)) {
                *slot = Some(report);
            }
        }
        if let Some(result) = result {
            for (node, next) in result.critical_path.iter().zip(result.critical_path.iter().skip(1)) {
                let slot = graph.place(node).and_then(|place| critical_next.get_mut(place as usize));
                if let Some(slot) = slot {
                    *slot = graph.place(next);
                }
            }
        }
        let mut view = Self { graph, result, reports, passages: Vec::new(), critical_next };
        if result.is_some() {
            view.passages = view.find_passages();
        }
        view
    }

    /// All nodes with their places.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (u32, &'a NodeSpec)> {
        (0..).zip(&self.graph.nodes)
    }

    /// All edges: number, and the nodes at its ends.
    pub(super) fn edges(&self) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        (0..).map_while(|edge| self.graph.ends(edge).map(|(from, to)| (edge, from, to)))
    }

    pub(super) fn report(&self, node: u32) -> Option<&'a NodeReport> {
        self.reports.get(node as usize).copied().flatten()
    }

    pub(super) fn passage(&self, edge: u32) -> Option<Passage> {
        self.passages.get(edge as usize).copied().flatten()
    }

    /// Whether the edge joins two nodes of the critical path.
    pub(super) fn is_critical(&self, edge: u32) -> bool {
        self.graph.ends(edge).is_some_and(|(from, to)| {
            self.critical_next.get(from as usize).copied().flatten() == Some(to)
                && matches!(self.passage(edge), None | Some(Passage::Taken))
        })
    }

    /// Whether the edge is drawn dashed: it was not taken, or need not be.
    pub(super) fn is_dashed(&self, edge: u32) -> bool {
        match self.passage(edge) {
            Some(passage) => passage != Passage::Taken,
            None => self.label(edge).is_some(),
        }
    }

    fn when(&self, edge: u32) -> Option<&'a When> {
        self.graph.edges.get(edge as usize).map(|edge| &edge.when)
    }

    /// What a conditional edge says.
    pub(super) fn label(&self, edge: u32) -> Option<String> {
        match self.when(edge)? {
            When::Always => None,
            When::If(condition) => Some(words_of(condition).into()),
            When::Case(condition) => {
                Some(format!("case {}: {}", self.case_number(edge), words_of(condition)))
            }
            When::Otherwise => Some("otherwise".into()),
        }
    }

    /// The place of a case among those of its node, from 1: the order in which they are asked. Counted up to 100, so
    /// that a node with very many cases does not cost the square of them.
    fn case_number(&self, edge: u32) -> String {
        let outgoing = self.graph.ends(edge).map_or(&[][..], |(from, _)| self.graph.outgoing(from));
        let mut number = 0;
        for other in outgoing.iter().take(100) {
            if matches!(self.when(*other), Some(When::Case(_))) {
                number += 1;
            }
            if *other == edge {
                return number.to_string();
            }
        }
        "…".into()
    }

    /// A node in lines of text: its name, its kind, its marks, and what became of it.
    pub(super) fn lines(&self, place: u32, node: &NodeSpec) -> Vec<String> {
        let mut lines = vec![node.name.clone(), kind(node)];
        lines.extend(self.marks(place, node));
        if let Some(report) = self.report(place) {
            let mut line = format!("{} {}", sign(report.status), status(report.status));
            if report.attempts > 0 {
                let _ = write!(line, " {}", duration(report.timing.elapsed_us));
            }
            if report.attempts > 1 {
                let _ = write!(line, ", {} attempts", report.attempts);
            }
            lines.push(line);
        }
        lines
    }

    /// What else has to be known of a node: its join if it was set, copies, repetition.
    pub(super) fn marks(&self, place: u32, node: &NodeSpec) -> Vec<String> {
        let inbound = self.graph.incoming(place).len();
        let mut marks = Vec::new();
        match node.join {
            Some(join) if inbound > 1 => marks.push(match join {
                Join::All => "all of them".into(),
                Join::AllTaken => "all taken".into(),
                Join::Any => "any".into(),
                Join::NOf(n) => format!("{n} of {inbound}"),
                Join::FirstOk => "first ok".into(),
            }),
            _ => {}
        }
        if let Some(each) = &node.for_each {
            let items = self.report(place).and_then(|report| report.items);
            marks.push(match items {
                Some(items) => format!("×{items} {}", each.over.as_str()),
                None => format!("×{}", each.over.as_str()),
            });
        }
        if let Some(repeat) = &node.repeat {
            marks.push(format!("until {}, at most {}", words_of(&repeat.until), repeat.max));
        }
        marks
    }

    /// For each edge what became of it, as far as the reports of the nodes tell.
    fn find_passages(&self) -> Vec<Option<Passage>> {
        let mut found: Vec<Option<Passage>> =
            self.edges().map(|(edge, from, to)| self.passage_by_ends(edge, from, to)).collect();
        for (node, _) in self.nodes() {
            self.choose_case(node, &mut found);
        }
        for (node, _) in self.nodes() {
            self.find_last_inbound(node, &mut found);
        }
        found
    }

    fn passage_by_ends(&self, edge: u32, from: u32, to: u32) -> Option<Passage> {
        let (before, after) = (self.report(from)?, self.report(to)?);
        match before.status {
            NodeStatus::Completed => {}
            NodeStatus::Failed => return Some(Passage::Failed),
            NodeStatus::Skipped if caused_by(before, SkipKind::Failed) => return Some(Passage::Failed),
            NodeStatus::Skipped | NodeStatus::Cancelled => return Some(Passage::NotTaken),
            NodeStatus::Pending | NodeStatus::Queued | NodeStatus::Running => return None,
        }
        if self.when(edge).is_none_or(|when| *when == When::Always) {
            return Some(Passage::Taken);
        }
        let alone = self.graph.incoming(to).len() == 1;
        let broken = after.error.as_ref().is_some_and(|error| error.kind == NodeFailureKind::Condition);
        if after.attempts > 0 {
            (alone || self.graph.join(to) == Join::All).then_some(Passage::Taken)
        } else if after.status == NodeStatus::Failed {
            (alone && broken).then_some(Passage::Failed)
        } else if !after.status.is_settled() {
            None
        } else {
            let none_was = caused_by(after, SkipKind::NotChosen)
                && !matches!(self.graph.join(to), Join::All | Join::NOf(_));
            let this_was_not = after.cause.as_ref().is_some_and(|cause| cause.from == before.name);
            (alone || none_was || this_was_not).then_some(Passage::NotTaken)
        }
    }

    /// Of the cases of a node at most one is taken, and with an `otherwise` exactly one.
    fn choose_case(&self, node: u32, found: &mut [Option<Passage>]) {
        let is_choice = |edge: &u32| matches!(self.when(*edge), Some(When::Case(_) | When::Otherwise));
        let edges: Vec<usize> = self
            .graph
            .outgoing(node)
            .iter()
            .filter(|edge| is_choice(edge))
            .map(|edge| *edge as usize)
            .collect();
        let taken = edges.iter().any(|edge| found[*edge] == Some(Passage::Taken));
        let open = edges.iter().filter(|edge| found[**edge].is_none()).count();
        let complete =
            self.graph.outgoing(node).iter().any(|edge| matches!(self.when(*edge), Some(When::Otherwise)));
        for edge in edges {
            if found[edge].is_none() && (taken || (open == 1 && complete)) {
                found[edge] = Some(if taken { Passage::NotTaken } else { Passage::Taken });
            }
        }
    }

    /// A node that ran was reached by some edge: if it can only be one, by that.
    fn find_last_inbound(&self, node: u32, found: &mut [Option<Passage>]) {
        if self.report(node).is_none_or(|report| report.attempts == 0) {
            return;
        }
        let inbound = self.graph.incoming(node);
        let mut open = inbound.iter().filter(|edge| found[**edge as usize].is_none());
        if let (Some(only), None) = (open.next(), open.next())
            && !inbound.iter().any(|edge| found[*edge as usize] == Some(Passage::Taken))
        {
            found[*only as usize] = Some(Passage::Taken);
        }
    }
}

fn caused_by(report: &NodeReport, kind: SkipKind) -> bool {
    report.cause.as_ref().is_some_and(|cause| cause.kind == kind)
}

fn words_of(condition: &Condition) -> &str {
    match condition {
        Condition::Expression(expression) => expression.as_str(),
        Condition::Host => "condition",
    }
}

/// Who does the work of a node, in a word.
pub(super) fn kind(node: &NodeSpec) -> String {
    match &node.work {
        Work::Agent => "agent".into(),
        Work::Graph => "graph".into(),
        Work::Function => "function".into(),
        Work::Tool { spec } if spec.name == node.name => "tool".into(),
        Work::Tool { spec } => format!("tool {}", spec.name),
    }
}
