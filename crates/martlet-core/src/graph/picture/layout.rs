//! A layered layout, after Sugiyama, Tagawa and Toda (1981): nodes by level, long edges through invisible cells of the
//! levels between, an order in each level with few crossings, places close to the neighbours.
//!
//! It is computed for levels that follow each other downwards and turned for graphs that are better read from left to
//! right. Everything is bounded: a graph whose long edges need more than [`MOST_CELLS`] cells has no layout.
//!
//! Cells and nodes are numbered here and looked up by their numbers, so an index always fits.

mod order;
mod place;
mod route;

use crate::graph::GraphSpec;

use super::levels;
pub(super) use route::pulls;

/// Cells that a layout may need: nodes, and a cell for each level that an edge passes by.
const MOST_CELLS: usize = 6_000;

/// Room between neighbours in a level, and beside an edge that passes by.
const NODE_GAP: f64 = 26.0;
const EDGE_GAP: f64 = 14.0;

/// How large a node is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Where things are drawn. The smallest coordinates are 0.
pub(super) struct Layout {
    pub(super) size: Size,
    /// The middle of each node.
    pub(super) nodes: Vec<Point>,
    /// The way of each edge.
    pub(super) routes: Vec<Route>,
    pub(super) direction: Direction,
}

/// The way of an edge: curves between levels, straight through the levels that it passes by.
#[derive(Debug, Clone, Default)]
pub(super) struct Route {
    /// Where it leaves its node; up to the end of the level it is straight.
    pub(super) start: Point,
    /// Begin and end of each curve.
    pub(super) curves: Vec<(Point, Point)>,
    /// Where it arrives, straight from the beginning of the level.
    pub(super) end: Point,
    /// The middle of its label.
    pub(super) label: Option<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Down,
    Right,
}

/// A node, or the place where an edge passes a level.
pub(super) struct Cell {
    level: usize,
    /// Its extent within the level.
    breadth: f64,
    is_node: bool,
    before: Vec<usize>,
    after: Vec<usize>,
    /// The middle, within the level.
    at: f64,
}

/// The cells of a graph by level. The first cells are the nodes, in their order.
pub(super) struct Layers {
    cells: Vec<Cell>,
    rows: Vec<Vec<usize>>,
    /// The cells along each edge, its nodes included.
    chains: Vec<Vec<usize>>,
}

impl Layout {
    /// Lays a graph out, if its long edges leave it small enough. `labels` are the sizes of the labels of the edges.
    pub(super) fn new(graph: &GraphSpec, sizes: &[Size], labels: &[Option<Size>]) -> Option<Self> {
        let levels = levels::of(graph);
        let direction = direction(&levels, sizes);
        let mut layers = Layers::new(graph, &levels, sizes, direction)?;
        order::sort(&mut layers);
        place::spread(&mut layers);
        Some(route::draw(&layers, sizes, labels, direction))
    }
}

/// The direction in which the picture comes closer to the shape of a screen.
fn direction(levels: &[u32], sizes: &[Size]) -> Direction {
    let rows = levels::rows(levels);
    let widest = rows.iter().map(Vec::len).max().unwrap_or_default() as f64;
    let deep = rows.len() as f64;
    let mean = |extent: fn(&Size) -> f64| sizes.iter().map(extent).sum::<f64>() / (sizes.len().max(1) as f64);
    let (width, height) = (mean(|size| size.width), mean(|size| size.height));
    let distance = |width: f64, height: f64| (width.max(1.0) / height.max(1.0) / 1.5).ln().abs();
    let down = distance(widest * (width + NODE_GAP), deep * (height + 60.0));
    let right = distance(deep * (width + 80.0), widest * (height + NODE_GAP));
    if right + 0.3 < down { Direction::Right } else { Direction::Down }
}

impl Layers {
    fn new(graph: &GraphSpec, levels: &[u32], sizes: &[Size], direction: Direction) -> Option<Self> {
        let mut cells: Vec<Cell> = levels
            .iter()
            .zip(sizes)
            .map(|(level, size)| Cell {
                level: *level as usize,
                breadth: if direction == Direction::Down { size.width } else { size.height },
                is_node: true,
                before: Vec::new(),
                after: Vec::new(),
                at: 0.0,
            })
            .collect();
        let mut chains = Vec::with_capacity(graph.edges.len());
        for edge in 0..u32::try_from(graph.edges.len()).ok()? {
            let (from, to) = graph.ends(edge)?;
            let (from, to) = (from as usize, to as usize);
            let mut chain = vec![from];
            for level in levels[from] + 1..levels[to] {
                if cells.len() >= MOST_CELLS {
                    return None;
                }
                chain.push(cells.len());
                cells.push(Cell {
                    level: level as usize,
                    breadth: 0.0,
                    is_node: false,
                    before: Vec::new(),
                    after: Vec::new(),
                    at: 0.0,
                });
            }
            chain.push(to);
            for (one, next) in chain.iter().zip(chain.iter().skip(1)) {
                cells[*one].after.push(*next);
                cells[*next].before.push(*one);
            }
            chains.push(chain);
        }
        let mut rows = vec![Vec::new(); cells.iter().map(|cell| cell.level + 1).max().unwrap_or_default()];
        for (place, cell) in cells.iter().enumerate() {
            rows[cell.level].push(place);
        }
        Some(Self { cells, rows, chains })
    }

    /// The least distance between the middles of two cells that are neighbours.
    fn distance(&self, one: usize, other: usize) -> f64 {
        let (one, other) = (&self.cells[one], &self.cells[other]);
        let gap = if one.is_node && other.is_node { NODE_GAP } else { EDGE_GAP };
        (one.breadth + other.breadth) / 2.0 + gap
    }
}
