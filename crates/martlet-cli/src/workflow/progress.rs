//! Where each node of a workflow stands, by the events of its run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use martlet::{DecisionKind, EventKind, Graph, NodeStatus, Update};

use crate::render::call;

/// The nodes of a graph, in its order.
pub(super) struct Progress {
    pub(super) nodes: Vec<NodeProgress>,
    places: HashMap<Arc<str>, usize>,
}

/// Where a node stands.
pub(super) struct NodeProgress {
    pub(super) name: Arc<str>,
    pub(super) status: NodeStatus,
    /// When it started, if it runs.
    pub(super) since: Option<Instant>,
    /// How long it took, if it has ended.
    pub(super) took: Duration,
    /// The attempt, from 1.
    pub(super) attempt: u32,
    /// How many copies or repetitions are done, and how many there are.
    pub(super) done_of: Option<(u32, u32)>,
    /// What its agent does.
    pub(super) doing: String,
    /// Why it failed or was skipped.
    pub(super) reason: String,
}

/// What has changed, for those who write lines.
pub(super) enum Change {
    Started {
        node: usize,
    },
    Retried {
        node: usize,
        error: String,
        wait_ms: u64,
    },
    Progressed {
        node: usize,
    },
    Doing {
        node: usize,
    },
    /// A call waits for a person.
    Asked {
        node: usize,
        question: String,
    },
    /// A person decided on it.
    Decided {
        node: usize,
        answer: String,
        denied: bool,
    },
    Ended {
        node: usize,
    },
}

impl Progress {
    pub(super) fn new(graph: &Graph) -> Self {
        let names = graph.spec().nodes.iter().map(|node| Arc::<str>::from(node.name.as_str()));
        let nodes: Vec<NodeProgress> = names.map(NodeProgress::new).collect();
        let places = nodes.iter().enumerate().map(|(place, node)| (node.name.clone(), place)).collect();
        Self { nodes, places }
    }

    /// Takes an update in.
    pub(super) fn update(&mut self, update: &Update) -> Option<Change> {
        match update {
            Update::Event { event } => self.event(&event.kind),
            Update::Child { name, update, .. } => self.child(name, update),
            _ => None,
        }
    }

    fn event(&mut self, event: &EventKind) -> Option<Change> {
        match event {
            EventKind::NodeStarted { node, attempt, .. } => {
                let (place, node) = self.node(node)?;
                node.attempt = node.attempt.max(*attempt);
                let first = node.since.is_none();
                node.status = NodeStatus::Running;
                node.since.get_or_insert_with(Instant::now);
                first.then_some(Change::Started { node: place })
            }
            EventKind::NodeRetried { node, error, wait_ms, .. } => {
                let (place, _) = self.node(node)?;
                Some(Change::Retried { node: place, error: error.clone(), wait_ms: *wait_ms })
            }
            EventKind::NodeProgressed { node, done, of } => {
                let (place, node) = self.node(node)?;
                node.done_of = Some((*done, *of));
                Some(Change::Progressed { node: place })
            }
            EventKind::ApprovalAsked { step, .. } | EventKind::ApprovalDecided { step, .. } => {
                // In a graph the step of a call is its node's number, from 1.
                let place = usize::try_from(*step).ok()?.checked_sub(1)?;
                self.approval(place, event)
            }
            EventKind::NodeEnded { node, status, error, cause, timing, .. } => {
                let (place, node) = self.node(node)?;
                node.status = *status;
                node.took = Duration::from_micros(timing.elapsed_us);
                node.doing.clear();
                node.reason =
                    error.clone().or_else(|| cause.as_ref().map(ToString::to_string)).unwrap_or_default();
                Some(Change::Ended { node: place })
            }
            _ => None,
        }
    }

    /// A call of the node, or of its agent, waits for a person, or was decided on.
    fn approval(&mut self, place: usize, event: &EventKind) -> Option<Change> {
        let node = self.nodes.get_mut(place)?;
        match event {
            EventKind::ApprovalAsked { name, arguments, reason, .. } => {
                node.doing = format!("{name} needs approval");
                let why = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                let question = format!("{} needs approval{why}", call(name, arguments, str::to_owned));
                Some(Change::Asked { node: place, question })
            }
            EventKind::ApprovalDecided { name, decision, reason, arguments, .. } => {
                node.doing.clear();
                let denied = *decision == DecisionKind::Denied;
                let answer = match (arguments, reason) {
                    (Some(arguments), _) => {
                        format!("{name} is approved as {}", call(name, arguments, str::to_owned))
                    }
                    (None, Some(reason)) if denied => format!("{name} is denied: {reason}"),
                    (None, _) if denied => format!("{name} is denied"),
                    (None, _) => format!("{name} is approved"),
                };
                Some(Change::Decided { node: place, answer, denied })
            }
            _ => None,
        }
    }

    /// What happens in the run of a node's agent, or in one in that.
    fn child(&mut self, name: &str, update: &Update) -> Option<Change> {
        let mut innermost = update;
        while let Update::Child { update, .. } = innermost {
            innermost = &**update;
        }
        if let Update::Event { event } = innermost
            && let EventKind::ApprovalAsked { .. } | EventKind::ApprovalDecided { .. } = &event.kind
        {
            let place = *self.places.get(name)?;
            return self.approval(place, &event.kind);
        }
        let doing = match update {
            Update::Event { event } => match &event.kind {
                EventKind::StepStarted { step } => format!("step {step}"),
                EventKind::ToolCalled { name, .. } => format!("calls {name}"),
                EventKind::CodeStarted { .. } => "runs Python".into(),
                EventKind::NodeStarted { node, .. } => format!("node {node}"),
                _ => return None,
            },
            Update::Child { name: inner, .. } => format!("asks {inner}"),
            _ => return None,
        };
        let (place, node) = self.node(name)?;
        if node.doing == doing {
            return None;
        }
        node.doing = doing;
        Some(Change::Doing { node: place })
    }

    fn node(&mut self, name: &str) -> Option<(usize, &mut NodeProgress)> {
        let place = *self.places.get(name)?;
        Some((place, self.nodes.get_mut(place)?))
    }

    /// How many nodes stand so.
    pub(super) fn count(&self, is: impl Fn(NodeStatus) -> bool) -> usize {
        self.nodes.iter().filter(|node| is(node.status)).count()
    }
}

impl NodeProgress {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            status: NodeStatus::Pending,
            since: None,
            took: Duration::ZERO,
            attempt: 0,
            done_of: None,
            doing: String::new(),
            reason: String::new(),
        }
    }

    /// How long it has been running, or ran.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        match (self.status.is_settled(), self.since) {
            (true, Some(_)) => Some(self.took),
            (false, Some(since)) => Some(since.elapsed()),
            (_, None) => None,
        }
    }

    /// How it ended, in a word.
    pub(super) fn word(&self) -> &'static str {
        match self.status {
            NodeStatus::Completed => "done",
            NodeStatus::Failed => "failed",
            NodeStatus::Skipped => "skipped",
            NodeStatus::Cancelled => "cancelled",
            NodeStatus::Running => "running",
            _ => "waiting",
        }
    }
}
