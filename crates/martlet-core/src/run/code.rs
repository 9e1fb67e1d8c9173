//! The strategy `Code`: the model writes Python, the sandbox runs it, its tool calls are calls of the run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Pending, Phase, Run, was_cut};
use crate::code::{CallResult, CodeCall, CodeEnd, CodeError, CodeOutcome, CodeRequest};
use crate::effect::{HostFailure, Timing};
use crate::event::EventKind;
use crate::message::{Message, Part};
use crate::model::ModelReply;
use crate::parse::{Found, find_program};
use crate::step::{RunFailure, RunStatus, StepError};
use crate::text::cut_middle;
use crate::tool::{Arguments, ToolCall, ToolOutput};

/// How often a program is run again after the sandbox lost its session, before the step fails.
const MAX_RESTARTS: u32 = 3;

/// A program under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Coding {
    code: Arc<str>,
    /// The calls that the program waits for; `None` while it computes.
    awaiting: Option<Vec<u32>>,
    /// Calls whose results are there, in the order in which they came.
    settled: Vec<u32>,
    /// Calls whose results the program has.
    delivered: Vec<u32>,
    restarts: u32,
}

impl Run {
    pub(super) fn code_replied(&mut self, reply: ModelReply, timing: Timing) {
        let prefill = self.prefill();
        let found = find_program(&reply.text, prefill.is_some());
        self.step.thought = match &found {
            Found::Program { thought, .. } | Found::Text(thought) => thought.clone(),
        };
        self.reply_event(&reply, timing);
        let cut = was_cut(&reply);
        let mut said = format!("{}{}", prefill.as_deref().unwrap_or_default(), reply.text.trim_end());
        if matches!(found, Found::Program { closed: false, .. }) && said.contains("```") {
            said.push_str("\n```");
        }
        self.messages.push(Message::assistant(said));
        let text = reply.text.clone();
        self.step.reply = Some(reply);
        match found {
            Found::Program { closed: false, .. } if cut => self.reply_error(
                "the reply was cut off at the token limit before the program ended, so it was not run. Write a \
                 shorter program, or do the work in several steps."
                    .into(),
            ),
            Found::Program { code, .. } => {
                self.idle_replies = 0;
                self.start_program(code.into());
            }
            Found::Text(_) => self.idle_reply(
                &text,
                "the reply holds no Python program. Write one in a block that begins with ```python and ends with \
                 ```. If you know the answer, the program is: final_answer(\"the answer\")"
                    .into(),
            ),
        }
    }

    fn start_program(&mut self, code: Arc<str>) {
        self.emit(EventKind::CodeStarted { step: self.step.number, code: code.clone() });
        self.step.code = Some(code.clone());
        self.phase = Phase::Coding(Coding {
            code: code.clone(),
            awaiting: None,
            settled: Vec::new(),
            delivered: Vec::new(),
            restarts: 0,
        });
        self.run_program(code.to_string());
    }

    fn run_program(&mut self, code: String) {
        let (session, variables) = (self.python.clone(), self.variables.clone());
        self.ask_for(Pending::Code { request: CodeRequest::Start { code, session, variables } });
    }

    pub(super) fn code_returned(&mut self, result: Result<CodeOutcome, HostFailure>) {
        match result {
            Err(failure) => self.fail(RunFailure::Host { message: failure.message }, RunStatus::Failed),
            Ok(CodeOutcome::Waiting { calls, awaiting }) => self.program_waits(calls, awaiting),
            Ok(CodeOutcome::Ended(end)) => self.program_ended(end),
            Ok(CodeOutcome::Lost { reason, left }) => self.program_lost(reason, left),
        }
    }

    fn program_waits(&mut self, calls: Vec<CodeCall>, awaiting: Vec<u32>) {
        for call in calls {
            let slot = usize::try_from(call.index).unwrap_or(usize::MAX);
            let same = self.step.calls.get(slot).map(|known| known.was_asked_as(&call.name, &call.arguments));
            match same {
                // Made before the session was lost: its result, if it is there, is used again.
                Some(true) => {}
                Some(false) => {
                    return self.sandbox_fault(
                        "the program was run again after a fault and made other calls than before".into(),
                    );
                }
                None if slot == self.step.calls.len() => {
                    let id = format!("code_{}_{slot}", self.step.number);
                    let slot = self.call(ToolCall {
                        id,
                        name: call.name,
                        arguments: Arguments::Object(call.arguments),
                    });
                    if self.has_result(slot) {
                        self.note_settled(slot);
                    }
                }
                None => return self.sandbox_fault(format!("call {slot} came out of order")),
            }
        }
        let known = self.step.calls.len();
        let Phase::Coding(coding) = &mut self.phase else { return };
        let can_go_on = awaiting.iter().any(|index| !coding.delivered.contains(index))
            && awaiting.iter().all(|index| usize::try_from(*index).is_ok_and(|index| index < known));
        if !can_go_on {
            return self.sandbox_fault("the program waits for calls that were never made".into());
        }
        coding.awaiting = Some(awaiting);
        self.resume_program();
    }

