//! From levels and places to coordinates: nodes, the ways of edges, labels.

use super::{Direction, Layers, Layout, Point, Route, Size};

/// The least room between two levels.
const LEVEL_GAP: f64 = 52.0;
/// The most, however far apart the ends of edges are.
const MOST_LEVEL_GAP: f64 = 150.0;
/// Room between a label and the levels beside it.
const LABEL_MARGIN: f64 = 26.0;

/// A level: where it begins and ends in the direction of the levels.
#[derive(Clone, Copy)]
struct Band {
    begin: f64,
    end: f64,
}

struct Drawer<'a> {
    layers: &'a Layers,
    sizes: &'a [Size],
    direction: Direction,
    bands: Vec<Band>,
}

pub(super) fn draw(layers: &Layers, sizes: &[Size], labels: &[Option<Size>], direction: Direction) -> Layout {
    let mut drawer = Drawer { layers, sizes, direction, bands: Vec::new() };
    drawer.bands = drawer.find_bands(labels);
    let mut layout = Layout {
        size: Size::default(),
        nodes: (0..sizes.len()).map(|node| drawer.middle(node)).collect(),
        routes: drawer.routes(),
        direction,
    };
    drawer.put_labels(&mut layout.routes, labels);
    shift_to_zero(&mut layout, sizes, labels);
    layout
}

impl Drawer<'_> {
    fn point(&self, along: f64, across: f64) -> Point {
        match self.direction {
            Direction::Down => Point { x: across, y: along },
            Direction::Right => Point { x: along, y: across },
        }
    }

    fn depth(&self, size: Size) -> f64 {
        if self.direction == Direction::Down { size.height } else { size.width }
    }

    /// Levels are as deep as their deepest node; between them there is more room where edges go far or have labels.
    fn find_bands(&self, labels: &[Option<Size>]) -> Vec<Band> {
        let mut depths = vec![0.0_f64; self.layers.rows.len()];
        let mut gaps = vec![LEVEL_GAP; self.layers.rows.len()];
        for (cell, size) in self.layers.cells.iter().zip(self.sizes) {
            depths[cell.level] = depths[cell.level].max(self.depth(*size));
        }
        for cell in &self.layers.cells {
            for after in &cell.after {
                let reach = (self.layers.cells[*after].at - cell.at).abs();
                gaps[cell.level] = gaps[cell.level].max(LEVEL_GAP + reach * 0.08).min(MOST_LEVEL_GAP);
            }
        }
        for (node, label) in self.label_rows(labels) {
            let level = self.layers.cells[node].level;
            gaps[level] = gaps[level].max(label + 2.0 * LABEL_MARGIN);
        }
        let mut begin = 0.0;
        let mut bands = Vec::with_capacity(depths.len());
        for (depth, gap) in depths.iter().zip(gaps) {
            bands.push(Band { begin, end: begin + depth });
            begin += depth + gap;
        }
        bands
    }

    /// For each node with labelled edges the room that the labels need: two rows, if there are several beside each
    /// other.
    fn label_rows(&self, labels: &[Option<Size>]) -> Vec<(usize, f64)> {
        let mut rooms: Vec<(usize, f64)> = Vec::new();
        let mut count = vec![0_u32; self.sizes.len()];
        for (chain, label) in self.layers.chains.iter().zip(labels) {
            if let (Some(from), Some(label)) = (chain.first(), label) {
                count[*from] += 1;
                let rows = if self.direction == Direction::Down && count[*from] > 1 { 2.0 } else { 1.0 };
                rooms.push((*from, self.depth(*label) * rows + (rows - 1.0) * 8.0));
            }
        }
        rooms
    }

    fn middle(&self, node: usize) -> Point {
        let cell = &self.layers.cells[node];
        let band = self.bands[cell.level];
        self.point((band.begin + band.end) / 2.0, cell.at)
    }

    fn routes(&self) -> Vec<Route> {
        let leave = self.ports(|chain| (chain.first().copied(), chain.get(1).copied()));
        let arrive = self.ports(|chain| {
            (chain.last().copied(), chain.len().checked_sub(2).and_then(|place| chain.get(place).copied()))
        });
        let mut routes = Vec::with_capacity(self.layers.chains.len());
        for ((chain, leave), arrive) in self.layers.chains.iter().zip(leave).zip(arrive) {
            let last = chain.len() - 1;
            let mut route = Route {
                start: self.edge_of_node(chain[0], leave, 0.5),
                end: self.edge_of_node(chain[last], arrive, -0.5),
                ..Route::default()
            };
            for place in 0..last {
                let (one, next) = (&self.layers.cells[chain[place]], &self.layers.cells[chain[place + 1]]);
                let begin = one.at + if place == 0 { leave } else { 0.0 };
                let end = next.at + if place + 1 == last { arrive } else { 0.0 };
                route.curves.push((
                    self.point(self.bands[one.level].end, begin),
                    self.point(self.bands[next.level].begin, end),
                ));
            }
            routes.push(route);
        }
        routes
    }

    /// A point on the side of a node that looks to the level before (-0.5) or after (0.5).
    fn edge_of_node(&self, node: usize, offset: f64, side: f64) -> Point {
        let cell = &self.layers.cells[node];
        let band = self.bands[cell.level];
        let along = (band.begin + band.end) / 2.0 + side * self.depth(self.sizes[node]);
        self.point(along, cell.at + offset)
    }

    /// For each edge how far from the middle of its node it is attached: edges of one side are spread in the order of
    /// their other ends, so that they do not cross at once.
    fn ports(&self, ends: impl Fn(&[usize]) -> (Option<usize>, Option<usize>)) -> Vec<f64> {
        let chains = &self.layers.chains;
        let mut by_node: Vec<Vec<(f64, usize)>> = vec![Vec::new(); self.sizes.len()];
        for (edge, chain) in chains.iter().enumerate() {
            if let (Some(node), Some(neighbour)) = ends(chain) {
                by_node[node].push((self.layers.cells[neighbour].at, edge));
            }
        }
        let mut offsets = vec![0.0; chains.len()];
        for (node, mut edges) in by_node.into_iter().enumerate() {
            edges.sort_by(|one, other| one.0.total_cmp(&other.0));
            let room = (self.layers.cells[node].breadth - 24.0).max(4.0);
            let most = if self.direction == Direction::Down { 18.0 } else { 10.0 };
            let step = (room / (edges.len().saturating_sub(1).max(1) as f64)).min(most);
            let middle = (edges.len().saturating_sub(1) as f64) / 2.0;
            for (place, (_, edge)) in edges.iter().enumerate() {
                offsets[*edge] = (place as f64 - middle) * step;
            }
        }
        offsets
    }

    /// Labels lie on the first curve of their edge, where there is room beside the labels of the same level.
    fn put_labels(&self, routes: &mut [Route], labels: &[Option<Size>]) {
        let mut put: Vec<Vec<(Point, Size)>> = vec![Vec::new(); self.bands.len()];
        for ((route, label), chain) in routes.iter_mut().zip(labels).zip(&self.layers.chains) {
            let (Some(label), Some((begin, end)), Some(from)) = (label, route.curves.first(), chain.first())
            else {
                continue;
            };
            let level = self.layers.cells[*from].level;
            let neighbours = &mut put[level];
            let place_at = |t: f64| self.within_gap(level, on_curve(*begin, *end, t, self.direction), *label);
            let covered = |place: Point| -> f64 {
                neighbours.iter().map(|(other, size)| overlap(place, *label, *other, *size)).sum()
            };
            let (_, place) = [0.5, 0.62, 0.38, 0.72, 0.28, 0.82, 0.18, 0.92, 0.08]
                .map(place_at)
                .map(|place| (covered(place), place))
                .into_iter()
                .min_by(|one, other| one.0.total_cmp(&other.0))
                .unwrap_or((0.0, place_at(0.5)));
            neighbours.push((place, *label));
            route.label = Some(place);
        }
    }

    /// Keeps a label clear of the nodes on both sides.
    fn within_gap(&self, level: usize, place: Point, label: Size) -> Point {
        let half = self.depth(label) / 2.0 + 4.0;
        let begin = self.bands[level].end + half;
        let end = self.bands.get(level + 1).map_or(f64::MAX, |band| band.begin) - half;
        let clamp = |along: f64| along.min(end).max(begin);
        match self.direction {
            Direction::Down => Point { y: clamp(place.y), ..place },
            Direction::Right => Point { x: clamp(place.x), ..place },
        }
    }
}

