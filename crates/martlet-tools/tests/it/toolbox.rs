use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use martlet_core::{Arguments, ToolCall};
use martlet_tools::{
    AskUser, Asker, FinalAnswer, FnTool, Tool, ToolContext, ToolError, ToolExt, ToolFailureKind, ToolOutput,
    ToolSpec, Toolbox, tool_fn,
};
use serde_json::{Map, Value, json};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Echo {
    text: String,
    times: Option<u32>,
}

fn echo() -> FnTool {
    tool_fn(ToolSpec::new("echo", "Says it again."), |echo: Echo, _cx| async move {
        Ok::<_, ToolError>(echo.text.repeat(usize::try_from(echo.times.unwrap_or(1))?))
    })
}

fn arguments(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn call(tools: &Toolbox, name: &str, value: Value) -> Result<Value, (ToolFailureKind, String)> {
    match tools.call(name, arguments(value), &ToolContext::trial()).await {
        Ok(output) => Ok(output.to_value()),
        Err(failure) => Err((failure.kind, failure.message)),
    }
}

#[tokio::test]
async fn a_closure_becomes_a_tool() {
    let tools = Toolbox::new().with(echo()).unwrap();
    assert_eq!(call(&tools, "echo", json!({"text": "ab", "times": 2})).await, Ok(json!("abab")));
    assert_eq!(call(&tools, "echo", json!({"text": "ab", "times": 2.0})).await, Ok(json!("abab")));
    assert_eq!(call(&tools, "echo", json!({"text": "ab", "times": null})).await, Ok(json!("ab")));
}

#[tokio::test]
async fn an_unknown_tool_is_answered_with_the_one_that_was_meant() {
    let tools = Toolbox::new().with(echo()).unwrap().with(FinalAnswer::new()).unwrap();
    let failure = |message: &str| Err((ToolFailureKind::Unknown, message.to_owned()));
    assert_eq!(
        call(&tools, "finalAnswer", json!({})).await,
        failure("there is no tool `finalAnswer`; did you mean `final_answer`?")
    );
    assert_eq!(
        call(&tools, "calculator", json!({})).await,
        failure("there is no tool `calculator`; use one of `echo`, `final_answer`")
    );
    assert_eq!(
        call(&Toolbox::new(), "x", json!({})).await,
        failure("there is no tool `x`; there are no tools at all")
    );
}

#[tokio::test]
async fn wrong_arguments_never_reach_the_tool() {
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = reached.clone();
    let tools = Toolbox::new()
        .with(tool_fn(ToolSpec::new("count", "Counts."), move |_: Echo, _cx| {
            counter.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, ToolError>(()) }
        }))
        .unwrap();
    for wrong in
        [json!({}), json!({"text": 1}), json!({"text": "x", "more": 1}), json!({"text": "x", "times": -1})]
    {
        let (kind, message) = call(&tools, "count", wrong).await.unwrap_err();
        assert_eq!(kind, ToolFailureKind::Arguments, "{message}");
    }
    assert_eq!(reached.load(Ordering::Relaxed), 0);
    call(&tools, "count", json!({"text": "x"})).await.unwrap();
    assert_eq!(reached.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn structured_calls_may_come_malformed() {
    let tools = Toolbox::new().with(echo()).unwrap();
    let structured = |name: &str, text: &str| ToolCall {
        id: "1".into(),
        name: name.into(),
        arguments: Arguments::parse(text),
    };
    let cx = ToolContext::trial();
    let output = tools.call_structured(structured("echo", r#"{"text": "x"}"#), &cx).await.unwrap();
    assert_eq!(output, ToolOutput::from(json!("x")));
    let failure = tools.call_structured(structured("echo", "{text: x"), &cx).await.unwrap_err();
    assert_eq!(failure.kind, ToolFailureKind::Arguments);
    assert!(failure.message.contains("not a JSON object"), "{failure}");
    let failure = tools.call_structured(structured("eco", "{text: x"), &cx).await.unwrap_err();
    assert_eq!(failure.kind, ToolFailureKind::Unknown);
}

/// Panics before it makes its future, or within it.
struct Panics {
    spec: ToolSpec,
    early: Option<()>,
}

impl Tool for Panics {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        _arguments: Map<String, Value>,
        _cx: &'a ToolContext,
    ) -> futures::future::BoxFuture<'a, Result<ToolOutput, ToolError>> {
        assert!(self.early.is_none(), "the password is swordfish");
        async { panic!("the password is swordfish") }.boxed()
    }
}

#[tokio::test]
async fn a_panic_is_a_failure_that_does_not_repeat_its_words() {
    for early in [Some(()), None] {
        let tools = Toolbox::new().with(Panics { spec: ToolSpec::new("panics", "Panics."), early }).unwrap();
        let (kind, message) = call(&tools, "panics", json!({})).await.unwrap_err();
        assert_eq!(kind, ToolFailureKind::Failed);
        assert!(message.contains("`panics`") && !message.contains("swordfish"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_dropped() {
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let counter = dropped.clone();
    let slow = tool_fn(ToolSpec::new("slow", "Never ends."), move |_: Map<String, Value>, _cx| {
        let guard = OnDrop(counter.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok::<_, ToolError>(())
        }
    });
    for tool in [slow.clone().timeout(Duration::from_secs(3)), slow] {
        let tools = Toolbox::new().with(ToolExt::timeout(tool, Duration::from_secs(3))).unwrap();
        let (kind, message) = call(&tools, "slow", json!({})).await.unwrap_err();
        assert_eq!(kind, ToolFailureKind::TimedOut);
        assert_eq!(message, "`slow` took longer than 3s and was stopped");
    }
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

#[test]
fn names_are_checked_and_unique() {
    let mut tools = Toolbox::new().with(echo()).unwrap();
    let error = tools.add(echo()).unwrap_err();
    assert!(error.is_duplicate());
    assert_eq!(
        error.to_string(),
        "tool `echo` cannot be added: there is a tool of this name already; give one of them another name"
    );
    for name in ["web-search", "lambda", ""] {
        let error = tools.add(echo().named(name)).unwrap_err();
        assert_eq!(error.tool(), name);
        assert!(error.to_string().contains("invalid name"), "{error}");
    }
    let broken = ToolSpec::new("broken", "").parameters(json!({"type": "object", "properties": 1}));
    let error = tools.add(Panics { spec: broken, early: None }).unwrap_err();
    assert!(error.to_string().contains("schema"), "{error}");
    tools.add(echo().named("echo_2").described("Once more.").needs_approval()).unwrap();
    assert_eq!(tools.names().collect::<Vec<_>>(), ["echo", "echo_2"]);
    assert_eq!(tools.specs()[1].description, "Once more.");
    assert!(tools.get("echo_2").unwrap().spec().flags.needs_approval);
}

#[test]
fn specifications_are_made_once_and_follow_the_tools() {
    let mut tools = Toolbox::new().with(echo()).unwrap();
    assert!(Arc::ptr_eq(&tools.specs(), &tools.specs()));
    tools.add(FinalAnswer::new()).unwrap();
    assert_eq!(tools.specs().len(), 2);
}

#[tokio::test]
async fn the_users_own_final_answer_wins() {
    let mut tools = Toolbox::new().with(echo().named("final_answer")).unwrap();
    tools.add_default(FinalAnswer::new()).unwrap();
    assert_eq!(call(&tools, "final_answer", json!({"text": "mine"})).await, Ok(json!("mine")));
    let mut tools = Toolbox::new();
    tools.add_default(FinalAnswer::new()).unwrap();
    assert_eq!(call(&tools, "final_answer", json!({"answer": {"a": [1]}})).await, Ok(json!({"a": [1]})));
    assert_eq!(call(&tools, "final_answer", json!({"answer": null})).await, Ok(json!(null)));
    assert!(call(&tools, "final_answer", json!({})).await.is_err());
}

#[tokio::test]
async fn a_question_reaches_the_asker_with_its_context() {
    struct Back;
    impl Asker for Back {
        fn ask<'a>(
            &'a self,
            question: &'a str,
            cx: &'a ToolContext,
        ) -> futures::future::BoxFuture<'a, Result<String, ToolError>> {
            async move { Ok(format!("{} was asked: {question}", cx.user().unwrap_or("nobody"))) }.boxed()
        }
    }
    let tools = Toolbox::new().with(AskUser::new(Back)).unwrap();
    let cx = ToolContext::trial().with_user("ann");
    let output = tools.call("ask_user", arguments(json!({"question": "Why?"})), &cx).await.unwrap();
    assert_eq!(output.to_text(), "ann was asked: Why?");
}
