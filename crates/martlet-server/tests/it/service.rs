//! Runs of a server without HTTP: memory, questions, a full disk, an end in the middle.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use martlet::core::{ModelRequest, Principal, Role};
use martlet::tools::{ToolExt as _, tool_fn};
use martlet::{Agent, Tool, ToolContext, ToolError, ToolSpec};
use martlet_server::{Catalog, Foundation, NewTask, Service, ServiceOptions};
use martlet_store::{
    Answer, ApprovalKind, ApprovalRow, ApprovalState, FileId, Idempotency, NewFile, NewSession, RunRow,
    RunState, SessionId, ValueId,
};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn ann() -> Principal {
    Principal::new("acme", "ann").unwrap()
}

fn at_once() -> ServiceOptions {
    let mut options = ServiceOptions::default();
    options.grace = Duration::ZERO;
    options
}

async fn serve(folder: &Path, options: ServiceOptions, catalog: Catalog) -> Service {
    Foundation::open(folder, options).unwrap().serve(catalog).await.unwrap()
}

/// Waits until the run stands there.
async fn stands(service: &Service, run: &RunRow, state: RunState) -> RunRow {
    loop {
        let row = service.store().run(&run.id).await.unwrap().unwrap();
        if row.state == state {
            return row;
        }
        assert_ne!(row.state, RunState::Ended, "{row:?}");
        tokio::task::yield_now().await;
    }
}

async fn question(service: &Service) -> ApprovalRow {
    loop {
        if let Some(approval) = service.store().of(&ann()).approvals(true, 10).await.unwrap().pop() {
            return approval;
        }
        tokio::task::yield_now().await;
    }
}

fn counting() -> (impl Tool + Clone, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let tool = tool_fn(ToolSpec::new("launch", "Launches."), move |_: Nothing, _cx: ToolContext| {
        let calls = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok::<_, ToolError>(calls) }
    });
    (tool, calls)
}

/// Launches, and says what came of it.
fn launcher(tool: impl Tool + 'static) -> Catalog {
    let model = ScriptedModel::from_fn(|request: &ModelRequest, _| {
        match request.messages.iter().rev().find(|message| message.role == Role::Tool) {
            None => ScriptedReply::tool_calls([("launch", json!({}))]),
            Some(told) => {
                ScriptedReply::tool_calls([("final_answer", json!({"answer": told.joined_text()}))])
            }
        }
    });
    Catalog::new().agent("launcher", Agent::tool_calling(model).tool(tool).build().unwrap())
}

fn python(replies: [&'static str; 2]) -> Catalog {
    let model = ScriptedModel::from_fn(move |request: &ModelRequest, _| {
        let said = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        ScriptedReply::text(replies[said.min(1)])
    });
    Catalog::new().agent("coder", Agent::code(model).build().unwrap())
}

#[tokio::test]
async fn the_runs_of_a_session_remember_each_other_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let catalog =
        || python(["```python\nx = 20\nfinal_answer(x)\n```", "```python\nx = x + 1\nfinal_answer(x)\n```"]);
    let service = serve(folder.path(), at_once(), catalog()).await;
    let session = NewSession {
        id: SessionId::from_bits(7),
        owner: ann(),
        title: "Numbers".into(),
        agent: "coder".into(),
        created_ms: 1,
    };
    service.store().create_session(session).await.unwrap();
    let ask = async |service: &Service, text: &str| {
        let mut task = NewTask::words(text);
        task.session = Some(SessionId::from_bits(7));
        service.submit(&ann(), task).await.unwrap()
    };
    // Both at once: the second begins when the first has ended, and knows what it said.
    let (first, second) = (ask(&service, "Set x.").await, ask(&service, "One more.").await);
    assert_eq!(service.ended(&first.id).await.unwrap().answer, Some(json!(20)));
    assert_eq!(service.ended(&second.id).await.unwrap().answer, Some(json!(21)));
    service.shut_down().await;
    drop(service);
    let service = serve(folder.path(), at_once(), catalog()).await;
    let third = ask(&service, "And one more.").await;
    assert_eq!(service.ended(&third.id).await.unwrap().answer, Some(json!(22)));
    service.shut_down().await;
}

