//! Who asks, and what they may do: found out once, before anything of a request is read.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;
use martlet_core::Principal;
use martlet_store::{KeyId, KeyRow, ValueId};

use crate::clock;
use crate::keys::{ApiKey, Grant, KeyRefusal, Scope, Scopes};
use crate::options::{Auth, UserHeader};
use crate::problem::{Problem, ProblemKind};
use crate::router::Api;

/// That a key was used is noted at most so often.
const NOTE_MS: u64 = 60_000;
/// The cookie of a browser in which somebody signed in.
pub(crate) const SIGN_IN: &str = "martlet_session";
/// As many of these cookies are looked at: a browser sends one for each path under which it has one.
const COOKIES: usize = 4;

/// Who asks. An extractor for all routes below [`router`](crate::router).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// What may be asked.
    pub scopes: Scopes,
    /// The key that was shown, or with which somebody signed in.
    pub(crate) key: Option<KeyId>,
    /// What the browser showed in which somebody signed in.
    pub(crate) sign_in: Option<ValueId>,
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
            Ok(Caller { principal: principal.clone(), scopes: Scopes::all(), key: None, sign_in: None })
        }
        Auth::Keys => match shown_key(&parts.headers)? {
            Some(key) => by_key(api, &ApiKey::parse(key)?).await,
            None => by_sign_in(api, &parts.headers).await,
        },
    }
}

/// Whether the caller still may what was let through when the request came.
pub(crate) async fn is_still_valid(api: &Api, caller: &Caller) -> bool {
    let now_ms = clock::now_ms();
    let key = match (&caller.sign_in, &caller.key) {
        (Some(digest), _) => api
            .store()
            .signed_in(digest)
            .await
            .map(|row| row.filter(|row| now_ms < row.expires_ms).map(|row| row.key)),
        (None, Some(key)) => api.store().key(key).await,
        (None, None) => return true,
    };
    match key {
        Ok(Some(row)) => Grant::of(&row, now_ms).is_ok(),
        Ok(None) => false,
        // Nothing is known against it.
        Err(_) => true,
    }
}

/// Says what a key gives, and notes that it was used.
pub(crate) async fn by_key(api: &Api, key: &ApiKey) -> Result<Caller, Problem> {
    let row = api.store().key(key.id()).await.map_err(|error| api.failed(error))?;
    let now_ms = clock::now_ms();
    let grant = key.verify(row.as_ref(), now_ms).map_err(|refusal| refused(key.id(), refusal))?;
    Ok(used(api, grant, row.as_ref(), now_ms))
}

fn refused(key: &KeyId, refusal: KeyRefusal) -> Problem {
    tracing::info!(%key, %refusal, "a key was refused");
    Problem::unauthorized()
}

/// Says what the browser may do from which a request comes.
async fn by_sign_in(api: &Api, headers: &HeaderMap) -> Result<Caller, Problem> {
    let now_ms = clock::now_ms();
    let mut refusal = Problem::unauthorized();
    for digest in sign_ins(headers) {
        let row = api.store().signed_in(&digest).await.map_err(|error| api.failed(error))?;
        let Some(row) = row.filter(|row| now_ms < row.expires_ms) else { continue };
        match Grant::of(&row.key, now_ms) {
            Ok(grant) => {
                return Ok(Caller { sign_in: Some(digest), ..used(api, grant, Some(&row.key), now_ms) });
            }
            Err(why) => refusal = refused(&row.key.id, why),
        }
    }
    Err(refusal)
}

/// The hashes of what a browser shows in which somebody signed in.
pub(crate) fn sign_ins(headers: &HeaderMap) -> impl Iterator<Item = ValueId> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == SIGN_IN).take(COOKIES).map(|(_, token)| ValueId::of(token.as_bytes()))
}

/// Whether a browser says by itself who asks, also for a page that has no business here.
pub(crate) fn is_by_browser(headers: &HeaderMap) -> bool {
    let shows_key = headers.contains_key(AUTHORIZATION) || headers.contains_key("x-api-key");
    !shows_key && sign_ins(headers).next().is_some()
}

fn used(api: &Api, grant: Grant, row: Option<&KeyRow>, now_ms: u64) -> Caller {
    let last_ms = row.and_then(|row| row.last_used_ms).unwrap_or(0);
    if now_ms.saturating_sub(last_ms) >= NOTE_MS && api.note_use(&grant.key, now_ms, NOTE_MS) {
        let (store, key) = (api.store().clone(), grant.key.clone());
        api.service().spawn(async move {
            if let Err(error) = store.key_used(&key, now_ms).await {
                tracing::warn!(%error, "that a key was used could not be noted");
            }
        });
    }
    Caller { principal: grant.owner, scopes: grant.scopes, key: Some(grant.key), sign_in: None }
}

/// The key in `Authorization: Bearer …`, `x-api-key` or `x-hf-authorization: Bearer …`, if there is one; where several are
/// there, they must be the same.
fn shown_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut shown = None;
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| (value, true));
    let plain = headers.get_all("x-api-key").iter().map(|value| (value, false));
    // Where Gradio's Python client puts its `token`. It puts there what it finds on the machine, too: only a key counts.
    let of_gradio = headers.get_all("x-hf-authorization").iter().map(|value| (value, true));
    let of_gradio = of_gradio.filter(|(value, _)| {
        value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .is_some_and(|(_, key)| key.trim().starts_with("mrt_"))
    });
    for (value, is_bearer) in bearers.chain(plain).chain(of_gradio) {
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
    Ok(shown)
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
    if !is_proxy(header, parts.extensions.get::<ConnectInfo<SocketAddr>>()) {
        return Ok(None);
    }
    let mut values = parts.headers.get_all(&header.name).iter();
    let Some(user) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        // One of them is not the proxy's.
        return Err(Problem::unauthorized());
    }
    let user = user.to_str().map_err(|_| Problem::unauthorized())?.trim();
    let principal = Principal::new(&header.tenant, user).map_err(|_| Problem::unauthorized())?;
    Ok(Some(Caller { principal, scopes: header.scopes, key: None, sign_in: None }))
}

/// Whether a request comes from a proxy that is believed.
pub(crate) fn is_proxy(header: &UserHeader, peer: Option<&ConnectInfo<SocketAddr>>) -> bool {
    let Some(ConnectInfo(peer)) = peer else { return false };
    let peer = peer.ip().to_canonical();
    header.proxies.iter().any(|proxy| proxy.to_canonical() == peer)
}
