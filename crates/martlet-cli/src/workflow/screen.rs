//! Showing a workflow while it runs: a line per node that is kept up to date, or, where no lines can be rewritten, one
//! line for each thing that happens.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use martlet::{Graph, GraphResult, GraphStatus, NodeStatus, Update};

use super::progress::{Change, NodeProgress, Progress};
use crate::render::Level;
use crate::style::{Paint, Style, printable};
use crate::watch::Watcher;

/// How often running times are rewritten.
const TICK: Duration = Duration::from_millis(100);
/// Characters of a reason that are shown.
const CHARS: usize = 160;

/// What shows a workflow on standard error.
pub(super) struct Screen {
    progress: Progress,
    style: Style,
    level: Level,
    title: String,
    width: usize,
    live: Option<Live>,
}

/// Lines that are rewritten.
struct Live {
    all: MultiProgress,
    /// The lines of nodes that have one.
    lines: Vec<Option<ProgressBar>>,
    /// The last line, which counts.
    total: ProgressBar,
    /// Whether every node has a line from the beginning; otherwise those that run.
    every: bool,
    started: Instant,
    style: ProgressStyle,
}

impl Screen {
    pub(super) fn new(graph: &Graph, style: Style, level: Level, no_stream: bool) -> Self {
        let progress = Progress::new(graph);
        let width = progress.nodes.iter().map(|node| node.name.chars().count()).max().unwrap_or_default();
        let count = progress.nodes.len();
        let live = (style.cursor && level != Level::Quiet && !no_stream).then(|| Live::new(count));
        let title = format!("{}: {}", graph.spec().name, crate::config::counted(count, "node"));
        let mut screen = Self { progress, style, level, title, width: width.min(32), live };
        screen.begin();
        screen
    }

    fn begin(&mut self) {
        if self.live.is_some() {
            for place in 0..self.progress.nodes.len() {
                self.redraw(place);
            }
            self.redraw_total();
        } else {
            let title = self.title.clone();
            self.line(Paint::Strong, &title);
        }
    }

    /// Writes what became of the whole.
    pub(super) fn summary(&mut self, result: &GraphResult) {
        self.finish();
        if self.level == Level::Quiet {
            return;
        }
        let (paint, word) = match result.status {
            GraphStatus::Success => (Paint::Good, "done"),
            GraphStatus::Partial => (Paint::Error, "done in part"),
            GraphStatus::TimedOut => (Paint::Error, "stopped, the time was up"),
            GraphStatus::Cancelled => (Paint::Error, "cancelled"),
            _ => (Paint::Error, "failed"),
        };
        let total = Duration::from_micros(result.timing.elapsed_us);
        let sum: Duration =
            result.nodes.iter().map(|node| Duration::from_micros(node.timing.elapsed_us)).sum();
        let path: Vec<&str> = result.critical_path.iter().map(AsRef::as_ref).collect();
        let mut text = format!(": {}, the nodes together {}", seconds(total), seconds(sum));
        if !path.is_empty() {
            let longest = Duration::from_secs_f64(result.critical_path_seconds.max(0.0));
            text.push_str(&format!("; critical path {}: {}", seconds(longest), shortened(&path)));
        }
        let word = self.style.paint(paint, word);
        let text = printable(&text).into_owned();
        let text = self.style.paint(Paint::Dim, &text);
        let _ = writeln!(io::stderr(), "{word}{text}");
    }

    fn change(&mut self, change: &Change) {
        if self.level == Level::Quiet {
            return;
        }
        let place = match change {
            Change::Started { node }
            | Change::Retried { node, .. }
            | Change::Progressed { node }
            | Change::Doing { node }
            | Change::Asked { node, .. }
            | Change::Decided { node, .. }
            | Change::Ended { node } => *node,
        };
        if self.live.is_some() {
            self.redraw(place);
            self.redraw_total();
            return;
        }
        let Some(node) = self.progress.nodes.get(place) else { return };
        let width = self.width;
        let name = format!("{:width$}", node.name);
        let (paint, text) = match change {
            Change::Started { .. } => (Paint::Dim, format!("{name}  started")),
            Change::Retried { error, wait_ms, .. } => {
                let wait = seconds(Duration::from_millis(*wait_ms));
                (Paint::Error, format!("{name}  tried again in {wait}: {}", cut(error, self.level)))
            }
            Change::Progressed { .. } => match node.done_of {
                Some((done, of)) => (Paint::Dim, format!("{name}  {done} of {of}")),
                None => return,
            },
            Change::Asked { question, .. } => {
                (Paint::Tool, format!("{name}  ? {}", cut(question, self.level)))
            }
            Change::Decided { answer, denied, .. } => {
                let (paint, sign) = if *denied { (Paint::Error, 'x') } else { (Paint::Tool, '*') };
                (paint, format!("{name}  {sign} {}", cut(answer, self.level)))
            }
            Change::Doing { .. } if self.level == Level::Verbose => {
                (Paint::Dim, format!("{name}  {}", node.doing))
            }
            Change::Doing { .. } => return,
            Change::Ended { .. } => (paint_of(node.status), format!("{name}  {}", self.ended(node))),
        };
        self.line(paint, &text);
    }

