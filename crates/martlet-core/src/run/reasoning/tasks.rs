//! The tasks of a plan, done as a graph: each starts when those on which it depends are done.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::{Phase, Run};
use super::Ask;
use super::plan::{Misfit, read_arguments};
use crate::effect::{Effect, Outcome, Settlement, Timing};
use crate::event::EventKind;
use crate::graph::{
    EdgeSpec, GraphError, GraphLimits, GraphRun, GraphSettings, GraphSpec, GraphTask, NodeFailure,
    NodeFailureKind, NodeSpec, NodeStatus, OnFailure, When, Work,
};
use crate::id::EffectId;
use crate::machine::Machine as _;
use crate::reasoning::{PlannedTask, ReplyFor, TaskRecord, TaskStatus};
use crate::step::{RunFailure, RunStatus, StepError};
use crate::text::cut_middle;
use crate::tool::{Arguments, ToolCall, display_value};

/// Tasks under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Working {
    graph: GraphRun,
    /// The effects of the graph that are open, by the numbers of their tasks.
    open: BTreeMap<u32, EffectId>,
}

impl Run {
    pub(super) fn task(&self, number: u32) -> Option<&TaskRecord> {
        self.step.tasks.get(place(number)?)
    }

    fn task_mut(&mut self, number: u32) -> Option<&mut TaskRecord> {
        self.step.tasks.get_mut(place(number)?)
    }

    pub(super) fn start_tasks(&mut self, tasks: Vec<PlannedTask>) {
        let spec = match graph(&tasks) {
            Ok(spec) => Arc::new(spec),
            // Every mistake of a plan was mended before.
            Err(error) => {
                let message = format!("the plan makes no graph: {error}");
                return self.fail(RunFailure::Host { message }, RunStatus::Failed);
            }
        };
        self.step.tasks = (1..)
            .zip(tasks)
            .map(|(number, task)| TaskRecord { number, task, ..TaskRecord::default() })
            .collect();
        let begin = GraphTask { started_ms: self.timing.ended_ms(), ..GraphTask::default() };
        let graph = GraphRun::start(self.id.clone(), spec, begin);
        self.phase = Phase::Working(Box::new(Working { graph, open: BTreeMap::new() }));
        self.advance_tasks();
    }

    /// Starts the tasks that have become possible; goes on when all are done.
    fn advance_tasks(&mut self) {
        loop {
            let Phase::Working(working) = &mut self.phase else { return };
            let events = working.graph.take_events();
            let effects = working.graph.take_effects();
            let ended = working.graph.is_finished();
            for event in events {
                if let EventKind::NodeEnded { node, status: NodeStatus::Skipped, cause, .. } = event.kind
                    && let Some(number) = number(&node)
                {
                    let origin = cause.as_ref().and_then(|cause| self::number(&cause.origin));
                    self.task_skipped(number, origin);
                }
            }
            if effects.is_empty() {
                return if ended {
                    self.tasks_ended()
                };
            }
            for (id, effect) in effects {
                let Effect::Function { name, .. } = effect else { continue };
                let Some(number) = number(&name) else { continue };
                let Phase::Working(working) = &mut self.phase else { return };
                working.open.insert(number, id);
                self.start_task(number);
            }
        }
    }

    fn start_task(&mut self, number: u32) {
        let Some(record) = self.task_mut(number) else { return };
        record.status = TaskStatus::Running;
        let (description, tool) = (record.task.description.clone(), record.task.tool_name.clone());
        self.emit(EventKind::TaskStarted {
            step: self.step.number,
            task: number,
            description,
            tool: tool.clone(),
        });
        if self.is_over_budget() {
            // The others end what they have begun; then the run ends.
            let error = "not begun: the tokens of the run are used up".to_owned();
            let timing = Timing { started_ms: self.timing.ended_ms(), elapsed_us: 0 };
            return self.settle_task(number, Err(error), timing);
        }
        let Some(name) = tool else { return self.ask(ReplyFor::Response { task: number }) };
        let takes_arguments = self
            .agent
            .tool(&name)
            .is_some_and(|tool| tool.parameter_names().next().is_some() || !is_closed(&tool.parameters));
        if takes_arguments {
            self.ask(ReplyFor::Arguments { task: number });
        } else {
            self.call_task(number, Arguments::Object(Map::new()));
        }
    }

    pub(super) fn arguments_replied(&mut self, ask: Ask, number: u32, text: &str, timing: Timing) {
        self.spend_time(number, timing);
        let name = self.task(number).and_then(|record| record.task.tool_name.clone()).unwrap_or_default();
        let read = match self.agent.tool(&name) {
            Some(tool) => read_arguments(text, tool),
            None => Ok(Map::new()),
        };
        match read {
            Ok(arguments) => {
                self.replied("", None);
                self.call_task(number, Arguments::Object(arguments));
            }
            Err(Misfit { problem, .. }) if ask.again.is_none() => {
                self.replied("", Some(&problem));
                return self.ask_again(ask, text, &problem);
            }
            Err(Misfit { problem, nearest }) => {
                // Made as they are: the check of the call says what is wrong with them, as for every call.
                self.replied("", Some(&problem));
                let arguments =
                    nearest.map_or_else(|| Arguments::Malformed(text.to_owned()), Arguments::Object);
                self.call_task(number, arguments);
            }
        }
        self.advance_tasks();
    }

