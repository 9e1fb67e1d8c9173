//! Agents that manage agents: each call is a run of its own, under the limits and the end of the one above.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::Watched;
use futures::future::BoxFuture;
use martlet::core::{ModelRequest, ToolFlags};
use martlet::model::{DeltaSink, ModelError, ModelReply};
use martlet::tools::tool_fn;
use martlet::{
    Agent, AgentBuilder, Approver, Decision, EventKind, Graph, Input, InputError, Model, Question, RunId,
    RunResult, RunStatus, ToolContext, ToolError, ToolSpec, Update, Usage,
};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Barrier, mpsc};

/// The text of a request's task.
fn task(request: &ModelRequest) -> String {
    request.messages[1].joined_text()
}

/// What the model was shown last.
fn shown(request: &ModelRequest) -> String {
    request.messages.last().unwrap().joined_text()
}

fn reply(text: &str, tokens: u64) -> ModelReply {
    let usage = Usage { input_tokens: tokens, ..Usage::default() };
    let mut reply = ModelReply::text(text);
    reply.usage = usage;
    reply
}

fn answer(text: &str) -> String {
    format!("```python\nfinal_answer({text})\n```")
}

#[derive(Deserialize, JsonSchema)]
struct Who {
    who: String,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A tool that returns only when `n` calls of it are under way at the same time.
fn meet(n: usize) -> impl martlet::Tool {
    let barrier = Arc::new(Barrier::new(n));
    tool_fn(ToolSpec::new("meet", "Waits for the others."), move |arguments: Who, _cx: ToolContext| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            Ok::<_, ToolError>(arguments.who)
        }
    })
}

/// An agent whose runs keep a name in Python and remember what they were asked.
fn greeter(model: Arc<ScriptedModel>) -> AgentBuilder {
    Agent::code(model).name("greeter").description("Greets people.").tool(meet(2))
}

fn greeter_model() -> Arc<ScriptedModel> {
    Arc::new(ScriptedModel::from_fn(|request, _| {
        let task = task(request);
        let who = ["Ada", "Bob"].into_iter().find(|who| task.contains(who)).unwrap_or("nobody");
        match request.messages.len() {
            2 if who == "nobody" => "```python\nprint('known' in dir() or known)\n```".to_owned(),
            2 => format!("```python\nknown = meet('{who}')\nprint(known)\n```"),
            _ if who == "nobody" => answer("'nobody'"),
            _ => answer(&format!("{{'greeted': known, 'task': '{who}'}}")),
        }
    }))
}

#[tokio::test]
async fn one_agent_called_twice_at_the_same_time_answers_both_and_forgets_them() {
    let child_model = greeter_model();
    let child = greeter(child_model.clone()).build().unwrap();
    let model = Arc::new(ScriptedModel::new([
        "```python\nimport asyncio\nboth = await asyncio.gather(greeter('Greet Ada.'), greeter(task='Greet Bob.'))\nprint(both)\n```",
        "```python\ntry:\n    last = greeter('Who was there?')\nexcept Exception as error:\n    last = str(error)\nfinal_answer([both, last])\n```",
    ]));
    let agent = Agent::code(model.clone()).name("host").managed(child).build().unwrap();
    let result = agent.run("Greet Ada and Bob.").await.unwrap();
    assert_eq!(
        result.output,
        json!([[{"greeted": "Ada", "task": "Ada"}, {"greeted": "Bob", "task": "Bob"}], "nobody"]),
        "each call has the answer to its own task, as the value that it is"
    );
    let requests = child_model.requests();
    for request in &requests {
        let all: String = request.messages.iter().map(|message| message.joined_text()).collect();
        assert!(!(all.contains("Ada") && all.contains("Bob")), "runs do not meet: {all}");
        assert!(task(request).starts_with("You work for another agent, `host`"), "{all}");
    }
    let last = requests.iter().rfind(|request| task(request).contains("Who was there?")).unwrap();
    assert!(
        shown(last).contains("NameError"),
        "no Python name is left from the runs before: {}",
        shown(last)
    );
    let prompt = model.requests()[0].messages[0].joined_text();
    assert!(prompt.contains("def greeter(task: str"), "{prompt}");
}

