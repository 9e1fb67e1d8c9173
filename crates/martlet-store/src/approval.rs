//! Questions to people, and what they decided.

use martlet_core::{EffectId, Principal, RunId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::word::words;
use crate::{ApprovalId, ValueId};

words! {
    /// What a person is asked.
    ApprovalKind, "kind of approval" {
        /// May this call be performed?
        Call = "call",
        /// A question of the agent.
        Question = "question",
        /// A call may have been performed when the process died: was it?
        Doubt = "doubt",
    }
}

words! {
    /// Where a question stands.
    ApprovalState, "state of an approval" {
        /// Nobody has decided.
        Pending = "pending",
        /// Somebody has.
        Decided = "decided",
        /// Nobody did in time: it counts as denied.
        Expired = "expired",
        /// The run ended before somebody did.
        Withdrawn = "withdrawn",
    }
}

/// A question to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct NewApproval {
    /// Its name: [`ApprovalId::of`] the effect.
    pub id: ApprovalId,
    /// The run at the top, which waits.
    pub root: RunId,
    /// The effect that waits.
    pub effect: EffectId,
    /// Whose run it is.
    pub owner: Principal,
    /// What is asked.
    pub kind: ApprovalKind,
    /// The tool.
    pub tool: String,
    /// What it is to be called with.
    pub arguments: Map<String, Value>,
    /// The hash of all that the person sees and decides about: a decision about something else does not count.
    pub digest: ValueId,
    /// When it is asked, in milliseconds since 1970-01-01 UTC.
    pub asked_ms: u64,
    /// When it counts as denied.
    pub expires_ms: u64,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Answer {
    /// Perform the call.
    Approve {
        /// And do not ask again for this tool in this run: its later calls are approved as well.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        for_run: bool,
    },
    /// Perform it with other arguments.
    Edit {
        /// All of them.
        arguments: Map<String, Value>,
    },
    /// Do not.
    Deny {
        /// Why, for the model.
        reason: String,
    },
    /// The answer to a question of the agent.
    Reply {
        /// The answer.
        text: String,
    },
    /// The call in doubt was not performed, or may be performed again.
    Repeat,
    /// The call in doubt was performed.
    Done {
        /// What it gave.
        output: Value,
    },
}

impl Answer {
    /// Whether this answers a question of that kind. Each can be denied.
    pub fn fits(&self, kind: ApprovalKind) -> bool {
        match self {
            Self::Deny { .. } => true,
            Self::Approve { .. } | Self::Edit { .. } => kind == ApprovalKind::Call,
            Self::Reply { .. } => kind == ApprovalKind::Question,
            Self::Repeat | Self::Done { .. } => kind == ApprovalKind::Doubt,
        }
    }
}

/// A question as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ApprovalRow {
    /// Its name.
    pub id: ApprovalId,
    /// The run at the top, which waits.
    pub root: RunId,
    /// The effect that waits.
    pub effect: EffectId,
    /// Whose run it is.
    pub owner: Principal,
    /// What is asked.
    pub kind: ApprovalKind,
    /// The tool.
    pub tool: String,
    /// What it is to be called with.
    pub arguments: Map<String, Value>,
    /// The hash of all that the person sees and decides about.
    pub digest: ValueId,
    /// When it was asked.
    pub asked_ms: u64,
    /// When it counts as denied.
    pub expires_ms: u64,
    /// Where it stands.
    pub state: ApprovalState,
    /// What was decided.
    pub answer: Option<Answer>,
    /// By whom.
    pub by: Option<Principal>,
    /// When it was decided, expired or was withdrawn.
    pub decided_ms: Option<u64>,
    /// The question with whose answer this one was decided, as that was for the run.
    pub under: Option<ApprovalId>,
}

/// What came of a decision. Of all decisions about a question, exactly one is taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided {
    /// This one is.
    Taken(ApprovalRow),
    /// Another one was before.
    Already(ApprovalRow),
    /// It was about something else than what is asked.
    Changed(ApprovalRow),
    /// It came too late.
    Expired(ApprovalRow),
    /// The run has ended.
    Withdrawn(ApprovalRow),
    /// There is no such question.
    Unknown,
}
