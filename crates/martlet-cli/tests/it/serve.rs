//! `martlet serve` and the commands around it: the real binary, over HTTP.

mod refusals;
mod running;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command};
use std::sync::mpsc;

use martlet_testkit::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{Done, PATIENCE, Place, code, done, finish, send};

/// A server that runs.
struct Server {
    child: Option<Child>,
    url: String,
    lines: mpsc::Receiver<String>,
}

impl Server {
    /// Starts it at a port that is free, with its store in the folder `data`; it is ready.
    fn starts(mut command: Command) -> Self {
        let mut child = command.args(["--listen", "127.0.0.1:0", "--data", "data"]).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self { child: Some(child), url: String::new(), lines };
        let line = server.says("serving on ");
        line.trim_start_matches("serving on ").clone_into(&mut server.url);
        server
    }

    /// Reads on until a line begins so.
    fn says(&self, beginning: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with(beginning) => return line,
                Ok(line) => before.push(line),
                Err(error) => panic!("`{beginning}` did not come ({error}), but {before:?}"),
            }
        }
    }

    fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends it with a signal, and gives how it ended.
    fn ends(mut self, signal: i32) -> Done {
        let child = self.child.take().unwrap();
        assert!(send(child.id(), signal));
        finish(child)
    }

    fn posts(&self, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        post(&format!("{}{path}", self.url), key, "wait=60", body)
    }

    /// Starts a run and waits until it ends, or waits itself.
    fn runs(&self, task: &str) -> Value {
        let (status, run) = self.posts("/api/v1/runs", None, &json!({"task": task}));
        assert!(matches!(status, 200 | 202), "{status} {run}");
        run
    }

    /// Starts a run and does not wait for it; gives its name.
    fn begins(&self, task: &str) -> String {
        let address = format!("{}/api/v1/runs", self.url);
        let (status, run) = post(&address, None, "respond-async", &json!({"task": task}));
        assert_eq!(status, 202, "{run}");
        run["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Posts JSON, and gives the status and what came back.
fn post(address: &str, key: Option<&str>, prefer: &str, body: &Value) -> (u16, Value) {
    let mut request = client().post(address).body(body.to_string());
    request = request.header("content-type", "application/json").header("prefer", prefer);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    answer(request)
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    })
}

/// A command on the store of the folder `data`.
fn on_data(place: &Place, arguments: &[&str]) -> Done {
    done(place.martlet(&[arguments, &["--data", "data"]].concat()))
}

fn parsed(done: &Done) -> Value {
    assert_eq!(done.code, Some(0), "{done:?}");
    serde_json::from_str(&done.stdout).unwrap()
}

fn wait_for(server: &FakeServer, requests: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let waiting = server.wait_until(|counters| counters.requests >= requests);
    runtime.block_on(async { tokio::time::timeout(PATIENCE, waiting).await }).unwrap();
}

/// A configuration whose agent runs programs, for which it needs a person.
fn with_approval(place: &Place, server: &FakeServer) {
    place.write(
        "martlet.toml",
        &format!(
            "model = \"fake\"\n[models.fake]\nmodel = \"fake\"\nbase_url = \"{}\"\n\
             [agents.counter]\nstrategy = \"tool_calling\"\ntools = [\"python\", \"ask_user\"]\n\
             [[approvals]]\ntool = \"python\"\nthen = \"ask\"\n",
            server.base_url()
        ),
    );
}

fn program_and_answer() -> [Reply; 2] {
    [Reply::tool_call("python", json!({"code": "print(6 * 7)\u{1b}[2J"})), Reply::text("it is done")]
}
