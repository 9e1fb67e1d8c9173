//! Programs that go too far.

use std::time::{Duration, Instant};

use martlet_sandbox::{Sandbox as _, SessionOptions};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn an_endless_loop_ends_and_the_next_program_works() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(limits(|limits| limits.time_ms = 300));
        let first = run(&mut *session, "x = 1", None).await;
        for code in [
            "while True: pass",
            "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        ] {
            let begun = Instant::now();
            let end = run(&mut *session, code, first.session.clone()).await;
            let (kind, message) = error(&end);
            assert_eq!(kind, "TimeoutError", "{place}");
            assert!(message.contains("0.3 s"), "{place}: {message}");
            assert!(begun.elapsed() < Duration::from_secs(5), "{place}");
        }
        let end = run(&mut *session, "x", first.session).await;
        assert_eq!(value(&end), json!(1), "{place}");
    }
}

#[tokio::test]
async fn a_native_operation_that_ignores_the_time_limit_is_killed() {
    let pool = pool();
    let mut session = pool.open(limits(|limits| limits.time_ms = 300));
    let first = run(&mut *session, "x = 1", None).await;
    // Writing out 2^60 elements: the interpreter looks at neither time nor memory.
    let code = "l = [1]\nprint('begun')\nfor i in range(60): l = [l, l]\nlen(str(l))";
    let begun = Instant::now();
    let end = run(&mut *session, code, first.session.clone()).await;
    let (kind, message) = error(&end);
    assert!(kind == "TimeoutError" || kind == "MemoryError", "{kind}: {message}");
    assert!(message.contains("variables are as they were"), "{message}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(end.session, None);
    let end = run(&mut *session, "x", first.session).await;
    assert_eq!(value(&end), json!(1));
}

#[tokio::test]
async fn waiting_for_tools_is_not_computing() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(limits(|limits| limits.time_ms = 200));
        waiting(start(&mut *session, "search('slow')").await);
        // The time that is meant here is real: the interpreter's own clock is the subject.
        std::thread::sleep(Duration::from_millis(400));
        let end = ended(resume(&mut *session, vec![gives(0, json!("there"))]).await);
        assert_eq!(value(&end), json!("there"), "{place}");
    }
}

#[tokio::test]
async fn memory_that_grows_slowly_or_at_once_is_limited() {
    let pool = pool();
    let mut bystander = pool.open(options());
    let kept = run(&mut *bystander, "mine = 'safe'", None).await;
    for code in [
        "l = []\nwhile True: l.append('x' * 1000 + str(len(l)))",
        "l = list(range(10**9))",
        "s = 'a' * 10**10",
        "s = ','.join(['a' * 1000000] * 100000)",
        "d = {}\nfor i in range(10**9): d[i] = [i]",
    ] {
        let mut session = pool.open(limits(|limits| limits.memory_bytes = 64 << 20));
        let first = run(&mut *session, "x = 1", None).await;
        let end = run(&mut *session, code, first.session.clone()).await;
        let (kind, message) = error(&end);
        assert_eq!(kind, "MemoryError", "{code}: {message}");
        let end = run(&mut *session, "x", first.session).await;
        assert_eq!(value(&end), json!(1), "{code}");
    }
    let end = run(&mut *bystander, "mine", kept.session).await;
    assert_eq!(value(&end), json!("safe"));
}

#[tokio::test]
async fn deep_recursion_is_an_ordinary_error() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let code = "def f(n): return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError:\n    x = 'caught'\nx";
        assert_eq!(value(&run(&mut *session, code, None).await), json!("caught"), "{place}");
    }
}

#[tokio::test]
async fn a_program_that_overflows_the_native_stack_costs_one_worker() {
    let pool = pool();
    let mut bystander = pool.open(options());
    let kept = run(&mut *bystander, "mine = 'safe'", None).await;
    let mut session = pool.open(limits(|limits| {
        limits.source_bytes = 64 << 20;
        limits.time_ms = 10_000;
    }));
    let code = format!("x = 1{}", "+1".repeat(8_000_000));
    let end = run(&mut *session, &code, None).await;
    let (kind, message) = error(&end);
    // What gives out first depends on the machine; what must not happen is that the host does.
    assert!(["WorkerCrashed", "MemoryError", "TimeoutError"].contains(&kind), "{kind}: {message}");
    let end = run(&mut *session, "'still here'", None).await;
    assert_eq!(value(&end), json!("still here"));
    let end = run(&mut *bystander, "mine", kept.session).await;
    assert_eq!(value(&end), json!("safe"));
}

#[tokio::test]
async fn a_print_flood_is_cut_and_the_program_goes_on() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(limits(|limits| limits.output_chars = 100));
        let end = run(&mut *session, "for i in range(100000): print('é' * 30)\n'done'", None).await;
        assert_eq!(value(&end), json!("done"), "{place}");
        assert!(end.stdout.contains("[output cut: a program may print 100 characters"), "{place}");
        assert_eq!(end.stdout.matches('é').count(), 97, "{place}: {}", end.stdout);
        assert!(end.stdout.chars().count() < 300, "{place}");
    }
}

#[tokio::test]
async fn calls_are_counted() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(limits(|limits| limits.calls = 2));
        let code = "for i in range(10):\n    try:\n        now()\n    except BaseException:\n        pass";
        waiting(start(&mut *session, code).await);
        waiting(resume(&mut *session, vec![gives(0, json!(0))]).await);
        let end = ended(resume(&mut *session, vec![gives(1, json!(0))]).await);
        let (kind, message) = error(&end);
        assert!(kind == "RuntimeError" && message.contains("2 tool calls"), "{place}: {kind} {message}");
    }
}

#[tokio::test]
async fn a_program_that_is_too_long_is_not_run() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(limits(|limits| limits.source_bytes = 50));
        let first = run(&mut *session, "x = 1", None).await;
        let end = run(&mut *session, &format!("x = '{}'", "a".repeat(60)), first.session.clone()).await;
        let (kind, message) = error(&end);
        assert!(kind == "ValueError" && message.contains("50 are allowed"), "{place}: {message}");
        assert_eq!(value(&run(&mut *session, "x", first.session).await), json!(1), "{place}");
    }
}

#[tokio::test]
async fn values_too_deep_for_json_leave_as_text() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let end = run(&mut *session, "l = []\nfor i in range(500): l = [l]\nl", None).await;
        assert!(value(&end).is_string(), "{place}");
    }
}

#[test]
fn imports_that_do_not_exist_are_refused() {
    assert!(SessionOptions::new([]).imports(["math"]).is_ok());
    let error = SessionOptions::new([]).imports(["math", "numpy_of_nowhere"]).unwrap_err();
    assert_eq!(error.kind(), martlet_sandbox::ErrorKind::Options);
    assert!(error.to_string().contains("`numpy_of_nowhere`") && !error.to_string().contains("`math`"));
}
