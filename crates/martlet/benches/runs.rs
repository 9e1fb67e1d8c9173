//! What runs cost, beside a bare HTTP client that makes the same calls.
//!
//! Each case is a process of its own, so that its CPU time and its memory are its own; the fake model server is
//! another process. The bare client is tokio and reqwest and nothing else: it sends the same conversations and
//! reads the replies as JSON. Linux only (it reads `/proc`).
//!
//! `cargo bench --ignore-rust-version -p martlet --bench runs [-- CASE …]`, where CASE is `steps`, `thousand`,
//! `secrets`, `code` or `cancel`; all of them by default.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is run by hand"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use martlet::sandbox::{InProcess, Sandbox, WorkerConfig, WorkerPool};
use martlet::{Agent, OpenAiCompatible, ToolContext, Update, tool};
use martlet_testkit::{CapturedRequest, FakeServer, Reply};
use serde::Serialize;
use serde_json::{Value, json};

/// Gives back what it is given.
#[tool(read_only)]
async fn echo(
    /// Anything.
    text: String,
) -> String {
    text
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["subprocess"] => {
            let _ = martlet::sandbox::worker_main();
        }
        ["cancel"] => cancel(),
        ["serve", delay] => serve(Duration::from_millis(delay.parse().unwrap())),
        ["case", case, url, runs, steps] => measure(case, url, runs.parse().unwrap(), steps.parse().unwrap()),
        cases => compare(cases),
    }
}

// --- the server ----------------------------------------------------------------------------------------

/// Answers as a model would that calls `echo` with the task's secret until it was asked `steps` times, and then
/// answers with what it was told. The task says all of this: `steps secret`.
fn serve(delay: Duration) {
    let server = FakeServer::builder_with(move |request| answer(request).delay(delay).usage(100, 10))
        .capture(0)
        .spawn_thread();
    println!("{}", server.base_url());
    // The parent ends this process by closing its standard input.
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}

fn answer(request: &CapturedRequest) -> Reply {
    let body = request.json();
    let messages = body["messages"].as_array().expect("messages");
    let task = messages
        .iter()
        .find(|message| message["role"] == "user")
        .and_then(|message| message["content"].as_str());
    let (steps, secret) = task.expect("a task").split_once(' ').expect("two words");
    let steps: usize = steps.parse().expect("a number");
    let asked = messages.iter().filter(|message| message["role"] == "assistant").count();
    let native = body.get("tools").is_some();
    match (native, asked + 1 < steps) {
        (true, true) => Reply::tool_call("echo", json!({"text": format!("{asked} {secret}")})),
        (true, false) => {
            let told = messages.last().and_then(|message| message["content"].as_str()).unwrap_or_default();
            Reply::text(told.split_once(' ').map_or(told, |(_, secret)| secret))
        }
        (false, true) => {
            Reply::text(format!("I ask.\n```python\nx{asked} = echo('{secret}')\nprint(x{asked})\n```"))
        }
        (false, false) => {
            Reply::text(format!("```python\nfinal_answer(echo(x{}))\n```", asked.saturating_sub(1)))
        }
    }
}

// --- one case, in a process of its own -----------------------------------------------------------------

fn measure(case: &str, url: &str, runs: usize, steps: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let base = status_kb("VmRSS:");
    let cpu = cpu_seconds();
    let clock = Instant::now();
    let wrong = runtime.block_on(async {
        match case {
            "bare" => bare(url, runs, steps).await,
            "agent" => {
                let agent = Agent::tool_calling(model(url)).tool(echo).build().unwrap();
                agents(agent, runs, steps).await
            }
            "workers" => {
                let command = std::env::current_exe().unwrap();
                let pool = WorkerPool::new(WorkerConfig::new(command).workers(4));
                code_agents(Arc::new(pool), url, runs, steps).await
            }
            "in-process" => code_agents(Arc::new(InProcess::new()), url, runs, steps).await,
            other => panic!("no case {other}"),
        }
    });
    let wall = clock.elapsed().as_secs_f64();
    drop(runtime);
    let figures = json!({
        "wall": wall,
        "cpu": cpu_seconds() - cpu,
        "peak_kb": status_kb("VmHWM:").saturating_sub(base),
        "wrong": wrong,
    });
    println!("{figures}");
}

fn model(url: &str) -> OpenAiCompatible {
    OpenAiCompatible::new(url, "fake").build().unwrap()
}

async fn code_agents(sandbox: Arc<dyn Sandbox>, url: &str, runs: usize, steps: usize) -> usize {
    let agent = Agent::code(model(url)).tool(echo).sandbox(sandbox).build().unwrap();
    agents(agent, runs, steps).await
}

