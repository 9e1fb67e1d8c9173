//! `/agent/query`, `/agent/reasoning`, `/agent/batch` and `/test/scenarios`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use futures::{StreamExt as _, stream};
use http::HeaderMap;
use martlet::Agent;
use martlet_core::{
    AgentMetrics, Effect, EventKind, Outcome, PlannedTask, Principal, Run, RunId, Settlement, Strategy, Task,
    Timing,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::adapter::{answer, as_text, done, session};
use crate::auth::Runner;
use crate::catalog::OfferedAgent;
use crate::ids::random_bits;
use crate::problem::{Body, BodyList, Problem, ProblemKind};
use crate::router::Api;
use crate::service::{NewTask, bad_request};

/// Questions in one request.
const MAX_BATCH: usize = 100;
/// How often a model may be asked for a plan that can be read.
const MAX_ASKED: usize = 4;

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentQuery {
    /// In words.
    #[schema(min_length = 1)]
    query: String,
    /// Only `true` is known: an agent has the tools that it has.
    #[serde(default = "yes")]
    use_tools: bool,
    /// Only `false` is known: streams are at `/api/v1/runs`.
    #[serde(default)]
    stream: bool,
    /// The conversation, under a name of your choice. Without one, nothing is remembered.
    session_id: Option<String>,
}

fn yes() -> bool {
    true
}

/// The answer to a question.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryAnswer {
    query: String,
    response: String,
    #[schema(value_type = Option<Object>)]
    reasoning: Value,
    tools_used: BTreeSet<String>,
    execution_time: f64,
    /// As ISO 8601.
    timestamp: String,
    session_id: Option<String>,
    #[schema(value_type = Object)]
    metrics: AgentMetrics,
    #[schema(value_type = Object)]
    model_params: Value,
}

/// What an agent would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Planned {
    query: String,
    has_sufficient_info: bool,
    reasoning: String,
    #[schema(value_type = Vec<Object>)]
    planned_tasks: Vec<PlannedTask>,
}

/// What came of many questions, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    #[schema(value_type = Vec<Object>)]
    results: Vec<Value>,
}

/// What came of the questions that show whether the agent works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Scenarios {
    #[schema(value_type = Vec<Object>)]
    test_results: Vec<Value>,
}

fn check(asked: &AgentQuery) -> Result<(), Problem> {
    if !asked.use_tools {
        return Err(bad_request("use_tools", "an agent has the tools that it has: leave this out"));
    }
    if asked.stream {
        let text = "this answers at once: for a stream, send the task to `/api/v1/runs` and accept `text/event-stream`";
        return Err(bad_request("stream", text));
    }
    Ok(())
}

fn default_agent(api: &Api) -> Result<&OfferedAgent, Problem> {
    let catalog = api.service().catalog();
    let offered = catalog.default_agent_name().and_then(|name| catalog.agents().get(name));
    offered.ok_or_else(|| Problem::new(ProblemKind::NotFound, "this server has no agent"))
}

/// Asks the default agent.
#[utoipa::path(
    post, path = "/agent/query", tag = "origin", request_body = AgentQuery, responses((status = 200, body = QueryAnswer)),
)]
pub(crate) async fn query(
    Runner(caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<AgentQuery>,
) -> Result<Json<QueryAnswer>, Problem> {
    check(&asked)?;
    let owner = &caller.principal;
    let mut task = NewTask::words(asked.query.as_str());
    if let Some(name) = &asked.session_id {
        task.session = Some(session(&api, owner, None, name).await?);
    }
    let row = done(&api, owner, task).await?;
    let response = as_text(&answer(&row)?);
    let result = api.service().agent_result(&row).await?.ok_or_else(|| Problem::not_found("run"))?;
    let tools_used = result.steps.iter().flat_map(|step| &step.calls).map(|record| record.call.name.clone());
    let tools_used = tools_used.filter(|name| name != "final_answer").collect();
    let metrics = result.metrics();
    let told = result.response();
    let reasoning = match told.execution_history.is_empty() && told.completion_status.is_none() {
        true => Value::Null,
        false => json!({
            "completion_status": told.completion_status,
            "iterations": metrics.total_iterations,
            "execution_history": told.execution_history,
        }),
    };
    let agent = &default_agent(&api)?.agent;
    let options = &agent.spec().options;
    Ok(Json(QueryAnswer {
        query: asked.query,
        response,
        reasoning,
        tools_used,
        execution_time: metrics.execution_time_seconds,
        timestamp: iso(row.ended_ms.unwrap_or_default()),
        session_id: asked.session_id,
        metrics,
        // Where a model is reached is no business of those who ask it.
        model_params: json!({
            "base_url": Value::Null,
            "model": agent.model().name(),
            "temperature": options.temperature,
            "max_tokens": options.max_tokens,
            "top_p": options.top_p,
            "top_k": options.extra.get("top_k"),
        }),
    }))
}

/// Asks the default agent, which must be a reasoning agent, for its plan, and does nothing of it.
#[utoipa::path(
    post, path = "/agent/reasoning", tag = "origin", request_body = AgentQuery, responses((status = 200, body = Planned)),
)]
pub(crate) async fn reasoning(
    Runner(_caller): Runner,
    State(api): State<Api>,
    Body(asked): Body<AgentQuery>,
) -> Result<Json<Planned>, Problem> {
    check(&asked)?;
    let agent = &default_agent(&api)?.agent;
    if agent.spec().strategy != Strategy::Reasoning {
        let text = "the default agent of this server makes no plans: it is no reasoning agent";
        return Err(Problem::new(ProblemKind::Conflict, text));
    }
    // It is no run, so that it holds no slot: it has turns of its own.
    let _turn = api.planning().await?;
    plan(agent, asked.query).await.map(Json)
}

