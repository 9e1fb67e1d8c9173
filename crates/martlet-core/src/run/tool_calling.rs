//! The strategy `ToolCalling`: the model asks for structured calls, several in one reply run in parallel.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Phase, Run, was_cut};
use crate::effect::Timing;
use crate::message::{Message, Part};
use crate::model::ModelReply;
use crate::parse::{calls_as_whole_text, calls_in_text};
use crate::step::{CallRecord, StepError};
use crate::text::cut_middle;
use crate::tool::{Arguments, FINAL_ANSWER, ToolCall, ToolFailure, ToolFailureKind};

/// Calls under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Calling {
    /// Whether the calls came by the provider's own means, and so must their results go back.
    native: bool,
}

impl Run {
    pub(super) fn calls_replied(&mut self, reply: ModelReply, timing: Timing) {
        let native = !reply.tool_calls.is_empty();
        let calls = if native { reply.tool_calls.clone() } else { self.calls_as_text(&reply.text) };
        let calls = with_unique_ids(&calls, self.step.number);
        self.step.thought =
            if native || calls.is_empty() { reply.text.trim().to_owned() } else { String::new() };
        self.reply_event(&reply, timing);
        let mut said = Message::assistant(reply.text.as_str());
        if native {
            said.tool_calls = calls.iter().map(presentable).collect();
        }
        self.messages.push(said);
        let cut = was_cut(&reply);
        let text = reply.text.clone();
        self.step.reply = Some(reply);
        if calls.is_empty() {
            return self.no_calls(&text, cut);
        }
        self.idle_replies = 0;
        let limit = self.agent.limits.calls_per_step;
        if calls.len() > limit {
            let message =
                format!("{} calls in one reply are too many: make at most {limit} at once.", calls.len());
            let results = calls.iter().map(|call| self.result_message(native, call, &message)).collect();
            return self.end_step(results, Some(StepError::Reply { message }));
        }
        self.phase = Phase::Calling(Calling { native });
        if let [only] = calls.as_slice()
            && only.name == FINAL_ANSWER
            && !self.agent.has_own_final_answer()
        {
            return self.final_answer_called(only.clone(), native);
        }
        let alone = calls.len() == 1;
        for call in calls {
            if call.name == FINAL_ANSWER && !alone {
                self.refuse(
                    call,
                    "the answer was not taken, because it came together with other calls: look at their results, then \
                     call final_answer alone",
                );
            } else {
                self.call(call);
            }
        }
        self.calls_progressed();
    }

    /// The calls that a reply holds as text.
    ///
    /// A model that calls tools by its provider's means writes texts for people: there, a call that is only quoted must
    /// not be made, and neither is an object that is the answer itself.
    fn calls_as_text(&self, text: &str) -> Vec<ToolCall> {
        let known = |name: &str| self.agent.tool(name).is_some();
        if !self.agent.profile.native_tools {
            return calls_in_text(text, &known);
        }
        let is_answer = self.agent.answer_schema.as_ref().is_some_and(|schema| {
            serde_json::from_str(text.trim())
                .is_ok_and(|answer| crate::schema::check(schema, &answer).is_ok())
        });
        if is_answer { Vec::new() } else { calls_as_whole_text(text, &known) }
    }

    fn no_calls(&mut self, text: &str, cut: bool) {
        if cut {
            return self.reply_error("the reply was cut off at the token limit. Be shorter.".into());
        }
        let advice = "the reply holds no tool call. Call a tool, or give the answer by calling final_answer.";
        // Models that call tools natively answer in plain text when they are done; small ones lose the form.
        if self.agent.profile.native_tools && !text.trim().is_empty() {
            let answer = self.text_answer(text);
            return self.answered(answer, None);
        }
        self.idle_reply(text, advice.into());
    }

    fn final_answer_called(&mut self, call: ToolCall, native: bool) {
        let checked = self.check_call(&call);
        let answer = match &call.arguments {
            Arguments::Object(arguments) => arguments.get("answer").cloned(),
            Arguments::Malformed(_) => None,
        };
        let call_id = native.then(|| call.id.clone());
        // A wrong type of the answer is for the schema of the answer to tell.
        match (answer, checked) {
            (Some(answer), _) => {
                self.step.calls.push(CallRecord::new(call));
                self.answered(answer, call_id);
            }
            (None, Err(failure)) => {
                self.refuse(call, &failure.message);
                self.calls_progressed();
            }
            (None, Ok(_)) => self.answered(Value::Null, call_id),
        }
    }

