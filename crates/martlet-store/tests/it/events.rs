//! Events: numbered by the commits, without gaps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::executor::block_on;
use martlet_core::RunId;
use martlet_store::{Entry, Journal as _, StoreOptions, StoredEvent};

use crate::support::{ann, bob, empty, entry, new_run, run, with};

fn texts(events: &[StoredEvent]) -> Vec<(u64, String)> {
    events.iter().map(|event| (event.seq, String::from_utf8(event.event.to_vec()).unwrap())).collect()
}

#[test]
fn the_events_of_a_run_and_of_the_runs_in_it_have_one_numbering() {
    let opened = empty();
    let store = opened.store.clone();
    let with = |root: &str, events: &[&'static str]| Entry {
        events: events.iter().map(|event| Bytes::from_static(event.as_bytes())).collect(),
        ..Entry::new(run(root), "record")
    };
    block_on(store.append(&run("r"), 0, with("r", &["a", "b"]))).unwrap();
    block_on(store.append(&run("other"), 0, with("other", &["x"]))).unwrap();
    block_on(store.append(&run("r-1-0"), 0, with("r", &["c"]))).unwrap();
    assert_eq!(block_on(store.append_events(&run("r"), vec!["d".into(), "e".into()])).unwrap(), 5);
    assert_eq!(block_on(store.append_events(&run("r"), Vec::new())).unwrap(), 5);
    assert_eq!(block_on(store.append_events(&run("new"), Vec::new())).unwrap(), 0);
    // What is refused has no events.
    block_on(store.append(&run("r"), 0, with("r", &["never"]))).unwrap_err();
    block_on(store.append(&run("r"), 7, with("r", &["never"]))).unwrap_err();
    block_on(store.append(&run("r"), 1, with("r", &["f"]))).unwrap();

    let all = texts(&block_on(store.events(&run("r"), 0, 100)).unwrap());
    let expected = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"), (6, "f")];
    assert_eq!(all, expected.map(|(seq, text)| (seq, text.to_owned())));
    assert_eq!(texts(&block_on(store.events(&run("r"), 2, 3)).unwrap()), all[2..5]);
    assert!(block_on(store.events(&run("r"), 6, 3)).unwrap().is_empty());
    assert!(block_on(store.events(&run("r"), u64::MAX, 3)).unwrap().is_empty());
    assert!(block_on(store.events(&run("nobody"), 0, 3)).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_dense_and_told_in_order_however_many_write() {
    const ROOTS: usize = 3;
    const EACH: u64 = 30;
    let told: Arc<Mutex<HashMap<RunId, Vec<StoredEvent>>>> = Arc::default();
    let log = told.clone();
    let opened = with(StoreOptions::new().on_commit(move |root, event| {
        log.lock().unwrap().entry(root.clone()).or_default().push(event.clone());
    }));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..24_usize {
        let (store, told) = (opened.store.clone(), told.clone());
        writers.spawn(async move {
            let root = run(&format!("root-{}", writer % ROOTS));
            let journal = run(&format!("run-{writer}"));
            for seq in 0..EACH {
                let events = [0, 1].map(|half| Bytes::from(format!("{writer}/{seq}/{half}"))).to_vec();
                if writer % 2 == 0 {
                    let with = Entry { events: events.clone(), ..Entry::new(root.clone(), "record") };
                    store.append(&journal, seq, with).await.unwrap();
                } else {
                    store.append_events(&root, events.clone()).await.unwrap();
                }
                // Who appended knows that everybody was told, of both together.
                let told = told.lock().unwrap();
                let place = told[&root].iter().position(|event| event.event == events[0]).unwrap();
                assert_eq!(told[&root][place + 1].event, events[1]);
            }
        });
    }
    while let Some(joined) = writers.join_next().await {
        joined.unwrap();
    }
    let told = told.lock().unwrap().clone();
    for number in 0..ROOTS {
        let root = run(&format!("root-{number}"));
        let stored = opened.store.events(&root, 0, usize::MAX).await.unwrap();
        let numbers: Vec<u64> = stored.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=8 * 2 * EACH).collect::<Vec<_>>());
        assert_eq!(told[&root], stored);
    }
}

#[test]
fn an_observer_that_panics_harms_nobody() {
    let opened = with(StoreOptions::new().on_commit(|_, event| assert!(event.seq != 1, "on purpose")));
    let with = || Entry { events: vec!["{}".into()], ..entry("0") };
    block_on(opened.store.append(&run("r"), 0, with())).unwrap();
    block_on(opened.store.append(&run("r"), 1, with())).unwrap();
    assert_eq!(block_on(opened.store.events(&run("root"), 0, 9)).unwrap().len(), 2);
}

#[test]
fn an_observer_may_hold_the_store() {
    let slot: Arc<Mutex<Option<martlet_store::Store>>> = Arc::default();
    let held = slot.clone();
    let opened = with(StoreOptions::new().on_commit(move |_, _| drop(held.lock().unwrap().take())));
    *slot.lock().unwrap() = Some(opened.store.clone());
    let store = opened.store;
    block_on(store.append_events(&run("r"), vec!["{}".into()])).unwrap();
    assert!(slot.lock().unwrap().is_none());
    // The handle of the observer is gone; the store works on, and ends with the last one.
    block_on(store.append_events(&run("r"), vec!["{}".into()])).unwrap();
}

#[test]
fn owners_read_the_events_of_their_runs_alone() {
    let opened = empty();
    let store = opened.store.clone();
    block_on(store.create_run(new_run("r", &ann()))).unwrap();
    block_on(store.append_events(&run("r"), vec!["{}".into()])).unwrap();
    assert_eq!(block_on(store.of(&ann()).events(&run("r"), 0, 9)).unwrap().len(), 1);
    assert!(block_on(store.of(&bob()).events(&run("r"), 0, 9)).unwrap().is_empty());
}
