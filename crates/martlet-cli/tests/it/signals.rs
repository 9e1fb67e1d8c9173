//! Ctrl-C and SIGTERM.

use std::time::Instant;

use martlet_testkit::{FakeServer, Reply};

use crate::support::{PATIENCE, Place, code, finish, send};

/// The processes that `process` has started.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(children.split_whitespace().map(|id| id.parse::<u32>().unwrap()));
    }
    found
}

fn lives(process: u32) -> bool {
    send(process, 0)
}

fn wait_for(server: &FakeServer, requests: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let waiting = server.wait_until(|counters| counters.requests >= requests && counters.in_flight > 0);
    runtime.block_on(async { tokio::time::timeout(PATIENCE, waiting).await }).unwrap();
}

#[test]
fn ctrl_c_cancels_the_run_and_ends_the_workers() {
    let place = Place::new();
    let server = FakeServer::with_replies([Reply::from(code("print('first')")), Reply::never()]);
    let child = place.with(&server, &["run", "--json", "t"]).spawn().unwrap();
    // The worker of the first step is kept for the second one.
    wait_for(&server, 2);
    let workers = children(child.id());
    assert!(!workers.is_empty());
    assert!(send(child.id(), libc::SIGINT));
    let done = finish(child);
    assert_eq!(done.code, Some(130), "{done:?}");
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["status"], "cancelled");
    assert_eq!(report["steps"][0]["stdout"], "first\n");
    assert!(done.stderr.contains("\ncancelled: "), "{done:?}");
    assert!(workers.iter().all(|worker| !lives(*worker)));
}

#[test]
fn a_program_that_computes_is_stopped_too() {
    let place = Place::new();
    let server = FakeServer::always(code("while True:\n    pass"));
    let child = place.with(&server, &["run", "-q", "t"]).spawn().unwrap();
    let start = Instant::now();
    let workers = loop {
        let workers = children(child.id());
        if !workers.is_empty() {
            break workers;
        }
        assert!(start.elapsed() < PATIENCE, "no worker was started");
        std::thread::yield_now();
    };
    assert!(send(child.id(), libc::SIGINT));
    assert_eq!(finish(child).code, Some(130));
    assert!(workers.iter().all(|worker| !lives(*worker)));
}

#[test]
fn sigterm_is_graceful_and_has_its_own_code() {
    let place = Place::new();
    let server = FakeServer::always(Reply::never());
    let child = place.with(&server, &["run", "--output", "jsonl", "t"]).spawn().unwrap();
    wait_for(&server, 1);
    assert!(send(child.id(), libc::SIGTERM));
    let done = finish(child);
    assert_eq!(done.code, Some(143), "{done:?}");
    assert!(done.stdout.lines().last().unwrap().contains(r#""status":"cancelled""#), "{done:?}");
}

#[test]
fn a_silent_stdin_can_be_left() {
    let place = Place::new();
    place.write("martlet.toml", "[workflows.w.nodes.a]\nvalue = \"1\"\n");
    for arguments in [&["run"][..], &["workflow", "run", "w", "--input-file", "-"]] {
        leave(&place, arguments);
    }
}

/// Interrupts a command that reads a silent standard input.
fn leave(place: &Place, arguments: &[&str]) {
    let server = FakeServer::always("never asked");
    let mut child = place.with(&server, arguments).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take();
    let start = Instant::now();
    // Its handler is there as soon as the process is in the middle of reading: until then the signal ends it.
    while !std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap().lines().any(|line| {
        line.strip_prefix("SigCgt:")
            .is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 2 != 0)
    }) {
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    assert!(send(child.id(), libc::SIGINT));
    assert_eq!(finish(child).code, Some(130), "{arguments:?}");
    drop(input);
}