    pub(super) fn response_replied(&mut self, number: u32, text: &str, timing: Timing) {
        self.replied(text, None);
        let result = if text.is_empty() {
            Err("the model gave an empty response".to_owned())
        } else {
            Ok(Value::String(text.to_owned()))
        };
        self.task_ended(number, result, timing);
    }

    /// Makes the call of a task. It goes the way of every call.
    fn call_task(&mut self, number: u32, arguments: Arguments) {
        let name = self.task(number).and_then(|record| record.task.tool_name.clone()).unwrap_or_default();
        let id = format!("task_{}_{number}", self.step.number);
        // Noted first: what is wrong with a call is its result at once.
        let slot = self.step.calls.len();
        if let Some(record) = self.task_mut(number) {
            record.call = Some(slot);
        }
        self.call(ToolCall { id, name, arguments });
        self.take_call_result(slot);
    }

    pub(in super::super) fn task_call_settled(&mut self, slot: usize) {
        self.take_call_result(slot);
        self.advance_tasks();
    }

    fn take_call_result(&mut self, slot: usize) {
        let Some(record) = self.step.tasks.iter().find(|record| record.call == Some(slot)) else { return };
        let number = record.number;
        let Some(call) = self.step.calls.get(slot) else { return };
        let timing = call.timing;
        let result = match &call.result {
            None => return,
            Some(Ok(output)) => Ok(output.to_value()),
            Some(Err(failure)) => Err(failure.message.clone()),
        };
        self.settle_task(number, result, timing);
    }

    pub(super) fn task_ended(&mut self, number: u32, result: Result<Value, String>, timing: Timing) {
        self.settle_task(number, result, timing);
        self.advance_tasks();
    }

    /// Records what came of a task, and tells the graph.
    fn settle_task(&mut self, number: u32, result: Result<Value, String>, timing: Timing) {
        self.spend_time(number, timing);
        let Some(record) = self.task_mut(number) else { return };
        let outcome = match result {
            Ok(value) => {
                record.status = TaskStatus::Completed;
                record.result = Some(value);
                // The result is here; the graph need not hold it too.
                Ok(Value::Null)
            }
            Err(error) => {
                record.status = TaskStatus::Failed;
                record.error = Some(error.clone());
                Err(NodeFailure::new(NodeFailureKind::Failed, error))
            }
        };
        self.tell_task_ended(number);
        let Phase::Working(working) = &mut self.phase else { return };
        let Some(id) = working.open.remove(&number) else { return };
        // It is open, and a function: the graph takes it.
        let _ =
            working.graph.settle(Settlement { id, outcome: Outcome::Function { result: outcome }, timing });
    }

    fn task_skipped(&mut self, number: u32, origin: Option<u32>) {
        let ended_ms = self.timing.ended_ms();
        let Some(record) = self.task_mut(number) else { return };
        record.status = TaskStatus::Skipped;
        record.timing = Timing { started_ms: ended_ms, elapsed_us: 0 };
        record.error = Some(match origin {
            Some(origin) => format!("not begun, because task {origin} failed"),
            None => "not begun".into(),
        });
        self.tell_task_ended(number);
    }

    fn tell_task_ended(&mut self, number: u32) {
        let limit = self.agent.limits.observation_chars;
        let Some(record) = self.task(number) else { return };
        let shown = |text: &str| cut_middle(text, limit).into_owned();
        self.emit(EventKind::TaskEnded {
            step: self.step.number,
            task: number,
            status: record.status,
            result: record.result.as_ref().map(|value| shown(&display_value(value))),
            error: record.error.as_deref().map(shown),
            timing: record.timing,
        });
    }

    pub(super) fn spend_time(&mut self, number: u32, timing: Timing) {
        if let Some(record) = self.task_mut(number) {
            record.timing = record.timing.spanning(&timing);
        }
    }

    /// Notes what the model will be shown of the tasks, and whether all of them failed.
    pub(super) fn note_results(&mut self) {
        self.step.observation = Some(self.results_in_words().into());
        let failures: Vec<&str> =
            self.step.tasks.iter().filter_map(|record| record.error.as_deref()).collect();
        if let (Some(first), true) = (failures.first(), failures.len() == self.step.tasks.len()) {
            self.step.error = Some(StepError::Tools { message: (*first).to_owned() });
        }
    }
}

/// The plan as a graph: a node for each task, an edge for each dependency.
fn graph(tasks: &[PlannedTask]) -> Result<GraphSpec, GraphError> {
    let mut settings = GraphSettings {
        name: "plan".into(),
        limits: GraphLimits { on_failure: OnFailure::Finish, ..GraphLimits::default() },
        ..GraphSettings::default()
    };
    for (number, task) in (1_u32..).zip(tasks) {
        settings.nodes.push(NodeSpec::new(name(number), Work::Function));
        settings.edges.extend(task.depends_on.iter().map(|before| EdgeSpec {
            from: name(*before),
            to: name(number),
            when: When::Always,
        }));
    }
    GraphSpec::new(settings)
}

/// The name of the node of a task.
fn name(number: u32) -> String {
    format!("task_{number}")
}

/// The task of a node.
fn number(name: &str) -> Option<u32> {
    name.strip_prefix("task_")?.parse().ok()
}

fn place(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

/// Whether a schema without properties allows no arguments at all.
fn is_closed(schema: &Value) -> bool {
    schema.get("properties").is_some()
        && schema.get("additionalProperties").is_none_or(|allowed| *allowed == Value::Bool(false))
}
