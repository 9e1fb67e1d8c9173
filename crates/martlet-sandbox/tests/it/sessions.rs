//! Programs without tools: values, variables, output, errors.

use serde_json::json;

use martlet_core::code::CodeRequest;

use crate::support::*;

#[tokio::test]
async fn the_last_expression_is_the_value() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let end = run(&mut *session, "x = 6\nprint('hi', x)\nx * 7", None).await;
        assert_eq!(value(&end), json!(42), "{place}");
        assert_eq!(end.value.unwrap().repr, "42");
        assert_eq!(end.stdout, "hi 6\n");
        let end = run(&mut *session, "x = 1", None).await;
        assert_eq!(end.error, None);
        assert_eq!(end.answer, None);
    }
}

#[tokio::test]
async fn variables_functions_and_classes_persist_over_programs() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let define = "data = [1, 2]\ndef add(x):\n    data.append(x)\nclass P:\n    def __init__(self, n):\n        self.n = n\np = P(3)";
        let end = run(&mut *session, define, None).await;
        let end = run(&mut *session, "add(p.n)\nP(4).n + sum(data)", end.session).await;
        assert_eq!(value(&end), json!(10), "{place}");
        let end = run(&mut *session, "data", end.session).await;
        assert_eq!(value(&end), json!([1, 2, 3]), "{place}");
    }
}

#[tokio::test]
async fn without_a_saved_state_a_program_starts_afresh() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        run(&mut *session, "x = 1", None).await;
        let end = run(&mut *session, "x", None).await;
        assert_eq!(error(&end).0, "NameError", "{place}");
    }
}

#[tokio::test]
async fn an_error_says_what_and_where_and_keeps_the_variables() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let end = run(&mut *session, "kept = 5\nprint('before')\nkept / 0\nprint('after')", None).await;
        let failure = end.error.clone().unwrap();
        assert_eq!((failure.kind.as_str(), failure.line), ("ZeroDivisionError", Some(3)), "{place}");
        assert_eq!(failure.source_line.as_deref(), Some("kept / 0"));
        assert_eq!(end.stdout, "before\n");
        let end = run(&mut *session, "kept", end.session).await;
        assert_eq!(value(&end), json!(5), "{place}");
    }
}

#[tokio::test]
async fn a_syntax_error_costs_nothing() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let first = run(&mut *session, "x = 1", None).await;
        let end = run(&mut *session, "print('never')\ndef (", first.session).await;
        assert_eq!(error(&end).0, "SyntaxError", "{place}");
        assert_eq!(end.stdout, "");
        let end = run(&mut *session, "x", end.session).await;
        assert_eq!(value(&end), json!(1), "{place}");
    }
}

#[tokio::test]
async fn output_comes_while_the_program_runs() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let printed = Printed::default();
        let add = |text: &str| printed.add(text);
        let code = "print('first')\nsearch('a')\nprint('second')";
        let request = CodeRequest::start(code, None);
        let outcome = session.perform(request, Some(&add)).await.unwrap();
        waiting(outcome);
        assert_eq!(printed.text(), "first\n", "{place}");
        let request = CodeRequest::Resume { results: vec![gives(0, json!(1))] };
        let end = ended(session.perform(request, Some(&add)).await.unwrap());
        assert_eq!(printed.text(), "first\nsecond\n", "{place}");
        assert_eq!(end.stdout, "first\nsecond\n", "{place}");
    }
}

#[tokio::test]
async fn sleeping_holds_no_worker() {
    let pool = martlet_sandbox::WorkerPool::new(config().workers(1));
    use martlet_sandbox::Sandbox as _;
    let mut sleeper = pool.open(options());
    let mut other = pool.open(options());
    let sleep = async { run(&mut *sleeper, "import time\ntime.sleep(0.6)\n'slept'", None).await };
    let work = async {
        let mut last = None;
        let begun = std::time::Instant::now();
        while begun.elapsed().as_millis() < 300 {
            last = run(&mut *other, "n = 1", last).await.session;
        }
        last.is_some()
    };
    let begun = std::time::Instant::now();
    let (slept, worked) = tokio::join!(sleep, work);
    assert_eq!(value(&slept), json!("slept"));
    assert!(worked);
    assert!(begun.elapsed().as_millis() >= 600);
}

#[tokio::test]
async fn asyncio_sleep_runs_beside_other_tasks() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let code = "import asyncio\nasync def wait(n):\n    await asyncio.sleep(n)\n    return n\n\
                    await asyncio.gather(wait(0.3), wait(0.2), wait(0.1))";
        let begun = std::time::Instant::now();
        let end = run(&mut *session, code, None).await;
        assert_eq!(value(&end), json!([0.3, 0.2, 0.1]), "{place}");
        assert!(begun.elapsed().as_millis() >= 300, "{place}");
    }
}

