//! Recording graphs and the child runs in them, and going on with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::support::Watched;
use martlet::core::{Outcome, ToolFlags};
use martlet::store::{Entry, Journal, MemoryJournal};
use martlet::tools::tool_fn;
use martlet::{
    Agent, Graph, GraphRunError, GraphStatus, Input, JournalRecord, Node, NodeFailureKind, RunId,
    ToolContext, ToolError, ToolSpec, blocking,
};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A copy without power cuts.
async fn copied(journal: &Watched) -> Arc<Watched> {
    let copy = Watched::new(usize::MAX);
    let written = journal.written.lock().unwrap().clone();
    let mut next: BTreeMap<RunId, u64> = BTreeMap::new();
    for (run, record) in written {
        let seq = next.entry(run.clone()).or_default();
        copy.append(&run, *seq, Entry::new(run.clone(), record)).await.unwrap();
        *seq += 1;
    }
    copy
}

/// What was performed, by idempotency key: what the world outside sees.
type Performed = Arc<Mutex<BTreeMap<String, usize>>>;

fn perform(performed: &Performed, key: &str) {
    *performed.lock().unwrap().entry(key.to_owned()).or_default() += 1;
}

/// Functions of both kinds, a tool, an agent with a tool, and a graph with the same agent, partly side by side.
fn graph(journal: Arc<Watched>, performed: &Performed) -> Graph {
    let function = {
        let performed = performed.clone();
        move |input: Input| {
            perform(&performed, &input.idempotency_key());
            async move { 1 }
        }
    };
    let blocks = {
        let performed = performed.clone();
        blocking(move |input: Input| {
            perform(&performed, &input.idempotency_key());
            2
        })
    };
    let tool = {
        let performed = performed.clone();
        let flags = ToolFlags { idempotent: true, ..ToolFlags::default() };
        let spec = ToolSpec::new("note", "Notes.").flags(flags);
        Arc::new(tool_fn(spec, move |_: Nothing, cx: ToolContext| {
            perform(&performed, cx.idempotency_key());
            async { Ok::<_, ToolError>("noted") }
        }))
    };
    let agent = Agent::tool_calling(ScriptedModel::from_fn(|request, _| {
        // Answers by what it is shown, so that it goes on rightly wherever the run is taken up.
        let noted = request.messages.iter().filter(|message| message.joined_text().contains("noted")).count();
        match noted {
            0 | 1 => ScriptedReply::tool_call("note", json!({})),
            noted => ScriptedReply::tool_call("final_answer", json!({"answer": noted})),
        }
    }))
    .tool(tool.clone())
    .build()
    .unwrap();
    let inner = Graph::new("inner")
        .node("before", function.clone())
        .node("agent", agent.clone())
        .edge("before", "agent")
        .build()
        .unwrap();
    Graph::new("outer")
        .node("function", function)
        .node("blocks", blocks)
        .node("tool", tool)
        .node("agent", agent)
        .node("inner", inner)
        .node(
            "end",
            Node::new(async |input: Input| {
                json!([input.state()["agent"], input.state()["inner"], input.state()["blocks"]])
            }),
        )
        .edge("function", "agent")
        .edge("function", "inner")
        .edge("agent", "end")
        .edge("inner", "end")
        .edge("blocks", "end")
        .journal(journal)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_graph_that_was_cut_off_anywhere_goes_on_and_repeats_nothing_that_was_finished() {
    let mut cuts = 0;
    let mut whole = BTreeSet::new();
    for stop_after in 0.. {
        let journal = Watched::new(stop_after);
        let performed = Performed::default();
        let id = RunId::new("r").unwrap();
        let run = graph(journal.clone(), &performed).run(json!({})).id(id.clone());
        let result = tokio::select! {
            result = run => Some(result.unwrap()),
            () = journal.reached.notified() => None,
        };
        if let Some(result) = result {
            assert_eq!(result.output["end"], json!([2, 2, 2]));
            whole = performed.lock().unwrap().keys().cloned().collect();
            break;
        }
        cuts += 1;
        let finished = journal.settled();
        let before = performed.lock().unwrap().clone();
        let result = graph(copied(&journal).await, &performed).resume(id).await.unwrap();
        assert_eq!(result.status, GraphStatus::Success, "cut after record {stop_after}");
        assert_eq!(result.output["end"], json!([2, 2, 2]), "cut after record {stop_after}");
        for (key, times) in &*performed.lock().unwrap() {
            let unfinished = usize::from(before.contains_key(key) && !finished.contains(key));
            assert_eq!(*times, 1 + unfinished, "{key}, cut after record {stop_after}");
        }
        let keys: BTreeSet<String> = performed.lock().unwrap().keys().cloned().collect();
        if !whole.is_empty() {
            assert_eq!(keys, whole);
        }
    }
    assert!(cuts > 15, "the run was cut at each of its records: {cuts}");
    assert_eq!(whole.len(), 8, "{whole:?}");
}

#[tokio::test]
async fn a_finished_graph_is_read_back_whole() {
    let journal = Watched::new(usize::MAX);
    let performed = Performed::default();
    let id = RunId::new("r").unwrap();
    let graph = graph(journal.clone(), &performed);
    let result = graph.run(json!({"x": 1})).id(id.clone()).await.unwrap();
    let count = performed.lock().unwrap().values().sum::<usize>();
    let again = graph.resume(id).await.unwrap();
    assert_eq!(again, result);
    assert_eq!(performed.lock().unwrap().values().sum::<usize>(), count);
    let children: BTreeSet<String> =
        journal.written.lock().unwrap().iter().map(|(run, _)| run.to_string()).collect();
    assert_eq!(children.into_iter().collect::<Vec<_>>(), ["r", "r-4-0", "r-5-0", "r-5-0-2-0"]);
}

#[tokio::test]
async fn a_graph_that_is_not_the_same_any_more_is_not_gone_on_with() {
    let journal: Arc<MemoryJournal> = Arc::default();
    let build = |nodes: usize| {
        let mut builder = Graph::new("g").journal(journal.clone());
        for node in 0..nodes {
            builder = builder.node(format!("n{node}"), async |_: Input| 1.5);
        }
        builder.build().unwrap()
    };
    let id = RunId::new("r").unwrap();
    build(2).run(json!({})).id(id.clone()).await.unwrap();
    assert_eq!(build(2).resume(id.clone()).await.unwrap().completed_nodes, 2);
    let error = build(3).resume(id.clone()).await.unwrap_err();
    assert!(matches!(error, GraphRunError::Resume(_)));
    assert!(error.to_string().contains("no longer the one"), "{error}");
    let agent = Agent::code(ScriptedModel::new(["x"])).journal(journal.clone()).build().unwrap();
    let error = agent.resume(id).await.unwrap_err().to_string();
    assert!(error.contains("run of a graph"), "{error}");
    let error = build(2).resume(RunId::new("other").unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("does not hold it"), "{error}");
}

#[tokio::test]
async fn a_tool_whose_outcome_is_not_known_is_not_called_again() {
    let journal: Arc<MemoryJournal> = Arc::default();
    let started = Arc::new(Notify::new());
    let calls = Arc::new(Mutex::new(0));
    let build = |flags: ToolFlags, hangs: bool| {
        let (tell, calls) = (started.clone(), calls.clone());
        let spec = ToolSpec::new("pay", "Pays.").flags(flags);
        let pay = tool_fn(spec, move |_: Nothing, _cx: ToolContext| {
            *calls.lock().unwrap() += 1;
            tell.notify_one();
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, ToolError>("paid")
            }
        });
        let node = Node::new(pay).retry(3);
        Graph::new("g").node("pay", node).journal(journal.clone()).build().unwrap()
    };
    for (name, flags, repeated) in [
        ("once", ToolFlags::default(), false),
        ("again", ToolFlags { idempotent: true, ..ToolFlags::default() }, true),
    ] {
        let id = RunId::new(name).unwrap();
        *calls.lock().unwrap() = 0;
        tokio::select! {
            _ = build(flags, true).run(json!({})).id(id.clone()) => panic!("the tool hangs"),
            () = started.notified() => {}
        }
        let result = build(flags, false).resume(id).await;
        if repeated {
            assert_eq!(result.unwrap().output, json!("paid"));
            assert_eq!(*calls.lock().unwrap(), 2);
        } else {
            let Err(GraphRunError::Failed { failure, .. }) = result else { panic!("{result:?}") };
            assert_eq!(failure.failure.kind, NodeFailureKind::Denied);
            assert!(failure.failure.message.contains("not known whether it took effect"), "{failure}");
            assert_eq!(*calls.lock().unwrap(), 1);
        }
    }
}

