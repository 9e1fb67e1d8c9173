//! Runs and questions as JSON, with the names that the HTTP API gives them.

use martlet::core::Usage;
use martlet::store::{Answer, ApprovalRow, Fork, RunRow};
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
pub(super) struct Run<'a> {
    id: &'a str,
    tenant: &'a str,
    user: &'a str,
    kind: &'static str,
    name: &'a str,
    title: &'a str,
    state: &'static str,
    outcome: Option<&'a str>,
    answer: Option<&'a Value>,
    error: Option<&'a str>,
    usage: Tokens,
    session: Option<&'a str>,
    lane: &'static str,
    created_ms: u64,
    started_ms: Option<u64>,
    ended_ms: Option<u64>,
    cancel_requested: bool,
    pending_approvals: u32,
    needs_attention: bool,
    last_event: u64,
    forked_from: Option<ForkedFrom<'a>>,
    /// What was asked for; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a Value>,
    /// What people were asked; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    approvals: Option<Vec<Question<'a>>>,
}

/// Tokens, those too of which there are none.
#[derive(Serialize)]
struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
    cached_tokens: u64,
    reasoning_tokens: u64,
}

impl Tokens {
    fn of(usage: Usage) -> Self {
        let Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens } = usage;
        Self { input_tokens, output_tokens, cached_tokens, reasoning_tokens }
    }
}

#[derive(Serialize)]
struct ForkedFrom<'a> {
    run: &'a str,
    step: u32,
}

#[derive(Serialize)]
pub(super) struct Question<'a> {
    id: &'a str,
    run: &'a str,
    effect: String,
    kind: &'static str,
    tool: &'a str,
    arguments: &'a Map<String, Value>,
    digest: String,
    state: &'static str,
    answer: Option<&'a Answer>,
    by: Option<String>,
    asked_ms: u64,
    expires_ms: u64,
    decided_ms: Option<u64>,
}

impl<'a> Run<'a> {
    pub(super) fn listed(row: &'a RunRow) -> Self {
        Self {
            id: row.id.as_str(),
            tenant: &row.owner.tenant,
            user: &row.owner.user,
            kind: row.kind.as_str(),
            name: &row.name,
            title: &row.title,
            state: row.state.as_str(),
            outcome: row.outcome.as_deref(),
            answer: row.answer.as_ref().filter(|answer| !answer.is_null()),
            error: row.error.as_deref(),
            usage: Tokens::of(row.usage),
            session: row.session.as_ref().map(|session| session.as_str()),
            lane: row.lane.as_str(),
            created_ms: row.created_ms,
            started_ms: row.started_ms,
            ended_ms: row.ended_ms,
            cancel_requested: row.cancel,
            pending_approvals: row.pending,
            needs_attention: row.doubts > 0,
            last_event: row.last_event,
            forked_from: row
                .forked_from
                .as_ref()
                .map(|Fork { run, step }| ForkedFrom { run: run.as_str(), step: *step }),
            request: None,
            approvals: None,
        }
    }

    pub(super) fn whole(row: &'a RunRow, asked: &'a [ApprovalRow]) -> Self {
        let approvals = asked.iter().map(Question::of).collect();
        Self { request: Some(&row.request), approvals: Some(approvals), ..Self::listed(row) }
    }
}

impl<'a> Question<'a> {
    pub(super) fn of(row: &'a ApprovalRow) -> Self {
        Self {
            id: row.id.as_str(),
            run: row.root.as_str(),
            effect: row.effect.to_string(),
            kind: row.kind.as_str(),
            tool: &row.tool,
            arguments: &row.arguments,
            digest: row.digest.to_string(),
            state: row.state.as_str(),
            answer: row.answer.as_ref(),
            by: row.by.as_ref().map(ToString::to_string),
            asked_ms: row.asked_ms,
            expires_ms: row.expires_ms,
            decided_ms: row.decided_ms,
        }
    }
}
