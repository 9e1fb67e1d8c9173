//! The list of runs.

use futures::executor::block_on;
use martlet_core::{Principal, RunId, Usage};
use martlet_store::{
    ApprovalState, Created, Entry, Fork, Idempotency, Journal as _, Lane, NewRun, RunEnd, RunFilter, RunKind,
    RunRow, RunState, Store, StoreErrorKind, StoreOptions, ValueId,
};
use serde_json::{Value, json};

use crate::support::{ann, bob, empty, ended, entry, new_run, new_session, question, run, session};

fn created(created: Created) -> RunRow {
    match created {
        Created::New(run) => run,
        other => panic!("{other:?}"),
    }
}

fn find(store: &Store, name: &str) -> RunRow {
    block_on(store.run(&run(name))).unwrap().unwrap()
}

#[test]
fn a_run_comes_back_as_it_was_created_and_ended_also_after_a_restart() {
    let opened = empty();
    let store = &opened.store;
    block_on(store.create_session(new_session("s", &ann(), 500))).unwrap();
    let idempotency = Some(Idempotency { key: "key".into(), body: ValueId::of(b"body") });
    let forked_from = Some(Fork { run: run("other"), step: 3 });
    let new = NewRun {
        kind: RunKind::Workflow,
        session: Some(session("s")),
        lane: Lane::Batch,
        request: json!({ "text": "Grüße \u{0}", "numbers": [1, 2.5, u64::MAX] }),
        idempotency: idempotency.clone(),
        forked_from: forked_from.clone(),
        ..new_run("r", &ann())
    };
    let row = created(block_on(store.create_run(new.clone())).unwrap());
    assert_eq!(
        (&row.id, &row.owner, row.kind, row.lane),
        (&run("r"), &ann(), RunKind::Workflow, Lane::Batch)
    );
    assert_eq!((&row.name, &row.title, &row.request), (&new.name, &new.title, &new.request));
    assert_eq!((&row.session, row.created_ms), (&new.session, new.created_ms));
    assert_eq!((&row.idempotency, &row.forked_from), (&idempotency, &forked_from));
    assert_eq!((row.state, row.started_ms, row.ended_ms), (RunState::Queued, None, None));
    assert_eq!((&row.outcome, &row.answer, &row.error), (&None, &None, &None));
    assert_eq!((row.usage, row.cancel, row.pending, row.last_event), (Usage::default(), false, 0, 0));

    let with_events = Entry { events: vec!["{}".into(), "{}".into()], ..Entry::new(run("r"), "0") };
    block_on(store.append(&run("r"), 0, with_events)).unwrap();
    block_on(store.ask(question("r", 1, &ann()))).unwrap();
    let row = find(store, "r");
    assert_eq!((row.pending, row.last_event), (1, 2));

    let end = RunEnd { error: Some("it broke".into()), answer: Value::Null, ..ended(9_000) };
    assert!(block_on(store.end_run(&run("r"), end.clone())).unwrap());
    let row = find(store, "r");
    assert_eq!((row.state, row.ended_ms, row.pending), (RunState::Ended, Some(9_000), 0));
    assert_eq!(
        (row.outcome.as_deref(), &row.answer, &row.error),
        (Some("completed"), &Some(Value::Null), &end.error)
    );
    assert_eq!(row.usage, end.usage);

    let folder = opened.folder;
    drop(opened.store);
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert_eq!(find(&store, "r"), row);
    assert!(block_on(store.unfinished()).unwrap().is_empty());
}

#[test]
fn a_request_that_is_repeated_under_its_key_is_one_run() {
    let opened = empty();
    let store = opened.store.clone();
    let keyed = |name: &str, owner: &Principal, body: &[u8]| {
        let idempotency = Some(Idempotency { key: "k".into(), body: ValueId::of(body) });
        block_on(store.create_run(NewRun { idempotency, ..new_run(name, owner) })).unwrap()
    };
    let first = created(keyed("a", &ann(), b"body"));
    assert_eq!(keyed("b", &ann(), b"body"), Created::Existing(first));
    assert_eq!(keyed("c", &ann(), b"another body"), Created::KeyReused);
    // The keys of others are others.
    created(keyed("d", &bob(), b"another body"));
    assert_eq!(block_on(store.unfinished()).unwrap().len(), 2);
    // The key lasts as long as the run.
    block_on(store.end_run(&run("a"), ended(2_000))).unwrap();
    assert!(matches!(keyed("b", &ann(), b"body"), Created::Existing(_)));
    block_on(store.of(&ann()).delete_run(&run("a"))).unwrap();
    created(keyed("b", &ann(), b"body"));
}

