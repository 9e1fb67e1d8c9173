//! Leave to call the tool of a node: what the policy says, and what a person decides.

use serde_json::{Map, Value};

use super::units::input_failure;
use super::{GraphRun, Purpose, SHOWN};
use crate::approval::Verdict;
use crate::effect::{Decision, Effect};
use crate::event::EventKind;
use crate::graph::build::NodeIndex;
use crate::graph::result::EditedCall;
use crate::graph::spec::{NodeFailure, NodeFailureKind, NodeSpec, Work};
use crate::id::EffectId;
use crate::text::cut_middle;
use crate::tool::Arguments;

/// Whether the work of a node can begin.
pub(super) enum Leave {
    /// It can.
    Given,
    /// A person has to be asked about the call.
    Needed { reason: Option<String> },
}

impl GraphRun {
    /// Whether the policy lets the work begin that was made of the node's settings.
    pub(super) fn leave(&self, settings: &NodeSpec, work: &Effect) -> Result<Leave, NodeFailure> {
        let (Work::Tool { spec }, Effect::Tool { arguments, .. }) = (&settings.work, work) else {
            return Ok(Leave::Given);
        };
        let ruling = self.spec.approvals.ruling(spec, arguments);
        match ruling.verdict {
            Verdict::Allow => Ok(Leave::Given),
            Verdict::Ask => Ok(Leave::Needed { reason: ruling.reason }),
            Verdict::Deny => Err(NodeFailure::new(NodeFailureKind::Denied, ruling.refusal())),
        }
    }

    /// Lets a call wait for a person.
    pub(super) fn ask_for_leave(
        &mut self,
        node: NodeIndex,
        copy: Option<u32>,
        work: Effect,
        reason: Option<String>,
    ) {
        let Effect::Tool { name, arguments } = work else { return };
        let call = self.call_id(node, copy);
        let effect = Effect::Approve { name: name.clone(), arguments: arguments.clone() };
        let Some(key) = self.ask_for(node, effect, Purpose::Approval { copy }) else { return };
        let EffectId { step, index: effect, .. } = self.effect_id(key);
        self.emit(EventKind::ApprovalAsked { step, call, effect, name, arguments, reason });
    }

    /// A person has decided on the call for which the effect `id` has waited.
    pub(super) fn leave_decided(
        &mut self,
        node: NodeIndex,
        copy: Option<u32>,
        id: &EffectId,
        name: String,
        asked: Map<String, Value>,
        decision: Decision,
    ) {
        let decision = match decision {
            // The same arguments again are no change that anybody had to be told of.
            Decision::Edited { arguments } if arguments == asked => Decision::Approved,
            decision => decision,
        };
        self.emit(EventKind::decided(id, self.call_id(node, copy), name, &decision));
        match decision {
            Decision::Approved => self.leave_given(node, copy),
            Decision::Edited { arguments } => {
                let edited = EditedCall { item: copy, asked, arguments };
                let checked = self.check_edited(node, &edited.arguments);
                if let Some(run) = self.node_mut(node) {
                    run.edited.push(edited.clone());
                }
                match checked {
                    Ok(()) => {
                        if let Some(work) = self.node_mut(node).and_then(|run| run.work.as_deref_mut()) {
                            work.edited.push(edited);
                        }
                        self.leave_given(node, copy);
                    }
                    Err(failure) => self.work_failed(node, copy, failure),
                }
            }
            Decision::Denied { reason } => {
                let message = format!("a person refused it: {reason}");
                self.work_failed(node, copy, NodeFailure::new(NodeFailureKind::Denied, message));
            }
        }
    }

    /// The same attempt goes on, once there is a slot.
    fn leave_given(&mut self, node: NodeIndex, copy: Option<u32>) {
        if let Some(work) = self.node_mut(node).and_then(|run| run.work.as_deref_mut()) {
            work.approved.insert(copy);
            work.resumed.insert(copy);
            self.enqueue(node, copy);
        }
    }

    /// Whether the tool can be called with the arguments of a person. What a policy refuses, a person cannot bring about
    /// either.
    fn check_edited(&self, node: NodeIndex, arguments: &Map<String, Value>) -> Result<(), NodeFailure> {
        let Some(Work::Tool { spec }) = self.spec.node(node).map(|settings| &settings.work) else {
            return Ok(());
        };
        spec.validate(arguments).map_err(|error| {
            input_failure(format!(
                "the arguments that a person changed do not fit, so the call was not made: {error}"
            ))
        })?;
        let ruling = self.spec.approvals.ruling(spec, arguments);
        if ruling.verdict == Verdict::Deny {
            return Err(NodeFailure::new(NodeFailureKind::Denied, ruling.refusal()));
        }
        Ok(())
    }

    /// The arguments of a person that the call is made with, also in another attempt.
    pub(super) fn edited_arguments(&self, node: NodeIndex, copy: Option<u32>) -> Option<&Map<String, Value>> {
        let work = self.nodes.get(node as usize)?.work.as_deref()?;
        let edited = work.edited.iter().rfind(|edited| edited.item == copy)?;
        Some(&edited.arguments)
    }

    /// A failure of the tool, with what a person changed of the call.
    pub(super) fn with_edit_told(
        &self,
        node: NodeIndex,
        copy: Option<u32>,
        failure: NodeFailure,
    ) -> NodeFailure {
        let Some(arguments) = self.edited_arguments(node, copy) else { return failure };
        let arguments = Arguments::Object(arguments.clone()).to_json();
        let arguments = cut_middle(&arguments, SHOWN);
        let message = format!("{} (a person changed the arguments to {arguments})", failure.message);
        NodeFailure { message, ..failure }
    }

    /// The name of a call in events: that of its node, with the item of a copy or the time of a repetition, from 1.
    /// Another attempt is the same call.
    fn call_id(&self, node: NodeIndex, copy: Option<u32>) -> String {
        let name = self.spec.name(node);
        let repeats = self.spec.node(node).is_some_and(|settings| settings.repeat.is_some());
        match copy {
            Some(copy) => format!("{name}[{copy}]"),
            None if repeats => {
                let repeated = self.nodes.get(node as usize).and_then(|run| run.repeated);
                format!("{name}#{}", repeated.map_or(0, |repeated| repeated.times).saturating_add(1))
            }
            None => name.to_string(),
        }
    }
}
