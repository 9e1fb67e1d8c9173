//! What an observer of a run sees.
//!
//! Events are durable: they carry a sequence number without gaps and can be shown again. What streams in
//! between (token deltas, printed text) is not an event; drivers add it.

mod decided;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::Strategy;
use crate::effect::Timing;
use crate::graph::{GraphStatus, NodeStatus, SkipCause};
use crate::id::RunId;
use crate::model::Usage;
use crate::reasoning::{CompletionCheck, PlannedTask, TaskStatus};
use crate::step::{RunStatus, StepError};

pub use decided::DecisionKind;

/// The version of the events' form. A reader refuses a higher one.
pub const EVENT_SCHEMA: u32 = 1;

/// One event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// [`EVENT_SCHEMA`].
    pub schema: u32,
    /// Its number in the run, from 0.
    pub seq: u64,
    /// The run.
    pub run: RunId,
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The events of one run that nobody took yet, and the number of the next one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Outbox {
    events: Vec<Event>,
    next_seq: u64,
}

impl Outbox {
    pub(crate) fn push(&mut self, run: &RunId, at_ms: u64, kind: EventKind) {
        let (schema, seq, run) = (EVENT_SCHEMA, self.next_seq, run.clone());
        self.events.push(Event { schema, seq, run, at_ms, kind });
        self.next_seq += 1;
    }