#[test]
fn repetitions_that_come_at_once_are_one_run() {
    let opened = empty();
    let store = opened.store.clone();
    let requests = (0..50).map(|number| {
        let idempotency = Some(Idempotency { key: "k".into(), body: ValueId::of(b"body") });
        store.create_run(NewRun { idempotency, ..new_run(&format!("r{number}"), &ann()) })
    });
    let results = block_on(futures::future::join_all(requests));
    let new = results.iter().filter(|result| matches!(result, Ok(Created::New(_)))).count();
    let same = results.iter().filter(|result| matches!(result, Ok(Created::Existing(_)))).count();
    assert_eq!((new, same), (1, 49));
}

#[test]
fn a_run_needs_a_name_of_its_own_and_a_session_of_its_owner() {
    let opened = empty();
    let store = opened.store.clone();
    created(block_on(store.create_run(new_run("r", &ann()))).unwrap());
    let error = block_on(store.create_run(new_run("r", &bob()))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    assert_eq!(error.to_string(), "there is a run r already: choose another name");
    block_on(store.create_session(new_session("of-ann", &ann(), 1))).unwrap();
    for (owner, name) in [(bob(), "of-ann"), (ann(), "nobody's")] {
        let Ok(name) = martlet_store::SessionId::new(name.replace('\'', "")) else { panic!() };
        let new = NewRun { session: Some(name.clone()), ..new_run("r2", &owner) };
        let error = block_on(store.create_run(new)).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (StoreErrorKind::Unknown, format!("there is no session {name}"))
        );
    }
    assert_eq!(block_on(store.run(&run("r2"))).unwrap(), None);
}

#[test]
fn a_run_starts_once_and_ends_once() {
    let opened = empty();
    let store = opened.store.clone();
    block_on(store.create_run(new_run("r", &ann()))).unwrap();
    let set = |state, at_ms| block_on(store.set_state(&run("r"), state, at_ms)).unwrap();
    assert!(set(RunState::Waiting, 1));
    assert_eq!(find(&store, "r").started_ms, None);
    assert!(set(RunState::Running, 2) && set(RunState::Waiting, 3) && set(RunState::Running, 4));
    assert_eq!((find(&store, "r").state, find(&store, "r").started_ms), (RunState::Running, Some(2)));

    let error = block_on(store.set_state(&run("r"), RunState::Ended, 5)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);

    assert!(block_on(store.request_cancel(&run("r"))).unwrap());
    assert!(find(&store, "r").cancel);
    assert!(block_on(store.end_run(&run("r"), ended(6))).unwrap());
    let row = find(&store, "r");
    assert!(!block_on(store.end_run(&run("r"), RunEnd { outcome: "failed".into(), ..ended(7) })).unwrap());
    assert!(!set(RunState::Running, 8));
    assert!(!block_on(store.request_cancel(&run("r"))).unwrap());
    assert_eq!(find(&store, "r"), row);

    for known in [
        block_on(store.set_state(&run("x"), RunState::Running, 1)),
        block_on(store.end_run(&run("x"), ended(1))),
        block_on(store.request_cancel(&run("x"))),
    ] {
        assert!(!known.unwrap());
    }
}

#[test]
fn the_end_of_a_run_withdraws_its_questions_and_touches_its_session() {
    let opened = empty();
    let store = opened.store.clone();
    block_on(store.create_session(new_session("s", &ann(), 1))).unwrap();
    for name in ["a", "b"] {
        let new = NewRun { session: Some(session("s")), ..new_run(name, &ann()) };
        block_on(store.create_run(new)).unwrap();
        block_on(store.ask(question(name, 1, &ann()))).unwrap();
    }
    let row = || block_on(store.of(&ann()).session(&session("s"))).unwrap().unwrap();
    assert_eq!((row().updated_ms, row().memory_run, row().runs), (1_000, None, 2));
    block_on(store.end_run(&run("a"), RunEnd { remember: true, ..ended(2_000) })).unwrap();
    assert_eq!((row().updated_ms, row().memory_run), (2_000, Some(run("a"))));
    // A clock that was set back makes nothing older, and a run that is not remembered changes no memory.
    block_on(store.end_run(&run("b"), ended(1_500))).unwrap();
    assert_eq!((row().updated_ms, row().memory_run), (2_000, Some(run("a"))));
    let withdrawn = block_on(store.of(&ann()).approvals(false, 10)).unwrap();
    assert_eq!(withdrawn.len(), 2);
    assert!(withdrawn.iter().all(|row| row.state == ApprovalState::Withdrawn));
}

