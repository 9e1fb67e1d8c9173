//! The sans-IO heart of Martlet.
//!
//! An [`AgentSpec`] says what an agent is; a [`Run`] is one task in progress. A run never awaits, never
//! reads a clock and never opens a socket: it says which [`Effect`]s it needs, somebody performs them and
//! settles their [`Outcome`]s. The same outcomes in the same order always give the same run, and a run can
//! be serialised between any two of them.

pub mod agent;
pub mod approval;
pub mod code;
pub mod effect;
pub mod event;
pub mod graph;
pub mod id;
mod machine;
pub mod managed;
pub mod memory;
pub mod message;
mod metrics;
pub mod model;
pub mod name;
mod parse;
mod principal;
pub mod prompt;
pub mod reasoning;
pub mod replay;
pub mod run;
pub mod schema;
pub mod step;
pub mod text;
pub mod tool;

pub use agent::{AgentSettings, AgentSpec, CodeSettings, InputError, RunLimits, SpecError, Strategy};
pub use approval::{
    ApprovalPolicy, ApprovalRule, PatternError, PolicyError, Risk, Ruling, ToolPattern, Verdict,
};
pub use code::{CodeLimits, CodeOutcome, CodeRequest};
pub use effect::{ChildEnd, ConditionOf, Decision, Effect, HostFailure, Outcome, Settlement, Timing};
pub use event::{DecisionKind, Event, EventKind};
pub use graph::{GraphResult, GraphRun, GraphSpec, GraphStatus, GraphTask};
pub use id::{EffectId, InvalidId, RunId};
pub use machine::Machine;
pub use managed::{ManagedKind, ManagedSpec};
pub use message::{Blob, Message, Part, Role, Source};
pub use metrics::{AgentMetrics, AgentResponse, HistoryItem};
pub use model::{
    Delta, FinishReason, ModelFailure, ModelFailureKind, ModelOptions, ModelProfile, ModelReply,
    ModelRequest, ResponseFormat, ToolChoice, Usage,
};
pub use principal::Principal;
pub use prompt::{Prompts, ReasoningPrompts};
pub use reasoning::{CompletionCheck, Plan, PlannedTask, ReplyFor, ReplyRecord, TaskRecord, TaskStatus};
pub use run::{Run, SettleError, Status, StopReason, Task};
pub use step::{AnswerError, CallRecord, RunFailure, RunResult, RunStatus, Step, StepError};
pub use tool::{Arguments, ToolCall, ToolFailure, ToolFailureKind, ToolFlags, ToolOutput, ToolSpec};
