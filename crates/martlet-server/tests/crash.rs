//! What a server loses when it is killed: nothing.
//!
//! A child process takes in runs, and is killed with SIGKILL at random moments, again and again. What its tools do is
//! noted outside of it, in a file that each call appends one line to. At the end the child may go on undisturbed, and this
//! process compares: each run that was acknowledged has its right answer, each effect is in the file once, and each
//! decision is what was decided.
//!
//! `cargo test -p martlet-server --test crash -- --kills 1000` does it as often as you like.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells its figures"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use martlet::core::{ModelRequest, Principal};
use martlet::tools::{ToolExt as _, tool_fn};
use martlet::{Agent, Graph, Node, Tool, ToolContext, ToolError, ToolSpec};
use martlet_server::{Catalog, Foundation, NewTask, ServiceOptions};
use martlet_store::{Answer, ApprovalKind, Idempotency, RunState, ValueId};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How often the child is killed unless `--kills` says so.
const KILLS: u32 = 200;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut kills = KILLS;
    let mut seed = 0x5eed_u64;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--child" => return child(&PathBuf::from(arguments.next().expect("--child has a folder"))),
            "--kills" => {
                kills = arguments.next().and_then(|text| text.parse().ok()).expect("--kills has a number")
            }
            "--seed" => {
                seed = arguments.next().and_then(|text| text.parse().ok()).expect("--seed has a number")
            }
            // Of the test runner, for those who list tests.
            "--list" => return println!("a_killed_server_loses_nothing: test"),
            _ => {}
        }
    }
    parent(kills, seed);
}

// --- what both know ---------------------------------------------------------------------------------------------------

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
enum Order {
    /// Take a run in.
    Submit { key: String, name: String, task: String },
    /// Answer what waits.
    Decide,
    /// Tell how the runs stand.
    Report,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "told")]
