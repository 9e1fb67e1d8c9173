//! The event of a decision on a tool call.

use serde::{Deserialize, Serialize};

use super::EventKind;
use crate::effect::Decision;
use crate::id::EffectId;

/// What was decided on a tool call, without the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// It may be made.
    Approved,
    /// It may be made with other arguments.
    Edited,
    /// It may not be made.
    Denied,
}

impl EventKind {
    /// The event of a decision on the call `call` of the tool `name`, for which the effect `id` has waited.
    pub(crate) fn decided(id: &EffectId, call: String, name: String, decision: &Decision) -> Self {
        let (kind, reason, arguments) = match decision {
            Decision::Approved => (DecisionKind::Approved, None, None),
            Decision::Edited { arguments } => (DecisionKind::Edited, None, Some(arguments.clone())),
            Decision::Denied { reason } => (DecisionKind::Denied, Some(reason.clone()), None),
        };
        Self::ApprovalDecided {
            step: id.step,
            call,
            effect: id.index,
            name,
            decision: kind,
            reason,
            arguments,
        }
    }
}
