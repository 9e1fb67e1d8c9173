//! `web_search`, `visit_webpage` and `download_images`.

use std::sync::Arc;
use std::time::Duration;

use martlet_tools::web::{Client, DownloadImages, SearchProvider, VisitWebpage, WebSearch};
use martlet_tools::{Part, Tool, ToolContext, ToolFailure, ToolFailureKind, ToolOutput, Toolbox};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::{Asked, Reply, Server};

fn client() -> Client {
    Client::builder().allow_private().build().unwrap()
}

async fn call(tool: impl Tool + 'static, arguments: Value) -> Result<ToolOutput, ToolFailure> {
    let name = tool.spec().name.clone();
    let flags = tool.spec().flags;
    assert!(flags.read_only && flags.idempotent, "{name}");
    let tools = Toolbox::new().with(tool).unwrap();
    tools.call(&name, arguments.as_object().unwrap().clone(), &ToolContext::trial()).await
}

async fn visit(server: &Server, path: &str) -> Result<ToolOutput, ToolFailure> {
    call(VisitWebpage::new(client()), json!({"url": server.url("127.0.0.1", path)})).await
}

/// The beginning of a PNG file, which is all that its size takes.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend(b"\x08\x02\0\0\0\x90wS\xde");
    bytes
}

async fn pages() -> Server {
    Server::new(|asked: Asked| async move {
        match asked.path.as_str() {
            "/page" => Reply::page(
                "text/html; charset=utf-8",
                "<html><head><title>Birds</title></head><body><h2>Swifts</h2><p>They <b>never</b> land. \
                 <a href='/more'>More</a></p><script>evil()</script></body></html>",
            ),
            "/latin" => Reply::page(
                "text/html; charset=iso-8859-1",
                b"<title>Caf\xe9</title><p>Cr\xe8me br\xfbl\xe9e</p>",
            ),
            "/meta" => {
                Reply::page("text/html", b"<meta charset=\"windows-1251\"><p>\xcf\xf0\xe8\xe2\xe5\xf2</p>")
            }
            "/data.json" => Reply::page("application/json", "{\"a\": [1, 2]}"),
            "/empty" => Reply::page("text/html", "<body><script>draw()</script></body>"),
            "/binary" => Reply::page("application/octet-stream", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"),
            "/image" => Reply::page("text/html", png(640, 480)),
            "/long" => Reply::page("text/plain", "0123456789".repeat(10)),
            "/moved" => Reply::redirect(301, "/page"),
            "/forbidden" => Reply::status(403),
            _ => Reply::status(404),
        }
    })
    .await
}

#[tokio::test]
async fn pages_are_read_as_text() {
    let server = pages().await;
    for (path, expected) in [
        ("/page", "# Birds\n\n## Swifts\n\nThey **never** land. [More](http://127.0.0.1:PORT/more)"),
        ("/moved", "# Birds\n\n## Swifts\n\nThey **never** land. [More](http://127.0.0.1:PORT/more)"),
        ("/latin", "# Café\n\nCrème brûlée"),
        ("/meta", "Привет"),
        ("/data.json", "{\"a\": [1, 2]}"),
    ] {
        let expected = expected.replace("PORT", &server.address.port().to_string());
        assert_eq!(visit(&server, path).await.unwrap().to_text(), expected, "{path}");
    }
    let image = visit(&server, "/image").await.unwrap().to_parts();
    assert!(image[0].as_text().unwrap().ends_with("640×480 pixels."), "{image:?}");
    assert!(matches!(&image[1], Part::Image { media_type, .. } if &**media_type == "image/png"), "{image:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_said_with_what_to_do() {
    let server = pages().await;
    for (path, reason) in [
        ("/empty", "holds no text"),
        ("/binary", "is no text (application/octet-stream)"),
        ("/forbidden", "answered 403 (forbidden): it does not let programs in"),
        ("/gone", "answered 404 (not found): there is no such page"),
    ] {
        let failure = visit(&server, path).await.unwrap_err();
        assert!(
            failure.kind == ToolFailureKind::Failed && failure.message.contains(reason),
            "{path}: {failure}"
        );
    }
    let guarded = VisitWebpage::new(Client::builder().build().unwrap());
    let failure = call(guarded, json!({"url": server.url("127.0.0.1", "/page")})).await.unwrap_err();
    assert!(failure.message.contains("only public addresses"), "{failure}");
}

#[tokio::test]
async fn a_long_page_is_read_piece_by_piece() {
    let server = pages().await;
    let url = server.url("127.0.0.1", "/long");
    let tool = || VisitWebpage::new(client()).max_chars(60);
    let first = call(tool(), json!({"url": url})).await.unwrap().to_text();
    assert!(first.starts_with(&"0123456789".repeat(6)), "{first}");
    assert!(first.ends_with("[… cut: these are the characters 0 to 60 of 100. To read on, call visit_webpage again with start=60 …]"), "{first}");
    assert_eq!(
        call(tool(), json!({"url": url, "start": 60})).await.unwrap().to_text(),
        "0123456789".repeat(4)
    );
    let beyond = call(tool(), json!({"url": url, "start": 100})).await.unwrap_err();
    assert_eq!(beyond.kind, ToolFailureKind::Arguments);
}

#[tokio::test]
async fn images_are_downloaded_at_once_and_a_failure_keeps_no_other_away() {
    let all_here = Arc::new(Barrier::new(4));
    let server = Server::new(move |asked: Asked| {
        let all_here = all_here.clone();
        async move {
            // None of them is answered before all are asked for.
            all_here.wait().await;
            match asked.path.as_str() {
                "/a" => Reply::page("text/plain", png(2, 3)),
                "/b" => Reply::page("image/png", "<html>no image</html>"),
                "/c" => Reply::page("image/gif", b"GIF89a\x05\0\x06\0\0\0\0;"),
                _ => Reply::page("image/png", png(50_000, 2)),
            }
        }
    })
    .await;
    let url = |path| server.url("127.0.0.1", path);
    let urls = [url("/a"), url("/b"), url("/c"), url("/d"), "file:///etc/passwd".into()];
    let parts = call(DownloadImages::new(client()), json!({"urls": urls})).await.unwrap().to_parts();
    let lines: Vec<&str> = parts[0].as_text().unwrap().lines().collect();
    for (line, expected) in lines.iter().zip([
        "image/png, 2×3 pixels, 1 KiB",
        "not downloaded, it is no image",
        "image/gif, 5×6 pixels",
        "not downloaded, the image has 50000×2 pixels",
        "not downloaded, `file:` is not an address of the web",
    ]) {
        assert!(line.contains(expected), "{line}");
    }
    let kinds: Vec<&str> = parts[1..]
        .iter()
        .map(|part| match part {
            Part::Image { media_type, .. } => &**media_type,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["image/png", "image/gif"]);
    let none = call(DownloadImages::new(client()), json!({"urls": ["ftp://x.example/"]})).await.unwrap_err();
    assert!(none.message.starts_with("no image was downloaded:\n1. ftp://"), "{none}");
    let many = call(DownloadImages::new(client()), json!({"urls": vec!["http://x.example/"; 21]}))
        .await
        .unwrap_err();
    assert_eq!(many.kind, ToolFailureKind::Arguments);
}

fn search(provider: SearchProvider, server: &Server) -> WebSearch {
    let address = server.url("127.0.0.1", "/find").parse().unwrap();
    WebSearch::new(client(), provider).interval(Duration::ZERO).address(address)
}

const FOUND: &str = "## Search Results\n\n[The Martlet in heraldry](https://example.org/martlet?a=1&b=2)\nA martlet is a \
                     bird without feet that & never lands.\n\n[Birds](https://example.com/birds)";

#[tokio::test]
async fn duckduckgo_is_read_without_advertisements() {
    let server = Server::new(|asked: Asked| async move {
        let page = |body: &str| Reply::page("text/html", body);
        match asked.path.as_str() {
            "/find?q=martlet+%26+co" => page(include_str!("../fixtures/duckduckgo.html")),
            "/find?q=nothing" => page(include_str!("../fixtures/duckduckgo_nothing.html")),
            "/find?q=limit" => Reply::status(403),
            _ => page(include_str!("../fixtures/duckduckgo_blocked.html")),
        }
    })
    .await;
    let ask =
        async |query: &str| call(search(SearchProvider::DuckDuckGo, &server), json!({"query": query})).await;
    assert_eq!(ask("martlet & co").await.unwrap().to_text(), FOUND);
    let one =
        search(SearchProvider::DuckDuckGo, &server).max_results(1).search("martlet & co").await.unwrap();
    assert_eq!(one.len(), 1);
    assert!(ask("nothing").await.unwrap_err().message.contains("nothing was found"));
    for query in ["robot", "limit"] {
        let blocked = ask(query).await.unwrap_err();
        assert!(blocked.message.contains("takes this program for a robot"), "{blocked}");
    }
    assert_eq!(ask(" ").await.unwrap_err().kind, ToolFailureKind::Arguments);
}

#[tokio::test]
async fn the_engines_with_keys_are_asked_as_they_want_it() {
    let list = |url: &str, snippet: &str| {
        json!([
            {"title": "The <strong>Martlet</strong> in heraldry", url: "https://example.org/martlet?a=1&b=2",
             snippet: "A martlet is a bird without feet that &amp; never lands."},
            {"title": "Birds", url: "https://example.com/birds"},
            {"title": "Odd", url: "javascript:alert(1)"},
        ])
    };
    for (provider, answer) in [
        (
            SearchProvider::Brave { key: "k-brave".into() },
            json!({"web": {"results": list("url", "description")}}),
        ),
        (SearchProvider::Serper { key: "k-serper".into() }, json!({"organic": list("link", "snippet")})),
        (
            SearchProvider::SearXng { url: "http://127.0.0.1/".parse().unwrap() },
            json!({"results": list("url", "content")}),
        ),
    ] {
        let name = format!("{provider:?}");
        let answer = answer.to_string();
        let server = Server::new(move |_: Asked| {
            let reply = Reply::page("application/json", &answer);
            async move { reply }
        })
        .await;
        let found = call(search(provider, &server), json!({"query": "martlet"})).await.unwrap();
        assert_eq!(found.to_text(), FOUND, "{name}");
        let asked = server.asked().remove(0);
        match name.as_str() {
            "Brave" => {
                assert_eq!(asked.path, "/find?q=martlet&count=10");
                assert!(asked.head.contains("x-subscription-token: k-brave"));
            }
            "Serper" => {
                assert_eq!(asked.body, r#"{"q":"martlet","num":10}"#);
                assert!(asked.head.starts_with("post ") && asked.head.contains("x-api-key: k-serper"));
            }
            _ => assert_eq!(asked.path, "/find/search?q=martlet&format=json"),
        }
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_no_matter_for_the_model() {
    for (status, reason) in [(401, "refuses the key"), (429, "limit is used up"), (302, "sends on")] {
        let server = Server::new(move |_: Asked| async move {
            if status == 302 { Reply::redirect(302, "https://example.com/") } else { Reply::status(status) }
        })
        .await;
        let brave = SearchProvider::Brave { key: "very-secret".into() };
        let failure = call(search(brave, &server), json!({"query": "x"})).await.unwrap_err();
        assert!(failure.message.contains(reason), "{failure}");
        assert!(!failure.message.contains("very-secret"));
    }
    let shown = format!("{:?}", SearchProvider::Serper { key: "very-secret".into() });
    assert!(!shown.contains("very-secret"));
}

#[tokio::test]
async fn questions_keep_their_distance() {
    let server = Server::new(|_: Asked| async {
        Reply::page("text/html", include_str!("../fixtures/duckduckgo.html"))
    })
    .await;
    let tool = search(SearchProvider::DuckDuckGo, &server).interval(Duration::from_secs(10));
    tool.search("one").await.unwrap();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    // Its turn comes after the interval; two of them later it would be too late.
    let (second, third) = tokio::join!(tool.search("two"), tool.search("three"));
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(third.unwrap_err().to_string().contains("too many searches are waiting"));
    drop(second);
}
