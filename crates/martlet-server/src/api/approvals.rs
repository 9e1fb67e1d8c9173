//! `/api/v1/approvals`: questions to people, and what they decide.

use axum::Json;
use axum::extract::State;
use martlet_store::{Answer, ApprovalId, ApprovalRow, ValueId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::display::show;
use super::runs::page_size;
use crate::auth::{Caller, Decider, Onlooker};
use crate::keys::Scope;
use crate::problem::{Body, Path, Problem, Query};
use crate::router::Api;
use crate::service::bad_request;

/// A question to a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub(crate) struct ApprovalView {
    /// Its name.
    id: String,
    /// The run that waits.
    run: String,
    /// The effect that waits: its run, step and place.
    effect: String,
    /// Whose run it is.
    user: String,
    /// `call`: may this call be performed? `question`: a question of the agent. `doubt`: a call may have been performed when
    /// the server was killed: was it?
    kind: &'static str,
    /// The tool.
    tool: String,
    /// What it is to be called with.
    #[schema(value_type = Object)]
    arguments: Map<String, Value>,
    /// The hash of the place, the tool and the arguments: sent with the decision, it sees to it that this is decided and
    /// nothing else.
    digest: String,
    /// The arguments as a person should see them: keys sorted, nothing invisible, nothing that moves other characters.
    display: String,
    /// What is strange about them.
    warnings: Vec<String>,
    /// `pending`, `decided`, `expired` or `withdrawn`.
    state: &'static str,
    /// What was decided.
    #[schema(value_type = Option<Object>)]
    answer: Option<Value>,
    /// By whom.
    by: Option<String>,
    /// When it was asked, in milliseconds since 1970-01-01 UTC.
    asked_ms: u64,
    /// When it counts as denied.
    expires_ms: u64,
    /// When it was decided, expired or was withdrawn.
    decided_ms: Option<u64>,
    /// The question whose answer was for the whole run and decided this one, too.
    under: Option<String>,
}

impl From<ApprovalRow> for ApprovalView {
    fn from(row: ApprovalRow) -> Self {
        let shown = show(&row.arguments);
        Self {
            id: row.id.to_string(),
            run: row.root.to_string(),
            effect: row.effect.to_string(),
            user: row.owner.user.to_string(),
            kind: row.kind.as_str(),
            tool: row.tool,
            arguments: row.arguments,
            digest: row.digest.to_string(),
            display: shown.text,
            warnings: shown.warnings,
            state: row.state.as_str(),
            answer: row.answer.and_then(|answer| serde_json::to_value(answer).ok()),
            by: row.by.map(|by| by.user.to_string()),
            asked_ms: row.asked_ms,
            expires_ms: row.expires_ms,
            decided_ms: row.decided_ms,
            under: row.under.map(|under| under.to_string()),
        }
    }
}

/// Questions, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Approvals {
    /// The questions.
    approvals: Vec<ApprovalView>,
}

/// Which questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Which {
    /// Those that nobody has decided.
    Pending,
    /// All.
    All,
}

/// Which questions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListApprovals {
    /// By default those that nobody has decided.
    #[param(inline)]
    state: Option<Which>,
    /// At most so many.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// A decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decide {
    /// What.
    decision: DecisionWord,
    /// The hash of what was shown: if it is another question by now, nothing is decided.
    #[schema(value_type = Option<String>, pattern = "^[0-9a-f]{64}$")]
    digest: Option<ValueId>,
    /// For `approve`: whether later calls of this tool in the run are approved as well, whatever their arguments. By default
    /// this call alone is.
    for_run: Option<bool>,
    /// For `edit`: the arguments to call it with, all of them.
    #[schema(value_type = Option<Object>)]
    arguments: Option<Map<String, Value>>,
    /// For `deny`: why, for the model.
    reason: Option<String>,
    /// For `reply`: the answer.
    text: Option<String>,
    /// For `done`: what the call gave.
    output: Option<Value>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Decision)]
pub(crate) enum DecisionWord {
    /// Perform the call.
    Approve,
    /// Perform it with other arguments.
    Edit,
    /// Do not.
    Deny,
    /// The answer to a question of the agent.
    Reply,
    /// A call in doubt: it was not performed, or may be performed again.
    Repeat,
    /// A call in doubt: it was performed.
    Done,
}

