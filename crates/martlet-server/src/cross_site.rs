//! What pages of other sites may do: nothing, unless they are allowed to.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use crate::auth;
use crate::options::{Auth, HttpOptions};
use crate::problem::{Problem, ProblemKind};
use crate::router::Api;

/// Refuses what pages of other sites must not do, and tells browsers what they may.
pub(crate) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let options = api.options();
    let origin = request.headers().get(ORIGIN).cloned();
    let allowed = origin.filter(|origin| is_allowed(options, origin));
    if let Err(problem) = check(options, request.method(), request.uri(), request.headers()) {
        return problem.into_response();
    }
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&allowed, is_preflight) {
        (Some(_), true) => preflight(),
        _ => next.run(request).await,
    };
    if let Some(origin) = allowed {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = "location, retry-after, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, \
                       x-ratelimit-reset-requests";
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
    if !options.allowed_origins.is_empty() {
        response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, x-api-key, content-type, accept, last-event-id, idempotency-key, prefer, x-gradio-user",
        ),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Where a browser itself would say who asks, pages of other sites are not let in. Keys are sent by those alone who have
/// them.
fn check(options: &HttpOptions, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let is_open = matches!(options.auth, Auth::Open { .. });
    if !is_open && options.user_header.is_none() && !auth::is_by_browser(headers) {
        return Ok(());
    }
    // A page that lets its own name point to this machine is found out by that name.
    if is_open && host(uri, headers)?.is_some_and(|host| !is_own(options, host)) {
        return Err(foreign_host());
    }
    if method.is_safe() || *method == Method::OPTIONS {
        return Ok(());
    }
    check_page(options, uri, headers)
}

/// The name under which the server is asked.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Option<&'a str>, Problem> {
    match headers.get(HOST) {
        Some(host) => host.to_str().map(Some).map_err(|_| foreign_host()),
        None => Ok(uri.authority().map(http::uri::Authority::as_str)),
    }
}

/// Refuses what a page of another site asks for.
///
/// # Errors
/// It is of another site.
pub(crate) fn check_page(options: &HttpOptions, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    // No page can send this header itself. It counts also where a proxy gives the server another name than browsers know.
    if headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin") {
        return Ok(());
    }
    let host = host(uri, headers)?;
    if headers.get_all(ORIGIN).iter().all(|origin| is_allowed(options, origin) || is_same(origin, host))
        && headers
            .get("sec-fetch-site")
            .is_none_or(|site| site != "cross-site" || headers.contains_key(ORIGIN))
    {
        return Ok(());
    }
    let detail =
        "pages of other sites may not do this: add the site to the allowed origins if it is meant to";
    Err(Problem::new(ProblemKind::Forbidden, detail))
}

fn foreign_host() -> Problem {
    let detail = "the server is not known under the name in the header `Host`: use `localhost`, or add the name to the \
                  allowed hosts";
    Problem::new(ProblemKind::Forbidden, detail)
}

fn is_own(options: &HttpOptions, host: &str) -> bool {
    let name = without_port(host);
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
        || name.eq_ignore_ascii_case("localhost")
        || options.allowed_hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn is_allowed(options: &HttpOptions, origin: &HeaderValue) -> bool {
    options.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes())
}

fn is_same(origin: &HeaderValue, host: Option<&str>) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let of = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    of.is_some() && of == host
}

#[cfg(test)]
mod tests {
    use martlet_core::Principal;

    use super::*;

    #[test]
    fn the_server_is_known_under_its_own_names_alone() {
        let options =
            HttpOptions::new(Auth::Open { principal: Principal::local() }).allowed_hosts(["box.lan"]);
        for host in
            ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.1.2.3", "[::1]:80", "[::1]", "box.lan:1"]
        {
            assert!(is_own(&options, host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "192.0.2.1", "", ":80"]
        {
            assert!(!is_own(&options, host), "{host}");
        }
    }
}
