//! Approval policies and edited calls, through drivers and journals.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use martlet::store::MemoryJournal;
use martlet::tools::tool_fn;
use martlet::{
    Agent, ApprovalPolicy, ApprovalRule, Approver, Decision, Graph, Input, Node, Question, RunId, Tool,
    ToolContext, ToolError, ToolSpec, tool,
};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use serde_json::{Map, Value, json};

/// Pays an amount.
#[tool]
async fn pay(
    /// The amount.
    amount: i64,
) -> String {
    format!("paid {amount}")
}

/// Halves what is to be paid, refuses what is odd, and notes what it was asked.
#[derive(Clone, Default)]
struct Halves(Arc<Mutex<Vec<i64>>>);

impl Halves {
    fn asked(&self) -> Vec<i64> {
        self.0.lock().unwrap().clone()
    }
}

impl Approver for Halves {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Decision> {
        let amount = question.arguments["amount"].as_i64().unwrap();
        self.0.lock().unwrap().push(amount);
        let decision = match amount % 2 {
            0 => Decision::Edited { arguments: Map::from_iter([("amount".into(), json!(amount / 2))]) },
            _ => Decision::Denied { reason: "odd".into() },
        };
        Box::pin(std::future::ready(decision))
    }
}

fn rules(rules: impl IntoIterator<Item = ApprovalRule>) -> ApprovalPolicy {
    ApprovalPolicy::new(rules)
}

fn ask() -> ApprovalRule {
    ApprovalRule::ask().tool("pay".parse().unwrap())
}

fn deny() -> ApprovalRule {
    ApprovalRule::deny().tool("pay".parse().unwrap()).reason("no money today")
}

fn allow() -> ApprovalRule {
    ApprovalRule::allow()
}

#[tokio::test]
async fn a_call_is_made_as_it_was_edited_and_the_model_is_told() {
    let halves = Halves::default();
    let model = Arc::new(ScriptedModel::new([
        "```python\nprint(pay(10))\n```".to_owned(),
        "```python\nfinal_answer('ok')\n```".to_owned(),
    ]));
    let agent = Agent::code(model.clone())
        .tool(pay)
        .approvals(rules([ask()]))
        .approver(halves.clone())
        .build()
        .unwrap();
    agent.run("Pay.").await.unwrap();
    assert_eq!(halves.asked(), [10]);
    let told = model.requests()[1].messages.last().unwrap().joined_text();
    assert_eq!(
        told,
        "Observation:\nA person changed the arguments of `pay` from {\"amount\":10} to {\"amount\":5}.\npaid 5"
    );
}

#[tokio::test]
async fn a_journal_with_an_edited_call_gives_the_same_run_and_asks_nobody_again() {
    let journal = Arc::new(MemoryJournal::new());
    let halves = Halves::default();
    let agent = || {
        let model = ScriptedModel::new(["```python\nfinal_answer(pay(10))\n```"]);
        Agent::code(model)
            .tool(pay)
            .approvals(rules([ask()]))
            .approver(halves.clone())
            .journal(journal.clone())
            .build()
            .unwrap()
    };
    let id = RunId::new("r").unwrap();
    let result = agent().run("Pay.").id(id.clone()).await.unwrap();
    assert_eq!(result.output, json!("paid 5"));
    assert_eq!(result.steps[0].calls[0].asked, Some(Map::from_iter([("amount".into(), json!(10))])));
    let again = agent().resume(id).await.unwrap();
    assert_eq!(again, result);
    assert_eq!(halves.asked(), [10]);
}

#[tokio::test]
async fn a_run_goes_on_under_the_policy_with_which_it_began() {
    let journal = Arc::new(MemoryJournal::new());
    let agent = |policy: ApprovalPolicy| {
        let model = ScriptedModel::from_fn(|_, _| "```python\nfinal_answer(pay(10))\n```".to_owned());
        Agent::code(model).tool(pay).approvals(policy).journal(journal.clone()).build().unwrap()
    };
    let id = RunId::new("r").unwrap();
    // Dropped before anything was done, so that only its start is recorded.
    let mut run = agent(rules([deny()])).run("Pay.").id(id.clone()).max_steps(1).start();
    run.next().await;
    drop(run);
    let result = agent(ApprovalPolicy::default()).resume(id).await.unwrap();
    let failure = result.steps[0].calls[0].result.as_ref().unwrap().as_ref().unwrap_err();
    assert!(failure.message.contains("no money today"), "{failure}");
}

