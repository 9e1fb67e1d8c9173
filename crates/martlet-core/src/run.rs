//! The run: one task in progress, as a state machine.
//!
//! A run holds all that changes while an agent works. It asks for effects ([`Run::take_effects`]) and is told
//! what came of them ([`Run::settle`]). Within a step, effects are numbered in the order in which they were
//! asked for; the same settlements in the same order always give the same run, so a journal of settlements
//! is all that is needed to bring a run back.

mod answer;
mod calls;
mod children;
mod code;
mod memory;
mod reasoning;
mod request;
mod tool_calling;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::{AgentSpec, Strategy};
use crate::code::CodeRequest;
use crate::effect::{Effect, Outcome, Settlement, Timing};
use crate::event::{Event, EventKind, Outbox};
use crate::id::{EffectId, RunId};
use crate::message::{Blob, Message, Part, Role};
use crate::model::{FinishReason, ModelFailure, ModelFailureKind, ModelReply, Usage};
use crate::prompt::PromptError;
use crate::step::{RunFailure, RunResult, RunStatus, Step, StepError};
use crate::tool::ToolSpec;
use code::Coding;
use memory::Remembering;
use reasoning::{Ask, Working};
use tool_calling::Calling;
use variables::Variables;

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// The task, in the user's words.
    pub text: Arc<str>,
    /// Images and files that come with it.
    pub parts: Vec<Part>,
    /// What was said before ([`RunResult::conversation`] of the last run).
    pub history: Vec<Message>,
    /// The Python session to go on with ([`RunResult::python`] of the last run).
    pub python: Option<Blob>,
    /// Values that go with it, by name: variables of the programs of a code agent; for others they are told in the
    /// message. The texts of files among the parts become variables without being named here.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
    /// Tools and managed agents that this run, and the runs in it, must not have, by name. Names that it does not have
    /// anyway change nothing; `final_answer` stays.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub without_tools: Arc<[String]>,
    /// Of what was said before, leave out what is too old, instead of putting it into a few words: where somebody else
    /// keeps the conversation, the summary would be made anew for each task.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_summary: bool,
    /// Tools that come with the task, besides the agent's.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub tools: Arc<[ToolSpec]>,
    /// Steps, if not as many as the agent's limit says; at least 1.
    pub max_steps: Option<u32>,
    /// The time of the start, in milliseconds since 1970-01-01 UTC.
    pub started_ms: u64,
}

impl Task {
    /// A task of words alone.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Effects are open.
    Running,
    /// It ended; nothing can be settled any more.
    Finished(RunStatus),
}

/// Why a run is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Somebody wants it.
    Cancelled,
    /// Its time is up.
    TimedOut,
}

/// One task in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    id: RunId,
    agent: Arc<AgentSpec>,
    task: Arc<str>,
    max_steps: u32,
    status: Status,
    phase: Phase,
    /// The memory: the system prompt, what was said before, the task, and what the steps added.
    messages: Vec<Message>,
    steps: Vec<Step>,
    step: Step,
    next_index: u32,
    open: BTreeMap<u32, Open>,
    abandoned: Vec<EffectId>,
    python: Option<Blob>,
    /// What the Python session is still to be given.
    #[serde(default, skip_serializing_if = "crate::code::no_variables")]
    variables: Arc<Map<String, Value>>,
    /// What this run, and the runs in it, must do without.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    without_tools: Arc<[String]>,
    /// Older turns of the conversation were put into a few words, by an effect before the first step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    condensed: bool,
    /// The model repeats itself: the next call is made at a higher temperature.
    repeats: bool,
    /// Replies without an action, one after the other.
    idle_replies: u32,
    /// The provider refused a request that asked for a form of the reply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unformatted: bool,
    output: Value,
    failure: Option<RunFailure>,
    usage: Usage,
    timing: Timing,
    events: Outbox,
}

/// An effect that is not settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    pending: Pending,
    handed_out: bool,
}

/// What is open, with no more than is needed to write the effect again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Pending {
    Model,
    Tool {
        slot: usize,
    },
    Child {
        slot: usize,
        input: Value,
    },
    Approve {
        slot: usize,
    },
    Code {
        request: CodeRequest,
    },
    /// What was said before is being put into a few words, before the first step.
    Memory,
    /// One of the model calls of a step that makes several.
    Ask(Ask),
    Check,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Phase {
    Remembering(Remembering),
    Thinking,
    Calling(Calling),
    Coding(Coding),
    Working(Box<Working>),
    Answering { call_id: Option<String> },
    Done,
}

