//! Runs that are given up while they wait for people, and go on when there is an answer; and other runs that begin like
//! a recorded one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use martlet::core::{ToolFlags, ToolOutput};
use martlet::store::MemoryJournal;
use martlet::tools::{ToolExt as _, tool_fn};
use martlet::{
    Agent, Approver, Decision, Doubt, Graph, GraphRunError, Node, Question, RunError, RunId, RunRequest,
    RunResult, RunStatus, Tool, ToolContext, ToolError, ToolSpec,
};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A desk where questions lie until somebody answers them.
#[derive(Default)]
struct Desk {
    decisions: watch::Sender<HashMap<String, Decision>>,
    doubts: Mutex<HashMap<String, Doubt>>,
    asked: Mutex<Vec<String>>,
    told: Notify,
}

impl Desk {
    fn answer(&self, effect: &str, decision: Decision) {
        self.decisions.send_modify(|decisions| drop(decisions.insert(effect.to_owned(), decision)));
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Approver for Desk {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            let effect = question.effect.to_string();
            self.asked.lock().unwrap().push(effect.clone());
            self.told.notify_one();
            let mut decisions = self.decisions.subscribe();
            let waiting = question.waiting_for_person();
            let known = decisions.wait_for(|decisions| decisions.contains_key(&effect)).await.unwrap();
            drop(waiting);
            known[&effect].clone()
        })
    }

    fn doubt<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Doubt> {
        Box::pin(async move {
            let question = format!("{}#{}", question.effect, question.repeated);
            self.asked.lock().unwrap().push(question.clone());
            self.doubts.lock().unwrap().get(&question).cloned().unwrap_or(Doubt::Unknown)
        })
    }
}

fn counting(name: &str) -> (impl Tool, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let tool = tool_fn(ToolSpec::new(name, "Counts."), move |_: Nothing, _cx: ToolContext| {
        let calls = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok::<_, ToolError>(calls) }
    });
    (tool, calls)
}