#[tokio::test]
async fn sleeping_for_ever_is_refused() {
    let (_, sandbox) = sandboxes().remove(0);
    let mut session = sandbox.open(options());
    let code = "import asyncio\nawait asyncio.gather(*[asyncio.sleep(10) for _ in range(7)])";
    let begun = std::time::Instant::now();
    let end = run(&mut *session, code, None).await;
    assert_eq!(error(&end).0, "TimeoutError");
    assert!(begun.elapsed().as_secs() < 9);
}

#[tokio::test]
async fn the_host_is_out_of_reach() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        for (code, kind, hint) in [
            ("open('/etc/passwd').read()", "PermissionError", "use the tools"),
            ("from pathlib import Path\nPath('/etc/passwd').read_text()", "PermissionError", "use the tools"),
            ("import os\nos.getenv('PATH')", "RuntimeError", "use the tools"),
        ] {
            let end = run(&mut *session, code, None).await;
            let (got, message) = error(&end);
            // The dialect may refuse the import already.
            assert!(
                got == kind && message.contains(hint) || got.contains("Import"),
                "{place}: {code}: {got} {message}"
            );
        }
    }
}

#[tokio::test]
async fn a_large_last_value_is_cut_and_kept() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let end = run(&mut *session, "x = 'a' * 3_000_000\nx", None).await;
        assert!(value(&end).as_str().unwrap().ends_with("... [cut: 3000002 bytes]"), "{place}");
        let end = run(&mut *session, "len(x)", end.session).await;
        assert_eq!(value(&end), json!(3_000_000), "{place}");
    }
}

#[tokio::test]
async fn a_long_exception_loses_its_middle() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let end = run(&mut *session, "raise ValueError('begin' + 'x' * 200000 + 'end')", None).await;
        let (kind, message) = error(&end);
        assert_eq!(kind, "ValueError", "{place}");
        assert!(message.chars().count() < 4_200, "{place}: {}", message.len());
        assert!(
            message.starts_with("begin") && message.contains("left out") && message.ends_with("end"),
            "{place}"
        );
    }
}

/// Our own Python runs among the program's variables, and must not trip over what a program calls them.
#[tokio::test]
async fn a_shadowed_builtin_does_not_break_what_comes_after() {
    let shadow = "type = dict = list = isinstance = len = hasattr = sorted = str = set = tuple = getattr = 'pie'\n\
                  int = repr = iter = range = next = min = bool = float = print = setattr = 3";
    let define = "class A:\n    def __init__(self):\n        self.n = 1\nclass B(A):\n    def __init__(self, m):\n        \
                  super().__init__()\n        self.m = m\n    def __add__(self, other):\n        return B(self.m + other.m)\n\
                  b = B(2) + B(3)\n[b.n, b.m]";
    let more = "from collections import Counter, defaultdict\nfrom enum import Enum\nclass Color(Enum):\n    RED = 1\n\
                d = defaultdict(lambda: 7)\nc = Counter('aab')\n[c['a'], d['x'], Color.RED.value, b.n, type]";
    for (place, sandbox) in sandboxes() {
        for first in [true, false] {
            let mut session = sandbox.open(options());
            // With what the classes need there before the names are taken, and not.
            let end = run(&mut *session, if first { shadow } else { define }, None).await;
            assert_eq!(end.error, None, "{place}");
            let end = run(&mut *session, if first { define } else { shadow }, end.session).await;
            assert_eq!(end.error, None, "{place}");
            let end = run(&mut *session, more, end.session).await;
            assert_eq!(value(&end), json!([2, 7, 1, 1, "pie"]), "{place}");
        }
    }
}

#[tokio::test]
async fn each_builtin_may_be_shadowed_before_a_class() {
    let mut session = martlet_sandbox::Sandbox::open(&martlet_sandbox::InProcess::new(), options());
    for name in ["type", "dict", "list", "isinstance", "len", "hasattr", "sorted", "str"] {
        let end = run(&mut *session, &format!("{name} = 'pie'"), None).await;
        let code = "class A:\n    pass\nclass B(A):\n    pass\nB() is not None";
        let end = run(&mut *session, code, end.session).await;
        assert_eq!(value(&end), json!(true), "{name}");
    }
}

#[tokio::test]
async fn what_is_added_to_a_program_does_not_use_its_names() {
    let code = "type = str = 'pie'\nclass P:\n    pass\ntry:\n    raise ValueError(1, 2)\nexcept ValueError as e:\n    \
                message = e.args\n[P().__class__ is P, type, str]";
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let end = run(&mut *session, code, None).await;
        assert_eq!(value(&end), json!([true, "pie", "pie"]), "{place}");
    }
}
