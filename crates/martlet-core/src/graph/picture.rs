//! Pictures of graphs: as Mermaid, DOT, SVG and plain text; of the graph alone, or with what an execution made of it.
//!
//! All of them are pure functions. Names, descriptions and expressions are shown as they are, whatever they hold: each
//! format escapes them. Dashed edges are those that need not be taken; after an execution, those that were not.
//!
//! Mermaid, DOT and text take time in proportion to the graph. The SVG is a full drawing up to
//! [`MOST_DRAWN_NODES`] nodes. A larger graph is shown as a map, a small square for each node and no edges; of more
//! than [`MOST_MAPPED_NODES`] nodes the map shows the first. The timeline has at most 40 rows.

mod dot;
mod layout;
mod levels;
mod mermaid;
mod svg;
mod text;
mod view;
mod words;

use super::build::GraphSpec;
use super::result::GraphResult;
use view::View;

/// Graphs of up to so many nodes are drawn with their edges by [`svg`].
pub const MOST_DRAWN_NODES: usize = 400;

/// Of larger graphs [`svg`] shows up to so many nodes.
pub const MOST_MAPPED_NODES: usize = 5_000;

/// The graph as a Mermaid flowchart.
pub fn mermaid(graph: &GraphSpec) -> String {
    mermaid::write(&View::new(graph, None))
}

/// The graph as a Mermaid flowchart, with the states, times and the critical path of an execution.
pub fn mermaid_of(graph: &GraphSpec, result: &GraphResult) -> String {
    mermaid::write(&View::new(graph, Some(result)))
}

/// The graph in Graphviz's DOT language.
pub fn dot(graph: &GraphSpec) -> String {
    dot::write(&View::new(graph, None))
}

/// The graph in Graphviz's DOT language, with the states, times and the critical path of an execution.
pub fn dot_of(graph: &GraphSpec, result: &GraphResult) -> String {
    dot::write(&View::new(graph, Some(result)))
}

/// The graph as a picture of its own: SVG that follows the viewer's light or dark scheme and needs no scripts and no
/// fonts. With a result: the states, times, attempts and the critical path, and a timeline below.
pub fn svg(graph: &GraphSpec, result: Option<&GraphResult>) -> String {
    svg::write(&View::new(graph, result))
}

/// The graph as plain text: its nodes, edges and levels. With a result: the state, time and cause of each node.
pub fn text(graph: &GraphSpec, result: Option<&GraphResult>) -> String {
    text::write(&View::new(graph, result))
}
