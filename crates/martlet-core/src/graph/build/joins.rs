//! Under which choices of branches each node runs, and what its join makes of that.
//!
//! Every condition is a variable of its own, which may hold or not whatever the others do. An edge is taken if its node
//! runs and its condition holds; whether a node runs follows from its join. Failures are no choices: nothing is said
//! here of what they do.

use super::edges::Edges;
use super::error::GraphError;
use super::{Name, NodeIndex};
use crate::graph::presence::{Formula, Formulas};
use crate::graph::spec::{EdgeSpec, Join, NodeSpec, When};

/// What follows from the edges and joins of a graph, by node.
#[derive(Debug)]
pub(super) struct Joins {
    /// When each node starts: what was set, or what follows from its edges.
    pub(super) joins: Vec<Join>,
    /// Under which choices it runs; `None` if that is too large a formula.
    pub(super) presence: Vec<Option<Formula>>,
    /// What its start and its end wait for.
    pub(super) waits: Vec<Waits>,
    /// Where the formulas are.
    pub(super) formulas: Formulas,
}

/// For which of the nodes right before it a node waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// It may start while some of them run.
    No,
    /// It starts when all of them have ended, but may be skipped before that.
    Start,
    /// It starts and is skipped only when all of them have ended.
    Always,
}

impl Joins {
    /// Goes through the nodes in their order.
    pub(super) fn new(
        nodes: &[NodeSpec],
        edge_specs: &[EdgeSpec],
        names: &[Name],
        edges: &Edges,
        order: &[NodeIndex],
    ) -> Result<Self, GraphError> {
        let mut walk = Walk {
            found: Self {
                joins: vec![Join::All; nodes.len()],
                presence: vec![None; nodes.len()],
                waits: vec![Waits::Always; nodes.len()],
                formulas: Formulas::new(),
            },
            edges,
            edge_specs,
            names,
            taken: vec![None; edges.len()],
            conditions: Vec::new(),
        };
        for place in order {
            if let Some(node) = nodes.get(*place as usize) {
                walk.enter(*place, node)?;
                walk.leave(*place)?;
            }
        }
        Ok(walk.found)
    }
}

struct Walk<'a> {
    found: Joins,
    edges: &'a Edges,
    edge_specs: &'a [EdgeSpec],
    names: &'a [Name],
    /// Under which choices each edge is taken.
    taken: Vec<Option<Formula>>,
    /// The edge of each variable.
    conditions: Vec<u32>,
}