fn id(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

struct Office {
    desk: Arc<Desk>,
    journal: Arc<MemoryJournal>,
}

impl Office {
    fn new() -> Self {
        Self { desk: Arc::default(), journal: Arc::default() }
    }

    fn begun(&self, request: RunRequest) -> RunRequest {
        request.journal(self.journal.clone()).approver(self.desk.clone()).park()
    }
}

fn parked(result: Result<RunResult, RunError>) {
    assert!(matches!(result, Err(RunError::Parked)), "{result:?}");
}

const LAUNCH: &str = "```python\nfinal_answer(launch())\n```";

#[tokio::test]
async fn a_run_that_only_waits_for_a_person_is_given_up_and_goes_on_with_the_decision() {
    let office = Office::new();
    let model = Arc::new(ScriptedModel::new([LAUNCH]));
    let (launch, calls) = counting("launch");
    let agent = Agent::code(model.clone()).tool(launch.needs_approval()).build().unwrap();
    parked(office.begun(agent.run("Launch.").id(id("r"))).await);
    // Nobody has answered yet.
    parked(office.begun(agent.resume(id("r"))).await);
    office.desk.answer("r/1/2", Decision::Approved);
    let result = office.begun(agent.resume(id("r"))).await.unwrap();
    assert_eq!(result.output, json!(1));
    assert_eq!((model.calls(), calls.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(office.desk.asked(), ["r/1/2", "r/1/2", "r/1/2"]);
}

#[tokio::test]
async fn other_work_goes_on_and_a_decision_meanwhile_is_taken_at_once() {
    let office = Office::new();
    let model = Arc::new(ScriptedModel::new([
        ScriptedReply::tool_calls([("launch", json!({})), ("slow", json!({}))]),
        ScriptedReply::tool_calls([("final_answer", json!({"answer": "both"}))]),
    ]));
    let (launch, calls) = counting("launch");
    let (started, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (started.clone(), finish.clone());
    let slow = tool_fn(ToolSpec::new("slow", "Waits."), move |_: Nothing, _cx: ToolContext| {
        let wait = wait.clone();
        tell.notify_one();
        async move {
            wait.notified().await;
            Ok::<_, ToolError>("waited")
        }
    });
    let agent = Agent::tool_calling(model).tool(launch.needs_approval()).tool(slow).build().unwrap();
    let run = tokio::spawn(office.begun(agent.run("Both.").id(id("r"))).until(std::future::pending()));
    started.notified().await;
    office.desk.told.notified().await;
    // The other call keeps the run here, so this is heard at once.
    office.desk.answer("r/1/1", Decision::Approved);
    while calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    finish.notify_one();
    assert_eq!(run.await.unwrap().unwrap().output, json!("both"));
}

#[tokio::test]
async fn what_is_done_beside_the_question_is_not_done_again() {
    let office = Office::new();
    let model = Arc::new(ScriptedModel::new([
        ScriptedReply::tool_calls([("launch", json!({})), ("count", json!({}))]),
        ScriptedReply::tool_calls([("final_answer", json!({"answer": "both"}))]),
    ]));
    let (launch, launched) = counting("launch");
    let (count, counted) = counting("count");
    let agent = Agent::tool_calling(model.clone()).tool(launch.needs_approval()).tool(count).build().unwrap();
    parked(office.begun(agent.run("Both.").id(id("r"))).await);
    assert_eq!((launched.load(Ordering::SeqCst), counted.load(Ordering::SeqCst)), (0, 1));
    office.desk.answer("r/1/1", Decision::Denied { reason: "too windy".into() });
    let result = office.begun(agent.resume(id("r"))).await.unwrap();
    assert_eq!((launched.load(Ordering::SeqCst), counted.load(Ordering::SeqCst)), (0, 1));
    assert_eq!(model.calls(), 2);
    assert!(result.steps[0].observation.as_deref().unwrap_or_default().contains("too windy"));
}

#[tokio::test]
async fn a_run_without_a_journal_goes_on_waiting() {
    let desk = Arc::new(Desk::default());
    let (launch, _) = counting("launch");
    let agent = Agent::code(ScriptedModel::new([LAUNCH])).tool(launch.needs_approval()).build().unwrap();
    let request = agent.run("Launch.").id(id("r")).approver(desk.clone()).park();
    let run = tokio::spawn(request.until(std::future::pending()));
    desk.told.notified().await;
    desk.answer("r/1/2", Decision::Approved);
    assert_eq!(run.await.unwrap().unwrap().output, json!(1));
}

#[tokio::test]
async fn a_question_of_a_child_run_gives_up_the_whole_run() {
    let office = Office::new();
    let (launch, calls) = counting("launch");
    let child = Agent::code(ScriptedModel::new([LAUNCH]))
        .name("pilot")
        .description("Launches.")
        .tool(launch.needs_approval())
        .build()
        .unwrap();
    let model = Arc::new(ScriptedModel::new(["```python\nfinal_answer(pilot('Go.') + 1)\n```"]));
    let agent = Agent::code(model.clone()).managed(child).build().unwrap();
    parked(office.begun(agent.run("Launch.").id(id("r"))).await);
    let asked = office.desk.asked();
    assert_eq!(asked, ["r-1-2/1/2"]);
    office.desk.answer(&asked[0], Decision::Approved);
    let result = office.begun(agent.resume(id("r"))).await.unwrap();
    assert_eq!(result.output, json!(2));
    assert_eq!((model.calls(), calls.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_graph_is_given_up_when_its_other_branches_are_done() {
    let office = Office::new();
    let (launch, calls) = counting("launch");
    let (count, counted) = counting("count");
    let graph = Graph::new("both")
        .node("launch", Node::new(launch.needs_approval()))
        .node("count", count)
        .build()
        .unwrap();
    let request = graph.run(json!({})).id(id("g"));
    let result = request.journal(office.journal.clone()).approver(office.desk.clone()).park().await;
    assert!(matches!(result, Err(GraphRunError::Parked)), "{result:?}");
    assert_eq!((calls.load(Ordering::SeqCst), counted.load(Ordering::SeqCst)), (0, 1));
    let asked = office.desk.asked();
    office.desk.answer(&asked[0], Decision::Approved);
    let request = graph.resume(id("g")).journal(office.journal.clone()).approver(office.desk.clone()).park();
    assert!(request.await.unwrap().succeeded());
    assert_eq!((calls.load(Ordering::SeqCst), counted.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_tool_that_waits_for_a_person_gives_the_run_up_like_an_approval() {
    let office = Office::new();
    let answers: watch::Sender<Option<String>> = watch::Sender::default();
    let listen = answers.clone();
    let spec = ToolSpec::new("ask", "Asks.").flags(ToolFlags { read_only: true, ..ToolFlags::default() });
    let ask = tool_fn(spec, move |_: Nothing, cx: ToolContext| {
        let mut answers = listen.subscribe();
        async move {
            let waiting = cx.waiting_for_person();
            let answer = answers.wait_for(Option::is_some).await.unwrap().clone().unwrap();
            drop(waiting);
            Ok::<_, ToolError>(answer)
        }
    });
    let model = Arc::new(ScriptedModel::new(["```python\nfinal_answer(ask())\n```"]));
    let agent = Agent::code(model.clone()).tool(ask).build().unwrap();
    parked(office.begun(agent.run("Ask.").id(id("r"))).await);
    answers.send_replace(Some("blue".into()));
    assert_eq!(office.begun(agent.resume(id("r"))).await.unwrap().output, json!("blue"));
    assert_eq!(model.calls(), 1);
}

/// A run that is left in the middle of a call, and what a person says of it then.
async fn in_doubt(say: Doubt) -> (Office, RunResult, usize) {
    let office = Office::new();
    let started = Arc::new(Notify::new());
    let tell = started.clone();
    let hangs = tool_fn(ToolSpec::new("launch", "Hangs."), move |_: Nothing, _cx: ToolContext| {
        tell.notify_one();
        std::future::pending::<Result<Value, ToolError>>()
    });
    let first = Agent::code(ScriptedModel::new([LAUNCH])).tool(hangs).build().unwrap();
    tokio::select! {
        _ = office.begun(first.run("Launch.").id(id("r"))) => panic!("the tool hangs"),
        () = started.notified() => {}
    }
    let (launch, calls) = counting("launch");
    let model = ScriptedModel::new(["```python\nfinal_answer('after all')\n```"]);
    let second = Agent::code(model).tool(launch).build().unwrap();
    office.desk.doubts.lock().unwrap().insert("r/1/2#0".into(), say);
    let result = office.begun(second.resume(id("r"))).await.unwrap();
    let calls = calls.load(Ordering::SeqCst);
    (office, result, calls)
}

#[tokio::test]
async fn a_person_can_say_what_came_of_a_call_in_doubt() {
    let done = Doubt::Done { output: ToolOutput::from(json!("it flew")) };
    let (_, result, calls) = in_doubt(done).await;
    assert_eq!((result.output, calls), (json!("it flew"), 0));
    let (office, result, calls) = in_doubt(Doubt::Repeat).await;
    assert_eq!((result.output, calls), (json!(1), 1));
    assert_eq!(office.desk.asked(), ["r/1/2#0"]);
    let (_, result, calls) = in_doubt(Doubt::Unknown).await;
    let told = result.steps[0].observation.as_deref().unwrap_or_default();
    assert!(told.contains("not known whether it took effect"), "{told}");
    assert_eq!((result.output, calls), (json!("after all"), 0));
}

#[tokio::test]
async fn a_call_that_was_repeated_and_interrupted_again_is_asked_about_again() {
    let office = Office::new();
    let hanging = |started: &Arc<Notify>| {
        let tell = started.clone();
        tool_fn(ToolSpec::new("launch", "Hangs."), move |_: Nothing, _cx: ToolContext| {
            tell.notify_one();
            std::future::pending::<Result<Value, ToolError>>()
        })
    };
    for attempt in 0..3 {
        let started = Arc::new(Notify::new());
        let agent = Agent::code(ScriptedModel::new([LAUNCH])).tool(hanging(&started)).build().unwrap();
        office.desk.doubts.lock().unwrap().insert(format!("r/1/2#{attempt}"), Doubt::Repeat);
        let request = if attempt == 0 { agent.run("Launch.").id(id("r")) } else { agent.resume(id("r")) };
        tokio::select! {
            _ = office.begun(request) => panic!("the tool hangs"),
            () = started.notified() => {}
        }
    }
    assert_eq!(office.desk.asked(), ["r/1/2#0", "r/1/2#1"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_can_be_stopped_and_its_time_can_be_up() {
    let desk = Arc::new(Desk::default());
    let (launch, calls) = counting("launch");
    let agent = Agent::code(ScriptedModel::new([LAUNCH])).tool(launch.needs_approval()).build().unwrap();
    let request = agent.run("Launch.").approver(desk).timeout(Duration::from_secs(60));
    assert_eq!(request.await.unwrap().status, RunStatus::TimedOut);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_fork_begins_like_the_other_run_and_goes_on_by_itself() {
    let office = Office::new();
    let (count, calls) = counting("count");
    let model = Arc::new(ScriptedModel::new([
        "```python\nx = count()\n```",
        "```python\nfinal_answer(x)\n```",
        "```python\nfinal_answer(x + count())\n```",
    ]));
    let agent = Agent::code(model.clone()).tool(count).build().unwrap();
    let first = office.begun(agent.run("Count.").id(id("r"))).await.unwrap();
    assert_eq!(first.output, json!(1));
    agent.fork(office.journal.clone(), &id("r"), 2, id("s")).await.unwrap();
    let second = office.begun(agent.resume(id("s"))).await.unwrap();
    assert_eq!(second.output, json!(3), "the name `x` is known, and `count` was called once more");
    assert_eq!((calls.load(Ordering::SeqCst), model.calls()), (2, 3));
    assert_eq!(office.begun(agent.resume(id("r"))).await.unwrap(), first);
    let late = agent.fork(office.journal.clone(), &id("r"), 9, id("t")).await.unwrap_err().to_string();
    assert!(late.contains("ended before step 9"), "{late}");
    let taken = agent.fork(office.journal.clone(), &id("r"), 2, id("s")).await.unwrap_err().to_string();
    assert!(taken.contains("has a record 0 already"), "{taken}");
}

#[tokio::test]
async fn a_program_may_wait_for_people_any_number_of_times() {
    let office = Office::new();
    let model = Arc::new(ScriptedModel::new(["```python\nfinal_answer([launch() for _ in range(6)])\n```"]));
    let (launch, calls) = counting("launch");
    let agent = Agent::code(model.clone()).tool(launch.needs_approval()).build().unwrap();
    parked(office.begun(agent.run("Launch.").id(id("r"))).await);
    let result = loop {
        let asked = office.desk.asked();
        office.desk.answer(asked.last().unwrap(), Decision::Approved);
        match office.begun(agent.resume(id("r"))).await {
            Err(RunError::Parked) => {}
            ended => break ended.unwrap(),
        }
    };
    assert_eq!(result.output, json!([1, 2, 3, 4, 5, 6]));
    assert_eq!((model.calls(), calls.load(Ordering::SeqCst)), (1, 6));
}