    /// How a node ended.
    fn ended(&self, node: &NodeProgress) -> String {
        let time = node.elapsed().map(|time| format!(", {}", seconds(time))).unwrap_or_default();
        let reason = match node.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", cut(reason, self.level)),
        };
        format!("{}{time}{reason}", node.word())
    }

    fn line(&self, paint: Paint, text: &str) {
        if self.level == Level::Quiet {
            return;
        }
        let text = printable(text);
        let _ = writeln!(io::stderr(), "{}", self.style.paint(paint, &text));
    }

    /// The line of a node.
    fn redraw(&mut self, place: usize) {
        let Some(node) = self.progress.nodes.get(place) else { return };
        let text = self.node_line(node);
        let ended = node.status.is_settled();
        let Some(live) = &mut self.live else { return };
        let keep = live.every || node.status == NodeStatus::Failed;
        let Some(line) = live.lines.get_mut(place) else { return };
        if !live.every && line.is_none() && (ended || node.since.is_none()) {
            return;
        }
        let bar = line.get_or_insert_with(|| {
            let bar = live.all.insert_before(&live.total, ProgressBar::new_spinner());
            bar.set_style(live.style.clone());
            bar
        });
        bar.set_message(text);
        if ended && keep {
            bar.abandon();
        } else if ended {
            bar.finish_and_clear();
            live.all.remove(bar);
            *line = None;
        } else {
            bar.tick();
        }
    }

    fn node_line(&self, node: &NodeProgress) -> String {
        let sign = match node.status {
            NodeStatus::Completed => "✓",
            NodeStatus::Failed => "✗",
            NodeStatus::Skipped => "–",
            NodeStatus::Cancelled => "■",
            NodeStatus::Running => spinner(node.since),
            _ => "·",
        };
        let sign = self.style.paint(paint_of(node.status), sign);
        let width = self.width;
        let name = format!("{:width$}", printable(&node.name));
        if node.status.is_settled() {
            return format!("{sign} {name}  {}", printable(&self.ended(node)));
        }
        let mut parts = Vec::new();
        parts.extend(node.elapsed().map(seconds));
        if node.attempt > 1 && node.done_of.is_none() {
            parts.push(format!("attempt {}", node.attempt));
        }
        parts.extend(node.done_of.map(|(done, of)| format!("{done} of {of}")));
        if !node.doing.is_empty() {
            parts.push(node.doing.clone());
        }
        let text = parts.join(", ");
        format!("{sign} {name}  {}", self.style.paint(Paint::Dim, &printable(&text)))
    }

    /// The line that counts.
    fn redraw_total(&mut self) {
        let settled = self.progress.count(NodeStatus::is_settled);
        let running = self.progress.count(|status| status == NodeStatus::Running);
        let all = self.progress.nodes.len();
        let Some(live) = &self.live else { return };
        let time = seconds(live.started.elapsed());
        let text = format!(
            "{}, {settled} ended, {running} running, {} waiting, {time}",
            self.title,
            all - settled - running
        );
        live.total.set_message(self.style.paint(Paint::Dim, &text).into_owned());
        live.total.tick();
    }
}

impl Watcher for Screen {
    fn update(&mut self, update: &Update) {
        if let Some(change) = self.progress.update(update) {
            self.change(&change);
        }
    }

    fn note(&mut self, text: &str) {
        match &self.live {
            Some(live) => {
                let _ = live.all.println(text);
            }
            None => self.line(Paint::Dim, text),
        }
    }

    fn tick(&mut self) {
        for place in 0..self.progress.nodes.len() {
            let running =
                self.progress.nodes.get(place).is_some_and(|node| node.status == NodeStatus::Running);
            if running {
                self.redraw(place);
            }
        }
        self.redraw_total();
    }

    fn ticks(&self) -> Option<Duration> {
        self.live.as_ref().map(|_| TICK)
    }

    fn finish(&mut self) {
        let Some(live) = self.live.take() else { return };
        for line in live.lines.iter().flatten() {
            if !line.is_finished() {
                line.abandon();
            }
        }
        live.total.finish_and_clear();
    }
}

impl Live {
    fn new(nodes: usize) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        // A terminal that does not tell its height has the least that terminals have had.
        let height = console::Term::stderr().size_checked().map_or(24, |(rows, _)| rows);
        let style =
            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let total = all.add(ProgressBar::new_spinner());
        total.set_style(style.clone());
        Self {
            all,
            lines: vec![None; nodes],
            total,
            every: nodes + 2 <= usize::from(height),
            started: Instant::now(),
            style,
        }
    }
}

fn spinner(since: Option<Instant>) -> &'static str {
    const TURNS: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    let turn = since.map_or(0, |since| since.elapsed().as_millis() / TICK.as_millis());
    let turn = usize::try_from(turn).unwrap_or_default() % TURNS.len();
    TURNS.get(turn).copied().unwrap_or(">")
}

fn paint_of(status: NodeStatus) -> Paint {
    match status {
        NodeStatus::Completed => Paint::Good,
        NodeStatus::Failed | NodeStatus::Cancelled => Paint::Error,
        NodeStatus::Running => Paint::Tool,
        _ => Paint::Dim,
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// The first line of a text, and not too much of it.
fn cut(text: &str, level: Level) -> String {
    let first = text.lines().next().unwrap_or_default();
    if level == Level::Verbose || (first.chars().count() <= CHARS && first.len() == text.len()) {
        return if level == Level::Verbose { text.to_owned() } else { first.to_owned() };
    }
    let head: String = first.chars().take(CHARS).collect();
    format!("{head}…")
}

/// A path; of a long one the beginning and the end.
fn shortened(path: &[&str]) -> String {
    const ENDS: usize = 4;
    if path.len() <= 2 * ENDS + 1 {
        return path.join(" -> ");
    }
    let head = path.get(..ENDS).unwrap_or_default().join(" -> ");
    let tail = path.get(path.len() - ENDS..).unwrap_or_default().join(" -> ");
    format!("{head} -> … -> {tail}")
}
