//! What a run took and gave, under the names that consumers of other reasoning agents know.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reasoning::{CompletionCheck, ReplyFor, TaskRecord, TaskStatus};
use crate::step::{CallRecord, RunResult, Step};
use crate::tool::{FINAL_ANSWER, display_value};

/// What a run took. As JSON it has the keys of the `AgentMetrics` of other reasoning agents.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentMetrics {
    /// Steps; a last call for an answer is none.
    pub total_iterations: u64,
    /// Tokens read.
    pub total_input_tokens: u64,
    /// Tokens written.
    pub total_output_tokens: u64,
    /// Tokens read and written.
    pub total_tokens: u64,
    /// Time, in seconds, to three decimals.
    pub execution_time_seconds: f64,
    /// Calls of the model for a plan; of other strategies: for an action.
    pub reasoning_calls: u64,
    /// Tool calls.
    pub tool_executions: u64,
    /// Completion checks.
    pub completion_checks: u64,
    /// Calls of the model that it answered.
    pub llm_calls: u64,
    /// Tool calls that gave an output.
    pub successful_tool_calls: u64,
    /// Tool calls that gave none.
    pub failed_tool_calls: u64,
    /// Whether the run ended with an answer to the whole task.
    pub task_completed: bool,
    /// The number of steps after which it did.
    pub iterations_to_completion: Option<u64>,
    /// Tokens for each call of the model, to two decimals.
    pub avg_tokens_per_llm_call: f64,
    /// The share of tool calls that gave an output, from 0 to 1, to two decimals.
    pub success_rate: f64,
}

/// A run's answer with what led to it. As JSON it has the keys of the `AgentResponse` of other reasoning agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentResponse {
    /// The answer; `null` if there is none.
    pub result: Value,
    /// What it took.
    pub metrics: AgentMetrics,
    /// What was done, in its order.
    pub execution_history: Vec<HistoryItem>,
    /// The last completion check, if there was one.
    pub completion_status: Option<CompletionCheck>,
}

/// Something that was done in a run: a task of a plan, a tool call, a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryItem {
    /// The step, from 1.
    pub iteration: u32,
    /// What was to be done: the task; of other strategies what the model thought when it asked for it.
    pub task: String,
    /// The tool; `null` for what was done without one.
    pub tool: Option<String>,
    /// What it gave, or why it failed.
    pub result: String,
    /// `completed` or `failed`.
    pub status: String,
}

impl RunResult {
    /// What the run took.
    pub fn metrics(&self) -> AgentMetrics {
        let steps = || self.steps.iter().filter(|step| !step.last_call);
        let replies = || self.steps.iter().flat_map(|step| &step.replies);
        let calls =
            || self.steps.iter().flat_map(|step| &step.calls).filter(|record| record.result.is_some());
        let plans = count(replies().filter(|record| record.purpose == ReplyFor::Plan));
        let checks = count(replies().filter(|record| record.purpose == ReplyFor::Check));
        let single = count(steps().filter(|step| step.reply.is_some()));
        let llm_calls = count(replies()) + count(self.steps.iter().filter(|step| step.reply.is_some()));
        let tool_executions = count(calls());
        let successful = count(calls().filter(|record| matches!(record.result, Some(Ok(_)))));
        let total_iterations = count(steps());
        let task_completed = self.completed();
        AgentMetrics {
            total_iterations,
            total_input_tokens: self.usage.input_tokens,
            total_output_tokens: self.usage.output_tokens,
            total_tokens: self.usage.total(),
            execution_time_seconds: rounded(self.timing.elapsed_us as f64 / 1e6, 1e3),
            reasoning_calls: plans + single,
            tool_executions,
            completion_checks: checks,
            llm_calls,
            successful_tool_calls: successful,
            failed_tool_calls: tool_executions - successful,
            task_completed,
            iterations_to_completion: task_completed.then_some(total_iterations),
            avg_tokens_per_llm_call: share(self.usage.total(), llm_calls),
            success_rate: share(successful, tool_executions),
        }
    }

    /// The answer with what led to it.
    pub fn response(&self) -> AgentResponse {
        AgentResponse {
            result: self.output.clone(),
            metrics: self.metrics(),
            execution_history: self.steps.iter().flat_map(history).collect(),
            completion_status: self.steps.iter().rev().find_map(|step| step.check.clone()),
        }
    }

    /// Whether the run ended with an answer to the whole task: a reasoning agent also ends with a question, or with what
    /// it has when it can do no more.
    fn completed(&self) -> bool {
        let last = self.steps.iter().rev().find(|step| step.plan.is_some());
        let planned = last.is_none_or(|step| match (&step.check, &step.plan) {
            (Some(check), _) => check.is_complete,
            (None, Some(plan)) => plan.has_sufficient_info,
            (None, None) => true,
        });
        self.succeeded() && planned
    }
}

fn history(step: &Step) -> Vec<HistoryItem> {
    if step.plan.is_some() {
        return step.tasks.iter().map(|record| task_item(step, record)).collect();
    }
    let program = step.code.as_ref().map(|_| HistoryItem {
        iteration: step.number,
        task: step.thought.clone(),
        tool: None,
        result: step
            .observation
            .as_deref()
            .map(ToString::to_string)
            .unwrap_or_else(|| step.answer.as_ref().map(display_value).unwrap_or_default()),
        status: status(step.error.is_none()),
    });
    // The answer is the result itself; the call that only hands it over has none of its own.
    let done = step.calls.iter().filter(|record| record.result.is_some() || record.call.name != FINAL_ANSWER);
    program.into_iter().chain(done.map(|record| call_item(step, record))).collect()
}

fn task_item(step: &Step, record: &TaskRecord) -> HistoryItem {
    let failed = record.error.clone().unwrap_or_else(|| "not ended".into());
    HistoryItem {
        iteration: step.number,
        task: record.task.description.clone(),
        tool: record.task.tool_name.clone(),
        result: record.result.as_ref().map_or(failed, display_value),
        status: status(record.status == TaskStatus::Completed),
    }
}

fn call_item(step: &Step, record: &CallRecord) -> HistoryItem {
    HistoryItem {
        iteration: step.number,
        task: step.thought.clone(),
        tool: Some(record.call.name.clone()),
        result: match &record.result {
            Some(Ok(output)) => output.to_text(),
            Some(Err(failure)) => failure.message.clone(),
            None => "not ended".into(),
        },
        status: status(matches!(record.result, Some(Ok(_)))),
    }
}

fn status(completed: bool) -> String {
    if completed { "completed" } else { "failed" }.into()
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

fn rounded(value: f64, places: f64) -> f64 {
    (value * places).round() / places
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { rounded(part as f64 / whole as f64, 100.0) }
}
