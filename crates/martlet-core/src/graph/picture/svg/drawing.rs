//! The graph itself: boxes and arrows.

use std::fmt::Write as _;

use super::xml::{fitted, text, title, width};
use super::{Block, style};
use crate::graph::picture::layout::{Direction, Layout, Point, Route, Size, pulls};
use crate::graph::picture::view::{Passage, View, kind};
use crate::graph::picture::words::{duration, number, one_line, status};
use crate::graph::{NodeReport, NodeSpec};

const LEAST_BOX: f64 = 118.0;
const MOST_BOX: f64 = 230.0;
const PADDING: f64 = 12.0;
const ICON: f64 = 18.0;
const MOST_LABEL: f64 = 170.0;
const LABEL_HEIGHT: f64 = 18.0;
/// Bold letters are wider than others of their size.
const BOLD: f64 = 14.8;
const ARROW: f64 = 8.0;

/// Draws the graph with all its edges; `None` if there are too many.
pub(super) fn draw(view: &View<'_>) -> Option<Block> {
    let sizes: Vec<Size> = view.nodes().map(|(place, node)| size(view, place, node)).collect();
    let labels: Vec<Option<Size>> = view
        .edges()
        .map(|(edge, _, _)| {
            let label = view.label(edge)?;
            Some(Size { width: width(&fitted_label(&label), 11.0) + 16.0, height: LABEL_HEIGHT })
        })
        .collect();
    let layout = Layout::new(view.graph, &sizes, &labels)?;
    let mut body = String::from("\n");
    // Edges that nobody took lie below the others, and the critical path above.
    for layer in 0..3 {
        for (edge, _, _) in view.edges() {
            if layer_of(view, edge) == layer {
                draw_edge(&mut body, view, edge, &layout.routes[edge as usize], layout.direction);
            }
        }
    }
    for (place, node) in view.nodes() {
        draw_node(&mut body, view, (place, node), layout.nodes[place as usize], sizes[place as usize]);
    }
    for (edge, _, _) in view.edges() {
        draw_label(&mut body, view, edge, layout.routes[edge as usize].label, labels[edge as usize]);
    }
    Some(Block { size: layout.size, body })
}

fn layer_of(view: &View<'_>, edge: u32) -> u8 {
    if view.is_critical(edge) { 2 } else { u8::from(view.passage(edge) != Some(Passage::NotTaken)) }
}

