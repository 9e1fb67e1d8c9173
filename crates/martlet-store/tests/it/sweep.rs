//! What is old goes, and its space with it.

use bytes::Bytes;
use futures::executor::block_on;
use martlet_store::{Entry, Journal as _, NewRun, RunEnd, Swept, ValueId};

use crate::support::{
    Opened, ann, empty, ended, entry, new_file, new_run, new_session, question, run, session,
};

/// A run with a journal of its own and one of a child, an event, a question, and two values.
fn add(opened: &Opened, name: &str, in_session: Option<&str>) {
    let store = &opened.store;
    let new = NewRun { session: in_session.map(session), created_ms: 10, ..new_run(name, &ann()) };
    block_on(store.create_run(new)).unwrap();
    block_on(store.ask(question(name, 1, &ann()))).unwrap();
    let own = Bytes::from(format!("a value of {name}"));
    let shared = Bytes::from_static(b"a value of all");
    for journal in [run(name), run(&format!("{name}-1-0"))] {
        let with = Entry {
            root: run(name),
            events: vec![Bytes::from_static(b"0123")],
            values: [&own, &shared].map(|value| (ValueId::of(value), value.clone())).to_vec(),
            ..entry("01234567")
        };
        block_on(store.append(&journal, 0, with)).unwrap();
    }
}

fn counts(opened: &Opened) -> Vec<i64> {
    ["runs", "roots", "journals", "records", "events", "approvals", "big_values", "journal_values"]
        .map(|table| opened.number(&format!("SELECT count(*) FROM {table}")))
        .to_vec()
}

#[test]
fn old_runs_go_with_all_that_is_theirs_and_nothing_else_does() {
    let opened = empty();
    for name in ["old", "young", "open"] {
        add(&opened, name, None);
    }
    block_on(opened.store.end_run(&run("old"), ended(99))).unwrap();
    block_on(opened.store.end_run(&run("young"), ended(100))).unwrap();
    assert_eq!(counts(&opened), [3, 3, 6, 6, 6, 3, 4, 12]);
    let swept = block_on(opened.store.sweep(100)).unwrap();
    // Two records, two events and the value that no other run refers to.
    let bytes = 2 * 8 + 2 * 4 + "a value of old".len() as u64;
    assert_eq!((swept.runs, swept.values, swept.bytes), (1, 1, bytes));
    assert_eq!(counts(&opened), [2, 2, 4, 4, 4, 2, 3, 8]);
    assert_eq!(block_on(opened.store.run(&run("old"))).unwrap(), None);
    assert!(block_on(opened.store.run(&run("young"))).unwrap().is_some());
    assert_eq!(block_on(opened.store.read(&run("young-1-0"))).unwrap().values.len(), 2);
    assert_eq!(block_on(opened.store.sweep(100)).unwrap(), Swept::default());
    assert_eq!(block_on(opened.store.check()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_session_that_is_used_keeps_its_memory_and_one_that_is_left_goes() {
    let opened = empty();
    let store = &opened.store;
    for (name, at_ms) in [("used", 1), ("left", 1), ("new", 500)] {
        block_on(store.create_session(new_session(name, &ann(), at_ms))).unwrap();
    }
    add(&opened, "memory", Some("used"));
    add(&opened, "forgotten", Some("used"));
    add(&opened, "last", Some("left"));
    let remembered = |at_ms| RunEnd { remember: true, ..ended(at_ms) };
    block_on(store.end_run(&run("memory"), remembered(50))).unwrap();
    block_on(store.end_run(&run("forgotten"), ended(51))).unwrap();
    block_on(store.end_run(&run("last"), remembered(52))).unwrap();
    let later = NewRun { session: Some(session("used")), created_ms: 200, ..new_run("later", &ann()) };
    block_on(store.create_run(later)).unwrap();

    assert_eq!(block_on(store.sweep(100)).unwrap().runs, 2);
    let used = block_on(store.of(&ann()).session(&session("used"))).unwrap().unwrap();
    assert_eq!((used.memory_run, used.runs), (Some(run("memory")), 2));
    assert!(block_on(store.of(&ann()).session(&session("left"))).unwrap().is_none());
    assert!(block_on(store.of(&ann()).session(&session("new"))).unwrap().is_some());

    // When its memory is deleted, a session has none.
    block_on(store.of(&ann()).delete_run(&run("memory"))).unwrap();
    assert_eq!(block_on(store.of(&ann()).session(&session("used"))).unwrap().unwrap().memory_run, None);
}

#[test]
fn the_space_of_many_runs_and_of_files_goes_back_to_the_disk() {
    let opened = empty();
    let store = &opened.store;
    for number in 0..150 {
        let name = format!("r{number}");
        block_on(store.create_run(new_run(&name, &ann()))).unwrap();
        block_on(store.append(&run(&name), 0, Entry::new(run(&name), vec![7; 20_000]))).unwrap();
        block_on(store.end_run(&run(&name), ended(1))).unwrap();
    }
    block_on(store.put_file(new_file("f", &ann(), &"x".repeat(1_000_000)))).unwrap();
    block_on(store.delete_file(&martlet_store::FileId::new("f").unwrap())).unwrap();
    let pages = || opened.number("PRAGMA page_count");
    let before = pages();
    let swept = block_on(store.sweep(2)).unwrap();
    assert_eq!((swept.runs, swept.values, swept.bytes), (150, 1, 150 * 20_000 + 1_000_000));
    assert_eq!(opened.number("PRAGMA freelist_count"), 0);
    assert!(pages() < before / 10, "{} of {before} pages are left", pages());
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}