/// Runs one shared agent `runs` times at once; returns how many answers were not the run's own secret.
async fn agents(agent: Agent, runs: usize, steps: usize) -> usize {
    let mut all = FuturesUnordered::new();
    for number in 0..runs {
        let agent = agent.clone();
        all.push(tokio::spawn(async move {
            let secret = secret(number);
            match agent.run(format!("{steps} {secret}")).await {
                Ok(result) => usize::from(result.answer_text() != secret || result.steps.len() != steps),
                Err(error) => {
                    eprintln!("{error}");
                    1
                }
            }
        }));
    }
    let mut wrong = 0;
    while let Some(result) = all.next().await {
        wrong += result.unwrap_or(1);
    }
    wrong
}

fn secret(number: usize) -> String {
    format!("secret-{number:06}-{:x}", number.wrapping_mul(2_654_435_761) % 0xffff_ffff)
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Value],
    tools: &'a Value,
}

/// The same conversations by hand: no agent, no memory but a list of JSON messages.
async fn bare(url: &str, runs: usize, steps: usize) -> usize {
    let client = reqwest_client();
    let url: Arc<str> = format!("{url}/chat/completions").into();
    let agent = Agent::tool_calling(model("http://127.0.0.1:1/v1")).tool(echo).build().unwrap();
    let system: Arc<str> = agent.spec().system_prompt().clone();
    let tools: Arc<Value> = Arc::new(
        agent
            .spec()
            .offered_tools()
            .iter()
            .map(|tool| {
                json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters}})
            })
            .collect(),
    );
    let mut all = FuturesUnordered::new();
    for number in 0..runs {
        let (client, url, system, tools) = (client.clone(), url.clone(), system.clone(), tools.clone());
        all.push(tokio::spawn(async move {
            let secret = secret(number);
            let mut messages = vec![
                json!({"role": "system", "content": &*system}),
                json!({"role": "user", "content": format!("{steps} {secret}")}),
            ];
            for _ in 0..steps {
                let body = Body { model: "fake", messages: &messages, tools: &tools };
                let body = serde_json::to_vec(&body).unwrap();
                let request = client.post(&*url).header("content-type", "application/json").body(body);
                let response = request.send().await.unwrap();
                let bytes = response.bytes().await.unwrap();
                let mut reply: Value = serde_json::from_slice(&bytes).unwrap();
                let message = reply["choices"][0]["message"].take();
                let Some(call) = message["tool_calls"].get(0) else {
                    return usize::from(message["content"] != secret.as_str());
                };
                let arguments: Value =
                    serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
                let result =
                    json!({"role": "tool", "tool_call_id": call["id"], "content": arguments["text"]});
                messages.push(message);
                messages.push(result);
            }
            1
        }));
    }
    let mut wrong = 0;
    while let Some(result) = all.next().await {
        wrong += result.unwrap_or(1);
    }
    wrong
}

fn reqwest_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tcp_nodelay(true).no_proxy().build().unwrap()
}

/// CPU time of this process and of its children that have ended, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    // Fields 14 to 17 of the line: user, system, children's user, children's system, in hundredths of a second.
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

fn status_kb(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

// --- cancelling ----------------------------------------------------------------------------------------

/// Waits for a call that never ends.
#[tool]
async fn endless(cx: &ToolContext) -> String {
    let _ = cx;
    let _gone = Gone;
    IN_TOOL.store(true, Ordering::SeqCst);
    std::future::pending().await
}

static IN_TOOL: AtomicBool = AtomicBool::new(false);

struct Gone;

impl Drop for Gone {
    fn drop(&mut self) {
        IN_TOOL.store(false, Ordering::SeqCst);
    }
}

/// How long it takes from `cancel()` until nothing is left of what was under way.
fn cancel() {
    println!("cancel: from `cancel()` until it is over, longest of 20");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stream = Duration::ZERO;
        let mut in_tool = Duration::ZERO;
        let mut python = Duration::ZERO;
        for _ in 0..20 {
            let server =
                FakeServer::always(Reply::text("word ".repeat(10_000)).pieces(5, Duration::from_millis(10)));
            let mut run = Agent::code(model(&server.base_url())).build().unwrap().run("Talk.").start();
            while !matches!(run.next().await, Some(Update::Delta { .. })) {}
            let clock = Instant::now();
            run.cancel();
            server.wait_until_aborted(1).await;
            stream = stream.max(clock.elapsed());

            let server = FakeServer::always(Reply::tool_call("endless", json!({})));
            let run = Agent::tool_calling(model(&server.base_url()))
                .tool(endless)
                .build()
                .unwrap()
                .run("Wait.")
                .start();
            poll(|| IN_TOOL.load(Ordering::SeqCst)).await;
            let clock = Instant::now();
            run.cancel();
            poll(|| !IN_TOOL.load(Ordering::SeqCst)).await;
            in_tool = in_tool.max(clock.elapsed());

            let server = FakeServer::always(Reply::text("```python\nwhile True: pass\n```"));
            let pool =
                Arc::new(WorkerPool::new(WorkerConfig::new(std::env::current_exe().unwrap()).workers(1)));
            let agent = Agent::code(model(&server.base_url())).sandbox(pool.clone()).build().unwrap();
            let run = agent.run("Loop.").start();
            poll(|| pool.processes().first().is_some_and(|process| is_busy(*process))).await;
            let process = pool.processes()[0];
            let clock = Instant::now();
            run.cancel();
            poll(|| !std::path::Path::new(&format!("/proc/{process}")).exists()).await;
            python = python.max(clock.elapsed());
        }
        println!("  => model stream: the server sees its socket closed after {stream:?} (target 200 ms)");
        println!("  => tool: its future is dropped after {in_tool:?}");
        println!("  => endless Python loop: its process is gone after {python:?} (target 1 s)");
    });
}

