//! Nobody sees what is somebody else's.

use std::collections::BTreeMap;

use futures::executor::block_on;
use martlet_core::Principal;
use martlet_store::{Answer, Decided, FileId, NewRun, RunFilter, RunState, Store};
use proptest::prelude::*;

use crate::support::{empty, ended, new_file, new_run, new_session, question, run, session};

/// Users of the same name in two tenants, and names that run into each other when joined.
const OWNERS: [(&str, &str); 4] = [("acme", "ann"), ("acme", "bob"), ("other", "ann"), ("acmea", "nn")];

fn owner(number: usize) -> Principal {
    let (tenant, user) = OWNERS[number];
    Principal::new(tenant, user).unwrap()
}

#[derive(Debug, Clone)]
enum Act {
    Create,
    Delete,
    Rename,
    Decide,
}

fn act() -> impl Strategy<Value = (Act, usize, u8)> {
    let act = prop_oneof![
        4 => Just(Act::Create),
        1 => Just(Act::Delete),
        1 => Just(Act::Rename),
        1 => Just(Act::Decide),
    ];
    (act, 0..OWNERS.len(), 0_u8..8)
}

/// One thing of each kind, under a name that all users try.
#[derive(Debug, Clone, PartialEq)]
struct Thing {
    owner: usize,
    title: String,
    decided: bool,
}

type Model = BTreeMap<u8, Thing>;

fn file(number: u8) -> FileId {
    FileId::new(format!("file-{number}")).unwrap()
}

fn do_it(store: &Store, model: &mut Model, act: &Act, who: usize, number: u8) {
    let of = owner(who);
    let (session, run, file) =
        (session(&format!("session-{number}")), run(&format!("run-{number}")), file(number));
    let mine = model.get(&number).is_some_and(|thing| thing.owner == who);
    match act {
        Act::Create => {
            if model.contains_key(&number) {
                // The name is taken, whoever has it.
                block_on(store.create_session(new_session(session.as_str(), &of, 1))).unwrap_err();
                block_on(store.create_run(new_run(run.as_str(), &of))).unwrap_err();
                return;
            }
            block_on(store.create_session(new_session(session.as_str(), &of, 1))).unwrap();
            let new = NewRun { session: Some(session.clone()), ..new_run(run.as_str(), &of) };
            block_on(store.create_run(new)).unwrap();
            block_on(store.append_events(&run, vec!["{}".into()])).unwrap();
            block_on(store.ask(question(run.as_str(), 1, &of))).unwrap();
            block_on(store.put_file(new_file(file.as_str(), &of, "the same content for all"))).unwrap();
            model.insert(
                number,
                Thing { owner: who, title: format!("the title of {session}"), decided: false },
            );
        }
        Act::Delete => {
            if mine {
                block_on(store.end_run(&run, ended(1))).unwrap();
            }
            let owned = store.of(&of);
            assert_eq!(block_on(owned.delete_run(&run)).unwrap(), mine);
            assert_eq!(block_on(owned.delete_session(&session)).unwrap(), mine);
            assert_eq!(block_on(owned.delete_file(&file)).unwrap(), mine);
            if mine {
                model.remove(&number);
            }
        }
        Act::Rename => {
            let title = format!("renamed by {who}");
            assert_eq!(block_on(store.of(&of).rename_session(&session, &title)).unwrap(), mine);
            if let Some(thing) = model.get_mut(&number).filter(|_| mine) {
                thing.title = title;
            }
        }
        Act::Decide => {
            let id = question(run.as_str(), 1, &of).id;
            let decided =
                block_on(store.of(&of).decide(&id, None, Answer::Approve { for_run: false }, 1)).unwrap();
            match model.get_mut(&number).filter(|_| mine) {
                None => assert_eq!(decided, Decided::Unknown),
                Some(Thing { decided: true, .. }) => assert!(matches!(decided, Decided::Already(_))),
                Some(thing) => {
                    assert!(matches!(decided, Decided::Taken(_)));
                    thing.decided = true;
                }
            }
        }
    }
}

