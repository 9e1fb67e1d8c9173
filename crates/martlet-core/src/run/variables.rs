//! Values that go with a task: what programs find defined, and what the model is told of it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::agent::{AgentSpec, Strategy};
use crate::message::{Part, Source};
use crate::prompt::python_literal;
use crate::tool::{READ_FILE, display_value};

/// Characters of a value that the model of a code agent is shown; its programs have the whole.
const SHOWN: usize = 200;

/// The values that go with a task.
pub(super) struct Variables {
    values: Map<String, Value>,
    /// The names of the files whose texts are among them, by variable.
    files: Vec<(String, Arc<str>)>,
    /// Whether there are files that are no text.
    other_files: bool,
}

impl Variables {
    /// The given values, and the texts of the files among `parts`.
    pub(super) fn of(agent: &AgentSpec, values: Map<String, Value>, parts: &[Part]) -> Self {
        let mut variables = Self { values, files: Vec::new(), other_files: false };
        for part in parts {
            let Part::File { name, source, .. } = part else { continue };
            match text(source) {
                Some(text) if agent.strategy == Strategy::Code => {
                    let variable = variables.free_name(agent, name);
                    variables.values.insert(variable.clone(), Value::String(text));
                    variables.files.push((variable, name.clone()));
                }
                _ => variables.other_files = true,
            }
        }
        variables
    }

    /// What a program is given.
    pub(super) fn for_programs(self, strategy: Strategy) -> Arc<Map<String, Value>> {
        if strategy == Strategy::Code { Arc::new(self.values) } else { Arc::default() }
    }

    /// What the model is told besides the task.
    pub(super) fn told(&self, agent: &AgentSpec) -> Option<String> {
        if agent.strategy != Strategy::Code {
            let lines = self.values.iter().map(|(name, value)| format!("{name}: {}", display_value(value)));
            let lines: Vec<String> = lines.collect();
            return (!lines.is_empty())
                .then(|| format!("These values go with the task:\n{}", lines.join("\n")));
        }
        let mut told = String::new();
        if !self.values.is_empty() {
            let lines = self.values.iter().map(|(name, value)| self.line(name, value));
            told = format!(
                "These variables are already defined in your programs:\n{}",
                lines.collect::<Vec<_>>().join("\n")
            );
        }
        let reads = agent.tool(READ_FILE).is_some();
        if !self.files.is_empty() {
            // Models try to open what has a name.
            told.push_str("\nPrograms have no files: use the variables.");
        }
        if self.other_files && reads {
            told.push_str(
                "\nPrograms cannot open files: call read_file(name=…), which returns the text of a file.",
            );
        } else if self.other_files && self.files.is_empty() {
            told.push_str(
                "\nPrograms have no files: write what you need of them into the program, as a string.",
            );
        }
        let told = told.trim();
        (!told.is_empty()).then(|| told.to_owned())
    }

    fn line(&self, name: &str, value: &Value) -> String {
        if let Some((_, file)) = self.files.iter().find(|(variable, _)| variable == name) {
            let characters = value.as_str().map(|text| text.chars().count()).unwrap_or_default();
            return format!("- {name}: the text of the file {file}, {characters} characters");
        }
        let literal = python_literal(value);
        if literal.chars().count() <= SHOWN {
            return format!("- {name} = {literal}");
        }
        let head: String = literal.chars().take(SHOWN).collect();
        let what = match value {
            Value::String(text) => format!("a text of {} characters", text.chars().count()),
            Value::Array(items) => format!("a list of {} items", items.len()),
            Value::Object(entries) => format!("a dict of {} keys", entries.len()),
            _ => "a number".to_owned(),
        };
        format!("- {name}: {what} that begins {head}…")
    }

    /// A name for the text of a file that is no other variable and no tool: `sales-2024.csv` becomes `sales_2024_csv`.
    fn free_name(&self, agent: &AgentSpec, file: &str) -> String {
        let mut name: String = file
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' })
            .collect();
        // A name without an ending could be a keyword, or that of a built-in function.
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !file.contains('.') {
            name = format!("file_{name}");
        }
        let taken = |name: &str| self.values.contains_key(name) || agent.tool(name).is_some();
        if !taken(&name) {
            return name;
        }
        let numbered = |number: u32| format!("{name}_{number}");
        (2..).map(numbered).find(|name| !taken(name)).unwrap_or(name)
    }
}

fn text(source: &Source) -> Option<String> {
    match source {
        Source::Data { data } => std::str::from_utf8(&data.0).ok().map(str::to_owned),
        _ => None,
    }
}
