//! Tool calls, whoever makes them: a model that calls tools, or a Python program. They are checked, approved, made and
//! recorded in one way.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Pending, Phase, Run};
use crate::effect::{Decision, Timing};
use crate::event::EventKind;
use crate::name;
use crate::step::CallRecord;
use crate::text::cut_middle;
use crate::tool::{Arguments, ToolCall, ToolFailure, ToolFailureKind, ToolOutput};

impl Run {
    /// Records a call and asks for it; what is wrong with it is its result at once. Returns its slot.
    pub(super) fn call(&mut self, call: ToolCall) -> usize {
        let slot = self.step.calls.len();
        let checked = self.check_call(&call);
        self.step.calls.push(CallRecord { call, result: None, timing: Timing::default() });
        match checked {
            Err(failure) => {
                let timing = Timing { started_ms: self.timing.ended_ms(), elapsed_us: 0 };
                self.record_result(slot, Err(failure), timing);
            }
            Ok(needs_approval) => {
                if needs_approval {
                    let Some((name, arguments)) = self.slot(slot) else { return slot };
                    let (step, call) = (self.step.number, self.call_id(slot));
                    self.emit(EventKind::ApprovalAsked { step, call, name, arguments });
                    self.ask_for(Pending::Approve { slot });
                } else {
                    self.make_call(slot);
                }
            }
        }
        slot
    }

    /// Asks for what a call that is checked and approved needs: the tool, or a child run.
    fn make_call(&mut self, slot: usize) {
        let Some((name, arguments)) = self.slot(slot) else { return };
        let (step, call) = (self.step.number, self.call_id(slot));
        let agent = self.agent.clone();
        let managed = agent.managed(&name);
        let input = managed.map(|managed| managed.input(&agent.name, &arguments));
        self.emit(EventKind::ToolCalled { step, call, name, arguments });
        match input {
            None => self.ask_for(Pending::Tool { slot }),
            Some(Ok(input)) => self.start_child(slot, input),
            Some(Err(error)) => {
                let failure = ToolFailure::new(ToolFailureKind::Failed, error.to_string());
                let timing = Timing { started_ms: self.timing.ended_ms(), elapsed_us: 0 };
                self.record_result(slot, Err(failure), timing);
            }
        }
    }

    /// Whether the call can be made, and whether a person has to approve it first.
    pub(super) fn check_call(&self, call: &ToolCall) -> Result<bool, ToolFailure> {
        let Some(spec) = self.agent.tool(&call.name) else {
            let known = self.agent.offered_tools().iter().map(|tool| tool.name.as_str());
            return Err(name::unknown(&call.name, known));
        };
        match &call.arguments {
            Arguments::Object(arguments) => spec
                .validate(arguments)
                .map_err(|error| ToolFailure::new(ToolFailureKind::Arguments, error.to_string()))?,
            Arguments::Malformed(text) => {
                return Err(ToolFailure::new(
                    ToolFailureKind::Arguments,
                    format!(
                        "the arguments of `{}` are not a JSON object: {}",
                        call.name,
                        cut_middle(text, 200)
                    ),
                ));
            }
        }
        Ok(spec.flags.needs_approval)
    }

    pub(super) fn call_decided(&mut self, slot: usize, decision: Decision, timing: Timing) {
        match decision {
            Decision::Approved => {
                self.make_call(slot);
                if self.has_result(slot) {
                    self.call_settled(slot);
                }
            }
            Decision::Denied { reason } => {
                let message = format!("this call was refused: {reason}. Do not repeat it; go on without it.");
                self.tool_returned(slot, Err(ToolFailure::new(ToolFailureKind::Denied, message)), timing);
            }
        }
    }

    pub(super) fn tool_returned(
        &mut self,
        slot: usize,
        result: Result<ToolOutput, ToolFailure>,
        timing: Timing,
    ) {
        self.record_result(slot, result, timing);
        self.call_settled(slot);
    }

    /// Goes on after a call that was under way has its result.
    fn call_settled(&mut self, slot: usize) {
        match &self.phase {
            Phase::Calling(_) => self.calls_progressed(),
            Phase::Coding(_) => self.code_call_settled(slot),
            Phase::Working(_) => self.task_call_settled(slot),
            Phase::Answering { .. } => self.own_final_answer_settled(slot),
            _ => {}
        }
    }

    pub(super) fn has_result(&self, slot: usize) -> bool {
        self.step.calls.get(slot).is_some_and(|record| record.result.is_some())
    }

    /// What the model is told of a call that was stopped at its time limit.
    pub(super) fn call_timed_out(&self, slot: usize, limit_ms: u64) -> ToolFailure {
        let name = self.step.calls.get(slot).map(|record| record.call.name.as_str()).unwrap_or_default();
        let seconds = Duration::from_millis(limit_ms).as_secs_f64();
        ToolFailure::new(
            ToolFailureKind::TimedOut,
            format!("`{name}` took longer than {seconds} s and was stopped."),
        )
    }

    pub(super) fn record_result(
        &mut self,
        slot: usize,
        result: Result<ToolOutput, ToolFailure>,
        timing: Timing,
    ) {
        let limit = self.agent.limits.observation_chars;
        let (output, error) = match &result {
            Ok(output) => (Some(cut_middle(&output.to_text(), limit).into_owned()), None),
            Err(failure) => (None, Some(cut_middle(&failure.message, limit).into_owned())),
        };
        let (step, call) = (self.step.number, self.call_id(slot));
        let Some(record) = self.step.calls.get_mut(slot) else { return };
        record.result = Some(result);
        record.timing = timing;
        let name = record.call.name.clone();
        self.emit(EventKind::ToolReturned { step, call, name, output, error, timing });
    }

    pub(super) fn slot(&self, slot: usize) -> Option<(String, Map<String, Value>)> {
        let call = &self.step.calls.get(slot)?.call;
        match &call.arguments {
            Arguments::Object(arguments) => Some((call.name.clone(), arguments.clone())),
            Arguments::Malformed(_) => None,
        }
    }

    pub(super) fn call_id(&self, slot: usize) -> String {
        self.step.calls.get(slot).map(|record| record.call.id.clone()).unwrap_or_default()
    }
}
