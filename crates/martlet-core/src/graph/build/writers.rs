//! Finds state keys that two nodes may write at the same time, so that the slower one would win by chance.

use std::collections::{BTreeMap, HashMap};

use super::edges::Edges;
use super::error::GraphError;
use super::joins::{Joins, Waits};
use super::{Name, NodeIndex};
use crate::graph::presence::Formula;
use crate::graph::spec::GraphSettings;

/// How many visits of nodes, edges and pairs of writers all keys together may take: a fraction of a second. Keys with
/// writers in one chain, or in branches that exclude each other, need one pass; only very large mixtures of both come
/// near this number, and what is not looked at then is accepted.
const VISITS: usize = 20_000_000;

/// Checks the keys that have no reducer.
pub(super) fn check(
    settings: &GraphSettings,
    names: &[Name],
    edges: &Edges,
    order: &[NodeIndex],
    joins: &mut Joins,
) -> Result<(), GraphError> {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(order.len());
    let mut shared: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (rank, node) in order.iter().enumerate() {
        let Some(node) = settings.nodes.get(*node as usize) else { continue };
        match first.get(node.output_key()) {
            None => _ = first.insert(node.output_key(), rank),
            Some(first) => shared.entry(node.output_key()).or_insert_with(|| vec![*first]).push(rank),
        }
    }
    shared.retain(|key, _| !settings.reducers.contains_key(*key));
    if shared.is_empty() {
        return Ok(());
    }
    let mut ranks = vec![0_usize; order.len()];
    for (rank, node) in order.iter().enumerate() {
        if let Some(slot) = ranks.get_mut(*node as usize) {
            *slot = rank;
        }
    }
    let mut search = Search { edges, order, ranks, joins, visits: VISITS };
    for (key, writers) in shared {
        if let Some((first, second)) = search.collision(&writers) {
            let name = |rank: usize| {
                let node = order.get(rank).and_then(|node| names.get(*node as usize));
                node.map(ToString::to_string).unwrap_or_default()
            };
            return Err(GraphError::ParallelWriters {
                key: key.to_owned(),
                first: name(first),
                second: name(second),
            });
        }
    }
    Ok(())
}

/// Nodes are known by their rank here: the place in an order in which every edge leads forward.
struct Search<'a> {
    edges: &'a Edges,
    order: &'a [NodeIndex],
    ranks: Vec<usize>,
    joins: &'a mut Joins,
    visits: usize,
}

impl Search<'_> {
    /// Two of the writers that may run at the same time. `None` if there are none, or when the visits are used up.
    fn collision(&mut self, writers: &[usize]) -> Option<(usize, usize)> {
        if self.is_chain(writers)? || self.exclude_each_other(writers) {
            return None;
        }
        // As many writers at a time as a word has bits: which of them have ended before a node starts.
        for block in 0..writers.len().div_ceil(64) {
            let sources = writers.get(block * 64..)?;
            let sources = sources.get(..64).unwrap_or(sources);
            let bit = |rank: usize| sources.binary_search(&rank).map_or(0, |place| 1_u64 << place);
            let ended = self.pass(sources, writers, |before, own| before | own, bit)?;
            for writer in writers.iter().skip(block * 64 + 1) {
                let ended = ended.get(writer).copied().unwrap_or_default();
                for source in sources.iter().take_while(|source| *source < writer) {
                    self.visits = self.visits.checked_sub(1)?;
                    if ended & bit(*source) == 0 && self.may_both_run(*source, *writer) {
                        return Some((*source, *writer));
                    }
                }
            }
        }
        None
    }

    /// Whether each writer waits for the one before it. As it is enough to know the last writer that has ended before
    /// a node starts, this takes one pass for any number of writers.
    fn is_chain(&mut self, writers: &[usize]) -> Option<bool> {
        // Where a writer may be skipped early, the one before it may still run when the one after it starts.
        let waits = |rank: &usize| self.joins.waits.get(*self.order.get(*rank)? as usize);
        if writers.iter().any(|rank| waits(rank) == Some(&Waits::Start)) {
            return Some(false);
        }
        let number = |rank: usize| writers.binary_search(&rank).map_or(0, |place| place as u64 + 1);
        let ended = self.pass(writers, writers, u64::max, number)?;
        Some((0_u64..).zip(writers).all(|(before, writer)| ended.get(writer) == Some(&before)))
    }

    /// Whether no choice of branches makes two of the writers run.
    fn exclude_each_other(&mut self, writers: &[usize]) -> bool {
        let mut some = Formula::NEVER;
        writers.iter().all(|writer| {
            let Some(presence) = self.presence(*writer) else { return false };
            let formulas = &mut self.joins.formulas;
            let both = formulas.and(some, presence);
            match formulas.or(some, presence) {
                Some(either) => some = either,
                None => return false,
            }
            both == Some(Formula::NEVER)
        })
    }

    /// Whether some choice of branches makes both run. What is not known is accepted.
    fn may_both_run(&mut self, one: usize, other: usize) -> bool {
        let both = self.presence(one).zip(self.presence(other));
        both.and_then(|(one, other)| self.joins.formulas.and(one, other))
            .is_some_and(|both| both != Formula::NEVER)
    }

    fn presence(&self, rank: usize) -> Option<Formula> {
        let node = self.order.get(rank)?;
        self.joins.presence.get(*node as usize).copied().flatten()
    }

    /// Carries facts about writers that have ended forward along the edges that are waited for, and gives those that
    /// reach each of `wanted` before it starts. A node adds its `own` fact.
    fn pass(
        &mut self,
        sources: &[usize],
        wanted: &[usize],
        join: impl Fn(u64, u64) -> u64,
        own: impl Fn(usize) -> u64,
    ) -> Option<HashMap<usize, u64>> {
        let (first, last) = (*sources.first()?, *wanted.last()?);
        // What is known when each node has ended, from the first writer on: nothing before it matters.
        let mut known: Vec<u64> = Vec::with_capacity(last + 1 - first);
        let mut found = HashMap::with_capacity(wanted.len());
        for rank in first..=last {
            let node = *self.order.get(rank)?;
            let waits = self.joins.waits.get(node as usize).copied()?;
            let inbound = self.edges.incoming(node).len();
            self.visits = self.visits.checked_sub(1 + inbound)?;
            let before = if waits == Waits::No {
                0
            } else {
                self.edges
                    .before(node)
                    .filter_map(|before| self.ranks.get(before as usize)?.checked_sub(first))
                    .filter_map(|place| known.get(place).copied())
                    .fold(0, &join)
            };
            let own = own(rank);
            if wanted.binary_search(&rank).is_ok() {
                found.insert(rank, before);
            }
            // A node that may be skipped early tells only of itself, and only where it ran: one that did not run
            // wrote nothing.
            known.push(if waits == Waits::Always { join(before, own) } else { own });
        }
        Some(found)
    }
}
