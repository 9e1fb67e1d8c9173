//! What graphs cost: shapes that are run on other libraries too, see `benches/peers`.
//!
//! Prints a line of `key=value` words for each shape, which is measured in a process of its own: the best of three rounds
//! after one that is not counted, and the growth of the largest resident set. Linux only (it reads `/proc`).
//!
//! `cargo bench --profile dev --ignore-rust-version --workspace --bench graph_shapes`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it is run by hand")]

use std::process::Command;
use std::time::{Duration, Instant};

use martlet::{Graph, GraphBuilder, Input, Node};
use serde_json::json;

const ROUNDS: usize = 3;

fn takes(ms: u64) -> Node {
    Node::new(move |_: Input| async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        1
    })
}

fn chains() -> GraphBuilder {
    let mut graph = Graph::new("chains");
    for (chain, times) in [("a", [10, 200, 10, 200]), ("b", [200, 10, 200, 10])] {
        for (place, ms) in times.into_iter().enumerate() {
            graph = graph.node(format!("{chain}{place}"), takes(ms));
            if place > 0 {
                graph = graph.edge(format!("{chain}{}", place - 1), format!("{chain}{place}"));
            }
        }
    }
    graph.node("join", async |_: Input| 1).edge("a3", "join").edge("b3", "join")
}

fn wide(nodes: usize) -> GraphBuilder {
    let mut graph = Graph::new("wide").node("first", async |_: Input| 1);
    for number in 0..nodes {
        graph = graph.node(format!("n{number}"), async |_: Input| 1).edge("first", format!("n{number}"));
    }
    graph = graph.node("last", async |_: Input| 1);
    for number in 0..nodes {
        graph = graph.edge(format!("n{number}"), "last");
    }
    graph
}

fn long(nodes: usize) -> GraphBuilder {
    let mut graph = Graph::new("long");
    for number in 0..nodes {
        graph = graph.node(format!("n{number}"), async |_: Input| 1);
        if number > 0 {
            graph = graph.edge(format!("n{}", number - 1), format!("n{number}"));
        }
    }
    graph
}

/// The largest resident set so far.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

async fn measure(shape: &str, size: usize) {
    let tiny = long(3).build().unwrap();
    tiny.run(json!({})).await.unwrap();
    let before = resident_kb();
    let clock = Instant::now();
    let (graph, nodes) = match shape {
        "chains" => (chains(), 9),
        "wide" => (wide(size), size + 2),
        _ => (long(size), size),
    };
    let graph = graph.build().unwrap();
    let build = clock.elapsed();
    let mut best = Duration::MAX;
    for round in 0..=ROUNDS {
        let clock = Instant::now();
        let result = graph.run(json!({})).await.unwrap();
        assert_eq!(result.completed_nodes, nodes);
        if round > 0 {
            best = best.min(clock.elapsed());
        }
    }
    println!(
        "shape={shape} nodes={size} build_s={} run_s={} memory_kb={}",
        build.as_secs_f64(),
        best.as_secs_f64(),
        resident_kb() - before
    );
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(place) = args.iter().position(|arg| arg == "--case") {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(measure(&args[place + 1], args[place + 2].parse().unwrap()));
        return;
    }
    for (shape, size) in [
        ("chains", 9),
        ("wide", 1_000),
        ("wide", 10_000),
        ("long", 1_000),
        ("long", 10_000),
        ("long", 100_000),
    ] {
        Command::new(std::env::current_exe().unwrap())
            .args(["--case", shape, &size.to_string()])
            .status()
            .unwrap();
    }
}