#[tokio::test]
async fn a_question_outlives_the_server_and_is_answered_once() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, calls) = counting();
    let service = serve(folder.path(), at_once(), launcher(launch.clone().needs_approval())).await;
    let run = service.submit(&ann(), NewTask::words("Go.")).await.unwrap();
    stands(&service, &run, RunState::Waiting).await;
    service.shut_down().await;
    drop(service);
    let service = serve(folder.path(), at_once(), launcher(launch.needs_approval())).await;
    let asked = question(&service).await;
    assert_eq!((asked.kind, &*asked.tool, &asked.root), (ApprovalKind::Call, "launch", &run.id));
    let wrong = service.answer(&asked, None, Answer::Repeat, &ann()).await.unwrap_err();
    assert!(wrong.detail().contains("`approve`, `edit` or `deny`"), "{wrong:?}");
    let (digest, ann) = (Some(asked.digest), ann());
    let (one, other) = tokio::join!(
        service.answer(&asked, digest, Answer::Approve { for_run: false }, &ann),
        service.answer(&asked, digest, Answer::Deny { reason: "no".into() }, &ann),
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let row = service.ended(&run.id).await.unwrap();
    assert_eq!(row.outcome.as_deref(), Some("succeeded"));
    assert_eq!(calls.load(Ordering::SeqCst), usize::from(one.is_ok()));
    service.shut_down().await;
}

#[tokio::test]
async fn a_run_does_without_tools_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = || {
        let model = ScriptedModel::from_fn(|request: &ModelRequest, _| {
            let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
            match request.messages.iter().any(|message| message.role == Role::Tool) {
                false => ScriptedReply::tool_calls([("launch", json!({}))]),
                true => ScriptedReply::text(names.join(" ")),
            }
        });
        let spare = tool_fn(ToolSpec::new("spare", "Is there."), |_: Nothing, _cx: ToolContext| async move {
            Ok::<_, ToolError>(json!(null))
        });
        let agent = Agent::tool_calling(model).tool(counting().0.needs_approval()).tool(spare);
        Catalog::new().agent("launcher", agent.build().unwrap())
    };
    let service = serve(folder.path(), at_once(), catalog()).await;
    let mut task = NewTask::words("Go.");
    task.without_tools = vec!["spare".into(), "unheard_of".into()];
    let run = service.submit(&ann(), task).await.unwrap();
    stands(&service, &run, RunState::Waiting).await;
    service.shut_down().await;
    drop(service);
    let service = serve(folder.path(), at_once(), catalog()).await;
    let asked = question(&service).await;
    service.answer(&asked, Some(asked.digest), Answer::Approve { for_run: false }, &ann()).await.unwrap();
    let row = service.ended(&run.id).await.unwrap();
    assert_eq!(row.answer, Some(json!("launch final_answer")));
    let mut task = NewTask::words("Go.");
    task.without_tools = vec!["x".into(); 65];
    let refused = service.submit(&ann(), task).await.unwrap_err();
    assert!(refused.detail().contains("at most 64"), "{refused:?}");
    service.shut_down().await;
}

