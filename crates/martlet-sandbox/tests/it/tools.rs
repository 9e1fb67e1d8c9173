//! Programs that call tools.

use martlet_core::code::CodeOutcome;
use martlet_core::tool::ToolFailureKind;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_plain_call_waits_for_its_value() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let outcome = start(&mut *session, "hits = search('rust', limit=2)\nhits['n'] + 1").await;
        let (calls, awaiting) = waiting(outcome);
        assert_eq!(awaiting, [0], "{place}");
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].index, calls[0].name.as_str()), (0, "search"));
        assert_eq!(json!(calls[0].arguments), json!({"query": "rust", "limit": 2}));
        let end = ended(resume(&mut *session, vec![gives(0, json!({"n": 41}))]).await);
        assert_eq!(value(&end), json!(42), "{place}");
        // What the tool gave is a variable like any other.
        let end = run(&mut *session, "hits", end.session).await;
        assert_eq!(value(&end), json!({"n": 41}), "{place}");
    }
}

#[tokio::test]
async fn calls_are_numbered_over_the_program() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let mut outcome = start(&mut *session, "[search(str(n)) for n in range(3)]").await;
        for index in 0..3 {
            let (calls, awaiting) = waiting(outcome);
            assert_eq!((calls[0].index, awaiting), (index, vec![index]), "{place}");
            outcome = resume(&mut *session, vec![gives(index, json!(index * 10))]).await;
        }
        assert_eq!(value(&ended(outcome)), json!([0, 10, 20]), "{place}");
    }
}

#[tokio::test]
async fn gathered_calls_are_made_known_together_and_settle_in_any_order() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let code = "import asyncio\nawait asyncio.gather(*[search(str(n)) for n in range(4)])";
        let (calls, awaiting) = waiting(start(&mut *session, code).await);
        assert_eq!(calls.len(), 4, "{place}");
        assert_eq!(awaiting, [0, 1, 2, 3], "{place}");
        let mut outcome = None;
        for index in [2, 0, 3, 1] {
            if let Some(outcome) =
                outcome.replace(resume(&mut *session, vec![gives(index, json!(index))]).await)
            {
                let (calls, awaiting) = waiting(outcome);
                assert!(calls.is_empty() && !awaiting.is_empty(), "{place}");
            }
        }
        assert_eq!(value(&ended(outcome.unwrap())), json!([0, 1, 2, 3]), "{place}");
    }
}

#[tokio::test]
async fn chains_inside_a_gather_go_on_independently() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let code = "import asyncio\nasync def chain(name):\n    first = await search(name)\n    return await \
                    search(first)\nawait asyncio.gather(chain('a'), chain('b'))";
        let (calls, _) = waiting(start(&mut *session, code).await);
        assert_eq!(calls.len(), 2, "{place}");
        // The second chain's second call comes although the first chain still waits for its first one.
        let (calls, awaiting) = waiting(resume(&mut *session, vec![gives(1, json!("b2"))]).await);
        assert_eq!((calls.len(), calls[0].index), (1, 2), "{place}");
        assert_eq!(calls[0].arguments["query"], json!("b2"));
        assert_eq!(awaiting, [0, 2], "{place}");
        let results = vec![gives(2, json!("done b")), gives(0, json!("a2"))];
        let (calls, awaiting) = waiting(resume(&mut *session, results).await);
        assert_eq!((calls[0].index, awaiting), (3, vec![3]), "{place}");
        let end = ended(resume(&mut *session, vec![gives(3, json!("done a"))]).await);
        assert_eq!(value(&end), json!(["done a", "done b"]), "{place}");
    }
}

#[tokio::test]
async fn a_result_that_comes_early_is_kept() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let code = "import asyncio\nasync def main():\n    later = asyncio.create_task(search('later'))\n    \
                    await asyncio.sleep(0)\n    first = now()\n    return [first, await later]\nawait main()";
        let (calls, awaiting) = waiting(start(&mut *session, code).await);
        let indices: Vec<(u32, &str)> = calls.iter().map(|call| (call.index, call.name.as_str())).collect();
        if awaiting != [1] {
            // The scheduler asked for the task first.
            assert_eq!((indices, awaiting), (vec![(0, "search")], vec![0]), "{place}");
            continue;
        }
        assert_eq!(indices, [(0, "search"), (1, "now")], "{place}");
        let (calls, awaiting) = waiting(resume(&mut *session, vec![gives(0, json!("L"))]).await);
        assert!(calls.is_empty() && awaiting == [1], "{place}");
        let end = ended(resume(&mut *session, vec![gives(1, json!("N"))]).await);
        assert_eq!(value(&end), json!(["N", "L"]), "{place}");
    }
}

