//! A run as a text for people.

use std::fmt::Write as _;

use serde_json::Value;

use crate::api::run::RunView;

/// The task, what was done, and the answer, below a heading of this level.
pub(super) fn write(run: &RunView, events: &[Value], level: usize) -> String {
    let mut text = format!("{} {}\n\n", "#".repeat(level), one_line(run.title()));
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{} `{}`, run `{}`, {}\n", run.kind(), run.name(), run.id(), run.standing());
    if let Some(task) = run.task() {
        block(&mut text, "Task", "", &task);
    }
    for event in events {
        write_event(&mut text, event, level + 1);
    }
    if let Some(answer) = run.answer() {
        block(&mut text, "Answer", "", &plain(answer));
    }
    if let Some(error) = run.error() {
        block(&mut text, "Error", "", error);
    }
    text
}

fn write_event(text: &mut String, event: &Value, level: usize) {
    let of = |key: &str| event.get(key).filter(|value| !value.is_null());
    let named = |what: &str| format!("{what} `{}`", of("name").or(of("node")).map(plain).unwrap_or_default());
    match event.get("type").and_then(Value::as_str).unwrap_or_default() {
        "step.started" => {
            let step = of("step").map(plain).unwrap_or_default();
            let _ = writeln!(text, "{} Step {step}\n", "#".repeat(level));
        }
        "model.replied" => {
            if let Some(thought) = of("thought").or(of("text")) {
                block(text, "Model", "", &plain(thought));
            }
        }
        "code.started" => block(text, "Program", "python", &of("code").map(plain).unwrap_or_default()),
        "code.ended" => {
            let printed = ["stdout", "value", "error"].into_iter().filter_map(of).map(plain);
            let printed: Vec<_> = printed.filter(|part| !part.is_empty()).collect();
            block(text, "Printed", "", &printed.join("\n"));
        }
        "tool.called" => {
            block(text, &named("Call of"), "json", &of("arguments").map(pretty).unwrap_or_default())
        }
        "tool.returned" => {
            block(
                text,
                &named("Result of"),
                "",
                &of("output").or(of("error")).map(plain).unwrap_or_default(),
            );
        }
        "tool.approval" => {
            block(
                text,
                &named("Asked a person for"),
                "json",
                &of("arguments").map(pretty).unwrap_or_default(),
            );
        }
        "tool.decided" => {
            let _ = writeln!(
                text,
                "{}: {}\n",
                named("Decision on"),
                of("decision").map(plain).unwrap_or_default()
            );
        }
        "node.ended" => {
            let what = named("Node");
            block(text, &what, "", &of("output").or(of("error")).map(plain).unwrap_or_default());
        }
        _ => {}
    }
}

/// A text in a fence that it cannot close.
fn block(text: &mut String, heading: &str, language: &str, content: &str) {
    if content.trim().is_empty() {
        return;
    }
    let longest = content.split(|char| char != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(text, "**{heading}**\n\n{fence}{language}\n{}\n{fence}\n", content.trim_end());
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A heading: no line breaks, and nothing that has a meaning.
pub(super) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut heading = String::with_capacity(line.len());
    for char in line.chars() {
        if matches!(char, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '!' | '#' | '|' | '&') {
            heading.push('\\');
        }
        heading.push(char);
    }
    heading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_fence() {
        let mut text = String::new();
        block(&mut text, "Task", "", "```\n<script>\n````");
        assert_eq!(text, "**Task**\n\n`````\n```\n<script>\n````\n`````\n\n");
        assert_eq!(one_line("![x](https://evil)\n# y"), "\\!\\[x\\](https://evil) \\# y");
    }
}
