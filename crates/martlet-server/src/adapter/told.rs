//! What happens in a run, told one thing after the other, as the protocols of chat clients want it.
//!
//! Events say what is stored, and what streams in between has no order of its own. Here both become one story: pieces of text
//! that are opened and closed, calls that are made and return, steps that begin and end. It is made of the events alone, so
//! whoever comes back is told the same again.

use std::collections::HashSet;

use indexmap::IndexMap;
use martlet_core::{DecisionKind, Delta, EffectId, Event, EventKind, PlannedTask, RunId, Strategy, Usage};
use martlet_store::{ApprovalId, RunRow};
use serde_json::{Map, Value, json};

use super::as_text;
use super::dag::{Change, Dag};
use crate::follow::Streamed;

/// The tool by whose call an agent answers: the answer is told, and not the call.
const ANSWERING: &str = "final_answer";
/// The tool by which an agent asks a person.
pub(crate) const ASKING: &str = "ask_user";
/// The name under which the programs of agents that write some are told as calls.
pub(crate) const PROGRAM: &str = "python";
/// The end of the name of the piece that is the answer, where it was not said before.
pub(crate) const ANSWER: &str = "/answer";
/// What may begin the program in a reply, or a call that is written as text.
const MARKS: [&str; 4] = ["```", "<code>", "<python>", "<tool_call>"];

/// Whose a thing is: nothing for the run itself, and else the run in it.
pub(crate) type Who = Option<RunId>;

/// A kind of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What a model thinks, by itself or on the way to its next action.
    Thought,
    /// What is said to the one who asked.
    Said,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    StepBegan {
        who: Who,
        step: u32,
    },
    StepEnded {
        who: Who,
        step: u32,
        usage: Usage,
    },
    Opened {
        who: Who,
        kind: Kind,
        piece: String,
    },
    /// More of a piece that is open.
    More {
        who: Who,
        kind: Kind,
        piece: String,
        text: String,
    },
    Closed {
        who: Who,
        kind: Kind,
        piece: String,
    },
    /// A call that is made, or that waits until a person approves it.
    Called {
        who: Who,
        step: u32,
        call: String,
        name: String,
        input: Value,
        /// The question by which it waits.
        approval: Option<ApprovalId>,
    },
    /// A person changed the arguments of a call.
    Edited {
        call: String,
        name: String,
        input: Value,
    },
    /// A person refused a call. It returns nothing.
    Denied {
        who: Who,
        call: String,
        reason: String,
    },
    Returned {
        who: Who,
        call: String,
        result: Result<Value, String>,
    },
    ChildBegan {
        /// Whose it is.
        who: Who,
        child: RunId,
        name: String,
        /// The call that it does.
        call: Option<String>,
    },
    ChildEnded {
        child: RunId,
        name: String,
        error: Option<String>,
    },
    /// The graph of the workflow looks another way.
    Graph {
        changes: Vec<Change>,
    },
}

/// Where texts of one run come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// What a reasoning model thinks aloud.
    Reasoning,
    /// The text of a reply before its program.
    Prose,
    /// The text of a reply.
    Said,
}

impl Slot {
    fn kind(self) -> Kind {
        match self {
            Self::Reasoning | Self::Prose => Kind::Thought,
            Self::Said => Kind::Said,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Reasoning => "reasoning",
            Self::Prose => "thought",
            Self::Said => "text",
        }
    }
}

/// A text that is open.
#[derive(Debug)]
struct Piece {
    slot: Slot,
    id: String,
    /// What was told of it.
    told: String,
}

/// A run that is told of: the root, or one in it.
#[derive(Debug)]
struct Teller {
    strategy: Strategy,
    step: Option<u32>,
    /// Replies in this step.
    replies: u32,
    pieces: Vec<Piece>,
    /// Text of a reply that is not told yet, because it may begin a program.
    held: String,
    /// A program began: what comes is told with it.
    is_program: bool,
    /// What was said last, in full.
    last_said: String,
}

impl Default for Teller {
    fn default() -> Self {
        Self {
            strategy: Strategy::ToolCalling,
            step: None,
            replies: 0,
            pieces: Vec::new(),
            held: String::new(),
            is_program: false,
            last_said: String::new(),
        }
    }
}