    pub(crate) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[non_exhaustive]
pub enum EventKind {
    /// The run began.
    #[serde(rename = "run.started")]
    RunStarted {
        /// The agent's name.
        agent: String,
        /// How it acts.
        strategy: Strategy,
        /// The task.
        task: Arc<str>,
    },
    /// What was said before was made shorter, because it was more than the memory holds.
    #[serde(rename = "memory.condensed")]
    MemoryCondensed {
        /// The estimated tokens of what was said before.
        from_tokens: u64,
        /// Those that are left of them.
        to_tokens: u64,
        /// Old observations that lost their middle.
        observations: u32,
        /// Messages that are gone, or in whose place the summary stands.
        messages: u32,
        /// What stands in their place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        summary: Option<String>,
        /// Why they were left out without a summary.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Tokens that the summary cost.
        #[serde(default)]
        usage: Usage,
        /// The time that it took.
        #[serde(default)]
        timing: Timing,
    },
    /// A step began: the model is being asked.
    #[serde(rename = "step.started")]
    StepStarted {
        /// The step, from 1; `max_steps` + 1 for the last call for an answer.
        step: u32,
    },
    /// The model replied.
    #[serde(rename = "model.replied")]
    ModelReplied {
        /// The step.
        step: u32,
        /// The reply's text without the program and without structured calls.
        thought: String,
        /// What a reasoning model thought aloud.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reasoning: Option<String>,
        /// Tokens.
        usage: Usage,
        /// Time.
        timing: Timing,
    },
    /// A reasoning agent made a plan.
    #[serde(rename = "plan.made")]
    PlanMade {
        /// The step.
        step: u32,
        /// Whether what is known suffices to do the task.
        has_sufficient_info: bool,
        /// Why the plan is as it is.
        reasoning: String,
        /// The tasks, numbered from 1.
        tasks: Vec<PlannedTask>,
    },
    /// A task of the plan is being done.
    #[serde(rename = "task.started")]
    TaskStarted {
        /// The step.
        step: u32,
        /// The task's number in the plan, from 1.
        task: u32,
        /// What is to be done.
        description: String,
        /// The tool that does it; without one the model does it in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
    },
    /// A task of the plan is done, failed, or was skipped.
    #[serde(rename = "task.ended")]
    TaskEnded {
        /// The step.
        step: u32,
        /// The task's number in the plan, from 1.
        task: u32,
        /// How.
        status: TaskStatus,
        /// What it gave, as text, cut like an observation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
        /// Why it gave nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Time.
        timing: Timing,
    },
    /// A reasoning agent judged whether the task is complete.
    #[serde(rename = "completion.checked")]
    CompletionChecked {
        /// The step.
        step: u32,
        /// The judgement.
        #[serde(flatten)]
        check: CompletionCheck,
    },
    /// A program is being run.
    #[serde(rename = "code.started")]
    CodeStarted {
        /// The step.
        step: u32,
        /// The program.
        code: Arc<str>,
    },
    /// A tool call waits for a person's approval.
    #[serde(rename = "tool.approval")]
    ApprovalAsked {
        /// The step; in a graph the node's number, from 1.
        step: u32,
        /// The call's id within the step; in a graph the node's name, with the item or the time of a repetition.
        call: String,
        /// The index of the effect that waits for the decision: with the run and the step it is the
        /// [`EffectId`](crate::EffectId).
        #[serde(default)]
        effect: u32,
        /// The tool.
        name: String,
        /// The arguments.
        arguments: Map<String, Value>,
        /// Why the policy asks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It was decided on a tool call that waited for approval.
    #[serde(rename = "tool.decided")]
    ApprovalDecided {
        /// The step; in a graph the node's number, from 1.
        step: u32,
        /// The call's id, as when it was asked for.
        call: String,
        /// The index of the effect that waited for the decision.
        effect: u32,
        /// The tool.
        name: String,
        /// What was decided.
        decision: DecisionKind,
        /// Why it was denied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The arguments that were put in the place of those that were asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arguments: Option<Map<String, Value>>,
    },
    /// A tool is being called.
    #[serde(rename = "tool.called")]
    ToolCalled {
        /// The step.
        step: u32,
        /// The call's id within the step.
        call: String,
        /// The tool.
        name: String,
        /// The arguments.
        arguments: Map<String, Value>,
    },
    /// A tool call is done.
    #[serde(rename = "tool.returned")]
    ToolReturned {
        /// The step.
        step: u32,
        /// The call's id within the step.
        call: String,
        /// The tool.
        name: String,
        /// What it gave, as text, cut like an observation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// Why it gave nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Time.
        timing: Timing,
    },
    /// The program ended.
    #[serde(rename = "code.ended")]
    CodeEnded {
        /// The step.
        step: u32,
        /// What it printed, cut like an observation.
        stdout: String,
        /// The `repr` of its last value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A step ended.
    #[serde(rename = "step.ended")]
    StepEnded {
        /// The step.
        step: u32,
        /// What went wrong in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<StepError>,
        /// Tokens of the step.
        usage: Usage,
        /// Time of the step.
        timing: Timing,
    },
    /// The run ended.
    #[serde(rename = "run.ended")]
    RunEnded {
        /// How.
        status: RunStatus,
        /// The answer; `null` if there is none.
        answer: Value,
        /// Why there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Tokens of the run.
        usage: Usage,
        /// Time of the run.
        timing: Timing,
    },
    /// A child run begins: that of a managed agent, or of a node.
    #[serde(rename = "child.started")]
    ChildStarted {
        /// The step; in a graph the node's number, from 1.
        step: u32,
        /// The name of the managed agent or of the node.
        name: String,
        /// The child run.
        child: RunId,
        /// What it is given.
        input: Value,
    },
    /// A child run ended.
    #[serde(rename = "child.ended")]
    ChildEnded {
        /// The step; in a graph the node's number, from 1.
        step: u32,
        /// The name of the managed agent or of the node.
        name: String,
        /// The child run.
        child: RunId,
        /// Why it gave nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Tokens of the child run.
        usage: Usage,
        /// Time.
        timing: Timing,
    },
    /// The run of a graph began.
    #[serde(rename = "graph.started")]
    GraphStarted {
        /// The graph's name.
        graph: String,
        /// The number of nodes.
        nodes: usize,
    },
    /// A node starts, or a copy of one, or another attempt.
    #[serde(rename = "node.started")]
    NodeStarted {
        /// The node.
        node: Arc<str>,
        /// The attempt, from 1.
        attempt: u32,
        /// For a copy: its item's place in the list, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
    },
    /// The work of a node failed and is tried again.
    #[serde(rename = "node.retried")]
    NodeRetried {
        /// The node.
        node: Arc<str>,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// For a copy: its item's place in the list, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        /// Why it failed.
        error: String,
        /// The wait until the next attempt, in milliseconds.
        wait_ms: u64,
    },
    /// A copy of a node, or one time of a repetition, is done.
    #[serde(rename = "node.progressed")]
    NodeProgressed {
        /// The node.
        node: Arc<str>,
        /// How many are done.
        done: u32,
        /// How many there are, or can be.
        of: u32,
    },
    /// A node ended, or was skipped.
    #[serde(rename = "node.ended")]
    NodeEnded {
        /// The node.
        node: Arc<str>,
        /// How.
        status: NodeStatus,
        /// What it gave, as text, cut to 2,000 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Why it was skipped or cancelled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<SkipCause>,
        /// Tokens of its child runs.
        usage: Usage,
        /// Time.
        timing: Timing,
    },
    /// The run of a graph ended.
    #[serde(rename = "graph.ended")]
    GraphEnded {
        /// How.
        status: GraphStatus,
        /// The output; `null` if there is none.
        output: Value,
        /// The first failure that matters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Tokens of all child runs.
        usage: Usage,
        /// Time.
        timing: Timing,
    },
}
