//! The strategy `Reasoning`: plan, do the tasks of the plan in parallel, check whether that completes the whole.
//!
//! One iteration is one step. Within it the model is called several times: for the plan, for the tasks (several calls
//! at once), for the completion check, and at the end for the answer. What was done in earlier iterations is in the
//! steps; each question to the model is written from there, so the conversation holds the task and the answer alone.

mod plan;
mod shown;
mod tasks;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Pending, Phase, Run, was_cut};
use crate::agent::Strategy;
use crate::effect::Timing;
use crate::event::EventKind;
use crate::message::{Message, Part, Role};
use crate::model::{ModelFailure, ModelFailureKind, ModelReply, ModelRequest, ResponseFormat};
use crate::parse::values_in_text;
use crate::prompt::Question;
use crate::reasoning::{CompletionCheck, Plan, PlannedTask, ReplyFor, ReplyRecord};
use crate::step::{RunFailure, RunStatus, StepError};
use crate::tool::display_value;
use plan::Read;
pub(super) use tasks::Working;

/// What an argument call's temperature is at most: arguments are copied, not invented.
const ARGUMENTS_TEMPERATURE: f32 = 0.3;

/// The most tokens of a small model's first try at a plan or at arguments, and at a check: small models that lose their
/// way write until they are stopped. A second try has what the agent's options allow.
const SMALL_REPLY: u32 = 400;
const SMALL_CHECK: u32 = 150;

/// What is wrong with a reply that ends at the token limit.
const CUT: &str = "it was cut off at the token limit: be shorter";

/// A model call of a step that makes several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ask {
    purpose: ReplyFor,
    /// What is asked, in words.
    question: Arc<str>,
    /// Whether the provider is asked to enforce the form of the reply.
    formatted: bool,
    /// The reply that could not be used, and what the model is told of it. There is one second try.
    again: Option<(String, Arc<str>)>,
}

impl Run {
    pub(super) fn is_reasoning(&self) -> bool {
        self.agent.strategy == Strategy::Reasoning
    }

    /// Begins an iteration; or, when the steps are used up, asks for an answer from what there is.
    pub(super) fn begin_iteration(&mut self) {
        if self.step.last_call { self.give_answer() } else { self.ask(ReplyFor::Plan) }
    }

    // --- asking ----------------------------------------------------------------------------------------

    fn ask(&mut self, purpose: ReplyFor) {
        match self.question(purpose) {
            Ok(question) => {
                let formatted = !self.unformatted && self.format(purpose).is_some();
                let ask = Ask { purpose, question: question.into(), formatted, again: None };
                self.ask_for(Pending::Ask(ask));
            }
            Err(error) => self.fail(super::prompt_failure(&error), RunStatus::Failed),
        }
    }

    fn ask_again(&mut self, ask: Ask, said: &str, problem: &str) {
        let is_json = match ask.purpose {
            ReplyFor::Answer => self.agent.answer_schema.is_some(),
            ReplyFor::Response { .. } => false,
            ReplyFor::Plan | ReplyFor::Arguments { .. } | ReplyFor::Check => true,
        };
        match self.agent.prompts.again(problem, is_json) {
            Ok(text) => {
                self.ask_for(Pending::Ask(Ask { again: Some((said.to_owned(), text.into())), ..ask }))
            }
            Err(error) => self.fail(super::prompt_failure(&error), RunStatus::Failed),
        }
    }

    /// The form of the reply, where it has one.
    fn format(&self, purpose: ReplyFor) -> Option<ResponseFormat> {
        let (name, schema) = match purpose {
            ReplyFor::Plan => ("plan", plan::plan_schema(&self.agent)),
            ReplyFor::Check => ("completion", plan::check_schema(&self.agent)),
            ReplyFor::Arguments { task } => {
                let name = self.task(task)?.task.tool_name.as_deref()?;
                ("arguments", self.agent.tool(name)?.parameters.clone())
            }
            ReplyFor::Answer => ("answer", self.agent.answer_schema.clone()?),
            ReplyFor::Response { .. } => return None,
        };
        // Providers take only objects.
        let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
        is_object.then(|| ResponseFormat::JsonSchema { name: name.into(), schema, strict: false })
    }

