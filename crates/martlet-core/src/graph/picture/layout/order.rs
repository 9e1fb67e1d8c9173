//! The order of the cells in each level: few crossings.

use super::Layers;

/// Passes down and up. More do not find better orders for graphs of this size.
const PASSES: usize = 24;

/// Passes over the whole graph in which neighbours change places. They look at pairs of edges, so larger graphs go
/// without.
const SWAP_PASSES: usize = 8;
const MOST_CELLS_TO_SWAP: usize = 2_000;

/// Sorts each level by the middle of its neighbours in the level before or after, in turns, and keeps the best order.
pub(super) fn sort(layers: &mut Layers) {
    begin_along_edges(layers);
    let mut positions = vec![0_usize; layers.cells.len()];
    let mut best = layers.rows.clone();
    let mut fewest = crossings(layers, &mut positions);
    for pass in 0..PASSES {
        if fewest == 0 {
            break;
        }
        let down = pass % 2 == 0;
        let count = layers.rows.len();
        for step in 1..count {
            let row = if down { step } else { count - 1 - step };
            sort_row(layers, row, down, &mut positions);
        }
        let crossings = crossings(layers, &mut positions);
        if crossings < fewest {
            fewest = crossings;
            best.clone_from(&layers.rows);
        }
    }
    layers.rows = best;
    if layers.cells.len() <= MOST_CELLS_TO_SWAP {
        swap_neighbours(layers, &mut positions);
    }
}

/// The first order: cells as they are met along the edges, so that what belongs together begins together.
fn begin_along_edges(layers: &mut Layers) {
    let mut seen = vec![false; layers.cells.len()];
    let mut rows = vec![Vec::new(); layers.rows.len()];
    let roots: Vec<usize> = layers.rows.iter().flatten().copied().collect();
    let mut open = Vec::new();
    for root in roots {
        open.push(root);
        while let Some(cell) = open.pop() {
            if std::mem::replace(&mut seen[cell], true) {
                continue;
            }
            rows[layers.cells[cell].level].push(cell);
            open.extend(layers.cells[cell].after.iter().rev());
        }
    }
    layers.rows = rows;
}

fn sort_row(layers: &mut Layers, row: usize, by_before: bool, positions: &mut [usize]) {
    let other = if by_before { row - 1 } else { row + 1 };
    for (position, cell) in layers.rows[other].iter().enumerate() {
        positions[*cell] = position;
    }
    let mut keyed: Vec<(f64, usize)> = layers.rows[row]
        .iter()
        .enumerate()
        .map(|(position, place)| {
            let cell = &layers.cells[*place];
            let neighbours = if by_before { &cell.before } else { &cell.after };
            let sum: usize = neighbours.iter().map(|neighbour| positions[*neighbour]).sum();
            // A cell without neighbours keeps its place.
            let key =
                if neighbours.is_empty() { position as f64 } else { sum as f64 / neighbours.len() as f64 };
            (key, *place)
        })
        .collect();
    keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
    layers.rows[row] = keyed.into_iter().map(|(_, place)| place).collect();
}

/// How often edges cross, over all levels.
fn crossings(layers: &Layers, positions: &mut [usize]) -> usize {
    for row in &layers.rows {
        for (position, cell) in row.iter().enumerate() {
            positions[*cell] = position;
        }
    }
    layers
        .rows
        .iter()
        .zip(layers.rows.iter().skip(1))
        .map(|(row, next)| between(layers, row, next.len(), positions))
        .sum()
}

/// The crossings between two levels, counted with a tree of sums (Barth, Mutzel, Jünger 2004).
fn between(layers: &Layers, row: &[usize], next: usize, positions: &[usize]) -> usize {
    let mut sums = vec![0_usize; next + 1];
    let (mut total, mut seen) = (0, 0);
    for cell in row {
        let mut ends: Vec<usize> = layers.cells[*cell].after.iter().map(|after| positions[*after]).collect();
        ends.sort_unstable();
        for end in &ends {
            let mut before = 0;
            let mut at = end + 1;
            while at > 0 {
                before += sums[at];
                at &= at - 1;
            }
            total += seen - before;
        }
        // Edges of one cell do not cross each other.
        for end in ends {
            seen += 1;
            let mut at = end + 1;
            while at <= next {
                sums[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
    }
    total
}

/// Lets neighbours change places where that means fewer crossings.
fn swap_neighbours(layers: &mut Layers, positions: &mut [usize]) {
    crossings(layers, positions);
    for _ in 0..SWAP_PASSES {
        let mut better = false;
        for row in 0..layers.rows.len() {
            for position in 1..layers.rows[row].len() {
                let (left, right) = (layers.rows[row][position - 1], layers.rows[row][position]);
                if crossings_of_pair(layers, positions, right, left)
                    < crossings_of_pair(layers, positions, left, right)
                {
                    layers.rows[row].swap(position - 1, position);
                    positions[right] = position - 1;
                    positions[left] = position;
                    better = true;
                }
            }
        }
        if !better {
            break;
        }
    }
}

fn crossings_of_pair(layers: &Layers, positions: &[usize], left: usize, right: usize) -> usize {
    let (left, right) = (&layers.cells[left], &layers.cells[right]);
    let count = |left: &[usize], right: &[usize]| -> usize {
        left.iter().map(|one| right.iter().filter(|other| positions[**other] < positions[*one]).count()).sum()
    };
    count(&left.before, &right.before) + count(&left.after, &right.after)
}
