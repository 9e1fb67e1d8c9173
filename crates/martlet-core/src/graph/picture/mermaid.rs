//! Graphs as Mermaid flowcharts.

use std::fmt::Write as _;

use super::view::{Passage, View};
use super::words::{cut, one_line, status};
use crate::graph::{NodeSpec, NodeStatus, Work};

pub(super) fn write(view: &View<'_>) -> String {
    let mut out = String::from("flowchart TD\n");
    for (place, node) in view.nodes() {
        write_node(&mut out, view, place, node);
    }
    let mut styles = String::new();
    for (edge, from, to) in view.edges() {
        let arrow = match (view.is_critical(edge), view.is_dashed(edge)) {
            (true, _) => "==>",
            (false, true) => "-.->",
            (false, false) => "-->",
        };
        match view.label(edge) {
            Some(label) => {
                let _ =
                    writeln!(out, "  n{from} {arrow}|\"{}\"| n{to}", escaped(&cut(&one_line(&label), 60)));
            }
            None => {
                let _ = writeln!(out, "  n{from} {arrow} n{to}");
            }
        }
        let style = match view.passage(edge) {
            _ if view.is_critical(edge) => "stroke:#4f46e5,stroke-width:3px",
            Some(Passage::Failed) => "stroke:#dc2626",
            Some(Passage::NotTaken) => "stroke:#94a3b8,opacity:0.6",
            _ => continue,
        };
        let _ = writeln!(styles, "  linkStyle {edge} {style}");
    }
    if view.result.is_some() {
        out.push_str(&styles);
        write_classes(&mut out, view);
    }
    out
}

fn write_node(out: &mut String, view: &View<'_>, place: u32, node: &NodeSpec) {
    let (open, close) = match node.work {
        Work::Agent => ("([", "])"),
        Work::Graph => ("[[", "]]"),
        Work::Function => ("[", "]"),
        Work::Tool { .. } => ("{{", "}}"),
    };
    let lines = view.lines(place, node);
    let label: Vec<_> = lines.iter().map(|line| escaped(&cut(&one_line(line), 60))).collect();
    let _ = writeln!(out, "  n{place}{open}\"{}\"{close}", label.join("<br/>"));
}

fn write_classes(out: &mut String, view: &View<'_>) {
    const CLASSES: [(NodeStatus, &str); 7] = [
        (NodeStatus::Pending, "fill:#f1f5f9,stroke:#94a3b8,color:#334155"),
        (NodeStatus::Queued, "fill:#f1f5f9,stroke:#94a3b8,color:#334155"),
        (NodeStatus::Running, "fill:#dbeafe,stroke:#2563eb,color:#1e3a8a"),
        (NodeStatus::Completed, "fill:#dcfce7,stroke:#16a34a,color:#14532d"),
        (NodeStatus::Failed, "fill:#fee2e2,stroke:#dc2626,color:#7f1d1d"),
        (NodeStatus::Skipped, "fill:#f1f5f9,stroke:#94a3b8,color:#475569,stroke-dasharray:4 3"),
        (NodeStatus::Cancelled, "fill:#fef3c7,stroke:#d97706,color:#78350f,stroke-dasharray:4 3"),
    ];
    let listed = |keep: &dyn Fn(u32) -> bool| -> String {
        let places: Vec<_> =
            view.nodes().filter(|(place, _)| keep(*place)).map(|(place, _)| format!("n{place}")).collect();
        places.join(",")
    };
    for (state, style) in CLASSES {
        let nodes = listed(&|place| view.report(place).is_some_and(|report| report.status == state));
        if !nodes.is_empty() {
            let name = status(state);
            let _ = writeln!(out, "  classDef {name} {style}\n  class {nodes} {name}");
        }
    }
    let critical = listed(&|place| view.report(place).is_some_and(|report| report.critical));
    if !critical.is_empty() {
        let _ = writeln!(out, "  classDef critical stroke-width:3px\n  class {critical} critical");
    }
}

/// Mermaid reads quotes, HTML, Markdown and its own entities in a label: whatever could be one of them becomes an
/// entity. Lists are read from the beginning of a line, so its sign or the dot of its number is one too.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut number = true;
    let bytes = text.as_bytes();
    let in_word = |place: Option<usize>| {
        place
            .and_then(|place| bytes.get(place))
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    for (place, c) in text.char_indices() {
        let in_list =
            (place == 0 && matches!(c, '-' | '+')) || (number && place > 0 && matches!(c, '.' | ')'));
        number &= c.is_ascii_digit();
        match c {
            '_' if in_word(place.checked_sub(1)) && in_word(place.checked_add(1)) => out.push('_'),
            '"' | '#' | '&' | '<' | '>' | ';' | '`' | '*' | '_' | '\\' | '~' | '[' | ']' | '{' | '}'
            | '|' | '$' | '%' | '@' | '!' | '^' | '=' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if in_list => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
