//! What the model is shown of what was done so far.

use serde_json::Value;

use super::super::Run;
use crate::message::Part;
use crate::prompt::{Known, Rejected, ResultShown};
use crate::reasoning::{ReplyFor, TaskRecord, TaskStatus};
use crate::step::{Step, StepError};
use crate::text::cut_middle;
use crate::tool::{ToolOutput, cut_value};

/// A result is never cut below so many characters.
const LEAST_SHOWN: usize = 200;

impl Run {
    /// The steps so far, the current one included.
    fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain([&self.step])
    }

    /// The results of all completed tasks, in the order of their plans.
    pub(super) fn results(&self) -> Vec<&Value> {
        self.all_steps().flat_map(|step| &step.tasks).filter_map(|record| record.result.as_ref()).collect()
    }

    /// Whether the run has used up its tokens.
    pub(in super::super) fn is_over_budget(&self) -> bool {
        self.agent.limits.max_tokens.is_some_and(|limit| self.usage.total() >= limit)
    }

    /// The tasks that a call is about, with their steps: a task sees those that it depends on; all else sees all.
    fn concerned(&self, purpose: ReplyFor) -> Vec<(&Step, &TaskRecord)> {
        let ended = |record: &&TaskRecord| {
            matches!(record.status, TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Skipped)
        };
        let (ReplyFor::Arguments { task } | ReplyFor::Response { task }) = purpose else {
            return self
                .all_steps()
                .flat_map(|step| step.tasks.iter().filter(ended).map(move |record| (step, record)))
                .collect();
        };
        let needed = self.task(task).map(|record| record.task.depends_on.as_slice()).unwrap_or_default();
        // What earlier iterations found is known to every task of this one.
        let earlier = self.steps.iter().flat_map(|step| {
            step.tasks.iter().filter(|record| record.result.is_some()).map(move |record| (step, record))
        });
        let now = self.step.tasks.iter().filter(|record| needed.contains(&record.number));
        earlier.chain(now.map(|record| (&self.step, record))).collect()
    }

    /// What a question to the model begins with.
    pub(super) fn known(&self, purpose: ReplyFor) -> Known<'_> {
        let last = self.steps.last();
        let concerned = self.concerned(purpose);
        let limit = (self.agent.limits.observation_chars / concerned.len().max(1)).max(LEAST_SHOWN);
        let is_task = matches!(purpose, ReplyFor::Arguments { .. } | ReplyFor::Response { .. });
        let rejected = last.filter(|_| !is_task).and_then(|step| match &step.error {
            Some(StepError::Answer { problem }) => Some(Rejected {
                answer: step.answer.as_ref().map(|answer| cut_value(answer, limit))?,
                problem: problem.clone(),
            }),
            _ => None,
        });
        Known {
            task: &self.task,
            results: concerned.into_iter().map(|(step, record)| shown(step, record, limit)).collect(),
            rejected,
            check: last.and_then(|step| step.check.as_ref()).filter(|check| !check.is_complete),
        }
    }

    /// The images and files that tools returned, as far as a call is about them.
    pub(super) fn pictures(&self, purpose: ReplyFor) -> Vec<Part> {
        let outputs = self.concerned(purpose).into_iter().filter_map(|(step, record)| {
            match step.calls.get(record.call?)?.result.as_ref()? {
                Ok(ToolOutput::Parts { parts }) => Some(parts),
                _ => None,
            }
        });
        outputs.flatten().filter(|part| part.as_text().is_none()).cloned().collect()
    }

    /// What came of the tasks of this step, in words.
    pub(super) fn results_in_words(&self) -> String {
        let limit = (self.agent.limits.observation_chars / self.step.tasks.len().max(1)).max(LEAST_SHOWN);
        let line = |record: &TaskRecord| {
            let shown = shown(&self.step, record, limit);
            let tool = shown.tool.map(|tool| format!(" [{tool}]")).unwrap_or_default();
            let came = match shown.error {
                Some(error) => format!("{}: {error}", shown.status.to_uppercase()),
                None => shown.result,
            };
            format!("- {}{tool}: {came}", shown.task)
        };
        self.step.tasks.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// What the answer has to say of what is missing, if something is.
    pub(super) fn incomplete_note(&self) -> Option<String> {
        let gave_up =
            self.step.plan.as_ref().filter(|plan| !plan.has_sufficient_info && self.step.tasks.is_empty());
        let (reasoning, missing) = match gave_up {
            Some(plan) => (plan.reasoning.as_str(), &[][..]),
            None if self.step.last_call => {
                let check = self.steps.last()?.check.as_ref().filter(|check| !check.is_complete)?;
                (check.reasoning.as_str(), check.missing_steps.as_slice())
            }
            None => return None,
        };
        let mut note = format!("⚠️ Note: Task may be incomplete. {reasoning}").trim_end().to_owned();
        if !missing.is_empty() {
            note.push_str(&format!("\nMissing steps: {}", missing.join(", ")));
        }
        Some(note)
    }
}

fn shown(step: &Step, record: &TaskRecord, limit: usize) -> ResultShown {
    let call = record.call.and_then(|place| step.calls.get(place));
    let note =
        call.and_then(|call| call.edit_note(limit)).map(|note| format!("({note}) ")).unwrap_or_default();
    let noted = |text: String| if note.is_empty() { text } else { format!("{note}{text}") };
    ResultShown {
        task: record.task.description.clone(),
        tool: record.task.tool_name.clone(),
        status: match record.status {
            TaskStatus::Completed => "completed",
            TaskStatus::Skipped => "skipped",
            _ => "failed",
        },
        result: record.result.as_ref().map(|value| noted(cut_value(value, limit))).unwrap_or_default(),
        error: record.error.as_deref().map(|text| noted(cut_middle(text, limit).into_owned())),
    }
}
