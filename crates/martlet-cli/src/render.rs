//! Showing a run while it happens, on standard error.
//!
//! The lines are the same everywhere. A terminal gets colours on top, and the model's words as they come.

mod calls;
mod children;
mod live;
mod plan;

use std::io::Write;
use std::time::Duration;

use martlet::core::{Delta, StepError};
use martlet::{Event, EventKind, RunId, RunStatus, Update, Usage};

use crate::style::{Paint, Style, printable};
pub(crate) use calls::call;
use children::Children;
use live::Live;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Quiet,
    Normal,
    Verbose,
}

/// Lines of a block that are shown unless everything is.
const LINES: usize = 20;
/// Characters of a line that are shown unless everything is.
const CHARS: usize = 200;

/// Writes what happens in a run. What cannot be written is lost: a run does not fail because nobody watches.
pub(crate) struct Renderer<W> {
    out: W,
    style: Style,
    level: Level,
    /// The reply that streams, if replies are shown as they come.
    live: Option<Live>,
    /// Whether replies begin inside of a program, because the agent opens the block itself.
    opened: bool,
    /// A line is there that is to be erased before the next one.
    hint: bool,
    /// The program's output is being shown as it comes.
    printed: Printed,
    /// The code's error of this step was shown.
    error_shown: bool,
    children: Children,
    model: String,
    /// Steps after that one are the last call for an answer.
    max_steps: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Printed {
    Nothing,
    AtLineStart,
    InLine,
}

impl<W: Write> Renderer<W> {
    pub(crate) fn new(out: W, style: Style, level: Level) -> Self {
        Self {
            out,
            style,
            level,
            live: None,
            opened: false,
            hint: false,
            printed: Printed::Nothing,
            error_shown: false,
            children: Children::default(),
            model: String::new(),
            max_steps: u32::MAX,
        }
    }

    /// Shows replies as they come. `opened`: they begin inside of a program.
    pub(crate) fn streaming(mut self, opened: bool) -> Self {
        self.live = (self.level != Level::Quiet).then(|| Live::new(opened));
        self.opened = opened;
        self
    }

    /// The name of the model, for the hint while it is waited for.
    pub(crate) fn model(mut self, name: &str) -> Self {
        name.clone_into(&mut self.model);
        self
    }

    /// How many steps there may be; what comes after them is the last call for an answer.
    pub(crate) fn max_steps(mut self, steps: u32) -> Self {
        self.max_steps = steps;
        self
    }

    /// Shows one update.
    pub(crate) fn update(&mut self, update: &Update) {
        if self.level == Level::Quiet {
            return;
        }
        match update {
            Update::Event { event } => self.event(event),
            Update::Delta { delta, .. } => self.delta(delta),
            Update::Printed { text, .. } => self.printed(text),
            Update::Child { child, name, update, .. } => self.child(child, name, update),
            _ => {}
        }
        let _ = self.out.flush();
    }

    /// A remark of the command itself, on a line of its own.
    pub(crate) fn note(&mut self, text: &str) {
        if self.level == Level::Quiet {
            return;
        }
        self.end_line();
        self.line(Paint::Dim, text);
        let _ = self.out.flush();
    }

    /// Ends what is still open.
    pub(crate) fn finish(&mut self) {
        self.end_line();
        let _ = self.out.flush();
    }