/// A call that has not returned.
#[derive(Debug)]
struct Open {
    run: RunId,
    /// Its id within the step.
    call: String,
    name: String,
    is_asked: bool,
    /// The question by which it waits, or waited.
    approval: Option<ApprovalId>,
}

/// Tells what happens in a run.
#[derive(Debug)]
pub(crate) struct Story {
    root: RunId,
    tellers: IndexMap<RunId, Teller>,
    calls: IndexMap<String, Open>,
    /// Calls that were refused: that they return an error is no news.
    denied: HashSet<String>,
    children: IndexMap<RunId, (Who, String)>,
    graph: Option<Dag>,
}

impl Story {
    /// The story of a run; `graph` is that of a workflow.
    pub(crate) fn new(root: RunId, graph: Option<Dag>) -> Self {
        Self {
            root,
            tellers: IndexMap::new(),
            calls: IndexMap::new(),
            denied: HashSet::new(),
            children: IndexMap::new(),
            graph,
        }
    }

    /// The graph of a workflow as it looks now.
    pub(crate) fn graph(&self) -> Option<&Dag> {
        self.graph.as_ref()
    }

    /// The runs in the run that go on, with their names and whose they are.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&RunId, &str, &Who)> {
        self.children.iter().map(|(child, (who, name))| (child, &**name, who))
    }

    /// Calls that have not returned, and whether they wait for a person.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (&str, bool)> {
        self.calls.iter().map(|(id, open)| (&**id, open.is_asked))
    }

    /// The open call that this question is about.
    pub(crate) fn call_asked(&self, approval: &ApprovalId) -> Option<&str> {
        let mut open = self.calls.iter();
        open.find(|(_, open)| open.approval.as_ref() == Some(approval)).map(|(id, _)| &**id)
    }

    /// The newest open call of this tool.
    pub(crate) fn call_of(&self, tool: &str) -> Option<&str> {
        self.calls.iter().rev().find(|(_, open)| open.name == tool).map(|(id, _)| &**id)
    }

    fn who(&self, run: &RunId) -> Who {
        (*run != self.root).then(|| run.clone())
    }

    /// What an event tells, as it is stored.
    pub(crate) fn event(&mut self, event: &[u8]) -> Vec<Told> {
        // An event of a kind that is not known here tells nothing.
        let Ok(Event { run, kind, .. }) = serde_json::from_slice(event) else { return Vec::new() };
        let mut told = Vec::new();
        if run == self.root
            && let Some(graph) = &mut self.graph
        {
            let changes = graph.apply(&kind);
            if !changes.is_empty() {
                told.push(Told::Graph { changes });
            }
        }
        self.happened(&run, kind, &mut told);
        told
    }

    fn happened(&mut self, run: &RunId, kind: EventKind, told: &mut Vec<Told>) {
        match kind {
            EventKind::RunStarted { strategy, .. } => self.teller(run).strategy = strategy,
            EventKind::StepStarted { step } => self.begin_step(run, step, told),
            EventKind::ModelReplied { thought, reasoning, .. } => {
                self.replied(run, &thought, reasoning.as_deref(), told);
            }
            EventKind::PlanMade { reasoning, tasks, .. } => {
                let text = plan(&reasoning, &tasks);
                self.whole(run, Slot::Prose, &text, told);
                self.teller(run).replies += 1;
            }
            EventKind::StepEnded { step, usage, .. } => {
                self.close_all(run, told);
                self.teller(run).step = None;
                told.push(Told::StepEnded { who: self.who(run), step, usage });
            }
            EventKind::CodeStarted { step, code } => {
                self.called(run, step, PROGRAM, PROGRAM, json!({ "code": code }), None, told);
            }
            EventKind::CodeEnded { step, stdout, value, error } => {
                let output = match (&*stdout, value) {
                    ("", Some(value)) => value.into(),
                    (_, None) => stdout.into(),
                    (_, Some(value)) => json!({ "stdout": stdout, "value": value }),
                };
                let result = error.map_or(Ok(output), Err);
                self.returned(run, step, PROGRAM, PROGRAM, result, told);
            }
            EventKind::ApprovalAsked { step, call, effect, name, arguments, .. } => {
                let approval = ApprovalId::of(&EffectId { run: run.clone(), step, index: effect });
                self.called(run, step, &call, &name, arguments.into(), Some(approval), told);
            }
            EventKind::ApprovalDecided { step, call, name, decision, reason, arguments, .. } => {
                self.decided(run, &call_id(run, step, &call), name, decision, reason, arguments, told);
            }
            EventKind::ToolCalled { step, call, name, arguments } => {
                self.called(run, step, &call, &name, arguments.into(), None, told);
            }
            EventKind::ToolReturned { step, call, name, output, error, .. } => {
                let result = error.map_or_else(|| Ok(output.unwrap_or_default().into()), Err);
                self.returned(run, step, &call, &name, result, told);
            }
            EventKind::ChildStarted { name, child, .. } => {
                let who = self.who(run);
                let call = self.calls.iter().rev().find(|(_, open)| open.run == *run && open.name == name);
                let call = call.map(|(id, _)| id.clone());
                self.children.insert(child.clone(), (who.clone(), name.clone()));
                told.push(Told::ChildBegan { who, child, name, call });
            }
            EventKind::ChildEnded { name, child, error, .. } => {
                self.close_all(&child, told);
                self.tellers.shift_remove(&child);
                if self.children.shift_remove(&child).is_some() {
                    told.push(Told::ChildEnded { child, name, error });
                }
            }
            EventKind::NodeEnded { node, output, error, .. } => {
                // A call that a node is: who decided on it is told what came of it.
                let result = error.map_or_else(|| Ok(output.unwrap_or_default().into()), Err);
                let of_node = |call: &str| {
                    call.strip_prefix(&*node)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '#']))
                };
                let open = self.calls.iter().filter(|(_, open)| open.run == *run && of_node(&open.call));
                for call in open.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                    self.calls.shift_remove(&call);
                    told.push(Told::Returned { who: self.who(run), call, result: result.clone() });
                }
            }
            _ => {}
        }
    }

    /// What streams in between events.
    pub(crate) fn streamed(&mut self, streamed: Streamed) -> Vec<Told> {
        let mut told = Vec::new();
        let root = self.root.clone();
        self.stream(&root, streamed, &mut told);
        told
    }

    fn stream(&mut self, run: &RunId, streamed: Streamed, told: &mut Vec<Told>) {
        match streamed {
            Streamed::Delta { step, delta: Delta::Reasoning { text } } => {
                self.begin_step(run, step, told);
                self.more(run, Slot::Reasoning, &text, told);
            }
            Streamed::Delta { step, delta: Delta::Text { text } } => {
                self.begin_step(run, step, told);
                let teller = self.teller(run);
                let slot = match teller.strategy {
                    Strategy::Code => Slot::Prose,
                    Strategy::ToolCalling => Slot::Said,
                    // Its replies are plans and judgements, which are told as such.
                    _ => return,
                };
                let text = teller.sift(&text);
                self.more(run, slot, &text, told);
            }
            Streamed::Child { child, update, .. } => self.stream(&child, *update, told),
            _ => {}
        }
    }

    /// The end of the run: whatever is open is closed, and the answer is told unless it was.
    pub(crate) fn ended(&mut self, row: &RunRow) -> Vec<Told> {
        let mut told = Vec::new();
        let runs: Vec<_> = self.tellers.keys().cloned().collect();
        for run in &runs {
            self.close_all(run, &mut told);
        }
        for (call, open) in std::mem::take(&mut self.calls) {
            let result = Err("the run ended before this call did".into());
            told.push(Told::Returned { who: self.who(&open.run), call, result });
        }
        let answer = row.answer.as_ref().filter(|answer| !answer.is_null()).map(as_text);
        let said = self.tellers.get(&self.root).map(|teller| teller.last_said.trim());
        if let Some(answer) = answer
            && said != Some(answer.trim())
        {
            let (who, kind, piece) = (None, Kind::Said, format!("{}{ANSWER}", self.root));
            told.push(Told::Opened { who: who.clone(), kind, piece: piece.clone() });
            told.push(Told::More { who: who.clone(), kind, piece: piece.clone(), text: answer });
            told.push(Told::Closed { who, kind, piece });
        }
        for run in &runs {
            if let Some(step) = self.teller(run).step.take() {
                told.push(Told::StepEnded { who: self.who(run), step, usage: Usage::default() });
            }
        }
        for (child, (_, name)) in std::mem::take(&mut self.children).into_iter().rev() {
            let error = Some("the run ended before this one did".into());
            told.push(Told::ChildEnded { child, name, error });
        }
        told
    }

    /// What streams may be there before the event that the step began.
    fn begin_step(&mut self, run: &RunId, step: u32, told: &mut Vec<Told>) {
        let teller = self.teller(run);
        if teller.step != Some(step) {
            teller.step = Some(step);
            teller.replies = 0;
            told.push(Told::StepBegan { who: self.who(run), step });
        }
    }

    fn teller(&mut self, run: &RunId) -> &mut Teller {
        self.tellers.entry(run.clone()).or_default()
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one event")]
    fn called(
        &mut self,
        run: &RunId,
        step: u32,
        call: &str,
        name: &str,
        input: Value,
        approval: Option<ApprovalId>,
        told: &mut Vec<Told>,
    ) {
        let id = call_id(run, step, call);
        // After an approval the call is made: it was told when it was asked about.
        if name == ANSWERING || self.calls.contains_key(&id) {
            return;
        }
        self.close_all(run, told);
        let is_asked = approval.is_some() || name == ASKING;
        let open = Open {
            run: run.clone(),
            call: call.into(),
            name: name.into(),
            is_asked,
            approval: approval.clone(),
        };
        self.calls.insert(id.clone(), open);
        told.push(Told::Called { who: self.who(run), step, call: id, name: name.into(), input, approval });
    }

    fn returned(
        &mut self,
        run: &RunId,
        step: u32,
        call: &str,
        name: &str,
        result: Result<Value, String>,
        told: &mut Vec<Told>,
    ) {
        let id = call_id(run, step, call);
        if self.denied.remove(&id) || name == ANSWERING && result.is_ok() {
            return;
        }
        if !self.calls.contains_key(&id) {
            // A call that could not be made at all.
            self.called(run, step, call, name, json!({}), None, told);
        }
        if self.calls.shift_remove(&id).is_some() {
            told.push(Told::Returned { who: self.who(run), call: id, result });
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one event")]
    fn decided(
        &mut self,
        run: &RunId,
        call: &str,
        name: String,
        decision: DecisionKind,
        reason: Option<String>,
        arguments: Option<Map<String, Value>>,
        told: &mut Vec<Told>,
    ) {
        let Some(open) = self.calls.get_mut(call) else { return };
        open.is_asked = false;
        match decision {
            DecisionKind::Approved => {}
            DecisionKind::Edited => {
                let input = arguments.unwrap_or_default().into();
                told.push(Told::Edited { call: call.into(), name, input });
            }
            DecisionKind::Denied => {
                self.calls.shift_remove(call);
                self.denied.insert(call.into());
                let reason = reason.unwrap_or_default();
                told.push(Told::Denied { who: self.who(run), call: call.into(), reason });
            }
        }
    }

    fn replied(&mut self, run: &RunId, thought: &str, reasoning: Option<&str>, told: &mut Vec<Told>) {
        self.whole(run, Slot::Reasoning, reasoning.unwrap_or_default(), told);
        let slot = match self.teller(run).strategy {
            Strategy::Code => Some(Slot::Prose),
            Strategy::ToolCalling => Some(Slot::Said),
            _ => None,
        };
        if let Some(slot) = slot {
            self.whole(run, slot, thought, told);
        }
        let teller = self.teller(run);
        if slot == Some(Slot::Said) {
            teller.last_said = thought.into();
        }
        teller.held.clear();
        teller.is_program = false;
        teller.replies += 1;
    }

    /// All of a text is known: what was not told of it is, and it is closed.
    fn whole(&mut self, run: &RunId, slot: Slot, text: &str, told: &mut Vec<Told>) {
        let so_far = self.teller(run).pieces.iter().find(|piece| piece.slot == slot);
        let rest = match so_far {
            Some(piece) => text.strip_prefix(&*piece.told).unwrap_or_default(),
            None => text,
        };
        if so_far.is_some() || !rest.trim().is_empty() {
            let rest = rest.to_owned();
            self.more(run, slot, &rest, told);
        }
        self.close(run, slot, told);
    }

    fn more(&mut self, run: &RunId, slot: Slot, text: &str, told: &mut Vec<Told>) {
        let (who, kind) = (self.who(run), slot.kind());
        let root = self.root.clone();
        let teller = self.teller(run);
        let is_open = teller.pieces.iter().any(|piece| piece.slot == slot);
        if text.is_empty() || !is_open && text.trim().is_empty() {
            return;
        }
        if !is_open {
            let of = who.as_ref().unwrap_or(&root);
            let (step, reply) = (teller.step.unwrap_or_default(), teller.replies);
            let id = format!("{of}/{step}/{reply}/{}", slot.word());
            told.push(Told::Opened { who: who.clone(), kind, piece: id.clone() });
            teller.pieces.push(Piece { slot, id, told: String::new() });
        }
        let Some(piece) = teller.pieces.iter_mut().find(|piece| piece.slot == slot) else { return };
        piece.told.push_str(text);
        told.push(Told::More { who, kind, piece: piece.id.clone(), text: text.into() });
    }

    fn close(&mut self, run: &RunId, slot: Slot, told: &mut Vec<Told>) {
        let who = self.who(run);
        let pieces = &mut self.teller(run).pieces;
        if let Some(place) = pieces.iter().position(|piece| piece.slot == slot) {
            let piece = pieces.remove(place).id;
            told.push(Told::Closed { who, kind: slot.kind(), piece });
        }
    }

    fn close_all(&mut self, run: &RunId, told: &mut Vec<Told>) {
        for slot in [Slot::Reasoning, Slot::Prose, Slot::Said] {
            self.close(run, slot, told);
        }
    }
}

impl Teller {
    /// The part of a streamed text that can be told now: neither a program nor what may become the beginning of one.
    fn sift(&mut self, text: &str) -> String {
        if self.is_program {
            return String::new();
        }
        self.held.push_str(text);
        let mark = match self.strategy {
            Strategy::Code => MARKS.iter().filter_map(|mark| self.held.find(mark)).min(),
            // A reply that is JSON, or begins with a mark, is a call that is written as text.
            _ if self.has_begun() => self.held.find("<tool_call>"),
            _ => {
                let text = self.held.trim_start();
                let is_call = text.starts_with(['{', '[']) || MARKS.iter().any(|mark| text.starts_with(mark));
                is_call.then_some(0)
            }
        };
        if let Some(mark) = mark {
            self.is_program = true;
            let mut told = std::mem::take(&mut self.held);
            told.truncate(mark);
            return told;
        }
        let longest = MARKS.iter().map(|mark| mark.len()).max().unwrap_or_default();
        let from = self.held.floor_char_boundary(self.held.len().saturating_sub(longest - 1));
        let last = self.held.get(from..).unwrap_or_default();
        let may_begin = last.find(['`', '<']).map_or(self.held.len(), |place| from + place);
        let rest = self.held.split_off(may_begin);
        std::mem::replace(&mut self.held, rest)
    }

    /// Whether something of the reply's text was told.
    fn has_begun(&self) -> bool {
        self.pieces.iter().any(|piece| piece.slot != Slot::Reasoning)
    }
}

/// The name of a call among all calls of all runs in a run.
fn call_id(run: &RunId, step: u32, call: &str) -> String {
    format!("{run}/{step}/{call}")
}

/// A plan in words.
fn plan(reasoning: &str, tasks: &[PlannedTask]) -> String {
    let mut text = reasoning.trim().to_owned();
    for (number, task) in tasks.iter().enumerate() {
        let tool = task.tool_name.as_ref().map(|tool| format!(" ({tool})")).unwrap_or_default();
        text.push_str(&format!("\n{}. {}{tool}", number + 1, task.description));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story() -> Story {
        Story::new(RunId::from_bits(1), None)
    }

    fn event(story: &mut Story, mut event: Value) -> Vec<Told> {
        event["schema"] = 1.into();
        event["seq"] = 0.into();
        event["at_ms"] = 0.into();
        event["run"] = RunId::from_bits(1).as_str().into();
        story.event(event.to_string().as_bytes())
    }

    fn begin(strategy: &str) -> Story {
        let mut story = story();
        event(&mut story, json!({"type": "run.started", "agent": "a", "strategy": strategy, "task": "x"}));
        event(&mut story, json!({"type": "step.started", "step": 1}));
        story
    }

    fn texts(told: &[Told]) -> String {
        let texts = told.iter().filter_map(|told| match told {
            Told::More { text, .. } => Some(&**text),
            _ => None,
        });
        texts.collect()
    }

    fn stream(story: &mut Story, pieces: &[&str]) -> String {
        let delta = |text: &str| Delta::Text { text: text.into() };
        let told = pieces.iter().map(|text| story.streamed(Streamed::Delta { step: 1, delta: delta(text) }));
        told.map(|told| texts(&told)).collect()
    }

    fn replied(story: &mut Story, thought: &str) -> String {
        let timing = json!({"started_ms": 0, "elapsed_us": 0});
        let usage = json!({"input_tokens": 1, "output_tokens": 1});
        let reply = json!({
            "type": "model.replied", "step": 1, "thought": thought, "usage": usage, "timing": timing,
        });
        texts(&event(story, reply))
    }

    #[test]
    fn a_program_is_not_told_as_text_however_it_comes() {
        let whole = "I count.\n```python\nprint(1)\n```";
        for size in 1..whole.len() {
            let mut story = begin("code");
            let pieces: Vec<_> =
                whole.as_bytes().chunks(size).map(|piece| str::from_utf8(piece).unwrap()).collect();
            assert_eq!(stream(&mut story, &pieces), "I count.\n", "{size}");
            assert_eq!(replied(&mut story, "I count."), "");
        }
        // Without what streams, it is told at the end.
        assert_eq!(replied(&mut begin("code"), "I count."), "I count.");
    }

    #[test]
    fn a_reply_with_code_in_it_is_told_as_it_comes_and_a_call_in_words_is_not() {
        let mut story = begin("tool_calling");
        let text = "Use this:\n```sh\nls\n```\nand a < b.";
        let streamed = stream(&mut story, &text.split_inclusive(' ').collect::<Vec<_>>());
        assert!(text.starts_with(&streamed) && streamed.contains("ls"), "{streamed}");
        assert_eq!(streamed + &replied(&mut story, text), text);
        for call in ["{\"name\": \"x\"}", "  [1]", "<tool_call>x</tool_call>", "```json\n{}\n```"] {
            let mut story = begin("tool_calling");
            let pieces: Vec<String> = call.chars().map(String::from).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            assert_eq!(stream(&mut story, &pieces).trim(), "", "{call}");
        }
    }

    #[test]
    fn a_refused_call_returns_nothing_and_an_impossible_one_is_told() {
        let mut story = begin("tool_calling");
        let call = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "step": 1, "call": "c1", "name": "pay"});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let told = event(&mut story, call("tool.approval", json!({"effect": 2, "arguments": {"to": "bob"}})));
        let asked = ApprovalId::of(&EffectId { run: RunId::from_bits(1), step: 1, index: 2 });
        assert!(matches!(&told[0], Told::Called { approval: Some(id), .. } if *id == asked));
        let decided = json!({"effect": 2, "decision": "denied", "reason": "no"});
        assert!(matches!(&event(&mut story, call("tool.decided", decided))[..], [Told::Denied { .. }]));
        let timing = json!({"started_ms": 0, "elapsed_us": 0});
        let returned = json!({"error": "refused", "timing": timing});
        assert_eq!(event(&mut story, call("tool.returned", returned.clone())), []);
        let told = event(&mut story, call("tool.returned", returned));
        assert!(
            matches!(&told[..], [Told::Called { .. }, Told::Returned { result: Err(_), .. }]),
            "{told:?}"
        );
    }
}
