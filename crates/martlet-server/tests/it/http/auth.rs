//! Who is let in.

use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, HOST, ORIGIN};
use martlet::core::Principal;
use martlet_server::keys::{ApiKey, KeyRequest, Scope, Scopes};
use martlet_server::{Auth, HttpOptions, UserHeader};
use serde_json::json;

use super::Server;
use super::document::{Operation, operations};
use super::server::quick;

async fn key(server: &Server, expires_ms: Option<u64>) -> ApiKey {
    let owner = Principal::new("acme", "ann").unwrap();
    let scopes = Scopes::from_iter([Scope::Run, Scope::Read]);
    let request = KeyRequest { owner, scopes, label: String::new(), created_ms: 1, expires_ms };
    let (key, row) = ApiKey::issue(request).unwrap();
    server.service.store().create_key(row).await.unwrap();
    key
}

/// On all paths, the answer to all that is no valid key is the same.
#[tokio::test]
async fn fault_08_without_a_valid_key_all_are_told_the_same() {
    let server = Server::start().await;
    let nobody = server.nobody();
    let (expired, revoked) = (key(&server, Some(2)).await, key(&server, None).await);
    server.service.store().revoke_key(revoked.id(), 2).await.unwrap();
    let valid = key(&server, None).await;
    let mut wrong = valid.text().expose().to_owned();
    let last = wrong.pop().unwrap();
    wrong.push(if last == '0' { 'g' } else { '0' });
    let unknown = server_key();
    let bad = [
        expired.text().expose().to_owned(),
        revoked.text().expose().to_owned(),
        wrong,
        unknown,
        "nonsense".into(),
        String::new(),
    ];
    let valid = valid.text().expose().to_owned();
    let expected = nobody.get("/api/v1/me").await;
    assert_eq!(expected.problem(401), "unauthorized");
    assert_eq!(expected.headers["www-authenticate"], "Bearer realm=\"martlet\"");
    // Where OpenAI's API is spoken it is told in its form, and there alike.
    let openai = nobody.get("/v1/models").await;
    assert_eq!(openai.is(401)["error"]["code"], "invalid_api_key");
    assert_eq!(openai.headers["www-authenticate"], "Bearer realm=\"martlet\"");
    for operation in operations() {
        // They say who they are by these.
        if ["sign_in", "sign_out"].contains(&&*operation.id) {
            continue;
        }
        let path = operation.path_with("run_0");
        let request = || nobody.request(operation.method.clone(), &path).header(ACCEPT, "application/json");
        let mut requests = vec![request(), request().header("cookie", format!("key={valid}"))];
        for bad in &bad {
            requests.push(request().header(AUTHORIZATION, format!("Bearer {bad}")));
            requests.push(request().header("x-api-key", bad));
        }
        // Basic is another scheme; two keys say two things; a key in the address is none.
        requests.push(request().header(AUTHORIZATION, format!("Basic {valid}")));
        requests
            .push(request().header(AUTHORIZATION, format!("Bearer {valid}")).header("x-api-key", &bad[0]));
        let query = format!("{path}?api_key={valid}");
        requests.push(nobody.request(operation.method.clone(), &query));
        requests.push(nobody.request(operation.method.clone(), &query).header("x-api-key", &valid));
        let expected = if path.starts_with("/v1/") { &openai } else { &expected };
        for request in requests {
            let answer = nobody.send(request).await;
            assert_eq!((answer.status, &answer.text), (expected.status, &expected.text), "{operation:?}");
        }
    }
    for (name, value) in [("authorization", format!("Bearer {valid}")), ("x-api-key", valid.clone())] {
        let answer = nobody.send(nobody.request(Method::GET, "/api/v1/me").header(name, value)).await;
        assert_eq!(answer.is(200)["user"], "ann");
    }
    server.stop().await;
}

fn server_key() -> String {
    let owner = Principal::new("acme", "ann").unwrap();
    let scopes = Scopes::all();
    let request = KeyRequest { owner, scopes, label: String::new(), created_ms: 1, expires_ms: None };
    ApiKey::issue(request).unwrap().0.text().expose().to_owned()
}

