//! Child runs, at a glance: one line for each of their steps.

use martlet::{DecisionKind, Event, EventKind, RunId, Update};

use super::{first_line, seconds, tokens};
use crate::style::Paint;

/// The child runs that were seen since a step of the run itself began.
#[derive(Debug, Default)]
pub(super) struct Children {
    seen: Vec<Child>,
}

#[derive(Debug)]
struct Child {
    run: RunId,
    /// Its name, with a number if it is not the first of that name.
    label: String,
    name: String,
    /// What the model said in this step.
    thought: String,
    /// The tools that were called in this step.
    calls: Vec<String>,
}

impl Children {
    /// Forgets those of the step before.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }

    /// The line that an update of a child run is worth.
    pub(super) fn line(&mut self, run: &RunId, name: &str, update: &Update) -> Option<(Paint, String)> {
        let (mut run, mut name, mut update) = (run, name, update);
        let mut indent = 2;
        while let Update::Child { child, name: below, update: inner, .. } = update {
            (run, name, update) = (child, below, &**inner);
            indent += 1;
        }
        let Update::Event { event } = update else { return None };
        if !self.seen.iter().any(|child| child.run == *run) {
            let child = self.new_child(run, name);
            self.seen.push(child);
        }
        let child = self.seen.iter_mut().find(|child| child.run == *run)?;
        let (paint, text) = child.show(event)?;
        Some((paint, format!("{}{text}", "  ".repeat(indent))))
    }

    fn new_child(&self, run: &RunId, name: &str) -> Child {
        let number = self.seen.iter().filter(|child| child.name == name).count() + 1;
        Child {
            run: run.clone(),
            label: if number == 1 { name.to_owned() } else { format!("{name} {number}") },
            name: name.to_owned(),
            thought: String::new(),
            calls: Vec::new(),
        }
    }
}

impl Child {
    fn show(&mut self, event: &Event) -> Option<(Paint, String)> {
        let label = &self.label;
        match &event.kind {
            EventKind::StepStarted { .. } => {
                self.thought.clear();
                self.calls.clear();
                None
            }
            EventKind::ModelReplied { thought, .. } => {
                self.thought = first_line(thought);
                None
            }
            EventKind::ToolCalled { name, .. } => {
                if !self.calls.contains(name) {
                    self.calls.push(name.clone());
                }
                None
            }
            EventKind::ApprovalAsked { name, reason, .. } => {
                let why =
                    reason.as_deref().map(|reason| format!(": {}", first_line(reason))).unwrap_or_default();
                Some((Paint::Tool, format!("? {label}: {name} needs approval{why}")))
            }
            EventKind::ApprovalDecided { name, decision, reason, .. } => Some(match decision {
                DecisionKind::Approved => (Paint::Tool, format!("* {label}: {name} is approved")),
                DecisionKind::Edited => {
                    (Paint::Tool, format!("* {label}: {name} is approved with other arguments"))
                }
                DecisionKind::Denied => {
                    let why = first_line(reason.as_deref().unwrap_or_default());
                    (Paint::Error, format!("x {label}: {name} is denied: {why}"))
                }
            }),
            EventKind::StepEnded { step, error, usage, timing } => {
                let what = match error {
                    Some(error) => format!(": ! {}", first_line(&error.to_string())),
                    None if !self.thought.is_empty() => format!(": {}", self.thought),
                    None if !self.calls.is_empty() => format!(": {}", self.calls.join(", ")),
                    None => String::new(),
                };
                let figures = format!("{}, {}", seconds(timing.elapsed_us), tokens(*usage));
                let paint = if error.is_some() { Paint::Error } else { Paint::Dim };
                Some((paint, format!("{label}, step {step}{what} ({figures})")))
            }
            EventKind::NodeEnded { node, error, timing, .. } => {
                let what = match error {
                    Some(error) => format!(": ! {}", first_line(error)),
                    None => String::new(),
                };
                let paint = if error.is_some() { Paint::Error } else { Paint::Dim };
                Some((paint, format!("{label}, node {node}{what} ({})", seconds(timing.elapsed_us))))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use martlet::Agent;
    use martlet::tools::{FinalAnswer, ToolExt as _};
    use martlet_testkit::ScriptedModel;

    use super::super::{Level, Renderer};
    use crate::style::Style;

    /// Runs an agent whose agents work for it, and gives what is shown of it.
    async fn shown(level: Level) -> String {
        let leaf = ScriptedModel::from_fn(|_, _| "```python\nfinal_answer('a fact')\n```");
        let leaf = Agent::code(leaf).name("archive").description("Knows facts.").build().unwrap();
        let middle = ScriptedModel::from_fn(|request, _| match request.messages.len() {
            2 => "I ask the archive.\nThen I go on.\n```python\nprint(archive('A fact?'))\n```",
            4 => "```python\n1 / 0\n```",
            _ => "```python\nfinal_answer('a report')\n```",
        });
        let middle =
            Agent::code(middle).name("researcher").description("Reports.").managed(leaf).build().unwrap();
        let top = ScriptedModel::new([
            "```python\nprint(researcher('First.'), researcher('Second.'))\n```",
            "```python\nfinal_answer('done')\n```",
        ]);
        let mut run = Agent::code(top).managed(middle).build().unwrap().run("Report.").start();
        let mut renderer = Renderer::new(Vec::new(), Style::default(), level).streaming(false);
        while let Some(update) = run.next().await {
            renderer.update(&update);
        }
        renderer.finish();
        String::from_utf8(renderer.out).unwrap()
    }

    #[tokio::test]
    async fn the_steps_of_child_runs_are_lines_set_in_under_the_call() {
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\d+\.\d s", "[time]");
        let shown = shown(Level::Normal).await;
        settings.bind(|| insta::assert_snapshot!(shown));
    }

    #[tokio::test]
    async fn what_a_child_run_waits_for_is_shown_with_what_was_decided() {
        let leaf = ScriptedModel::from_fn(|_, _| "```python\nfinal_answer('a fact')\n```");
        let leaf = Agent::code(leaf)
            .name("archive")
            .description("Knows facts.")
            .tool(FinalAnswer::new().needs_approval())
            .max_steps(1);
        let top = ScriptedModel::from_fn(|_, _| "```python\nfinal_answer(archive('A fact?'))\n```");
        let top = Agent::code(top).managed(leaf.build().unwrap()).build().unwrap();
        let mut run = top.run("Report.").max_steps(1).start();
        let mut renderer = Renderer::new(Vec::new(), Style::default(), Level::Normal).streaming(false);
        while let Some(update) = run.next().await {
            renderer.update(&update);
        }
        let shown = String::from_utf8(renderer.out).unwrap();
        let lines: Vec<&str> =
            shown.lines().map(str::trim).filter(|line| line.contains("final_answer ")).collect();
        assert_eq!(lines[0], "? archive: final_answer needs approval", "{shown}");
        assert!(lines[1].starts_with("x archive: final_answer is denied: "), "{shown}");
    }

    #[tokio::test]
    async fn a_quiet_command_says_nothing_of_child_runs() {
        assert_eq!(shown(Level::Quiet).await, "");
    }
}
