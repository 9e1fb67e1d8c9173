//! What the chat page needs: itself, its texts, and to be signed in.

use http::Method;
use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE,
};
use martlet::core::Principal;
use martlet_server::keys::Scope;
use martlet_server::{Auth, HttpOptions, UserHeader};
use serde_json::{Value, json};

use super::server::{Answer, Client, quick};
use super::{Server, agents};

/// Signs a browser in and gives the cookie that it sends from then on.
async fn sign_in(server: &Server, key: &str) -> String {
    let nobody = server.nobody();
    let answer = nobody.post("/api/v1/sign-in", json!({ "key": key })).await;
    answer.is(204);
    cookie(&answer)
}

fn cookie(answer: &Answer) -> String {
    let set = answer.headers[SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

async fn get(client: &Client, path: &str, cookie: &str) -> Answer {
    client.send(client.request(Method::GET, path).header(COOKIE, cookie)).await
}

#[tokio::test]
async fn texts_are_rendered_for_those_who_read() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let texts = json!({"texts": ["*a*", "<script>x</script>", "long ".repeat(10_000)]});
    let html = ann.post("/api/v1/render", texts).await.is(200)["html"].clone();
    assert_eq!(html[0], "<p><em>a</em></p>\n");
    assert_eq!(html[1], "<p>&lt;script&gt;x&lt;/script&gt;</p>\n");
    assert_eq!(html[2].as_str().unwrap().len(), 50_000 + 7);
    assert_eq!(ann.post("/api/v1/render", json!({"texts": []})).await.is(200)["html"], json!([]));
    let many = ann.post("/api/v1/render", json!({"texts": vec!["a"; 65]})).await;
    assert_eq!((many.problem(400), &many.json()["error"]["param"]), ("bad_request".into(), &json!("texts")));
    let long = ann.post("/api/v1/render", json!({"texts": ["a".repeat(600_000), "a".repeat(600_000)]})).await;
    assert_eq!(long.problem(413), "payload_too_large");
    let runner = server.client_with("ann", [Scope::Run]).await;
    assert_eq!(runner.post("/api/v1/render", json!({"texts": []})).await.problem(403), "forbidden");
    server.stop().await;
}

#[tokio::test]
async fn a_browser_may_what_the_key_may_until_it_is_signed_out() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let key = ann.key.clone().unwrap();
    let nobody = server.nobody();
    let answer = nobody.post("/api/v1/sign-in", json!({ "key": key })).await;
    answer.is(204);
    let set = answer.headers[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(set.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict"), "{set}");
    assert!(!set.contains(&key), "{set}");
    let mine = cookie(&answer);
    let me = get(&nobody, "/api/v1/me", &mine).await.is(200);
    assert_eq!(
        (&me["user"], &me["scopes"], me["key"].as_str().unwrap()),
        (&json!("ann"), &json!(["run", "read"]), key.split('_').nth(1).unwrap())
    );
    // The scopes are those of the key.
    assert_eq!(get(&nobody, "/api/v1/keys", &mine).await.problem(403), "forbidden");
    let run = nobody.posting("/api/v1/runs", &json!({"task": "x"})).header(COOKIE, &mine);
    let run = nobody.send(run.header("sec-fetch-site", "same-origin")).await.is(202);
    assert_eq!(ann.ended(run["id"].as_str().unwrap()).await["answer"], "echo: x");
    // Others of the same name do not hinder, as a browser sends one for each path.
    let two = format!("theme=dark; martlet_session=nonsense; {mine}");
    get(&nobody, "/api/v1/me", &two).await.is(200);
    // A key counts before the cookie, also a bad one.
    let bob = server.client("bob").await;
    assert_eq!(
        bob.send(bob.request(Method::GET, "/api/v1/me").header(COOKIE, &mine)).await.is(200)["user"],
        "bob"
    );
    let bad = nobody.request(Method::GET, "/api/v1/me").header(AUTHORIZATION, "Bearer nonsense");
    assert_eq!(nobody.send(bad.header(COOKIE, &mine)).await.problem(401), "unauthorized");

    let other = sign_in(&server, &key).await;
    assert_ne!(other, mine);
    let out = nobody.request(Method::POST, "/api/v1/sign-out").header(COOKIE, &mine);
    let out = nobody.send(out.header("sec-fetch-site", "same-origin")).await;
    out.is(204);
    assert!(out.headers[SET_COOKIE].to_str().unwrap().starts_with("martlet_session=; Path=/; Max-Age=0; "));
    assert_eq!(get(&nobody, "/api/v1/me", &mine).await.problem(401), "unauthorized");
    get(&nobody, "/api/v1/me", &other).await.is(200);
    nobody.send(nobody.request(Method::POST, "/api/v1/sign-out")).await.is(204);
    server.stop().await;
}

/// All that is no valid key or cookie is told the same.
#[tokio::test]
async fn fault_08_nobody_signs_in_without_a_valid_key() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let boss = server.client_with("boss", [Scope::Admin]).await;
    let nobody = server.nobody();
    let expected = nobody.get("/api/v1/me").await;
    let key = ann.key.clone().unwrap();
    let mine = sign_in(&server, &key).await;
    let id = key.split('_').nth(1).unwrap();
    boss.delete(&format!("/api/v1/keys/{id}")).await.is(204);
    for bad in [key.as_str(), "", "nonsense", "mrt_000000000000_0"] {
        let answer = nobody.post("/api/v1/sign-in", json!({ "key": bad })).await;
        assert_eq!((answer.status, &answer.text), (expected.status, &expected.text), "{bad}");
        assert!(!answer.headers.contains_key(SET_COOKIE));
    }
    let token = mine.split('=').nth(1).unwrap();
    for cookie in [
        mine.clone(),
        "martlet_session=".into(),
        format!("martlet_session={key}"),
        format!("MARTLET_SESSION={token}"),
        format!("other={token}"),
    ] {
        for path in ["/api/v1/me", "/api/v1/runs", "/api/v1/keys", "/health", "/history"] {
            let answer = get(&nobody, path, &cookie).await;
            assert_eq!((answer.status, &answer.text), (expected.status, &expected.text), "{path} {cookie}");
        }
    }
    for body in [json!({}), json!({"key": 1}), json!({"key": "x", "user": "ann"}), json!([])] {
        assert_eq!(nobody.post("/api/v1/sign-in", body).await.status, 400);
    }
    server.stop().await;
}

#[tokio::test]
async fn fault_08_a_browser_that_may_no_longer_loses_its_streams() {
    let server = Server::start().await;
    let boss = server.client_with("boss", [Scope::Admin]).await;
    let ann = server.client("ann").await;
    let key = ann.key.clone().unwrap();
    let run = ann.start(json!({"agent": "slow", "task": "x"})).await;
    server.agents.waiting.notified().await;
    let nobody = server.nobody();
    let path = format!("/api/v1/runs/{run}/events");
    let (one, other) = (sign_in(&server, &key).await, sign_in(&server, &key).await);
    let open = async |cookie: &str| {
        let request = nobody.request(Method::GET, &path).header(ACCEPT, "text/event-stream");
        let mut frames = super::server::Frames::of(request.header(COOKIE, cookie)).await;
        frames.until(|frame| frame.id == Some(1)).await;
        frames
    };
    let (mut signed_out, mut revoked) = (open(&one).await, open(&other).await);
    let began = std::time::Instant::now();
    let out = nobody.request(Method::POST, "/api/v1/sign-out").header(COOKIE, &one);
    nobody.send(out.header("sec-fetch-site", "same-origin")).await.is(204);
    let end = signed_out.until(|frame| frame.event == "end").await;
    assert_eq!(end.data["reason"], "unauthorized");
    assert!(began.elapsed().as_secs() < 5);
    let began = std::time::Instant::now();
    boss.delete(&format!("/api/v1/keys/{}", key.split('_').nth(1).unwrap())).await.is(204);
    let end = revoked.until(|frame| frame.event == "end").await;
    assert_eq!(end.data["reason"], "unauthorized");
    assert!(began.elapsed().as_secs() < 5);
    server.agents.gate.add_permits(1);
    server.stop().await;
}

#[tokio::test]
async fn fault_10_pages_of_other_sites_cannot_use_the_cookie() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let key = ann.key.clone().unwrap();
    let mine = sign_in(&server, &key).await;
    let nobody = server.nobody();
    let own = format!("http://127.0.0.1:{}", server.address.port());
    let post = || nobody.posting("/api/v1/runs", &json!({"task": "x"})).header(COOKIE, &mine);
    let foreign = [
        post().header(ORIGIN, "https://evil.example"),
        post().header(ORIGIN, "null"),
        post().header(ORIGIN, "http://127.0.0.1:1"),
        post().header("sec-fetch-site", "cross-site"),
        post().header("sec-fetch-site", "cross-site").header(ORIGIN, "https://evil.example"),
        post().header("sec-fetch-site", "same-site").header(ORIGIN, "http://127.0.0.1:1"),
    ];
    for request in foreign {
        assert_eq!(nobody.send(request).await.problem(403), "forbidden");
    }
    for (method, path) in [
        (Method::DELETE, "/api/v1/runs/run_0"),
        (Method::PATCH, "/api/v1/sessions/sess_0"),
        (Method::POST, "/api/v1/approvals/appr_0"),
        (Method::POST, "/api/v1/files"),
        (Method::POST, "/api/v1/sign-out"),
        (Method::POST, "/run-agent"),
    ] {
        let request =
            nobody.request(method, path).header(COOKIE, &mine).header(ORIGIN, "https://evil.example");
        assert_eq!(nobody.send(request).await.problem(403), "forbidden", "{path}");
    }
    // Nor can they sign somebody in.
    let other =
        nobody.posting("/api/v1/sign-in", &json!({ "key": key })).header(ORIGIN, "https://evil.example");
    assert_eq!(nobody.send(other).await.problem(403), "forbidden");
    // Nothing was done, and who is signed in still is.
    assert_eq!(get(&nobody, "/api/v1/runs", &mine).await.is(200)["runs"], json!([]));
    // The page of this server may, whatever name a proxy gives it.
    nobody.send(post().header(ORIGIN, &own)).await.is(202);
    let proxied = post().header(HOST, "backend:8000").header(ORIGIN, "https://chat.example");
    nobody.send(proxied.header("sec-fetch-site", "same-origin")).await.is(202);
    // Who shows a key is no browser that was led astray.
    let request = post().bearer_auth(&key).header(ORIGIN, "https://evil.example");
    nobody.send(request).await.is(202);
    server.stop().await;
}

