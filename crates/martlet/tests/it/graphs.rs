//! Graphs through the public surface, on a paused clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use martlet::tools::{ToolExt as _, tool_fn};
use martlet::{
    Agent, Approver, AtMax, Decision, EventKind, Graph, GraphRunError, GraphStatus, Input, InputError, Join,
    Node, NodeFailure, NodeFailureKind, NodeStatus, OnError, OnFailure, Question, Reducer, Retry, State,
    ToolContext, ToolError, ToolSpec, Update, blocking, tool,
};
use martlet_testkit::ScriptedModel;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::support::{Dropped, dropped};

/// A node that takes so long and then gives its time.
fn takes(ms: u64) -> Node {
    Node::new(move |_: Input| async move {
        sleep(Duration::from_millis(ms)).await;
        ms
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_run_is_not_given_comes_from_the_graph() {
    let state = async |input: Input| input.value();
    let inner = Graph::new("inner")
        .default_input("unit", "mm")
        .default_input("n", 1)
        .node("state", state)
        .build()
        .unwrap();
    let output = inner.run(json!({"n": 2})).await.unwrap().output;
    assert_eq!(output, json!({"unit": "mm", "n": 2}));
    let outer = Graph::new("outer").node("inner", Node::new(inner).input("n", "3")).build().unwrap();
    assert_eq!(outer.run(json!({})).await.unwrap().output, json!({"unit": "mm", "n": 3}));
}

/// A node that never ends, and says when it is dropped.
fn endless(gone: Dropped) -> Node {
    let gone = Arc::new(Mutex::new(Some(gone)));
    Node::new(move |_: Input| {
        let gone = gone.lock().unwrap().take();
        async move {
            std::future::pending::<()>().await;
            drop(gone);
        }
    })
}

fn failure(error: &GraphRunError) -> (&str, NodeFailureKind) {
    match error {
        GraphRunError::Failed { failure, .. } => {
            (failure.node.as_deref().unwrap_or_default(), failure.failure.kind)
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn chains_of_unequal_nodes_do_not_wait_for_each_other() {
    let graph = Graph::new("chains")
        .node("a1", takes(10))
        .node("a2", takes(200))
        .node("a3", takes(10))
        .node("a4", takes(200))
        .node("b1", takes(200))
        .node("b2", takes(10))
        .node("b3", takes(200))
        .node("b4", takes(10))
        .node("end", async |input: Input| {
            Ok::<_, InputError>(input.get::<u64>("a4")? + input.get::<u64>("b4")?)
        })
        .edge("a1", "a2")
        .edge("a2", "a3")
        .edge("a3", "a4")
        .edge("b1", "b2")
        .edge("b2", "b3")
        .edge("b3", "b4")
        .edge("a4", "end")
        .edge("b4", "end")
        .build()
        .unwrap();
    let clock = Instant::now();
    let result = graph.run(json!({})).await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_millis(420));
    assert_eq!(result.status, GraphStatus::Success);
    assert_eq!(result.output, json!(210));
    assert_eq!(result.execution_time_seconds, 0.42);
    assert_eq!(result.critical_path_seconds, 0.42);

    let clock = Instant::now();
    let result = graph.run(json!({})).sequential().await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_millis(840));
    assert_eq!(result.output, json!(210));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_dropped() {
    let (gone, is_gone) = dropped();
    let graph =
        Graph::new("slow").node("slow", endless(gone).timeout(Duration::from_millis(250))).build().unwrap();
    let clock = Instant::now();
    let error = graph.run(json!({})).await.unwrap_err();
    assert_eq!(failure(&error), ("slow", NodeFailureKind::TimedOut));
    assert_eq!(clock.elapsed(), Duration::from_millis(250));
    is_gone.await.unwrap();
    assert_eq!(error.result().unwrap().nodes[0].timing.elapsed_us, 250_000);
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_after_growing_waits() {
    let clock = Instant::now();
    let times: Arc<Mutex<Vec<u128>>> = Arc::default();
    let seen = times.clone();
    let flaky = move |_: Input| {
        let attempt = {
            let mut times = seen.lock().unwrap();
            times.push(clock.elapsed().as_millis());
            times.len()
        };
        async move { if attempt < 4 { Err("not yet") } else { Ok(attempt) } }
    };
    let retry = Retry { count: 3, backoff_ms: 100, factor: 3.0, max_backoff_ms: 500, ..Retry::default() };
    let graph = Graph::new("flaky").node("flaky", Node::new(flaky).retry_with(retry)).build().unwrap();
    let result = graph.run(json!({})).await.unwrap();
    assert_eq!(*times.lock().unwrap(), [0, 100, 400, 900]);
    assert_eq!(result.output, json!(4));
    assert_eq!(result.node("flaky").unwrap().attempts, 4);
}

#[tokio::test]
async fn a_failure_of_another_kind_is_not_tried_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let wrong = move |input: Input| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { input.get::<u64>("missing") }
    };
    let graph = Graph::new("wrong").node("wrong", Node::new(wrong).retry(5)).build().unwrap();
    let error = graph.run(json!({})).await.unwrap_err();
    assert_eq!(failure(&error), ("wrong", NodeFailureKind::Input));
    assert!(error.to_string().contains("no value `missing`"), "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_result_drops_what_runs_for_nothing_else() {
    let (gone, is_gone) = dropped();
    let graph = Graph::new("race")
        .node("slow", endless(gone))
        .node("fast", takes(30))
        .node("end", Node::new(async |_: Input| "done").join(Join::FirstOk))
        .edge("slow", "end")
        .edge("fast", "end")
        .build()
        .unwrap();
    let clock = Instant::now();
    let result = graph.run(json!({})).await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_millis(30));
    assert_eq!(result.output, json!("done"));
    assert_eq!(result.node("slow").unwrap().status, NodeStatus::Cancelled);
    is_gone.await.unwrap();
}

#[tokio::test]
async fn a_loser_is_dropped_while_the_graph_goes_on() {
    let (gone, is_gone) = dropped();
    let is_gone = Arc::new(tokio::sync::Mutex::new(Some(is_gone)));
    // The node after the join ends only once the loser was dropped.
    let waits = move |_: Input| {
        let is_gone = is_gone.clone();
        async move {
            let is_gone = is_gone.lock().await.take().unwrap();
            is_gone.await.unwrap();
            "seen"
        }
    };
    let graph = Graph::new("race")
        .node("slow", endless(gone))
        .node("fast", async |_: Input| 1)
        .node("end", Node::new(waits).join(Join::FirstOk))
        .edge("slow", "end")
        .edge("fast", "end")
        .build()
        .unwrap();
    assert_eq!(graph.run(json!({})).await.unwrap().output, json!("seen"));
}

#[tokio::test]
async fn a_function_that_blocks_keeps_nothing_waiting() {
    // On this runtime of one thread the first node would wait for ever if it were called on that thread.
    let (tell, told) = std::sync::mpsc::channel::<i64>();
    let told = Mutex::new(told);
    let graph = Graph::new("threads")
        .node("blocks", blocking(move |_| told.lock().unwrap().recv().map_err(|error| error.to_string())))
        .node("tells", move |_: Input| {
            let tell = tell.clone();
            async move { tell.send(7).map_err(|error| error.to_string()) }
        })
        .node("sum", async |input: Input| input.get::<i64>("blocks"))
        .edge("blocks", "sum")
        .build()
        .unwrap();
    let result = graph.run(json!({})).await.unwrap();
    assert_eq!(result.final_state["sum"], json!(7));
}

#[tokio::test]
async fn a_thousand_runs_of_one_graph_do_not_mix() {
    let agent = Agent::tool_calling(ScriptedModel::from_fn(|request, _| {
        let task = request.messages.last().map(martlet::Message::joined_text).unwrap_or_default();
        martlet_testkit::ScriptedReply::tool_call("final_answer", json!({"answer": task.replace("say ", "")}))
    }))
    .build()
    .unwrap();
    let graph = Graph::new("secrets")
        .node("twice", async |input: Input| {
            tokio::task::yield_now().await;
            input.get::<String>("secret").map(|secret| secret.repeat(2))
        })
        .node("agent", Node::new(agent).prompt("say {{ twice }}"))
        .node("both", async |input: Input| {
            Ok::<_, InputError>(input.get::<String>("agent")? + &input.get::<String>("secret")?)
        })
        .edge("twice", "agent")
        .edge("agent", "both")
        .build()
        .unwrap();
    let runs = (0..1_000).map(|number| graph.run(json!({"secret": format!("<{number}>")})).into_future());
    for (number, result) in join_all(runs).await.into_iter().enumerate() {
        assert_eq!(result.unwrap().output, json!(format!("<{number}>").repeat(3)));
    }
}

#[tokio::test(start_paused = true)]
async fn copies_of_a_node_keep_to_their_window() {
    let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, most) = (now.clone(), peak.clone());
    let square = move |input: Input| {
        let (now, peak) = (running.clone(), most.clone());
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let number: u64 = input.item()?;
            sleep(Duration::from_millis(number % 7 + 1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, InputError>(number * number)
        }
    };
    let mut for_each = martlet::ForEach::new(martlet::Expression::new("numbers").unwrap());
    for_each.max_parallel = 8;
    let graph =
        Graph::new("squares").node("square", Node::new(square).for_each_with(for_each)).build().unwrap();
    let numbers: Vec<u64> = (0..1_000).collect();
    let result = graph.run(json!({"numbers": numbers})).await.unwrap();
    assert_eq!(result.output, json!(numbers.iter().map(|number| number * number).collect::<Vec<_>>()));
    assert_eq!(peak.load(Ordering::SeqCst), 8);
    assert_eq!(now.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_is_the_failure_of_its_node_and_no_more() {
    fn early(_: Input) -> std::future::Ready<Value> {
        panic!("before there is a future")
    }
    fn blocks(_: Input) -> Value {
        panic!("on a thread of the pool")
    }
    fn condition(_: &State) -> bool {
        panic!("in a condition")
    }
    let graph = Graph::new("panics")
        .node("early", early)
        .node("late", async |_: Input| -> Value { panic!("in the future") })
        .node("blocks", blocking(blocks))
        .node("fine", async |_: Input| 1)
        .node("after", async |_: Input| 2)
        .edge_if("fine", "after", condition)
        .on_failure(OnFailure::Finish)
        .build()
        .unwrap();
    let error = graph.run(json!({})).await.unwrap_err();
    let result = error.result().unwrap();
    let status = |name: &str| {
        let node = result.node(name).unwrap();
        (node.status, node.error.as_ref().map(|failure| failure.kind))
    };
    let failed = (NodeStatus::Failed, Some(NodeFailureKind::Failed));
    assert_eq!(status("early"), failed);
    assert_eq!(status("late"), failed);
    assert_eq!(status("blocks"), failed);
    assert_eq!(status("fine"), (NodeStatus::Completed, None));
    assert_eq!(status("after"), (NodeStatus::Failed, Some(NodeFailureKind::Condition)));
    assert!(!error.to_string().contains("future"), "what a panic says is not shown: {error}");
}

#[tokio::test]
async fn conditions_choose_and_their_errors_are_errors() {
    let graph = Graph::new("choice")
        .node("score", async |input: Input| input.get::<i64>("points"))
        .node("high", async |_: Input| "high")
        .node("middle", async |_: Input| "middle")
        .node("low", async |_: Input| "low")
        .case("score", "high", |s| s["score"].as_i64() > Some(80))
        .case_when("score", "middle", "score > 40")
        .otherwise("score", "low")
        .build()
        .unwrap();
    for (points, branch) in [(90, "high"), (50, "middle"), (3, "low")] {
        let result = graph.run(json!({"points": points})).await.unwrap();
        assert_eq!(result.output, json!(branch));
        assert_eq!((result.completed_nodes, result.skipped_nodes), (2, 2));
    }
    let graph = Graph::new("broken")
        .node("a", async |_: Input| 1)
        .node("b", async |_: Input| 2)
        .edge_if("a", "b", |s| s["n"].as_i64().map(|n| n > 3).ok_or("`n` is not there"))
        .build()
        .unwrap();
    let error = graph.run(json!({})).await.unwrap_err();
    assert_eq!(failure(&error), ("b", NodeFailureKind::Condition));
    assert!(error.to_string().contains("`n` is not there"), "{error}");
}

#[tokio::test]
async fn repetitions_end_by_their_condition_or_their_maximum() {
    let count = async |input: Input| input.get::<u64>("count").map_or(1, |count| count + 1);
    let build = |node: Node| Graph::new("loop").node("count", node).build().unwrap();
    let until = build(Node::new(count).repeat_until(|s| s["count"].as_u64() >= Some(4), 10));
    assert_eq!(until.run(json!({})).await.unwrap().output, json!(4));
    let when = build(Node::new(count).repeat_until_when("count >= 5", 10));
    assert_eq!(when.run(json!({})).await.unwrap().output, json!(5));
    let fails = build(Node::new(count).at_max(AtMax::Fail).repeat_until(|_| false, 3));
    let error = fails.run(json!({})).await.unwrap_err();
    assert_eq!(failure(&error), ("count", NodeFailureKind::Failed));
}

/// Adds two numbers.
#[tool]
async fn add(
    /// One.
    a: i64,
    /// The other.
    b: i64,
) -> i64 {
    a + b
}

async fn named(input: Input) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let sum: i64 = input.get("sum")?;
    Ok(json!({"sum": sum, "user": input.user()}))
}

#[tokio::test]
async fn whatever_can_work_is_a_node() {
    let inner = Graph::new("inner").node("x", async |input: Input| input.value()).build().unwrap();
    let times = tool_fn(ToolSpec::new("add", "Of the same name."), |two: Two, _cx: ToolContext| async move {
        Ok::<_, ToolError>(two.a * two.b)
    });
    let graph = Graph::new("all")
        .description("Everything that can be a node.")
        .node("sum", add)
        .node("product", times)
        .node("named", named)
        .node("inner", Node::new(inner).input("sum", "sum * 10").description("Ten times."))
        .node("list", async |input: Input| vec![input.run_id().to_string(), input.idempotency_key()])
        .edge("sum", "named")
        .edge("sum", "inner")
        .output("{'named': named, 'inner': inner, 'product': product}")
        .build()
        .unwrap();
    let id = martlet::RunId::new("r").unwrap();
    let result = graph.run(json!({"a": 2, "b": 5})).user("ann").id(id).await.unwrap();
    let expected = json!({"named": {"sum": 7, "user": "ann"}, "inner": {"sum": 70}, "product": 10});
    assert_eq!(result.output, expected);
    assert_eq!(result.final_state["list"], json!(["r", "r/5/0"]));
}

#[derive(Deserialize, JsonSchema)]
struct Two {
    a: i64,
    b: i64,
}

#[tokio::test]
async fn functions_say_how_they_failed() {
    type Failure = Box<dyn std::error::Error + Send + Sync>;
    let busy =
        async |_: Input| Err::<(), _>(NodeFailure::new(NodeFailureKind::Unavailable, "the queue is full"));
    let boxed = async |input: Input| -> Result<u64, Failure> { Ok(input.get("text")?) };
    for (node, kind) in [
        (Node::new(busy), NodeFailureKind::Unavailable),
        (Node::new(boxed), NodeFailureKind::Input),
        (Node::new(async |_: Input| Err::<(), _>("no")), NodeFailureKind::Failed),
    ] {
        let graph = Graph::new("fails").node("n", node).build().unwrap();
        let error = graph.run(json!({"text": "no number"})).await.unwrap_err();
        assert_eq!(failure(&error), ("n", kind));
    }
}

#[tokio::test]
async fn parallel_writers_are_joined_and_errors_can_be_skipped() {
    let graph = Graph::new("sum")
        .node("one", Node::new(async |_: Input| 1).output_key("total"))
        .node("two", Node::new(async |_: Input| 2).output_key("total"))
        .node("bad", Node::new(async |_: Input| Err::<i64, _>("no")).on_error(OnError::Skip))
        .reducer("total", Reducer::Sum)
        .build()
        .unwrap();
    let result = graph.run(json!({})).await.unwrap();
    assert_eq!(result.status, GraphStatus::Partial);
    assert_eq!(result.final_state["total"], json!(3));
    assert_eq!(result.node("bad").unwrap().status, NodeStatus::Skipped);
}

/// Approves after an hour, but refuses one thing.
struct Slow;

impl Approver for Slow {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            sleep(Duration::from_secs(3_600)).await;
            if question.arguments["a"] == 13 {
                Decision::Denied { reason: "unlucky".into() }
            } else {
                Decision::Approved
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_waits_for_its_approval_and_the_wait_does_not_count() {
    let node = || Node::new(add.needs_approval()).timeout(Duration::from_secs(1));
    let graph = Graph::new("asks").node("sum", node()).approver(Slow).build().unwrap();
    let result = graph.run(json!({"a": 1, "b": 2})).await.unwrap();
    assert_eq!(result.output, json!(3));
    let error = graph.run(json!({"a": 13, "b": 2})).await.unwrap_err();
    assert_eq!(failure(&error), ("sum", NodeFailureKind::Denied));
    let nobody = Graph::new("asks").node("sum", node()).build().unwrap();
    let error = nobody.run(json!({"a": 1, "b": 2})).await.unwrap_err();
    assert_eq!(failure(&error), ("sum", NodeFailureKind::Denied));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_up_ends_with_what_it_has() {
    let (gone, is_gone) = dropped();
    let graph = Graph::new("slow")
        .node("quick", async |_: Input| 1)
        .node("slow", endless(gone))
        .edge("quick", "slow")
        .build()
        .unwrap();
    let result = graph.run(json!({})).timeout(Duration::from_secs(60)).await.unwrap();
    assert_eq!(result.status, GraphStatus::TimedOut);
    assert_eq!(result.node_results["quick"], json!(1));
    is_gone.await.unwrap();
}

#[tokio::test]
async fn a_run_is_watched_and_cancelled() {
    let (gone, is_gone) = dropped();
    let graph = Graph::new("watched")
        .node("quick", async |_: Input| 1)
        .node("slow", endless(gone))
        .edge("quick", "slow")
        .build()
        .unwrap();
    let mut run = graph.run(json!({})).start();
    let mut late = run.observe();
    let mut seen = Vec::new();
    while let Some(update) = run.next().await {
        let Update::Event { event } = update else { continue };
        if matches!(&event.kind, EventKind::NodeStarted { node, .. } if &**node == "slow") {
            run.cancel();
        }
        seen.push(event);
    }
    let result = run.await.unwrap();
    assert_eq!(result.status, GraphStatus::Cancelled);
    is_gone.await.unwrap();
    assert!(seen.iter().enumerate().all(|(place, event)| event.seq == place as u64));
    assert!(matches!(seen.last().unwrap().kind, EventKind::GraphEnded { .. }));
    let mut again = Vec::new();
    while let Some(Update::Event { event }) = late.next().await {
        again.push(event);
    }
    assert_eq!(again, seen);
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_advice() {
    let graph = Graph::new("g").node("n", async |_: Input| ()).build().unwrap();
    for (input, what) in [(json!([1]), "a list"), (json!("x"), "a text"), (Value::Null, "null")] {
        let error = graph.run(input).await.unwrap_err();
        assert!(matches!(&error, GraphRunError::Input(_)));
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(matches!(graph.run(json!({})).blocking(), Err(GraphRunError::BlockingInAsync)));
    let error = graph.resume(martlet::RunId::new("r").unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("no journal"), "{error}");

    let refused = |builder: martlet::GraphBuilder| builder.build().unwrap_err().to_string();
    let node = || Node::new(async |_: Input| ());
    let error = refused(Graph::new("g").node("a", node()).edge("a", "b"));
    assert!(error.contains("`b`"), "{error}");
    let error = refused(Graph::new("g").node("a", node()).node("a", node()));
    assert!(error.contains("`a`"), "{error}");
    let tool = tool_fn(ToolSpec::new("no name", "Cannot be called."), |_: Two, _cx: ToolContext| async {
        Ok::<_, ToolError>(Value::Null)
    });
    let error = refused(Graph::new("g").node("n", tool));
    assert!(error.contains("node `n`") && error.contains("no name"), "{error}");
}

#[test]
fn graphs_run_from_code_without_async() {
    let graph = Graph::new("g").node("n", async |input: Input| input.get::<i64>("x")).build().unwrap();
    assert_eq!(graph.run(json!({"x": 3})).blocking().unwrap().output, json!(3));
}

#[tokio::test]
async fn many_open_effects_are_no_burden() {
    const WIDE: usize = 20_000;
    let (tell, told) = tokio::sync::watch::channel(false);
    let mut builder = Graph::new("wide");
    for number in 0..WIDE {
        let told = told.clone();
        builder = builder.node(format!("n{number}"), move |_: Input| {
            let mut told = told.clone();
            async move {
                let _ = told.wait_for(|told| *told).await;
                number
            }
        });
    }
    let graph = builder.build().unwrap();
    let run = graph.run(json!({})).start();
    // All of them wait before any of them ends.
    while tell.receiver_count() < WIDE * 2 + 1 {
        tokio::task::yield_now().await;
    }
    let clock = std::time::Instant::now();
    tell.send_replace(true);
    assert_eq!(run.await.unwrap().completed_nodes, WIDE);
    // Were settling an effect linear in those that are open, this would take a minute.
    assert!(clock.elapsed() < Duration::from_secs(20), "{:?}", clock.elapsed());
}

#[tokio::test]
async fn a_graph_of_ready_nodes_leaves_room_for_others() {
    let mut builder = Graph::new("long");
    for number in 0..2_000 {
        builder = builder.node(format!("n{number}"), async |_: Input| ());
        if number > 0 {
            builder = builder.edge(format!("n{}", number - 1), format!("n{number}"));
        }
    }
    let run = builder.build().unwrap().run(json!({})).start();
    let (tell, told) = oneshot::channel();
    let other = tokio::spawn(async move {
        let mut turns = 0;
        while told.is_empty() {
            turns += 1;
            tokio::task::yield_now().await;
        }
        turns
    });
    run.await.unwrap();
    tell.send(()).unwrap();
    assert!(other.await.unwrap() > 5, "the thread was shared");
}
