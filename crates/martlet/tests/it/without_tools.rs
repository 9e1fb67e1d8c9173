//! Tools that one run must do without, and so must the runs in it.

use std::sync::Arc;

use crate::support::Watched;
use martlet::core::{ModelRequest, Role, ToolFlags};
use martlet::tools::tool_fn;
use martlet::{Agent, Graph, GraphRunError, RunId, Tool, ToolContext, ToolError, ToolSpec};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn search() -> impl Tool + Clone {
    let spec =
        ToolSpec::new("search", "Searches.").flags(ToolFlags { read_only: true, ..ToolFlags::default() });
    tool_fn(spec, |_: Nothing, _cx: ToolContext| async move { Ok::<_, ToolError>("found") })
}

/// Tells which tools it was offered.
fn helper() -> Agent {
    let model = ScriptedModel::from_fn(|request: &ModelRequest, _| {
        let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
        ScriptedReply::text(names.join(" "))
    });
    Agent::tool_calling(model).name("helper").description("Helps.").tool(search()).build().unwrap()
}

fn coder() -> Agent {
    let model = ScriptedModel::from_fn(|request: &ModelRequest, _| {
        let said = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        assert_eq!(request.messages[0].joined_text().contains("def search"), request_has_search(request));
        match said {
            0 => "```python\nprint(search())\n```",
            1 => "```python\nfinal_answer(helper(task='Which tools?'))\n```",
            _ => "```python\nfinal_answer('?')\n```",
        }
        .to_owned()
    });
    Agent::code(model).tool(search()).managed(helper()).build().unwrap()
}

fn request_has_search(request: &ModelRequest) -> bool {
    request.messages[1].joined_text().contains("with everything")
}

#[tokio::test]
async fn neither_programs_nor_managed_agents_have_what_a_run_does_without() {
    let whole = coder().run("Go, with everything.").await.unwrap();
    assert_eq!(whole.output, json!("search final_answer"));
    assert_eq!(whole.steps[0].stdout, "found\n");
    let without = coder().run("Go.").without_tools(["search", "no_such_tool", "final_answer"]).await.unwrap();
    let told = without.steps[0].observation.as_deref().unwrap_or_default();
    assert!(told.contains("NameError"), "{told}");
    assert_eq!(without.output, json!("final_answer"));
    let alone = coder().run("Go.").without_tools(["search", "helper"]).await.unwrap();
    let told = alone.steps[1].observation.as_deref().unwrap_or_default();
    assert!(told.contains("NameError"), "{told}");
}

#[tokio::test]
async fn it_stays_so_when_the_run_is_resumed() {
    for stop_after in 0..20 {
        let journal = Watched::new(stop_after);
        let id = RunId::new("r").unwrap();
        let whole = tokio::select! {
            result = coder().run("Go.").without_tools(["search"]).id(id.clone()).journal(journal.clone()) => Some(result),
            () = journal.reached.notified() => None,
        };
        if whole.is_some() {
            assert!(stop_after > 4, "{stop_after}");
            return;
        }
        let after = Watched::of(journal.memory.clone(), usize::MAX);
        let result = coder().resume(id).journal(after).await.unwrap();
        assert_eq!(result.output, json!("final_answer"), "cut after record {stop_after}");
    }
    panic!("the run never ended");
}

#[tokio::test]
async fn in_a_graph_the_agents_do_without_and_a_node_that_is_the_tool_fails() {
    let graph = Graph::new("g").node("help", helper()).build().unwrap();
    let result = graph.run(json!({"task": "Which tools?"})).without_tools(["search"]).await.unwrap();
    assert_eq!(result.output, json!("final_answer"));
    let graph = Graph::new("g").node("find", Arc::new(search())).build().unwrap();
    let failed = graph.run(json!({})).without_tools(["search"]).await.unwrap_err();
    let GraphRunError::Failed { failure, .. } = &failed else { panic!("{failed}") };
    assert!(failure.to_string().contains("must do without"), "{failure}");
}