/// What a key may not do it is told, before anything of the request is looked at.
#[tokio::test]
async fn fault_08_a_scope_lets_do_what_it_says_and_no_more() {
    let server = Server::start().await;
    let nothing = server.client_with("ann", []).await;
    let reader = server.client_with("ann", [Scope::Read]).await;
    let runner = server.client_with("ann", [Scope::Run]).await;
    for operation in operations() {
        if ["get_me", "sign_in", "sign_out"].contains(&&*operation.id) {
            continue;
        }
        let path = operation.path_with("abcdefghjkmn");
        let send = async |client: &super::server::Client| {
            client.send(client.request(operation.method.clone(), &path)).await.status.as_u16()
        };
        assert_eq!(send(&nothing).await, 403, "{operation:?}");
        let is_keys = operation.path.starts_with("/api/v1/keys");
        let is_get = operation.method == Method::GET && operation.path != "/test/scenarios"
            || operation.id == "render";
        assert_eq!(send(&reader).await == 403, is_keys || !is_get, "{operation:?}");
        assert_eq!(send(&runner).await == 403, is_keys || is_get, "{operation:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn fault_08_a_revoked_key_loses_its_streams() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let boss = server.client_with("boss", [Scope::Admin]).await;
    let run = ann.start(json!({"agent": "slow", "task": "x"})).await;
    server.agents.waiting.notified().await;
    let mut frames = ann.events(&run, 0).await;
    frames.until(|frame| frame.id == Some(1)).await;
    let began = std::time::Instant::now();
    let id = ann.key.as_deref().unwrap().split('_').nth(1).unwrap();
    boss.delete(&format!("/api/v1/keys/{id}")).await.is(204);
    let end = frames.until(|frame| frame.event == "end").await;
    assert_eq!(end.data["reason"], "unauthorized");
    assert!(frames.next().await.is_none());
    assert!(began.elapsed().as_secs() < 5);
    assert_eq!(ann.get("/api/v1/me").await.problem(401), "unauthorized");
    server.agents.gate.add_permits(1);
    server.stop().await;
}

#[tokio::test]
async fn keys_are_made_shown_once_used_and_revoked() {
    let server = Server::start().await;
    let boss = server.client_with("boss", [Scope::Admin]).await;
    let made = boss
        .post(
            "/api/v1/keys",
            json!({"user": "ann", "scopes": ["run", "read"], "label": "laptop", "expires_s": 60}),
        )
        .await
        .is(201);
    let mut ann = server.nobody();
    ann.key = Some(made["key"].as_str().unwrap().to_owned());
    assert_eq!(ann.get("/api/v1/me").await.is(200)["key"], made["id"]);
    let secret = made["key"].as_str().unwrap().rsplit('_').next().unwrap();
    let list = boss.get("/api/v1/keys").await;
    assert!(!list.text.contains(secret));
    let list = list.is(200);
    let row = list["keys"].as_array().unwrap().iter().find(|row| row["id"] == made["id"]).unwrap().clone();
    assert_eq!((&row["user"], &row["label"]), (&json!("ann"), &json!("laptop")));
    assert_eq!(
        boss.post("/api/v1/keys", json!({"user": "ann", "scopes": ["root"]})).await.problem(400),
        "bad_request"
    );
    assert_eq!(
        boss.post("/api/v1/keys", json!({"user": "", "scopes": ["run"]})).await.problem(400),
        "bad_request"
    );
    boss.delete(&format!("/api/v1/keys/{}", made["id"].as_str().unwrap())).await.is(204);
    assert_eq!(ann.get("/api/v1/me").await.problem(401), "unauthorized");
    // Another tenant's administrator sees nothing of it.
    let owner = Principal::new("other", "root").unwrap();
    let request =
        KeyRequest { owner, scopes: Scopes::all(), label: String::new(), created_ms: 1, expires_ms: None };
    let (key, row) = ApiKey::issue(request).unwrap();
    server.service.store().create_key(row).await.unwrap();
    let mut other = server.nobody();
    other.key = Some(key.text().expose().to_owned());
    assert_eq!(other.get("/api/v1/keys").await.is(200)["keys"].as_array().unwrap().len(), 1);
    let path = format!("/api/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(other.delete(&path).await.problem(404), "not_found");
    server.stop().await;
}

#[tokio::test]
async fn a_proxy_that_is_believed_says_who_asks() {
    let header =
        |proxy: &str| UserHeader::new("x-forwarded-user".parse().unwrap(), [proxy.parse().unwrap()], "acme");
    let server =
        Server::start_with(quick(), HttpOptions::new(Auth::Keys).user_header(header("127.0.0.1"))).await;
    let nobody = server.nobody();
    let request = |user: &str| nobody.request(Method::GET, "/api/v1/me").header("x-forwarded-user", user);
    assert_eq!(nobody.send(request("ann")).await.is(200)["user"], "ann");
    assert_eq!(nobody.get("/api/v1/me").await.problem(401), "unauthorized");
    let twice = request("ann").header("x-forwarded-user", "bob");
    assert_eq!(nobody.send(twice).await.problem(401), "unauthorized");
    server.stop().await;
    let server =
        Server::start_with(quick(), HttpOptions::new(Auth::Keys).user_header(header("192.0.2.1"))).await;
    let nobody = server.nobody();
    let request = nobody.request(Method::GET, "/api/v1/me").header("x-forwarded-user", "ann");
    assert_eq!(nobody.send(request).await.problem(401), "unauthorized");
    server.stop().await;
}

#[tokio::test]
async fn fault_10_pages_of_other_sites_do_nothing() {
    let open = HttpOptions::new(Auth::Open { principal: Principal::local() });
    let server = Server::start_with(quick(), open.allowed_origins(["https://friend.example"])).await;
    let nobody = server.nobody();
    let port = server.address.port();
    let post = || nobody.posting("/api/v1/runs", &json!({"task": "x"}));
    // The name of a site that points to this machine.
    for host in ["evil.example", "evil.example:80", "localhost.evil.example"] {
        for request in
            [post(), nobody.request(Method::GET, "/api/v1/runs"), nobody.request(Method::GET, "/livez")]
        {
            assert_eq!(nobody.send(request.header(HOST, host)).await.problem(403), "forbidden", "{host}");
        }
    }
    for origin in
        ["https://evil.example", "null", "http://localhost:1", "https://friend.example.evil.example"]
    {
        assert_eq!(nobody.send(post().header(ORIGIN, origin)).await.problem(403), "forbidden", "{origin}");
    }
    assert_eq!(nobody.send(post().header("sec-fetch-site", "cross-site")).await.problem(403), "forbidden");
    let scenarios = nobody.request(Method::GET, "/test/scenarios").header("sec-fetch-site", "cross-site");
    assert_eq!(nobody.send(scenarios).await.problem(403), "forbidden");
    // Nothing was done.
    assert_eq!(nobody.get("/api/v1/runs").await.is(200)["runs"], json!([]));
    let own = format!("http://localhost:{port}");
    let request = post().header(HOST, format!("localhost:{port}")).header(ORIGIN, own);
    nobody.send(request).await.is(202);
    let friend = nobody.send(post().header(ORIGIN, "https://friend.example")).await;
    friend.is(202);
    assert_eq!(friend.headers["access-control-allow-origin"], "https://friend.example");
    server.stop().await;
}

#[tokio::test]
async fn fault_10_other_origins_are_closed_unless_they_are_listed() {
    let server =
        Server::start_with(quick(), HttpOptions::new(Auth::Keys).allowed_origins(["https://a.example"]))
            .await;
    let nobody = server.nobody();
    let preflight = |origin: &str| {
        nobody
            .request(Method::OPTIONS, "/api/v1/runs")
            .header(ORIGIN, origin)
            .header("access-control-request-method", "POST")
    };
    let answer = nobody.send(preflight("https://a.example")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://a.example");
    assert!(answer.headers["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    let answer = nobody.send(preflight("https://b.example")).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"), "{answer:?}");
    server.stop().await;
}

/// Everything of this server is some operation of its document, so that the tests above are about all of it.
#[tokio::test]
async fn what_is_not_in_the_document_is_not_there() {
    let server = Server::start().await;
    let ann = server.client_with("ann", [Scope::Admin]).await;
    assert_eq!(ann.get("/api/v1/nothing").await.problem(404), "not_found");
    for Operation { method, path, .. } in operations() {
        for other in [Method::PUT, Method::PATCH, Method::DELETE, Method::POST, Method::GET] {
            let is_known = operations().iter().any(|one| one.path == path && one.method == other);
            if !is_known {
                let answer = ann.send(ann.request(other.clone(), &path.replace(['{', '}'], "x"))).await;
                let code = match path.starts_with("/v1/") {
                    true => answer.is(405)["error"]["code"].as_str().unwrap().to_owned(),
                    false => answer.problem(405),
                };
                assert_eq!(code, "method_not_allowed", "{other} {path}, known with {method}");
            }
        }
    }
    server.stop().await;
}