impl Decide {
    fn answer(self) -> Result<(Option<ValueId>, Answer), Problem> {
        let Self { decision, digest, for_run, arguments, reason, text, output } = self;
        let given = [
            ("for_run", for_run.is_some(), DecisionWord::Approve),
            ("arguments", arguments.is_some(), DecisionWord::Edit),
            ("reason", reason.is_some(), DecisionWord::Deny),
            ("text", text.is_some(), DecisionWord::Reply),
            ("output", output.is_some(), DecisionWord::Done),
        ];
        // What is given and would be ignored was meant to matter.
        if let Some((name, ..)) = given.iter().find(|(_, is_given, of)| *is_given && *of != decision) {
            return Err(bad_request(
                name,
                format!("`{name}` has no meaning with this decision: leave it out"),
            ));
        }
        let missing = |name: &'static str| move || bad_request(name, format!("this decision needs `{name}`"));
        let answer = match decision {
            DecisionWord::Approve => Answer::Approve { for_run: for_run.unwrap_or(false) },
            DecisionWord::Edit => Answer::Edit { arguments: arguments.ok_or_else(missing("arguments"))? },
            DecisionWord::Deny => Answer::Deny { reason: reason.unwrap_or_default() },
            DecisionWord::Reply => Answer::Reply { text: text.ok_or_else(missing("text"))? },
            DecisionWord::Repeat => Answer::Repeat,
            DecisionWord::Done => Answer::Done { output: output.unwrap_or(Value::Null) },
        };
        Ok((digest, answer))
    }
}

/// Lists questions, the newest first: those of one's own runs, and with the scope `approve` those of the whole tenant.
#[utoipa::path(
    get, path = "/api/v1/approvals", tag = "approvals", params(ListApprovals), responses((status = 200, body = Approvals)),
)]
pub(crate) async fn list_approvals(
    Onlooker(caller): Onlooker,
    State(api): State<Api>,
    Query(asked): Query<ListApprovals>,
) -> Result<Json<Approvals>, Problem> {
    let limit = page_size(asked.limit)?;
    let pending_only = asked.state != Some(Which::All);
    let owner = &caller.principal;
    let rows = if caller.scopes.allow(Scope::Approve) {
        api.store().of_tenant(&owner.tenant).approvals(pending_only, limit).await
    } else {
        api.store().of(owner).approvals(pending_only, limit).await
    };
    let rows = rows.map_err(|error| api.failed(error))?;
    Ok(Json(Approvals { approvals: rows.into_iter().map(Into::into).collect() }))
}

/// A question that the caller may see.
async fn find(api: &Api, caller: &Caller, id: &ApprovalId) -> Result<ApprovalRow, Problem> {
    let owner = &caller.principal;
    let row = if caller.scopes.allow(Scope::Approve) {
        api.store().of_tenant(&owner.tenant).approval(id).await
    } else {
        api.store().of(owner).approval(id).await
    };
    row.map_err(|error| api.failed(error))?.ok_or_else(|| Problem::not_found("question"))
}

/// Shows a question.
#[utoipa::path(
    get, path = "/api/v1/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses((status = 200, body = ApprovalView), (status = 404, description = "There is no such question.")),
)]
pub(crate) async fn get_approval(
    Onlooker(caller): Onlooker,
    State(api): State<Api>,
    Path(id): Path<ApprovalId>,
) -> Result<Json<ApprovalView>, Problem> {
    Ok(Json(find(&api, &caller, &id).await?.into()))
}

/// Decides a question. Of all decisions exactly one is taken.
#[utoipa::path(
    post, path = "/api/v1/approvals/{id}", tag = "approvals", request_body = Decide,
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses(
        (status = 200, description = "This decision is taken.", body = ApprovalView),
        (status = 404, description = "There is no such question."),
        (status = 409, description = "It was decided before, is another one by now, or its time is over."),
    ),
)]
pub(crate) async fn decide_approval(
    Decider(caller): Decider,
    State(api): State<Api>,
    Path(id): Path<ApprovalId>,
    Body(asked): Body<Decide>,
) -> Result<Json<ApprovalView>, Problem> {
    let row = find(&api, &caller, &id).await?;
    let (digest, answer) = asked.answer()?;
    let row = api.service().answer(&row, digest, answer, &caller.principal).await?;
    Ok(Json(row.into()))
}
