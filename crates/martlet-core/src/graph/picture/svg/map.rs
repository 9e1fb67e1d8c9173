//! A graph that is too large to draw: a small square for each node, level by level, without edges.

use std::fmt::Write as _;

use super::xml::{text, title};
use super::{Block, style};
use crate::graph::NodeStatus;
use crate::graph::picture::layout::Size;
use crate::graph::picture::view::View;
use crate::graph::picture::words::{count, number, status};
use crate::graph::picture::{MOST_MAPPED_NODES, levels};

const CELL: f64 = 11.0;
const PITCH: f64 = 14.0;
const COLUMNS: usize = 64;
const LABEL: f64 = 150.0;
/// With more levels than that the squares follow each other without a break between levels.
const MOST_BANDS: usize = 80;

pub(super) fn draw(view: &View<'_>) -> Block {
    let rows = levels::rows(&levels::of(view.graph));
    let mut out = String::new();
    let total = view.graph.len();
    let mut note =
        format!("{} in {}: too many to draw edges", count(total, "node"), count(rows.len(), "level"));
    if total > MOST_MAPPED_NODES {
        let _ = write!(note, "; the first {MOST_MAPPED_NODES} are shown");
    }
    text(&mut out, "small", 0.0, 10.0, &note);
    out.push('\n');
    let mut top = 26.0;
    let mut left = MOST_MAPPED_NODES;
    if rows.len() <= MOST_BANDS {
        for (level, nodes) in rows.iter().enumerate() {
            if left == 0 {
                break;
            }
            text(&mut out, "small", 0.0, top + 9.0, &format!("level {level} · {}", nodes.len()));
            let shown = nodes.get(..left.min(nodes.len())).unwrap_or_default();
            left -= shown.len();
            top += squares(&mut out, view, shown.iter().copied(), LABEL, top) + 6.0;
        }
    } else {
        let nodes = rows.iter().flatten().copied().take(left);
        top += squares(&mut out, view, nodes, 0.0, top);
    }
    Block { size: Size { width: LABEL + COLUMNS as f64 * PITCH, height: top }, body: out }
}

/// Squares in lines; gives the height of all.
fn squares(out: &mut String, view: &View<'_>, nodes: impl Iterator<Item = u32>, left: f64, top: f64) -> f64 {
    let mut count = 0;
    for node in nodes {
        let (line, column) = (count / COLUMNS, count % COLUMNS);
        count += 1;
        let report = view.report(node);
        let mut class = String::from("box");
        if view.result.is_some() {
            class = status(report.map_or(NodeStatus::Pending, |report| report.status)).into();
            if report.is_some_and(|report| report.critical) {
                class.push_str(" critical");
            }
        }
        let mut words = view.graph.node(node).map(|node| node.name.clone()).unwrap_or_default();
        if let Some(report) = report {
            let _ = write!(words, ": {}", status(report.status));
        }
        let (x, y) = (left + column as f64 * PITCH, top + line as f64 * PITCH);
        let _ = write!(
            out,
            "<g>{}<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{CELL}\" height=\"{CELL}\" rx=\"2\"/>",
            title(&words),
            number(x),
            number(y)
        );
        // What went well is the rule and needs no sign.
        if let Some(report) = report.filter(|report| report.status != NodeStatus::Completed) {
            style::bare_sign(out, report.status, x + CELL / 2.0, y + CELL / 2.0);
        }
        out.push_str("</g>\n");
    }
    count.div_ceil(COLUMNS) as f64 * PITCH
}