/// The area that two labels share, some air around them included.
fn overlap(one: Point, one_size: Size, other: Point, other_size: Size) -> f64 {
    let shared = |distance: f64, extents: f64| (extents / 2.0 + 3.0 - distance.abs()).max(0.0);
    shared(one.x - other.x, one_size.width + other_size.width)
        * shared(one.y - other.y, one_size.height + other_size.height)
}

/// The points that pull a curve between two levels: it leaves and arrives in the direction of the levels.
pub(in crate::graph::picture) fn pulls(begin: Point, end: Point, direction: Direction) -> (Point, Point) {
    match direction {
        Direction::Down => {
            let pull = (end.y - begin.y) * 0.5;
            (Point { y: begin.y + pull, ..begin }, Point { y: end.y - pull, ..end })
        }
        Direction::Right => {
            let pull = (end.x - begin.x) * 0.5;
            (Point { x: begin.x + pull, ..begin }, Point { x: end.x - pull, ..end })
        }
    }
}

fn on_curve(begin: Point, end: Point, t: f64, direction: Direction) -> Point {
    let (one, two) = pulls(begin, end, direction);
    let s = 1.0 - t;
    let at = |a: f64, b: f64, c: f64, d: f64| {
        s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d
    };
    Point { x: at(begin.x, one.x, two.x, end.x), y: at(begin.y, one.y, two.y, end.y) }
}

/// Moves everything so that the smallest coordinates are 0, and finds the size.
fn shift_to_zero(layout: &mut Layout, sizes: &[Size], labels: &[Option<Size>]) {
    let (mut low, mut high) = (Point { x: f64::MAX, y: f64::MAX }, Point { x: f64::MIN, y: f64::MIN });
    let mut include = |middle: Point, size: Size| {
        low.x = low.x.min(middle.x - size.width / 2.0);
        low.y = low.y.min(middle.y - size.height / 2.0);
        high.x = high.x.max(middle.x + size.width / 2.0);
        high.y = high.y.max(middle.y + size.height / 2.0);
    };
    for (middle, size) in layout.nodes.iter().zip(sizes) {
        include(*middle, *size);
    }
    for (route, label) in layout.routes.iter().zip(labels) {
        for (begin, end) in &route.curves {
            include(*begin, Size::default());
            include(*end, Size::default());
        }
        if let (Some(place), Some(label)) = (route.label, label) {
            include(place, *label);
        }
    }
    if layout.nodes.is_empty() {
        return;
    }
    layout.size = Size { width: high.x - low.x, height: high.y - low.y };
    let shift = |point: &mut Point| {
        point.x -= low.x;
        point.y -= low.y;
    };
    layout.nodes.iter_mut().for_each(shift);
    for route in &mut layout.routes {
        for (begin, end) in &mut route.curves {
            shift(begin);
            shift(end);
        }
        shift(&mut route.start);
        shift(&mut route.end);
        route.label.iter_mut().for_each(shift);
    }
}