enum Told {
    Ready,
    /// The run is taken in.
    Taken {
        key: String,
        run: String,
    },
    /// It is not taken in now.
    Refused {
        key: String,
    },
    /// A decision was taken.
    Decided {
        effect: String,
        allowed: bool,
    },
    Report {
        unfinished: usize,
        runs: Vec<Ended>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Ended {
    run: String,
    outcome: Option<String>,
    answer: Option<Value>,
    error: Option<String>,
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("effects.log")
}

/// Whether a person would allow it: the same answer whenever it is asked.
fn is_allowed(effect: &str) -> bool {
    !ValueId::of(effect.as_bytes()).to_string().starts_with(['0', '1', '2', '3'])
}

// --- the server -------------------------------------------------------------------------------------------------------

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A tool that does something to the outside world: it must not be repeated unless somebody says that it may.
fn effect(name: &'static str, folder: &Path) -> impl Tool + use<> {
    let path = log_path(folder);
    tool_fn(ToolSpec::new(name, "Does something."), move |_: Nothing, cx: ToolContext| {
        let path = path.clone();
        async move {
            pause(cx.idempotency_key(), 3).await;
            let mut file = OpenOptions::new().append(true).create(true).open(&path).map_err(failed)?;
            let line = format!("{} {name}\n", cx.idempotency_key());
            file.write_all(line.as_bytes()).map_err(failed)?;
            pause(&line, 3).await;
            Ok::<_, ToolError>("done")
        }
    })
}

fn failed(error: std::io::Error) -> ToolError {
    ToolError::new(error.to_string())
}

/// Takes some milliseconds, others for each text.
async fn pause(text: &str, most: u64) {
    let ms = u64::from(ValueId::of(text.as_bytes()).as_bytes()[0]) % (most + 1);
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn answers(request: &ModelRequest) -> usize {
    request.messages.iter().filter(|message| message.role == martlet::Role::Tool).count()
}

/// Calls tools, two at a time, then one that a person has to allow, then answers.
fn caller(request: &ModelRequest) -> ScriptedReply {
    match answers(request) {
        0 => ScriptedReply::tool_calls([("write", json!({})), ("send", json!({}))]),
        2 => ScriptedReply::tool_calls([("pay", json!({})), ("write", json!({}))]),
        _ => ScriptedReply::tool_calls([("final_answer", json!({"answer": "called"}))]),
    }
}

/// Writes a program that waits for two tools at once.
fn coder(request: &ModelRequest) -> ScriptedReply {
    let replies = request.messages.iter().filter(|message| message.role == martlet::Role::Assistant).count();
    ScriptedReply::text(match replies {
        0 => {
            "```python\nimport asyncio\nasync def both():\n    return await asyncio.gather(write(), send())\ndone = await both()\n```"
        }
        _ => {
            "```python\ntry:\n    pay()\nexcept Exception as error:\n    print(error)\nfinal_answer('coded')\n```"
        }
    })
}

fn catalog(folder: &Path) -> Catalog {
    let tools = |agent: martlet::AgentBuilder| {
        agent
            .tool(effect("write", folder))
            .tool(effect("send", folder))
            .tool(effect("pay", folder).needs_approval())
    };
    let latency = Duration::from_millis(2);
    let model = |reply: fn(&ModelRequest) -> ScriptedReply| {
        ScriptedModel::from_fn(move |request, _| reply(request)).delay(latency).without_recording()
    };
    let caller = tools(Agent::tool_calling(model(caller))).build().unwrap();
    let coder = tools(Agent::code(model(coder))).build().unwrap();
    let graph = Graph::new("flow")
        .node("write", effect("write", folder))
        .node("send", effect("send", folder))
        .node("pay", Node::new(effect("pay", folder).needs_approval()).on_error(martlet::OnError::Continue))
        .node("join", |_: martlet::Input| async { Ok::<_, martlet::NodeFailure>(json!("flowed")) })
        .edge("write", "join")
        .edge("send", "join")
        .edge("pay", "join")
        .build()
        .unwrap();
    Catalog::new().agent("caller", caller).agent("coder", coder).workflow("flow", graph)
}

fn child(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut options = ServiceOptions::default();
        options.limits.max_running = 64;
        options.limits.max_running_per_user = 64;
        options.limits.max_queued_per_user = 100_000;
        options.limits.max_queued = 100_000;
        let foundation = Foundation::open(folder.join("data"), options).unwrap();
        let service = foundation.serve(catalog(folder)).await.unwrap();
        let (orders, mut given) = tokio::sync::mpsc::channel::<Order>(64);
        std::thread::spawn(move || {
            for line in std::io::stdin().lines() {
                let Ok(line) = line else { break };
                if orders.blocking_send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        tell(&Told::Ready);
        let owner = Principal::local();
        while let Some(order) = given.recv().await {
            match order {
                Order::Submit { key, name, task } => {
                    let (service, owner) = (service.clone(), owner.clone());
                    tokio::spawn(async move {
                        let mut new = match name.as_str() {
                            "flow" => NewTask::input(json!({})),
                            _ => NewTask::words(task.clone()),
                        };
                        match name.as_str() {
                            "flow" => new.workflow = Some(name),
                            _ => new.agent = Some(name),
                        }
                        new.idempotency =
                            Some(Idempotency { key: key.clone(), body: ValueId::of(task.as_bytes()) });
                        match service.submit(&owner, new).await {
                            Ok(row) => tell(&Told::Taken { key, run: row.id.to_string() }),
                            Err(_) => tell(&Told::Refused { key }),
                        }
                    });
                }
                Order::Decide => {
                    let noted = std::fs::read_to_string(log_path(folder)).unwrap_or_default();
                    for approval in service.store().of(&owner).approvals(true, 1_000).await.unwrap() {
                        let effect = approval.effect.to_string();
                        let allowed = is_allowed(&effect);
                        let answer = match approval.kind {
                            ApprovalKind::Call if allowed => Answer::Approve { for_run: false },
                            ApprovalKind::Call => Answer::Deny { reason: "no".into() },
                            // A person looks whether it was done.
                            _ => match noted.lines().any(|line| line.split(' ').next() == Some(&*effect)) {
                                true => Answer::Done { output: json!("done") },
                                false => Answer::Repeat,
                            },
                        };
                        let is_call = approval.kind == ApprovalKind::Call;
                        let digest = Some(approval.digest);
                        if service.answer(&approval, digest, answer, &owner).await.is_ok() && is_call {
                            tell(&Told::Decided { effect, allowed });
                        }
                    }
                }
                Order::Report => {
                    let unfinished = service.store().unfinished().await.unwrap().len();
                    let filter =
                        martlet_store::RunFilter { limit: 100_000, ..martlet_store::RunFilter::default() };
                    let rows = service.store().of(&owner).runs(filter).await.unwrap();
                    let ended = rows.into_iter().filter(|row| row.state == RunState::Ended);
                    let runs = ended.map(|row| Ended {
                        run: row.id.to_string(),
                        outcome: row.outcome,
                        answer: row.answer,
                        error: row.error,
                    });
                    tell(&Told::Report { unfinished, runs: runs.collect() });
                }
            }
        }
        // The parent is gone.
        service.shut_down().await;
    });
}

fn tell(told: &Told) {
    let mut line = serde_json::to_string(told).unwrap();
    line.push('\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes());
    let _ = out.flush();
}

// --- the one who kills ------------------------------------------------------------------------------------------------

struct Server {
    process: Child,
    orders: ChildStdin,
    told: Receiver<Told>,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("--child")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let (send, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                // A line that a kill cut off was not told.
                let Ok(Ok(line)) = line.map(|line| serde_json::from_str(&line)) else { break };
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let server = Self { process, orders, told };
        let ready = server.told.recv_timeout(Duration::from_secs(30));
        assert!(matches!(ready, Ok(Told::Ready)), "the server started: {ready:?}");
        server
    }

    fn order(&mut self, order: &Order) {
        let mut line = serde_json::to_string(order).unwrap();
        line.push('\n');
        // It may be dead already.
        let _ = self.orders.write_all(line.as_bytes());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

const NAMES: [&str; 3] = ["caller", "coder", "flow"];

#[derive(Default)]
struct Ledger {
    /// The runs that were asked for and may or may not be there: key and kind.
    open: BTreeMap<String, &'static str>,
    /// The runs that were acknowledged, and their kind.
    taken: HashMap<String, &'static str>,
    decisions: BTreeMap<String, bool>,
}

impl Ledger {
    fn note(&mut self, told: Told) {
        match told {
            Told::Taken { key, run } => {
                if let Some(kind) = self.open.remove(&key) {
                    self.taken.insert(run, kind);
                }
            }
            Told::Decided { effect, allowed } => {
                let before = self.decisions.insert(effect.clone(), allowed);
                assert_eq!(before, None, "{effect} was decided twice");
            }
            Told::Refused { key } => panic!("{key} was refused, and there is room"),
            Told::Ready | Told::Report { .. } => {}
        }
    }
}

fn parent(kills: u32, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(seed);
    let mut ledger = Ledger::default();
    let mut asked = 0_u32;
    let start = Instant::now();
    let mut recovery = Vec::new();
    for _ in 0..kills {
        let began = Instant::now();
        let mut server = Server::start(folder.path());
        recovery.push(began.elapsed());
        // What was not acknowledged is asked for again, under the same key.
        let again: Vec<_> = ledger.open.iter().map(|(key, name)| (key.clone(), *name)).collect();
        for (key, name) in again {
            server.order(&Order::Submit { key: key.clone(), name: name.into(), task: key });
        }
        for _ in 0..1 + random.below(3) {
            asked += 1;
            let key = format!("k{asked}");
            let name = NAMES[usize::try_from(random.below(3)).unwrap()];
            ledger.open.insert(key.clone(), name);
            server.order(&Order::Submit { key: key.clone(), name: name.into(), task: key });
        }
        let killed_at = Instant::now() + Duration::from_micros(random.below(40_000));
        let mut decide_at = Instant::now() + Duration::from_micros(random.below(10_000));
        while let Some(left) = killed_at.checked_duration_since(Instant::now()) {
            if Instant::now() >= decide_at {
                server.order(&Order::Decide);
                decide_at += Duration::from_micros(2_000 + random.below(10_000));
            }
            if let Ok(told) = server.told.recv_timeout(left.min(Duration::from_millis(1))) {
                ledger.note(told);
            }
        }
        let _ = server.process.kill();
        let _ = server.process.wait();
        // What it told before it died counts.
        while let Ok(told) = server.told.recv_timeout(Duration::from_secs(5)) {
            ledger.note(told);
        }
    }
    finish(folder.path(), &mut ledger);
    check(folder.path(), &ledger, kills, start.elapsed(), recovery);
}

/// Lets the server do the rest undisturbed.
fn finish(folder: &Path, ledger: &mut Ledger) {
    let mut server = Server::start(folder);
    let open: Vec<_> = ledger.open.iter().map(|(key, name)| (key.clone(), *name)).collect();
    for (key, name) in open {
        server.order(&Order::Submit { key: key.clone(), name: name.into(), task: key });
    }
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        assert!(Instant::now() < deadline, "the server did not finish: {} are open", ledger.open.len());
        server.order(&Order::Decide);
        server.order(&Order::Report);
        let (unfinished, runs) = loop {
            match server.told.recv_timeout(Duration::from_secs(30)).expect("the server answers") {
                Told::Report { unfinished, runs } => break (unfinished, runs),
                told => ledger.note(told),
            }
        };
        if unfinished > 0 || !ledger.open.is_empty() {
            continue;
        }
        let ended: HashMap<_, _> = runs.into_iter().map(|ended| (ended.run.clone(), ended)).collect();
        for (run, kind) in &ledger.taken {
            let ended = ended.get(run).unwrap_or_else(|| panic!("{run} was acknowledged and is lost"));
            let (answer, outcomes): (_, &[&str]) = match *kind {
                "caller" => ("called", &["succeeded"]),
                "coder" => ("coded", &["succeeded"]),
                // A call that was refused is a node that failed and was gone on without.
                _ => ("flowed", &["success", "partial"]),
            };
            assert_eq!(ended.answer, Some(json!(answer)), "{run}, a run of {kind}: {ended:?}");
            let outcome = ended.outcome.as_deref().unwrap_or_default();
            assert!(outcomes.contains(&outcome), "{run}, a run of {kind}: {ended:?}");
        }
        assert_eq!(ended.len(), ledger.taken.len(), "no run is there twice");
        return;
    }
}

fn check(folder: &Path, ledger: &Ledger, kills: u32, took: Duration, mut recovery: Vec<Duration>) {
    let log = std::fs::read_to_string(log_path(folder)).unwrap();
    let mut effects = BTreeSet::new();
    let mut by_run: HashMap<&str, usize> = HashMap::new();
    for line in log.lines() {
        let (key, tool) = line.split_once(' ').unwrap();
        assert!(effects.insert(key), "{line} was done twice");
        *by_run.entry(key.split('/').next().unwrap()).or_default() += 1;
        if tool == "pay" {
            // The call of a graph's node and its approval have different places.
            assert!(is_approved(ledger, key), "{line} was done without a yes");
        }
    }
    let paid = log.lines().filter(|line| line.ends_with(" pay")).count();
    let allowed = ledger.decisions.values().filter(|allowed| **allowed).count();
    assert!(paid <= ledger.taken.len() && paid >= allowed, "{paid} paid, {allowed} told to be allowed");
    for (run, kind) in &ledger.taken {
        let done = by_run.get(&**run).copied().unwrap_or_default();
        let (least, most) = match *kind {
            "caller" => (3, 4),
            _ => (2, 3),
        };
        assert!(
            (least..=most).contains(&done),
            "{run}, a run of {kind}, had {done} effects:\n{}",
            told_of(folder, run)
        );
    }
    recovery.sort();
    println!(
        "{kills} kills in {:.1} s: {} runs acknowledged, 0 lost; {} effects, 0 repeated; {} decisions, 0 changed; \
         start after a kill: median {:.0} ms, most {:.0} ms",
        took.as_secs_f64(),
        ledger.taken.len(),
        effects.len(),
        ledger.decisions.len(),
        recovery[recovery.len() / 2].as_secs_f64() * 1e3,
        recovery[recovery.len() - 1].as_secs_f64() * 1e3,
    );
}

/// The events of a run, for a failure.
fn told_of(folder: &Path, run: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = martlet_store::Store::open_read_only(folder.join("data")).unwrap();
    let events = runtime.block_on(store.events(&martlet::RunId::new(run).unwrap(), 0, 1_000)).unwrap();
    events.iter().map(|event| format!("{}\n", String::from_utf8_lossy(&event.event))).collect()
}

/// Whether the question before this call was answered with yes, as far as the answer reached us.
fn is_approved(ledger: &Ledger, call: &str) -> bool {
    let (run, place) = call.split_once('/').unwrap();
    let (step, index) = place.split_once('/').unwrap();
    let index: u32 = index.parse().unwrap();
    (0..index).any(|asked| {
        let effect = format!("{run}/{step}/{asked}");
        is_allowed(&effect) && ledger.decisions.get(&effect).copied().unwrap_or(true)
    })
}