#[tokio::test]
async fn the_files_of_a_run_are_read_also_after_a_restart_and_by_the_next_run_of_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = || {
        let model = ScriptedModel::from_fn(|request: &ModelRequest, _| {
            let offered = request.tools.iter().any(|tool| tool.name == "read_file");
            let task = request.messages.iter().rposition(|message| message.role == Role::User).unwrap();
            let results =
                request.messages[task..].iter().filter(|message| message.role == Role::Tool).count();
            match (offered, results) {
                (false, _) => ScriptedReply::text("there is nothing to read"),
                (true, 0) => ScriptedReply::tool_calls([("launch", json!({}))]),
                (true, 1) => ScriptedReply::tool_calls([(
                    "read_file",
                    json!({"name": "sums.csv", "start": 900, "count": 1}),
                )]),
                (true, _) => {
                    let told = request.messages.last().unwrap().joined_text();
                    ScriptedReply::text(told.lines().next().unwrap_or_default())
                }
            }
        });
        let agent = Agent::tool_calling(model).tool(counting().0.needs_approval()).build().unwrap();
        Catalog::new().agent("launcher", agent)
    };
    let service = serve(folder.path(), at_once(), catalog()).await;
    let session = NewSession {
        id: SessionId::from_bits(7),
        owner: ann(),
        title: "Sums".into(),
        agent: "launcher".into(),
        created_ms: 1,
    };
    service.store().create_session(session).await.unwrap();
    let rows: String = (1..=1_000).map(|row| format!("{row},{}\n", row + row)).collect();
    let file = NewFile {
        id: FileId::from_bits(9),
        owner: ann(),
        name: "sums.csv".into(),
        media_type: "text/csv".into(),
        created_ms: 1,
        data: rows.into_bytes().repeat(2).into(),
    };
    service.store().put_file(file).await.unwrap();
    let ask = async |service: &Service, files: Vec<FileId>| {
        let mut task = NewTask::words("What is in row 900?");
        (task.session, task.files) = (Some(SessionId::from_bits(7)), files);
        service.submit(&ann(), task).await.unwrap()
    };
    let approve = async |service: &Service| {
        let asked = question(service).await;
        service.answer(&asked, Some(asked.digest), Answer::Approve { for_run: false }, &ann()).await.unwrap();
    };
    let first = ask(&service, vec![FileId::from_bits(9)]).await;
    stands(&service, &first, RunState::Waiting).await;
    // The run has what it was given, whatever becomes of the upload.
    assert!(service.store().of(&ann()).delete_file(&FileId::from_bits(9)).await.unwrap());
    service.shut_down().await;
    drop(service);
    let service = serve(folder.path(), at_once(), catalog()).await;
    approve(&service).await;
    assert_eq!(service.ended(&first.id).await.unwrap().answer, Some(json!("900,1800")));
    let second = ask(&service, Vec::new()).await;
    approve(&service).await;
    assert_eq!(service.ended(&second.id).await.unwrap().answer, Some(json!("900,1800")));
    service.shut_down().await;
}

#[tokio::test]
async fn a_question_that_nobody_answers_in_time_counts_as_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, calls) = counting();
    let mut options = at_once();
    options.approval_expiry = Duration::from_millis(1);
    let service = serve(folder.path(), options, launcher(launch.needs_approval())).await;
    let run = service.submit(&ann(), NewTask::words("Go.")).await.unwrap();
    let row = service.ended(&run.id).await.unwrap();
    assert!(row.answer.unwrap().as_str().unwrap().contains("nobody decided in time"));
    let asked = service.store().of(&ann()).approvals(false, 10).await.unwrap();
    assert_eq!((asked[0].state, calls.load(Ordering::SeqCst)), (ApprovalState::Expired, 0));
    service.shut_down().await;
}

#[tokio::test]
async fn a_run_that_waits_can_be_cancelled_and_its_question_is_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, calls) = counting();
    let service = serve(folder.path(), at_once(), launcher(launch.needs_approval())).await;
    let run = service.submit(&ann(), NewTask::words("Go.")).await.unwrap();
    stands(&service, &run, RunState::Waiting).await;
    let asked = question(&service).await;
    assert!(service.cancel(&run.id).await.unwrap());
    assert_eq!(service.ended(&run.id).await.unwrap().outcome.as_deref(), Some("cancelled"));
    assert!(!service.cancel(&run.id).await.unwrap());
    let late = service.answer(&asked, None, Answer::Approve { for_run: false }, &ann()).await.unwrap_err();
    assert!(late.detail().contains("has ended"), "{late:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    service.shut_down().await;
}

