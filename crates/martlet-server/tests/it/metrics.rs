//! The figures, as Prometheus reads them.

use std::time::Duration;

use martlet_core::{Event, ModelFailureKind, Principal, RunId, Usage};
use martlet_server::admission::{Load, RefusalKind};
use martlet_server::metrics::{Metrics, ModelCall};
use martlet_store::{
    Answer, ApprovalId, ApprovalKind, Created, Decided, Lane, NewApproval, NewRun, RunKind, Store,
    StoreOptions, ValueId,
};
use serde_json::{Map, Value, json};

fn timing(elapsed_us: u64) -> Value {
    json!({ "started_ms": 0, "elapsed_us": elapsed_us })
}

fn event(kind: Value) -> Value {
    let mut event = json!({ "schema": 1, "seq": 0, "run": "r", "at_ms": 0 });
    event.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    event
}

fn returned(name: &str, error: Option<&str>) -> Value {
    let timing = timing(20_000);
    let mut kind = json!({ "type": "tool.returned", "step": 1, "call": "c", "name": name, "timing": timing });
    if let Some(error) = error {
        kind["error"] = error.into();
    }
    event(kind)
}

/// Tells the figures of an event in both forms, each to figures of its own, and sees that it makes no difference.
fn observed(events: &[Value]) -> Metrics {
    let (metrics, stored) = (Metrics::new(), Metrics::new());
    for event in events {
        metrics.observe(&serde_json::from_value::<Event>(event.clone()).unwrap());
        stored.observe_stored(event.to_string().as_bytes());
    }
    let sorted = |metrics: &Metrics| {
        let text = metrics.text().unwrap();
        let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&metrics), sorted(&stored));
    metrics
}

fn has(metrics: &Metrics, line: &str) {
    let text = metrics.text().unwrap();
    assert!(text.lines().any(|other| other == line), "no line `{line}` in:\n{text}");
}

fn new_run() -> NewRun {
    NewRun {
        id: RunId::from_bits(1),
        owner: Principal::local(),
        kind: RunKind::Agent,
        name: "coder".into(),
        session: None,
        title: String::new(),
        request: Value::Null,
        lane: Lane::Interactive,
        created_ms: 1_000,
        idempotency: None,
        forked_from: None,
    }
}

#[tokio::test]
async fn rows_of_the_store_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::new()).unwrap();
    let Created::New(mut row) = store.create_run(new_run()).await.unwrap() else { panic!("it is new") };
    let metrics = Metrics::new();
    metrics.admitted(&row.name);
    metrics.ended(&row, "cancelled", 1_500);
    has(&metrics, "martlet_run_duration_seconds_count 0");
    metrics.started(&row, 1_030);
    row.started_ms = Some(1_030);
    metrics.clone().ended(&row, "succeeded", 3_030);

    let approval = NewApproval {
        id: ApprovalId::from_bits(1),
        root: row.id.clone(),
        effect: format!("{}/1/0", row.id).parse().unwrap(),
        owner: Principal::local(),
        kind: ApprovalKind::Call,
        tool: "shell".into(),
        arguments: Map::new(),
        digest: ValueId::of(b""),
        asked_ms: 2_000,
        expires_ms: u64::MAX / 4,
    };
    let id = approval.id.clone();
    store.ask(approval).await.unwrap();
    let decided = store
        .decide(&id, None, Answer::Approve { for_run: false }, &Principal::local(), 63_000)
        .await
        .unwrap();
    let Decided::Taken(approval) = decided else { panic!("{decided:?}") };
    metrics.decided(&approval);
    for line in [
        "martlet_runs_admitted_total{agent=\"coder\"} 1",
        "martlet_run_queue_wait_seconds_count 1",
        "martlet_run_queue_wait_seconds_bucket{le=\"0.05\"} 1",
        "martlet_runs_total{agent=\"coder\",outcome=\"succeeded\"} 1",
        "martlet_runs_total{agent=\"coder\",outcome=\"cancelled\"} 1",
        "martlet_run_duration_seconds_sum 2.0",
        "martlet_run_duration_seconds_count 1",
        "martlet_approval_wait_seconds_bucket{le=\"60.0\",decision=\"approve\"} 0",
        "martlet_approval_wait_seconds_bucket{le=\"300.0\",decision=\"approve\"} 1",
    ] {
        has(&metrics, line);
    }
}

