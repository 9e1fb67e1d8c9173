//! Sessions that begin as another one did.

use futures::executor::block_on;
use martlet_core::Principal;
use martlet_store::{
    Branch, NewRun, NewSession, RunEnd, RunFilter, SessionRow, Store, StoreError, StoreErrorKind,
};

use crate::support::{ann, bob, empty, ended, new_run, new_session, run, session};

/// A session `s` with the runs `a` to `d`, of which `c` failed, and the others are remembered.
fn filled(store: &Store) {
    let untitled = NewSession { title: String::new(), ..new_session("s", &ann(), 1) };
    block_on(store.create_session(untitled)).unwrap();
    for (at_ms, name) in (10..).zip(["a", "b", "c", "d"]) {
        add(store, "s", name, at_ms, name != "c");
    }
}

fn add(store: &Store, to: &str, name: &str, at_ms: u64, remember: bool) {
    let new = NewRun { session: Some(session(to)), created_ms: at_ms, ..new_run(name, &ann()) };
    block_on(store.create_run(new)).unwrap();
    block_on(store.end_run(&run(name), RunEnd { remember, ..ended(at_ms) })).unwrap();
}

fn branch(
    store: &Store,
    owner: &Principal,
    of: &str,
    before: &str,
    new: &str,
) -> Result<SessionRow, StoreError> {
    block_on(store.of(owner).branch_session(&session(of), &run(before), &session(new), 100))
}

fn runs(store: &Store, of: &str) -> Vec<String> {
    let filter = RunFilter { session: Some(session(of)), ..RunFilter::default() };
    block_on(store.of(&ann()).runs(filter)).unwrap().into_iter().map(|row| row.id.to_string()).collect()
}

fn find(store: &Store, id: &str) -> Option<SessionRow> {
    block_on(store.of(&ann()).session(&session(id))).unwrap()
}

#[test]
fn a_branch_has_the_runs_before_and_what_was_said_in_them() {
    let opened = empty();
    let store = &opened.store;
    filled(store);
    for (before, taken, memory) in [
        ("a", &[][..], None),
        ("b", &["a"][..], Some("a")),
        ("c", &["b", "a"], Some("b")),
        ("d", &["c", "b", "a"], Some("b")),
    ] {
        let name = format!("before-{before}");
        let made = branch(store, &ann(), "s", before, &name).unwrap();
        assert_eq!(made, find(store, &name).unwrap());
        assert_eq!((made.memory_run, made.runs), (memory.map(run), taken.len() as u64), "{before}");
        assert_eq!(made.branched_from, Some(Branch { session: session("s"), run: run(before) }));
        assert_eq!((&*made.agent, made.created_ms), ("assistant", 100));
        assert_eq!(runs(store, &name), taken);
        // It is found by what was said in it.
        let found = block_on(store.of(&ann()).sessions(Some("the title of a"), None, 99)).unwrap();
        assert_eq!(found.iter().any(|row| row.id == session(&name)), !taken.is_empty());
    }
    // It goes its own way, and can be left in its turn, also at a run that it took over.
    add(store, "before-c", "e", 200, true);
    assert_eq!(runs(store, "before-c"), ["e", "b", "a"]);
    assert_eq!(runs(store, "s"), ["d", "c", "b", "a"]);
    assert_eq!(find(store, "s").unwrap().memory_run, Some(run("d")));
    assert_eq!(branch(store, &ann(), "before-c", "e", "again").unwrap().memory_run, Some(run("b")));
    assert_eq!(branch(store, &ann(), "before-c", "b", "earlier").unwrap().memory_run, Some(run("a")));
    assert_eq!(
        (runs(store, "again"), runs(store, "earlier")),
        (vec!["b".into(), "a".into()], vec!["a".into()])
    );
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}

