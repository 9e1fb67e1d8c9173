//! Variables that a session is given from outside.

use std::sync::Arc;

use martlet_core::code::{CodeEnd, CodeRequest};
use martlet_core::message::Blob;
use martlet_sandbox::Session;
use serde_json::{Value, json};

use crate::support::*;

async fn given(session: &mut dyn Session, variables: Value, code: &str, saved: Option<Blob>) -> CodeEnd {
    let Value::Object(variables) = variables else { panic!("variables are an object") };
    let request = CodeRequest::Start { code: code.into(), session: saved, variables: Arc::new(variables) };
    ended(session.perform(request, None).await.unwrap())
}

#[tokio::test]
async fn a_program_finds_them_defined_and_so_do_the_next_ones() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let variables = json!({"rows": [{"n": 1}, {"n": 2}], "name": "Ada", "nothing": null, "half": 0.5});
        let code = "import json\n[sum(row['n'] for row in rows), name.upper(), nothing is None, half * 2]";
        let end = given(&mut *session, variables, code, None).await;
        assert_eq!(value(&end), json!([3, "ADA", true, 1.0]), "{place}: {:?}", end.error);
        let end = run(&mut *session, "rows.append(1)\nlen(rows)", end.session).await;
        assert_eq!(value(&end), json!(3), "{place}");
        // A session that goes on can be given more.
        let end = given(&mut *session, json!({"more": 4}), "len(rows) + more", end.session).await;
        assert_eq!(value(&end), json!(7), "{place}");
    }
}

#[tokio::test]
async fn large_values_are_given_as_they_are() {
    let text = "line of a file\n".repeat(300_000);
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let end = given(&mut *session, json!({"text": text}), "len(text.split('\\n'))", None).await;
        assert_eq!(value(&end), json!(300_001), "{place}: {:?}", end.error);
    }
}

#[tokio::test]
async fn a_program_that_never_begins_leaves_no_session_without_them() {
    for (place, sandbox) in sandboxes() {
        let mut session = sandbox.open(options());
        let before = run(&mut *session, "x = 1", None).await.session;
        let end = given(&mut *session, json!({"n": 2}), "import nowhere", before.clone()).await;
        assert!(end.error.is_some(), "{place}");
        let again = match end.session {
            // Nothing was saved: the variables have to be given again.
            None => given(&mut *session, json!({"n": 2}), "x + n", before).await,
            Some(session_with_them) => run(&mut *session, "x + n", Some(session_with_them)).await,
        };
        assert_eq!(value(&again), json!(3), "{place}");
    }
}

#[test]
fn names_that_programs_cannot_use_are_refused() {
    assert_eq!(options().check_variable("rows"), Ok(()));
    for name in ["search", "final_answer", "list", "lambda", "a b", ""] {
        assert!(options().check_variable(name).is_err(), "{name}");
    }
}