#[test]
fn what_runs_do_is_counted() {
    let metrics = observed(&[
        returned("search", None),
        returned("search", Some("no network")),
        event(json!({ "type": "step.ended", "step": 1, "usage": {}, "timing": timing(400_000) })),
        event(json!({ "type": "step.started", "step": 2 })),
        event(
            json!({ "type": "model.replied", "step": 1, "thought": "\u{e9}\n", "usage": {}, "timing": timing(7) }),
        ),
        event(json!({
            "type": "node.ended", "node": "n", "status": "failed", "error": "x", "usage": {}, "timing": timing(7)
        })),
        event(
            json!({ "type": "child.ended", "step": 1, "name": "n", "child": "c", "usage": {}, "timing": timing(7) }),
        ),
        event(
            json!({ "type": "task.ended", "step": 1, "task": 1, "status": "completed", "timing": timing(7) }),
        ),
    ]);
    for line in [
        "martlet_tool_calls_total{tool=\"search\",outcome=\"ok\"} 1",
        "martlet_tool_calls_total{tool=\"search\",outcome=\"error\"} 1",
        "martlet_step_duration_seconds_count{kind=\"tool\"} 2",
        "martlet_step_duration_seconds_sum{kind=\"step\"} 0.4",
        "martlet_step_duration_seconds_count{kind=\"model\"} 1",
        "martlet_step_duration_seconds_count{kind=\"node\"} 1",
        "martlet_step_duration_seconds_count{kind=\"child\"} 1",
        "martlet_step_duration_seconds_count{kind=\"task\"} 1",
    ] {
        has(&metrics, line);
    }
    for no_event in ["", "[]", "{\"type\":1}", "{\"type\":\"tool.returned\",\"name\":[]}"] {
        metrics.observe_stored(no_event.as_bytes());
    }
    has(&metrics, "martlet_step_duration_seconds_count{kind=\"tool\"} 2");
}

#[test]
fn what_happens_is_counted_under_the_names_that_dashboards_know() {
    let metrics = Metrics::new();
    metrics.rejected(RefusalKind::QueueFull);
    metrics.rejected(RefusalKind::UserLimit);
    metrics.rejected(RefusalKind::Draining);
    metrics.load(Load { queued: 7, running: 3, parked: 2 });
    let usage = Usage { input_tokens: 100, output_tokens: 20, ..Usage::default() };
    let call =
        ModelCall { model: "small", failure: None, first_token: Some(Duration::from_millis(300)), usage };
    metrics.model_call(call);
    metrics.model_call(ModelCall {
        failure: Some(ModelFailureKind::RateLimited),
        usage: Usage::default(),
        ..call
    });
    metrics.approvals_pending(4);
    metrics.sse_slow_client();
    metrics.journal_commit(Duration::from_micros(700));
    metrics.recovered("resumed");
    for line in [
        concat!("martlet_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "martlet_run_rejected_total{reason=\"queue_full\"} 1",
        "martlet_run_rejected_total{reason=\"user_limit\"} 1",
        "martlet_run_rejected_total{reason=\"shutdown\"} 1",
        "martlet_runs_active 3",
        "martlet_runs_parked 2",
        "martlet_run_queue_depth 7",
        "martlet_llm_requests_total{model=\"small\",outcome=\"ok\"} 1",
        "martlet_llm_requests_total{model=\"small\",outcome=\"rate_limited\"} 1",
        "martlet_llm_time_to_first_token_seconds_bucket{le=\"0.5\"} 2",
        "martlet_llm_tokens_total{model=\"small\",type=\"input\"} 100",
        "martlet_llm_tokens_total{model=\"small\",type=\"output\"} 20",
        "martlet_approvals_pending 4",
        "martlet_sse_slow_client_disconnects_total 1",
        "martlet_journal_commit_seconds_bucket{le=\"0.001\"} 1",
        "martlet_recovered_runs_total{outcome=\"resumed\"} 1",
        "# EOF",
    ] {
        has(&metrics, line);
    }
    assert!(!metrics.text().unwrap().contains("type=\"cached\""));
}

#[test]
fn readers_are_counted_for_as_long_as_they_read() {
    let metrics = Metrics::new();
    let (first, second) = (metrics.sse_client(), metrics.sse_client());
    has(&metrics, "martlet_sse_clients 2");
    drop((first, second));
    has(&metrics, "martlet_sse_clients 0");
}

#[test]
fn names_from_outside_make_few_series_and_no_lines_of_their_own() {
    let mut events = vec![returned("a\"} 1\nmartlet_runs_total{x=\"\\", None)];
    events.extend((0..5_000).map(|number| returned(&format!("{number}{}", "x".repeat(1_000)), None)));
    let metrics = observed(&events);
    has(&metrics, "martlet_tool_calls_total{tool=\"a_} 1_martlet_runs_total{x=__\",outcome=\"ok\"} 1");
    let text = metrics.text().unwrap();
    let series = text.lines().filter(|line| line.starts_with("martlet_tool_calls_total")).count();
    assert_eq!(series, 101);
    has(&metrics, "martlet_tool_calls_total{tool=\"other\",outcome=\"ok\"} 4901");
    assert!(text.len() < 40_000, "{}", text.len());
}

#[tokio::test]
async fn the_answer_says_what_format_it_is() {
    let response = Metrics::new().response();
    assert!(response.status().is_success());
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(body.ends_with(b"# EOF\n"));
}

/// Two servers in one process do not count for one another.
#[test]
fn every_server_counts_for_itself() {
    let (one, other) = (Metrics::new(), Metrics::new());
    one.admitted("coder");
    has(&one, "martlet_runs_admitted_total{agent=\"coder\"} 1");
    assert!(!other.text().unwrap().contains("agent="));
}
