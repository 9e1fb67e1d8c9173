//! The chat page. Its files are part of the program, so that there is nothing to install and nothing to fetch.

pub(crate) mod render;
mod sanitise;

use std::sync::Arc;

use axum::Router;
use axum::extract::{NestedPath, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
    REFERRER_POLICY, VARY,
};
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri};
use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;
use tower_http::compression::CompressionLayer;

use crate::problem::Problem;

/// The files below `ui`, by their names.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/ui.rs"));
/// The file that is the page; all others are its assets.
const INDEX: &str = "index.html";
/// What the page may do: nothing with other origins, and nothing with texts that are not known to be harmless.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types martlet";

/// A file of the page.
struct Asset {
    content: &'static [u8],
    media_type: &'static str,
    /// Weak, as the same file is also sent compressed.
    tag: HeaderValue,
}

type Assets = Arc<IndexMap<&'static str, Asset>>;

/// The page and its assets, for everybody: who may do what is asked by the API that the page uses.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    of(FILES)
}

fn of<S: Clone + Send + Sync + 'static>(files: &'static [(&'static str, &'static [u8])]) -> Router<S> {
    let assets = files.iter().map(|(name, content)| (*name, Asset::new(name, content)));
    let assets: Assets = Arc::new(assets.collect());
    let mut routes = Router::new().route("/assets/{*name}", get(asset));
    if assets.contains_key(INDEX) {
        routes = routes.route("/index.html", get(index));
    }
    // Of all answers these alone are compressed: none of them has a secret beside a text that somebody else chose.
    routes.layer(CompressionLayer::new()).with_state(assets)
}

impl Asset {
    fn new(name: &str, content: &'static [u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(content).into();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let tag =
            HeaderValue::try_from(format!("W/\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        Self { content, media_type: media_type(name), tag }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let known = (ETAG, self.tag.clone());
        let kept = (CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if is_known(asked, &self.tag) {
            return (StatusCode::NOT_MODIFIED, [known, kept]).into_response();
        }
        let typed = (CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        ([known, kept, typed], self.content).into_response()
    }
}

/// Whether the client has a file with this tag.
fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let own = tag.to_str().map(opaque).unwrap_or_default();
    asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.trim() == "*" || value.split(',').any(|known| !own.is_empty() && opaque(known) == own)
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

async fn asset(State(assets): State<Assets>, Path(name): Path<String>, asked: HeaderMap) -> Response {
    match assets.get(name.as_str()).filter(|_| name != INDEX) {
        Some(asset) => asset.answer(&asked),
        None => Problem::not_found("file").into_response(),
    }
}

async fn index(State(assets): State<Assets>, asked: HeaderMap) -> Response {
    let Some(asset) = assets.get(INDEX) else { return Problem::not_found("page").into_response() };
    let mut response = asset.answer(&asked);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.append(VARY, HeaderValue::from_static("accept"));
    response
}

/// Shows the page at `/` to those who want to see one; programs are told in JSON what this is.
pub(crate) async fn front(State(page): State<Router>, mut request: Request, next: Next) -> Response {
    if request.uri().path() != "/" || !(request.method() == Method::GET || request.method() == Method::HEAD) {
        return next.run(request).await;
    }
    if FILES.iter().all(|(name, _)| *name != INDEX) || !wants_page(request.headers()) {
        let mut response = next.run(request).await;
        response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
        return response;
    }
    if let Some(address) = address_below(&request) {
        let headers = [(LOCATION, address), (VARY, HeaderValue::from_static("accept"))];
        return (StatusCode::TEMPORARY_REDIRECT, headers).into_response();
    }
    *request.uri_mut() = Uri::from_static("/index.html");
    page.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// Only browsers that open a page name its type.
fn wants_page(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_page = parts.next().is_some_and(|of| of.eq_ignore_ascii_case("text/html"));
        let is_refused = |part: &str| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0))
        };
        is_page && !parts.any(is_refused)
    })
}

/// Where the page is if the router is mounted below a path: the addresses in it are relative to a folder, and without a slash
/// at its end the path names none.
fn address_below(request: &Request) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{}/{INDEX}", mounted_at(request.extensions())?)).ok()
}

/// The path below which the router is mounted; nothing for none, and for one that is not the same for all requests.
pub(crate) fn mounted_at(extensions: &Extensions) -> Option<&str> {
    let path = extensions.get::<NestedPath>()?.as_str().trim_end_matches('/');
    (!path.is_empty() && !path.contains(['{', ';', ','])).then_some(path)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const SOME: &[(&str, &[u8])] = &[
        (INDEX, b"<!doctype html><title>Page</title> with enough text to be worth compressing it a bit"),
        ("app.js", b"export const answer = 42; // with enough text to be worth compressing it a bit more"),
        ("icons/send.svg", b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"),
    ];

    async fn get(path: &str, headers: &[(http::HeaderName, &str)]) -> Response {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        of::<()>(SOME).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn files_are_served_with_their_type_and_known_by_their_hash() {
        for (path, media_type) in [
            ("/index.html", "text/html; charset=utf-8"),
            ("/assets/app.js", "text/javascript; charset=utf-8"),
            ("/assets/icons/send.svg", "image/svg+xml"),
        ] {
            let response = get(path, &[]).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[CONTENT_TYPE], media_type);
            assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
            let tag = response.headers()[ETAG].to_str().unwrap().to_owned();
            assert!(tag.starts_with("W/\"") && tag.len() == 68, "{tag}");
            for known in [tag.clone(), tag.replace("W/", ""), format!("\"x\", {tag}"), "*".into()] {
                let again = get(path, &[(IF_NONE_MATCH, &known)]).await;
                assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
                assert_eq!(again.headers()[ETAG], tag.as_str());
            }
            assert_eq!(get(path, &[(IF_NONE_MATCH, "W/\"x\"")]).await.status(), StatusCode::OK);
        }
        for path in
            ["/assets/nothing", "/assets/index.html", "/assets/../Cargo.toml", "/assets/%2e%2e/app.js"]
        {
            assert_eq!(get(path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn files_are_compressed_for_those_who_can_read_that() {
        let gzip = (http::header::ACCEPT_ENCODING, "gzip, br");
        let packed = get("/assets/app.js", std::slice::from_ref(&gzip)).await;
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert!(packed.headers()[VARY].to_str().unwrap().contains("accept-encoding"));
        assert!(!get("/assets/app.js", &[]).await.headers().contains_key("content-encoding"));
    }

    #[tokio::test]
    async fn the_page_may_do_nothing_with_other_origins() {
        let response = get("/index.html", &[]).await;
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    }

    #[test]
    fn a_page_is_for_those_who_name_its_type() {
        let wants = |accept: &str| {
            wants_page(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).unwrap())]))
        };
        assert!(wants("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(wants("application/json, Text/HTML;q=0.1"));
        for other in ["*/*", "text/*", "application/json", "text/html;q=0", "text/html; q=0.0", ""] {
            assert!(!wants(other), "{other}");
        }
    }
}
