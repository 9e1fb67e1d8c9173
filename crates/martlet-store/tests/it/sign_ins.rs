//! Browsers in which somebody signed in.

use futures::executor::block_on;
use martlet_store::{KeyId, KeyRow, NewSignIn, StoreErrorKind, ValueId};

use crate::support::{ann, bob, empty};

fn key(number: u128) -> KeyRow {
    KeyRow {
        id: KeyId::from_bits(number),
        digest: [7; 32],
        owner: if number == 1 { ann() } else { bob() },
        scopes: vec!["run".into()],
        label: String::new(),
        created_ms: 1,
        expires_ms: None,
        last_used_ms: None,
        revoked_ms: None,
    }
}

fn token(number: u64) -> ValueId {
    ValueId::of(&number.to_le_bytes())
}

fn new(number: u64, of: u128, at_ms: u64) -> NewSignIn {
    NewSignIn {
        digest: token(number),
        key: KeyId::from_bits(of),
        created_ms: at_ms,
        expires_ms: at_ms + 1_000,
    }
}

#[test]
fn a_browser_has_the_key_as_it_is_now_until_it_is_signed_out() {
    let opened = empty();
    let store = &opened.store;
    let error = block_on(store.sign_in(new(1, 1, 10))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unknown);
    block_on(store.create_key(key(1))).unwrap();
    block_on(store.sign_in(new(1, 1, 10))).unwrap();
    let row = block_on(store.signed_in(&token(1))).unwrap().unwrap();
    assert_eq!((&row.key, row.created_ms, row.expires_ms), (&key(1), 10, 1_010));
    assert_eq!(block_on(store.signed_in(&token(2))).unwrap(), None);
    block_on(store.revoke_key(&key(1).id, 20)).unwrap();
    assert_eq!(block_on(store.signed_in(&token(1))).unwrap().unwrap().key.revoked_ms, Some(20));
    assert!(block_on(store.sign_out(&token(1))).unwrap());
    assert!(!block_on(store.sign_out(&token(1))).unwrap());
    assert_eq!(block_on(store.signed_in(&token(1))).unwrap(), None);
}

#[test]
fn what_expired_is_forgotten_and_nobody_fills_the_store_with_browsers() {
    let opened = empty();
    let store = &opened.store;
    for number in [1, 2] {
        block_on(store.create_key(key(number))).unwrap();
    }
    block_on(store.sign_in(new(1, 1, 10))).unwrap();
    block_on(store.sign_in(new(2, 2, 500))).unwrap();
    for number in 10..160 {
        block_on(store.sign_in(new(number, 2, 1_010))).unwrap();
    }
    assert_eq!(block_on(store.signed_in(&token(1))).unwrap(), None);
    assert_eq!(opened.number("SELECT count(*) FROM sign_ins"), 100);
    assert_eq!(block_on(store.signed_in(&token(59))).unwrap(), None);
    assert!(block_on(store.signed_in(&token(60))).unwrap().is_some());
    assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
}
