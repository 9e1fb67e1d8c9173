//! Tool calls, whoever makes them: a model that calls tools, or a Python program. They are checked, approved, made and
//! recorded in one way.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Pending, Phase, Run};
use crate::approval::{Ruling, Verdict};
use crate::effect::{Decision, Timing};
use crate::event::EventKind;
use crate::id::EffectId;
use crate::name;
use crate::step::CallRecord;
use crate::text::cut_middle;
use crate::tool::{Arguments, ToolCall, ToolFailure, ToolFailureKind, ToolOutput};

impl Run {
    /// Records a call and asks for it; what is wrong with it is its result at once. Returns its slot.
    pub(super) fn call(&mut self, call: ToolCall) -> usize {
        let slot = self.step.calls.len();
        let checked = self.check_call(&call);
        self.step.calls.push(CallRecord::new(call));
        match checked.and_then(|()| self.rule_on(slot)) {
            Err(failure) => self.fail_at_once(slot, failure),
            Ok(Ruling { verdict: Verdict::Ask, reason, .. }) => self.ask_about(slot, reason),
            Ok(_) => self.make_call(slot),
        }
        slot
    }

    /// What the policy says of a call; a refusal is the call's result.
    fn rule_on(&self, slot: usize) -> Result<Ruling, ToolFailure> {
        let ruling = self.slot(slot).and_then(|(name, arguments)| {
            Some(self.agent.approvals.ruling(self.agent.tool(&name)?, &arguments))
        });
        match ruling {
            // Only what was checked comes here: a call that nothing is known of must not be made.
            None => Err(denied("nothing is known of this call")),
            Some(ruling) if ruling.verdict == Verdict::Deny => Err(denied(&ruling.refusal())),
            Some(ruling) => Ok(ruling),
        }
    }

    /// Lets the call wait for a person.
    fn ask_about(&mut self, slot: usize, reason: Option<String>) {
        let Some((name, arguments)) = self.slot(slot) else { return };
        let (EffectId { step, index: effect, .. }, call) = (self.next_effect(), self.call_id(slot));
        self.emit(EventKind::ApprovalAsked { step, call, effect, name, arguments, reason });
        self.ask_for(Pending::Approve { slot });
    }

    /// Records the failure of a call that was not made.
    fn fail_at_once(&mut self, slot: usize, failure: ToolFailure) {
        let timing = Timing { started_ms: self.timing.ended_ms(), elapsed_us: 0 };
        self.record_result(slot, Err(failure), timing);
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
                self.fail_at_once(slot, ToolFailure::new(ToolFailureKind::Failed, error.to_string()));
            }
        }
    }

    /// Whether the call can be made at all.
    pub(super) fn check_call(&self, call: &ToolCall) -> Result<(), ToolFailure> {
        let Some(spec) = self.agent.tool(&call.name) else {
            let known = self.agent.offered_tools().iter().map(|tool| tool.name.as_str());
            return Err(name::unknown(&call.name, known));
        };
        match &call.arguments {
            Arguments::Object(arguments) => spec
                .validate(arguments)
                .map_err(|error| ToolFailure::new(ToolFailureKind::Arguments, error.to_string())),
            Arguments::Malformed(text) => Err(ToolFailure::new(
                ToolFailureKind::Arguments,
                format!("the arguments of `{}` are not a JSON object: {}", call.name, cut_middle(text, 200)),
            )),
        }
    }

    pub(super) fn call_decided(&mut self, id: &EffectId, slot: usize, decision: Decision, timing: Timing) {
        let Some((name, asked)) = self.slot(slot) else { return };
        let decision = match decision {
            // The same arguments again are no change that anybody had to be told of.
            Decision::Edited { arguments } if arguments == asked => Decision::Approved,
            decision => decision,
        };
        self.emit(EventKind::decided(id, self.call_id(slot), name, &decision));
        match decision {
            Decision::Approved => self.make_call(slot),
            Decision::Edited { arguments } => {
                if let Some(record) = self.step.calls.get_mut(slot) {
                    record.call.arguments = Arguments::Object(arguments);
                    record.asked = Some(asked);
                }
                match self.check_edited(slot) {
                    Ok(()) => self.make_call(slot),
                    Err(failure) => self.record_result(slot, Err(failure), timing),
                }
            }
            Decision::Denied { reason } => self.record_result(slot, Err(denied_by_person(&reason)), timing),
        }
        if self.has_result(slot) {
            self.call_settled(slot);
        }
    }

    /// Whether a call can be made with the arguments that a person gave it. What a policy refuses, a person cannot
    /// bring about either.
    fn check_edited(&self, slot: usize) -> Result<(), ToolFailure> {
        let Some(record) = self.step.calls.get(slot) else { return Err(denied("nothing is known of it")) };
        self.check_call(&record.call).map_err(|failure| {
            let message = format!(
                "the arguments that a person put in the place of yours do not fit, so the call was not made: {}",
                failure.message
            );
            ToolFailure { message, ..failure }
        })?;
        self.rule_on(slot).map(|_| ())
    }

    /// What the model is to be told of calls whose arguments a person changed, where it is not told with each result.
    pub(super) fn edit_notes(&self) -> String {
        let limit = self.agent.limits.observation_chars;
        let notes = self.step.calls.iter().filter_map(|record| record.edit_note(limit));
        notes.map(|note| format!("{note}.\n")).collect()
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

/// What the model is told of a call that a person refused.
fn denied_by_person(reason: &str) -> ToolFailure {
    denied(&format!("this call was refused: {reason}"))
}

fn denied(what: &str) -> ToolFailure {
    let message = format!("{what}. Do not repeat it; go on without it.");
    ToolFailure::new(ToolFailureKind::Denied, message)
}
