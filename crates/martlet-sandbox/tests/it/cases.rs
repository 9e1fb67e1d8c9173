//! Programs as models write them, against what CPython 3.11 printed: `tests/cases/python.json`.
//!
//! `scripts/python-cases.py` runs the same format through the command-line program.

use serde::Deserialize;

use crate::support::{options, run, sandboxes};

#[derive(Deserialize)]
struct Case {
    id: u32,
    theme: String,
    /// The programs of one session.
    snippets: Vec<String>,
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    stdout: String,
    /// The exception's class.
    error: Option<String>,
}

#[tokio::test]
async fn programs_print_what_cpython_prints() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../cases/python.json")).unwrap();
    assert!(cases.len() >= 40);
    let (_, sandbox) = sandboxes().remove(0);
    let mut failures = Vec::new();
    for case in cases {
        let mut session = sandbox.open(options());
        let mut saved = None;
        for (code, expected) in case.snippets.iter().zip(&case.expected) {
            let end = run(&mut *session, code, saved).await;
            let kind = end.error.as_ref().map(|error| &error.kind);
            if end.stdout != expected.stdout || kind != expected.error.as_ref() {
                failures.push(format!(
                    "case {} ({})\n{code}\nexpected {:?} {:?}\nfound    {:?} {:?}",
                    case.id, case.theme, expected.stdout, expected.error, end.stdout, end.error
                ));
            }
            saved = end.session;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
