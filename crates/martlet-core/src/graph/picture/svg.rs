//! Graphs as SVG.
//!
//! The styles are plain rules, once for light and once for dark: variables are more elegant, and many programs that
//! show SVG do not know them. A picture may stand in a page beside others, so nothing in it has an id.

mod drawing;
mod map;
mod style;
mod timeline;
mod xml;

use std::fmt::Write as _;

use super::view::View;
use super::words::{count, duration, ending, number};
use super::{MOST_DRAWN_NODES, layout::Size};
use crate::graph::{GraphStatus, NodeStatus};
use xml::{fitted, text, title};

/// Room around everything.
const MARGIN: f64 = 24.0;
const HEADER: f64 = 54.0;
/// The title, the legend and the timeline need some width, however small the graph is.
const LEAST_WIDTH: f64 = 420.0;
const LEAST_WIDTH_WITH_TIMELINE: f64 = 640.0;

/// A part of the picture, at its own origin.
struct Block {
    size: Size,
    body: String,
}

pub(super) fn write(view: &View<'_>) -> String {
    let drawn = if view.graph.len() <= MOST_DRAWN_NODES { drawing::draw(view) } else { None };
    let has_edges = drawn.is_some();
    let graph = drawn.unwrap_or_else(|| map::draw(view));
    let least = if view.result.is_some() { LEAST_WIDTH_WITH_TIMELINE } else { LEAST_WIDTH };
    let inner = graph.size.width.max(least);
    let timeline = timeline::draw(view, inner.min(1_400.0));
    let legend = legend(view, has_edges);

    let mut body = String::new();
    header(&mut body, view, inner);
    let mut top = MARGIN + HEADER;
    let mut put = |block: &Block, left: f64, after: f64| {
        let _ =
            writeln!(body, "<g transform=\"translate({} {})\">{}</g>", number(left), number(top), block.body);
        top += block.size.height + after;
    };
    put(&graph, MARGIN + (inner - graph.size.width) / 2.0, 28.0);
    if let Some(legend) = &legend {
        put(legend, MARGIN, 28.0);
    }
    if let Some(timeline) = &timeline {
        put(timeline, MARGIN, 8.0);
    }
    let (width, height) = ((inner + 2.0 * MARGIN).ceil(), (top + MARGIN - 16.0).ceil());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"martlet-graph\" role=\"img\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n{}<style>{}</style>\n\
         <rect class=\"back\" width=\"{width}\" height=\"{height}\" rx=\"10\"/>\n{body}</svg>\n",
        title(&view.graph.name),
        style::CSS,
    )
}

fn header(out: &mut String, view: &View<'_>, width: f64) {
    let name = if view.graph.name.is_empty() { "graph" } else { &view.graph.name };
    text(out, "name", MARGIN, MARGIN + 16.0, &fitted(name, 18.0, width));
    let nodes = count(view.graph.len(), "node");
    let mut line = match view.result {
        Some(result) => {
            let mut line =
                format!("{} in {} · {nodes}", ending(result.status), duration(result.timing.elapsed_us));
            for (number, word) in [(result.failed_nodes, "failed"), (result.skipped_nodes, "skipped")] {
                if number > 0 {
                    let _ = write!(line, ", {number} {word}");
                }
            }
            if !result.critical_path.is_empty() {
                let seconds = duration((result.critical_path_seconds * 1e6) as u64);
                let _ = write!(line, " · critical path {seconds}");
            }
            line
        }
        None => format!("{nodes}, {}", count(view.graph.edges.len(), "edge")),
    };
    let mut left = MARGIN;
    if let Some(result) = view.result {
        let state = match result.status {
            GraphStatus::Success => NodeStatus::Completed,
            GraphStatus::Partial => NodeStatus::Skipped,
            GraphStatus::Failed | GraphStatus::TimedOut => NodeStatus::Failed,
            GraphStatus::Cancelled => NodeStatus::Cancelled,
        };
        style::sign(out, state, left + 7.0, MARGIN + 34.0);
        left += 20.0;
    } else if !view.graph.description.is_empty() {
        line = format!("{line} · {}", view.graph.description);
    }
    text(out, "muted", left, MARGIN + 38.0, &fitted(&line, 12.0, width - 20.0));
}

/// What the signs and lines of an executed graph mean: only those that occur.
fn legend(view: &View<'_>, has_edges: bool) -> Option<Block> {
    let result = view.result?;
    let mut out = String::new();
    let mut left = 0.0;
    for state in style::STATES {
        if result.nodes.iter().any(|report| report.status == state) {
            style::sign(&mut out, state, left + 7.0, 0.0);
            let word = super::words::status(state);
            text(&mut out, "muted", left + 20.0, 4.0, word);
            left += 20.0 + xml::width(word, 12.0) + 18.0;
        }
    }
    let mut line = |class: &str, word: &str, present: bool| {
        if present {
            let _ = write!(out, "<path class=\"edge {class}\" d=\"M{} 0h26\"/>", number(left));
            text(&mut out, "muted", left + 34.0, 4.0, word);
            left += 34.0 + xml::width(word, 12.0) + 18.0;
        }
    };
    let passed = |passage| has_edges && view.edges().any(|(edge, _, _)| view.passage(edge) == Some(passage));
    line("critical", "critical path", !result.critical_path.is_empty());
    line("nottaken", "not taken", passed(super::view::Passage::NotTaken));
    line("broken", "failed", passed(super::view::Passage::Failed));
    Some(Block { size: Size { width: left, height: 8.0 }, body: out })
}
