//! What a server promises, measured over HTTP: how soon it answers, what many users cost, what a crash and an end cost.
//!
//! The server is a process of its own, this program started again with `serve`, so that its memory is its own; its models
//! are scripted and its store is a real one in a temporary folder. Linux only (it reads `/proc`).
//!
//! `cargo bench --ignore-rust-version --workspace --bench promises [-- CASE …]`; all cases by default.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "it is run by hand")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::join_all;
use martlet::core::{ModelRequest, Principal, Role, Usage};
use martlet::tools::{ToolExt as _, tool_fn};
use martlet::{Agent, RunId, ToolContext, ToolError, ToolSpec};
use martlet_server::keys::{ApiKey, KeyRequest, Scopes};
use martlet_server::{Auth, Catalog, Foundation, HttpOptions, ServiceOptions, router, serve};
use martlet_store::{Entry, Journal as _, Lane, NewRun, RunEnd, RunKind, Store, StoreOptions};
use martlet_testkit::{ScriptedModel, ScriptedReply};
use reqwest::Client;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

type Case = (&'static str, fn(&tokio::runtime::Runtime));

const CASES: [Case; 10] = [
    ("start", start),
    ("recover", recover),
    ("first", first),
    ("many", many),
    ("stream", stream),
    ("replay", replay),
    ("readers", readers),
    ("stop", stop),
    ("flood", flood),
    ("term", term),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [word, folder, auth] = arguments.as_slice()
        && word == "serve"
    {
        return server(Path::new(folder), auth == "keys");
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (name, case) in CASES {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            case(&runtime);
        }
    }
}

// --- the server -------------------------------------------------------------------------------------------------------

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

fn answers(request: &ModelRequest) -> usize {
    request.messages.iter().filter(|message| message.role == Role::Tool).count()
}

fn done() -> ScriptedReply {
    ScriptedReply::tool_calls([("final_answer", json!({"answer": "done"}))])
}

fn catalog() -> Catalog {
    let echo = || {
        tool_fn(ToolSpec::new("echo", "Says ok."), |_: Nothing, _cx: ToolContext| async {
            Ok::<_, ToolError>("ok")
        })
    };
    let agent =
        |model: ScriptedModel| Agent::tool_calling(model.without_recording()).tool(echo()).build().unwrap();
    let quick = agent(ScriptedModel::from_fn(|_, _| done()));
    let two_calls = |request: &ModelRequest| match answers(request) {
        0 => ScriptedReply::tool_calls([("echo", json!({}))]),
        _ => done(),
    };
    let slow =
        agent(ScriptedModel::from_fn(move |request, _| two_calls(request)).delay(Duration::from_millis(500)));
    let hang = agent(ScriptedModel::from_fn(|_, _| done()).delay(Duration::from_secs(3_600)));
    let talk = agent(ScriptedModel::from_fn(|request, _| match answers(request) {
        0 if request.messages.len() < 3 => ScriptedReply::text("word ".repeat(2_000)).pieces(5),
        _ => done(),
    }));
    let asks =
        Agent::tool_calling(ScriptedModel::from_fn(move |request, _| two_calls(request)).without_recording())
            .tool(echo().needs_approval())
            .build()
            .unwrap();
    Catalog::new()
        .agent("quick", quick)
        .agent("slow", slow)
        .agent("hang", hang)
        .agent("talk", talk)
        .agent("asks", asks)
}

fn server(folder: &Path, keys: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut options = ServiceOptions::default();
        if !keys {
            options.limits.max_running = 5_000;
            options.limits.max_running_per_user = 5_000;
            options.limits.max_queued = 10_000;
            options.limits.max_queued_per_user = 10_000;
        }
        let foundation = Foundation::open(folder, options).unwrap();
        let mut words = Vec::new();
        for user in ["ann", "bob"].into_iter().filter(|_| keys) {
            let owner = Principal::new("acme", user).unwrap();
            let request = KeyRequest {
                owner,
                scopes: Scopes::all(),
                label: user.into(),
                created_ms: 1,
                expires_ms: None,
            };
            let (key, row) = ApiKey::issue(request).unwrap();
            foundation.store().create_key(row).await.unwrap();
            words.push(key.text().expose().to_owned());
        }
        let service = foundation.serve(catalog()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let auth = if keys { Auth::Keys } else { Auth::Open { principal: Principal::local() } };
        let app = router(service.clone(), HttpOptions::new(auth));
        println!("http://{} {}", listener.local_addr().unwrap(), words.join(" "));
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        serve(listener, app, service, async move {
            let _ = term.recv().await;
        })
        .await
        .unwrap();
    });
}

struct Server {
    process: Child,
    url: String,
    keys: Vec<String>,
    ready: Duration,
}