/// A server that is left in the middle of a call, and what somebody says of it after the next start.
async fn interrupted(say: Answer) -> (RunRow, usize) {
    let folder = tempfile::tempdir().unwrap();
    let started = Arc::new(Notify::new());
    let tell = started.clone();
    let hangs = tool_fn(ToolSpec::new("launch", "Hangs."), move |_: Nothing, _cx: ToolContext| {
        tell.notify_one();
        std::future::pending::<Result<Value, ToolError>>()
    });
    let service = serve(folder.path(), at_once(), launcher(hangs)).await;
    let run = service.submit(&ann(), NewTask::words("Go.")).await.unwrap();
    started.notified().await;
    service.shut_down().await;
    drop(service);
    let (launch, calls) = counting();
    let service = serve(folder.path(), at_once(), launcher(launch)).await;
    let waiting = stands(&service, &run, RunState::Waiting).await;
    assert_eq!((waiting.pending, waiting.doubts), (1, 1));
    let asked = question(&service).await;
    assert_eq!(asked.kind, ApprovalKind::Doubt);
    service.answer(&asked, Some(asked.digest), say, &ann()).await.unwrap();
    let row = service.ended(&run.id).await.unwrap();
    service.shut_down().await;
    (row, calls.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_call_that_a_crash_interrupted_needs_attention_and_is_not_repeated_by_itself() {
    let (row, calls) = interrupted(Answer::Repeat).await;
    assert_eq!((row.answer, calls), (Some(json!("1")), 1));
    let (row, calls) = interrupted(Answer::Done { output: json!("it flew") }).await;
    assert_eq!((row.answer, calls), (Some(json!("it flew")), 0));
    let (row, calls) = interrupted(Answer::Deny { reason: "who knows".into() }).await;
    assert!(row.answer.unwrap().as_str().unwrap().contains("not known whether it took effect"));
    assert_eq!(calls, 0);
}

#[tokio::test]
async fn fault_26_a_full_disk_stops_the_intake_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let go_on = Arc::new(Notify::new());
    let wait = go_on.clone();
    let launch = tool_fn(ToolSpec::new("launch", "Waits."), move |_: Nothing, _cx: ToolContext| {
        let wait = wait.clone();
        async move {
            wait.notified().await;
            Ok::<_, ToolError>("x".repeat(500_000))
        }
    });
    let service = serve(folder.path(), at_once(), launcher(launch)).await;
    let run = service.submit(&ann(), NewTask::words("Go.")).await.unwrap();
    stands(&service, &run, RunState::Running).await;
    service.store().limit_bytes(1).await.unwrap();
    go_on.notify_one();
    while service.has_storage() {
        tokio::task::yield_now().await;
    }
    let refused = service.submit(&ann(), NewTask::words("More.")).await.unwrap_err();
    assert!(refused.detail().contains("cannot store anything"), "{refused:?}");
    let still = service.store().run(&run.id).await.unwrap().unwrap();
    assert_ne!(still.state, RunState::Ended);
    service.store().limit_bytes(1 << 40).await.unwrap();
    // What was not stored did not happen: it is not known whether the call took effect.
    let asked = question(&service).await;
    assert_eq!(asked.kind, ApprovalKind::Doubt);
    service.answer(&asked, None, Answer::Done { output: json!("it flew") }, &ann()).await.unwrap();
    let row = service.ended(&run.id).await.unwrap();
    assert_eq!(row.answer, Some(json!("it flew")));
    assert!(service.has_storage());
    service.submit(&ann(), NewTask::words("More.")).await.unwrap();
    service.shut_down().await;
}

#[tokio::test]
async fn a_fork_goes_its_own_way_from_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, calls) = counting();
    let service = serve(folder.path(), at_once(), launcher(launch)).await;
    let run = service.submit(&ann(), NewTask::words("Go.")).await.unwrap();
    let first = service.ended(&run.id).await.unwrap();
    let fork = service.fork(&ann(), &first, 2).await.unwrap();
    let second = service.ended(&fork.id).await.unwrap();
    assert_eq!((second.answer, calls.load(Ordering::SeqCst)), (first.answer.clone(), 1));
    let again = service.fork(&ann(), &first, 1).await.unwrap();
    assert_eq!(service.ended(&again.id).await.unwrap().answer, Some(json!("2")));
    let late = service.fork(&ann(), &first, 9).await.unwrap();
    let late = service.ended(&late.id).await.unwrap();
    assert!(late.error.unwrap().contains("ended before step 9"));
    service.shut_down().await;
}

#[tokio::test]
async fn a_run_that_is_driven_from_the_blocking_pool_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, calls) = counting();
    let service = serve(folder.path(), at_once(), launcher(launch)).await;
    let mut task = NewTask::words("Go.");
    task.blocking = true;
    let run = service.submit(&ann(), task).await.unwrap();
    assert_eq!(service.ended(&run.id).await.unwrap().answer, Some(json!("1")));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    service.shut_down().await;
}

