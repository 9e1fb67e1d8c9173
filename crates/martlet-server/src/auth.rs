//! Who asks, and what they may do: found out once, before anything of a request is read.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use martlet_core::Principal;
use martlet_store::KeyId;

use crate::clock;
use crate::keys::{ApiKey, Scope, Scopes};
use crate::options::{Auth, UserHeader};
use crate::problem::{Problem, ProblemKind};
use crate::router::Api;

/// That a key was used is noted at most so often.
const NOTE_MS: u64 = 60_000;

/// Who asks. An extractor for all routes below [`router`](crate::router).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// What may be asked.
    pub scopes: Scopes,
    /// The key that was shown.
    pub(crate) key: Option<KeyId>,
}

impl Caller {
    /// Whether the caller may do what the scope stands for.
    ///
    /// # Errors
    /// The caller may not.
    pub fn need(&self, scope: Scope) -> Result<(), Problem> {
        self.need_one(&[scope])
    }

    fn need_one(&self, scopes: &[Scope]) -> Result<(), Problem> {
        if scopes.iter().any(|scope| self.scopes.allow(*scope)) {
            return Ok(());
        }
        let names: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
        let names = names.join(" or ");
        let detail = format!("this needs the scope {names}, which your key has not: ask for a key with it");
        Err(Problem::new(ProblemKind::Forbidden, detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // On a route that asks nobody who they are, nobody is known.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthorized)
    }
}

macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident($($scope:ident),+);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name(pub(crate) Caller);

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                let caller = Caller::from_request_parts(parts, state).await?;
                caller.need_one(&[$(Scope::$scope),+])?;
                Ok(Self(caller))
            }
        }
    )*};
}

callers! {
    /// A caller who may start, cancel and delete runs.
    Runner(Run);
    /// A caller who may see what is theirs.
    Reader(Read);
    /// A caller who may see questions: own ones, or with `approve` those of the tenant.
    Onlooker(Read, Approve);
    /// A caller who may decide questions: own ones, or with `approve` those of the tenant.
    Decider(Run, Approve);
    /// A caller who may do everything.
    Administrator(Admin);
}

/// Lets those pass who may use the API, and says who they are.
pub(crate) async fn authenticate(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = identify(&api, &parts).await?;
    parts.extensions.insert(caller);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

pub(crate) async fn identify(api: &Api, parts: &Parts) -> Result<Caller, Problem> {
    if has_key(parts.uri.query().unwrap_or_default()) {
        // Addresses stand in logs and histories, where a key must not be: it is not made a habit.
        return Err(Problem::unauthorized());
    }
    if let Some(header) = &api.options().user_header
        && let Some(caller) = of_proxy(header, parts)?
    {
        return Ok(caller);
    }
    match &api.options().auth {
        // Clients that cannot do without a key send any text.
        Auth::Open { principal } => {
            Ok(Caller { principal: principal.clone(), scopes: Scopes::all(), key: None })
        }
        Auth::Keys => by_key(api, &ApiKey::parse(shown_key(&parts.headers)?)?).await,
    }
}

/// Whether the caller still may what was let through when the request came.
pub(crate) async fn is_still_valid(api: &Api, caller: &Caller) -> bool {
    let Some(key) = &caller.key else { return true };
    match api.store().key(key).await {
        Ok(Some(row)) => {
            row.revoked_ms.is_none() && row.expires_ms.is_none_or(|expires_ms| clock::now_ms() < expires_ms)
        }
        Ok(None) => false,
        // Nothing is known against it.
        Err(_) => true,
    }
}

async fn by_key(api: &Api, key: &ApiKey) -> Result<Caller, Problem> {
    let row = api.store().key(key.id()).await.map_err(|error| api.failed(error))?;
    let now_ms = clock::now_ms();
    let grant = key.verify(row.as_ref(), now_ms).map_err(|refusal| {
        tracing::info!(key = %key.id(), %refusal, "a key was refused");
        Problem::unauthorized()
    })?;
    let last_ms = row.and_then(|row| row.last_used_ms).unwrap_or(0);
    if now_ms.saturating_sub(last_ms) >= NOTE_MS && api.note_use(&grant.key, now_ms, NOTE_MS) {
        let (store, key) = (api.store().clone(), grant.key.clone());
        api.service().spawn(async move {
            if let Err(error) = store.key_used(&key, now_ms).await {
                tracing::warn!(%error, "that a key was used could not be noted");
            }
        });
    }
    Ok(Caller { principal: grant.owner, scopes: grant.scopes, key: Some(grant.key) })
}

/// The key in `Authorization: Bearer …` or `x-api-key`; where both are there, they must be the same.
fn shown_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut shown = None;
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| (value, true));
    let plain = headers.get_all("x-api-key").iter().map(|value| (value, false));
    for (value, is_bearer) in bearers.chain(plain) {
        let text = value.to_str().map_err(|_| Problem::unauthorized())?.trim();
        let key = match text.split_once(' ') {
            Some((scheme, key)) if is_bearer && scheme.eq_ignore_ascii_case("bearer") => key.trim(),
            _ if is_bearer => return Err(Problem::unauthorized()),
            _ => text,
        };
        if shown.is_some_and(|other| other != key) {
            return Err(Problem::unauthorized());
        }
        shown = Some(key);
    }
    shown.ok_or_else(Problem::unauthorized)
}

/// Whether a part of a query looks like a key.
fn has_key(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        ApiKey::parse(value).is_ok() || value.starts_with("Bearer") && value.contains("mrt_")
    })
}

/// Who a proxy says asks; nothing if it says nothing, or is no proxy that is believed.
fn of_proxy(header: &UserHeader, parts: &Parts) -> Result<Option<Caller>, Problem> {
    let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else { return Ok(None) };
    let peer = peer.ip().to_canonical();
    if !header.proxies.iter().any(|proxy| proxy.to_canonical() == peer) {
        return Ok(None);
    }
    let mut values = parts.headers.get_all(&header.name).iter();
    let (Some(user), None) = (values.next(), values.next()) else { return Ok(None) };
    let user = user.to_str().map_err(|_| Problem::unauthorized())?.trim();
    let principal = Principal::new(&header.tenant, user).map_err(|_| Problem::unauthorized())?;
    Ok(Some(Caller { principal, scopes: header.scopes, key: None }))
}
