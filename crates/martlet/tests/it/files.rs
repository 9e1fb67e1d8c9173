//! Files that go with a run, and what is remembered from one run to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::Watched;
use martlet::core::{ModelRequest, Role};
use martlet::{Agent, Part, RunId, Session};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use serde_json::json;

fn table() -> Part {
    let rows: String = (1..=3_000).map(|row| format!("{row},{}\n", row * row)).collect();
    Part::file("squares.csv", "text/csv", format!("n,square\n{rows}").into_bytes())
}

/// Reads row 2,500 of the table, and tells what it saw.
fn reader() -> Agent {
    let model = ScriptedModel::from_fn(|request: &ModelRequest, _| {
        let whole: usize = request.messages.iter().map(|message| message.joined_text().len()).sum();
        assert!(whole < 12_000, "the file is not written out: {whole}");
        match request.messages.iter().rev().find(|message| message.role == Role::Tool) {
            None => {
                let offered = request.tools.iter().any(|tool| tool.name == "read_file");
                let call = ("read_file", json!({"name": "squares.csv", "start": 2_501, "count": 1}));
                if offered {
                    ScriptedReply::tool_calls([call])
                } else {
                    ScriptedReply::text("nothing to read with")
                }
            }
            Some(told) => ScriptedReply::text(told.joined_text().lines().next().unwrap_or_default()),
        }
    });
    Agent::tool_calling(model).build().unwrap()
}

#[tokio::test]
async fn a_run_with_files_can_read_them_also_when_it_is_resumed() {
    let result = reader().run("What is the square of 2500?").part(table()).await.unwrap();
    assert_eq!(result.output, json!("2500,6250000"));
    let without = reader().run("And?").part(table()).without_tools(["read_file"]).await;
    assert!(without.is_err() || without.unwrap().output == json!("nothing to read with"));
    for stop_after in 0..20 {
        let (journal, id) = (Watched::new(stop_after), RunId::new("r").unwrap());
        let run =
            reader().run("What is the square of 2500?").part(table()).id(id.clone()).journal(journal.clone());
        let whole = tokio::select! {
            result = run => Some(result.unwrap()),
            () = journal.reached.notified() => None,
        };
        if whole.is_some() {
            assert!(stop_after > 2);
            return;
        }
        let after = Watched::of(journal.memory.clone(), usize::MAX);
        let result = reader().resume(id).journal(after).await.unwrap();
        assert_eq!(result.output, json!("2500,6250000"), "cut after record {stop_after}");
    }
    panic!("the run never ended");
}

#[tokio::test]
async fn programs_read_files_by_a_function_and_later_runs_of_a_session_still_have_them() {
    let model = ScriptedModel::from_fn(|request: &ModelRequest, _| {
        let told = request.messages.last().unwrap().joined_text();
        match told.contains("later") {
            false => "```python\nrows = read_file(name='a.bin.csv').splitlines()\nfinal_answer(rows[1])\n```",
            true => "```python\nfinal_answer(read_file('a.bin.csv').splitlines()[2])\n```",
        }
        .to_owned()
    });
    let agent = Agent::code(model).build().unwrap();
    let mut session = Session::new(agent);
    // No UTF-8, so that it is no variable of the programs.
    let file = Part::file("a.bin.csv", "text/csv", &b"n;caf\xe9\n1;x\n2;y\n"[..]);
    let first = session.request("Now.").part(file).await.unwrap();
    assert_eq!(first.output, json!("1,x"));
    session.remember(&first);
    let second = session.run("And later?").await.unwrap();
    assert_eq!(second.output, json!("2,y"));
}

/// Talks a lot, and writes summaries when it is asked to.
fn talker(summaries: Arc<AtomicUsize>) -> Agent {
    let model = ScriptedModel::from_fn(move |request: &ModelRequest, _| {
        let system = request.messages[0].joined_text();
        if system.starts_with("You keep the memory") {
            let count = summaries.fetch_add(1, Ordering::SeqCst) + 1;
            return ScriptedReply::text(format!("Summary number {count}: the user's name is Ann."));
        }
        let knows = request.messages.iter().any(|message| message.joined_text().contains("Ann"));
        ScriptedReply::text(format!("{} {}", if knows { "Ann!" } else { "Who?" }, "and so on ".repeat(60)))
    });
    Agent::tool_calling(model).memory_tokens(600).build().unwrap()
}

#[tokio::test]
async fn a_long_conversation_stays_within_its_memory_and_knows_what_was_said_first() {
    let summaries = Arc::new(AtomicUsize::new(0));
    let mut session = Session::new(talker(summaries.clone()));
    session.run("My name is Ann.").await.unwrap();
    for question in 0..30 {
        let result = session.run(format!("Who am I? ({question})")).await.unwrap();
        assert!(result.output.as_str().unwrap().starts_with("Ann!"), "{question}: {}", result.output);
        assert!(martlet::core::memory::estimate(session.history()) < 900, "{question}");
    }
    let count = summaries.load(Ordering::SeqCst);
    assert!((3..=20).contains(&count), "{count} summaries for 31 runs");
}

#[tokio::test]
async fn a_summary_is_made_once_however_often_the_run_is_taken_up_again() {
    let mut session = Session::new(talker(Arc::default()));
    for turn in 0..4 {
        session.run(format!("My name is Ann. ({turn})")).await.unwrap();
    }
    let history = session.history().to_vec();
    for stop_after in 0..10 {
        let (summaries, id) = (Arc::new(AtomicUsize::new(0)), RunId::new("r").unwrap());
        let journal = Watched::new(stop_after);
        let first = talker(summaries.clone());
        let run = first.run("Who am I?").history(history.clone()).id(id.clone()).journal(journal.clone());
        let whole = tokio::select! {
            result = run => Some(result.unwrap()),
            () = journal.reached.notified() => None,
        };
        if whole.is_some() {
            assert!(stop_after >= 2);
            return;
        }
        let after = Watched::of(journal.memory.clone(), usize::MAX);
        let result = talker(summaries.clone()).resume(id).journal(after).await.unwrap();
        assert!(result.output.as_str().unwrap().starts_with("Ann!"));
        assert_eq!(summaries.load(Ordering::SeqCst), 1, "cut after record {stop_after}");
    }
    panic!("the run never ended");
}