impl Walk<'_> {
    /// Finds the join and the presence of a node whose inbound edges are known.
    fn enter(&mut self, place: NodeIndex, node: &NodeSpec) -> Result<(), GraphError> {
        let inbound = self.edges.incoming(place);
        check_count(node, inbound.len())?;
        let at = place as usize;
        if inbound.is_empty() {
            set(&mut self.found.presence, at, Some(Formula::ALWAYS));
            return Ok(());
        }
        let taken: Option<Vec<Formula>> =
            inbound.iter().map(|edge| self.taken.get(*edge as usize).copied().flatten()).collect();
        let uniform = taken.as_ref().is_some_and(|taken| taken.windows(2).all(|it| it.first() == it.last()));
        let join = node.join.unwrap_or(if uniform { Join::All } else { Join::AllTaken });
        set(&mut self.found.joins, at, join);

        let any = taken.as_deref().and_then(|taken| self.any(taken));
        let presence = match join {
            Join::Any | Join::FirstOk | Join::AllTaken => any,
            Join::All => taken.as_deref().and_then(|taken| self.all(taken)),
            Join::NOf(count) => {
                taken.as_deref().and_then(|taken| self.found.formulas.at_least(count as usize, taken))
            }
        };
        set(&mut self.found.presence, at, presence);
        if presence == Some(Formula::NEVER) {
            return Err(GraphError::NeverRuns { node: node.name.clone(), join });
        }
        let complete = match (any, presence) {
            (Some(any), Some(presence)) => any == presence,
            _ => true,
        };
        if !complete && !node.may_skip {
            return Err(GraphError::IncompleteJoin {
                node: node.name.clone(),
                join,
                choice: self.choice(any, presence),
            });
        }
        let waits = match join {
            Join::AllTaken => Waits::Always,
            Join::NOf(count) if (count as usize) < inbound.len() => self.exclusive(place),
            Join::All | Join::NOf(_) if complete => Waits::Always,
            Join::All | Join::NOf(_) => Waits::Start,
            Join::Any | Join::FirstOk => self.exclusive(place),
        };
        set(&mut self.found.waits, at, waits);
        Ok(())
    }

    /// Finds under which choices the edges of a node are taken.
    fn leave(&mut self, place: NodeIndex) -> Result<(), GraphError> {
        let presence = self.found.presence.get(place as usize).copied().flatten();
        // The choices under which the node runs and no case so far was taken.
        let mut rest = presence;
        let mut otherwise = Vec::new();
        let mut cases = false;
        for edge in self.edges.outgoing(place) {
            let Some(spec) = self.edge_specs.get(*edge as usize) else { continue };
            let taken = match &spec.when {
                When::Always => presence,
                When::If(_) => {
                    let (holds, _) = self.condition(*edge);
                    presence.and_then(|presence| self.found.formulas.and(presence, holds))
                }
                When::Case(_) => {
                    cases = true;
                    let (holds, fails) = self.condition(*edge);
                    let taken = rest.and_then(|rest| self.found.formulas.and(rest, holds));
                    rest = rest.and_then(|rest| self.found.formulas.and(rest, fails));
                    taken
                }
                When::Otherwise => {
                    otherwise.push((*edge, spec));
                    continue;
                }
            };
            set(&mut self.taken, *edge as usize, taken);
        }
        for (edge, spec) in otherwise {
            if !cases {
                return Err(GraphError::OtherwiseWithoutCase {
                    from: spec.from.clone(),
                    to: spec.to.clone(),
                });
            }
            set(&mut self.taken, edge as usize, rest);
        }
        Ok(())
    }

    /// A variable for the condition of an edge: that it holds, and that it does not.
    fn condition(&mut self, edge: u32) -> (Formula, Formula) {
        let (_, holds, fails) = self.found.formulas.variable();
        self.conditions.push(edge);
        (holds, fails)
    }

    fn any(&mut self, of: &[Formula]) -> Option<Formula> {
        of.iter().try_fold(Formula::NEVER, |any, it| self.found.formulas.or(any, *it))
    }

    fn all(&mut self, of: &[Formula]) -> Option<Formula> {
        of.iter().try_fold(Formula::ALWAYS, |all, it| self.found.formulas.and(all, *it))
    }

    /// What a join waits for that takes less than all: everything, if no two of the nodes before it run together.
    fn exclusive(&mut self, place: NodeIndex) -> Waits {
        let mut before = Formula::NEVER;
        for node in self.edges.before(place) {
            let presence = self.found.presence.get(node as usize).copied().flatten();
            let apart = presence.and_then(|presence| {
                let both = self.found.formulas.and(before, presence)?;
                before = self.found.formulas.or(before, presence)?;
                Some(both == Formula::NEVER)
            });
            // What is not known is accepted, as everywhere in these checks.
            if apart == Some(false) {
                return Waits::No;
            }
        }
        Waits::Always
    }

    /// In words, one choice of conditions that takes an edge of a node and does not complete its join.
    fn choice(&mut self, any: Option<Formula>, presence: Option<Formula>) -> String {
        const SHOWN: usize = 4;
        let missed = any.zip(presence).and_then(|(any, presence)| self.found.formulas.except(any, presence));
        let Some(missed) = missed else {
            return "some of its edges are not taken".into();
        };
        let example = self.found.formulas.example(missed);
        let mut words: Vec<String> = example
            .iter()
            .take(SHOWN)
            .filter_map(|(variable, holds)| {
                let edge = self.conditions.get(*variable as usize - 1)?;
                let (from, to) = self.edges.ends(*edge)?;
                let (from, to) = (self.names.get(from as usize)?, self.names.get(to as usize)?);
                Some(format!("`{from} -> {to}` {}", if *holds { "holds" } else { "does not hold" }))
            })
            .collect();
        if example.len() > SHOWN {
            words.push(format!("{} more conditions are chosen so", example.len() - SHOWN));
        }
        words.join(" and ")
    }
}

/// Checks what a join says of the number of edges.
fn check_count(node: &NodeSpec, edges: usize) -> Result<(), GraphError> {
    match node.join {
        Some(Join::NOf(0)) => Err(GraphError::JoinOfNone(node.name.clone())),
        Some(join) if edges == 0 => Err(GraphError::JoinWithoutEdges { node: node.name.clone(), join }),
        Some(Join::NOf(count)) if count as usize > edges => {
            Err(GraphError::JoinOfTooMany { node: node.name.clone(), count, edges })
        }
        _ => Ok(()),
    }
}

fn set<T>(values: &mut [T], at: usize, value: T) {
    if let Some(slot) = values.get_mut(at) {
        *slot = value;
    }
}
