//! Graphs in the DOT language of Graphviz.

use std::fmt::Write as _;

use super::view::{Passage, View};
use super::words::{cut, one_line};
use crate::graph::{NodeSpec, NodeStatus, Work};

pub(super) fn write(view: &View<'_>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "digraph {} {{", quoted(&one_line(&view.graph.name)));
    out.push_str("  rankdir=TB;\n");
    out.push_str("  node [fontname=\"Helvetica\", fontsize=11, style=\"filled\", fillcolor=\"#f8fafc\", color=\"#64748b\"];\n");
    out.push_str("  edge [fontname=\"Helvetica\", fontsize=9, color=\"#64748b\"];\n");
    for (place, node) in view.nodes() {
        write_node(&mut out, view, place, node);
    }
    for (edge, from, to) in view.edges() {
        let _ = write!(out, "  n{from} -> n{to}");
        let mut attributes = Vec::new();
        if let Some(label) = view.label(edge) {
            attributes.push(format!("label={}", quoted(&cut(&one_line(&label), 60))));
        }
        if view.is_dashed(edge) {
            attributes.push("style=dashed".into());
        }
        if view.is_critical(edge) {
            attributes.push("penwidth=2.5, color=\"#4f46e5\"".into());
        } else if view.passage(edge) == Some(Passage::Failed) {
            attributes.push("color=\"#dc2626\"".into());
        } else if view.passage(edge) == Some(Passage::NotTaken) {
            attributes.push("color=\"#cbd5e1\"".into());
        }
        if !attributes.is_empty() {
            let _ = write!(out, " [{}]", attributes.join(", "));
        }
        out.push_str(";\n");
    }
    out.push_str("}\n");
    out
}

fn write_node(out: &mut String, view: &View<'_>, place: u32, node: &NodeSpec) {
    let (shape, rounded) = match node.work {
        Work::Agent => ("box", true),
        Work::Graph => ("box3d", false),
        Work::Function => ("box", false),
        Work::Tool { .. } => ("component", false),
    };
    let lines = view.lines(place, node);
    let mut styles = vec!["filled"];
    if rounded {
        styles.push("rounded");
    }
    let mut attributes = vec![format!("shape={shape}")];
    if let Some(report) = view.report(place) {
        let (fill, edge) = colours(report.status);
        attributes.push(format!("fillcolor=\"{fill}\", color=\"{edge}\""));
        if matches!(report.status, NodeStatus::Skipped | NodeStatus::Cancelled) {
            styles.push("dashed");
        }
        if report.critical {
            attributes.push("penwidth=2.5".into());
        }
        if let Some(cause) = &report.cause {
            attributes.push(format!("tooltip={}", quoted(&one_line(&cause.to_string()))));
        } else if let Some(error) = &report.error {
            attributes.push(format!("tooltip={}", quoted(&one_line(&error.message))));
        }
    }
    attributes.push(format!("style=\"{}\"", styles.join(",")));
    let label: Vec<_> = lines.iter().map(|line| escaped(&cut(&one_line(line), 60))).collect();
    let _ = writeln!(out, "  n{place} [label=\"{}\", {}];", label.join("\\n"), attributes.join(", "));
}

/// Fill and outline.
fn colours(status: NodeStatus) -> (&'static str, &'static str) {
    match status {
        NodeStatus::Pending | NodeStatus::Queued | NodeStatus::Skipped => ("#f1f5f9", "#94a3b8"),
        NodeStatus::Running => ("#dbeafe", "#2563eb"),
        NodeStatus::Completed => ("#dcfce7", "#16a34a"),
        NodeStatus::Failed => ("#fee2e2", "#dc2626"),
        NodeStatus::Cancelled => ("#fef3c7", "#d97706"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// Graphviz reads quotes, backslashes and, in labels, the entities of HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out
}