/// What each user sees is what the model says is theirs, by name and in lists.
fn compare(store: &Store, model: &Model) {
    for (who, (tenant, _)) in OWNERS.into_iter().enumerate() {
        let of = owner(who);
        let owned = store.of(&of);
        for number in 0..8 {
            let mine = model.get(&number).filter(|thing| thing.owner == who);
            let (session, run) = (session(&format!("session-{number}")), run(&format!("run-{number}")));
            let title = block_on(owned.session(&session)).unwrap().map(|row| row.title);
            assert_eq!(title.as_ref(), mine.map(|thing| &thing.title));
            assert_eq!(block_on(owned.run(&run)).unwrap().is_some(), mine.is_some());
            assert_eq!(block_on(owned.events(&run, 0, 9)).unwrap().is_empty(), mine.is_none());
            let id = question(run.as_str(), 1, &of).id;
            assert_eq!(block_on(owned.approval(&id)).unwrap().is_some(), mine.is_some());
            let tenants = model.get(&number).is_some_and(|thing| OWNERS[thing.owner].0 == tenant);
            assert_eq!(block_on(store.of_tenant(tenant).approval(&id)).unwrap().is_some(), tenants);
            assert_eq!(block_on(store.of_tenant(tenant).run(&run)).unwrap().is_some(), tenants);
            assert_eq!(block_on(owned.file(&file(number))).unwrap().is_some(), mine.is_some());
            assert_eq!(block_on(owned.file_data(&file(number))).unwrap().is_some(), mine.is_some());
        }
        let mine = || model.iter().filter(|(_, thing)| thing.owner == who);
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let named = |prefix: &str| mine().map(|(number, _)| format!("{prefix}-{number}")).collect::<Vec<_>>();
        let runs = block_on(owned.runs(RunFilter::default())).unwrap();
        assert!(runs.iter().all(|row| row.owner == of));
        assert_eq!(sorted(runs.into_iter().map(|row| row.id.to_string()).collect()), named("run"));
        for search in [None, Some("e")] {
            let sessions = block_on(owned.sessions(search, None, 99)).unwrap();
            assert!(sessions.iter().all(|row| row.owner == of && row.runs == 1));
            assert_eq!(
                sorted(sessions.into_iter().map(|row| row.id.to_string()).collect()),
                named("session")
            );
        }
        let files = block_on(owned.files()).unwrap();
        assert_eq!(sorted(files.into_iter().map(|row| row.id.to_string()).collect()), named("file"));
        let roots = |pending| -> Vec<String> {
            let rows = block_on(owned.approvals(pending, 99)).unwrap();
            assert!(rows.iter().all(|row| row.owner == of));
            sorted(rows.into_iter().map(|row| row.root.to_string()).collect())
        };
        assert_eq!(roots(false), named("run"));
        let pending = mine().filter(|(_, thing)| !thing.decided).map(|(number, _)| format!("run-{number}"));
        assert_eq!(roots(true), pending.collect::<Vec<_>>());
        let of_tenant = block_on(store.of_tenant(tenant).approvals(false, 99)).unwrap();
        let expected = model.values().filter(|thing| OWNERS[thing.owner].0 == tenant).count();
        assert_eq!(of_tenant.len(), expected);
        assert_eq!(block_on(owned.count(RunState::Queued)).unwrap(), mine().count() as u64);
        let bytes = "the same content for all".len() * mine().count();
        assert_eq!(block_on(store.bytes_of(&of)).unwrap(), bytes as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever users do under whichever names, each sees and changes what is their own and nothing else.
    #[test]
    fn nobody_sees_or_changes_what_is_not_their_own(acts in proptest::collection::vec(act(), 1..40)) {
        let opened = empty();
        let mut model = Model::new();
        for (act, who, number) in &acts {
            do_it(&opened.store, &mut model, act, *who, *number);
        }
        compare(&opened.store, &model);
        prop_assert_eq!(block_on(opened.store.check()).unwrap(), Vec::<String>::new());
    }
}
