//! Sessions.

use futures::executor::block_on;
use martlet_store::{NewRun, NewSession, Store, StoreErrorKind};

use crate::support::{ann, bob, empty, ended, new_run, new_session, run, session};

fn list(store: &Store, search: Option<&str>, before: Option<&str>, limit: usize) -> Vec<String> {
    let before = before.map(session);
    let rows = block_on(store.of(&ann()).sessions(search, before.as_ref(), limit)).unwrap();
    rows.into_iter().map(|row| row.id.to_string()).collect()
}

#[test]
fn a_session_comes_back_as_it_was_created_and_can_be_renamed() {
    let opened = empty();
    let store = opened.store.clone();
    let row = block_on(store.create_session(new_session("s", &ann(), 5))).unwrap();
    assert_eq!(
        (&row.id, &row.owner, &*row.title, &*row.agent),
        (&session("s"), &ann(), "the title of s", "assistant")
    );
    assert_eq!((row.created_ms, row.updated_ms, &row.memory_run, row.runs), (5, 5, &None, 0));
    assert_eq!(block_on(store.of(&ann()).session(&session("s"))).unwrap(), Some(row));
    let error = block_on(store.create_session(new_session("s", &bob(), 5))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    assert!(block_on(store.of(&ann()).rename_session(&session("s"), "new")).unwrap());
    assert!(!block_on(store.of(&ann()).rename_session(&session("x"), "new")).unwrap());
    assert_eq!(block_on(store.of(&ann()).session(&session("s"))).unwrap().unwrap().title, "new");
}

#[test]
fn sessions_are_listed_by_their_last_use_and_found_by_words() {
    let opened = empty();
    let store = opened.store.clone();
    for (name, title, at_ms) in [("a", "100% cotton", 10), ("b", "Weather", 20), ("c", "1000 trees", 30)] {
        let new = NewSession { title: title.into(), ..new_session(name, &ann(), at_ms) };
        block_on(store.create_session(new)).unwrap();
    }
    block_on(store.create_session(new_session("of-bob", &bob(), 40))).unwrap();
    assert_eq!(list(&store, None, None, 9), ["c", "b", "a"]);
    let title = "Is it raining in Rome?".to_owned();
    let used = NewRun { session: Some(session("a")), created_ms: 50, title, ..new_run("r", &ann()) };
    block_on(store.create_run(used)).unwrap();
    assert_eq!(list(&store, None, None, 9), ["a", "c", "b"]);
    assert_eq!(list(&store, None, Some("a"), 1), ["c"]);
    assert_eq!(list(&store, None, Some("b"), 9), [""; 0]);
    assert_eq!(list(&store, None, Some("of-bob"), 9), [""; 0]);
    assert_eq!(list(&store, Some("weather"), None, 9), ["b"]);
    assert_eq!(list(&store, Some("rome"), None, 9), ["a"]);
    // A text is a text and no pattern.
    assert_eq!(list(&store, Some("100%"), None, 9), ["a"]);
    assert_eq!(list(&store, Some("_"), None, 9), [""; 0]);
    assert_eq!(list(&store, Some("\\"), None, 9), [""; 0]);
    assert_eq!(list(&store, Some("' OR 1=1 --"), None, 9), [""; 0]);
}

#[test]
fn a_session_is_deleted_with_its_runs_once_they_have_ended() {
    let opened = empty();
    let store = &opened.store;
    block_on(store.create_session(new_session("s", &ann(), 1))).unwrap();
    for name in ["a", "b"] {
        block_on(store.create_run(NewRun { session: Some(session("s")), ..new_run(name, &ann()) })).unwrap();
        block_on(store.append_events(&run(name), vec!["{}".into()])).unwrap();
    }
    block_on(store.create_run(new_run("alone", &ann()))).unwrap();
    block_on(store.end_run(&run("a"), ended(2))).unwrap();
    let error = block_on(store.of(&ann()).delete_session(&session("s"))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().starts_with("run b of session s has not ended"), "{error}");
    assert_eq!(opened.number("SELECT count(*) FROM runs"), 3);
    block_on(store.end_run(&run("b"), ended(3))).unwrap();
    assert!(block_on(store.of(&ann()).delete_session(&session("s"))).unwrap());
    assert!(!block_on(store.of(&ann()).delete_session(&session("s"))).unwrap());
    assert_eq!(opened.number("SELECT count(*) FROM runs"), 1);
    assert_eq!(opened.number("SELECT count(*) FROM events"), 0);
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}
