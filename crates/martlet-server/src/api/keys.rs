//! `/api/v1/keys` and `/api/v1/me`: who may do what.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use martlet_core::Principal;
use martlet_store::{KeyId, KeyRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::{Administrator, Caller};
use crate::clock;
use crate::keys::{ApiKey, KeyRequest, Scope, Scopes};
use crate::problem::{Body, Path, Problem};
use crate::router::Api;
use crate::service::bad_request;

const LABEL: usize = 200;

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    /// The part that is no secret.
    id: String,
    /// Who asks with it.
    user: String,
    /// What may be asked with it.
    scopes: Vec<String>,
    /// What people call it.
    label: String,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    created_ms: u64,
    /// When it stops to be valid; `null` for never.
    expires_ms: Option<u64>,
    /// When it was last used, to a minute.
    last_used_ms: Option<u64>,
    /// When it was revoked.
    revoked_ms: Option<u64>,
}

impl From<KeyRow> for KeyView {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id.to_string(),
            user: row.owner.user.to_string(),
            scopes: row.scopes,
            label: row.label,
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            last_used_ms: row.last_used_ms,
            revoked_ms: row.revoked_ms,
        }
    }
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewKey {
    /// The key itself. It is shown once: nothing can bring it back.
    key: String,
    /// What is known of it.
    #[serde(flatten)]
    view: KeyView,
}

/// API keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Keys {
    /// The keys, in the order in which they were made.
    keys: Vec<KeyView>,
}

/// A key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKey {
    /// Who is to ask with it: a user of your tenant.
    #[schema(min_length = 1, max_length = 128)]
    user: String,
    /// What may be asked with it.
    #[schema(value_type = Vec<ScopeWord>, min_items = 1)]
    scopes: Vec<Scope>,
    /// What people call it.
    #[schema(max_length = 200)]
    label: Option<String>,
    /// After so many seconds it stops to be valid; without it, never.
    #[schema(minimum = 1)]
    expires_s: Option<u32>,
}

/// What may be asked with a key.
#[derive(ToSchema)]
#[schema(as = Scope, rename_all = "snake_case")]
#[expect(dead_code, reason = "it is for the document alone")]
pub(crate) enum ScopeWord {
    /// Start, cancel and delete one's own runs.
    Run,
    /// See one's own runs, sessions and files.
    Read,
    /// Decide on the approvals of the tenant.
    Approve,
    /// Everything, keys and metrics included.
    Admin,
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The tenant.
    tenant: String,
    /// The user.
    user: String,
    /// What may be asked.
    scopes: Vec<String>,
    /// The part of the key that is no secret, if one was shown.
    key: Option<String>,
}

/// Says who asks, and what they may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "keys", responses((status = 200, body = Me)))]
pub(crate) async fn get_me(caller: Caller) -> Json<Me> {
    Json(Me {
        tenant: caller.principal.tenant.to_string(),
        user: caller.principal.user.to_string(),
        scopes: caller.scopes.names(),
        key: caller.key.map(|key| key.to_string()),
    })
}

/// Makes a key.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "keys", request_body = CreateKey,
    responses((status = 201, description = "The key, which is shown this once.", body = NewKey)),
)]
pub(crate) async fn create_key(
    Administrator(caller): Administrator,
    State(api): State<Api>,
    Body(asked): Body<CreateKey>,
) -> Result<(StatusCode, Json<NewKey>), Problem> {
    let owner = Principal::new(&caller.principal.tenant, &asked.user);
    let owner = owner.map_err(|error| bad_request("user", error.to_string()))?;
    if asked.scopes.is_empty() {
        return Err(bad_request("scopes", "a key without a scope is good for nothing: name one at least"));
    }
    let label = asked.label.unwrap_or_default();
    if label.chars().count() > LABEL || label.chars().any(char::is_control) {
        return Err(bad_request("label", format!("use at most {LABEL} characters, on one line")));
    }
    let now_ms = clock::now_ms();
    let expires_ms = match asked.expires_s {
        Some(0) => return Err(bad_request("expires_s", "use a number of seconds from 1")),
        Some(seconds) => Some(now_ms.saturating_add(u64::from(seconds) * 1000)),
        None => None,
    };
    let scopes = Scopes::from_iter(asked.scopes);
    let request = KeyRequest { owner, scopes, label, created_ms: now_ms, expires_ms };
    let (key, row) = ApiKey::issue(request).map_err(|error| Problem::internal(&error))?;
    api.store().create_key(row.clone()).await.map_err(|error| api.failed(error))?;
    tracing::info!(key = %row.id, owner = %row.owner, by = %caller.principal, "a key was made");
    Ok((StatusCode::CREATED, Json(NewKey { key: key.text().expose().to_owned(), view: row.into() })))
}

/// Lists the keys of the tenant, those that were revoked included.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", responses((status = 200, body = Keys)))]
pub(crate) async fn list_keys(
    Administrator(caller): Administrator,
    State(api): State<Api>,
) -> Result<Json<Keys>, Problem> {
    let rows = api.store().keys().await.map_err(|error| api.failed(error))?;
    let own = rows.into_iter().filter(|row| row.owner.tenant == caller.principal.tenant);
    Ok(Json(Keys { keys: own.map(Into::into).collect() }))
}

/// Revokes a key: from now on it is good for nothing, and streams that it opened end.
#[utoipa::path(
    delete, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, pattern = "^[0-9a-hjkmnp-tv-z]{12}$")),
    responses((status = 204, description = "It is revoked."), (status = 404, description = "There is no such key.")),
)]
pub(crate) async fn revoke_key(
    Administrator(caller): Administrator,
    State(api): State<Api>,
    Path(id): Path<KeyId>,
) -> Result<StatusCode, Problem> {
    let row = api.store().key(&id).await.map_err(|error| api.failed(error))?;
    if row.is_none_or(|row| row.owner.tenant != caller.principal.tenant) {
        return Err(Problem::not_found("key"));
    }
    api.store().revoke_key(&id, clock::now_ms()).await.map_err(|error| api.failed(error))?;
    tracing::info!(key = %id, by = %caller.principal, "a key was revoked");
    Ok(StatusCode::NO_CONTENT)
}