    pub(super) fn code_call_settled(&mut self, slot: usize) {
        self.note_settled(slot);
        self.resume_program();
    }

    fn note_settled(&mut self, slot: usize) {
        if let (Phase::Coding(coding), Ok(index)) = (&mut self.phase, u32::try_from(slot)) {
            coding.settled.push(index);
        }
    }

    /// Goes on with a program that waits, as soon as something that it waits for is there.
    fn resume_program(&mut self) {
        let Phase::Coding(coding) = &mut self.phase else { return };
        let Some(awaiting) = &coding.awaiting else { return };
        let ready: Vec<u32> = coding
            .settled
            .iter()
            .copied()
            .filter(|index| awaiting.contains(index) && !coding.delivered.contains(index))
            .collect();
        if ready.is_empty() {
            return;
        }
        coding.delivered.extend(&ready);
        coding.awaiting = None;
        let results = ready
            .into_iter()
            .filter_map(|index| {
                let record = self.step.calls.get(usize::try_from(index).ok()?)?;
                let result = record.result.as_ref()?;
                let result = result.as_ref().map(|output| output.to_value()).map_err(Clone::clone);
                Some(CallResult { index, result })
            })
            .collect();
        self.ask_for(Pending::Code { request: CodeRequest::Resume { results } });
    }

    fn program_lost(&mut self, reason: String, left: bool) {
        let Phase::Coding(coding) = &mut self.phase else { return };
        if !left {
            if coding.restarts == MAX_RESTARTS {
                return self.sandbox_fault(format!(
                    "the sandbox lost the program's session again and again ({reason})"
                ));
            }
            coding.restarts += 1;
        }
        coding.awaiting = None;
        coding.delivered.clear();
        let code = coding.code.to_string();
        self.run_program(code);
    }

    fn sandbox_fault(&mut self, message: String) {
        let error = CodeError { kind: "SandboxError".into(), message, line: None, source_line: None };
        self.program_ended(CodeEnd { error: Some(error), ..CodeEnd::default() });
    }

    fn program_ended(&mut self, end: CodeEnd) {
        let CodeEnd { stdout, value, answer, error, session } = end;
        self.abandon_open();
        if session.is_some() {
            self.python = session;
            self.variables = Arc::default();
        }
        let limit = self.agent.limits.observation_chars;
        self.emit(EventKind::CodeEnded {
            step: self.step.number,
            stdout: cut_middle(&stdout, limit).into_owned(),
            value: value.as_ref().map(|value| cut_middle(&value.repr, limit).into_owned()),
            error: error.as_ref().map(|error| cut_middle(&error.to_string(), limit).into_owned()),
        });
        self.step.stdout = stdout;
        self.step.value = value;
        if let Some(answer) = answer {
            return self.answered(answer.json, None);
        }
        let mut observation = self.describe_end(error.as_ref());
        self.repeats =
            self.step.code.is_some() && self.steps.last().is_some_and(|last| last.code == self.step.code);
        if self.repeats {
            observation.push_str(
                "\nThis was the same program as before. Write a different one, or call final_answer with what you know.",
            );
        }
        let mut parts = vec![Part::text(observation)];
        parts.extend(self.pictures_of_calls());
        self.end_step(vec![Message::observed(parts)], error.map(|error| StepError::Code { error }));
    }

    /// The images that the tools returned to the program: it has no use for them, but the model can look at them.
    fn pictures_of_calls(&self) -> impl Iterator<Item = Part> {
        let outputs = self.step.calls.iter().filter_map(|record| record.result.as_ref()?.as_ref().ok());
        outputs.flat_map(ToolOutput::to_parts).filter(|part| matches!(part, Part::Image { .. }))
    }

    /// What the model is shown of a program that gave no answer.
    fn describe_end(&self, error: Option<&CodeError>) -> String {
        let limit = self.agent.limits.observation_chars;
        let mut shown = cut_middle(self.step.stdout.trim_end(), limit).into_owned();
        if let Some(value) = &self.step.value {
            if !shown.is_empty() {
                shown.push('\n');
            }
            shown.push_str(&cut_middle(&value.repr, limit));
        }
        match error {
            Some(error) => {
                if !shown.is_empty() {
                    shown.push('\n');
                }
                let place = match (error.line, &error.source_line) {
                    (Some(line), Some(source)) => format!(" in line {line} (`{}`)", source.trim()),
                    (Some(line), None) => format!(" in line {line}"),
                    (None, _) => String::new(),
                };
                let error = error.to_string();
                let error = cut_middle(&error, limit);
                shown.push_str(&format!(
                    "Error{place}: {error}\nNames that were defined before the error are kept. Correct the program and go on."
                ));
            }
            None if shown.is_empty() => shown.push_str(
                "(nothing was printed) Print what you need to see. If the task is done, call final_answer(answer).",
            ),
            None => {}
        }
        // The program cannot see it: it was given the results as if they were those that it asked for.
        let notes = self.edit_notes();
        format!("Observation:\n{notes}{shown}")
    }
}