#[tokio::test]
async fn the_cookie_goes_over_tls_alone_if_it_came_so_and_below_the_path_of_the_router() {
    let header = UserHeader::new("x-user".parse().unwrap(), ["127.0.0.1".parse().unwrap()], "acme");
    let http = HttpOptions::new(Auth::Keys).user_header(header);
    let folder = tempfile::tempdir().unwrap();
    let nested = |router| axum::Router::new().nest("/agents", router);
    let server = Server::start_in(folder.path(), quick(), http, agents(), nested).await;
    let key = server.client("ann").await.key.unwrap();
    let nobody = server.nobody();
    let post = || nobody.posting("/agents/api/v1/sign-in", &json!({ "key": key }));
    let set = async |request: reqwest::RequestBuilder| {
        let answer = nobody.send(request).await;
        answer.is(204);
        answer.headers[SET_COOKIE].to_str().unwrap().to_owned()
    };
    let plain = set(post()).await;
    assert!(plain.contains("; Path=/agents; ") && !plain.contains("Secure"), "{plain}");
    let by_proxy = set(post().header("x-forwarded-proto", "https")).await;
    assert!(by_proxy.ends_with("; Secure"), "{by_proxy}");
    let own = post().header(HOST, "chat.example").header(ORIGIN, "https://chat.example");
    assert!(set(own).await.ends_with("; Secure"));
    server.stop().await;
    // What others say of themselves is not believed.
    let server = Server::start().await;
    let key = server.client("ann").await.key.unwrap();
    let nobody = server.nobody();
    let request =
        nobody.posting("/api/v1/sign-in", &json!({ "key": key })).header("x-forwarded-proto", "https");
    let answer = nobody.send(request).await;
    assert!(!answer.headers[SET_COOKIE].to_str().unwrap().contains("Secure"));
    server.stop().await;
}

