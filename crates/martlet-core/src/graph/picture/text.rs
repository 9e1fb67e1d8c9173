//! Graphs as plain text.

use std::fmt::Write as _;

use super::levels;
use super::view::{View, kind};
use super::words::{count, duration, ending, one_line, sign, status};
use crate::graph::{NodeReport, NodeSpec, NodeStatus};

/// Names of a level that are written out; all nodes are in the list above anyway.
const NAMES_OF_A_LEVEL: usize = 50;

pub(super) fn write(view: &View<'_>) -> String {
    let mut out = String::new();
    let graph = view.graph;
    let _ = writeln!(
        out,
        "graph: {} ({}, {})",
        one_line(&graph.name),
        count(graph.nodes.len(), "node"),
        count(graph.edges.len(), "edge")
    );
    if !graph.description.is_empty() {
        let _ = writeln!(out, "{}", one_line(&graph.description));
    }
    if let Some(result) = view.result {
        let _ = writeln!(out, "{} in {}", ending(result.status), duration(result.timing.elapsed_us));
        if !result.critical_path.is_empty() {
            let path: Vec<_> = result.critical_path.iter().map(|name| one_line(name)).collect();
            let _ = writeln!(
                out,
                "critical path: {} ({})",
                path.join(" → "),
                duration((result.critical_path_seconds * 1e6) as u64)
            );
        }
    }
    out.push_str("\nnodes:\n");
    let width = view.nodes().map(|(_, node)| node.name.chars().count()).max().unwrap_or_default().min(40);
    for (place, node) in view.nodes() {
        write_node(&mut out, view, place, node, width);
    }
    if !graph.edges.is_empty() {
        out.push_str("\nedges:\n");
    }
    for ((edge, _, _), spec) in view.edges().zip(&graph.edges) {
        let _ = write!(out, "  {} → {}", one_line(&spec.from), one_line(&spec.to));
        if let Some(label) = view.label(edge) {
            let _ = write!(out, " [conditional: {}]", one_line(&label));
        }
        match view.passage(edge) {
            Some(super::view::Passage::NotTaken) => out.push_str(" (not taken)"),
            Some(super::view::Passage::Failed) => out.push_str(" (failed)"),
            _ => {}
        }
        out.push('\n');
    }
    out.push_str("\nlevels:\n");
    for (level, nodes) in levels::rows(&levels::of(graph)).iter().enumerate() {
        let names: Vec<_> = nodes
            .iter()
            .take(NAMES_OF_A_LEVEL)
            .filter_map(|node| graph.node(*node))
            .map(|node| one_line(&node.name))
            .collect();
        let _ = write!(out, "  {level}: {}", names.join(", "));
        if nodes.len() > NAMES_OF_A_LEVEL {
            let _ = write!(out, " and {} more", nodes.len() - NAMES_OF_A_LEVEL);
        }
        out.push('\n');
    }
    out
}

fn write_node(out: &mut String, view: &View<'_>, place: u32, node: &NodeSpec, width: usize) {
    let report = view.report(place);
    let state = report.map_or(NodeStatus::Pending, |report| report.status);
    let name = one_line(&node.name);
    let _ = write!(out, "  {} {name:<width$}  {}", sign(state), one_line(&kind(node)));
    for mark in view.marks(place, node) {
        let _ = write!(out, ", {}", one_line(&mark));
    }
    if let Some(report) = report {
        write_report(out, report);
    }
    out.push('\n');
}

fn write_report(out: &mut String, report: &NodeReport) {
    let _ = write!(out, "  {}", status(report.status));
    if report.attempts > 0 {
        let _ = write!(out, " in {}", duration(report.timing.elapsed_us));
    }
    if report.attempts > 1 {
        let _ = write!(out, ", {} attempts", report.attempts);
    }
    if report.critical {
        out.push_str(", critical");
    }
    if let Some(error) = &report.error {
        let _ = write!(out, ": {}", one_line(&error.message));
    } else if let Some(cause) = &report.cause {
        let _ = write!(out, ": {}", one_line(&cause.to_string()));
    }
}
