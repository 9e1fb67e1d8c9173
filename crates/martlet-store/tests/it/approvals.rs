//! Questions to people: each is decided once.

use futures::executor::block_on;
use martlet_core::Principal;
use martlet_store::{
    Answer, ApprovalId, ApprovalKind, ApprovalRow, ApprovalState, Decided, NewApproval, Store,
    StoreErrorKind, StoreOptions, ValueId,
};
use serde_json::json;

use crate::support::{ann, bob, empty, ended, new_run, question, run};

fn deny(reason: &str) -> Answer {
    Answer::Deny { reason: reason.into() }
}

fn find(store: &Store, id: &ApprovalId) -> ApprovalRow {
    block_on(store.approval(id)).unwrap().unwrap()
}

#[test]
fn a_question_waits_is_decided_and_keeps_its_answer_also_after_a_restart() {
    let opened = empty();
    let new = question("r", 1, &ann());
    let id = new.id.clone();
    assert_eq!(block_on(opened.store.ask(new.clone())).unwrap(), None);
    assert_eq!(block_on(opened.store.ask(new.clone())).unwrap(), None);
    let row = find(&opened.store, &id);
    assert_eq!(
        (&row.root, &row.effect, &row.owner, row.kind),
        (&new.root, &new.effect, &new.owner, new.kind)
    );
    assert_eq!((&row.tool, &row.arguments, row.digest), (&new.tool, &new.arguments, new.digest));
    assert_eq!((row.asked_ms, row.expires_ms, row.state), (100, 1_000, ApprovalState::Pending));
    assert_eq!((&row.answer, &row.by, row.decided_ms), (&None, &None, None));

    let folder = opened.folder;
    drop(opened.store);
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert_eq!(find(&store, &id), row);
    let serde_json::Value::Object(arguments) = json!({ "path": "/tmp" }) else { unreachable!() };
    let edit = Answer::Edit { arguments };
    let taken = block_on(store.decide(&id, Some(new.digest), edit.clone(), &bob(), 500)).unwrap();
    let row = find(&store, &id);
    assert_eq!(taken, Decided::Taken(row.clone()));
    assert_eq!(
        (row.state, &row.answer, &row.by),
        (ApprovalState::Decided, &Some(edit.clone()), &Some(bob()))
    );
    assert_eq!(row.decided_ms, Some(500));
    assert_eq!(block_on(store.ask(new)).unwrap(), Some(edit));
    assert_eq!(
        block_on(store.decide(&id, None, Answer::Approve { for_run: false }, &ann(), 600)).unwrap(),
        Decided::Already(row)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_decide_at_once_exactly_one_is_taken() {
    let opened = empty();
    let new = question("r", 1, &ann());
    opened.store.ask(new.clone()).await.unwrap();
    let mut deciders = tokio::task::JoinSet::new();
    for number in 0..100 {
        let (store, id) = (opened.store.clone(), new.id.clone());
        deciders.spawn(async move {
            let by = Principal::new("acme", format!("user-{number}")).unwrap();
            let answer = if number % 2 == 0 { Answer::Approve { for_run: false } } else { deny("no") };
            (by.clone(), answer.clone(), store.decide(&id, None, answer, &by, 200).await.unwrap())
        });
    }
    let mut taken = Vec::new();
    let mut told = Vec::new();
    while let Some(joined) = deciders.join_next().await {
        let (by, answer, decided) = joined.unwrap();
        match decided {
            Decided::Taken(row) => {
                assert_eq!((row.by, row.answer), (Some(by.clone()), Some(answer.clone())));
                taken.push((by, answer));
            }
            Decided::Already(row) => told.push((row.by.unwrap(), row.answer.unwrap())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((taken.len(), told.len()), (1, 99));
    assert!(told.iter().all(|decision| *decision == taken[0]));
    assert_eq!(opened.store.ask(new).await.unwrap(), Some(taken[0].1.clone()));
}

#[test]
fn nobody_is_no_answer_but_a_denial() {
    let opened = empty();
    let store = opened.store.clone();
    let (soon, late) =
        (question("r", 1, &ann()), NewApproval { expires_ms: 5_000, ..question("r", 2, &ann()) });
    for new in [&soon, &late] {
        block_on(store.ask(new.clone())).unwrap();
    }
    assert!(block_on(store.expire(999)).unwrap().is_empty());
    let expired = block_on(store.expire(1_000)).unwrap();
    assert_eq!(expired, [find(&store, &soon.id)]);
    assert_eq!((expired[0].state, expired[0].decided_ms), (ApprovalState::Expired, Some(1_000)));
    assert!(block_on(store.expire(1_001)).unwrap().is_empty());
    assert_eq!(block_on(store.ask(soon.clone())).unwrap(), Some(deny("nobody decided in time")));
    let decided =
        block_on(store.decide(&soon.id, None, Answer::Approve { for_run: false }, &ann(), 900)).unwrap();
    assert_eq!(decided, Decided::Expired(expired[0].clone()));
    // Too late is too late, also before somebody looked; and whoever looks still learns of it.
    let decided =
        block_on(store.decide(&late.id, None, Answer::Approve { for_run: false }, &ann(), 5_000)).unwrap();
    assert_eq!(decided, Decided::Expired(find(&store, &late.id)));
    assert_eq!(find(&store, &late.id).answer, None);
    assert_eq!(block_on(store.expire(5_000)).unwrap(), [find(&store, &late.id)]);
    assert_eq!(find(&store, &late.id).state, ApprovalState::Expired);
    let unknown = ApprovalId::from_bits(7);
    assert_eq!(
        block_on(store.decide(&unknown, None, Answer::Approve { for_run: false }, &ann(), 1)).unwrap(),
        Decided::Unknown
    );
    assert_eq!(block_on(store.approval(&unknown)).unwrap(), None);
}

#[test]
fn the_end_of_the_run_withdraws_the_question() {
    let opened = empty();
    let store = opened.store.clone();
    block_on(store.create_run(new_run("r", &ann()))).unwrap();
    let new = question("r", 1, &ann());
    block_on(store.ask(new.clone())).unwrap();
    block_on(store.end_run(&run("r"), ended(300))).unwrap();
    let row = find(&store, &new.id);
    assert_eq!((row.state, row.decided_ms), (ApprovalState::Withdrawn, Some(300)));
    assert_eq!(
        block_on(store.decide(&new.id, None, Answer::Approve { for_run: false }, &ann(), 400)).unwrap(),
        Decided::Withdrawn(row)
    );
    let withdrawn = Some(deny("the run ended before somebody decided"));
    assert_eq!(block_on(store.ask(new)).unwrap(), withdrawn);
    // A run that has ended asks nobody anything.
    let later = question("r", 2, &ann());
    assert_eq!(block_on(store.ask(later.clone())).unwrap(), withdrawn);
    assert_eq!(find(&store, &later.id).state, ApprovalState::Withdrawn);
    assert_eq!(block_on(store.run(&run("r"))).unwrap().unwrap().pending, 0);
}

#[test]
fn a_decision_counts_for_what_was_seen_alone() {
    let opened = empty();
    let store = opened.store.clone();
    let new = question("r", 1, &ann());
    block_on(store.ask(new.clone())).unwrap();
    let seen = Some(ValueId::of(b"something else"));
    let changed =
        block_on(store.decide(&new.id, seen, Answer::Approve { for_run: false }, &ann(), 200)).unwrap();
    assert_eq!(changed, Decided::Changed(find(&store, &new.id)));
    assert_eq!(find(&store, &new.id).state, ApprovalState::Pending);
    assert!(matches!(
        block_on(store.decide(&new.id, Some(new.digest), Answer::Approve { for_run: false }, &ann(), 200))
            .unwrap(),
        Decided::Taken(_)
    ));
    // The same effect asks for something else, as when a tool changed between a crash and the restart.
    let other = NewApproval { digest: ValueId::of(b"delete /"), asked_ms: 300, ..new };
    assert_eq!(block_on(store.ask(other.clone())).unwrap(), None);
    let row = find(&store, &other.id);
    assert_eq!((row.state, row.answer, row.digest), (ApprovalState::Pending, None, other.digest));
}

#[test]
fn an_answer_must_fit_the_question() {
    let opened = empty();
    let store = opened.store.clone();
    let answers = [
        (Answer::Approve { for_run: false }, ApprovalKind::Call),
        (Answer::Edit { arguments: serde_json::Map::new() }, ApprovalKind::Call),
        (Answer::Reply { text: "42".into() }, ApprovalKind::Question),
        (Answer::Repeat, ApprovalKind::Doubt),
        (Answer::Done { output: json!(null) }, ApprovalKind::Doubt),
    ];
    let kinds = [ApprovalKind::Call, ApprovalKind::Question, ApprovalKind::Doubt];
    let mut step = 0;
    for (answer, fitting) in answers {
        for kind in kinds {
            step += 1;
            let new = NewApproval { kind, ..question("r", step, &ann()) };
            block_on(store.ask(new.clone())).unwrap();
            let decided = block_on(store.decide(&new.id, None, answer.clone(), &ann(), 1));
            if kind == fitting {
                assert!(matches!(decided.unwrap(), Decided::Taken(_)));
                assert_eq!(block_on(store.ask(new)).unwrap(), Some(answer.clone()));
            } else {
                let error = decided.unwrap_err();
                assert_eq!(error.kind(), StoreErrorKind::Refused);
                assert!(
                    error.to_string().starts_with(&format!("that is no answer to a {kind}: ")),
                    "{error}"
                );
                assert_eq!(find(&store, &new.id).state, ApprovalState::Pending);
                assert!(matches!(
                    block_on(store.decide(&new.id, None, deny("no"), &ann(), 1)).unwrap(),
                    Decided::Taken(_)
                ));
            }
        }
    }
}

#[test]
fn answers_have_one_form_in_json() {
    for (answer, json) in [
        (Answer::Approve { for_run: false }, json!({ "decision": "approve" })),
        (FOR_RUN, json!({ "decision": "approve", "for_run": true })),
        (deny("no"), json!({ "decision": "deny", "reason": "no" })),
        (Answer::Reply { text: "42".into() }, json!({ "decision": "reply", "text": "42" })),
        (Answer::Repeat, json!({ "decision": "repeat" })),
        (Answer::Done { output: json!(1) }, json!({ "decision": "done", "output": 1 })),
    ] {
        assert_eq!(serde_json::to_value(&answer).unwrap(), json);
        assert_eq!(serde_json::from_value::<Answer>(json).unwrap(), answer);
    }
}

#[test]
fn those_who_decide_for_a_tenant_see_its_questions_and_the_runs_that_ask() {
    let opened = empty();
    let store = opened.store.clone();
    let elsewhere = Principal::new("other", "ann").unwrap();
    for (name, owner) in [("a", ann()), ("b", bob()), ("c", elsewhere)] {
        block_on(store.create_run(new_run(name, &owner))).unwrap();
        block_on(store.ask(question(name, 1, &owner))).unwrap();
    }
    block_on(store.create_run(new_run("quiet", &ann()))).unwrap();
    let acme = store.of_tenant("acme");
    let asked: Vec<_> = block_on(acme.approvals(true, 9)).unwrap().into_iter().map(|row| row.root).collect();
    assert_eq!(asked, [run("b"), run("a")]);
    assert_eq!(block_on(acme.approvals(true, 1)).unwrap().len(), 1);
    assert!(block_on(acme.run(&run("a"))).unwrap().is_some());
    assert!(block_on(acme.run(&run("quiet"))).unwrap().is_none());
    assert!(block_on(acme.run(&run("c"))).unwrap().is_none());
    let (of_bob, of_other) = (question("b", 1, &bob()).id, question("c", 1, &ann()).id);
    assert!(block_on(acme.approval(&of_bob)).unwrap().is_some());
    assert!(block_on(acme.approval(&of_other)).unwrap().is_none());
    assert_eq!(
        block_on(acme.decide(&of_other, None, Answer::Approve { for_run: false }, &ann(), 1)).unwrap(),
        Decided::Unknown
    );
    assert!(matches!(
        block_on(acme.decide(&of_bob, None, Answer::Approve { for_run: false }, &ann(), 1)).unwrap(),
        Decided::Taken(row) if row.by == Some(ann())
    ));
    assert_eq!(block_on(acme.approvals(true, 9)).unwrap().len(), 1);
    assert_eq!(block_on(acme.approvals(false, 9)).unwrap().len(), 2);
}

const FOR_RUN: Answer = Answer::Approve { for_run: true };

#[test]
fn what_is_approved_for_the_run_is_not_asked_again_also_after_a_restart() {
    let opened = empty();
    let first = question("r", 1, &ann());
    assert_eq!(block_on(opened.store.ask(first.clone())).unwrap(), None);
    let taken = block_on(opened.store.decide(&first.id, None, FOR_RUN, &bob(), 200)).unwrap();
    assert!(matches!(&taken, Decided::Taken(row) if row.answer == Some(FOR_RUN)));
    assert_eq!(block_on(opened.store.ask(first.clone())).unwrap(), Some(FOR_RUN));
    let folder = opened.folder;
    drop(opened.store);

    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let other = ValueId::of(b"delete /tmp");
    let later = NewApproval { digest: other, asked_ms: 300, ..question("r", 2, &ann()) };
    let once = Some(Answer::Approve { for_run: false });
    assert_eq!(block_on(store.ask(later.clone())).unwrap(), once);
    let row = find(&store, &later.id);
    assert_eq!((row.state, &row.answer, &row.by), (ApprovalState::Decided, &once, &Some(bob())));
    assert_eq!((row.asked_ms, row.decided_ms, row.under), (300, Some(300), Some(first.id)));
    // A replay of the run gets the same answer, and nobody else's counts.
    assert_eq!(block_on(store.ask(later.clone())).unwrap(), once);
    let late = block_on(store.decide(&later.id, None, deny("no"), &ann(), 400)).unwrap();
    assert!(matches!(late, Decided::Already(_)));
    assert_eq!(block_on(store.count_pending()).unwrap(), 0);
}

#[test]
fn what_is_approved_for_the_run_is_so_for_this_run_and_this_tool_alone() {
    let opened = empty();
    let store = &opened.store;
    let decide = |new: &NewApproval, answer: Answer| {
        block_on(store.ask(new.clone())).unwrap();
        let decided = block_on(store.decide(&new.id, None, answer, &ann(), 200)).unwrap();
        assert!(matches!(decided, Decided::Taken(_)));
    };
    // It waited before the other one was approved: a person sees it.
    let waiting = question("r", 9, &ann());
    block_on(store.ask(waiting.clone())).unwrap();
    decide(&question("r", 1, &ann()), FOR_RUN);
    assert_eq!(find(store, &waiting.id).state, ApprovalState::Pending);
    assert_eq!(block_on(store.ask(waiting)).unwrap(), None);

    let doubt = NewApproval { kind: ApprovalKind::Doubt, ..question("r", 2, &ann()) };
    let asked = NewApproval { kind: ApprovalKind::Question, ..question("r", 3, &ann()) };
    let another = NewApproval { tool: "delete_all".into(), ..question("r", 4, &ann()) };
    for new in [doubt, asked, another, question("s", 1, &ann()), question("r2", 1, &ann())] {
        assert_eq!(block_on(store.ask(new)).unwrap(), None);
    }
    // No other answer counts for more than its own question.
    let arguments = serde_json::Map::new();
    for (root, answer) in [
        ("once", Answer::Approve { for_run: false }),
        ("edited", Answer::Edit { arguments }),
        ("denied", deny("no")),
    ] {
        decide(&question(root, 1, &ann()), answer);
        assert_eq!(block_on(store.ask(question(root, 2, &ann()))).unwrap(), None, "{root}");
    }
    // A run that has ended asks nothing any more.
    block_on(store.create_run(new_run("r", &ann()))).unwrap();
    block_on(store.end_run(&run("r"), ended(300))).unwrap();
    let late = block_on(store.ask(question("r", 7, &ann()))).unwrap();
    assert_eq!(late, Some(deny("the run ended before somebody decided")));
}
