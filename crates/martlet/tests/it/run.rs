//! What a run gives, and that runs do not touch each other.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use martlet::core::Effect;
use martlet::tools::tool_fn;
use martlet::{
    Agent, Approver, Decision, Question, Role, RunError, RunStatus, Session, ToolContext, ToolError,
    ToolSpec, tool,
};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Barrier;

/// Gives back what it is given.
#[tool]
async fn echo(
    /// Anything.
    text: String,
) -> String {
    text
}

/// Doubles a number, the slow and synchronous way.
#[tool]
fn double(
    /// The number.
    number: i64,
) -> i64 {
    number * 2
}

#[derive(Deserialize, JsonSchema)]
struct Who {
    who: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A tool that returns only when `n` calls of it are under way at the same time.
fn meet(n: usize) -> impl martlet::Tool {
    let barrier = Arc::new(Barrier::new(n));
    let spec = ToolSpec::new("meet", "Waits for the others.");
    tool_fn(spec, move |arguments: Who, _cx: ToolContext| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            Ok::<_, ToolError>(arguments.who)
        }
    })
}

#[tokio::test]
async fn a_code_agent_calls_async_and_plain_tools_and_keeps_its_names() {
    let model = ScriptedModel::new([
        "I look first.\n```python\nx = double(4)\nprint(echo(text='x is'), x)\n```",
        "```python\nfinal_answer({'x': x, 'again': await double(x)})\n```",
    ]);
    let agent = Agent::code(model).tool(echo).tool(double).build().unwrap();
    let result = agent.run("Double 4 twice.").await.unwrap();
    assert_eq!(result.output, json!({"x": 8, "again": 16}));
    assert_eq!(result.steps[0].stdout, "x is 8\n");
    assert_eq!(result.steps.len(), 2);
}

#[tokio::test]
async fn calls_that_are_gathered_in_python_run_at_the_same_time() {
    let code =
        "```python\nimport asyncio\nfinal_answer(await asyncio.gather(*[meet(i) for i in range(3)]))\n```";
    let agent = Agent::code(ScriptedModel::new([code])).tool(meet(3)).build().unwrap();
    let result = agent.run("Meet.").timeout(Duration::from_secs(60)).await.unwrap();
    assert_eq!(result.output, json!([0, 1, 2]));
}

#[tokio::test]
async fn structured_calls_of_one_reply_run_at_the_same_time() {
    let model = ScriptedModel::new([
        ScriptedReply::tool_calls([("meet", json!({"who": 1})), ("meet", json!({"who": 2}))]),
        ScriptedReply::text("They met."),
    ]);
    let agent = Agent::tool_calling(model).tool(meet(2)).build().unwrap();
    let result = agent.run("Meet.").timeout(Duration::from_secs(60)).await.unwrap();
    assert_eq!(result.answer_text(), "They met.");
}

#[tokio::test]
async fn one_agent_serves_many_runs_and_none_sees_another() {
    let model = ScriptedModel::from_fn(|request, _| {
        let last = request.messages.last().unwrap();
        if last.role == Role::Tool {
            return ScriptedReply::text(last.joined_text());
        }
        ScriptedReply::tool_call("echo", json!({"text": last.joined_text()}))
    })
    .without_recording();
    let agent = Agent::tool_calling(model).tool(echo).build().unwrap();
    let runs = (0..500).map(|number| {
        let agent = agent.clone();
        tokio::spawn(async move {
            let secret = format!("secret-{number}");
            let result = agent.run(secret.as_str()).await.unwrap();
            assert_eq!(result.answer_text(), secret);
        })
    });
    for run in join_all(runs).await {
        run.unwrap();
    }
}

