//! The figures, as Prometheus reads them.

use std::time::Duration;

use martlet_core::{Event, ModelFailureKind, Usage};
use martlet_server::admission::{Load, RefusalKind};
use martlet_server::metrics::{Metrics, ModelCall, Rejection};
use martlet_store::Lane;
use serde_json::{Value, json};

fn event(kind: Value) -> Event {
    let mut event = json!({ "schema": 1, "seq": 0, "run": "r", "at_ms": 0 });
    event.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    serde_json::from_value(event).unwrap()
}

fn returned(name: &str, error: Option<&str>) -> Event {
    let timing = json!({ "started_ms": 0, "elapsed_us": 20_000 });
    let mut kind = json!({ "type": "tool.returned", "step": 1, "call": "c", "name": name, "timing": timing });
    if let Some(error) = error {
        kind["error"] = error.into();
    }
    event(kind)
}

/// A line of the figures, without its value's decimals.
fn has(metrics: &Metrics, line: &str) -> bool {
    let text = metrics.text().unwrap();
    let found = text.lines().any(|other| other == line);
    if !found {
        println!("{text}");
    }
    found
}

#[test]
fn what_happens_is_counted_under_the_names_that_dashboards_know() {
    let metrics = Metrics::new("1.2.3", Some("abc123"));
    metrics.run_admitted(Lane::Interactive);
    metrics.run_rejected(RefusalKind::QueueFull);
    metrics.run_rejected(RefusalKind::Draining);
    metrics.run_rejected(Rejection::Quota);
    metrics.run_started(Duration::from_millis(30));
    metrics.run_ended("coder", "succeeded", Duration::from_secs(2));
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
    metrics.approval_asked();
    metrics.approval_decided("approve", Duration::from_secs(61));
    metrics.sse_slow_client();
    metrics.journal_commit(Duration::from_micros(700));
    metrics.recovered("resumed");
    metrics.observe(&returned("search", None));
    metrics.observe(&returned("search", Some("no network")));
    let timing = json!({ "started_ms": 0, "elapsed_us": 400_000 });
    metrics.observe(&event(json!({ "type": "step.ended", "step": 1, "usage": {}, "timing": timing })));
    metrics.observe(&event(json!({ "type": "step.started", "step": 2 })));
    for line in [
        "martlet_build_info{version=\"1.2.3\",commit=\"abc123\"} 1",
        "martlet_runs_admitted_total{lane=\"interactive\"} 1",
        "martlet_run_rejected_total{reason=\"queue_full\"} 1",
        "martlet_run_rejected_total{reason=\"shutdown\"} 1",
        "martlet_run_rejected_total{reason=\"quota\"} 1",
        "martlet_run_queue_wait_seconds_count 1",
        "martlet_run_queue_wait_seconds_bucket{le=\"0.05\"} 1",
        "martlet_runs_total{agent=\"coder\",outcome=\"succeeded\"} 1",
        "martlet_run_duration_seconds_sum 2.0",
        "martlet_runs_active 3",
        "martlet_runs_parked 2",
        "martlet_run_queue_depth 7",
        "martlet_llm_requests_total{model=\"small\",outcome=\"ok\"} 1",
        "martlet_llm_requests_total{model=\"small\",outcome=\"rate_limited\"} 1",
        "martlet_llm_time_to_first_token_seconds_bucket{le=\"0.5\"} 2",
        "martlet_llm_tokens_total{model=\"small\",type=\"input\"} 100",
        "martlet_llm_tokens_total{model=\"small\",type=\"output\"} 20",
        "martlet_tool_calls_total{tool=\"search\",outcome=\"ok\"} 1",
        "martlet_tool_calls_total{tool=\"search\",outcome=\"error\"} 1",
        "martlet_approvals_pending 4",
        "martlet_approval_wait_seconds_bucket{le=\"300.0\",decision=\"approve\"} 1",
        "martlet_sse_slow_client_disconnects_total 1",
        "martlet_journal_commit_seconds_bucket{le=\"0.001\"} 1",
        "martlet_recovered_runs_total{outcome=\"resumed\"} 1",
        "martlet_step_duration_seconds_count{kind=\"tool\"} 2",
        "martlet_step_duration_seconds_sum{kind=\"step\"} 0.4",
        "# EOF",
    ] {
        assert!(has(&metrics, line), "{line}");
    }
    assert!(!metrics.text().unwrap().contains("type=\"cached\""));
}

#[test]
fn readers_are_counted_for_as_long_as_they_read() {
    let metrics = Metrics::new("1", None);
    let (first, second) = (metrics.sse_client(), metrics.sse_client());
    assert!(has(&metrics, "martlet_sse_clients 2"));
    drop((first, second));
    assert!(has(&metrics, "martlet_sse_clients 0"));
    assert!(has(&metrics, "martlet_build_info{version=\"1\"} 1"));
}

#[test]
fn names_from_outside_make_few_series_and_no_lines_of_their_own() {
    let metrics = Metrics::new("1", None);
    metrics.observe(&returned("a\"} 1\nmartlet_runs_total{x=\"\\", None));
    assert!(has(
        &metrics,
        "martlet_tool_calls_total{tool=\"a_} 1_martlet_runs_total{x=__\",outcome=\"ok\"} 1"
    ));
    for number in 0..5_000 {
        metrics.observe(&returned(&format!("{number}{}", "x".repeat(1_000)), None));
    }
    let text = metrics.text().unwrap();
    let series = text.lines().filter(|line| line.starts_with("martlet_tool_calls_total")).count();
    assert_eq!(series, 101);
    assert!(has(&metrics, "martlet_tool_calls_total{tool=\"other\",outcome=\"ok\"} 4901"));
    assert!(text.len() < 40_000, "{}", text.len());
}

#[tokio::test]
async fn the_answer_says_what_format_it_is() {
    let response = Metrics::new("1", None).response();
    assert!(response.status().is_success());
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(body.ends_with(b"# EOF\n"));
}

/// Two servers in one process do not count for one another.
#[test]
fn every_server_counts_for_itself() {
    let (one, other) = (Metrics::new("1", None), Metrics::new("1", None));
    one.run_admitted(Lane::Batch);
    assert!(has(&one, "martlet_runs_admitted_total{lane=\"batch\"} 1"));
    assert!(!other.text().unwrap().contains("lane="));
}
