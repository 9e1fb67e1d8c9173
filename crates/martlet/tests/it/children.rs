//! Child runs: agents and graphs inside others.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use martlet::core::ModelReply;
use martlet::tools::tool_fn;
use martlet::{
    Agent, Approver, Decision, EventKind, Graph, GraphRunError, GraphStatus, Input, Node, NodeFailureKind,
    Question, RunStatus, ToolContext, ToolError, ToolSpec, Update, Usage,
};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::dropped;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn answer(answer: impl Into<Value>) -> ScriptedReply {
    ScriptedReply::tool_call("final_answer", json!({"answer": answer.into()}))
}

/// An answer that costs 100 tokens.
fn costly(tool: &str, arguments: Value) -> ModelReply {
    let mut reply = ModelReply::text("");
    reply.tool_calls = vec![martlet::core::ToolCall {
        id: "call_1".into(),
        name: tool.into(),
        arguments: martlet::core::Arguments::parse(&arguments.to_string()),
    }];
    reply.usage = Usage { input_tokens: 90, output_tokens: 10, ..Usage::default() };
    reply
}

fn failed(error: &GraphRunError) -> (NodeFailureKind, String) {
    match error {
        GraphRunError::Failed { failure, .. } => (failure.failure.kind, failure.failure.message.clone()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn cancelling_a_tree_drops_everything_in_it() {
    let (gone, is_gone) = dropped();
    let gone = Arc::new(std::sync::Mutex::new(Some(gone)));
    let model = Arc::new(ScriptedModel::new(["x"]).delay(Duration::from_secs(3_600)));
    let agent = Agent::code(model.clone()).build().unwrap();
    let inner = Graph::new("inner")
        .node("agent", agent)
        .node("endless", move |_: Input| {
            let gone = gone.lock().unwrap().take();
            async move {
                std::future::pending::<()>().await;
                drop(gone);
            }
        })
        .build()
        .unwrap();
    let outer = Graph::new("outer").node("inner", inner).build().unwrap();
    let mut run = outer.run(json!({})).start();
    while model.in_flight() == 0 {
        run.next().await.unwrap();
    }
    run.cancel();
    let result = run.await.unwrap();
    assert_eq!(result.status, GraphStatus::Cancelled);
    assert_eq!(model.in_flight(), 0);
    is_gone.await.unwrap();
}

#[tokio::test]
async fn updates_of_child_runs_reach_the_observers_of_the_first_run() {
    let agent = Agent::tool_calling(ScriptedModel::new([answer("a short answer")])).build().unwrap();
    let inner = Graph::new("inner").node("agent", agent).build().unwrap();
    let outer = Graph::new("outer").node("first", async |_: Input| 1).node("inner", inner).build().unwrap();
    let id = martlet::RunId::new("r").unwrap();
    let mut run = outer.run(json!({})).id(id).start();
    let mut late = run.observe();
    let mut kinds = Vec::new();
    while let Some(update) = run.next().await {
        let Update::Child { child, name, step, update } = update else { continue };
        assert_eq!((child.as_str(), &*name, step), ("r-2-0", "inner", 2));
        let Update::Child { child, name, step, update } = *update else { continue };
        assert_eq!((child.as_str(), &*name, step), ("r-2-0-1-0", "agent", 1));
        if let Update::Event { event } = *update {
            assert_eq!(event.run, child);
            kinds.push(event.kind.clone());
        }
    }
    assert!(matches!(kinds.first(), Some(EventKind::RunStarted { .. })), "{kinds:?}");
    assert!(matches!(kinds.last(), Some(EventKind::RunEnded { .. })), "{kinds:?}");
    assert_eq!(run.await.unwrap().output["inner"], json!("a short answer"));
    let mut nested = 0;
    while let Some(update) = late.next().await {
        if let Update::Child { update, .. } = update
            && let Update::Child { update, .. } = *update
            && matches!(*update, Update::Event { .. })
        {
            nested += 1;
        }
    }
    assert_eq!(nested, kinds.len());
}

#[tokio::test]
async fn a_managed_agent_that_is_called_twice_at_once_answers_both() {
    let helper = Agent::tool_calling(ScriptedModel::from_fn(|request, _| {
        let task = request.messages.last().map(martlet::Message::joined_text).unwrap_or_default();
        answer(if task.contains("red") { "crimson" } else { "azure" })
    }))
    .name("painter")
    .description("Names colours.")
    .build()
    .unwrap();
    let model = ScriptedModel::new([
        ScriptedReply::tool_calls([
            ("painter", json!({"task": "a kind of red"})),
            ("painter", json!({"task": "a kind of blue"})),
        ]),
        answer("done"),
    ]);
    let result = Agent::tool_calling(model).managed(helper).build().unwrap().run("Go.").await.unwrap();
    let texts: Vec<String> = result.steps[0]
        .calls
        .iter()
        .map(|record| record.result.clone().unwrap().unwrap().to_text())
        .collect();
    assert!(texts[0].contains("crimson") && texts[1].contains("azure"), "{texts:?}");
}

#[tokio::test]
async fn a_graph_can_be_managed_by_an_agent() {
    let graph = Graph::new("doubler")
        .description("Doubles `number`.")
        .node("double", async |input: Input| input.get::<i64>("number").map(|number| number * 2))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedReply::tool_call("doubler", json!({"task": "double it", "additional_args": {"number": 21}})),
        answer("done"),
    ]);
    let result = Agent::tool_calling(model).managed(graph).build().unwrap().run("Go.").await.unwrap();
    let output = result.steps[0].calls[0].result.clone().unwrap().unwrap();
    assert_eq!(output.to_text(), "42");
}

#[tokio::test(start_paused = true)]
async fn a_budget_holds_for_all_runs_below_together() {
    for (window, calls) in [(1, 3), (2, 4)] {
        let model = Arc::new(
            ScriptedModel::from_fn(|_, _| costly("final_answer", json!({"answer": 1})))
                .delay(Duration::from_millis(100)),
        );
        let agent = Agent::tool_calling(model.clone()).build().unwrap();
        let inner = Graph::new("inner").node("agent", agent).build().unwrap();
        let mut for_each = martlet::ForEach::new(martlet::Expression::new("items").unwrap());
        for_each.max_parallel = window;
        let graph = Graph::new("budget")
            .node("each", Node::new(inner).for_each_with(for_each))
            .max_tokens(250)
            .build()
            .unwrap();
        let error = graph.run(json!({"items": vec![0; 10]})).await.unwrap_err();
        let (kind, message) = failed(&error);
        assert_eq!(kind, NodeFailureKind::Limit, "{message}");
        assert!(message.contains("of 250 tokens are used"), "{message}");
        assert_eq!(model.calls(), calls, "the calls that began while tokens were left");
        assert_eq!(error.result().unwrap().usage.total(), 100 * calls as u64);
    }
}

#[tokio::test]
async fn a_child_that_uses_up_the_tokens_ends_the_run_above_by_its_limit() {
    let helper_model = Arc::new(ScriptedModel::from_fn(|_, _| costly("echo", json!({}))));
    let echo = tool_fn(ToolSpec::new("echo", "Nothing."), |_: Nothing, _cx: ToolContext| async {
        Ok::<_, ToolError>(Value::Null)
    });
    let helper = Agent::tool_calling(helper_model.clone())
        .name("helper")
        .description("Helps.")
        .tool(echo)
        .build()
        .unwrap();
    let model = Arc::new(ScriptedModel::from_fn(|_, _| costly("helper", json!({"task": "help"}))));
    let agent = Agent::tool_calling(model.clone()).managed(helper).max_tokens(450).build().unwrap();
    let result = agent.run("Go.").await.unwrap();
    assert_eq!(result.status, RunStatus::TokenLimit);
    assert_eq!((model.calls(), helper_model.calls()), (1, 4));
    assert_eq!(result.usage.total(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_time_is_up_tells_what_it_used() {
    let model =
        ScriptedModel::new([costly("echo", json!({})).into(), answer("late").delay(Duration::from_secs(60))]);
    let echo = tool_fn(ToolSpec::new("echo", "Nothing."), |_: Nothing, _cx: ToolContext| async {
        Ok::<_, ToolError>(Value::Null)
    });
    let agent = Agent::tool_calling(model).tool(echo).build().unwrap();
    let graph = Graph::new("hurry")
        .node("agent", Node::new(agent).prompt("Go.").timeout(Duration::from_millis(250)))
        .build()
        .unwrap();
    let error = graph.run(json!({})).await.unwrap_err();
    let (kind, message) = failed(&error);
    assert_eq!(kind, NodeFailureKind::TimedOut);
    assert_eq!(message, "an attempt took longer than 250 ms and was stopped");
    let result = error.result().unwrap();
    assert_eq!(result.usage.total(), 100);
    assert_eq!(result.timing.elapsed_us, 250_000);
}

struct Only(&'static str);

impl Approver for Only {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            if question.tool == self.0 {
                Decision::Approved
            } else {
                Decision::Denied { reason: "not that one".into() }
            }
        })
    }
}

#[tokio::test]
async fn a_child_without_an_approver_asks_that_of_the_run_above() {
    let tool = || {
        use martlet::tools::ToolExt as _;
        let spec = ToolSpec::new("launch", "Launches.");
        tool_fn(spec, |_: Nothing, _cx: ToolContext| async { Ok::<_, ToolError>("launched") })
            .needs_approval()
    };
    let model = || ScriptedModel::new([ScriptedReply::tool_call("launch", json!({})), answer("done")]);
    let plain = Agent::tool_calling(model()).tool(tool()).build().unwrap();
    let strict = Agent::tool_calling(model()).tool(tool()).approver(Only("nothing")).build().unwrap();
    for (agent, expected) in [(plain, true), (strict, false)] {
        let graph = Graph::new("g").node("agent", agent).approver(Only("launch")).build().unwrap();
        let mut run = graph.run(json!({})).start();
        let mut launched = false;
        while let Some(update) = run.next().await {
            if let Update::Child { update, .. } = update
                && let Update::Event { event } = *update
                && matches!(event.kind, EventKind::ToolCalled { .. })
            {
                launched = true;
            }
        }
        run.await.unwrap();
        assert_eq!(launched, expected);
    }
}

#[tokio::test]
async fn runs_are_nested_only_so_deep() {
    let mut graph = Graph::new("inner").node("n", async |_: Input| 1).build().unwrap();
    for _ in 0..3 {
        graph = Graph::new("outer").node("child", graph).build().unwrap();
    }
    let fits = Graph::new("top").node("child", graph.clone()).max_depth(4).build().unwrap();
    assert_eq!(fits.run(json!({})).await.unwrap().output, json!(1));
    let deep = Graph::new("top").node("child", graph).max_depth(3).build().unwrap();
    let (kind, message) = failed(&deep.run(json!({})).await.unwrap_err());
    assert_eq!(kind, NodeFailureKind::Limit);
    assert!(message.contains("max_depth"), "{message}");
}

#[tokio::test]
async fn the_end_of_an_agent_is_that_of_its_node() {
    use martlet::core::ModelFailureKind;
    let run = async |model: ScriptedModel, steps: u32| {
        let agent = Agent::tool_calling(model).max_steps(steps).build().unwrap();
        let graph = Graph::new("g").node("agent", agent).build().unwrap();
        graph.run(json!({})).await
    };
    let busy = ScriptedModel::new([ScriptedReply::failure(ModelFailureKind::RateLimited, "too many")]);
    assert_eq!(failed(&run(busy, 5).await.unwrap_err()).0, NodeFailureKind::Unavailable);
    let refused = ScriptedModel::new([ScriptedReply::failure(ModelFailureKind::Auth, "no key")]);
    let (kind, message) = failed(&run(refused, 5).await.unwrap_err());
    assert_eq!(kind, NodeFailureKind::Failed);
    assert!(message.contains("no key"), "{message}");
    let steps = || ScriptedReply::tool_call("unknown", json!({}));
    let late = ScriptedModel::new([steps(), ScriptedReply::text("at last")]);
    assert_eq!(run(late, 1).await.unwrap().output, json!("at last"));
    let never = ScriptedModel::new([steps(), ScriptedReply::text("")]);
    let (kind, message) = failed(&run(never, 1).await.unwrap_err());
    assert_eq!(kind, NodeFailureKind::Failed);
    assert!(message.contains("steps"), "{message}");
}

#[tokio::test]
async fn a_model_that_panics_fails_its_node_and_not_the_others() {
    let model = ScriptedModel::from_fn(|_, _| -> ScriptedReply { panic!("in a model") });
    let agent = Agent::tool_calling(model).build().unwrap();
    let graph = Graph::new("g")
        .node("agent", agent)
        .node("fine", async |_: Input| 1)
        .on_failure(martlet::OnFailure::Finish)
        .build()
        .unwrap();
    let error = graph.run(json!({})).await.unwrap_err();
    assert_eq!(failed(&error).0, NodeFailureKind::Failed);
    assert_eq!(error.result().unwrap().node_results["fine"], json!(1));
}
