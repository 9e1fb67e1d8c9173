//! A disk that is full.

use bytes::Bytes;
use futures::executor::block_on;
use futures::future::join_all;
use martlet_store::{Entry, Journal as _, Store, StoreErrorKind};

use crate::support::{ann, empty, entry, new_run, run};

/// Appends until there is no space, and gives how many records there are.
fn fill(store: &Store, size: usize) -> u64 {
    let mut kept = 0;
    loop {
        match block_on(store.append(&run("r"), kept, entry(vec![7; size]))) {
            Ok(()) => kept += 1,
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Full);
                assert!(error.to_string().contains("nothing was written; make space on its disk"), "{error}");
                return kept;
            }
        }
        assert!(kept < 1_000, "the disk never got full");
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing_and_work_goes_on_when_there_is_space() {
    let opened = empty();
    let store = opened.store.clone();
    block_on(store.create_run(new_run("r", &ann()))).unwrap();
    block_on(store.limit_bytes(400_000)).unwrap();
    let kept = fill(&store, 4_000);
    // All can be read, and what needs no space can be done.
    assert_eq!(block_on(store.read(&run("r"))).unwrap().records.len() as u64, kept);
    assert!(block_on(store.request_cancel(&run("r"))).unwrap());
    let error = block_on(store.append(&run("r"), kept, entry(vec![7; 4_000]))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);
    block_on(store.limit_bytes(16_000_000)).unwrap();
    block_on(store.append(&run("r"), kept, entry(vec![7; 4_000]))).unwrap();
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_too_big_does_not_take_along_what_is_written_with_it() {
    let opened = empty();
    let store = opened.store.clone();
    block_on(store.limit_bytes(400_000)).unwrap();
    let appends = (0..50).map(|number| {
        let size = if number == 25 { 1_000_000 } else { 10 };
        let event = Bytes::from_static(b"{}");
        let big = Entry { events: vec![event], ..entry(vec![7; size]) };
        let (store, name) = (&store, run(&format!("r{number}")));
        async move { store.append(&name, 0, big).await.map_err(|error| error.kind()) }
    });
    for (number, result) in block_on(join_all(appends)).into_iter().enumerate() {
        let expected = if number == 25 { Err(StoreErrorKind::Full) } else { Ok(()) };
        assert_eq!(result, expected, "append {number}");
    }
    let events = block_on(store.events(&run("root"), 0, 100)).unwrap();
    assert_eq!(events.len(), 49, "an event for each that was written");
}