#[tokio::test]
async fn a_failed_call_is_an_exception_with_its_message() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let code = "try:\n    search('x')\nexcept RuntimeError as e:\n    print('caught', e)\nnow()";
        waiting(start(&mut *session, code).await);
        let failure = fails(0, ToolFailureKind::Failed, "the index is down");
        waiting(resume(&mut *session, vec![failure]).await);
        let failure = fails(1, ToolFailureKind::Denied, "not today");
        let end = ended(resume(&mut *session, vec![failure]).await);
        assert_eq!(end.stdout, "caught the index is down\n", "{place}");
        let (kind, message) = error(&end);
        assert_eq!(kind, "PermissionError", "{place}");
        assert!(message.contains("not today"), "{place}: {message}");
    }
}

#[tokio::test]
async fn wrong_arguments_are_a_type_error_with_the_signature() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        for (call, part) in [
            ("search()", "missing 'query'"),
            ("search('a', 1, 2)", "at most 2"),
            ("search('a', query='b')", "two values"),
            ("search('a', depth=3)", "no parameter 'depth'"),
        ] {
            let end = run(&mut *session, call, None).await;
            let (kind, message) = error(&end);
            assert_eq!(kind, "TypeError", "{place}: {call}");
            assert!(
                message.contains(part) && message.contains("search(query, limit=...)"),
                "{place}: {message}"
            );
        }
        // It is an ordinary exception: nothing was called, and the program can go on.
        let end =
            run(&mut *session, "try:\n    search()\nexcept TypeError:\n    x = 'went on'\nx", None).await;
        assert_eq!(value(&end), json!("went on"), "{place}");
    }
}

#[tokio::test]
async fn final_answer_ends_the_program_from_anywhere() {
    for (place, sandbox) in sandboxes() {
        for call in ["final_answer({'n': 1})", "final_answer(answer={'n': 1})"] {
            let mut session = sandbox.open(options());
            let code = format!(
                "kept = 1\ndef inner():\n    try:\n        {call}\n    except BaseException:\n        print('caught')\n    \
                 finally:\n        print('finally')\nfor _ in range(3):\n    inner()\nprint('went on')"
            );
            let end = run(&mut *session, &code, None).await;
            assert_eq!(end.error, None, "{place}");
            assert_eq!(end.stdout, "", "{place}");
            let answer = end.answer.unwrap();
            assert_eq!((answer.json, answer.repr.as_str()), (json!({"n": 1}), "{'n': 1}"), "{place}");
            let end = run(&mut *session, "kept", end.session).await;
            assert_eq!(value(&end), json!(1), "{place}");
        }
        let mut session = sandbox.open(options());
        let end = run(&mut *session, "final_answer(1, 2)", None).await;
        assert_eq!(error(&end).0, "TypeError", "{place}");
    }
}

#[tokio::test]
async fn a_call_that_is_never_awaited_is_not_made() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let code = "import asyncio\nasync def main():\n    task = asyncio.create_task(search('x'))\n    return 1\nawait main()";
        match start(&mut *session, code).await {
            CodeOutcome::Ended(end) => {
                assert_eq!(end.error, None, "{place}");
                assert!(
                    end.stdout.is_empty() || end.stdout.contains("never awaited"),
                    "{place}: {}",
                    end.stdout
                );
            }
            // A scheduler that runs the task to its call is right as well.
            outcome => assert_eq!(waiting(outcome).1, [0], "{place}"),
        }
    }
}

#[tokio::test]
async fn results_nobody_asked_for_are_refused() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        waiting(start(&mut *session, "search('x')").await);
        let request = martlet_core::code::CodeRequest::Resume { results: vec![gives(7, json!(1))] };
        let error = session.perform(request, None).await.unwrap_err();
        assert_eq!(error.kind(), martlet_sandbox::ErrorKind::Request, "{place}");
        assert!(error.to_string().contains("call 7"), "{place}: {error}");
    }
}

#[tokio::test]
async fn a_session_that_is_not_held_is_lost() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        assert!(matches!(resume(&mut *session, vec![]).await, CodeOutcome::Lost { .. }), "{place}");
    }
}
