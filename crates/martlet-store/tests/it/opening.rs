//! What is opened, what is refused, and what damage is found.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use bytes::Bytes;
use futures::executor::block_on;
use martlet_store::{Entry, Journal as _, Store, StoreErrorKind, StoreOptions, ValueId};
use proptest::prelude::RngExt as _;
use proptest::test_runner::TestRunner;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{ann, empty, entry, new_run, run};

fn open(folder: &Path) -> Store {
    Store::open(folder, StoreOptions::default()).unwrap()
}

fn refusal(folder: &Path) -> (StoreErrorKind, String) {
    let error = Store::open(folder, StoreOptions::default()).unwrap_err();
    (error.kind(), error.to_string())
}

/// A folder with a store that has records, and is closed.
fn filled(records: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for seq in 0..records {
        let event = Bytes::from(format!("{{\"event\":{seq}}}"));
        let entry = Entry { events: vec![event], ..entry(format!("record {seq}")) };
        block_on(store.append(&run("r"), seq, entry)).unwrap();
    }
    folder
}

fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("martlet.db")
}

/// Changes a byte of the first place where the file has these bytes.
fn spoil(folder: &TempDir, text: &[u8]) {
    let content = std::fs::read(file(folder)).unwrap();
    let place = content.windows(text.len()).position(|window| window == text).unwrap();
    let mut file = std::fs::File::options().write(true).open(file(folder)).unwrap();
    file.seek(SeekFrom::Start(place as u64)).unwrap();
    file.write_all(&[text[0] ^ 0x20]).unwrap();
}

#[test]
fn what_was_written_is_there_the_next_time() {
    let folder = filled(3);
    assert!(!folder.path().join("martlet.db-wal").exists(), "after a clean end the file alone is the store");
    let store = open(folder.path());
    let records = block_on(store.read(&run("r"))).unwrap().records;
    assert_eq!(records, ["record 0", "record 1", "record 2"].map(Bytes::from));
    block_on(store.append(&run("r"), 3, entry(Bytes::new()))).unwrap();
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
    assert_eq!(store.version(), 2);
}

