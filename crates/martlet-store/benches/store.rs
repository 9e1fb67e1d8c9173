//! What a store costs: commits, events, and opening one that is full.
//!
//! `cargo bench --profile dev --ignore-rust-version -p martlet-store --bench store [-- CASE …]`, where CASE is `appends`,
//! `events`, `replay`, `runs` or `open`; all of them by default. The figures depend on the disk: the folder is made where
//! `TMPDIR` says.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "it is run by hand")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use martlet_core::{Principal, RunId, Usage};
use martlet_store::{Entry, Journal as _, Lane, NewRun, RunEnd, RunFilter, RunKind, Store, StoreOptions};
use serde_json::json;
use tempfile::TempDir;

fn main() {
    let cases: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let all = ["appends", "events", "replay", "runs", "open"].map(str::to_owned);
    for case in if cases.is_empty() { &all[..] } else { &cases } {
        match case.as_str() {
            "appends" => [1, 8, 64, 512].into_iter().for_each(|writers| runtime.block_on(appends(writers))),
            "events" => [1, 64].into_iter().for_each(|writers| runtime.block_on(events(writers))),
            "replay" => runtime.block_on(replay()),
            "runs" => runtime.block_on(runs(64)),
            "open" => runtime.block_on(open()),
            other => panic!("no case {other}"),
        }
    }
}

fn store() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::open(folder.path(), StoreOptions::default()).unwrap(), folder)
}

fn run(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

fn ann() -> Principal {
    Principal::new("acme", "ann").unwrap()
}

fn new_run(name: &str) -> NewRun {
    NewRun {
        id: run(name),
        owner: ann(),
        kind: RunKind::Agent,
        name: "assistant".into(),
        session: None,
        title: "Is Paris warmer than Rome?".into(),
        request: json!({ "task": "Is Paris warmer than Rome?" }),
        lane: Lane::Interactive,
        created_ms: 1,
        idempotency: None,
        forked_from: None,
    }
}

fn end() -> RunEnd {
    RunEnd {
        outcome: "completed".into(),
        answer: json!("No."),
        error: None,
        usage: Usage::default(),
        ended_ms: 2,
        remember: false,
    }
}

fn event(number: usize) -> Bytes {
    let text = "x".repeat(200);
    Bytes::from(format!("{{\"type\":\"tool.returned\",\"number\":{number},\"text\":\"{text}\"}}"))
}

/// Lets writers do something for a while, one after the other each, and gives how often each took how long.
async fn measure<F: Future<Output = ()> + Send>(
    writers: usize,
    act: impl Fn(usize, u64) -> F + Send + Sync + Clone + 'static,
) -> (usize, Duration, Vec<Duration>) {
    const SPAN: Duration = Duration::from_secs(2);
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let act = act.clone();
        tasks.spawn(async move {
            let mut times = Vec::new();
            for seq in 0.. {
                let begun = Instant::now();
                if begun - start > SPAN {
                    break;
                }
                act(writer, seq).await;
                times.push(begun.elapsed());
            }
            times
        });
    }
    let mut times = tasks.join_all().await.concat();
    let took = start.elapsed();
    times.sort_unstable();
    (times.len(), took, times)
}

fn milliseconds(times: &[Duration], percent: usize) -> f64 {
    times.get((times.len() * percent / 100).min(times.len() - 1)).unwrap().as_secs_f64() * 1e3
}

async fn appends(writers: usize) {
    let (store, _folder) = store();
    let record = Bytes::from(vec![b'r'; 1_000]);
    let (count, took, times) = measure(writers, move |writer, seq| {
        let (store, record) = (store.clone(), record.clone());
        async move {
            let name = run(&format!("r{writer}"));
            let entry = Entry { events: vec![event(writer)], ..Entry::new(name.clone(), record) };
            store.append(&name, seq, entry).await.unwrap();
        }
    })
    .await;
    println!(
        "appends, {writers:>3} writers, 1 KB and an event each: {:>7.0}/s, p50 {:.2} ms, p99 {:.2} ms",
        count as f64 / took.as_secs_f64(),
        milliseconds(&times, 50),
        milliseconds(&times, 99)
    );
}