fn class(view: &View<'_>, edge: u32) -> &'static str {
    match view.passage(edge) {
        _ if view.is_critical(edge) => " critical",
        Some(Passage::NotTaken) => " nottaken",
        Some(Passage::Failed) => " broken",
        _ if view.is_dashed(edge) => " dashed",
        _ => "",
    }
}

fn draw_edge(out: &mut String, view: &View<'_>, edge: u32, route: &Route, direction: Direction) {
    let class = class(view, edge);
    let tip = route.end;
    // The line ends inside the arrow head, so that a thick one does not show around its tip.
    let back = |point: Point| match direction {
        Direction::Down => Point { y: point.y - ARROW * 0.7, ..point },
        Direction::Right => Point { x: point.x - ARROW * 0.7, ..point },
    };
    let xy = |point: Point| format!("{} {}", number(point.x), number(point.y));
    let mut path = format!("M{}", xy(route.start));
    for (place, (begin, end)) in route.curves.iter().enumerate() {
        if place > 0 || *begin != route.start {
            let _ = write!(path, "L{}", xy(*begin));
        }
        let last = place + 1 == route.curves.len();
        let end = if last && *end == tip { back(*end) } else { *end };
        let (one, two) = pulls(*begin, end, direction);
        let _ = write!(path, "C{} {} {}", xy(one), xy(two), xy(end));
    }
    if route.curves.last().is_some_and(|(_, end)| *end != tip) {
        let _ = write!(path, "L{}", xy(back(tip)));
    }
    let (dx, dy) = if direction == Direction::Down { (ARROW / 2.0, ARROW) } else { (ARROW, ARROW / 2.0) };
    let (left, right) = match direction {
        Direction::Down => (Point { x: tip.x - dx, y: tip.y - dy }, Point { x: tip.x + dx, y: tip.y - dy }),
        Direction::Right => (Point { x: tip.x - dx, y: tip.y - dy }, Point { x: tip.x - dx, y: tip.y + dy }),
    };
    let _ = writeln!(
        out,
        "<path class=\"edge{class}\" d=\"{path}\"/><path class=\"tip{class}\" d=\"M{}L{}L{}z\"/>",
        xy(tip),
        xy(left),
        xy(right)
    );
}

fn fitted_label(label: &str) -> String {
    fitted(&one_line(label), 11.0, MOST_LABEL).into_owned()
}

fn draw_label(out: &mut String, view: &View<'_>, edge: u32, place: Option<Point>, size: Option<Size>) {
    let (Some(place), Some(size), Some(label)) = (place, size, view.label(edge)) else { return };
    let _ = write!(
        out,
        "<g>{}<rect class=\"pill\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"9\"/>",
        title(&label),
        number(place.x - size.width / 2.0),
        number(place.y - size.height / 2.0),
        number(size.width),
        number(size.height),
    );
    text(out, "small mid", place.x, place.y + 4.0, &fitted_label(&label));
    out.push_str("</g>\n");
}

fn details(view: &View<'_>, place: u32, node: &NodeSpec) -> String {
    let mut words = vec![kind(node)];
    words.extend(view.marks(place, node));
    one_line(&words.join(" · ")).into_owned()
}

fn outcome(report: &NodeReport) -> String {
    let mut words = status(report.status).to_owned();
    if report.attempts > 0 {
        let _ = write!(words, " · {}", duration(report.timing.elapsed_us));
    }
    if report.attempts > 1 {
        let _ = write!(words, " · {} attempts", report.attempts);
    }
    words
}

fn size(view: &View<'_>, place: u32, node: &NodeSpec) -> Size {
    let name = width(&node.name, BOLD);
    let details = width(&details(view, place, node), 11.0) + ICON;
    let outcome = view.report(place).map(|report| width(&outcome(report), 11.0) + ICON);
    let widest = name.max(details).max(outcome.unwrap_or_default()) + 2.0 * PADDING;
    Size {
        width: widest.clamp(LEAST_BOX, MOST_BOX).ceil(),
        height: if view.result.is_some() { 68.0 } else { 48.0 },
    }
}

fn draw_node(out: &mut String, view: &View<'_>, (place, node): (u32, &NodeSpec), middle: Point, size: Size) {
    let report = view.report(place);
    let (left, top) = (middle.x - size.width / 2.0, middle.y - size.height / 2.0);
    let mut class = String::from("box");
    if let Some(report) = report {
        let _ = write!(class, " {}", status(report.status));
        if report.critical {
            class.push_str(" critical");
        }
    }
    let _ = write!(
        out,
        "<g>{}<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
        title(&full_text(view, place, node)),
        number(left),
        number(top),
        number(size.width),
        number(size.height),
    );
    let room = size.width - 2.0 * PADDING;
    text(out, "label", left + PADDING, top + 20.0, &fitted(&one_line(&node.name), BOLD, room));
    style::icon(out, &node.work, left + PADDING, top + 27.0);
    text(
        out,
        "small",
        left + PADDING + ICON,
        top + 37.0,
        &fitted(&details(view, place, node), 11.0, room - ICON),
    );
    if let Some(report) = report {
        style::sign(out, report.status, left + PADDING + 6.0, top + 53.0);
        let words = outcome(report);
        text(out, "small", left + PADDING + ICON, top + 57.0, &fitted(&words, 11.0, room - ICON));
    }
    out.push_str("</g>\n");
}

/// Everything about a node, for those who point at it.
fn full_text(view: &View<'_>, place: u32, node: &NodeSpec) -> String {
    let mut words = node.name.clone();
    if !node.description.is_empty() {
        let _ = write!(words, ": {}", node.description);
    }
    let _ = write!(words, " ({})", details(view, place, node));
    if let Some(report) = view.report(place) {
        let _ = write!(words, " — {}", outcome(report));
        if let Some(error) = &report.error {
            let _ = write!(words, ": {}", error.message);
        } else if let Some(cause) = &report.cause {
            let _ = write!(words, ": {cause}");
        }
    }
    words
}