#[tokio::test]
async fn a_tool_that_panics_is_an_observation() {
    let spec = ToolSpec::new("burst", "Panics.");
    let burst = tool_fn(spec, |_: Nothing, _cx: ToolContext| async move {
        if true {
            panic!("key=hunter2");
        }
        Ok::<_, ToolError>(Value::Null)
    });
    let model = ScriptedModel::new([
        ScriptedReply::tool_call("burst", json!({})),
        ScriptedReply::text("It did not work."),
    ]);
    let agent = Agent::tool_calling(model).tool(burst).build().unwrap();
    let result = agent.run("Go.").await.unwrap();
    let shown = serde_json::to_string(&result).unwrap();
    assert!(shown.contains("internal error") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_check_refuses_an_answer_until_it_is_right() {
    let model =
        ScriptedModel::new(["```python\nfinal_answer('five')\n```", "```python\nfinal_answer(5)\n```"]);
    let agent = Agent::code(model)
        .check(|answer| async move { if answer.is_number() { Ok(()) } else { Err("give a number".into()) } })
        .build()
        .unwrap();
    let result = agent.run("2 + 3?").await.unwrap();
    assert_eq!(result.output, json!(5));
    assert!(result.steps[0].observation.as_deref().unwrap().contains("give a number"));
}

struct Clerk;

impl Approver for Clerk {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Decision> {
        assert_eq!(question.tool, "pay");
        let decision = if question.arguments["amount"] == 5 {
            Decision::Approved
        } else {
            Decision::Denied { reason: "too much".into() }
        };
        Box::pin(std::future::ready(decision))
    }
}

/// Pays an amount.
#[tool(needs_approval)]
async fn pay(
    /// The amount.
    amount: i64,
) -> String {
    format!("paid {amount}")
}

#[tokio::test]
async fn a_tool_that_needs_approval_is_called_only_with_it() {
    let code = "```python\ntry:\n    pay(100)\nexcept Exception as e:\n    print('refused:', e)\nfinal_answer(pay(5))\n```";
    let agent = Agent::code(ScriptedModel::new([code])).tool(pay).approver(Clerk).build().unwrap();
    let result = agent.run("Pay.").await.unwrap();
    assert_eq!(result.output, json!("paid 5"));
    assert!(result.steps[0].stdout.contains("too much"), "{:?}", result.steps[0].stdout);

    let nobody =
        Agent::code(ScriptedModel::new(["```python\nfinal_answer(pay(5))\n```", "no", "no"])).tool(pay);
    let result = nobody.build().unwrap().run("Pay.").await.unwrap();
    assert!(result.steps[0].error.as_ref().unwrap().to_string().contains("nobody is there"));
}

#[tokio::test]
async fn a_session_remembers_what_was_said_and_what_python_defined() {
    let model = ScriptedModel::new([
        "```python\nsecret = 17\nfinal_answer('noted')\n```",
        "```python\nfinal_answer(secret + 1)\n```",
    ]);
    let model = Arc::new(model);
    let mut session = Session::new(Agent::code(model.clone()).build().unwrap());
    session.run("The secret is 17.").await.unwrap();
    let result = session.run("And one more?").await.unwrap();
    assert_eq!(result.output, json!(18));
    let said: Vec<String> =
        model.requests()[1].messages.iter().map(|message| message.joined_text()).collect();
    assert!(said.iter().any(|text| text == "The secret is 17."), "{said:?}");
}

#[test]
fn sync_code_can_run_an_agent() {
    let agent = Agent::code(ScriptedModel::new(["```python\nfinal_answer(1)\n```"])).build().unwrap();
    assert_eq!(agent.run("1?").blocking().unwrap().output, json!(1));
}

#[tokio::test]
async fn blocking_in_async_code_is_an_error_and_no_deadlock() {
    let agent = Agent::code(ScriptedModel::new(["x"])).build().unwrap();
    assert!(matches!(agent.run("1?").blocking(), Err(RunError::BlockingInAsync)));
}

#[tokio::test]
async fn what_is_wrong_with_an_agent_is_said_when_it_is_built() {
    let model = || ScriptedModel::new(["x"]);
    let twice = Agent::code(model()).tool(echo).tool(echo).build().unwrap_err().to_string();
    assert!(twice.contains("echo"), "{twice}");
    let import = Agent::code(model()).imports(["numpy"]).build().unwrap_err().to_string();
    assert!(import.contains("numpy"), "{import}");
    let sum = tool_fn(ToolSpec::new("sum", "Adds."), |_: Nothing, _cx: ToolContext| async {
        Ok::<_, ToolError>(0)
    });
    let built_in = Agent::code(model()).tool(sum).build().unwrap_err().to_string();
    assert!(built_in.contains("built-in function"), "{built_in}");
    let steps = Agent::code(model()).max_steps(0).build().unwrap_err().to_string();
    assert!(steps.contains("max_steps"), "{steps}");
}

#[tokio::test]
async fn used_up_steps_and_failures_of_the_model_are_told_apart() {
    let agent = Agent::code(ScriptedModel::new(["```python\n1\n```", "I do not know."]))
        .max_steps(1)
        .build()
        .unwrap();
    let result = agent.run("?").await.unwrap();
    assert_eq!((result.status, result.answer_text()), (RunStatus::StepLimit, "I do not know.".into()));

    let kind = martlet::core::ModelFailureKind::Auth;
    let agent = Agent::code(ScriptedModel::new([ScriptedReply::failure(kind, "bad key")])).build().unwrap();
    let error = agent.run("?").await.unwrap_err();
    assert!(error.to_string().contains("bad key"), "{error}");
    assert_eq!(error.result().unwrap().status, RunStatus::Failed);
}

#[test]
fn effects_are_named_by_their_place() {
    // Tools get the name as their idempotency key, so its form is a promise.
    let agent = Agent::tool_calling(ScriptedModel::new(["x"])).build().unwrap();
    let id = martlet::RunId::new("r1").unwrap();
    let mut run = martlet::core::Run::start(id, agent.spec().clone(), martlet::Task::new("t"));
    let (id, effect) = run.take_effects().remove(0);
    assert!(matches!(effect, Effect::Model { .. }));
    assert_eq!(id.to_string(), "r1/1/0");
}

#[tokio::test]
async fn values_and_files_of_a_task_are_variables_of_its_programs() {
    let model = Arc::new(ScriptedModel::new([
        "```python\nlines = sales_csv.split('\\n')\nprint(len(lines))\n```",
        "```python\nfinal_answer([lines[-1], limits['most'], len(text)])\n```",
    ]));
    let agent = Agent::code(model.clone()).build().unwrap();
    let result = agent
        .run("What is in the last line?")
        .part(martlet::Part::file("sales.csv", "text/csv", "a\nb\nc"))
        .variable("limits", json!({"most": 7}))
        .variable("text", "x".repeat(100_000))
        .await
        .unwrap();
    assert_eq!(result.output, json!(["c", 7, 100_000]));
    let told = model.requests()[0].messages[1].joined_text();
    assert!(told.contains("- sales_csv: the text of the file sales.csv, 5 characters"), "{told}");
    assert!(told.len() < 1_000, "a long value is only begun: {}", told.len());
}

#[tokio::test]
async fn a_variable_that_programs_could_not_use_is_refused_before_the_run_begins() {
    let agent = Agent::code(ScriptedModel::new(["x"])).tool(echo).build().unwrap();
    for name in ["echo", "print", "no name"] {
        let refused = agent.run("Go.").variable(name, 1).await;
        assert!(matches!(refused, Err(RunError::Variable { .. })), "{name}: {refused:?}");
    }
}
