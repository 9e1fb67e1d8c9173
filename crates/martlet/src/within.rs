//! Agents and graphs inside of others: the approval rules of what they work for bind them as well.

use std::sync::Arc;

use martlet_core::ApprovalPolicy;

use crate::agent::{Agent, Parts};
use crate::child::Child;
use crate::graph::{Graph, GraphParts, Performer};

impl Child {
    /// This child where it works for what `outer` governs.
    pub(crate) fn within(&self, outer: &ApprovalPolicy) -> Self {
        match self {
            Self::Agent(agent) => Self::Agent(agent.within(outer)),
            Self::Graph(graph) => Self::Graph(graph.within(outer)),
        }
    }
}

impl Agent {
    fn within(&self, outer: &ApprovalPolicy) -> Self {
        let parts = &**self.parts();
        if adds_nothing(&parts.spec.approvals, outer) {
            return self.clone();
        }
        Self::from_parts(Parts {
            spec: Arc::new(parts.spec.within(outer)),
            model: parts.model.clone(),
            tools: parts.tools.clone(),
            python: parts.python.clone(),
            checks: parts.checks.clone(),
            approver: parts.approver.clone(),
            journal: parts.journal.clone(),
            children: parts
                .children
                .iter()
                .map(|(name, child)| (name.clone(), child.within(outer)))
                .collect(),
            max_depth: parts.max_depth,
        })
    }
}

impl Graph {
    fn within(&self, outer: &ApprovalPolicy) -> Self {
        let parts = &**self.parts();
        if adds_nothing(&parts.spec.approvals, outer) {
            return self.clone();
        }
        Self::from_parts(GraphParts {
            spec: Arc::new(parts.spec.within(outer)),
            performers: parts.performers.iter().map(|performer| performer.within(outer)).collect(),
            conditions: parts.conditions.clone(),
            default_input: parts.default_input.clone(),
            approver: parts.approver.clone(),
            journal: parts.journal.clone(),
            max_depth: parts.max_depth,
        })
    }
}

impl Performer {
    /// What does the work of a node, where its graph is governed by `outer`. The calls of a tool are the graph's own; what
    /// a function does, only it knows.
    pub(crate) fn within(&self, outer: &ApprovalPolicy) -> Self {
        match self {
            Self::Child(child) => Self::Child(child.within(outer)),
            other => other.clone(),
        }
    }
}

/// Whether the rules are there already: then they are in all that this one has work for it, too.
fn adds_nothing(policy: &ApprovalPolicy, outer: &ApprovalPolicy) -> bool {
    policy.clone().within(outer) == *policy
}
