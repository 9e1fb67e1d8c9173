//! What a reasoning agent plans, and how far it is.

use std::io::Write;

use martlet::core::{CompletionCheck, PlannedTask, TaskStatus};

use super::Renderer;
use crate::style::Paint;

impl<W: Write> Renderer<W> {
    /// The tasks of a plan, with what they wait for.
    pub(super) fn planned(&mut self, tasks: &[PlannedTask]) {
        for (number, task) in (1..).zip(tasks) {
            let tool = task.tool_name.as_ref().map(|tool| format!(" [{tool}]")).unwrap_or_default();
            let before: Vec<String> = task.depends_on.iter().map(u32::to_string).collect();
            let after =
                if before.is_empty() { String::new() } else { format!(", after {}", before.join(", ")) };
            self.line(Paint::Tool, &format!("  {number}. {}{tool}{after}", task.description));
        }
    }

    /// The end of a task. What one gave that was done was shown with its call or its reply.
    pub(super) fn task_ended(&mut self, task: u32, status: TaskStatus, error: Option<&str>) {
        let what = match status {
            TaskStatus::Completed => return self.line(Paint::Dim, &format!("  task {task} done")),
            TaskStatus::Skipped => "skipped",
            _ => "failed",
        };
        self.line(Paint::Error, &format!("  task {task} {what}: {}", error.unwrap_or_default()));
    }

    /// The judgement; its reasoning was shown with the reply.
    pub(super) fn checked(&mut self, check: &CompletionCheck) {
        if check.is_complete {
            return self.line(Paint::Good, "  complete");
        }
        let missing = match check.missing_steps.as_slice() {
            [] => String::new(),
            steps => format!(": {}", steps.join("; ")),
        };
        self.line(Paint::Dim, &format!("  not complete{missing}"));
    }
}