    /// The request of a call, with the task's images and files and those that tools returned.
    pub(super) fn ask_request(&self, ask: &Ask) -> ModelRequest {
        let mut options = self.options();
        if matches!(ask.purpose, ReplyFor::Arguments { .. }) {
            let temperature = options.temperature.unwrap_or(ARGUMENTS_TEMPERATURE);
            options.temperature = Some(temperature.min(ARGUMENTS_TEMPERATURE));
        } else if self.repeats && ask.purpose == ReplyFor::Plan {
            // The same question at temperature 0 gives the same plan again.
            options.temperature = Some(options.temperature.unwrap_or_default().max(0.7));
        }
        if self.agent.profile.small && options.max_tokens.is_none() && ask.again.is_none() {
            options.max_tokens = match ask.purpose {
                ReplyFor::Plan | ReplyFor::Arguments { .. } => Some(SMALL_REPLY),
                ReplyFor::Check => Some(SMALL_CHECK),
                ReplyFor::Response { .. } | ReplyFor::Answer => None,
            };
        }
        let mut parts = vec![Part::text(ask.question.clone())];
        let mut messages = self.messages.clone();
        if let Some(task) = messages.pop() {
            // Its text is in the question.
            parts.extend(task.parts.into_iter().skip(1));
        }
        parts.extend(self.pictures(ask.purpose));
        messages.push(Message::new(Role::User, parts));
        if let Some((said, told)) = &ask.again {
            messages.push(Message::assistant(said.as_str()));
            messages.push(Message::user(told.clone()));
        }
        let response_format = if ask.formatted { self.format(ask.purpose) } else { None };
        ModelRequest {
            messages: self.shown_to_model(messages),
            response_format,
            options,
            ..ModelRequest::default()
        }
    }

    // --- replies ---------------------------------------------------------------------------------------

    pub(super) fn asked_replied(
        &mut self,
        ask: Ask,
        result: Result<ModelReply, ModelFailure>,
        timing: Timing,
    ) {
        let reply = match result {
            Ok(reply) => reply,
            Err(failure) if failure.kind == ModelFailureKind::Request && ask.formatted => {
                // Not every provider takes a form; the question describes it as well.
                self.unformatted = true;
                return self.ask_for(Pending::Ask(Ask { formatted: false, ..ask }));
            }
            Err(failure) => return self.asked_failed(ask.purpose, failure, timing),
        };
        self.usage += reply.usage;
        self.step.usage += reply.usage;
        let text = reply.text.trim().to_owned();
        let cut = was_cut(&reply);
        self.step.replies.push(ReplyRecord { purpose: ask.purpose, reply, problem: None, timing });
        match ask.purpose {
            // What is there of a plan or a check serves; half a text must not be written by a tool, nor be an answer.
            ReplyFor::Arguments { .. } | ReplyFor::Response { .. } | ReplyFor::Answer if cut => {
                self.cut_replied(ask, text, timing);
            }
            ReplyFor::Plan => self.plan_replied(ask, &text),
            ReplyFor::Arguments { task } => self.arguments_replied(ask, task, &text, timing),
            ReplyFor::Response { task } => self.response_replied(task, &text, timing),
            ReplyFor::Check => self.check_replied(ask, &text),
            ReplyFor::Answer => self.answer_replied(ask, &text),
        }
    }

    /// A reply that is not used because its end is missing: there is a second try, and that one has to be whole.
    fn cut_replied(&mut self, ask: Ask, text: String, timing: Timing) {
        self.replied("", Some(CUT));
        match ask.purpose {
            ReplyFor::Arguments { task } | ReplyFor::Response { task } => {
                if ask.again.is_none() {
                    self.spend_time(task, timing);
                    return self.ask_again(ask, &text, CUT);
                }
                let failure = "the model's reply was cut off at the token limit, twice".to_owned();
                self.task_ended(task, Err(failure), timing);
            }
            _ if ask.again.is_none() => self.ask_again(ask, &text, CUT),
            // Nobody is asked any more, and the status says that it is not the whole answer.
            _ if self.step.last_call => self.conclude(Value::String(text)),
            _ => {
                self.step.answer = Some(Value::String(text));
                self.reject(CUT.to_owned());
            }
        }
    }

    /// A call without a reply ends the run, as it does for every strategy; only a task that is too long for the model is
    /// a failure of that task.
    fn asked_failed(&mut self, purpose: ReplyFor, failure: ModelFailure, timing: Timing) {
        match purpose {
            ReplyFor::Arguments { task } | ReplyFor::Response { task }
                if failure.kind == ModelFailureKind::ContextLength =>
            {
                self.task_ended(task, Err(failure.message), timing);
            }
            _ => self.model_failed(failure),
        }
    }

