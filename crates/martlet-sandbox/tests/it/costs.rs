//! What things cost: `cargo test -p martlet-sandbox --test it costs -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use martlet_sandbox::{Sandbox as _, Session, WorkerPool};
use serde_json::json;

use crate::support::*;

const ROUNDS: usize = 300;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Each result comes after `pause`, which does not count.
async fn tool_round_trip(session: &mut dyn Session, pause: Duration) -> Duration {
    let code = format!("for _ in range({ROUNDS}): now()");
    let mut outcome = start(session, &code).await;
    let mut times = Vec::new();
    for index in 0..ROUNDS as u32 {
        waiting(outcome);
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        outcome = resume(session, vec![gives(index, json!(1))]).await;
        times.push(begun.elapsed());
    }
    median(times)
}

#[tokio::test]
#[ignore = "measures; run by hand"]
async fn costs() {
    let pool = WorkerPool::new(config().workers(1));
    let begun = Instant::now();
    pool.check().await.unwrap();
    println!("first program, with the start of its worker: {:?}", begun.elapsed());
    for (place, sandbox) in sandboxes() {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let mut session = sandbox.open(options());
            run(&mut *session, "1+1", None).await;
            times.push(begun.elapsed());
        }
        println!("{place}: fresh session and 1+1: {:?}", median(times));
        let mut session = sandbox.open(options());
        println!("{place}: tool round trip: {:?}", tool_round_trip(&mut *session, Duration::ZERO).await);
        for (what, code) in [("small", "x = 1"), ("100,000 ints", "x = list(range(100000))\nNone")] {
            let mut session = sandbox.open(options());
            let saved = run(&mut *session, code, None).await.session;
            let bytes = saved.as_ref().map_or(0, |blob| blob.0.len());
            let mut times = Vec::new();
            for _ in 0..30 {
                let begun = Instant::now();
                run(&mut *session, "None", saved.clone()).await;
                times.push(begun.elapsed());
            }
            println!("{place}: restore, run, save a {what} session of {bytes} bytes: {:?}", median(times));
        }
    }
    // Nothing is held: every result finds its program saved, and has it restored.
    let pool = WorkerPool::new(config().workers(1).hold(Duration::ZERO));
    let mut session = pool.open(options());
    let restored = tool_round_trip(&mut *session, Duration::from_millis(2)).await;
    println!("workers: going on with a program that was saved: {restored:?}");
}