    fn event(&mut self, event: &Event) {
        if !matches!(event.kind, EventKind::RunStarted { .. }) {
            self.end_line();
        }
        match &event.kind {
            EventKind::RunStarted { .. } if self.level == Level::Verbose => {
                self.line(Paint::Dim, &format!("run {}", event.run));
            }
            EventKind::StepStarted { step } => self.step(*step),
            EventKind::ModelReplied { thought, reasoning, .. } => {
                self.replied(thought, reasoning.as_deref());
            }
            EventKind::PlanMade { tasks, .. } => self.planned(tasks),
            EventKind::TaskEnded { task, status, error, .. } => {
                self.task_ended(*task, *status, error.as_deref());
            }
            EventKind::CompletionChecked { check, .. } => self.checked(check),
            EventKind::CodeStarted { code, .. } => {
                let shown = self.live.as_mut().is_some_and(Live::take_code);
                if !shown {
                    self.line(Paint::Dim, "  python");
                    self.block(Paint::Code, code);
                }
            }
            EventKind::ApprovalAsked { name, arguments, reason, .. } => {
                self.approval_asked(name, arguments, reason.as_deref());
            }
            EventKind::ApprovalDecided { name, decision, reason, arguments, .. } => {
                self.approval_decided(name, *decision, reason.as_deref(), arguments.as_ref());
            }
            EventKind::ToolCalled { name, arguments, .. } => self.called(name, arguments),
            EventKind::ToolReturned { name, output, error, timing, .. } => {
                self.returned(name, output.as_deref(), error.as_deref(), timing.elapsed_us);
            }
            EventKind::CodeEnded { stdout, value, error, .. } => {
                self.code_ended(stdout, value.as_deref(), error.as_deref());
            }
            EventKind::StepEnded { error, usage, timing, .. } => {
                self.step_ended(error.as_ref(), *usage, timing.elapsed_us);
            }
            EventKind::RunEnded { status, error, usage, timing, .. } => {
                self.run_ended(*status, error.as_deref(), *usage, timing.elapsed_us);
            }
            _ => {}
        }
    }

    /// A child run is seen in passing: its steps, not its words.
    fn child(&mut self, run: &RunId, name: &str, update: &Update) {
        if let Some((paint, line)) = self.children.line(run, name, update) {
            self.end_line();
            let line = self.cut(&line);
            self.line(paint, &line);
        }
    }

    fn step(&mut self, step: u32) {
        self.children.clear();
        self.error_shown = false;
        self.printed = Printed::Nothing;
        let name = if step > self.max_steps { "last call".to_owned() } else { format!("step {step}") };
        self.line(Paint::Strong, &name);
        if self.live.is_some() {
            self.live = Some(Live::new(self.opened));
            if self.style.cursor && !self.model.is_empty() {
                let text = format!("  waiting for {} …", self.model);
                let text = self.style.paint(Paint::Dim, &text).into_owned();
                let _ = write!(self.out, "{text}");
                self.hint = true;
            }
        }
    }

    fn delta(&mut self, delta: &Delta) {
        let Some(mut live) = self.live.take() else { return };
        self.clear_hint();
        match delta {
            Delta::Text { text } => live.text(text, self.style, &mut self.out),
            Delta::Reasoning { text } => live.reasoning(text, self.style, &mut self.out),
            _ => {}
        }
        self.live = Some(live);
    }

    fn replied(&mut self, thought: &str, reasoning: Option<&str>) {
        let (text_shown, reasoning_shown) =
            self.live.as_ref().map_or((false, false), |live| (live.showed_text(), live.showed_reasoning()));
        if let Some(reasoning) = reasoning
            && !reasoning_shown
            && self.level == Level::Verbose
        {
            self.indented(Paint::Dim, reasoning.trim());
        }
        if !text_shown && !thought.trim().is_empty() {
            self.indented(Paint::Strong, thought.trim());
        }
    }

    /// What a program prints, as it comes.
    fn printed(&mut self, text: &str) {
        if self.live.is_none() {
            return;
        }
        self.clear_hint();
        for letter in printable(text).chars() {
            match self.printed {
                Printed::Nothing => {
                    self.end_line();
                    self.line(Paint::Dim, "  output");
                    self.start_printed_line();
                }
                Printed::AtLineStart => self.start_printed_line(),
                Printed::InLine => {}
            }
            let _ = write!(self.out, "{letter}");
            self.printed = if letter == '\n' { Printed::AtLineStart } else { Printed::InLine };
        }
    }

    fn start_printed_line(&mut self) {
        let bar = self.style.paint(Paint::Dim, "  | ").into_owned();
        let _ = write!(self.out, "{bar}");
    }

    fn code_ended(&mut self, stdout: &str, value: Option<&str>, error: Option<&str>) {
        if self.printed == Printed::Nothing && !stdout.trim().is_empty() {
            self.line(Paint::Dim, "  output");
            self.block(Paint::Dim, stdout);
        }
        if let Some(value) = value {
            let value = self.cut(value);
            self.line(Paint::Dim, &format!("  = {value}"));
        }
        if let Some(error) = error {
            self.error_shown = true;
            let error = self.cut_block(error);
            self.marked(Paint::Error, "  ! ", &error);
        }
    }

