//! Stopping: by dropping, by cancelling, by time.

use std::sync::Arc;
use std::time::Duration;

use martlet::tools::tool_fn;
use martlet::{Agent, RunStatus, ToolContext, ToolError, ToolSpec};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// Says when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            let _ = tell.send(());
        }
    }
}

/// A tool that never returns, and what to await for its start and its end.
fn endless() -> (impl martlet::Tool, mpsc::Receiver<()>, oneshot::Receiver<()>) {
    let (started, has_started) = mpsc::channel(1);
    let (ended, has_ended) = oneshot::channel();
    let ended = Arc::new(std::sync::Mutex::new(Some(ended)));
    let tool = tool_fn(ToolSpec::new("endless", "Never returns."), move |_: Nothing, _cx: ToolContext| {
        let (started, ended) = (started.clone(), ended.clone());
        async move {
            let _dropped = Dropped(ended.lock().unwrap().take());
            let _ = started.send(()).await;
            std::future::pending::<()>().await;
            Ok::<_, ToolError>(Value::Null)
        }
    });
    (tool, has_started, has_ended)
}

fn agent(tool: impl martlet::Tool + 'static) -> Agent {
    Agent::tool_calling(ScriptedModel::new([ScriptedReply::tool_call("endless", json!({}))]))
        .tool(tool)
        .build()
        .unwrap()
}

#[tokio::test]
async fn cancelling_stops_the_tool_and_keeps_the_steps() {
    let (tool, mut started, ended) = endless();
    let run = agent(tool).run("Go.").start();
    started.recv().await.unwrap();
    run.cancel();
    let result = run.await.unwrap();
    assert_eq!(result.status, RunStatus::Cancelled);
    assert_eq!(result.steps[0].calls.len(), 1);
    ended.await.unwrap();
}

#[tokio::test]
async fn dropping_the_handle_stops_the_tool() {
    let (tool, mut started, ended) = endless();
    let run = agent(tool).run("Go.").start();
    started.recv().await.unwrap();
    drop(run);
    ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_up_ends_with_what_it_has() {
    let (tool, _started, ended) = endless();
    let result = agent(tool).run("Go.").timeout(Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(result.status, RunStatus::TimedOut);
    assert_eq!(result.steps.len(), 1);
    ended.await.unwrap();
}

#[tokio::test]
async fn a_python_loop_without_end_is_stopped_by_its_limit() {
    let limits = martlet::core::CodeLimits { time_ms: 100, ..Default::default() };
    let model =
        ScriptedModel::new(["```python\nwhile True: pass\n```", "```python\nfinal_answer('out')\n```"]);
    let agent = Agent::code(model).code_limits(limits).build().unwrap();
    let result = agent.run("Loop.").await.unwrap();
    assert_eq!(result.output, json!("out"));
    assert!(result.steps[0].error.as_ref().unwrap().to_string().contains("TimeoutError"));
}
