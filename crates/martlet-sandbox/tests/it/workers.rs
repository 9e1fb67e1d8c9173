//! Worker processes: taking turns, dying, being stopped.

use std::time::{Duration, Instant};

use martlet_core::code::{CodeOutcome, CodeRequest};
use martlet_sandbox::{ErrorKind, Sandbox as _, Session, WorkerConfig, WorkerPool};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_session_that_waits_gives_up_its_worker() {
    let pool = WorkerPool::new(config().workers(1).hold(Duration::from_secs(60)));
    let mut first = pool.open(options());
    let mut second = pool.open(options());
    waiting(start(&mut *first, "x = 'first'\nr = search('a')\nprint(r)\nnow()").await);
    // The only worker holds the first session for a minute, unless somebody wants it.
    let end = run(&mut *second, "x = 'second'\nx", None).await;
    assert_eq!(value(&end), json!("second"));
    waiting(resume(&mut *first, vec![gives(0, json!("result"))]).await);
    let end = ended(resume(&mut *first, vec![gives(1, json!(5))]).await);
    assert_eq!((value(&end), end.stdout.as_str()), (json!(5), "result\n"));
    let end = run(&mut *first, "x", end.session).await;
    assert_eq!(value(&end), json!("first"));
    assert_eq!(pool.processes().len(), 1);
}

#[tokio::test]
async fn many_sessions_that_wait_share_few_workers() {
    let pool = WorkerPool::new(config().workers(2).hold(Duration::from_millis(1)));
    let mut sessions: Vec<Box<dyn Session>> = (0..40).map(|_| pool.open(options())).collect();
    for (n, session) in sessions.iter_mut().enumerate() {
        let code = format!(
            "import asyncio\nn = {n}\na, b = await asyncio.gather(search('a'), search('b'))\n[n, a, b]"
        );
        assert_eq!(waiting(start(&mut **session, &code).await).0.len(), 2);
    }
    for (n, session) in sessions.iter_mut().enumerate().rev() {
        let outcome = resume(&mut **session, vec![gives(1, json!(n + 1))]).await;
        assert_eq!(waiting(outcome).1, [0]);
    }
    for (n, session) in sessions.iter_mut().enumerate() {
        let end = ended(resume(&mut **session, vec![gives(0, json!(n + 2))]).await);
        assert_eq!(value(&end), json!([n, n + 2, n + 1]));
    }
    assert!(pool.processes().len() <= 2);
}