impl Run {
    /// Begins a run. Its first effect is a model call.
    pub fn start(id: RunId, agent: Arc<AgentSpec>, task: Task) -> Self {
        let agent = match task.without_tools.is_empty() && task.tools.is_empty() {
            true => agent,
            false => Arc::new(agent.for_task(&task.tools, &task.without_tools)),
        };
        let mut parts = vec![Part::text(task.text.clone())];
        let variables = Variables::of(&agent, task.variables, &task.parts);
        parts.extend(task.parts);
        parts.extend(variables.told(&agent).map(Part::text));
        let messages = vec![Message::system(agent.system_prompt().clone()), Message::new(Role::User, parts)];
        let max_steps = task.max_steps.unwrap_or(agent.limits.max_steps).max(1);
        let mut run = Self {
            id,
            task: task.text.clone(),
            max_steps,
            status: Status::Running,
            phase: Phase::Thinking,
            messages,
            steps: Vec::new(),
            step: Step::default(),
            next_index: 0,
            open: BTreeMap::new(),
            abandoned: Vec::new(),
            python: task.python,
            variables: variables.for_programs(agent.strategy),
            without_tools: task.without_tools,
            condensed: false,
            repeats: false,
            idle_replies: 0,
            unformatted: false,
            output: Value::Null,
            failure: None,
            usage: Usage::default(),
            timing: Timing { started_ms: task.started_ms, elapsed_us: 0 },
            events: Outbox::default(),
            agent,
        };
        run.emit(EventKind::RunStarted {
            agent: run.agent.name.clone(),
            strategy: run.agent.strategy,
            task: task.text,
        });
        run.remember(task.history, task.without_summary);
        run
    }

    /// The run's name.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The agent, without the tools that this run must not have.
    pub fn agent(&self) -> &Arc<AgentSpec> {
        &self.agent
    }

    /// The tools and managed agents that this run, and the runs in it, must not have.
    pub fn without_tools(&self) -> &Arc<[String]> {
        &self.without_tools
    }

    /// The conversation so far: the system prompt, what was said before, the task, and what the steps added.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Where the run stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The number of the current step, from 1.
    pub fn step(&self) -> u32 {
        self.step.number
    }

    /// The effects that have become possible since the last call. Each is handed out once; all of them may be
    /// performed at the same time.
    pub fn take_effects(&mut self) -> Vec<(EffectId, Effect)> {
        let new: Vec<u32> =
            self.open.iter().filter(|(_, open)| !open.handed_out).map(|(index, _)| *index).collect();
        let mut effects = Vec::with_capacity(new.len());
        for index in new {
            if let Some(open) = self.open.get_mut(&index) {
                open.handed_out = true;
            }
            let Some(open) = self.open.get(&index) else { continue };
            let effect = match &open.pending {
                Pending::Code { request } => Some(Effect::Code { request: request.clone() }),
                Pending::Model => Some(Effect::Model { request: self.request() }),
                Pending::Memory => Some(Effect::Model { request: self.memory_request() }),
                Pending::Ask(ask) => Some(Effect::Model { request: self.ask_request(ask) }),
                Pending::Tool { slot } => {
                    self.slot(*slot).map(|(name, arguments)| Effect::Tool { name, arguments })
                }
                Pending::Child { slot, input } => {
                    self.slot(*slot).map(|(name, _)| Effect::Child { name, input: input.clone() })
                }
                Pending::Approve { slot } => {
                    self.slot(*slot).map(|(name, arguments)| Effect::Approve { name, arguments })
                }
                Pending::Check => {
                    Some(Effect::Check { answer: self.step.answer.clone().unwrap_or_default() })
                }
            };
            effects.extend(effect.map(|effect| (self.effect_id(index), effect)));
        }
        effects
    }

    /// Makes [`Run::take_effects`] hand out all open effects again: for a run that was read back after the
    /// one who performed them is gone.
    pub fn hand_out_again(&mut self) {
        for open in self.open.values_mut() {
            open.handed_out = false;
        }
    }