#[cfg(unix)]
#[test]
fn what_is_made_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let rights = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("data").join("deep");
    let store = open(&folder);
    block_on(store.append(&run("r"), 0, entry("0"))).unwrap();
    block_on(store.backup_to(&folder.join("copy.db"))).unwrap();
    assert_eq!(rights(&folder), 0o700);
    for file in ["martlet.db", "martlet.db-wal", "martlet.db-shm", "copy.db"] {
        assert_eq!(rights(&folder.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_second_writer_is_refused_while_the_first_one_lives() {
    let opened = empty();
    let clone = opened.store.clone();
    let (kind, text) = refusal(opened.folder.path());
    assert_eq!(kind, StoreErrorKind::Locked);
    let start = format!("process {} has the store in ", std::process::id());
    assert!(text.starts_with(&start) && text.ends_with("end it, or choose another folder"), "{text}");
    drop(opened.store);
    assert_eq!(refusal(opened.folder.path()).0, StoreErrorKind::Locked);
    drop(clone);
    drop(open(opened.folder.path()));
}

#[test]
fn a_reader_sees_what_a_writer_beside_it_commits_and_writes_nothing() {
    let opened = empty();
    block_on(opened.store.create_run(new_run("r", &ann()))).unwrap();
    let reader = Store::open_read_only(opened.folder.path()).unwrap();
    assert!(block_on(reader.run(&run("r"))).unwrap().is_some());
    block_on(opened.store.append(&run("r"), 0, entry("0"))).unwrap();
    assert_eq!(block_on(reader.read(&run("r"))).unwrap().records.len(), 1);
    let error = block_on(reader.request_cancel(&run("r"))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().contains("open to read only"), "{error}");
    // Also when the writer has gone, and a copy can be made.
    drop(opened.store);
    assert_eq!(block_on(reader.unfinished()).unwrap().len(), 1);
    block_on(reader.backup_to(&opened.folder.path().join("copy.db"))).unwrap();
    drop(reader);
    let reader = Store::open_read_only(opened.folder.path()).unwrap();
    assert_eq!(block_on(reader.check()).unwrap(), Vec::<String>::new());
    drop(reader);
    drop(open(opened.folder.path()));
}

#[test]
fn there_is_nothing_to_read_where_there_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open_read_only(folder.path()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unknown);
    assert!(error.to_string().starts_with("there is no store in "), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_of_a_newer_version_is_refused_untouched() {
    let folder = filled(1);
    let connection = Connection::open(file(&folder)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = std::fs::read(file(&folder)).unwrap();
    let (kind, text) = refusal(folder.path());
    assert_eq!(kind, StoreErrorKind::Incompatible);
    assert!(
        text.contains("has version 99, and this version of Martlet reads up to 2: update Martlet"),
        "{text}"
    );
    assert_eq!(Store::open_read_only(folder.path()).unwrap_err().kind(), StoreErrorKind::Incompatible);
    assert_eq!(std::fs::read(file(&folder)).unwrap(), before);
}

#[test]
fn what_is_no_store_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    Connection::open(file(&folder)).unwrap().execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    let before = std::fs::read(file(&folder)).unwrap();
    let (kind, text) = refusal(folder.path());
    assert_eq!(kind, StoreErrorKind::Incompatible);
    assert!(text.contains("is a database of another application"), "{text}");
    assert_eq!(std::fs::read(file(&folder)).unwrap(), before);

    let letter = "a letter, and no database at all\n".repeat(400);
    std::fs::write(file(&folder), &letter).unwrap();
    let (kind, text) = refusal(folder.path());
    assert_eq!(kind, StoreErrorKind::Damaged);
    assert!(text.contains("keep a copy of its folder, and restore a backup"), "{text}");
    assert_eq!(std::fs::read(file(&folder)).unwrap(), letter.as_bytes());
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("file");
    std::fs::write(&folder, "").unwrap();
    let (kind, text) = refusal(&folder);
    assert_eq!(kind, StoreErrorKind::Unavailable);
    assert!(text.contains(folder.to_str().unwrap()), "{text}");
}

#[test]
fn a_byte_that_was_flipped_is_found() {
    let folder = filled(50);
    spoil(&folder, b"record 17");
    spoil(&folder, b"{\"event\":23}");
    let store = open(folder.path());
    let error = block_on(store.read(&run("r"))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Damaged);
    assert!(error.to_string().contains("record 17 of run r is not what was written"), "{error}");
    let error = block_on(store.events(&run("root"), 0, 100)).unwrap_err();
    assert!(error.to_string().contains("event 24 of run root is not what was written"), "{error}");
    // What is not hit can still be read.
    assert_eq!(block_on(store.events(&run("root"), 24, 100)).unwrap().len(), 26);
    assert_eq!(
        block_on(store.check()).unwrap(),
        ["record 17 of run r is not what was written", "event 24 of run root is not what was written"]
    );
}

#[test]
fn a_value_that_was_flipped_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let value = Bytes::from("a picture of a martlet".repeat(10));
    let id = ValueId::of(&value);
    let store = open(folder.path());
    let with = Entry { values: vec![(id, value)], ..entry("0") };
    block_on(store.append(&run("r"), 0, with)).unwrap();
    drop(store);
    spoil(&folder, b"a picture");
    let store = open(folder.path());
    assert_eq!(block_on(store.read(&run("r"))).unwrap_err().kind(), StoreErrorKind::Damaged);
    assert_eq!(block_on(store.check()).unwrap(), [format!("value {id} is not what was written")]);
}

/// Wherever the damage is, what is read is what was written, or an error.
#[test]
fn damage_anywhere_never_gives_what_was_not_written() {
    let folder = filled(40);
    let whole = std::fs::read(file(&folder)).unwrap();
    let written: Vec<Bytes> = (0..40).map(|seq| Bytes::from(format!("record {seq}"))).collect();
    let mut random = TestRunner::deterministic();
    for _ in 0..60 {
        let place = random.rng().random_range(0..whole.len());
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << random.rng().random_range(0..8);
        std::fs::write(file(&folder), &damaged).unwrap();
        let Ok(store) = Store::open(folder.path(), StoreOptions::default()) else { continue };
        if let Ok(read) = block_on(store.read(&run("r"))) {
            // A run whose name was hit is a run that is not known.
            assert!(read.records == written || read.records.is_empty(), "byte {place}");
        }
    }
}

#[test]
fn a_copy_is_a_store_of_its_own_and_replaces_nothing() {
    let opened = empty();
    block_on(opened.store.append(&run("r"), 0, entry("0"))).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = file(&elsewhere);
    block_on(opened.store.backup_to(&copy)).unwrap();
    block_on(opened.store.append(&run("r"), 1, entry("1"))).unwrap();
    let error = block_on(opened.store.backup_to(&copy)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().contains("choose another name"), "{error}");
    let copied = open(elsewhere.path());
    assert_eq!(block_on(copied.read(&run("r"))).unwrap().records, [Bytes::from_static(b"0")]);
    assert_eq!(block_on(copied.check()).unwrap(), Vec::<String>::new());
    block_on(copied.append(&run("r"), 1, entry("another 1"))).unwrap();
}
