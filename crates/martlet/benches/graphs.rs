//! What graphs cost: time beside the critical path, and the overhead of a node.
//!
//! Each case is a process of its own, so that its memory is its own. Linux only (it reads `/proc`).
//!
//! `cargo bench --profile dev --ignore-rust-version --workspace --bench graphs [-- CASE …]`, where CASE is `chains`,
//! `overhead` or `large`; all of them by default. `measure SHAPE NODES` prints the figures of one graph as `key=value` words,
//! for `benches/peers`.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "it is run by hand")]

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use martlet::{Graph, GraphBuilder, Input, Node};
use serde_json::json;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["measure", shape, nodes] => measure(shape, nodes.parse().unwrap()),
        [] => ["chains", "overhead", "large"].into_iter().for_each(case),
        cases => cases.iter().copied().for_each(case),
    }
}

fn case(name: &str) {
    match name {
        "chains" => chains(),
        "overhead" => {
            println!("overhead of a node that does nothing, 10,000 nodes, best of 5 (target 20 µs)");
            ["wide", "long", "grid"].into_iter().for_each(|shape| show(shape, 10_000));
        }
        "large" => {
            println!("100,000 nodes, best of 5");
            ["wide", "long", "grid"].into_iter().for_each(|shape| show(shape, 100_000));
        }
        other => panic!("no case {other}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

// --- time ----------------------------------------------------------------------------------------------

/// Two chains of unequal nodes, joined: with barriers between levels they would take 800 ms and more.
fn build_chains() -> GraphBuilder {
    let takes = |ms: u64| {
        Node::new(move |_: Input| async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            ms
        })
    };
    let mut builder = Graph::new("chains");
    for (chain, times) in [("a", [10, 200, 10, 200]), ("b", [200, 10, 200, 10])] {
        for (place, ms) in times.into_iter().enumerate() {
            builder = builder.node(format!("{chain}{place}"), takes(ms));
            if place > 0 {
                builder = builder.edge(format!("{chain}{}", place - 1), format!("{chain}{place}"));
            }
        }
        builder = builder.edge(format!("{chain}3"), "end");
    }
    builder.node("end", async |_: Input| ())
}

fn chains() {
    let graph = build_chains().build().unwrap();
    let runtime = runtime();
    let walls: Vec<f64> = (0..5)
        .map(|_| {
            let clock = Instant::now();
            runtime.block_on(graph.run(json!({})).into_future()).unwrap();
            clock.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    let best = walls.iter().copied().fold(f64::INFINITY, f64::min);
    let worst = walls.iter().copied().fold(0.0, f64::max);
    println!(
        "two chains, 10 200 10 200 ms beside 200 10 200 10 ms: {best:.1} to {worst:.1} ms, {:.3} to {:.3} of the \
         critical path of 420 ms (target 1.05)",
        best / 420.0,
        worst / 420.0
    );
}

// --- overhead ------------------------------------------------------------------------------------------

fn build(shape: &str, nodes: usize) -> GraphBuilder {
    let idle = async |_: Input| ();
    let name = |number: usize| format!("n{number}");
    let mut graph = Graph::new(shape);
    match shape {
        "chains" => return build_chains(),
        // One node, then as many as are asked for, then one that waits for them all.
        "wide" => {
            graph = graph.node("first", idle).node("last", idle);
            for number in 0..nodes {
                graph = graph.node(name(number), idle).edge("first", name(number)).edge(name(number), "last");
            }
        }
        "long" => {
            graph = graph.node(name(0), idle);
            for number in 1..nodes {
                graph = graph.node(name(number), idle).edge(name(number - 1), name(number));
            }
        }
        // Ten rows, each node after three of the row above.
        "grid" => {
            let width = nodes / 10;
            for number in 0..nodes {
                graph = graph.node(name(number), idle);
                for beside in [0, 1, width - 1] {
                    if let Some(above) = (number / width).checked_sub(1) {
                        let above = above * width + (number + beside) % width;
                        graph = graph.edge(name(above), name(number));
                    }
                }
            }
        }
        other => panic!("no shape {other}"),
    }
    graph
}

/// Measures one graph and prints the figures.
fn measure(shape: &str, nodes: usize) {
    let runtime = runtime();
    let empty = status_kb("VmRSS:");
    let clock = Instant::now();
    let graph = build(shape, nodes).build().unwrap();
    let built = clock.elapsed();
    let graph_kb = status_kb("VmRSS:").saturating_sub(empty);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let clock = Instant::now();
        let result = runtime.block_on(graph.run(json!({})).into_future()).unwrap();
        best = best.min(clock.elapsed());
        assert_eq!(result.completed_nodes, result.total_nodes);
    }
    println!(
        "shape={shape} nodes={nodes} build_s={:.6} run_s={:.6} memory_kb={} graph_kb={graph_kb}",
        built.as_secs_f64(),
        best.as_secs_f64(),
        status_kb("VmHWM:").saturating_sub(empty),
    );
}

/// The figures of one graph, measured in a process of its own.
fn measured(shape: &str, nodes: usize) -> HashMap<String, f64> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["measure", shape, &nodes.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{shape} failed");
    let line = String::from_utf8(output.stdout).unwrap();
    line.split_whitespace()
        .filter_map(|field| field.split_once('='))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "figures are rounded anyway")]
fn show(shape: &str, nodes: usize) {
    let figures = measured(shape, nodes);
    let per_node = |figure: f64| figure / nodes as f64;
    println!(
        "  {shape:<5} {nodes:>7} nodes: build {:>7.1} ms, run {:>8.1} ms = {:>5.2} µs a node, memory {:>5.0} bytes a node of \
         the graph and at most {:>5.0} of the run",
        figures["build_s"] * 1e3,
        figures["run_s"] * 1e3,
        per_node(figures["run_s"] * 1e6),
        per_node(figures["graph_kb"] * 1_024.0),
        per_node((figures["memory_kb"] - figures["graph_kb"]) * 1_024.0),
    );
}

fn status_kb(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