    /// Tells observers of the last reply; `thought` is what a person may want to read of it.
    fn replied(&mut self, thought: &str, problem: Option<&str>) {
        let Some(record) = self.step.replies.last_mut() else { return };
        record.problem = problem.map(Into::into);
        let (reasoning, usage, timing) = (record.reply.reasoning.clone(), record.reply.usage, record.timing);
        let (step, thought) = (self.step.number, thought.to_owned());
        self.emit(EventKind::ModelReplied { step, thought, reasoning, usage, timing });
    }

    // --- the plan --------------------------------------------------------------------------------------

    fn plan_replied(&mut self, ask: Ask, text: &str) {
        match (plan::read_plan(text, &self.agent), &ask.again) {
            (Ok(Read { plan, tasks, problem: None }), _) => {
                self.replied(&plan.reasoning, None);
                self.planned(plan, tasks);
            }
            (Ok(Read { problem: Some(problem), .. }) | Err(problem), None) => {
                self.replied("", Some(&problem));
                self.ask_again(ask, text, &problem);
            }
            (Ok(Read { plan, tasks, problem }), Some(_)) => {
                self.replied(&plan.reasoning, problem.as_deref());
                self.planned(plan, tasks);
            }
            (Err(problem), Some((first, _))) => {
                self.replied("", Some(&problem));
                self.step.error = Some(StepError::Reply { message: problem });
                // The first one, mended, if it was a plan at all.
                match plan::read_plan(first, &self.agent) {
                    Ok(Read { plan, tasks, .. }) => self.planned(plan, tasks),
                    Err(_) => {
                        let task =
                            PlannedTask { description: self.task.to_string(), ..PlannedTask::default() };
                        let reasoning = "The plan could not be read, so the task is done as a whole.".into();
                        self.planned(Plan { has_sufficient_info: true, reasoning }, vec![task]);
                    }
                }
            }
        }
    }

    fn planned(&mut self, plan: Plan, tasks: Vec<PlannedTask>) {
        self.step.thought.clone_from(&plan.reasoning);
        self.emit(EventKind::PlanMade {
            step: self.step.number,
            has_sufficient_info: plan.has_sufficient_info,
            reasoning: plan.reasoning.clone(),
            tasks: tasks.clone(),
        });
        let nobody_to_ask = self.agent.tool(plan::ASK_USER).is_none();
        let questions: Vec<&str> = tasks
            .iter()
            .filter(|task| task.requires_user_input && nobody_to_ask)
            .map(|task| task.description.as_str())
            .collect();
        let lacks = tasks.is_empty() && !plan.has_sufficient_info && self.results().is_empty();
        if lacks || !questions.is_empty() {
            let needed = ask_for_information(&plan.reasoning, &questions);
            self.step.plan = Some(Plan { has_sufficient_info: false, ..plan });
            return self.lacks_information(needed);
        }
        self.step.plan = Some(plan);
        if tasks.is_empty() { self.give_answer() } else { self.start_tasks(tasks) }
    }

    // --- the completion check --------------------------------------------------------------------------

    /// All tasks of the plan are done, in one way or another.
    fn tasks_ended(&mut self) {
        self.phase = Phase::Thinking;
        self.note_results();
        if self.is_over_budget() {
            self.close_step();
            return self.finish(RunStatus::TokenLimit);
        }
        self.ask(ReplyFor::Check);
    }

    fn check_replied(&mut self, ask: Ask, text: &str) {
        let check = match (plan::read_check(text), &ask.again) {
            (Ok(check), _) => {
                self.replied(&check.reasoning, None);
                check
            }
            (Err(problem), None) => {
                self.replied("", Some(&problem));
                return self.ask_again(ask, text, &problem);
            }
            (Err(problem), Some(_)) => {
                self.replied("", Some(&problem));
                CompletionCheck {
                    is_complete: false,
                    reasoning: "Failed to parse completion check".into(),
                    missing_steps: Vec::new(),
                    next_action: "Continue with next iteration".into(),
                }
            }
        };
        self.emit(EventKind::CompletionChecked { step: self.step.number, check: check.clone() });
        let complete = check.is_complete;
        self.step.check = Some(check);
        if complete {
            return self.give_answer();
        }
        self.repeats = self.steps.last().is_some_and(|last| {
            last.tasks.iter().map(|task| &task.task).eq(self.step.tasks.iter().map(|task| &task.task))
        });
        let error = self.step.error.take();
        self.end_step(Vec::new(), error);
    }

    // --- the answer ------------------------------------------------------------------------------------

