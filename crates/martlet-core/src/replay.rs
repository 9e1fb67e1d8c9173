//! A finished run as text, to read again what happened.

use std::fmt::Write as _;

use crate::step::{CallRecord, RunResult, Step};
use crate::text::cut_middle;

/// How many characters of one text a replay shows.
const SHOWN: usize = 2_000;

/// Writes a finished run as plain text: the task, each step with its thought, program, calls and
/// observation, and the answer.
pub fn replay(result: &RunResult) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, result);
    text
}

fn write(text: &mut String, result: &RunResult) -> std::fmt::Result {
    writeln!(text, "Run {}", result.run)?;
    section(text, "Task", &result.task)?;
    for step in &result.steps {
        write_step(text, step)?;
    }
    writeln!(text)?;
    writeln!(
        text,
        "{:?} after {} steps, {}, {} tokens read and {} written",
        result.status,
        result.steps.len(),
        seconds(result.timing.elapsed_us),
        result.usage.input_tokens,
        result.usage.output_tokens
    )?;
    if let Some(failure) = &result.failure {
        section(text, "Failure", &failure.to_string())?;
    }
    if !result.output.is_null() {
        section(text, "Answer", &result.answer_text())?;
    }
    Ok(())
}

fn write_step(text: &mut String, step: &Step) -> std::fmt::Result {
    writeln!(text)?;
    writeln!(
        text,
        "Step {}{}: {}, {} tokens read and {} written",
        step.number,
        if step.last_call { " (last call for an answer)" } else { "" },
        seconds(step.timing.elapsed_us),
        step.usage.input_tokens,
        step.usage.output_tokens
    )?;
    section(text, "Thought", &step.thought)?;
    section(text, "Program", step.code.as_deref().unwrap_or_default())?;
    for record in &step.calls {
        write_call(text, record)?;
    }
    section(
        text,
        "Observation",
        step.observation.as_deref().unwrap_or_default().trim_start_matches("Observation:\n"),
    )
}

fn write_call(text: &mut String, record: &CallRecord) -> std::fmt::Result {
    let result = match &record.result {
        Some(Ok(output)) => output.to_text(),
        Some(Err(failure)) => format!("failed: {failure}"),
        None => "no result".into(),
    };
    writeln!(
        text,
        "  Call {}({}){} -> {}",
        record.call.name,
        record.call.arguments.to_json(),
        if record.asked.is_some() { " (the arguments are a person's)" } else { "" },
        cut_middle(&result, SHOWN).replace('\n', "\n    ")
    )
}

fn section(text: &mut String, title: &str, body: &str) -> std::fmt::Result {
    let body = body.trim();
    if body.is_empty() {
        return Ok(());
    }
    if body.contains('\n') {
        writeln!(text, "  {title}:")?;
        for line in cut_middle(body, SHOWN).lines() {
            writeln!(text, "    {line}")?;
        }
        Ok(())
    } else {
        writeln!(text, "  {title}: {}", cut_middle(body, SHOWN))
    }
}

fn seconds(us: u64) -> String {
    format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000)
}
