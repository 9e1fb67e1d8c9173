//! What the tests share: both sandboxes, a few tools, short ways to perform requests.

use std::sync::Mutex;
use std::time::Duration;

use martlet_core::code::{CallResult, CodeCall, CodeEnd, CodeLimits, CodeOutcome, CodeRequest};
use martlet_core::message::Blob;
use martlet_core::tool::{ToolFailure, ToolFailureKind, ToolSpec};
use martlet_sandbox::{InProcess, Sandbox, Session, SessionOptions, WorkerConfig, WorkerPool};
use serde_json::{Value, json};

pub(crate) fn config() -> WorkerConfig {
    WorkerConfig::new(env!("CARGO_BIN_EXE_martlet-sandbox-worker")).args(Vec::<String>::new()).workers(2)
}

pub(crate) fn pool() -> WorkerPool {
    WorkerPool::new(config())
}

/// Every sandbox there is: what a program sees must not depend on where it runs.
pub(crate) fn sandboxes() -> Vec<(&'static str, Box<dyn Sandbox>)> {
    vec![("in process", Box::new(InProcess::new())), ("workers", Box::new(pool()))]
}

pub(crate) fn tools() -> Vec<ToolSpec> {
    let query = json!({
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["query"],
    });
    vec![ToolSpec::new("search", "Searches.").parameters(query), ToolSpec::new("now", "The time.")]
}

pub(crate) fn options() -> SessionOptions {
    SessionOptions::new(tools())
}

pub(crate) fn limits(change: impl FnOnce(&mut CodeLimits)) -> SessionOptions {
    let mut limits = CodeLimits::default();
    change(&mut limits);
    options().limits(limits)
}

pub(crate) async fn start_with(session: &mut dyn Session, code: &str, saved: Option<Blob>) -> CodeOutcome {
    let request = CodeRequest::start(code, saved);
    session.perform(request, None).await.unwrap_or_else(|error| panic!("{code}: {error}"))
}

pub(crate) async fn start(session: &mut dyn Session, code: &str) -> CodeOutcome {
    start_with(session, code, None).await
}

/// Runs a program that needs no tools.
pub(crate) async fn run(session: &mut dyn Session, code: &str, saved: Option<Blob>) -> CodeEnd {
    ended(start_with(session, code, saved).await)
}

pub(crate) async fn resume(session: &mut dyn Session, results: Vec<CallResult>) -> CodeOutcome {
    session.perform(CodeRequest::Resume { results }, None).await.unwrap()
}

pub(crate) fn gives(index: u32, value: Value) -> CallResult {
    CallResult { index, result: Ok(value) }
}

pub(crate) fn fails(index: u32, kind: ToolFailureKind, message: &str) -> CallResult {
    CallResult { index, result: Err(ToolFailure::new(kind, message)) }
}

pub(crate) fn ended(outcome: CodeOutcome) -> CodeEnd {
    match outcome {
        CodeOutcome::Ended(end) => end,
        other => panic!("the program did not end: {other:?}"),
    }
}

pub(crate) fn waiting(outcome: CodeOutcome) -> (Vec<CodeCall>, Vec<u32>) {
    match outcome {
        CodeOutcome::Waiting { calls, awaiting } => (calls, awaiting),
        other => panic!("the program does not wait: {other:?}"),
    }
}

pub(crate) fn value(end: &CodeEnd) -> Value {
    assert_eq!(end.error, None, "the program failed");
    end.value.as_ref().map_or(Value::Null, |value| value.json.clone())
}

pub(crate) fn error(end: &CodeEnd) -> (&str, &str) {
    let error = end.error.as_ref().unwrap_or_else(|| panic!("no error: {end:?}"));
    (&error.kind, &error.message)
}

/// Looks again and again until `condition` holds; the test fails if it never does.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let looking = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Whether a process exists and can still not be reaped: its first thread may be a zombie while others end.
pub(crate) fn lives(process: u32) -> bool {
    let zombie = std::fs::read_to_string(format!("/proc/{process}/stat"))
        .map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count);
    !zombie || threads > 1
}

/// Collects what a program prints.
#[derive(Default)]
pub(crate) struct Printed(Mutex<Vec<String>>);

impl Printed {
    pub(crate) fn add(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }

    pub(crate) fn chunks(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        self.chunks().concat()
    }
}