#[tokio::test]
async fn a_tool_calling_agent_gives_tasks_to_two_agents() {
    let counter = Agent::code(ScriptedModel::new([answer("4")]))
        .name("counter")
        .description("Counts.")
        .answer_schema(json!({"type": "integer"}))
        .build()
        .unwrap();
    let poet_model = Arc::new(ScriptedModel::from_fn(|request, _| {
        ScriptedReply::tool_call(
            "final_answer",
            json!({"answer": format!("A poem{}", task(request).contains("\"lines\":4"))}),
        )
    }));
    let poet = Agent::tool_calling(poet_model).name("poet").description("Writes poems.").build().unwrap();
    let model = Arc::new(ScriptedModel::new([
        ScriptedReply::tool_calls([
            ("counter", json!({"task": "Count the seasons."})),
            ("poet", json!({"task": "Write.", "additional_args": {"lines": 4}})),
        ]),
        ScriptedReply::text("Done."),
    ]));
    let agent = Agent::tool_calling(model.clone()).managed(counter).managed(poet).build().unwrap();
    let result = agent.run("Count and write.").await.unwrap();
    assert_eq!(result.answer_text(), "Done.");
    let outputs: Vec<Value> = result.steps[0]
        .calls
        .iter()
        .map(|record| record.result.clone().unwrap().unwrap().to_value())
        .collect();
    assert_eq!(outputs, [json!(4), json!("A poemtrue")]);
    let request = &model.requests()[0];
    let offered: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(offered, ["counter", "poet", "final_answer"]);
}

/// `top` asks `middle`, which asks `leaf`. Every model call reads 10 tokens.
fn three_levels(depth: u32) -> (Agent, [Arc<ScriptedModel>; 3]) {
    let leaf_model = Arc::new(ScriptedModel::from_fn(|_, _| reply(&answer("'leaf'"), 10)));
    let leaf = Agent::code(leaf_model.clone()).name("leaf").description("Is deep.").build().unwrap();
    let asks = |below: &'static str| {
        Arc::new(ScriptedModel::from_fn(move |request, _| match request.messages.len() {
            2 => reply(&format!("```python\nprint({below}('Go on.'))\n```"), 10),
            _ => reply(&answer(&format!("{:?}", shown(request))), 10),
        }))
    };
    let middle_model = asks("leaf");
    let middle = Agent::code(middle_model.clone())
        .name("middle")
        .description("Asks the leaf.")
        .managed(leaf)
        .build()
        .unwrap();
    let top_model = asks("middle");
    let top = Agent::code(top_model.clone()).managed(middle).max_depth(depth).build().unwrap();
    (top, [top_model, middle_model, leaf_model])
}

#[tokio::test]
async fn three_levels_deep_every_token_counts_once_in_each_run_above() {
    let (agent, models) = three_levels(8);
    let mut run = agent.run("Go.").start();
    let mut ended: Vec<(String, u64)> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    while let Some(update) = run.next().await {
        let (path, event) = match &update {
            Update::Event { event } => ("top".to_owned(), event),
            Update::Child { name, update, .. } => match &**update {
                Update::Event { event } => (name.to_string(), event),
                Update::Child { name: below, update, .. } => match &**update {
                    Update::Event { event } => (format!("{name}/{below}"), event),
                    _ => continue,
                },
                _ => continue,
            },
            _ => continue,
        };
        match &event.kind {
            EventKind::ChildStarted { name, child, .. } => seen.push(format!("{path} starts {name} {child}")),
            EventKind::ChildEnded { name, usage, .. } => ended.push((name.clone(), usage.total())),
            EventKind::RunStarted { .. } => seen.push(format!("{path} began as {}", event.run)),
            _ => {}
        }
    }
    let id = run.id().clone();
    let result = run.result().await.unwrap();
    assert!(result.answer_text().contains("leaf"), "{}", result.answer_text());
    assert_eq!(
        seen,
        [
            format!("top began as {id}"),
            format!("top starts middle {id}-1-2"),
            format!("middle began as {id}-1-2"),
            format!("middle starts leaf {id}-1-2-1-2"),
            format!("middle/leaf began as {id}-1-2-1-2"),
        ]
    );
    assert_eq!(ended, [("leaf".to_owned(), 10), ("middle".to_owned(), 30)]);
    assert_eq!(result.usage.total(), 50);
    assert_eq!(models.map(|model| model.calls()), [2, 2, 1]);
}

#[tokio::test]
async fn a_run_that_would_be_nested_too_deep_is_not_begun_and_the_model_is_told() {
    let (agent, [_, _, leaf]) = three_levels(1);
    let result = agent.run("Go.").await.unwrap();
    assert_eq!(leaf.calls(), 0);
    let answer = result.answer_text();
    assert!(
        answer.contains("the agent `leaf` gave no answer") && answer.contains("nested deeper"),
        "{answer}"
    );
}

/// Never replies; says when a call begins and when it is dropped.
struct Endless {
    begun: mpsc::UnboundedSender<()>,
    dropped: mpsc::UnboundedSender<()>,
}

struct TellOnDrop(mpsc::UnboundedSender<()>);

impl Drop for TellOnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Model for Endless {
    fn name(&self) -> &str {
        "endless"
    }

