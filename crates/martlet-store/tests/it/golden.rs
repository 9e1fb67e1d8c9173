//! Stores of released versions, as SQL text: today's code reads them.

use std::collections::HashMap;

use bytes::Bytes;
use futures::executor::block_on;
use martlet_core::Usage;
use martlet_store::{
    Answer, ApprovalState, Entry, FileId, Fork, Idempotency, Journal as _, KeyId, KeyRow, Lane, NewApproval,
    NewRun, NewSignIn, RunEnd, RunFilter, RunKind, RunState, Store, StoreOptions, ValueId,
};
use rusqlite::Connection;
use serde_json::json;

use crate::support::{ann, bob, empty, ended, new_file, new_run, new_session, question, run, session};

const VERSION_1: &str = include_str!("golden/version-1.sql");
const VERSION_2: &str = include_str!("golden/version-2.sql");

/// Puts one row of every shape into a store.
fn fill(store: &Store) {
    block_on(async {
        store.create_session(new_session("s", &ann(), 500)).await.unwrap();
        let whole = NewRun {
            kind: RunKind::Workflow,
            session: Some(session("s")),
            lane: Lane::Batch,
            idempotency: Some(Idempotency { key: "k".into(), body: ValueId::of(b"body") }),
            forked_from: Some(Fork { run: run("older"), step: 3 }),
            ..new_run("ended", &ann())
        };
        store.create_run(whole).await.unwrap();
        store.create_run(new_run("open", &bob())).await.unwrap();
        let value = Bytes::from_static(b"a big value");
        let with = Entry {
            root: run("ended"),
            record: Bytes::from_static(br#"{"v":1}"#),
            values: vec![(ValueId::of(&value), value)],
            events: vec![Bytes::from_static(br#"{"type":"started"}"#)],
        };
        store.append(&run("ended-1-0"), 0, with).await.unwrap();
        store.append_events(&run("ended"), vec![Bytes::from_static(br#"{"type":"ended"}"#)]).await.unwrap();
        for step in [1, 2] {
            store.ask(question("ended", step, &ann())).await.unwrap();
        }
        store.ask(NewApproval { expires_ms: 300, ..question("open", 1, &bob()) }).await.unwrap();
        store.ask(question("open", 2, &bob())).await.unwrap();
        let deny = Answer::Deny { reason: "no".into() };
        store.decide(&question("ended", 1, &ann()).id, None, deny, &bob(), 200).await.unwrap();
        store.expire(300).await.unwrap();
        store.set_state(&run("ended"), RunState::Running, 1_100).await.unwrap();
        let end = RunEnd {
            outcome: "failed".into(),
            answer: json!({ "rows": [1, 2.5, null] }),
            error: Some("it broke".into()),
            usage: Usage { input_tokens: 10, output_tokens: 5, cached_tokens: 2, reasoning_tokens: 1 },
            ended_ms: 2_000,
            remember: true,
        };
        store.end_run(&run("ended"), end).await.unwrap();
        store.request_cancel(&run("open")).await.unwrap();
        store.put_file(new_file("f", &ann(), "the content of a file")).await.unwrap();
        store.create_key(key()).await.unwrap();
    });
}

/// Puts in what there is from version 2 on.
fn fill_2(store: &Store) {
    block_on(async {
        let second = NewRun { session: Some(session("s")), created_ms: 2_100, ..new_run("second", &ann()) };
        store.create_run(second).await.unwrap();
        store.ask(question("second", 1, &ann())).await.unwrap();
        let for_run = Answer::Approve { for_run: true };
        store.decide(&question("second", 1, &ann()).id, None, for_run, &bob(), 210).await.unwrap();
        store.ask(question("second", 2, &ann())).await.unwrap();
        store.end_run(&run("second"), RunEnd { remember: true, ..ended(2_500) }).await.unwrap();
        store.of(&ann()).branch_session(&session("s"), &run("second"), &session("b"), 2_600).await.unwrap();
        store.create_key(KeyRow { id: KeyId::from_bits(8), revoked_ms: None, ..key() }).await.unwrap();
        store.sign_in(sign_in()).await.unwrap();
    });
}

fn sign_in() -> NewSignIn {
    NewSignIn { digest: ValueId::of(b"token"), key: KeyId::from_bits(8), created_ms: 40, expires_ms: 1_000 }
}

fn key() -> KeyRow {
    KeyRow {
        id: KeyId::from_bits(7),
        digest: [9; 32],
        owner: ann(),
        scopes: vec!["run".into(), "read".into()],
        label: "laptop".into(),
        created_ms: 5,
        expires_ms: Some(50),
        last_used_ms: Some(20),
        revoked_ms: Some(30),
    }
}

/// The tables and indexes of a database, by name.
fn schema(connection: &Connection) -> HashMap<String, String> {
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
}

fn database(folder: &std::path::Path) -> Connection {
    Connection::open(folder.join("martlet.db")).unwrap()
}

#[test]
fn a_store_of_version_1_reads_as_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    database(folder.path()).execute_batch(VERSION_1).unwrap();
    let old = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert_eq!(block_on(old.check()).unwrap(), Vec::<String>::new());

    // What today's code writes of the same rows is what it reads of the old ones.
    let opened = empty();
    fill(&opened.store);
    let new = &opened.store;
    block_on(async {
        for name in ["ended", "open"] {
            let found = old.run(&run(name)).await.unwrap();
            assert!(found.is_some());
            assert_eq!(found, new.run(&run(name)).await.unwrap());
        }
        let found = old.read(&run("ended-1-0")).await.unwrap();
        assert_eq!(found.records, [Bytes::from_static(br#"{"v":1}"#)]);
        assert_eq!(found, new.read(&run("ended-1-0")).await.unwrap());
        let events = old.events(&run("ended"), 0, 9).await.unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events, new.events(&run("ended"), 0, 9).await.unwrap());
        let mut states = Vec::new();
        for (root, step) in [("ended", 1), ("ended", 2), ("open", 1), ("open", 2)] {
            let id = question(root, step, &ann()).id;
            let found = old.approval(&id).await.unwrap().unwrap();
            states.push(found.state);
            assert_eq!(Some(found), new.approval(&id).await.unwrap());
        }
        use ApprovalState::{Decided, Expired, Pending, Withdrawn};
        assert_eq!(states, [Decided, Withdrawn, Expired, Pending]);
        let found = old.of(&ann()).session(&session("s")).await.unwrap().unwrap();
        assert_eq!(found.memory_run, Some(run("ended")));
        assert_eq!(Some(found), new.of(&ann()).session(&session("s")).await.unwrap());
        let file = FileId::new("f").unwrap();
        assert_eq!(old.file(&file).await.unwrap(), new.file(&file).await.unwrap());
        assert_eq!(old.file_data(&file).await.unwrap().unwrap(), "the content of a file");
        assert_eq!(old.keys().await.unwrap(), [key()]);
        // It goes on where it was.
        old.append(&run("ended-1-0"), 1, Entry::new(run("ended"), "{}")).await.unwrap();
        assert_eq!(old.append_events(&run("ended"), vec!["{}".into()]).await.unwrap(), 3);
    });
}

#[test]
fn a_store_of_version_2_reads_as_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    database(folder.path()).execute_batch(VERSION_2).unwrap();
    let old = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert_eq!(block_on(old.check()).unwrap(), Vec::<String>::new());
    let opened = empty();
    fill(&opened.store);
    fill_2(&opened.store);
    let new = &opened.store;
    block_on(async {
        for name in ["s", "b"] {
            let found = old.of(&ann()).session(&session(name)).await.unwrap();
            assert!(found.is_some());
            assert_eq!(found, new.of(&ann()).session(&session(name)).await.unwrap());
            let of = RunFilter { session: Some(session(name)), ..RunFilter::default() };
            let runs = old.of(&ann()).runs(of.clone()).await.unwrap();
            assert_eq!(runs.len(), if name == "s" { 2 } else { 1 });
            assert_eq!(runs, new.of(&ann()).runs(of).await.unwrap());
        }
        let branch = old.of(&ann()).session(&session("b")).await.unwrap().unwrap();
        assert_eq!(branch.memory_run, Some(run("ended")));
        assert_eq!(
            branch.branched_from.map(|from| (from.session, from.run)),
            Some((session("s"), run("second")))
        );
        for step in [1, 2] {
            let found = old.approval(&question("second", step, &ann()).id).await.unwrap().unwrap();
            assert_eq!(found.under.is_some(), step == 2);
            assert_eq!(Some(found), new.approval(&question("second", step, &ann()).id).await.unwrap());
        }
        let found = old.signed_in(&sign_in().digest).await.unwrap();
        assert_eq!(found.as_ref().map(|row| row.expires_ms), Some(1_000));
        assert_eq!(found, new.signed_in(&sign_in().digest).await.unwrap());
    });
}

/// Of what version 1 did not note, only what is certain is known: with what sessions can go on.
#[test]
fn a_session_of_version_1_can_be_left_for_a_branch() {
    let folder = tempfile::tempdir().unwrap();
    let old = database(folder.path());
    old.execute_batch(VERSION_1).unwrap();
    old.execute_batch("UPDATE runs SET kind = 'agent', outcome = 'succeeded' WHERE name = 'ended'").unwrap();
    drop(old);
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    fill_2(&store);
    let branch = block_on(store.of(&ann()).session(&session("b"))).unwrap().unwrap();
    assert_eq!((branch.memory_run, branch.runs), (Some(run("ended")), 1));
}

#[test]
fn an_old_store_that_was_opened_has_the_tables_of_a_new_one() {
    let opened = empty();
    for version in [VERSION_1, VERSION_2] {
        let folder = tempfile::tempdir().unwrap();
        database(folder.path()).execute_batch(version).unwrap();
        drop(Store::open(folder.path(), StoreOptions::default()).unwrap());
        assert_eq!(schema(&database(folder.path())), schema(&database(opened.folder.path())));
    }
}

/// Writes the golden text of today's version: once for each version, when it is released.
#[test]
#[ignore = "it writes the database from which `golden/version-N.sql` is dumped, into MARTLET_GOLDEN"]
fn write() {
    let store = Store::open(std::env::var_os("MARTLET_GOLDEN").unwrap(), StoreOptions::default()).unwrap();
    fill(&store);
    fill_2(&store);
}