#[tokio::test]
async fn where_nobody_is_asked_there_is_nothing_to_sign_in_to() {
    let open = HttpOptions::new(Auth::Open { principal: Principal::local() });
    let server = Server::start_with(quick(), open).await;
    let nobody = server.nobody();
    let key = server.client("ann").await.key.unwrap();
    assert_eq!(nobody.post("/api/v1/sign-in", json!({ "key": key })).await.problem(409), "conflict");
    assert_eq!(nobody.get("/api/v1/me").await.is(200)["key"], Value::Null);
    server.stop().await;
}

/// How an answer is compressed for a client that can read gzip.
async fn encoding(client: &Client, path: &str) -> Option<String> {
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let request = plain.get(format!("{}{path}", client.base)).header("accept-encoding", "gzip");
    let request = client.key.iter().fold(request, |request, key| request.bearer_auth(key));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned())
}

/// Everything that the page names is there.
async fn opened(client: &Client, path: &str) -> String {
    let page = client.send(client.request(Method::GET, path).header(ACCEPT, "text/html,*/*;q=0.8")).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(page.headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(page.headers[CACHE_CONTROL], "no-cache");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    assert!(page.text.starts_with("<!doctype html>") || page.text.starts_with("<!DOCTYPE html>"), "{page:?}");
    let names: Vec<_> =
        page.text.split("\"assets/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(names.len() > 1, "{}", page.text);
    for name in names {
        let folder = path.rsplit_once('/').unwrap().0;
        let address = format!("{folder}/assets/{name}");
        let asset = client.get(&address).await;
        assert_eq!(asset.status, 200, "{address}");
        let tag = asset.headers["etag"].to_str().unwrap().to_owned();
        let known = client.request(Method::GET, &address).header("if-none-match", &tag);
        assert_eq!(client.send(known).await.status, 304, "{address}");
        if asset.text.len() > 1_000 {
            assert_eq!(encoding(client, &address).await.as_deref(), Some("gzip"), "{address}");
        }
    }
    page.text
}

#[tokio::test]
async fn browsers_are_shown_the_page_and_programs_are_told_in_json() {
    let server = Server::start().await;
    let nobody = server.nobody();
    let page = opened(&nobody, "/").await;
    assert_eq!(opened(&nobody, "/index.html").await, page);
    for accept in ["application/json", "*/*"] {
        let told = nobody.send(nobody.request(Method::GET, "/").header(ACCEPT, accept)).await;
        assert_eq!(told.headers["vary"], "accept");
        assert_eq!(told.is(200)["name"], "martlet");
    }
    let head = nobody.send(nobody.request(Method::HEAD, "/").header(ACCEPT, "text/html")).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    assert_eq!(nobody.get("/assets/nothing.js").await.problem(404), "not_found");
    assert_eq!(nobody.post("/assets/app.js", json!({})).await.problem(405), "method_not_allowed");
    // What is asked of the API is not compressed, as it may have secrets beside what others chose.
    let ann = server.client("ann").await;
    assert_eq!(encoding(&ann, "/api/v1/agents").await, None);
    server.stop().await;
}

/// The page has relative addresses alone, so that it works wherever it is.
#[tokio::test]
async fn the_page_is_there_below_a_path() {
    for mount in [
        |router| axum::Router::new().nest("/agents", router),
        |router| axum::Router::new().nest_service("/agents", router),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server =
            Server::start_in(folder.path(), quick(), HttpOptions::new(Auth::Keys), agents(), mount).await;
        let nobody = server.nobody();
        let page = opened(&nobody, "/agents/index.html").await;
        // The client goes where it is sent.
        let sent = nobody.send(nobody.request(Method::GET, "/agents").header(ACCEPT, "text/html")).await;
        assert_eq!((sent.status.as_u16(), sent.text), (200, page));
        let no_more = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().no_proxy().redirect(no_more).build().unwrap();
        let request = client.get(format!("{}/agents", nobody.base)).header(ACCEPT, "text/html");
        let moved = request.send().await.unwrap();
        assert_eq!(moved.status(), 307);
        assert_eq!(moved.headers()[LOCATION], "/agents/index.html");
        assert_eq!(nobody.get("/agents").await.is(200)["name"], "martlet");
        server.stop().await;
    }
}

/// A page that points its own name to this machine sees nothing of it.
#[tokio::test]
async fn fault_10_the_page_is_shown_under_its_own_names_alone() {
    let open = HttpOptions::new(Auth::Open { principal: Principal::local() });
    let server = Server::start_with(quick(), open).await;
    let nobody = server.nobody();
    for path in ["/", "/index.html", "/assets/app.js"] {
        let request =
            nobody.request(Method::GET, path).header(ACCEPT, "text/html").header(HOST, "evil.example");
        assert_eq!(nobody.send(request).await.problem(403), "forbidden", "{path}");
    }
    opened(&nobody, "/").await;
    server.stop().await;
}