impl Server {
    fn start(folder: &Path, keys: bool) -> Self {
        let start = Instant::now();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .arg(folder)
            .arg(if keys { "keys" } else { "open" })
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut words = line.split_whitespace().map(str::to_owned);
        let url = words.next().expect("the server tells its address");
        Self { process, url, keys: words.collect(), ready: start.elapsed() }
    }

    fn fresh() -> (Self, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Self::start(folder.path(), false), folder)
    }

    fn rss_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn runs(&self) -> String {
        format!("{}/api/v1/runs", self.url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// --- clients ----------------------------------------------------------------------------------------------------------

/// The request that begins a run.
fn ask(client: &Client, url: &str, agent: &str) -> reqwest::RequestBuilder {
    let body = json!({"agent": agent, "task": "Do it."}).to_string();
    client.post(url).header("content-type", "application/json").body(body)
}

async fn value(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Begins a run and reads its events: when the first one came, when the stream ended, and how many events and other frames
/// there were.
async fn follow(client: &Client, server: &Server, agent: &str) -> Followed {
    let start = Instant::now();
    let response =
        ask(client, &server.runs(), agent).header("accept", "text/event-stream").send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
    read(response, start).await
}

#[derive(Debug, Default)]
struct Followed {
    first: Duration,
    total: Duration,
    events: u64,
    passing: u64,
    end: String,
}

async fn read(response: reqwest::Response, start: Instant) -> Followed {
    let mut followed = Followed::default();
    let mut body = response.bytes_stream();
    let mut rest = Vec::new();
    let mut expected = 0;
    while let Some(piece) = body.next().await {
        let Ok(piece) = piece else { break };
        rest.extend_from_slice(&piece);
        while let Some(at) = rest.windows(2).position(|two| two == b"\n\n") {
            let frame: Vec<u8> = rest.drain(..at + 2).collect();
            let frame = String::from_utf8(frame).unwrap();
            if let Some(id) = frame.strip_prefix("id: ").and_then(|frame| frame.lines().next()) {
                let id: u64 = id.parse().unwrap();
                assert!(followed.events == 0 || id == expected, "a gap or a repetition at {id}");
                expected = id + 1;
                followed.events += 1;
                if followed.events == 1 {
                    followed.first = start.elapsed();
                }
            } else if frame.starts_with("event: end") {
                followed.end = frame;
            } else if frame.starts_with("event: ") {
                followed.passing += 1;
            }
        }
    }
    followed.total = start.elapsed();
    followed
}

fn client() -> Client {
    Client::builder().pool_max_idle_per_host(0).build().unwrap()
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort();
    let at = (times.len() * percent / 100).min(times.len() - 1);
    times[at].as_secs_f64() * 1e3
}

// --- cases ------------------------------------------------------------------------------------------------------------

fn start(_: &tokio::runtime::Runtime) {
    let (server, _folder) = Server::fresh();
    println!(
        "start    an empty server was ready after {:.0} ms and holds {:.1} MB (this program, not the binary)",
        server.ready.as_secs_f64() * 1e3,
        server.rss_mb()
    );
}

fn stored(id: &RunId, at: u64) -> NewRun {
    NewRun {
        id: id.clone(),
        owner: Principal::local(),
        kind: RunKind::Agent,
        name: "quick".into(),
        session: None,
        title: "Do it.".into(),
        request: json!({"input": {"task": "Do it."}}),
        lane: Lane::Interactive,
        created_ms: at,
        idempotency: None,
        forked_from: None,
    }
}

async fn fill(folder: &Path, ended: u64, events: u64, unfinished: u64) -> Vec<RunId> {
    let store = Store::open(folder, StoreOptions::default()).unwrap();
    let ids: Vec<RunId> =
        (0..ended + unfinished).map(|number| RunId::from_bits(u128::from(number) + 1)).collect();
    for chunk in ids.chunks(256) {
        join_all(chunk.iter().map(async |id| {
            let number = ids.iter().position(|known| known == id).unwrap() as u64;
            store.create_run(stored(id, number)).await.unwrap();
            if number >= ended {
                return;
            }
            let mut seq = 0;
            while seq < events {
                let several = (0..500.min(events - seq)).map(|at| {
                    Bytes::from(
                        json!({"schema": 1, "seq": seq + at, "run": id, "type": "step.started", "step": 1})
                            .to_string(),
                    )
                });
                let several: Vec<Bytes> = several.collect();
                let count = several.len() as u64;
                store.append_events(id, several).await.unwrap();
                seq += count;
            }
            store.append(id, 0, Entry::new(id.clone(), vec![b'x'; 2_000])).await.unwrap();
            let end = RunEnd {
                outcome: "succeeded".into(),
                answer: json!("done"),
                error: None,
                usage: Usage::default(),
                ended_ms: number,
                remember: false,
            };
            store.end_run(id, end).await.unwrap();
        }))
        .await;
    }
    ids
}

fn recover(runtime: &tokio::runtime::Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let ids = runtime.block_on(fill(folder.path(), 10_000, 10, 100));
    let server = Server::start(folder.path(), false);
    let begun = Instant::now();
    runtime.block_on(async {
        let client = client();
        for id in &ids[10_000..] {
            let url = format!("{}/{id}/events", server.runs());
            let response = client.get(url).header("accept", "text/event-stream").send().await.unwrap();
            assert!(read(response, begun).await.end.contains("succeeded"));
        }
    });
    println!(
        "recover  10,000 stored runs: ready after {:.0} ms; 100 unfinished ones had ended {:.0} ms later",
        server.ready.as_secs_f64() * 1e3,
        begun.elapsed().as_secs_f64() * 1e3
    );
}

fn first(runtime: &tokio::runtime::Runtime) {
    let (server, _folder) = Server::fresh();
    let mut firsts = runtime.block_on(async {
        let client = client();
        // Once without counting.
        follow(&client, &server, "quick").await;
        let mut firsts = Vec::new();
        for _ in 0..10 {
            let runs = join_all((0..100).map(|_| follow(&client, &server, "quick"))).await;
            firsts.extend(runs.into_iter().map(|run| run.first));
        }
        firsts
    });
    println!(
        "first    POST to the first event, 100 at once, new connections: p50 {:.1} ms, p99 {:.1} ms",
        percentile(&mut firsts, 50),
        percentile(&mut firsts, 99)
    );
}

fn many(runtime: &tokio::runtime::Runtime) {
    const RUNS: usize = 2_000;
    let (server, _folder) = Server::fresh();
    let before = server.rss_mb();
    let mut peak = before;
    let (mut firsts, wall) = runtime.block_on(async {
        let client = client();
        let start = Instant::now();
        let runs = join_all((0..RUNS).map(|_| follow(&client, &server, "slow")));
        tokio::pin!(runs);
        let mut look = tokio::time::interval(Duration::from_millis(100));
        let runs = loop {
            tokio::select! {
                runs = &mut runs => break runs,
                _ = look.tick() => peak = peak.max(server.rss_mb()),
            }
        };
        let wall = start.elapsed();
        assert!(runs.iter().all(|run| run.end.contains("succeeded")));
        (runs.into_iter().map(|run| run.first).collect::<Vec<_>>(), wall)
    });
    println!(
        "many     {RUNS} runs of two 500 ms calls at once: wall {:.2} s, ideal 1.00 s; first event p50 {:.0} ms, p99 \
         {:.0} ms; memory {before:.0} MB, at most {peak:.0} MB",
        wall.as_secs_f64(),
        percentile(&mut firsts, 50),
        percentile(&mut firsts, 99)
    );
}

fn stream(runtime: &tokio::runtime::Runtime) {
    let (server, _folder) = Server::fresh();
    runtime.block_on(async {
        let client = client();
        let start = Instant::now();
        let runs = join_all((0..20).map(|_| follow(&client, &server, "talk"))).await;
        let wall = start.elapsed().as_secs_f64();
        let (events, passing) =
            runs.iter().fold((0, 0), |(events, passing), run| (events + run.events, passing + run.passing));
        println!(
            "stream   20 runs, each followed by one reader: {passing} pieces and {events} events arrived in {wall:.2} s, \
             {:.0} a second",
            (passing + events) as f64 / wall
        );
    });
}

fn replay(runtime: &tokio::runtime::Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let ids = runtime.block_on(fill(folder.path(), 1, 10_000, 0));
    let server = Server::start(folder.path(), false);
    runtime.block_on(async {
        let client = client();
        let url = format!("{}/{}/events", server.runs(), ids[0]);
        for after in ["0", "5000"] {
            let start = Instant::now();
            let request =
                client.get(&url).header("accept", "text/event-stream").header("last-event-id", after);
            let run = read(request.send().await.unwrap(), start).await;
            println!(
                "replay   {} events after {after} arrived in {:.0} ms, without a gap or a repetition",
                run.events,
                run.total.as_secs_f64() * 1e3
            );
        }
    });
}

fn readers(runtime: &tokio::runtime::Runtime) {
    const READERS: usize = 1_000;
    let (server, _folder) = Server::fresh();
    runtime.block_on(async {
        let client = client();
        let waits = ask(&client, &server.runs(), "asks").header("prefer", "wait=10").send().await.unwrap();
        let run = value(waits).await;
        assert_eq!(run["state"], "waiting", "{run}");
        let url = format!("{}/{}/events", server.runs(), run["id"].as_str().unwrap());
        let before = server.rss_mb();
        let open = join_all((0..READERS).map(async |_| {
            let response = client.get(&url).header("accept", "text/event-stream").send().await.unwrap();
            let mut body = response.bytes_stream();
            // The stored events have come: the rest is waiting.
            let _ = body.next().await.unwrap().unwrap();
            body
        }))
        .await;
        println!(
            "readers  {} idle readers of a run that waits for a person: memory {before:.0} MB before, {:.0} MB with them",
            open.len(),
            server.rss_mb()
        );
    });
}

fn stop(runtime: &tokio::runtime::Runtime) {
    let (server, _folder) = Server::fresh();
    runtime.block_on(async {
        let client = client();
        let (mut stops, mut leaves) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let run = begin(&client, &server, "hang").await;
            let url = format!("{}/{}", server.runs(), run["id"].as_str().unwrap());
            let start = Instant::now();
            client.post(format!("{url}/cancel")).send().await.unwrap();
            stops.push(ended(&client, &url, start).await);
            // Somebody who waits goes away.
            let waiting = tokio::spawn(ask(&client, &server.runs(), "hang").header("prefer", "wait=60").send());
            let id = loop {
                let list = client.get(format!("{}?state=running", server.runs())).send().await.unwrap();
                let list = value(list).await;
                if let Some(id) = list["runs"][0]["id"].as_str() {
                    break id.to_owned();
                }
            };
            waiting.abort();
            let start = Instant::now();
            leaves.push(ended(&client, &format!("{}/{id}", server.runs()), start).await);
        }
        println!(
            "stop     cancel to the end of the run: p50 {:.1} ms, most {:.1} ms; a waiting client gone to its end: p50 {:.1} \
             ms, most {:.1} ms",
            percentile(&mut stops, 50),
            percentile(&mut stops, 100),
            percentile(&mut leaves, 50),
            percentile(&mut leaves, 100)
        );
    });
}

async fn begin(client: &Client, server: &Server, agent: &str) -> Value {
    value(ask(client, &server.runs(), agent).send().await.unwrap()).await
}

async fn ended(client: &Client, url: &str, start: Instant) -> Duration {
    let response =
        client.get(format!("{url}/events")).header("accept", "text/event-stream").send().await.unwrap();
    let followed = read(response, start).await;
    assert!(followed.end.contains("cancelled"), "{followed:?}");
    start.elapsed()
}

fn flood(runtime: &tokio::runtime::Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), true);
    runtime.block_on(async {
        let quiet = Client::new();
        let look = async || {
            let start = Instant::now();
            let request = quiet.get(format!("{}/api/v1/me", server.url)).bearer_auth(&server.keys[1]);
            assert!(request.send().await.unwrap().status().is_success());
            start.elapsed()
        };
        let mut before = Vec::new();
        for _ in 0..300 {
            before.push(look().await);
        }
        let memory = server.rss_mb();
        let loud = Client::new();
        let (url, key) = (server.runs(), server.keys[0].clone());
        let flooding = tokio::spawn(async move {
            let (mut refused, mut taken, mut without) = (0, 0, 0);
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            for _ in 0..500 {
                tick.tick().await;
                let several = join_all((0..10).map(|_| ask(&loud, &url, "hang").bearer_auth(&key).send()));
                for response in several.await {
                    let response = response.unwrap();
                    match response.status().as_u16() {
                        429 if response.headers().contains_key("retry-after") => refused += 1,
                        202 => taken += 1,
                        _ => without += 1,
                    }
                }
            }
            (refused, taken, without)
        });
        let mut during = Vec::new();
        while !flooding.is_finished() {
            during.push(look().await);
        }
        let (refused, taken, without) = flooding.await.unwrap();
        println!(
            "flood    5,000 requests of one key: {taken} taken, {refused} refused with Retry-After, {without} otherwise; \
             another user's request p99 {:.1} ms before, {:.1} ms during; memory {memory:.0} MB before, {:.0} MB after",
            percentile(&mut before, 99),
            percentile(&mut during, 99),
            server.rss_mb()
        );
    });
}

fn term(runtime: &tokio::runtime::Runtime) {
    let (mut server, folder) = Server::fresh();
    let id = runtime.block_on(async {
        let client = client();
        begin(&client, &server, "hang").await["id"].as_str().unwrap().to_owned()
    });
    let start = Instant::now();
    let told = Command::new("kill").arg("-TERM").arg(server.process.id().to_string()).status().unwrap();
    assert!(told.success());
    let status = server.process.wait().unwrap();
    let took = start.elapsed();
    drop(server);
    let server = Server::start(folder.path(), false);
    let state = runtime.block_on(async {
        let run = value(client().get(format!("{}/{id}", server.runs())).send().await.unwrap()).await;
        run["state"].as_str().unwrap().to_owned()
    });
    println!(
        "term     SIGTERM with a run that hangs: ended after {:.1} s with {status}; after the next start the run is {state}",
        took.as_secs_f64()
    );
}