async fn events(writers: usize) {
    const AT_ONCE: usize = 10;
    let (store, _folder) = store();
    let (count, took, times) = measure(writers, move |writer, _| {
        let store = store.clone();
        async move {
            let events = (0..AT_ONCE).map(event).collect();
            store.append_events(&run(&format!("r{writer}")), events).await.unwrap();
        }
    })
    .await;
    println!(
        "events, {writers:>2} writers, {AT_ONCE} at once: {:>7.0} events/s, p50 {:.2} ms, p99 {:.2} ms (target 20,000 events/s)",
        (count * AT_ONCE) as f64 / took.as_secs_f64(),
        milliseconds(&times, 50),
        milliseconds(&times, 99)
    );
}

async fn replay() {
    let (store, _folder) = store();
    for _ in 0..10 {
        store.append_events(&run("r"), (0..1_000).map(event).collect()).await.unwrap();
    }
    let start = Instant::now();
    let events = store.events(&run("r"), 0, usize::MAX).await.unwrap();
    let at_once = start.elapsed();
    let start = Instant::now();
    let mut after = 0;
    loop {
        let page = store.events(&run("r"), after, 256).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
    }
    println!(
        "replay of {} events: {:.1} ms at once, {:.1} ms by pages of 256 (target 500 ms)",
        events.len(),
        at_once.as_secs_f64() * 1e3,
        start.elapsed().as_secs_f64() * 1e3
    );
}

async fn runs(writers: usize) {
    let (store, _folder) = store();
    let (count, took, times) = measure(writers, move |writer, seq| {
        let store = store.clone();
        async move {
            let name = format!("r{writer}-{seq}");
            store.create_run(new_run(&name)).await.unwrap();
            store.end_run(&run(&name), end()).await.unwrap();
        }
    })
    .await;
    println!(
        "runs created and ended, {writers} at once: {:>7.0}/s, p50 {:.2} ms, p99 {:.2} ms",
        count as f64 / took.as_secs_f64(),
        milliseconds(&times, 50),
        milliseconds(&times, 99)
    );
}

async fn open() {
    const RUNS: usize = 10_000;
    const OPEN: usize = 100;
    let (store, folder) = store();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..100 {
        let store = store.clone();
        tasks.spawn(async move {
            for number in (writer..RUNS).step_by(100) {
                let name = format!("r{number}");
                store.create_run(new_run(&name)).await.unwrap();
                for seq in 0..5 {
                    let record = Bytes::from(vec![b'r'; 1_000]);
                    let entry = Entry { events: vec![event(number); 3], ..Entry::new(run(&name), record) };
                    store.append(&run(&name), seq, entry).await.unwrap();
                }
                if number >= OPEN {
                    store.end_run(&run(&name), end()).await.unwrap();
                }
            }
        });
    }
    tasks.join_all().await;
    drop(store);
    let size = folder.path().join("martlet.db").metadata().unwrap().len();
    let start = Instant::now();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let opened = start.elapsed();
    let unfinished = store.unfinished().await.unwrap();
    for run in &unfinished {
        store.read(&run.id).await.unwrap();
    }
    let recovered = start.elapsed();
    let start = Instant::now();
    let listed = store.of(&ann()).runs(RunFilter::default()).await.unwrap().len();
    let list = start.elapsed();
    let start = Instant::now();
    let problems = store.check().await.unwrap();
    let check = start.elapsed();
    let start = Instant::now();
    let swept = store.sweep(u64::MAX).await.unwrap();
    println!(
        "open, {RUNS} runs in {} MB: {:.1} ms (target 2 s); with the journals of {} that had not ended: {:.1} ms (target 5 s)",
        size / 1_000_000,
        opened.as_secs_f64() * 1e3,
        unfinished.len(),
        recovered.as_secs_f64() * 1e3
    );
    println!(
        "of those: a list of {listed} in {:.1} ms; checked in {:.0} ms ({} problems); {} swept in {:.0} ms",
        list.as_secs_f64() * 1e3,
        check.as_secs_f64() * 1e3,
        problems.len(),
        swept.runs,
        start.elapsed().as_secs_f64() * 1e3
    );
}