    fn step_ended(&mut self, error: Option<&StepError>, usage: Usage, elapsed_us: u64) {
        match error {
            Some(StepError::Code { .. } | StepError::Tools { .. }) if self.error_shown => {}
            // Each call said so itself.
            Some(StepError::Tools { .. }) | None => {}
            Some(error) => {
                let error = self.cut_block(&error.to_string());
                self.marked(Paint::Error, "  ! ", &error);
            }
        }
        self.line(Paint::Dim, &format!("  {}, {}", seconds(elapsed_us), tokens(usage)));
    }

    fn run_ended(&mut self, status: RunStatus, error: Option<&str>, usage: Usage, elapsed_us: u64) {
        let (paint, word) = match status {
            RunStatus::Succeeded => (Paint::Good, "done"),
            RunStatus::StepLimit | RunStatus::TokenLimit | RunStatus::TimedOut => (Paint::Error, "stopped"),
            RunStatus::Cancelled => (Paint::Error, "cancelled"),
            _ => (Paint::Error, "failed"),
        };
        let word = self.style.paint(paint, word).into_owned();
        let totals = format!(": {}, {}", seconds(elapsed_us), tokens(usage));
        let totals = self.style.paint(Paint::Dim, &totals).into_owned();
        let _ = writeln!(self.out, "{word}{totals}");
        // A failed run's error is the command's own last line; the others have none.
        if let Some(error) = error
            && status != RunStatus::Failed
            && self.level == Level::Verbose
        {
            self.marked(Paint::Dim, "  ", error);
        }
    }

    fn line(&mut self, paint: Paint, text: &str) {
        let text = printable(text);
        let text = self.style.paint(paint, &text).into_owned();
        let _ = writeln!(self.out, "{text}");
    }

    fn indented(&mut self, paint: Paint, text: &str) {
        for line in text.lines() {
            self.line(paint, &format!("  {line}"));
        }
    }

    /// Lines behind a bar.
    fn block(&mut self, paint: Paint, text: &str) {
        let bar = self.style.paint(Paint::Dim, "  | ").into_owned();
        let text = if paint == Paint::Code { text.trim_end().to_owned() } else { self.cut_block(text) };
        for line in text.lines() {
            let line = printable(line);
            let line = self.style.paint(paint, &line).into_owned();
            let _ = writeln!(self.out, "{bar}{line}");
        }
    }

    /// Text behind a mark; its further lines are set in under the first.
    fn marked(&mut self, paint: Paint, mark: &str, text: &str) {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        self.line(paint, &format!("{mark}{first}"));
        for line in lines {
            self.line(paint, &format!("    {line}"));
        }
    }

    fn cut(&self, text: &str) -> String {
        if self.level == Level::Verbose || text.chars().count() <= CHARS {
            return text.to_owned();
        }
        let head: String = text.chars().take(CHARS).collect();
        format!("{head}…")
    }

    /// The first lines of a text, each cut, with a word on what was left out.
    fn cut_block(&self, text: &str) -> String {
        let text = text.trim_end();
        let count = text.lines().count();
        if self.level == Level::Verbose || count <= LINES {
            return text.lines().map(|line| self.cut(line)).collect::<Vec<_>>().join("\n");
        }
        let mut lines: Vec<String> = text.lines().take(LINES - 1).map(|line| self.cut(line)).collect();
        lines.push(format!("… {} more lines (-v shows all)", count - LINES + 1));
        lines.join("\n")
    }

    /// Ends a line that streams, and takes the hint away.
    fn end_line(&mut self) {
        self.clear_hint();
        if let Some(live) = &mut self.live {
            live.end(self.style, &mut self.out);
        }
        if self.printed == Printed::InLine {
            let _ = writeln!(self.out);
            self.printed = Printed::AtLineStart;
        }
    }

    fn clear_hint(&mut self) {
        if std::mem::take(&mut self.hint) {
            let _ = write!(self.out, "\r\x1b[2K");
        }
    }
}

/// The first line of a text that says something.
fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

fn seconds(elapsed_us: u64) -> String {
    format!("{:.1} s", Duration::from_micros(elapsed_us).as_secs_f64())
}

fn tokens(usage: Usage) -> String {
    format!("{} tokens in, {} out", usage.input_tokens, usage.output_tokens)
}