    /// Effects that nobody waits for any more since the last call: they are to be stopped, and their outcomes
    /// are not to be settled.
    pub fn take_abandoned(&mut self) -> Vec<EffectId> {
        std::mem::take(&mut self.abandoned)
    }

    /// Whether the effect still waits for its outcome.
    pub fn is_open(&self, id: &EffectId) -> bool {
        id.run == self.id && id.step == self.step.number && self.open.contains_key(&id.index)
    }

    /// The events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.take()
    }

    /// Settles one effect.
    ///
    /// # Errors
    /// Nothing has changed then: the effect is unknown, was settled before, or the outcome is of another kind.
    pub fn settle(&mut self, settlement: Settlement) -> Result<(), SettleError> {
        let Settlement { id, outcome, timing } = settlement;
        if matches!(self.status, Status::Finished(_)) {
            return Err(SettleError::Finished);
        }
        if id.run != self.id {
            return Err(SettleError::Unknown(id));
        }
        let open = match self.open.get(&id.index) {
            Some(open) if id.step == self.step.number => open,
            _ => {
                let past =
                    id.step < self.step.number || (id.step == self.step.number && id.index < self.next_index);
                return Err(if past && (id.step > 0 || self.condensed) {
                    SettleError::AlreadySettled(id)
                } else {
                    SettleError::Unknown(id)
                });
            }
        };
        let fits = matches!(
            (&open.pending, &outcome),
            (Pending::Model | Pending::Memory | Pending::Ask(_), Outcome::Model { .. })
                | (Pending::Tool { .. }, Outcome::Tool { .. } | Outcome::TimedOut { .. })
                | (Pending::Child { .. }, Outcome::Child { .. } | Outcome::TimedOut { .. })
                | (Pending::Approve { .. }, Outcome::Approve { .. })
                | (Pending::Code { .. }, Outcome::Code { .. })
                | (Pending::Check, Outcome::Check { .. })
        );
        if !fits {
            return Err(SettleError::Mismatch(id));
        }
        let Some(open) = self.open.remove(&id.index) else { return Err(SettleError::Unknown(id)) };
        self.timing = self.timing.spanning(&timing);
        if self.step.number > 0 {
            self.step.timing = self.step.timing.spanning(&timing);
        }
        match (open.pending, outcome) {
            (Pending::Model, Outcome::Model { result }) => self.model_replied(result, timing),
            (Pending::Memory, Outcome::Model { result }) => self.summary_replied(result, timing),
            (Pending::Ask(ask), Outcome::Model { result }) => self.asked_replied(ask, result, timing),
            (Pending::Tool { slot }, Outcome::Tool { result }) => self.tool_returned(slot, result, timing),
            (Pending::Child { slot, .. }, Outcome::Child { end }) => self.child_ended(slot, end, timing),
            (Pending::Tool { slot }, Outcome::TimedOut { limit_ms }) => {
                let failure = self.call_timed_out(slot, limit_ms);
                self.tool_returned(slot, Err(failure), timing);
            }
            (Pending::Child { slot, .. }, Outcome::TimedOut { limit_ms }) => {
                let failure = self.call_timed_out(slot, limit_ms);
                self.child_returned(slot, id.child_run(), Err(failure), Usage::default(), timing);
            }
            (Pending::Approve { slot }, Outcome::Approve { decision }) => {
                self.call_decided(&id, slot, decision, timing)
            }
            (Pending::Code { .. }, Outcome::Code { result }) => self.code_returned(result),
            (Pending::Check, Outcome::Check { problem }) => match problem {
                None => self.accept(),
                Some(problem) => self.reject(problem),
            },
            // Excluded above.
            _ => return Err(SettleError::Mismatch(id)),
        }
        Ok(())
    }

    /// Ends the run from outside; open effects are abandoned. Does nothing if it has ended.
    pub fn stop(&mut self, reason: StopReason, at_ms: u64) {
        if matches!(self.status, Status::Finished(_)) {
            return;
        }
        self.timing = self.timing.spanning(&Timing { started_ms: at_ms, elapsed_us: 0 });
        self.finish(match reason {
            StopReason::Cancelled => RunStatus::Cancelled,
            StopReason::TimedOut => RunStatus::TimedOut,
        });
    }

    /// The result, if the run has ended.
    pub fn result(&self) -> Option<RunResult> {
        let Status::Finished(status) = self.status else { return None };
        Some(RunResult {
            run: self.id.clone(),
            status,
            output: self.output.clone(),
            failure: self.failure.clone(),
            task: self.task.clone(),
            steps: self.steps.clone(),
            usage: self.usage,
            timing: self.timing,
            conversation: self.messages.iter().skip(1).cloned().collect(),
            python: self.python.clone(),
        })
    }

    /// Like [`Run::result`], without copying.
    pub fn into_result(self) -> Option<RunResult> {
        let Status::Finished(status) = self.status else { return None };
        let mut conversation = self.messages;
        conversation.drain(..1);
        Some(RunResult {
            run: self.id,
            status,
            output: self.output,
            failure: self.failure,
            task: self.task,
            steps: self.steps,
            usage: self.usage,
            timing: self.timing,
            conversation,
            python: self.python,
        })
    }

    // --- steps -------------------------------------------------------------------------------------------

    fn begin_step(&mut self) {
        let number = u32::try_from(self.steps.len()).unwrap_or(u32::MAX).saturating_add(1);
        if self.is_over_budget() {
            return self.finish(RunStatus::TokenLimit);
        }
        self.step = Step { number, last_call: number > self.max_steps, ..Step::default() };
        self.next_index = 0;
        if self.step.last_call && !self.is_reasoning() {
            match self.agent.prompts.last_call(&self.task) {
                Ok(text) => self.messages.push(Message::observation(text)),
                Err(error) => return self.fail(prompt_failure(&error), RunStatus::StepLimit),
            }
        }
        self.phase = Phase::Thinking;
        self.emit(EventKind::StepStarted { step: number });
        if self.is_reasoning() { self.begin_iteration() } else { self.ask_for(Pending::Model) }
    }

    /// Ends the step with what the model is shown of it, and begins the next one.
    fn end_step(&mut self, observations: Vec<Message>, error: Option<StepError>) {
        if !observations.is_empty() {
            let shown = observations.iter().map(Message::joined_text).collect::<Vec<_>>().join("\n");
            self.step.observation = Some(shown.into());
        }
        self.messages.extend(observations);
        self.step.error = error;
        self.close_step();
        self.begin_step();
    }

    fn close_step(&mut self) {
        self.emit(EventKind::StepEnded {
            step: self.step.number,
            error: self.step.error.clone(),
            usage: self.step.usage,
            timing: self.step.timing,
        });
        self.abandon_open();
        self.steps.push(std::mem::take(&mut self.step));
    }

    fn model_replied(&mut self, result: Result<ModelReply, ModelFailure>, timing: Timing) {
        let reply = match result {
            Ok(reply) => reply,
            Err(failure) => return self.model_failed(failure),
        };
        self.usage += reply.usage;
        self.step.usage += reply.usage;
        if self.step.last_call {
            return self.last_call_answered(reply, timing);
        }
        match self.agent.strategy {
            Strategy::Code => self.code_replied(reply, timing),
            Strategy::ToolCalling => self.calls_replied(reply, timing),
            // Its calls are settled as what they are for.
            Strategy::Reasoning => {}
        }
    }

    fn model_failed(&mut self, failure: ModelFailure) {
        let status = if failure.kind == ModelFailureKind::Budget {
            RunStatus::TokenLimit
        } else if self.step.last_call {
            RunStatus::StepLimit
        } else {
            RunStatus::Failed
        };
        self.fail(RunFailure::Model(failure), status);
    }

    fn last_call_answered(&mut self, reply: ModelReply, timing: Timing) {
        self.step.thought = reply.text.trim().to_owned();
        self.reply_event(&reply, timing);
        self.messages.push(Message::assistant(reply.text.trim()));
        self.output = self.text_answer(&reply.text);
        self.step.answer = Some(self.output.clone());
        self.step.reply = Some(reply);
        self.close_step();
        self.finish(RunStatus::StepLimit);
    }

    fn reply_event(&mut self, reply: &ModelReply, timing: Timing) {
        self.emit(EventKind::ModelReplied {
            step: self.step.number,
            thought: self.step.thought.clone(),
            reasoning: reply.reasoning.clone(),
            usage: reply.usage,
            timing,
        });
    }

    /// An answer written as text: the JSON in it where the agent's answer has a schema, but the words themselves if
    /// they are what the schema asks for and the JSON is not.
    fn text_answer(&self, text: &str) -> Value {
        let text = text.trim();
        if text.is_empty() {
            return Value::Null;
        }
        let words = Value::String(text.to_owned());
        let Some(schema) = &self.agent.answer_schema else { return words };
        let Ok(parsed) = serde_json::from_str(text) else { return words };
        let fits = |answer: &Value| crate::schema::check(schema, answer).is_ok();
        if !fits(&parsed) && fits(&words) { words } else { parsed }
    }

    // --- the model -------------------------------------------------------------------------------------

    /// The reply holds no action, or none that can be read: tells the model, or takes a text as the answer.
    fn idle_reply(&mut self, text: &str, advice: String) {
        self.idle_replies += 1;
        self.repeats = true;
        if self.idle_replies > 1 && !text.trim().is_empty() {
            let answer = self.text_answer(text);
            return self.answered(answer, None);
        }
        self.reply_error(advice);
    }

    fn reply_error(&mut self, message: String) {
        let observation = Message::observation(format!("Error: {message}"));
        self.end_step(vec![observation], Some(StepError::Reply { message }));
    }

    // --- the end ---------------------------------------------------------------------------------------

    fn fail(&mut self, failure: RunFailure, status: RunStatus) {
        self.failure = Some(failure);
        self.close_step();
        self.finish(status);
    }

    fn finish(&mut self, status: RunStatus) {
        self.abandon_open();
        self.answer_open_calls();
        if self.step.number > 0 {
            // A step that was stopped on its way is kept as far as it came.
            self.steps.push(std::mem::take(&mut self.step));
        }
        self.phase = Phase::Done;
        self.status = Status::Finished(status);
        self.emit(EventKind::RunEnded {
            status,
            answer: self.output.clone(),
            error: self.failure.as_ref().map(ToString::to_string),
            usage: self.usage,
            timing: self.timing,
        });
    }

    /// Gives every structured call of the last reply a result: providers refuse a conversation that goes on
    /// without one.
    fn answer_open_calls(&mut self) {
        let Some(place) = self.messages.iter().rposition(|message| message.role == Role::Assistant) else {
            return;
        };
        let (before, after) = self.messages.split_at(place + 1);
        let answered = |id: &str| after.iter().any(|message| message.tool_call_id.as_deref() == Some(id));
        let calls = before.last().map(|message| message.tool_calls.as_slice()).unwrap_or_default();
        let results: Vec<Message> = calls
            .iter()
            .filter(|call| !answered(&call.id))
            .map(|call| {
                Message::tool(call.id.clone(), vec![Part::text("The run ended before this call did.")])
            })
            .collect();
        self.messages.extend(results);
    }

    // --- bookkeeping -----------------------------------------------------------------------------------

    fn ask_for(&mut self, pending: Pending) {
        let index = self.next_index;
        self.next_index += 1;
        self.open.insert(index, Open { pending, handed_out: false });
    }

    /// The name of the effect that will be asked for next.
    fn next_effect(&self) -> EffectId {
        self.effect_id(self.next_index)
    }

    fn abandon_open(&mut self) {
        for (index, open) in std::mem::take(&mut self.open) {
            if open.handed_out {
                self.abandoned.push(self.effect_id(index));
            }
        }
    }

    fn effect_id(&self, index: u32) -> EffectId {
        EffectId { run: self.id.clone(), step: self.step.number, index }
    }

    fn emit(&mut self, kind: EventKind) {
        self.events.push(&self.id, self.timing.ended_ms(), kind);
    }
}

fn prompt_failure(error: &PromptError) -> RunFailure {
    RunFailure::Host { message: error.to_string() }
}

/// Whether a reply ended before the model was done.
fn was_cut(reply: &ModelReply) -> bool {
    reply.finish == FinishReason::Length
}

/// Why an outcome was not settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The run has ended.
    #[error("the run has ended")]
    Finished,
    /// The run never asked for this effect.
    #[error("the run did not ask for effect {0}")]
    Unknown(EffectId),
    /// The effect is settled or abandoned.
    #[error("effect {0} is settled already")]
    AlreadySettled(EffectId),
    /// The outcome is of another kind than the effect.
    #[error("the outcome does not fit effect {0}")]
    Mismatch(EffectId),
}
