//! Saved sessions.

use martlet_core::code::CodeRequest;
use martlet_core::message::Blob;
use martlet_sandbox::{ErrorKind, Sandbox as _};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_saved_session_goes_on_in_another_sandbox() {
    let mut saved = None;
    for (place, sandbox) in sandboxes().into_iter().chain(sandboxes()) {
        let mut session = sandbox.open(options());
        let code = "try:\n    n += 1\nexcept NameError:\n    n = 1\ndef f(): return n\nf()";
        let end = run(&mut *session, code, saved).await;
        assert_eq!(end.error, None, "{place}");
        saved = end.session;
    }
    let pool = pool();
    let mut session = pool.open(options());
    assert_eq!(value(&run(&mut *session, "f()", saved).await), json!(4));
}

#[tokio::test]
async fn damaged_and_foreign_bytes_are_refused() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let saved = run(&mut *session, "x = [1, 2, 3]", None).await.session.unwrap().0;
        let mut flipped = saved.to_vec();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let cut = saved[..saved.len() - 1].to_vec();
        for bytes in [flipped, cut, b"PK\x03\x04 something else".to_vec(), Vec::new()] {
            let request = CodeRequest::start("x", Some(Blob(bytes.into())));
            let error = session.perform(request, None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Snapshot, "{place}");
            assert!(error.to_string().contains("start the run again"), "{place}: {error}");
        }
        let end = run(&mut *session, "x", Some(Blob(saved))).await;
        assert_eq!(value(&end), json!([1, 2, 3]), "{place}");
    }
}

#[tokio::test]
async fn limits_are_those_of_the_session_that_restores() {
    for (place, sandbox) in sandboxes() {
        let mut strict = sandbox.open(limits(|limits| limits.time_ms = 50));
        let saved = run(&mut *strict, "x = 1", None).await.session;
        let mut generous = sandbox.open(options());
        let code = "n = 0\nwhile n < 1000000: n += 1\nx";
        assert_eq!(value(&run(&mut *generous, code, saved).await), json!(1), "{place}");
    }
}

#[tokio::test]
async fn variables_too_large_to_keep_are_an_error_that_says_so() {
    let pool = pool();
    let mut session = pool.open(options());
    let end = run(&mut *session, "x = 'a' * 60_000_000", None).await;
    let (kind, message) = error(&end);
    assert!(kind == "MemoryError" && message.contains("48 MiB"), "{kind}: {message}");
    assert_eq!(end.session, None);
}