    fn refuse(&mut self, call: ToolCall, message: &str) {
        let slot = self.step.calls.len();
        self.step.calls.push(CallRecord::new(call));
        let timing = Timing { started_ms: self.timing.ended_ms(), elapsed_us: 0 };
        self.record_result(slot, Err(ToolFailure::new(ToolFailureKind::Arguments, message)), timing);
    }

    /// Ends the step when all calls have their results, in the order of the calls.
    pub(super) fn calls_progressed(&mut self) {
        let Phase::Calling(Calling { native }) = self.phase else { return };
        if self.step.calls.iter().any(|record| record.result.is_none()) {
            return;
        }
        if let [only] = self.step.calls.as_slice()
            && only.call.name == FINAL_ANSWER
            && let Some(Ok(output)) = &only.result
        {
            // The host's own `final_answer` has been called like any tool: its output is the answer.
            let (answer, call_id) = (output.to_value(), native.then(|| only.call.id.clone()));
            self.phase = Phase::Answering { call_id };
            return self.answer_given(answer);
        }
        let asked = |calls: &[CallRecord]| -> Vec<(String, Arguments)> {
            calls.iter().map(|record| (record.call.name.clone(), record.asked_arguments())).collect()
        };
        self.repeats = self.steps.last().is_some_and(|last| asked(&last.calls) == asked(&self.step.calls));
        let mut messages: Vec<Message> = Vec::new();
        let mut pictures: Vec<Part> = Vec::new();
        for record in &self.step.calls {
            let (text, other) = self.shown(record);
            messages.push(self.result_message(native, &record.call, &text));
            pictures.extend(other);
        }
        if !native {
            let text = messages.iter().map(Message::joined_text).collect::<Vec<_>>().join("\n");
            messages = vec![Message::observation(format!("Observation:\n{text}"))];
        }
        if self.repeats {
            messages.push(Message::observation(
                "These were the same calls as before, and their results are above. Do something else, or answer.",
            ));
        }
        if !pictures.is_empty() {
            // Providers take images and files only from the user.
            let mut parts = vec![Part::text("The images and files that the tools returned:")];
            parts.extend(pictures);
            messages.push(Message::observed(parts));
        }
        let failures: Vec<&ToolFailure> =
            self.step.calls.iter().filter_map(|record| record.result.as_ref()?.as_ref().err()).collect();
        let error = match failures.first() {
            Some(first) if failures.len() == self.step.calls.len() => {
                Some(StepError::Tools { message: first.message.clone() })
            }
            _ => None,
        };
        self.end_step(messages, error);
    }

    /// What the model is shown of a call: a text, and the images and files that cannot be part of it.
    fn shown(&self, record: &CallRecord) -> (String, Vec<Part>) {
        let limit = self.agent.limits.observation_chars;
        let note = record.edit_note(limit).map(|note| format!("{note}.\n")).unwrap_or_default();
        match &record.result {
            Some(Ok(output)) => {
                let text = cut_middle(&output.to_text(), limit).into_owned();
                let other = output.to_parts().into_iter().filter(|part| part.as_text().is_none()).collect();
                let text = if text.is_empty() { "(no text)" } else { &text };
                (format!("{note}{text}"), other)
            }
            Some(Err(failure)) => {
                let advice = match failure.kind {
                    ToolFailureKind::Failed | ToolFailureKind::TimedOut => {
                        " Try again with other arguments, or use another tool."
                    }
                    _ => "",
                };
                (format!("{note}Error: {}{advice}", cut_middle(&failure.message, limit)), Vec::new())
            }
            None => (String::new(), Vec::new()),
        }
    }

    fn result_message(&self, native: bool, call: &ToolCall, text: &str) -> Message {
        if native {
            Message::tool(call.id.clone(), vec![Part::text(text)])
        } else {
            Message::observation(format!("{}: {text}", call.name))
        }
    }
}

/// The calls with ids that are not empty and not used twice: results are matched by them.
fn with_unique_ids(calls: &[ToolCall], step: u32) -> Vec<ToolCall> {
    let mut seen: HashSet<String> = HashSet::new();
    calls
        .iter()
        .enumerate()
        .map(|(position, call)| {
            let mut call = call.clone();
            if call.id.is_empty() || seen.contains(&call.id) {
                call.id = format!("call_{step}_{position}");
            }
            seen.insert(call.id.clone());
            call
        })
        .collect()
}

/// A call as it is shown to the provider again: some refuse arguments that are not an object.
fn presentable(call: &ToolCall) -> ToolCall {
    let mut call = call.clone();
    if let Arguments::Malformed(text) = &call.arguments {
        call.arguments =
            Arguments::Object(Map::from_iter([("malformed".to_owned(), Value::String(text.clone()))]));
    }
    call
}
