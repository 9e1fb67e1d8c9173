//! Colours and signs.

use std::fmt::Write as _;

use crate::graph::picture::words::{self, number};
use crate::graph::{NodeStatus, Work};

/// All states, in the order in which the legend has them.
pub(super) const STATES: [NodeStatus; 7] = [
    NodeStatus::Completed,
    NodeStatus::Failed,
    NodeStatus::Skipped,
    NodeStatus::Cancelled,
    NodeStatus::Running,
    NodeStatus::Queued,
    NodeStatus::Pending,
];

/// The rules for light, then what dark changes.
pub(super) const CSS: &str = "
.martlet-graph text{font:12px ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;fill:#0f172a}
.martlet-graph .back{fill:#fff}
.martlet-graph .name{font-size:18px;font-weight:650}
.martlet-graph .label{font-size:13px;font-weight:600}
.martlet-graph .head{font-size:13px;font-weight:600}
.martlet-graph .small{font-size:11px}
.martlet-graph .muted,.martlet-graph .small{fill:#56647a}
.martlet-graph .end{text-anchor:end}
.martlet-graph .mid{text-anchor:middle}
.martlet-graph .box{fill:#f8fafc;stroke:#cbd5e1;stroke-width:1.2}
.martlet-graph .icon{fill:none;stroke:#56647a;stroke-width:1.3;stroke-linecap:round;stroke-linejoin:round}
.martlet-graph .edge{fill:none;stroke:#8a98ac;stroke-width:1.4}
.martlet-graph .tip{fill:#8a98ac}
.martlet-graph .dashed{stroke-dasharray:5 4}
.martlet-graph .critical{stroke:#4f46e5;stroke-width:3}
.martlet-graph .tip.critical{fill:#4f46e5;stroke:none}
.martlet-graph .nottaken{stroke:#a3b0c2;stroke-dasharray:2 4}
.martlet-graph .tip.nottaken{fill:#a3b0c2;stroke:none}
.martlet-graph .broken{stroke:#dc2626;stroke-dasharray:5 4}
.martlet-graph .tip.broken{fill:#dc2626;stroke:none}
.martlet-graph .pill{fill:#fff;stroke:#cbd5e1}
.martlet-graph .grid{stroke:#e2e8f0}
.martlet-graph .wait{fill:#e2e8f0}
.martlet-graph .mark{fill:none;stroke:#fff;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.martlet-graph .completed{fill:#15803d}
.martlet-graph .failed{fill:#dc2626}
.martlet-graph .skipped,.martlet-graph .pending,.martlet-graph .queued{fill:#7b899d}
.martlet-graph .cancelled{fill:#c2650a}
.martlet-graph .running{fill:#2563eb}
.martlet-graph .box.completed{fill:#f2fbf5;stroke:#86c79d}
.martlet-graph .box.failed{fill:#fef2f2;stroke:#ef8d8d}
.martlet-graph .box.skipped,.martlet-graph .box.cancelled{fill:#fff;stroke:#a8b4c4;stroke-dasharray:5 4}
.martlet-graph .box.running{fill:#eff6ff;stroke:#93b4f5}
.martlet-graph .box.critical{stroke:#4f46e5;stroke-width:2.6}
@media (prefers-color-scheme:dark){
.martlet-graph text{fill:#e8eef7}
.martlet-graph .back{fill:#0f1623}
.martlet-graph .muted,.martlet-graph .small{fill:#9fb0c6}
.martlet-graph .box{fill:#1a2434;stroke:#3d4d66}
.martlet-graph .icon{stroke:#9fb0c6}
.martlet-graph .edge{stroke:#71829b}
.martlet-graph .tip{fill:#71829b}
.martlet-graph .critical{stroke:#a5a8ff}
.martlet-graph .tip.critical{fill:#a5a8ff}
.martlet-graph .nottaken{stroke:#5a6a82}
.martlet-graph .tip.nottaken{fill:#5a6a82}
.martlet-graph .broken{stroke:#f87171}
.martlet-graph .tip.broken{fill:#f87171}
.martlet-graph .pill{fill:#0f1623;stroke:#3d4d66}
.martlet-graph .grid{stroke:#26334a}
.martlet-graph .wait{fill:#2b3950}
.martlet-graph .mark{stroke:#0f1623}
.martlet-graph .completed{fill:#4ade80}
.martlet-graph .failed{fill:#f87171}
.martlet-graph .skipped,.martlet-graph .pending,.martlet-graph .queued{fill:#8494ab}
.martlet-graph .cancelled{fill:#fbbf24}
.martlet-graph .running{fill:#7aa5fa}
.martlet-graph .box.completed{fill:#13261f;stroke:#2f7a4e}
.martlet-graph .box.failed{fill:#2f1a20;stroke:#b14b4b}
.martlet-graph .box.skipped,.martlet-graph .box.cancelled{fill:#0f1623;stroke:#56657d}
.martlet-graph .box.running{fill:#152340;stroke:#4065ad}
.martlet-graph .box.critical{stroke:#a5a8ff}
}
";

/// The sign of a state, drawn as lines: not every font has it.
fn lines(state: NodeStatus) -> &'static str {
    match state {
        NodeStatus::Completed => "M-3 .3l2 2.2 4-4.6",
        NodeStatus::Failed => "M-2.5-2.5l5 5m0-5l-5 5",
        NodeStatus::Skipped => "M-2.6 2.6l5.2-5.2",
        NodeStatus::Cancelled => "M-2.2-2.2h4.4v4.4h-4.4z",
        NodeStatus::Running => "M-1.6-2.8l4 2.8-4 2.8z",
        NodeStatus::Queued | NodeStatus::Pending => "M-1.7-2.6v5.2m3.4-5.2v5.2",
    }
}

/// The sign of a state in a circle.
pub(super) fn sign(out: &mut String, state: NodeStatus, x: f64, y: f64) {
    let _ = write!(
        out,
        "<g transform=\"translate({} {})\"><circle class=\"{}\" r=\"7\"/><path class=\"mark\" d=\"{}\"/></g>",
        number(x),
        number(y),
        words::status(state),
        lines(state)
    );
}

/// The sign of a state alone, for squares that are too small for a circle.
pub(super) fn bare_sign(out: &mut String, state: NodeStatus, x: f64, y: f64) {
    let _ = write!(
        out,
        "<path class=\"mark\" transform=\"translate({} {})\" d=\"{}\"/>",
        number(x),
        number(y),
        lines(state)
    );
}

/// A small picture of who does the work, 12 by 12.
pub(super) fn icon(out: &mut String, work: &Work, x: f64, y: f64) {
    let lines = match work {
        // A head and shoulders.
        Work::Agent => {
            "M6 1.2a2.4 2.4 0 1 1 0 4.8 2.4 2.4 0 0 1 0-4.8M1.5 11c0-2.4 2-3.6 4.5-3.6s4.5 1.2 4.5 3.6"
        }
        // Braces.
        Work::Function => {
            "M4.5 1.2c-1.8 0-1.6 1-1.6 2.4S2.3 6 1.3 6c1 0 1.6 1 1.6 2.4s-.2 2.4 1.6 2.4M7.5 1.2c1.8 0 \
             1.6 1 1.6 2.4S9.7 6 10.7 6c-1 0-1.6 1-1.6 2.4s.2 2.4-1.6 2.4"
        }
        // A nut.
        Work::Tool { .. } => {
            "M6 .8l4.5 2.6v5.2L6 11.2 1.5 8.6V3.4zM6 4.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6"
        }
        // Three nodes.
        Work::Graph => "M4.4 1h3.2v3.2H4.4zM.8 7.8H4V11H.8zM8 7.8h3.2V11H8zM6 4.2v1.8M2.4 7.8V6h7.2v1.8",
    };
    let _ = write!(
        out,
        "<path class=\"icon\" transform=\"translate({} {})\" d=\"{lines}\"/>",
        number(x),
        number(y)
    );
}
