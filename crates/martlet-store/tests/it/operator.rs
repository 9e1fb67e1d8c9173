//! Those who run a server see the rows of all.

use futures::executor::block_on;
use martlet_store::{ApprovalId, RunState};

use crate::support::{ann, bob, empty, ended, new_run, question, run};

#[test]
fn runs_and_questions_of_all_owners_are_listed_and_found_by_the_beginnings_of_their_names() {
    let opened = empty();
    let store = &opened.store;
    block_on(async {
        for (name, owner) in [("run_aa1", ann()), ("run_ab2", bob()), ("run_b-3", ann()), ("run_b_4", bob())]
        {
            store.create_run(new_run(name, &owner)).await.unwrap();
        }
        store.end_run(&run("run_aa1"), ended(9)).await.unwrap();
        let names = |rows: Vec<martlet_store::RunRow>| -> Vec<String> {
            rows.into_iter().map(|row| row.id.to_string()).collect()
        };
        let all = store.all_runs(None, None, 10).await.unwrap();
        assert_eq!(names(all), ["run_b_4", "run_b-3", "run_ab2", "run_aa1"]);
        let before = store.all_runs(None, Some(&run("run_b-3")), 1).await.unwrap();
        assert_eq!(names(before), ["run_ab2"]);
        let over = store.all_runs(Some(RunState::Ended), None, 10).await.unwrap();
        assert_eq!(names(over), ["run_aa1"]);

        let begins = async |prefix| store.runs_named(prefix, 10).await.unwrap();
        assert_eq!(begins("run_a").await, [run("run_ab2"), run("run_aa1")]);
        // A letter that stands for any in patterns stands for itself.
        assert_eq!(begins("run_b_").await, [run("run_b_4")]);
        assert_eq!(begins("RUN_A").await, []);
        assert_eq!(begins("un_a").await, []);

        for (root, owner) in [("run_ab2", bob()), ("run_b-3", ann())] {
            for step in [1, 2] {
                store.ask(question(root, step, &owner)).await.unwrap();
            }
        }
        store.end_run(&run("run_b-3"), ended(9)).await.unwrap();
        assert_eq!(store.all_approvals(false, 10).await.unwrap().len(), 4);
        let pending = store.all_approvals(true, 10).await.unwrap();
        assert!(pending.len() == 2 && pending.iter().all(|row| row.owner == bob()));
        let of_run = store.approvals_of(&run("run_ab2")).await.unwrap();
        let steps: Vec<u32> = of_run.iter().map(|row| row.effect.step).collect();
        assert_eq!(steps, [1, 2], "the oldest first");
        let id: &ApprovalId = &of_run[0].id;
        let named = store.approvals_named(&id.as_str()[..20], 10).await.unwrap();
        assert!(named.len() == 1 && named[0] == *id);
        assert_eq!(store.approvals_named("appr_", 3).await.unwrap().len(), 3);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_file_system_of_a_folder_that_is_not_there_is_that_of_the_one_above() {
    let folder = tempfile::tempdir().unwrap();
    let here = martlet_store::FileSystem::of(folder.path()).unwrap();
    assert!(!here.kind.is_empty());
    assert_eq!(martlet_store::FileSystem::of(&folder.path().join("not/there")).unwrap(), here);
}