    /// Takes the one result as the answer, or asks for an answer from all of them.
    fn give_answer(&mut self) {
        self.phase = Phase::Thinking;
        let results = self.results();
        let rejected = self.steps.iter().any(|step| matches!(step.error, Some(StepError::Answer { .. })));
        if let ([only], false) = (results.as_slice(), rejected) {
            let only = (*only).clone();
            let schema = self.agent.answer_schema.as_ref();
            if schema.is_none_or(|schema| crate::schema::check(schema, &only).is_ok()) {
                return self.conclude(only);
            }
        }
        if self.is_over_budget() {
            self.close_step();
            return self.finish(RunStatus::TokenLimit);
        }
        self.ask(ReplyFor::Answer);
    }

    fn answer_replied(&mut self, ask: Ask, text: &str) {
        let Some(schema) = &self.agent.answer_schema else {
            if text.is_empty() && ask.again.is_none() {
                let problem = "it is empty";
                self.replied("", Some(problem));
                return self.ask_again(ask, text, problem);
            }
            self.replied(text, None);
            let answer = if text.is_empty() { Value::Null } else { Value::String(text.to_owned()) };
            return self.conclude(answer);
        };
        let mut values = values_in_text(text);
        let words = Value::String(text.to_owned());
        let fitting = values.iter().position(|value| crate::schema::check(schema, value).is_ok());
        let answer = match fitting {
            Some(place) => values.swap_remove(place),
            // The words, if they are an answer; else what comes nearest to one.
            None if values.is_empty() => words,
            None if crate::schema::check(schema, &words).is_ok() => words,
            None => values.swap_remove(0),
        };
        match (crate::schema::check(schema, &answer), &ask.again) {
            (Err(problem), None) => {
                self.replied("", Some(&problem));
                self.ask_again(ask, text, &problem);
            }
            (Err(problem), Some(_)) => {
                self.replied("", Some(&problem));
                self.conclude(answer);
            }
            (Ok(()), _) => {
                self.replied("", None);
                self.conclude(answer);
            }
        }
    }

    /// Ends the run with an answer that was found; after the last call it is taken as it is.
    fn conclude(&mut self, answer: Value) {
        let answer = match self.incomplete_note() {
            Some(note) if self.agent.answer_schema.is_none() => {
                Value::String(format!("{}\n\n{note}", display_value(&answer)).trim_start().to_owned())
            }
            _ => answer,
        };
        if !self.step.last_call {
            return self.answered(answer, None);
        }
        self.output = answer.clone();
        self.said_answer(&answer);
        self.step.answer = Some(answer);
        self.close_step();
        self.finish(RunStatus::StepLimit);
    }

    /// Ends the run with what the user has to be told. It is the answer where an answer can be a text; to one who waits
    /// for a value of another form it would be a wrong one.
    fn lacks_information(&mut self, needed: String) {
        let told = Value::String(needed);
        let schema = self.agent.answer_schema.as_ref();
        if schema.is_none_or(|schema| crate::schema::check(schema, &told).is_ok()) {
            self.step.answer = Some(told);
            return self.accept();
        }
        self.said_answer(&told);
        self.fail(RunFailure::Information { needed: display_value(&told) }, RunStatus::Failed);
    }

    /// The conversation remembers what the user was told.
    pub(super) fn said_answer(&mut self, answer: &Value) {
        self.messages.push(Message::assistant(display_value(answer)));
    }

    fn question(&self, purpose: ReplyFor) -> Result<String, crate::prompt::PromptError> {
        let part =
            |task: u32| self.task(task).map(|record| record.task.description.as_str()).unwrap_or_default();
        let question = match purpose {
            ReplyFor::Plan => Question::Plan,
            ReplyFor::Check => Question::Check,
            ReplyFor::Answer => Question::Answer { last_call: self.step.last_call },
            ReplyFor::Response { task } => Question::Response { part: part(task) },
            ReplyFor::Arguments { task } => {
                let name = self.task(task).and_then(|record| record.task.tool_name.as_deref());
                match name.and_then(|name| self.agent.tool(name)) {
                    Some(tool) => Question::Arguments { part: part(task), tool },
                    None => Question::Response { part: part(task) },
                }
            }
        };
        self.agent.prompts.question(&self.agent, question, &self.known(purpose))
    }
}

/// What the user is told when something is missing that only the user can give.
fn ask_for_information(reasoning: &str, questions: &[&str]) -> String {
    let mut text = format!("I need more information to complete this task. {reasoning}");
    for question in questions {
        text.push_str("\n- ");
        text.push_str(question);
    }
    text.trim_end().to_owned()
}
