//! Files and keys.

use futures::executor::block_on;
use martlet_store::{FileId, KeyId, KeyRow, StoreErrorKind};

use crate::support::{ann, bob, empty, new_file};

fn id(name: &str) -> FileId {
    FileId::new(name).unwrap()
}

#[test]
fn a_file_comes_back_as_it_was_and_its_content_is_kept_once() {
    let opened = empty();
    let store = &opened.store;
    let row = block_on(store.put_file(new_file("a", &ann(), "content"))).unwrap();
    assert_eq!(
        (&row.id, &row.owner, &*row.name, &*row.media_type),
        (&id("a"), &ann(), "../notes.txt", "text/plain")
    );
    assert_eq!((row.created_ms, row.size), (1_000, 7));
    block_on(store.put_file(new_file("b", &bob(), "content"))).unwrap();
    block_on(store.put_file(new_file("empty", &ann(), ""))).unwrap();
    assert_eq!(opened.number("SELECT count(*) FROM big_values"), 2);
    assert_eq!(block_on(store.file(&id("a"))).unwrap(), Some(row));
    assert_eq!(block_on(store.file_data(&id("a"))).unwrap().unwrap(), "content");
    assert_eq!(block_on(store.file_data(&id("empty"))).unwrap().unwrap(), "");
    assert_eq!(block_on(store.bytes_of(&ann())).unwrap(), 7);
    let error = block_on(store.put_file(new_file("a", &bob(), "other"))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);

    let names: Vec<_> = block_on(store.of(&ann()).files()).unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(names, [id("empty"), id("a")]);
    assert!(block_on(store.delete_file(&id("a"))).unwrap());
    assert!(!block_on(store.delete_file(&id("a"))).unwrap());
    assert_eq!(block_on(store.file(&id("a"))).unwrap(), None);
    assert_eq!(block_on(store.file_data(&id("a"))).unwrap(), None);
    assert_eq!(block_on(store.bytes_of(&ann())).unwrap(), 0);
    // The other file has the same content still.
    assert_eq!(block_on(store.file_data(&id("b"))).unwrap().unwrap(), "content");
}

#[test]
fn a_key_is_kept_used_and_revoked_once() {
    let opened = empty();
    let store = opened.store.clone();
    let key = KeyRow {
        id: KeyId::from_bits(7),
        digest: [9; 32],
        owner: ann(),
        scopes: vec!["run".into(), "read".into()],
        label: "laptop".into(),
        created_ms: 5,
        expires_ms: Some(50),
        last_used_ms: None,
        revoked_ms: None,
    };
    let other = KeyRow { id: KeyId::from_bits(8), owner: bob(), expires_ms: None, ..key.clone() };
    block_on(store.create_key(key.clone())).unwrap();
    block_on(store.create_key(other.clone())).unwrap();
    assert_eq!(block_on(store.create_key(key.clone())).unwrap_err().kind(), StoreErrorKind::Conflict);
    assert_eq!(block_on(store.keys()).unwrap(), [key.clone(), other.clone()]);
    block_on(store.key_used(&key.id, 20)).unwrap();
    block_on(store.key_used(&key.id, 10)).unwrap();
    assert!(block_on(store.revoke_key(&key.id, 30)).unwrap());
    assert!(!block_on(store.revoke_key(&key.id, 40)).unwrap());
    assert!(!block_on(store.revoke_key(&KeyId::from_bits(9), 40)).unwrap());
    let found = block_on(store.key(&key.id)).unwrap();
    assert_eq!(found, Some(KeyRow { last_used_ms: Some(20), revoked_ms: Some(30), ..key.clone() }));
    assert_eq!(block_on(store.key(&other.id)).unwrap(), Some(other));
    assert_eq!(block_on(store.key(&KeyId::from_bits(9))).unwrap(), None);
    assert!(!format!("{key:?}").contains('9'), "the digest is not shown");
}