/// An agent that pays 10, and answers with what came of it.
fn payer() -> martlet::AgentBuilder {
    let code =
        "```python\ntry:\n    final_answer(pay(10))\nexcept Exception as e:\n    final_answer(str(e))\n```";
    Agent::code(ScriptedModel::from_fn(move |_, _| code.to_owned()))
        .name("payer")
        .description("Pays.")
        .tool(pay)
}

/// An agent that lets `payer`, or what is named so, do it.
fn manager() -> martlet::AgentBuilder {
    let code = "```python\nfinal_answer(payer('Pay.'))\n```";
    Agent::code(ScriptedModel::from_fn(move |_, _| code.to_owned())).description("Manages.")
}

#[tokio::test]
async fn the_rules_of_a_manager_bind_those_it_manages_and_never_free_them() {
    let said = |outcome: &Value| {
        let text = outcome.as_str().unwrap();
        ["paid 10", "paid 5", "no money today"].into_iter().find(|word| text.contains(word)).unwrap()
    };
    for (own, outer, expected) in [
        (allow(), deny(), "no money today"),
        (allow(), ask(), "paid 5"),
        (allow(), allow(), "paid 10"),
        (ask(), allow(), "paid 5"),
        (deny(), allow(), "no money today"),
        (ask(), deny(), "no money today"),
    ] {
        let payer = payer().approvals(rules([own.clone()])).build().unwrap();
        let alone = payer.clone();
        let managed =
            manager().managed(payer.clone()).approvals(rules([outer.clone()])).approver(Halves::default());
        let result = managed.build().unwrap().run("Go.").await.unwrap();
        assert_eq!(said(&result.output), expected, "{own:?} under {outer:?}");

        // As a node, and as a node of a graph within a graph.
        let graph = || Graph::new("g").node("payer", payer.clone());
        let bound = graph().approvals(rules([outer.clone()])).approver(Halves::default()).build().unwrap();
        let result = bound.run(json!({"task": "Pay."})).await.unwrap();
        assert_eq!(said(&result.output), expected, "{own:?} in a graph under {outer:?}");
        let nested = Graph::new("top").node("inner", graph().build().unwrap());
        let nested = nested.approvals(rules([outer.clone()])).approver(Halves::default()).build().unwrap();
        let result = nested.run(json!({"task": "Pay."})).await.unwrap();
        assert_eq!(said(&result.output), expected, "{own:?} in a graph in a graph under {outer:?}");

        assert!(alone.spec().approvals.outer.is_empty(), "the agent itself stays what it is");
    }
}

#[tokio::test]
async fn a_graph_decides_on_its_tool_nodes_and_a_retry_keeps_what_was_edited() {
    let tries = Arc::new(Mutex::new(Vec::new()));
    let seen = tries.clone();
    let spec = pay.spec().clone();
    let unsteady = tool_fn(
        ToolSpec::new("pay", "Pays an amount.").parameters(spec.parameters),
        move |arguments: Map<String, Value>, _cx: ToolContext| {
            let mut tries = seen.lock().unwrap();
            tries.push(arguments["amount"].clone());
            let first = tries.len() == 1;
            async move { if first { Err(ToolError::from("busy")) } else { Ok("paid") } }
        },
    );
    let node =
        Node::new(unsteady).retry_with(martlet::Retry { count: 1, backoff_ms: 0, ..Default::default() });
    let halves = Halves::default();
    let graph = Graph::new("g")
        .node("sum", async |_: Input| 8)
        .node("bill", node.input("amount", "sum"))
        .edge("sum", "bill")
        .approvals(rules([ask()]))
        .approver(halves.clone())
        .build()
        .unwrap();
    let result = graph.run(json!({})).await.unwrap();
    assert_eq!(*tries.lock().unwrap(), [json!(4), json!(4)]);
    assert_eq!(halves.asked(), [8]);
    let edited = &result.node("bill").unwrap().edited;
    assert_eq!((edited.len(), &edited[0].asked["amount"]), (1, &json!(8)));
}

#[tokio::test]
async fn structured_calls_are_under_the_same_rules() {
    let model = Arc::new(ScriptedModel::new([
        ScriptedReply::tool_call("pay", json!({"amount": 60})),
        ScriptedReply::tool_call("pay", json!({"amount": 40})),
        ScriptedReply::tool_call("final_answer", json!({"answer": "ok"})),
    ]));
    let small = ApprovalRule::allow().when("arguments.amount <= 50".parse().unwrap());
    let agent =
        Agent::tool_calling(model.clone()).tool(pay).approvals(rules([small, deny()])).build().unwrap();
    let result = agent.run("Pay.").await.unwrap();
    let results: Vec<bool> =
        result.steps[..2].iter().map(|step| step.calls[0].result.as_ref().unwrap().is_ok()).collect();
    assert_eq!(results, [false, true]);
}
