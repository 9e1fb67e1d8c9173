//! The answer: from the model that gives it to the run that ends with it, or to the model that has to correct it.

use serde_json::{Map, Value};

use super::{Pending, Phase, Run};
use crate::message::{Message, Part};
use crate::step::{RunStatus, StepError};
use crate::text::cut_middle;
use crate::tool::{Arguments, FINAL_ANSWER, ToolCall};

impl Run {
    /// The model gave an answer; `call_id` is the structured call that gave it.
    pub(super) fn answered(&mut self, answer: Value, call_id: Option<String>) {
        self.phase = Phase::Answering { call_id };
        self.abandon_open();
        self.step.answer = Some(answer);
        if self.agent.has_own_final_answer() {
            let call = ToolCall {
                id: format!("answer_{}", self.step.number),
                name: FINAL_ANSWER.into(),
                arguments: Arguments::Object(self.own_final_answer_arguments()),
            };
            let slot = self.call(call);
            self.own_final_answer_settled(slot);
        } else {
            self.answer_given(self.step.answer.clone().unwrap_or_default());
        }
    }

    /// Takes the output of the host's own `final_answer`, once it is there, as the answer.
    pub(super) fn own_final_answer_settled(&mut self, slot: usize) {
        match self.step.calls.get(slot).and_then(|record| record.result.clone()) {
            Some(Ok(output)) => self.answer_given(output.to_value()),
            Some(Err(failure)) => self.reject(failure.message),
            None => {}
        }
    }

    pub(super) fn answer_given(&mut self, answer: Value) {
        let problem =
            self.agent.answer_schema.as_ref().and_then(|schema| crate::schema::check(schema, &answer).err());
        self.step.answer = Some(answer);
        match problem {
            Some(problem) => self.reject(problem),
            None if self.agent.answer_checks => self.ask_for(Pending::Check),
            None => self.accept(),
        }
    }

    pub(super) fn accept(&mut self) {
        self.output = self.step.answer.clone().unwrap_or_default();
        let notes = self.edit_notes();
        if let Phase::Answering { call_id: Some(call_id) } = &self.phase {
            // A structured call must not stay without a result if the conversation goes on.
            let text = format!("{notes}The answer was given.");
            self.messages.push(Message::tool(call_id.clone(), vec![Part::text(text)]));
        } else if !self.is_reasoning() && !notes.is_empty() {
            // The last word on these calls: a next run goes on from what was really done.
            self.messages.push(Message::observation(format!("Observation:\n{}", notes.trim_end())));
        }
        if self.is_reasoning() {
            self.said_answer(&self.output.clone());
        }
        self.close_step();
        self.finish(RunStatus::Succeeded);
    }

    pub(super) fn reject(&mut self, problem: String) {
        let problem = cut_middle(&problem, self.agent.limits.observation_chars).into_owned();
        if self.is_reasoning() {
            // The next plan is asked for with what is wrong.
            let answer_call = self.step.calls.iter().rfind(|record| record.call.name == FINAL_ANSWER);
            let note = answer_call.and_then(|record| record.edit_note(self.agent.limits.observation_chars));
            let problem = note.map_or_else(|| problem.clone(), |note| format!("{note}. {problem}"));
            return self.end_step(Vec::new(), Some(StepError::Answer { problem }));
        }
        let notes = self.edit_notes();
        let text = format!(
            "{notes}The answer was not accepted: {problem}\nCorrect it, and call {FINAL_ANSWER} again when it is right."
        );
        let observation = match &self.phase {
            Phase::Answering { call_id: Some(call_id) } => {
                Message::tool(call_id.clone(), vec![Part::text(text)])
            }
            _ => Message::observation(text),
        };
        self.end_step(vec![observation], Some(StepError::Answer { problem }));
    }

    /// The host's own `final_answer` takes the answer as its first argument, or by its arguments' names where
    /// the answer is an object that has them.
    pub(super) fn own_final_answer_arguments(&self) -> Map<String, Value> {
        let answer = self.step.answer.clone().unwrap_or_default();
        let Some(spec) = self.agent.tool(FINAL_ANSWER) else { return Map::new() };
        if let Value::Object(object) = &answer
            && spec.validate(object).is_ok()
        {
            return object.clone();
        }
        let name = spec.parameter_names().next().unwrap_or("answer").to_owned();
        Map::from_iter([(name, answer)])
    }
}