#[tokio::test]
async fn the_journal_of_the_first_run_is_that_of_its_children() {
    let (own, above): (Arc<MemoryJournal>, Arc<MemoryJournal>) = Default::default();
    let model = ScriptedModel::from_fn(|_, _| ScriptedReply::tool_call("final_answer", json!({"answer": 1})));
    let agent = Agent::tool_calling(model).journal(own.clone()).build().unwrap();
    let graph = |builder: martlet::GraphBuilder| builder.node("agent", agent.clone()).build().unwrap();
    graph(Graph::new("g").journal(above.clone())).run(json!({})).await.unwrap();
    assert_eq!((own.len(), above.len()), (0, 2));
    graph(Graph::new("g")).run(json!({})).await.unwrap();
    assert_eq!((own.len(), above.len()), (0, 2));
}

#[tokio::test]
async fn what_was_used_before_a_crash_counts_for_the_budget_after_it() {
    let journal = Watched::new(usize::MAX);
    let model = Arc::new(ScriptedModel::from_fn(|_, index| {
        let mut reply = martlet::core::ModelReply::text("");
        reply.usage.input_tokens = 100;
        if index == 1 {
            return ScriptedReply::from(reply).delay(std::time::Duration::from_secs(3_600));
        }
        reply.tool_calls = vec![martlet::core::ToolCall {
            id: "c".into(),
            name: "final_answer".into(),
            arguments: martlet::core::Arguments::parse(r#"{"answer": 1}"#),
        }];
        reply.into()
    }));
    let agent = Agent::tool_calling(model.clone()).build().unwrap();
    let graph = Graph::new("g")
        .node("first", agent.clone())
        .node("second", agent.clone())
        .node("third", agent)
        .edge("first", "second")
        .edge("second", "third")
        .max_tokens(150)
        .journal(journal.clone())
        .build()
        .unwrap();
    let id = RunId::new("r").unwrap();
    let run = graph.run(json!({})).id(id.clone()).start();
    while model.calls() < 2 {
        tokio::task::yield_now().await;
    }
    drop(run);
    assert!(journal.settled().len() >= 2);
    // 100 of 150 are used: one more call, which uses them up, and none for the third node.
    let error = graph.resume(id.clone()).await.unwrap_err();
    let GraphRunError::Failed { failure, result } = error else { panic!("{error}") };
    assert_eq!((failure.node.as_deref(), failure.failure.kind), (Some("third"), NodeFailureKind::Limit));
    assert_eq!(result.usage.total(), 200);
    assert_eq!(model.calls(), 3);
    let outcome = journal.written.lock().unwrap().iter().any(|(run, record)| {
        let record = JournalRecord::from_bytes(record).unwrap();
        *run == id
            && matches!(&record, JournalRecord::Settled { settlement }
                if matches!(&settlement.outcome, Outcome::Child { end } if end.result == Ok(Value::from(1))))
    });
    assert!(outcome);
}
