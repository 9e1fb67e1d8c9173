//! The place of each cell within its level: close to its neighbours, in the order that is given; edges that pass
//! several levels run straight where they can.

use super::Layers;

/// Passes down and up, and at the end with both neighbours at once.
const PASSES: usize = 12;
const LAST_PASSES: usize = 8;

#[derive(Clone, Copy, PartialEq)]
enum Toward {
    Before,
    After,
    Both,
}

/// Gives each cell its place.
pub(super) fn spread(layers: &mut Layers) {
    for row in 0..layers.rows.len() {
        pack(layers, row);
    }
    let count = layers.rows.len();
    for pass in 0..PASSES {
        let toward = if pass % 2 == 0 { Toward::Before } else { Toward::After };
        for step in 0..count {
            let row = if toward == Toward::Before { step } else { count - 1 - step };
            settle(layers, row, toward);
        }
    }
    for pass in 0..LAST_PASSES {
        for step in 0..count {
            settle(layers, if pass % 2 == 0 { count - 1 - step } else { step }, Toward::Both);
        }
    }
    straighten(layers);
}

/// Side by side around 0.
fn pack(layers: &mut Layers, row: usize) {
    let cells = layers.rows[row].clone();
    let offsets = offsets(layers, &cells);
    let middle = offsets.last().copied().unwrap_or_default() / 2.0;
    for (cell, offset) in cells.iter().zip(offsets) {
        layers.cells[*cell].at = offset - middle;
    }
}

/// The place of each cell if all were as close as they may.
fn offsets(layers: &Layers, cells: &[usize]) -> Vec<f64> {
    let mut at = 0.0;
    let mut offsets = Vec::with_capacity(cells.len());
    for (position, cell) in cells.iter().enumerate() {
        if position > 0 {
            at += layers.distance(cells[position - 1], *cell);
        }
        offsets.push(at);
    }
    offsets
}

/// Brings the cells of a level as near to where their neighbours want them as their order and distances allow: the
/// weighted least squares, found by pooling adjacent violators.
fn settle(layers: &mut Layers, row: usize, toward: Toward) {
    struct Pool {
        sum: f64,
        weight: f64,
        cells: usize,
    }
    let cells = layers.rows[row].clone();
    let offsets = offsets(layers, &cells);
    let mut pools: Vec<Pool> = Vec::with_capacity(cells.len());
    for (cell, offset) in cells.iter().zip(&offsets) {
        let (wanted, weight) = wanted(layers, *cell, toward);
        let mut pool = Pool { sum: (wanted - offset) * weight, weight, cells: 1 };
        while let Some(last) = pools.pop() {
            if last.sum / last.weight <= pool.sum / pool.weight {
                pools.push(last);
                break;
            }
            pool = Pool {
                sum: last.sum + pool.sum,
                weight: last.weight + pool.weight,
                cells: last.cells + pool.cells,
            };
        }
        pools.push(pool);
    }
    let places = pools.iter().flat_map(|pool| std::iter::repeat_n(pool.sum / pool.weight, pool.cells));
    for ((cell, offset), place) in cells.iter().zip(offsets).zip(places) {
        layers.cells[*cell].at = place + offset;
    }
}

/// Where the neighbours want a cell, and how much. Edges that pass a level are kept straight first.
fn wanted(layers: &Layers, place: usize, toward: Toward) -> (f64, f64) {
    let cell = &layers.cells[place];
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut add = |neighbours: &[usize]| {
        for neighbour in neighbours {
            let neighbour = &layers.cells[*neighbour];
            let pull = match (cell.is_node, neighbour.is_node) {
                (true, true) => 1.0,
                (false, false) => 8.0,
                _ => 2.0,
            };
            sum += neighbour.at * pull;
            weight += pull;
        }
    };
    if toward != Toward::After {
        add(&cell.before);
    }
    if toward != Toward::Before {
        add(&cell.after);
    }
    // Without neighbours on that side a cell stays, unless others push.
    if weight == 0.0 { (cell.at, 0.1) } else { (sum / weight, weight) }
}

/// Passes over all long edges. One that was moved makes room for another.
const STRAIGHTENING_PASSES: usize = 3;

/// Gives edges that pass several levels the same place in as many of them as the cells beside them allow: small bends
/// say nothing and catch the eye.
fn straighten(layers: &mut Layers) {
    let mut position = vec![0; layers.cells.len()];
    for row in &layers.rows {
        for (place, cell) in row.iter().enumerate() {
            position[*cell] = place;
        }
    }
    for _ in 0..STRAIGHTENING_PASSES {
        for edge in 0..layers.chains.len() {
            let chain = std::mem::take(&mut layers.chains[edge]);
            // An edge between two levels has no cells of its own.
            if chain.len() > 3 {
                straighten_chain(layers, &position, &chain[1..chain.len() - 1]);
            }
            layers.chains[edge] = chain;
        }
    }
}

fn straighten_chain(layers: &mut Layers, position: &[usize], cells: &[usize]) {
    let mut rest = cells;
    while !rest.is_empty() {
        let (mut low, mut high, mut sum) = (f64::MIN, f64::MAX, 0.0);
        let mut length = 0;
        for cell in rest {
            let (from, to) = room(layers, position, *cell);
            if from.max(low) > to.min(high) {
                break;
            }
            (low, high) = (low.max(from), high.min(to));
            sum += layers.cells[*cell].at;
            length += 1;
        }
        // The room of one cell is never empty but for rounding.
        let (run, others) = rest.split_at(length.max(1));
        if length > 0 {
            let place = (sum / length as f64).max(low).min(high);
            for cell in run {
                layers.cells[*cell].at = place;
            }
        }
        rest = others;
    }
}

/// From where to where a cell may be moved as its level stands.
fn room(layers: &Layers, position: &[usize], cell: usize) -> (f64, f64) {
    let row = &layers.rows[layers.cells[cell].level];
    let place = position[cell];
    let beside = |other: Option<&usize>, side: f64, open: f64| {
        other.map_or(open, |other| layers.cells[*other].at + side * layers.distance(*other, cell))
    };
    let before = place.checked_sub(1).and_then(|place| row.get(place));
    (beside(before, 1.0, f64::MIN), beside(row.get(place + 1), -1.0, f64::MAX))
}