    fn generate<'a>(
        &'a self,
        _: ModelRequest,
        _: Option<&'a DeltaSink>,
    ) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        Box::pin(async {
            let _tell = TellOnDrop(self.dropped.clone());
            let _ = self.begun.send(());
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn cancelling_drops_the_model_calls_of_every_child() {
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let (dropped, mut was_dropped) = mpsc::unbounded_channel();
    let child =
        Agent::code(Endless { begun, dropped }).name("slow").description("Never ends.").build().unwrap();
    let code = "```python\nimport asyncio\nawait asyncio.gather(slow('a'), slow('b'))\n```";
    let run = Agent::code(ScriptedModel::new([code])).managed(child).build().unwrap().run("Go.").start();
    has_begun.recv().await.unwrap();
    has_begun.recv().await.unwrap();
    run.cancel();
    let result = run.await.unwrap();
    assert_eq!(result.status, RunStatus::Cancelled);
    was_dropped.recv().await.unwrap();
    was_dropped.recv().await.unwrap();
    assert!(result.steps[0].calls.iter().all(|call| call.result.is_none()));
}

#[tokio::test]
async fn the_token_limit_of_a_run_holds_for_the_runs_in_it() {
    let child_model = Arc::new(ScriptedModel::from_fn(|_, _| reply("```python\nprint(1)\n```", 40)));
    let child = Agent::code(child_model.clone()).name("busy").description("Works.").build().unwrap();
    let model = Arc::new(ScriptedModel::from_fn(|_, _| reply("```python\nprint(busy('Work.'))\n```", 10)));
    let agent = Agent::code(model.clone()).managed(child).max_tokens(100).build().unwrap();
    let result = agent.run("Go.").await.unwrap();
    assert_eq!(result.status, RunStatus::TokenLimit);
    assert_eq!(child_model.calls(), 3, "10, 50, 90, 130: the call after that is not made");
    assert_eq!(model.calls(), 1);
    assert_eq!(result.usage.total(), 130);
    let told = result.steps[0].calls[0].result.clone().unwrap().unwrap_err().message;
    assert!(told.contains("the agent `busy` gave no answer") && told.contains("max_tokens"), "{told}");
}

struct Strict;

impl Approver for Strict {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Decision> {
        let allowed = question.arguments.get("task").and_then(Value::as_str) == Some("cheap");
        Box::pin(std::future::ready(if allowed {
            Decision::Approved
        } else {
            Decision::Denied { reason: "too dear".into() }
        }))
    }
}

#[tokio::test]
async fn a_person_can_be_asked_before_an_agent_is_given_a_task() {
    let child_model = Arc::new(ScriptedModel::from_fn(|_, _| answer("'done'")));
    let child = Agent::code(child_model.clone()).name("worker").description("Works.").build().unwrap();
    let model = ScriptedModel::new([
        ScriptedReply::tool_calls([
            ("worker", json!({"task": "dear"})),
            ("worker", json!({"task": "cheap"})),
        ]),
        ScriptedReply::text("ok"),
    ]);
    let agent = Agent::tool_calling(model).managed_with_approval(child).approver(Strict).build().unwrap();
    let result = agent.run("Go.").await.unwrap();
    let results: Vec<String> = result.steps[0]
        .calls
        .iter()
        .map(|record| match record.result.as_ref().unwrap() {
            Ok(output) => output.to_text(),
            Err(failure) => failure.message.clone(),
        })
        .collect();
    assert!(results[0].contains("too dear"), "{results:?}");
    assert_eq!(results[1], "done");
    assert_eq!(child_model.calls(), 1);
}

#[test]
fn what_cannot_be_managed_is_refused_when_the_agent_is_built() {
    let child = |name: &str, description: &str| {
        Agent::code(ScriptedModel::new(["x"])).name(name).description(description).build().unwrap()
    };
    let refused = |builder: AgentBuilder| builder.build().unwrap_err().to_string();
    let parent = || Agent::code(ScriptedModel::new(["x"]));
    let error = refused(parent().managed(child("agent", "a")).managed(child("agent", "b")));
    assert!(error.contains("two managed agents named `agent`"), "{error}");
    let error = refused(parent().managed(child("helper", "")));
    assert!(error.contains("`helper` has no description"), "{error}");
    let error = refused(parent().tool(meet(1)).managed(child("meet", "x")));
    assert!(error.contains("both named `meet`"), "{error}");
    let error = refused(parent().managed(child("the helper", "x")));
    assert!(error.contains("letters, digits"), "{error}");
    let error = refused(parent().managed(child("print", "x")));
    assert!(error.contains("built-in function"), "{error}");
}

/// A parent that asks its child twice; the child's tool counts its calls.
fn counting(journal: Arc<Watched>, calls: Arc<AtomicUsize>) -> Agent {
    // Otherwise a call that was under way at the cut would not be made again.
    let flags = ToolFlags { idempotent: true, ..ToolFlags::default() };
    let spec = ToolSpec::new("count", "Counts its calls.").flags(flags);
    let count = tool_fn(spec, move |_: Nothing, _cx: ToolContext| {
        let number = calls.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok::<_, ToolError>(json!(number)) }
    });
    let model = ScriptedModel::from_fn(|request, _| match request.messages.len() {
        2 => reply("```python\nn = count()\nprint(n)\n```", 1),
        _ => reply(&answer("n"), 1),
    });
    let child = Agent::code(model).name("child").description("Counts.").tool(count).build().unwrap();
    let model = ScriptedModel::from_fn(|request, _| match request.messages.len() {
        2 => reply("```python\na = child('Count.')\n```", 1),
        4 => reply("```python\nb = child('Count again.')\n```", 1),
        _ => reply(&answer("[a, b]"), 1),
    });
    Agent::code(model).managed(child).journal(journal).build().unwrap()
}

#[tokio::test]
async fn a_run_that_was_cut_off_inside_a_child_goes_on_there() {
    let mut cuts = 0;
    for stop_after in 0..100 {
        let journal = Watched::new(stop_after);
        let calls = Arc::new(AtomicUsize::new(0));
        let id = RunId::new("r").unwrap();
        let first = counting(journal.clone(), calls.clone());
        let whole: Option<RunResult> = tokio::select! {
            result = first.run("Count.").id(id.clone()) => Some(result.unwrap()),
            () = journal.reached.notified() => None,
        };
        if whole.is_some() {
            break;
        }
        cuts += 1;
        let after = Watched::of(journal.memory.clone(), usize::MAX);
        let result = counting(after, calls.clone()).resume(id).await.unwrap();
        assert_eq!(result.output, json!([1, 2]), "cut after record {stop_after}");
        assert_eq!(calls.load(Ordering::SeqCst), 2, "cut after record {stop_after}: no call twice");
        // Model calls that were made but not recorded are made again; those that were recorded are not.
        assert_eq!(result.usage.total(), 7, "cut after record {stop_after}: each recorded token once");
        assert_eq!(result.steps.len(), 3, "cut after record {stop_after}");
    }
    assert!(cuts > 15, "the runs were cut at each of their records: {cuts}");
}

#[tokio::test]
async fn an_agent_with_an_input_of_a_rust_type_is_called_with_it() {
    let greeter =
        Agent::code(ScriptedModel::from_fn(|request, _| answer(&format!("'hello {}'", task(request)))))
            .name("greeter")
            .description("Greets people.")
            .input::<Who>()
            .build()
            .unwrap();
    let code = "```python\nfinal_answer(greeter(who='Ada'))\n```";
    let agent = Agent::code(ScriptedModel::new([code])).managed(greeter).build().unwrap();
    let output = agent.run("Greet Ada.").await.unwrap().output;
    assert_eq!(output, json!("hello Ada"));

    // A text satisfies this schema, so it is given its task in words.
    let echo = Agent::code(ScriptedModel::new([answer("'heard'")]))
        .name("echo")
        .description("Listens.")
        .input_schema(json!({"type": "string"}))
        .build()
        .unwrap();
    let code = "```python\nfinal_answer(echo('Listen.'))\n```";
    let agent = Agent::code(ScriptedModel::new([code])).managed(echo).build().unwrap();
    assert_eq!(agent.run("Say something.").await.unwrap().output, json!("heard"));
}

#[tokio::test]
async fn a_graph_is_managed_like_an_agent() {
    let graph = Graph::new("count_words")
        .description("Counts the words of a text, so many times.")
        .node("words", async |input: Input| {
            let text: String = input.get("task")?;
            let times: usize = input.get("times")?;
            Ok::<_, InputError>(text.split_whitespace().count() * times)
        })
        .build()
        .unwrap();
    let code = "```python\nfinal_answer(count_words('one two three', additional_args={'times': 2}) + 1)\n```";
    let agent = Agent::code(ScriptedModel::new([code])).managed(graph).build().unwrap();
    assert_eq!(agent.run("Count.").await.unwrap().output, json!(7));
}

#[tokio::test]
async fn a_graph_that_fails_is_a_failed_call_that_names_the_node() {
    let graph = Graph::new("broken")
        .description("Breaks.")
        .node("first", async |_: Input| Err::<u32, _>(ToolError::new("no luck")))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedReply::tool_call("broken", json!({"task": "Go."})),
        ScriptedReply::text("It broke."),
    ]);
    let agent = Agent::tool_calling(model).managed(graph).build().unwrap();
    let result = agent.run("Go.").await.unwrap();
    let told = result.steps[0].calls[0].result.clone().unwrap().unwrap_err().message;
    assert!(told.contains("the graph `broken` gave no answer") && told.contains("`first`"), "{told}");
    assert_eq!(result.answer_text(), "It broke.");
}
