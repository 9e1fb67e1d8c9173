//! `/api/v1/sign-in` and `/api/v1/sign-out`: browsers, which keep a cookie instead of a key.
//!
//! The cookie is 256 random bits, of which the store has the SHA-256 alone. It gives what the key gives with which somebody
//! signed in, for as long as that one is valid. Scripts cannot read it, and browsers send it with requests of this server's
//! own pages alone.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequest as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{ORIGIN, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use martlet_store::{NewSignIn, ValueId};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::auth::{SIGN_IN, by_key, is_proxy, sign_ins};
use crate::clock;
use crate::cross_site::check_page;
use crate::keys::{ApiKey, Secret, base32};
use crate::options::Auth;
use crate::page::mounted_at;
use crate::problem::{Body, Problem, ProblemKind};
use crate::router::Api;

/// How long somebody stays signed in, in milliseconds: 30 days.
const STAY_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// An API key.
    #[schema(example = "mrt_…")]
    key: String,
}

/// Lets a browser do what a key may, for 30 days or until the key is no longer valid. It gets a cookie that scripts cannot read.
#[utoipa::path(
    post, path = "/api/v1/sign-in", tag = "keys", request_body = SignIn, security(()),
    responses(
        (status = 204, description = "The browser is signed in.",
         headers(("Set-Cookie" = String, description = "What the browser shows from now on."))),
        (status = 409, description = "This server asks nobody who they are."),
    ),
)]
pub(crate) async fn sign_in(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    // Nobody is to be signed in as somebody else by a page of another site.
    check_page(api.options(), &parts.uri, &parts.headers)?;
    let Body(asked) = Body::<SignIn>::from_request(Request::from_parts(parts.clone(), body), &api).await?;
    if let Auth::Open { .. } = api.options().auth {
        let text = "this server asks nobody who they are: there is no need to sign in";
        return Err(Problem::new(ProblemKind::Conflict, text));
    }
    let caller = by_key(&api, &ApiKey::parse(asked.key.trim())?).await?;
    let Some(key) = caller.key else { return Err(Problem::unauthorized()) };
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|error| Problem::internal(&error))?;
    let token = Secret::new(base32(&bits));
    let now_ms = clock::now_ms();
    let digest = ValueId::of(token.expose().as_bytes());
    let new = NewSignIn {
        digest,
        key: key.clone(),
        created_ms: now_ms,
        expires_ms: now_ms.saturating_add(STAY_MS),
    };
    api.store().sign_in(new).await.map_err(|error| api.failed(error))?;
    tracing::info!(%key, owner = %caller.principal, "somebody signed in");
    // A browser that signs in anew has no use for what it showed before.
    forget(&api, &parts.headers).await?;
    Ok(with_cookie(&api, &parts, token.expose(), STAY_MS / 1000))
}

/// Ends what a browser may do. Its cookie is good for nothing from now on.
#[utoipa::path(
    post, path = "/api/v1/sign-out", tag = "keys", security(()),
    responses((status = 204, description = "The browser is not signed in, if it ever was.")),
)]
pub(crate) async fn sign_out(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    forget(&api, &parts.headers).await?;
    Ok(with_cookie(&api, &parts, "", 0))
}

/// The cookie is sent to this router alone, wherever it is mounted.
fn with_cookie(api: &Api, parts: &Parts, token: &str, seconds: u64) -> Response {
    let path = mounted_at(&parts.extensions).unwrap_or("/");
    let secure = if is_https(api, parts) { "; Secure" } else { "" };
    let cookie =
        format!("{SIGN_IN}={token}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
}

async fn forget(api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
    for digest in sign_ins(headers) {
        if api.store().sign_out(&digest).await.map_err(|error| api.failed(error))? {
            tracing::info!("somebody signed out");
        }
    }
    Ok(())
}

/// Whether the browser came over TLS: it says so itself, or a proxy does that is believed. Such a cookie is sent no other way.
fn is_https(api: &Api, parts: &Parts) -> bool {
    let starts = |name: &HeaderName, with: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| {
            value.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        })
    };
    let by_proxy = || {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        api.options().user_header.as_ref().is_some_and(|header| is_proxy(header, peer))
            && starts(&HeaderName::from_static("x-forwarded-proto"), "https")
    };
    starts(&ORIGIN, "https://") || by_proxy()
}
