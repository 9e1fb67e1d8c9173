//! Files that people bring.

use std::fmt::Write as _;

use futures::future::join_all;
use http::Method;
use http::header::CONTENT_TYPE;
use martlet_server::{Auth, HttpOptions};
use serde_json::{Value, json};

use super::Server;
use super::server::{Client, quick};

/// A request with a form of files: name, type, content.
pub(crate) fn form(
    request: reqwest::RequestBuilder,
    files: &[(&str, &str, &[u8])],
) -> reqwest::RequestBuilder {
    let mut body = Vec::new();
    for (name, media_type, content) in files {
        let mut head = String::from("--boundary7\r\n");
        write!(head, "content-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n").unwrap();
        write!(head, "content-type: {media_type}\r\n\r\n").unwrap();
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--boundary7--\r\n");
    request.header(CONTENT_TYPE, "multipart/form-data; boundary=boundary7").body(body)
}

fn upload(client: &Client, files: &[(&str, &str, &[u8])]) -> reqwest::RequestBuilder {
    form(client.request(Method::POST, "/api/v1/files"), files)
}

async fn listed(client: &Client) -> usize {
    client.get("/api/v1/files").await.is(200)["files"].as_array().unwrap().len()
}

#[tokio::test]
async fn files_are_kept_given_back_used_and_deleted() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let files = upload(&ann, &[("a.txt", "text/plain", b"hello"), ("<b>.html", "text/html", b"<script>")]);
    let files = ann.send(files).await.is(201);
    let (first, second) = (&files["files"][0], &files["files"][1]);
    assert_eq!((&first["name"], &first["size"]), (&json!("a.txt"), &json!(5)));
    let got = ann.get(&format!("/api/v1/files/{}", second["id"].as_str().unwrap())).await;
    assert_eq!(got.text, "<script>");
    // A browser saves it, and runs nothing of it.
    assert_eq!(
        got.headers["content-disposition"],
        "attachment; filename=\"_b_.html\"; filename*=UTF-8''_b_.html"
    );
    assert_eq!(got.headers["x-content-type-options"], "nosniff");
    assert!(got.headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
    let run = ann.run(json!({"task": "read it", "files": [first["id"]]})).await;
    assert_eq!(run["outcome"], "succeeded");
    ann.delete(&format!("/api/v1/files/{}", first["id"].as_str().unwrap())).await.is(204);
    assert_eq!(listed(&ann).await, 1);
    let gone = ann.post("/api/v1/runs", json!({"task": "read it", "files": [first["id"]]})).await;
    assert_eq!(gone.problem(404), "not_found");
    server.stop().await;
}

#[tokio::test]
async fn fault_11_uploads_are_kept_under_no_path_or_refused() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    for (name, expected) in [
        ("../../etc/passwd", "passwd"),
        ("/etc/shadow", "shadow"),
        ("..\\\\..\\\\x", "x"),
        ("CON", "_CON"),
        ("..", "file"),
        (&"n".repeat(1_000), &"n".repeat(200)),
    ] {
        let kept = ann.send(upload(&ann, &[(name, "text/plain", b"x")])).await.is(201);
        assert_eq!(kept["files"][0]["name"], expected, "{name}");
        let id = kept["files"][0]["id"].as_str().unwrap();
        assert!(id.starts_with("file_") && id.len() == 31, "{id}");
    }
    let before = listed(&ann).await;
    let bad_image =
        upload(&ann, &[("ok.txt", "text/plain", b"x"), ("x.png", "image/png", b"<svg onload=x>")]);
    assert_eq!(ann.send(bad_image).await.problem(415), "unsupported_media_type");
    let svg = upload(&ann, &[("x.svg", "image/svg+xml", b"<svg/>")]);
    assert_eq!(ann.send(svg).await.problem(415), "unsupported_media_type");
    let many: Vec<(&str, &str, &[u8])> = vec![("x", "text/plain", b"x"); 11];
    assert_eq!(ann.send(upload(&ann, &many)).await.problem(413), "payload_too_large");
    let large = vec![b'x'; 25 * 1024 * 1024 + 1];
    assert_eq!(
        ann.send(upload(&ann, &[("x", "text/plain", &large)])).await.problem(413),
        "payload_too_large"
    );
    assert_eq!(ann.send(upload(&ann, &[])).await.problem(400), "bad_request");
    // JSON that says it is a file, and a form whose part is a path.
    let json = ann
        .post("/api/v1/files", json!({"files": [{"path": "/etc/passwd", "filepath": "/etc/passwd"}]}))
        .await;
    assert_eq!(json.problem(415), "unsupported_media_type");
    let path = "--b\r\ncontent-disposition: form-data; name=\"path\"\r\n\r\n/etc/passwd\r\n--b--\r\n";
    let path = ann.request(Method::POST, "/api/v1/files").body(path);
    let path = path.header(CONTENT_TYPE, "multipart/form-data; boundary=b");
    assert_eq!(ann.send(path).await.problem(400), "bad_request");
    for broken in [
        "",
        "--boundary7",
        "--boundary7\r\ncontent-disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nabc",
    ] {
        let request = ann.request(Method::POST, "/api/v1/files").body(broken);
        let request = request.header(CONTENT_TYPE, "multipart/form-data; boundary=boundary7");
        assert_eq!(ann.send(request).await.problem(400), "bad_request", "{broken}");
    }
    // Of an upload that failed, nothing stays, once what was kept of it is removed.
    while listed(&ann).await != before {
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn fault_11_nobody_fills_the_disk() {
    let server = Server::start_with(quick(), HttpOptions::new(Auth::Keys).max_file_bytes(1_000)).await;
    let ann = server.client("ann").await;
    let content = [b'x'; 300];
    let uploads = (0..12).map(|_| ann.send(upload(&ann, &[("x", "text/plain", &content)])));
    let answers = join_all(uploads).await;
    let kept = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(kept, 3);
    let refused = answers.iter().find(|answer| answer.status != 201).unwrap();
    assert_eq!(refused.problem(413), "payload_too_large");
    let bob = server.client("bob").await;
    bob.send(upload(&bob, &[("x", "text/plain", &content)])).await.is(201);
    let files = ann.get("/api/v1/files").await.is(200);
    let sizes: u64 =
        files["files"].as_array().unwrap().iter().filter_map(|file: &Value| file["size"].as_u64()).sum();
    assert_eq!(sizes, 900);
    server.stop().await;
}