#[tokio::test]
async fn the_queue_is_first_come_first_served() {
    let pool = WorkerPool::new(config().workers(1));
    pool.check().await.unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let programs = (0..8).map(|n| {
        let (pool, order) = (&pool, &order);
        async move {
            let mut session = pool.open(options());
            let code = "n = 0\nwhile n < 20000: n += 1";
            run(&mut *session, code, None).await;
            order.lock().unwrap().push(n);
        }
    });
    futures::future::join_all(programs).await;
    assert_eq!(*order.lock().unwrap(), (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn dropping_the_future_kills_the_worker_within_a_second() {
    let pool = WorkerPool::new(config().workers(1));
    pool.check().await.unwrap();
    let process = pool.processes()[0];
    let mut session = pool.open(limits(|limits| limits.time_ms = 600_000));
    let first = run(&mut *session, "x = 1", None).await;
    let printed = Printed::default();
    let add = |text: &str| printed.add(text);
    let request = CodeRequest::start("print('looping')\nwhile True: pass", first.session.clone());
    {
        let running = session.perform(request, Some(&add));
        let seen = until("the loop has begun", || printed.text().contains("looping"));
        tokio::select! {
            outcome = running => panic!("{outcome:?}"),
            () = seen => {}
        }
    }
    let dropped = Instant::now();
    until("the worker is gone", || !lives(process)).await;
    assert!(dropped.elapsed() < Duration::from_secs(1), "{:?}", dropped.elapsed());
    assert!(matches!(resume(&mut *session, vec![]).await, CodeOutcome::Lost { .. }));
    let end = run(&mut *session, "x", first.session).await;
    assert_eq!(value(&end), json!(1));
    assert_ne!(pool.processes(), [process]);
}

#[tokio::test]
async fn dropping_a_queued_program_spares_the_one_that_runs() {
    let pool = WorkerPool::new(config().workers(1));
    pool.check().await.unwrap();
    let process = pool.processes()[0];
    let mut busy = pool.open(options());
    let mut queued = pool.open(options());
    let working = run(&mut *busy, "n = 0\nwhile n < 2000000: n += 1\nn", None);
    let dropped = async {
        let request = CodeRequest::start("1", None);
        let _ = tokio::time::timeout(Duration::from_millis(50), queued.perform(request, None)).await;
    };
    let (end, ()) = tokio::join!(working, dropped);
    assert_eq!(value(&end), json!(2_000_000));
    assert_eq!(pool.processes(), [process]);
}

#[tokio::test]
async fn a_worker_killed_from_outside_loses_only_what_it_held() {
    let pool = WorkerPool::new(config().workers(1).hold(Duration::from_secs(60)));
    let mut session = pool.open(options());
    let first = run(&mut *session, "x = 1", None).await;
    waiting(start_with(&mut *session, "search('a')", first.session.clone()).await);
    let process = pool.processes()[0];
    kill(process);
    until("the worker is gone", || !lives(process)).await;
    // The host learns of it when it next needs the worker.
    match resume(&mut *session, vec![gives(0, json!(1))]).await {
        CodeOutcome::Lost { .. } => {}
        other => assert_eq!(error(&ended(other)).0, "MemoryError"),
    }
    let end = run(&mut *session, "x", first.session).await;
    assert_eq!(value(&end), json!(1));
}

#[tokio::test]
async fn an_idle_worker_killed_from_outside_is_replaced_unnoticed() {
    let pool = WorkerPool::new(config().workers(1));
    pool.check().await.unwrap();
    let process = pool.processes()[0];
    kill(process);
    until("the worker is gone", || !lives(process)).await;
    pool.check().await.unwrap();
    assert_ne!(pool.processes(), [process]);
}

#[tokio::test]
async fn workers_are_replaced_after_their_programs() {
    let pool = WorkerPool::new(config().workers(1).programs(2));
    let mut seen = Vec::new();
    for _ in 0..6 {
        let mut session = pool.open(options());
        waiting(start(&mut *session, "now()").await);
        seen.extend(pool.processes());
        ended(resume(&mut *session, vec![gives(0, json!(0))]).await);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[tokio::test]
async fn workers_without_work_end_and_so_does_the_pool() {
    let pool = WorkerPool::new(config().idle(Duration::from_millis(50)));
    pool.check().await.unwrap();
    until("the idle worker is gone", || pool.processes().is_empty()).await;
    pool.check().await.unwrap();

    let pool = self::pool();
    pool.check().await.unwrap();
    let process = pool.processes()[0];
    let session = pool.open(options());
    drop(pool);
    assert!(lives(process), "a session still uses it");
    drop(session);
    until("the last worker is gone", || !std::path::Path::new(&format!("/proc/{process}")).exists()).await;
}

#[tokio::test]
async fn a_worker_sees_no_environment_and_no_terminal() {
    let pool = pool();
    pool.check().await.unwrap();
    let process = pool.processes()[0];
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap();
    assert_eq!(String::from_utf8_lossy(&environment), "");
    assert_eq!(std::fs::read_link(format!("/proc/{process}/cwd")).unwrap(), std::path::Path::new("/"));
    for descriptor in 0..3 {
        let target = std::fs::read_link(format!("/proc/{process}/fd/{descriptor}")).unwrap();
        assert!(target.to_string_lossy().starts_with("pipe:"), "{target:?}");
    }
}

#[tokio::test]
async fn a_worker_that_cannot_be_started_is_an_error_that_says_what_to_do() {
    for (command, advice) in [
        ("/nowhere/martlet", "there is no such program"),
        ("no-such-worker-anywhere", "there is no such program"),
        ("/bin/true", "it is not a worker"),
        ("/dev/null", "check that it may be executed"),
    ] {
        let pool = WorkerPool::new(WorkerConfig::new(command));
        let error = pool.check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Worker, "{command}");
        let text = error.to_string();
        assert!(text.contains(advice) && text.contains(command), "{text}");
    }
}

#[tokio::test]
async fn programs_run_beside_each_other() {
    let pool = pool();
    let code = "import time\nbegun = time.time()\nwhile time.time() < begun + 1: pass\n'done'";
    let programs = (0..2).map(|_| async {
        let mut session = pool.open(options());
        value(&run(&mut *session, code, None).await)
    });
    pool.check().await.unwrap();
    let begun = Instant::now();
    let values = futures::future::join_all(programs).await;
    assert_eq!(values, [json!("done"), json!("done")]);
    assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn times_without_end_are_times() {
    let for_ever = Duration::MAX;
    let pool = WorkerPool::new(config().workers(1).idle(for_ever).hold(for_ever).grace(for_ever));
    let work = async {
        let mut session = pool.open(options());
        waiting(start(&mut *session, "search('a')").await);
        let end = ended(resume(&mut *session, vec![gives(0, json!("found"))]).await);
        assert_eq!(value(&end), json!("found"));
        pool.check().await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("the pool hangs");
}

#[tokio::test]
async fn the_start_of_a_worker_is_not_the_programs_time() {
    let worker = config().command;
    let slow = WorkerConfig::new("/bin/sh")
        .args(["-c".into(), "sleep 1; exec \"$0\"".into(), worker.into_os_string()])
        .workers(1)
        .hold(Duration::from_secs(60))
        .grace(Duration::from_millis(1));
    let pool = WorkerPool::new(slow);
    let mut session = pool.open(limits(|limits| limits.time_ms = 1_000));
    waiting(
        start(
            &mut *session,
            "search('a')\nimport time\nuntil = time.time() + 0.3\nwhile time.time() < until: pass\n'done'",
        )
        .await,
    );
    let end = ended(resume(&mut *session, vec![gives(0, json!(1))]).await);
    assert_eq!(value(&end), json!("done"));
}

#[tokio::test]
async fn a_slow_reader_is_shown_all_that_a_program_printed() {
    let pool = WorkerPool::new(config().workers(1).grace(Duration::from_millis(1)));
    pool.check().await.unwrap();
    let options = limits(|limits| (limits.time_ms, limits.output_chars) = (500, 400_000));
    let mut session = pool.open(options);
    let seen = Printed::default();
    // It waits for nothing: it stands for a terminal or a socket that takes 40 ms for a chunk.
    let slowly = |text: &str| {
        seen.add(text);
        std::thread::sleep(Duration::from_millis(40));
    };
    // As much as the pipe and the channel hold: the program itself never waits for the reader.
    let code = "for n in range(25): print('x' * 5000)\n'done'";
    let request = CodeRequest::start(code, None);
    let end = ended(session.perform(request, Some(&slowly)).await.unwrap());
    assert_eq!(value(&end), json!("done"));
    assert_eq!(seen.text().len(), 25 * 5_001);
}

fn kill(process: u32) {
    let status = std::process::Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    assert!(status.success());
}
