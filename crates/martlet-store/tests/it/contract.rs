//! What every journal promises.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use martlet_store::{Entry, Journal, MemoryJournal, StoreErrorKind, ValueId};
use proptest::prelude::*;

use crate::support::{entry, every_journal, run};

#[test]
fn an_unknown_run_has_no_records() {
    for (journal, _folder) in every_journal() {
        assert!(block_on(journal.read(&run("nobody"))).unwrap().records.is_empty());
    }
}

#[test]
fn errors_say_what_happened() {
    for (journal, _folder) in every_journal() {
        let run = run("r1");
        block_on(journal.append(&run, 0, entry(Bytes::from_static(b"a")))).unwrap();
        let conflict = block_on(journal.append(&run, 0, entry(Bytes::from_static(b"a")))).unwrap_err();
        assert_eq!(conflict.kind(), StoreErrorKind::Conflict);
        assert!(conflict.to_string().contains("run r1 has a record 0 already (the next is 1)"), "{conflict}");
        let gap = block_on(journal.append(&run, 2, entry(Bytes::new()))).unwrap_err();
        assert_eq!(gap.kind(), StoreErrorKind::Gap);
        assert_eq!(gap.to_string(), "record 2 of run r1 would leave a gap: the next is 1");
        assert_eq!(block_on(journal.read(&run)).unwrap().records, [Bytes::from_static(b"a")]);
    }
}

#[test]
fn a_future_that_is_never_polled_writes_nothing() {
    for (journal, _folder) in every_journal() {
        let run = run("r");
        drop(journal.append(&run, 0, entry(Bytes::new())));
        assert!(block_on(journal.read(&run)).unwrap().records.is_empty());
    }
}

#[test]
fn big_values_come_back_with_the_runs_that_refer_to_them() {
    let value = |text: &'static str| (ValueId::of(text.as_bytes()), Bytes::from_static(text.as_bytes()));
    let with = |record: &'static str, values: Vec<(ValueId, Bytes)>| Entry { values, ..entry(record) };
    for (journal, _folder) in every_journal() {
        let (one, two) = (value("a picture"), value("a long text"));
        block_on(journal.append(&run("r"), 0, with("0", vec![one.clone(), two.clone()]))).unwrap();
        block_on(journal.append(&run("r"), 1, with("1", vec![one.clone()]))).unwrap();
        block_on(journal.append(&run("other"), 0, with("0", vec![one.clone()]))).unwrap();
        // An append that is refused leaves no value behind.
        block_on(journal.append(&run("other"), 0, with("0", vec![two.clone()]))).unwrap_err();
        let read = |name: &str| block_on(journal.read(&run(name))).unwrap().values;
        assert_eq!(read("r"), HashMap::from([one.clone(), two]));
        assert_eq!(read("other"), HashMap::from([one]));
    }
}

#[test]
fn a_forgotten_run_starts_anew() {
    let journal = MemoryJournal::new();
    let run = run("r");
    block_on(journal.append(&run, 0, entry(Bytes::new()))).unwrap();
    assert!(journal.forget(&run));
    assert!(!journal.forget(&run));
    assert!(journal.is_empty());
    block_on(journal.append(&run, 0, entry(Bytes::new()))).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_writers_one_wins_each_record() {
    for (journal, _folder) in every_journal() {
        contend(journal).await;
    }
}

async fn contend(journal: Arc<dyn Journal>) {
    const WRITERS: u8 = 8;
    const RECORDS: u64 = 60;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let journal = journal.clone();
        writers.spawn(async move {
            let run = run("contested");
            let mut won = Vec::new();
            for seq in 0..RECORDS {
                match journal.append(&run, seq, entry(vec![writer])).await {
                    Ok(()) => won.push(seq),
                    Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict),
                }
                tokio::task::yield_now().await;
            }
            (writer, won)
        });
    }
    let mut owners: HashMap<u64, u8> = HashMap::new();
    while let Some(joined) = writers.join_next().await {
        let (writer, won) = joined.unwrap();
        for seq in won {
            assert_eq!(owners.insert(seq, writer), None, "two writers won record {seq}");
        }
    }
    let records = (0..RECORDS).map(|seq| Bytes::from(vec![owners[&seq]])).collect::<Vec<_>>();
    assert_eq!(journal.read(&run("contested")).await.unwrap().records, records);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any sequence of appends to a few runs gives what a list per run would give.
    #[test]
    fn a_journal_is_a_list_for_each_run(
        appends in proptest::collection::vec((0_u8..3, 0_u64..6, any::<[u8; 2]>()), 0..60),
    ) {
        for (journal, _folder) in every_journal() {
            let mut model: HashMap<u8, Vec<Bytes>> = HashMap::new();
            for (number, seq, record) in &appends {
                let record = Bytes::copy_from_slice(record);
                let list = model.entry(*number).or_default();
                let next = list.len() as u64;
                let name = run(&format!("run-{number}"));
                match block_on(journal.append(&name, *seq, entry(record.clone()))).map_err(|error| error.kind()) {
                    Ok(()) => {
                        prop_assert_eq!(*seq, next);
                        list.push(record);
                    }
                    Err(StoreErrorKind::Conflict) => prop_assert!(*seq < next),
                    Err(kind) => {
                        prop_assert_eq!(kind, StoreErrorKind::Gap);
                        prop_assert!(*seq > next);
                    }
                }
            }
            for (number, list) in model {
                let read = block_on(journal.read(&run(&format!("run-{number}")))).unwrap();
                prop_assert_eq!(read.records, list);
            }
        }
    }
}
