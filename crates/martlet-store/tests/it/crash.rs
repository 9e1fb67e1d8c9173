//! A process that is killed loses nothing that it acknowledged.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures::executor::block_on;
use futures::future::join_all;
use martlet_store::{Entry, Journal as _, Store, StoreOptions, ValueId};
use proptest::prelude::RngExt as _;
use proptest::test_runner::TestRunner;

use crate::support::run;

const WRITERS: usize = 8;
const KILLS: usize = 50;

/// The process that [`a_killed_process_loses_nothing_that_it_acknowledged`] kills: it appends to several runs at once for
/// ever, and says which records were acknowledged.
#[test]
#[ignore = "the process that another test starts and kills"]
fn victim() {
    let store = Store::open(std::env::var_os("MARTLET_VICTIM").unwrap(), StoreOptions::default()).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = &store;
        async move {
            let name = run(&format!("run-{writer}"));
            let mut seq = store.read(&name).await.unwrap().records.len() as u64;
            loop {
                store.append(&name, seq, entry(writer, seq)).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "ack {writer} {seq}").unwrap();
                out.flush().unwrap();
                seq += 1;
            }
        }
    });
    block_on(join_all(writers));
}

/// A record with one event, and a value that four records share.
fn entry(writer: usize, seq: u64) -> Entry {
    let record = Bytes::from(format!("{writer}:{seq}:").repeat(50));
    let value = value(seq);
    Entry {
        events: vec![record.clone()],
        values: vec![(ValueId::of(&value), value)],
        ..Entry::new(run(&format!("root-{}", writer % 2)), record)
    }
}

fn value(seq: u64) -> Bytes {
    Bytes::from(format!("value {}", seq / 4).repeat(100))
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = TestRunner::deterministic();
    let mut acknowledged = [0_u64; WRITERS];
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "crash::victim", "--nocapture"])
            .env("MARTLET_VICTIM", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut take = |line: &str| {
            if let Some((writer, seq)) =
                line.trim().strip_prefix("ack ").and_then(|rest| rest.split_once(' '))
            {
                let (writer, seq): (usize, u64) = (writer.parse().unwrap(), seq.parse().unwrap());
                acknowledged[writer] = acknowledged[writer].max(seq + 1);
            }
        };
        let until = random.rng().random_range(1..120);
        let mut seen = 0;
        while seen < until {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "the victim ended by itself");
            seen += u32::from(line.starts_with("ack"));
            take(&line);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died counts, too; its last line may be cut.
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let complete = rest.rfind('\n').map_or("", |end| &rest[..end]);
        complete.lines().for_each(&mut take);

        // Whoever only looks sees it, too, before anybody has repaired anything.
        let reader = Store::open_read_only(folder.path()).unwrap();
        let seen = block_on(reader.read(&run("run-0"))).unwrap().records.len();
        assert!(seen as u64 >= acknowledged[0], "{seen} of {}", acknowledged[0]);
        drop(reader);
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let mut events = [0, 0];
        for (writer, acknowledged) in acknowledged.iter().enumerate() {
            let read = block_on(store.read(&run(&format!("run-{writer}")))).unwrap();
            assert!(
                read.records.len() as u64 >= *acknowledged,
                "run-{writer}: {} of {acknowledged}",
                read.records.len()
            );
            events[writer % 2] += read.records.len();
            for (seq, record) in (0..).zip(&read.records) {
                assert_eq!(*record, entry(writer, seq).record);
                assert_eq!(read.values[&ValueId::of(&value(seq))], value(seq));
            }
        }
        // Whoever has a record has its event.
        for (root, records) in events.into_iter().enumerate() {
            let events = block_on(store.events(&run(&format!("root-{root}")), 0, usize::MAX)).unwrap();
            assert_eq!(events.len(), records);
        }
    }
    assert!(acknowledged.iter().all(|count| *count > 0), "{acknowledged:?}");
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}