#[test]
fn runs_that_have_not_ended_come_in_the_order_of_their_creation() {
    let opened = empty();
    let store = opened.store.clone();
    for (name, created_ms) in [("c", 3), ("a", 2), ("b", 1)] {
        block_on(store.create_run(NewRun { created_ms, ..new_run(name, &ann()) })).unwrap();
    }
    block_on(store.end_run(&run("a"), ended(4))).unwrap();
    let names: Vec<RunId> = block_on(store.unfinished()).unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(names, [run("c"), run("b")]);
}

#[test]
fn runs_are_listed_newest_first_by_page_session_and_state() {
    let opened = empty();
    let store = opened.store.clone();
    block_on(store.create_session(new_session("s", &ann(), 1))).unwrap();
    for number in 0..6 {
        let session = (number % 2 == 0).then(|| session("s"));
        block_on(store.create_run(NewRun { session, ..new_run(&format!("r{number}"), &ann()) })).unwrap();
    }
    block_on(store.create_run(new_run("of-bob", &bob()))).unwrap();
    block_on(store.end_run(&run("r4"), ended(2))).unwrap();
    let list = |filter| -> Vec<String> {
        let rows = block_on(store.of(&ann()).runs(filter)).unwrap();
        rows.into_iter().map(|row| row.id.to_string()).collect()
    };
    let all = RunFilter::default();
    assert_eq!(list(all.clone()), ["r5", "r4", "r3", "r2", "r1", "r0"]);
    assert_eq!(list(RunFilter { limit: 2, ..all.clone() }), ["r5", "r4"]);
    assert_eq!(list(RunFilter { limit: 2, before: Some(run("r4")), ..all.clone() }), ["r3", "r2"]);
    assert_eq!(list(RunFilter { session: Some(session("s")), ..all.clone() }), ["r4", "r2", "r0"]);
    assert_eq!(list(RunFilter { state: Some(RunState::Ended), ..all.clone() }), ["r4"]);
    let queued = RunFilter { session: Some(session("s")), state: Some(RunState::Queued), ..all.clone() };
    assert_eq!(list(queued), ["r2", "r0"]);
    // The place of somebody else's run is no place.
    assert!(list(RunFilter { before: Some(run("of-bob")), ..all }).is_empty());
    assert_eq!(block_on(store.of(&ann()).count(RunState::Queued)).unwrap(), 5);
    assert_eq!(block_on(store.of(&ann()).count(RunState::Ended)).unwrap(), 1);
}

#[test]
fn a_run_is_deleted_with_all_that_is_its_own_once_it_has_ended() {
    let opened = empty();
    let (store, of_ann) = (&opened.store, opened.store.of(&ann()));
    for name in ["r", "other"] {
        block_on(store.create_run(new_run(name, &ann()))).unwrap();
        for journal in [run(name), run(&format!("{name}-1-0"))] {
            let with = Entry { root: run(name), events: vec!["{}".into()], ..entry("0") };
            block_on(store.append(&journal, 0, with)).unwrap();
        }
        block_on(store.ask(question(name, 1, &ann()))).unwrap();
    }
    let error = block_on(of_ann.delete_run(&run("r"))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().starts_with("run r has not ended: cancel it"), "{error}");
    block_on(store.end_run(&run("r"), ended(1))).unwrap();
    assert!(block_on(of_ann.delete_run(&run("r"))).unwrap());
    assert!(!block_on(of_ann.delete_run(&run("r"))).unwrap());
    assert_eq!(block_on(store.run(&run("r"))).unwrap(), None);
    assert!(block_on(store.read(&run("r-1-0"))).unwrap().records.is_empty());
    assert!(block_on(store.events(&run("r"), 0, 10)).unwrap().is_empty());
    // The other one has lost nothing.
    assert_eq!(block_on(store.read(&run("other-1-0"))).unwrap().records.len(), 1);
    for (table, rows) in
        [("runs", 1), ("roots", 1), ("journals", 2), ("records", 2), ("events", 2), ("approvals", 1)]
    {
        assert_eq!(opened.number(&format!("SELECT count(*) FROM {table}")), rows, "{table}");
    }
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}