/// The machine of a run without a driver: the model's plan is settled, and the rest is not performed.
async fn plan(agent: &Agent, query: String) -> Result<Planned, Problem> {
    let id = RunId::from_bits(random_bits());
    let mut run = Run::start(id, agent.spec().clone(), Task::new(query.as_str()));
    for _ in 0..MAX_ASKED {
        let effects = run.take_effects();
        let asked = effects.into_iter().find_map(|(id, effect)| match effect {
            Effect::Model { request } => Some((id, request)),
            _ => None,
        });
        let Some((id, request)) = asked else { break };
        let reply = agent.model().generate(request, None).await;
        let failure = reply.as_ref().err().map(ToString::to_string);
        if let Some(failure) = failure {
            return Err(Problem::new(ProblemKind::RunFailed, format!("the model gave no plan: {failure}")));
        }
        let outcome = Outcome::Model { result: reply.map_err(Into::into) };
        run.settle(Settlement { id, outcome, timing: Timing::default() })
            .map_err(|error| Problem::internal(&error))?;
        for event in run.take_events() {
            if let EventKind::PlanMade { has_sufficient_info, reasoning, tasks, .. } = event.kind {
                return Ok(Planned { query, has_sufficient_info, reasoning, planned_tasks: tasks });
            }
        }
    }
    Err(Problem::new(ProblemKind::RunFailed, "the model gave no plan that can be read"))
}

/// Asks the default agent many questions; as many are done at once as one user may have.
#[utoipa::path(
    post, path = "/agent/batch", tag = "origin", request_body = Vec<String>, responses((status = 200, body = BatchAnswer)),
)]
pub(crate) async fn batch(
    Runner(caller): Runner,
    State(api): State<Api>,
    BodyList(queries): BodyList<String>,
) -> Result<Json<BatchAnswer>, Problem> {
    if queries.len() > MAX_BATCH {
        return Err(bad_request("queries", format!("ask at most {MAX_BATCH} questions at once")));
    }
    let answers = all(&api, &caller.principal, queries.clone()).await;
    let results = queries.into_iter().zip(answers).map(|(query, answer)| match answer {
        Ok(response) => json!({"query": query, "response": response, "status": "success"}),
        Err(problem) => json!({"query": query, "error": problem.detail(), "status": "failed"}),
    });
    Ok(Json(BatchAnswer { results: results.collect() }))
}

async fn all(api: &Api, owner: &Principal, queries: Vec<String>) -> Vec<Result<String, Problem>> {
    let at_once = usize::try_from(api.service().options().limits.max_running_per_user).unwrap_or(1).max(1);
    let asking = queries.into_iter().map(|query| {
        let (api, owner) = (api.clone(), owner.clone());
        async move { answer(&done(&api, &owner, NewTask::words(query)).await?).map(|answer| as_text(&answer)) }
    });
    stream::iter(asking).buffered(at_once).collect().await
}

/// Asks the default agent four questions that show whether it works.
#[utoipa::path(get, path = "/test/scenarios", tag = "origin", responses((status = 200, body = Scenarios)))]
pub(crate) async fn scenarios(
    Runner(caller): Runner,
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Json<Scenarios>, Problem> {
    // It does work although it only gets: no page of another site is to set it off.
    if headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(Problem::new(ProblemKind::Forbidden, "pages of other sites may not do this"));
    }
    let scenarios = [
        "What is 15 * 24?",
        "Explain in one sentence what a state machine is.",
        "List three prime numbers greater than 10.",
        "Which of your tools would you use to find out today's date?",
    ];
    let answers = all(&api, &caller.principal, scenarios.map(str::to_owned).to_vec()).await;
    let results = scenarios.into_iter().zip(answers).map(|(scenario, answer)| match answer {
        Ok(result) => json!({"scenario": scenario, "result": result}),
        Err(problem) => json!({"scenario": scenario, "error": problem.detail()}),
    });
    Ok(Json(Scenarios { test_results: results.collect() }))
}

/// A time in the form of ISO 8601, in UTC.
pub(crate) fn iso(ms: u64) -> String {
    let at = OffsetDateTime::UNIX_EPOCH
        .saturating_add(Duration::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX)));
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_iso_8601() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso(1_794_877_930_123), "2026-11-17T01:12:10.123Z");
    }
}