#[tokio::test]
async fn a_run_whose_agent_is_gone_is_kept_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (launch, _) = counting();
    let service = serve(folder.path(), at_once(), launcher(launch.clone().needs_approval())).await;
    let run = service.submit(&ann(), NewTask::words("Go.")).await.unwrap();
    stands(&service, &run, RunState::Waiting).await;
    service.shut_down().await;
    drop(service);
    let service = serve(folder.path(), at_once(), Catalog::new()).await;
    assert_eq!(service.store().run(&run.id).await.unwrap().unwrap().state, RunState::Waiting);
    service.shut_down().await;
    drop(service);
    let service = serve(folder.path(), at_once(), launcher(launch.needs_approval())).await;
    let asked = question(&service).await;
    service.answer(&asked, None, Answer::Approve { for_run: false }, &ann()).await.unwrap();
    assert_eq!(service.ended(&run.id).await.unwrap().answer, Some(json!("1")));
    service.shut_down().await;
}

#[tokio::test]
async fn a_model_that_panics_ends_its_run_and_frees_the_slot() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = at_once();
    options.limits.max_running_per_user = 1;
    let model = ScriptedModel::from_fn(|request: &ModelRequest, _| -> ScriptedReply {
        assert!(!request.messages[1].joined_text().contains("panic"), "as asked");
        ScriptedReply::tool_calls([("final_answer", json!({"answer": "fine"}))])
    });
    let agent = Agent::tool_calling(model).build().unwrap();
    let service = serve(folder.path(), options, Catalog::new().agent("nervous", agent)).await;
    let first = service.submit(&ann(), NewTask::words("panic")).await.unwrap();
    let second = service.submit(&ann(), NewTask::words("go on")).await.unwrap();
    let first = service.ended(&first.id).await.unwrap();
    assert!(first.error.unwrap().contains("panic"));
    assert_eq!(service.ended(&second.id).await.unwrap().answer, Some(json!("fine")));
    service.shut_down().await;
}

#[tokio::test]
async fn a_run_that_is_cancelled_in_the_queue_never_begins() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = at_once();
    options.limits.max_running_per_user = 1;
    let started = Arc::new(Notify::new());
    let tell = started.clone();
    let hangs = tool_fn(ToolSpec::new("launch", "Hangs."), move |_: Nothing, _cx: ToolContext| {
        tell.notify_one();
        std::future::pending::<Result<Value, ToolError>>()
    });
    let service = serve(folder.path(), options, launcher(hangs)).await;
    let first = service.submit(&ann(), NewTask::words("Go.")).await.unwrap();
    started.notified().await;
    let second = service.submit(&ann(), NewTask::words("Go, too.")).await.unwrap();
    assert!(service.cancel(&second.id).await.unwrap());
    let second = service.ended(&second.id).await.unwrap();
    assert_eq!((second.outcome.as_deref(), second.last_event), (Some("cancelled"), 0));
    assert!(service.cancel(&first.id).await.unwrap());
    assert_eq!(service.ended(&first.id).await.unwrap().outcome.as_deref(), Some("cancelled"));
    service.shut_down().await;
}

#[tokio::test]
async fn a_repeated_request_takes_no_slot_and_is_answered_also_where_the_queue_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = at_once();
    options.limits.max_running_per_user = 1;
    options.limits.max_queued_per_user = 1;
    let (launch, _) = counting();
    let service = serve(folder.path(), options, launcher(launch.needs_approval())).await;
    let task = |words: &str| {
        let mut task = NewTask::words(words);
        task.idempotency = Some(Idempotency { key: "once".into(), body: ValueId::of(words.as_bytes()) });
        task
    };
    let first = service.submit(&ann(), task("Go.")).await.unwrap();
    for _ in 0..20 {
        assert_eq!(service.submit(&ann(), task("Go.")).await.unwrap().id, first.id);
    }
    assert!(service.submit(&ann(), task("Stay.")).await.is_err());
    stands(&service, &first, RunState::Waiting).await;
    // The slot is free, and stays so.
    let second = service.submit(&ann(), NewTask::words("Go, too.")).await.unwrap();
    stands(&service, &second, RunState::Waiting).await;
    service.shut_down().await;
}
