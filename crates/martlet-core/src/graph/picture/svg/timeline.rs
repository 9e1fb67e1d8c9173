//! When each node ran: a bar for each on an axis of time.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::Write as _;

use super::Block;
use super::xml::{fitted, text, title, width};
use crate::graph::NodeReport;
use crate::graph::picture::layout::Size;
use crate::graph::picture::view::View;
use crate::graph::picture::words::{count, duration, number, status};

const MOST_ROWS: usize = 40;
const ROW: f64 = 20.0;
const BAR: f64 = 11.0;
const MOST_NAME: f64 = 150.0;
/// Room for the time behind the longest bar.
const TIME: f64 = 74.0;
const HEAD: f64 = 44.0;

/// The axis of time: microseconds from the start of the run to coordinates.
struct Axis {
    left: f64,
    width: f64,
    total_us: u64,
}

impl Axis {
    fn at(&self, us: u64) -> f64 {
        self.left + self.width * (us.min(self.total_us) as f64 / self.total_us as f64)
    }

    /// A round distance between marks that gives about as many as there is room for.
    fn step(&self) -> u64 {
        let least = (self.total_us as f64 / (self.width / 90.0).max(1.0)).max(1.0) as u64;
        let mut unit = 1_u64;
        loop {
            for factor in [1, 2, 5] {
                match unit.checked_mul(factor) {
                    Some(step) if step < least => {}
                    Some(step) => return step,
                    None => return u64::MAX,
                }
            }
            unit = unit.saturating_mul(10);
        }
    }
}

/// The timeline of an execution; `None` if there was none, or nothing took time.
pub(super) fn draw(view: &View<'_>, full: f64) -> Option<Block> {
    let result = view.result?;
    let ran: Vec<&NodeReport> = result.nodes.iter().filter(|report| report.attempts > 0).collect();
    let start_ms = ran
        .iter()
        .map(|report| report.timing.started_ms)
        .chain([result.timing.started_ms])
        .filter(|ms| *ms > 0)
        .min()?;
    let begin = |report: &NodeReport| report.timing.started_ms.saturating_sub(start_ms).saturating_mul(1_000);
    let end = |report: &NodeReport| begin(report).saturating_add(report.timing.elapsed_us);
    let total_us = ran.iter().map(|report| end(report)).max()?;
    if total_us == 0 {
        return None;
    }
    let rows = choose(&ran);
    let names = rows.iter().map(|report| width(&report.name, 11.0)).fold(60.0, f64::max).min(MOST_NAME);
    let left = names + 34.0;
    let axis = Axis { left, width: full - left - TIME, total_us };
    let height = HEAD + ROW * rows.len() as f64;

    let mut out = String::new();
    text(&mut out, "head", 0.0, 12.0, "timeline");
    if rows.len() < ran.len() {
        let note = format!(
            "{} of {}: the critical path first, then those that took longest",
            rows.len(),
            count(ran.len(), "node")
        );
        text(&mut out, "small", 66.0, 12.0, &note);
    }
    let step = axis.step();
    let mut at = 0_u64;
    while at <= total_us {
        let x = number(axis.at(at));
        let _ = write!(out, "<path class=\"grid\" d=\"M{x} {HEAD}V{}\"/>", number(height));
        text(&mut out, "small mid", axis.at(at), HEAD - 8.0, &tick(at));
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    out.push('\n');
    for (row, report) in rows.iter().enumerate() {
        let top = HEAD + ROW * row as f64;
        draw_row(&mut out, &axis, report, top, begin(report), end(report));
    }
    Some(Block { size: Size { width: full, height }, body: out })
}

/// A round time on the axis: `1 s` and not `1.00 s`.
fn tick(us: u64) -> String {
    let tenth = us.is_multiple_of(100_000);
    if (1_000_000..60_000_000).contains(&us) && tenth {
        format!("{} s", number(us as f64 / 1e6))
    } else {
        duration(us)
    }
}

/// The nodes to show, in the order in which they started.
fn choose<'a>(ran: &[&'a NodeReport]) -> Vec<&'a NodeReport> {
    let mut places: Vec<usize> = (0..ran.len()).collect();
    if ran.len() > MOST_ROWS {
        places.sort_by_key(|place| (!ran[*place].critical, Reverse(ran[*place].timing.elapsed_us)));
        places.truncate(MOST_ROWS);
    }
    let shown: HashSet<usize> = places.into_iter().collect();
    let mut rows: Vec<&NodeReport> = ran
        .iter()
        .enumerate()
        .filter(|(place, _)| shown.contains(place))
        .map(|(_, report)| *report)
        .collect();
    rows.sort_by_key(|report| report.timing.started_ms);
    rows
}

fn draw_row(out: &mut String, axis: &Axis, report: &NodeReport, top: f64, begin: u64, end: u64) {
    let middle = top + ROW / 2.0;
    let time = duration(report.timing.elapsed_us);
    let _ = write!(out, "<g>{}", title(&format!("{}: {} in {time}", report.name, status(report.status))));
    super::style::sign(out, report.status, 7.0, middle);
    text(out, "small", 20.0, middle + 4.0, &fitted(&report.name, 11.0, axis.left - 34.0));
    let waited = begin.saturating_sub(report.waited_ms.saturating_mul(1_000));
    if waited < begin {
        rect(out, "wait", axis.at(waited), middle - 2.0, axis.at(begin) - axis.at(waited), 4.0);
    }
    let (from, to) = (axis.at(begin), axis.at(end));
    // A bar has to be seen, however short it is.
    let width = (to - from).max(2.0);
    rect(out, status(report.status), from, middle - BAR / 2.0, width, BAR);
    if report.critical {
        let _ = write!(
            out,
            "<path class=\"edge critical\" d=\"M{} {}h{}\"/>",
            number(from),
            number(middle + BAR / 2.0 + 1.5),
            number(width)
        );
    }
    text(out, "small", from + width + 6.0, middle + 4.0, &time);
    out.push_str("</g>\n");
}

fn rect(out: &mut String, class: &str, x: f64, y: f64, width: f64, height: f64) {
    let _ = write!(
        out,
        "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\"/>",
        number(x),
        number(y),
        number(width),
        number(height)
    );
}
