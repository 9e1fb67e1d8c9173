//! What happens in a run, told in words for people who watch: what clients show as the model's reasoning.

use std::collections::HashMap;

use martlet_core::{DecisionKind, Delta, EffectId, Event, EventKind, RunId, Strategy};
use martlet_store::ApprovalId;
use serde_json::{Map, Value};

use crate::adapter::as_text;
use crate::follow::Streamed;

/// What is told of arguments, in characters.
const ARGUMENTS: usize = 500;

/// Tells the events of one run and of the runs in it.
#[derive(Debug, Default)]
pub(super) struct Narrator {
    /// How the runs act.
    strategies: HashMap<RunId, Strategy>,
    /// Texts of models of which it is not known yet whether they are the answer.
    held: HashMap<RunId, String>,
    /// The reasoning of steps of the run at the top, as far as it was told piece by piece.
    streamed: HashMap<u32, String>,
    /// The last line has no end yet.
    is_open: bool,
}

impl Narrator {
    /// What a piece that streams says.
    pub(super) fn streamed(&mut self, streamed: &Streamed) -> Option<String> {
        let Streamed::Delta { step, delta: Delta::Reasoning { text } } = streamed else { return None };
        self.streamed.entry(*step).or_default().push_str(text);
        self.is_open = !text.ends_with('\n');
        Some(text.clone())
    }

    /// What an event says.
    pub(super) fn event(&mut self, root: &RunId, event: &Event) -> Option<String> {
        let mut told = String::new();
        let held = match &event.kind {
            EventKind::StepEnded { .. } => None,
            EventKind::RunEnded { answer, .. } => {
                // Whoever reads the answer has not to read it twice.
                let answer = as_text(answer);
                self.held.remove(&event.run).filter(|held| event.run == *root && *held != answer.trim())
            }
            _ => self.held.remove(&event.run),
        };
        for text in held.into_iter().chain(self.words(root, event)) {
            if std::mem::take(&mut self.is_open) {
                told.push('\n');
            }
            told.push_str(text.trim_end());
            told.push_str("\n\n");
        }
        (!told.is_empty()).then_some(told)
    }

    fn words(&mut self, root: &RunId, event: &Event) -> Option<String> {
        match &event.kind {
            EventKind::RunStarted { strategy, .. } => {
                self.strategies.insert(event.run.clone(), *strategy);
                None
            }
            EventKind::ModelReplied { step, thought, reasoning, .. } => {
                // Pieces may have been missed; then the whole is told.
                let streamed = self.streamed.remove(step).filter(|_| event.run == *root);
                // What a reasoning agent's model replies is a plan or a judgement in JSON: it is told as such.
                let is_plan = self.strategies.get(&event.run) == Some(&Strategy::Reasoning);
                if !is_plan && !thought.trim().is_empty() {
                    self.held.insert(event.run.clone(), thought.trim().to_owned());
                }
                reasoning.clone().filter(|text| !text.trim().is_empty() && streamed.as_ref() != Some(text))
            }
            EventKind::PlanMade { reasoning, tasks, .. } => {
                let tasks = tasks.iter().enumerate();
                let tasks = tasks.map(|(index, task)| format!("{}. {}", index + 1, task.description));
                Some(std::iter::once(reasoning.clone()).chain(tasks).collect::<Vec<_>>().join("\n"))
            }
            EventKind::TaskEnded { task, error: Some(error), .. } => {
                Some(format!("Task {task} failed: {error}"))
            }
            EventKind::CodeStarted { code, .. } => Some(format!("```python\n{}\n```", code.trim_end())),
            EventKind::CodeEnded { error: Some(error), .. } => Some(format!("The program failed: {error}")),
            EventKind::ToolCalled { name, arguments, .. } => {
                Some(format!("Calling {}", call(name, arguments)))
            }
            EventKind::ToolReturned { name, error: Some(error), .. } => {
                Some(format!("{name} failed: {error}"))
            }
            EventKind::ApprovalAsked { step, effect, name, arguments, reason, .. } => {
                let id = EffectId { run: event.run.clone(), step: *step, index: *effect };
                let id = ApprovalId::of(&id);
                let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                let call = call(name, arguments);
                Some(format!("{call} needs a person's approval{reason}: `martlet runs approve {id}`"))
            }
            EventKind::ApprovalDecided { name, decision, reason, .. } => {
                let reason = reason.as_ref().filter(|reason| !reason.is_empty());
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                let word = match decision {
                    DecisionKind::Approved => "approved",
                    DecisionKind::Edited => "approved with other arguments",
                    DecisionKind::Denied => "denied",
                };
                Some(format!("{name} was {word}{reason}"))
            }
            EventKind::NodeStarted { node, attempt: 1, item: None } => Some(format!("{node} …")),
            EventKind::NodeRetried { node, error, .. } => Some(format!("{node} is tried again: {error}")),
            EventKind::NodeEnded { node, error: Some(error), .. } => Some(format!("{node} failed: {error}")),
            _ => None,
        }
    }
}

fn call(name: &str, arguments: &Map<String, Value>) -> String {
    let arguments = Value::Object(arguments.clone()).to_string();
    let mut cut: String = arguments.chars().take(ARGUMENTS).collect();
    if cut.len() < arguments.len() {
        cut.push('…');
    }
    format!("{name}({cut})")
}
