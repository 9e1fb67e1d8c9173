//! Showing what happens in a run, from what is stored of it.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use martlet::store::{RunRow, RunState, Store};
use martlet::{Event, EventKind, GraphStatus, NodeStatus, RunId, Update};
use tokio::time::sleep;

use crate::exit::{Exit, Failure};
use crate::render::{Level, Renderer};
use crate::style::{Paint, Style, printable, unfaked};

/// Events that are read at once.
const PAGE: usize = 500;
/// How often the store is looked at for more.
const PAUSE: Duration = Duration::from_millis(150);

/// What shows events.
pub(super) enum Screen {
    /// One JSON object a line.
    Json,
    People(Box<People>),
}

/// Where people read.
pub(super) struct People {
    renderer: Renderer<Box<dyn io::Write + Send>>,
    out: fn() -> Box<dyn io::Write + Send>,
    style: Style,
    level: Level,
    /// The name of each run in the run, and the run that it is in.
    children: HashMap<RunId, (RunId, Arc<str>, u32)>,
}

impl Screen {
    pub(super) fn stdout(json: bool, level: Level) -> Self {
        Self::new(json, level, Style::stdout(), || Box::new(io::stdout()))
    }

    pub(super) fn stderr(json: bool, level: Level) -> Self {
        Self::new(json, level, Style::stderr(), || Box::new(io::stderr()))
    }

    fn new(json: bool, level: Level, style: Style, out: fn() -> Box<dyn io::Write + Send>) -> Self {
        if json {
            return Self::Json;
        }
        let renderer = Renderer::new(out(), style, level);
        Self::People(Box::new(People { renderer, out, style, level, children: HashMap::new() }))
    }

    fn show(&mut self, root: &RunId, event: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Json => {
                let text = unfaked(&String::from_utf8_lossy(event));
                let mut stdout = io::stdout().lock();
                writeln!(stdout, "{text}").and_then(|()| stdout.flush())?;
            }
            Self::People(people) => {
                // An event of a newer version is left out: the rest is still worth reading.
                if let Ok(event) = serde_json::from_slice::<Event>(event) {
                    people.show(root, event);
                }
            }
        }
        Ok(())
    }
}

impl People {
    fn show(&mut self, root: &RunId, event: Event) {
        if self.level == Level::Quiet {
            return;
        }
        if let EventKind::ChildStarted { child, name, step, .. } = &event.kind {
            self.children.insert(child.clone(), (event.run.clone(), name.as_str().into(), *step));
        }
        if event.run == *root
            && let Some((paint, line)) = of_graph(&event.kind)
        {
            let line = printable(&line).into_owned();
            let _ = writeln!((self.out)(), "{}", self.style.paint(paint, &line));
            return;
        }
        let mut run = event.run.clone();
        let mut update = Update::Event { event: Arc::new(event) };
        // From the inside out, as those who watch a run are told.
        while let Some((parent, name, step)) = self.children.get(&run).filter(|_| run != *root) {
            update = Update::Child {
                child: run.clone(),
                name: name.clone(),
                step: *step,
                update: Box::new(update),
            };
            run = parent.clone();
        }
        self.renderer.update(&update);
    }
}

/// What happens in a workflow, in a line.
fn of_graph(kind: &EventKind) -> Option<(Paint, String)> {
    let seconds = |us: u64| format!("{:.1} s", Duration::from_micros(us).as_secs_f64());
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    Some(match kind {
        EventKind::GraphStarted { graph, nodes } => (Paint::Strong, format!("{graph}: {nodes} nodes")),
        EventKind::NodeStarted { node, attempt: 1, item: None } => (Paint::Dim, format!("{node}  started")),
        EventKind::NodeRetried { node, error, .. } => {
            (Paint::Error, format!("{node}  tried again: {}", first(error)))
        }
        EventKind::NodeEnded { node, status, error, timing, .. } => {
            let time = seconds(timing.elapsed_us);
            match (status, error) {
                (NodeStatus::Completed, _) => (Paint::Good, format!("{node}  done ({time})")),
                (_, Some(error)) => (Paint::Error, format!("{node}  failed ({time}): {}", first(error))),
                (NodeStatus::Skipped, None) => (Paint::Dim, format!("{node}  skipped")),
                (_, None) => (Paint::Error, format!("{node}  stopped ({time})")),
            }
        }
        EventKind::GraphEnded { status, timing, error, .. } => {
            let (paint, word) = match status {
                GraphStatus::Success => (Paint::Good, "done"),
                GraphStatus::Partial => (Paint::Error, "done in part"),
                GraphStatus::TimedOut => (Paint::Error, "stopped, the time was up"),
                GraphStatus::Cancelled => (Paint::Error, "cancelled"),
                _ => (Paint::Error, "failed"),
            };
            let why = error.as_deref().map(|error| format!("; {}", first(error))).unwrap_or_default();
            (paint, format!("{word}: {}{why}", seconds(timing.elapsed_us)))
        }
        _ => return None,
    })
}

/// Shows the events after a number that there are, and gives the number of the last one.
pub(super) async fn all(
    store: &Store,
    run: &RunId,
    mut after: u64,
    screen: &mut Screen,
) -> Result<u64, Failure> {
    loop {
        let events = store.events(run, after, PAGE).await?;
        let Some(last) = events.last() else { return Ok(after) };
        after = last.seq;
        for event in &events {
            screen.show(run, &event.event)?;
        }
    }
}

/// Shows events until the run ends, or waits for a person; gives the exit code that this is worth.
pub(super) async fn to_the_end(store: &Store, run: &RunId, screen: &mut Screen) -> Result<Exit, Failure> {
    let mut after = 0;
    loop {
        // The row first: what it tells of is stored by then.
        let row = store.run(run).await?.ok_or_else(|| Failure::usage("the run is not there any more"))?;
        after = all(store, run, after, screen).await?;
        if row.state == RunState::Ended {
            return Ok(exit_of(&row));
        }
        if row.state == RunState::Waiting && row.pending > 0 && !row.cancel {
            crate::exit::say(&format!("it waits for a person: `martlet runs show {run}` says for what"));
            return Ok(Exit::Denied);
        }
        sleep(PAUSE).await;
    }
}

/// The exit code of a run that has ended.
pub(super) fn exit_of(row: &RunRow) -> Exit {
    match row.outcome.as_deref() {
        Some("succeeded" | "success" | "partial") => Exit::Success,
        Some("step_limit" | "token_limit") => Exit::Limit,
        Some("timed_out") => Exit::TimedOut,
        Some("cancelled") => Exit::Interrupted,
        _ => Exit::Failed,
    }
}