#[test]
fn what_cannot_be_left_is_refused() {
    let opened = empty();
    let store = &opened.store;
    filled(store);
    block_on(store.create_session(new_session("other", &ann(), 1))).unwrap();
    for (owner, of, before, new, kind) in [
        (bob(), "s", "b", "n", StoreErrorKind::Unknown),
        (ann(), "other", "b", "n", StoreErrorKind::Unknown),
        (ann(), "s", "nothing", "n", StoreErrorKind::Unknown),
        (ann(), "nothing", "b", "n", StoreErrorKind::Unknown),
        (ann(), "s", "b", "other", StoreErrorKind::Conflict),
    ] {
        let error = branch(store, &owner, of, before, new).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    for name in ["open", "next"] {
        let new = NewRun { session: Some(session("s")), ..new_run(name, &ann()) };
        block_on(store.create_run(new)).unwrap();
    }
    // The run itself may be under way, those before it may not.
    branch(store, &ann(), "s", "open", "n").unwrap();
    let error = branch(store, &ann(), "s", "next", "m").unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().starts_with("run open comes before it and has not ended"), "{error}");
}

#[test]
fn a_session_without_a_title_has_that_of_its_first_run() {
    let opened = empty();
    let store = &opened.store;
    filled(store);
    assert_eq!(find(store, "s").unwrap().title, "the title of a");
    assert_eq!(branch(store, &ann(), "s", "c", "n").unwrap().title, "the title of a");
    assert_eq!(branch(store, &ann(), "s", "a", "m").unwrap().title, "");
    add(store, "m", "z", 200, true);
    assert_eq!(find(store, "m").unwrap().title, "the title of z");
    block_on(store.of(&ann()).rename_session(&session("s"), "Mine")).unwrap();
    assert_eq!(find(store, "s").unwrap().title, "Mine");
    assert_eq!(find(store, "n").unwrap().title, "the title of a");
    assert_eq!(branch(store, &ann(), "s", "c", "o").unwrap().title, "Mine");
}

#[test]
fn a_branch_outlives_the_session_that_it_left() {
    let opened = empty();
    let store = &opened.store;
    filled(store);
    branch(store, &ann(), "s", "c", "n").unwrap();
    branch(store, &ann(), "s", "b", "m").unwrap();
    assert!(block_on(store.of(&ann()).delete_session(&session("s"))).unwrap());
    assert_eq!((runs(store, "n"), runs(store, "m")), (vec!["b".into(), "a".into()], vec!["a".into()]));
    let left = find(store, "n").unwrap();
    assert_eq!((left.memory_run, left.runs, left.branched_from), (Some(run("b")), 2, None));
    // What no other session has taken over is gone.
    assert!(block_on(store.run(&run("c"))).unwrap().is_none());
    assert_eq!(block_on(store.run(&run("a"))).unwrap().unwrap().session, Some(session("n")));
    // And once more, down to the last one.
    assert!(block_on(store.of(&ann()).delete_session(&session("n"))).unwrap());
    assert_eq!((runs(store, "m"), find(store, "m").unwrap().runs), (vec!["a".into()], 1));
    assert!(block_on(store.run(&run("b"))).unwrap().is_none());
    assert!(block_on(store.of(&ann()).delete_session(&session("m"))).unwrap());
    assert_eq!(opened.number("SELECT count(*) FROM runs"), 0);
    assert_eq!(opened.number("SELECT count(*) FROM taken_over"), 0);
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_session_outlives_its_branches() {
    let opened = empty();
    let store = &opened.store;
    filled(store);
    branch(store, &ann(), "s", "c", "n").unwrap();
    assert!(block_on(store.of(&ann()).delete_session(&session("n"))).unwrap());
    assert_eq!(runs(store, "s"), ["d", "c", "b", "a"]);
    assert_eq!(opened.number("SELECT count(*) FROM taken_over"), 0);
    // Who deletes a run, deletes it everywhere; nothing goes on with its memory.
    branch(store, &ann(), "s", "c", "n").unwrap();
    assert!(block_on(store.of(&ann()).delete_run(&run("b"))).unwrap());
    assert_eq!((runs(store, "n"), find(store, "n").unwrap().memory_run), (vec!["a".into()], None));
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}

#[test]
fn what_a_used_branch_goes_on_with_is_not_swept() {
    let opened = empty();
    let store = &opened.store;
    filled(store);
    branch(store, &ann(), "s", "c", "n").unwrap();
    assert_eq!(block_on(store.sweep(50)).unwrap().runs, 3);
    assert_eq!((runs(store, "n"), runs(store, "s")), (vec!["b".to_owned()], vec!["b".to_owned()]));
    assert_eq!(block_on(store.sweep(1_000)).unwrap().runs, 1);
    assert_eq!(opened.number("SELECT count(*) FROM sessions"), 0);
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}