/// Whether a process has used a tenth of a second of CPU time: a loop is under way in it.
fn is_busy(process: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    let Some((_, fields)) = stat.rsplit_once(')') else { return false };
    fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>()
        >= 10
}

async fn poll(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

// --- the comparison ------------------------------------------------------------------------------------

struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(delay_ms: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["serve", &delay_ms.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { process, url: url.trim().to_owned() }
    }

    fn run(&self, case: &str, runs: usize, steps: usize) -> Figures {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["case", case, &self.url, &runs.to_string(), &steps.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let value: Value = serde_json::from_str(text.lines().last().expect("figures")).unwrap();
        let figures = Figures {
            wall: value["wall"].as_f64().unwrap(),
            cpu: value["cpu"].as_f64().unwrap(),
            peak_kb: value["peak_kb"].as_f64().unwrap(),
            wrong: value["wrong"].as_u64().unwrap(),
        };
        println!(
            "  {case:<11} {runs:>6} runs x {steps} calls: wall {:>7.3} s, CPU {:>7.2} s = {:>6.1} us a call, memory {:>7.1} KB a run, {} wrong",
            figures.wall,
            figures.cpu,
            figures.cpu * 1e6 / (runs * steps) as f64,
            figures.peak_kb / runs as f64,
            figures.wrong,
        );
        figures
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

struct Figures {
    wall: f64,
    cpu: f64,
    peak_kb: f64,
    wrong: u64,
}

fn compare(cases: &[&str]) {
    let wanted = |case: &str| cases.is_empty() || cases.contains(&case);
    if wanted("steps") {
        println!("steps: no delay, 200 runs at once, best of 3");
        let server = Server::start(0);
        let best = |case: &str| (0..3).map(|_| server.run(case, 200, 20).cpu).fold(f64::INFINITY, f64::min);
        let (bare, agent) = (best("bare"), best("agent"));
        println!("  => CPU of a step: {:.2} x the bare client (target 2)", agent / bare);
    }
    if wanted("thousand") {
        println!("thousand: 1,000 runs at once, 5 calls of 500 ms (ideal 2.5 s)");
        let server = Server::start(500);
        let bare = server.run("bare", 1_000, 5);
        let agent = server.run("agent", 1_000, 5);
        println!(
            "  => wall {:.2} x the bare client (target 1.1), {:.2} x the ideal; memory {:+.1} KB a run (target +20)",
            agent.wall / bare.wall,
            agent.wall / 2.5,
            (agent.peak_kb - bare.peak_kb) / 1_000.0,
        );
    }
    if wanted("secrets") {
        println!("secrets: 10,000 runs of one shared agent at once, each with its own secret");
        let server = Server::start(500);
        let agent = server.run("agent", 10_000, 2);
        println!("  => {} of 10,000 answers were not the run's own secret", agent.wrong);
    }
    if wanted("cancel") {
        cancel();
    }
    if wanted("code") {
        println!(
            "code: 1,000 code agents at once, 4 programs that call a tool, 500 ms a model call (ideal 2 s)"
        );
        let server = Server::start(500);
        for case in ["workers", "in-process"] {
            let figures = server.run(case, 1_000, 4);
            println!("  => {case}: wall {:.2} x the ideal", figures.wall / 2.0);
        }
    }
}
