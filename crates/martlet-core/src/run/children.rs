//! Calls of managed agents: each is a child run, whose result is the call's and whose tokens are this run's too.

use serde_json::Value;

use super::{Pending, Run};
use crate::effect::{ChildEnd, Timing};
use crate::event::EventKind;
use crate::graph::{NodeFailure, NodeFailureKind};
use crate::id::RunId;
use crate::managed::ManagedKind;
use crate::model::Usage;
use crate::tool::{ToolFailure, ToolFailureKind, ToolOutput};

impl Run {
    /// Asks for the child run of a call.
    pub(super) fn start_child(&mut self, slot: usize, input: Value) {
        let Some((name, _)) = self.slot(slot) else { return };
        let child = self.next_effect().child_run();
        self.emit(EventKind::ChildStarted { step: self.step.number, name, child, input: input.clone() });
        self.ask_for(Pending::Child { slot, input });
    }

    pub(super) fn child_ended(&mut self, slot: usize, end: ChildEnd, timing: Timing) {
        let ChildEnd { run, result, usage } = end;
        let result = result.map(ToolOutput::from).map_err(|failure| self.child_failure(slot, &failure));
        self.child_returned(slot, run, result, usage, timing);
    }

    /// The one place where a child's tokens are added to this run's, so that limits hold for both together.
    pub(super) fn child_returned(
        &mut self,
        slot: usize,
        child: RunId,
        result: Result<ToolOutput, ToolFailure>,
        usage: Usage,
        timing: Timing,
    ) {
        self.usage += usage;
        self.step.usage += usage;
        let error = result.as_ref().err().map(|failure| failure.message.clone());
        if let Some((name, _)) = self.slot(slot) {
            let step = self.step.number;
            self.emit(EventKind::ChildEnded { step, name, child, error, usage, timing });
        }
        self.tool_returned(slot, result, timing);
    }

    /// What the model is told of a child run that gave no answer.
    fn child_failure(&self, slot: usize, failure: &NodeFailure) -> ToolFailure {
        let name = self.step.calls.get(slot).map(|record| record.call.name.as_str()).unwrap_or_default();
        let what = match self.agent.managed(name).map(|managed| managed.kind) {
            Some(ManagedKind::Graph) => "graph",
            _ => "agent",
        };
        let (kind, advice) = match failure.kind {
            NodeFailureKind::TimedOut => (ToolFailureKind::TimedOut, ""),
            NodeFailureKind::Input => (ToolFailureKind::Arguments, ""),
            NodeFailureKind::Denied => (ToolFailureKind::Denied, ""),
            // The same call would meet the same limit.
            NodeFailureKind::Limit => {
                (ToolFailureKind::Denied, ". Do not repeat the call; go on without it.")
            }
            _ => (ToolFailureKind::Failed, ""),
        };
        ToolFailure::new(kind, format!("the {what} `{name}` gave no answer: {}{advice}", failure.message))
    }
}
