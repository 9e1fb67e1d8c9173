//! Recording runs, and going on with them.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::Watched;
use futures::future::BoxFuture;
use martlet::core::{EffectId, Outcome, Settlement, Timing, ToolFlags, ToolOutput};
use martlet::store::{Entry, Journal, MemoryJournal, Recorded, StoreError};
use martlet::tools::tool_fn;
use martlet::{Agent, JournalRecord, RunError, RunId, RunStatus, ToolContext, ToolError, ToolSpec};
use martlet_testkit::ScriptedModel;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn counting(name: &str, flags: ToolFlags) -> (impl martlet::Tool, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let tool = tool_fn(
        ToolSpec::new(name, "Counts its calls.").flags(flags),
        move |_: Nothing, _cx: ToolContext| {
            let count = counted.fetch_add(1, Ordering::SeqCst) + 1;
            async move { Ok::<_, ToolError>(json!(count)) }
        },
    );
    (tool, calls)
}

fn model() -> ScriptedModel {
    // Answers by what it is shown, so that it goes on rightly wherever the run is taken up.
    ScriptedModel::from_fn(|request, _| {
        let asked = request
            .messages
            .iter()
            .filter(|message| message.joined_text().starts_with("Observation"))
            .count();
        match asked {
            0 => "```python\na = count()\nprint('a', a)\n```",
            1 => "```python\nb = count()\nprint('b', b)\n```",
            _ => "```python\nfinal_answer([a, b])\n```",
        }
        .to_owned()
    })
}

#[tokio::test]
async fn a_run_that_was_cut_off_anywhere_goes_on_and_repeats_no_finished_call() {
    let mut cuts = 0;
    for stop_after in 0..40 {
        let journal = Watched::new(stop_after);
        let (tool, calls) = counting("count", ToolFlags { idempotent: true, ..ToolFlags::default() });
        let tool = Arc::new(tool);
        let id = RunId::new("r").unwrap();
        let first = Agent::code(model()).tool(tool.clone()).journal(journal.clone()).build().unwrap();
        let run = first.run("Count twice.").id(id.clone());
        let whole = tokio::select! {
            result = run => Some(result.unwrap()),
            () = journal.reached.notified() => None,
        };
        if whole.is_some() {
            break;
        }
        cuts += 1;
        let records = journal.read(&id).await.unwrap().records;
        assert_eq!(records.len(), stop_after + 1);
        let finished = records
            .iter()
            .filter(|record| {
                let record = JournalRecord::from_bytes(record).unwrap();
                matches!(&record, JournalRecord::Settled { settlement } if matches!(settlement.outcome, martlet::core::Outcome::Tool { .. }))
            })
            .count();
        assert_eq!(calls.load(Ordering::SeqCst), finished, "cut after record {stop_after}");

        let after = Watched::of(journal.memory.clone(), usize::MAX);
        let second = Agent::code(model()).tool(tool).journal(after).build().unwrap();
        let result = second.resume(id).await.unwrap();
        assert_eq!(result.output, json!([1, 2]), "cut after record {stop_after}");
        assert_eq!(calls.load(Ordering::SeqCst), 2, "cut after record {stop_after}");
    }
    assert!(cuts > 8, "the run was cut at each of its records: {cuts}");
}

#[tokio::test]
async fn a_call_whose_outcome_is_not_known_is_not_repeated_unless_the_tool_allows_it() {
    let journal = Arc::new(MemoryJournal::new());
    let id = RunId::new("r").unwrap();
    let started = Arc::new(Notify::new());
    let tell = started.clone();
    let hangs = tool_fn(ToolSpec::new("count", "Hangs."), move |_: Nothing, _cx: ToolContext| {
        tell.notify_one();
        std::future::pending::<Result<Value, ToolError>>()
    });
    let first = Agent::code(model()).tool(hangs).journal(journal.clone()).build().unwrap();
    tokio::select! {
        _ = first.run("Count.").id(id.clone()) => panic!("the tool hangs"),
        () = started.notified() => {}
    }
    let (tool, calls) = counting("count", ToolFlags::default());
    let second = Agent::code(model()).tool(tool).journal(journal).build().unwrap();
    let result = second.resume(id).await.unwrap();
    let told = result.steps[0].observation.as_deref().unwrap_or_default();
    assert!(told.contains("not known whether it took effect"), "{told}");
    assert_eq!(calls.load(Ordering::SeqCst), 1, "only the second program's call was made");
}

struct Full;

impl Journal for Full {
    fn append<'a>(&'a self, run: &'a RunId, seq: u64, _: Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let memory = MemoryJournal::new();
            // A gap is the one error that a memory journal can be made to give.
            memory.append(run, seq + 1, Entry::new(run.clone(), "x")).await
        })
    }

    fn read<'a>(&'a self, _: &'a RunId) -> BoxFuture<'a, Result<Recorded, StoreError>> {
        Box::pin(std::future::ready(Ok(Recorded::default())))
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_recorded_does_nothing() {
    let model = Arc::new(ScriptedModel::new(["x"]));
    let agent = Agent::code(model.clone()).journal(Arc::new(Full)).build().unwrap();
    assert!(matches!(agent.run("Go.").await, Err(RunError::Journal(_))));
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn a_finished_run_is_read_back_whole() {
    let journal = Arc::new(MemoryJournal::new());
    let agent = Agent::code(ScriptedModel::new(["```python\nfinal_answer(1)\n```"]))
        .journal(journal)
        .build()
        .unwrap();
    let id = RunId::new("r").unwrap();
    let result = agent.run("1?").id(id.clone()).await.unwrap();
    let again = agent.resume(id).await.unwrap();
    assert_eq!(again, result);
    assert_eq!(again.status, RunStatus::Succeeded);
    let missing = agent.resume(RunId::new("other").unwrap()).await.unwrap_err().to_string();
    assert!(missing.contains("does not hold it"), "{missing}");
}

#[test]
fn a_record_of_a_newer_version_is_refused_with_advice() {
    let error = JournalRecord::from_bytes(br#"{"v": 99, "type": "started"}"#).unwrap_err();
    assert!(error.contains("update Martlet"), "{error}");
}

#[test]
fn a_float_comes_back_from_the_journal_to_the_last_bit() {
    // Read without care for the last bit, this one becomes its neighbour, and a replay goes another way.
    let value = 51.248178375505404_f64;
    let settlement = Settlement {
        id: EffectId { run: RunId::new("run_float").unwrap(), step: 1, index: 0 },
        outcome: Outcome::Tool { result: Ok(ToolOutput::from(json!({ "value": value }))) },
        timing: Timing::default(),
    };
    let record = JournalRecord::Settled { settlement: Cow::Owned(settlement) };
    let bytes = record.to_bytes().unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("51.248178375505404"));
    assert_eq!(JournalRecord::from_bytes(&bytes).unwrap(), record);
}
