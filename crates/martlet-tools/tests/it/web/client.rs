//! Fault 24: whatever an address looks like, and wherever it leads.

use std::sync::Arc;
use std::time::Duration;

use martlet_tools::web::{Client, ClientBuilder, FetchErrorKind};

use super::{Asked, Names, Reply, Server};

const BOMB: &[u8] = include_bytes!("../fixtures/bomb.gz");

async fn plain() -> Server {
    Server::new(|_: Asked| async { Reply::page("text/plain", "hello") }).await
}

fn names(names: &[(&str, &[&[&str]])]) -> ClientBuilder {
    Client::builder().lookup(Arc::new(Names::of(names)))
}

#[tokio::test]
async fn no_way_to_write_this_machine_leads_to_it() {
    let server = plain().await;
    let client = names(&[
        ("localhost", &[&["127.0.0.1", "::1"]]),
        ("localhost.", &[&["127.0.0.1"]]),
        ("inner.example", &[&["10.0.0.1", "127.0.0.1"]]),
        ("mapped.example", &[&["::ffff:127.0.0.1"]]),
        ("metadata.example", &[&["169.254.169.254"]]),
    ])
    .build()
    .unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "0x7f.0.0.1",
        "2130706433",
        "0177.1",
        "017700000001",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "0",
        "[::]",
        "a@127.0.0.1",
        "a:b@127.0.0.1",
        "example.com@127.0.0.1",
        "①②⑦.⓪.⓪.①",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "inner.example",
        "mapped.example",
        "metadata.example",
        "169.254.169.254",
    ] {
        let error = client.get(&server.url(host, "/")).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Refused, "{host}: {error}");
    }
    for address in ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:70/", "data:text/plain,x"] {
        assert_eq!(client.get(address).await.unwrap_err().kind(), FetchErrorKind::Refused, "{address}");
    }
    assert!(server.paths().is_empty(), "{:?}", server.paths());
    let error = client.get("http://127.0.0.1/").await.unwrap_err();
    assert!(
        error.to_string().contains("an address of this machine")
            && error.to_string().contains("another source")
    );
    let unknown = client.get("http://nowhere.example/").await.unwrap_err();
    assert_eq!(unknown.kind(), FetchErrorKind::Unreachable);
    assert!(unknown.to_string().contains("no address for the host `nowhere.example`"), "{unknown}");
}

#[tokio::test]
async fn what_was_allowed_is_reached_and_nothing_else() {
    let server = plain().await;
    let builder = names(&[("ok.test", &[&["127.0.0.1"]]), ("other.test", &[&["127.0.0.1"]])]);
    let client = builder.clone().allow_hosts(["ok.test"]).build().unwrap();
    let fetched = client.get(&server.url("ok.test", "/x?y=1")).await.unwrap();
    assert_eq!((&fetched.body[..], fetched.content_type.as_deref()), (&b"hello"[..], Some("text/plain")));
    assert!(client.get(&server.url("other.test", "/")).await.is_err());
    assert!(client.get(&server.url("127.0.0.1", "/")).await.is_err());
    let client = builder.allow_private().build().unwrap();
    client.get(&server.url("other.test", "/")).await.unwrap();
    client.get(&server.url("127.0.0.1", "/")).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    for asked in asked {
        assert!(!asked.head.contains("cookie:") && !asked.head.contains("referer:"), "{}", asked.head);
        assert!(asked.head.contains("user-agent: mozilla/5.0 (compatible; martlet/"), "{}", asked.head);
    }
}

#[tokio::test]
async fn what_a_name_stands_for_is_asked_once_and_that_is_where_the_connection_goes() {
    let server = plain().await;
    // The second answer would be another machine.
    let lookup = Arc::new(Names::of(&[("ok.test", &[&["127.0.0.1"], &["127.0.0.2"]])]));
    let client = Client::builder().lookup(lookup.clone()).allow_hosts(["ok.test"]).build().unwrap();
    client.get(&server.url("ok.test", "/")).await.unwrap();
    assert_eq!(*lookup.asked.lock().unwrap(), ["ok.test"]);
    // A name that was public and is this machine now.
    let lookup = Arc::new(Names::of(&[("turn.test", &[&["127.0.0.1"]])]));
    let client = Client::builder().lookup(lookup.clone()).build().unwrap();
    assert_eq!(client.get(&server.url("turn.test", "/")).await.unwrap_err().kind(), FetchErrorKind::Refused);
    assert_eq!(server.paths().len(), 1);
}

#[tokio::test]
async fn each_hop_is_checked_again() {
    let server = Server::new(|asked: Asked| async move {
        let port = asked
            .head
            .lines()
            .find_map(|line| line.strip_prefix("host: ok.test:"))
            .unwrap_or("80")
            .to_owned();
        match asked.path.as_str() {
            "/literal" => Reply::redirect(302, &format!("http://127.0.0.1:{port}/secret")),
            "/name" => Reply::redirect(307, &format!("http://inner.test:{port}/secret")),
            "/metadata" => Reply::redirect(301, "http://169.254.169.254/latest/meta-data/"),
            "/user" => Reply::redirect(302, &format!("http://a@ok.test:{port}/secret")),
            "/file" => Reply::redirect(302, "file:///etc/passwd"),
            "/port" => Reply::redirect(302, "http://ok.test:25/secret"),
            "/loop" => Reply::redirect(302, "/loop"),
            "/secret" => Reply::page("text/plain", "secret"),
            "/0" => Reply::page("text/plain", "arrived"),
            path => {
                let left: u32 = path.trim_start_matches('/').parse().unwrap();
                Reply::redirect(303, &(left - 1).to_string())
            }
        }
    })
    .await;
    let client = names(&[("ok.test", &[&["127.0.0.1"]]), ("inner.test", &[&["127.0.0.1"]])])
        .allow_hosts(["ok.test"])
        .build()
        .unwrap();
    for path in ["/literal", "/name", "/metadata", "/user", "/file", "/port"] {
        let error = client.get(&server.url("ok.test", path)).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Refused, "{path}: {error}");
    }
    assert!(!server.paths().contains(&"/secret".to_owned()));
    let fetched = client.get(&server.url("ok.test", "/5")).await.unwrap();
    assert_eq!((&fetched.body[..], fetched.url.path()), (&b"arrived"[..], "/0"));
    for path in ["/6", "/loop"] {
        let error = client.get(&server.url("ok.test", path)).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Redirects, "{path}: {error}");
    }
}

#[tokio::test]
async fn nothing_is_read_without_end() {
    let server = Server::new(|asked: Asked| async move {
        let head =
            |more: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{more}\r\n").into_bytes();
        match asked.path.as_str() {
            "/bomb" => {
                let head = head(&format!("content-encoding: gzip\r\ncontent-length: {}\r\n", BOMB.len()));
                Reply::Bytes([&head[..], BOMB].concat())
            }
            "/endless" => Reply::Endless(head("connection: close\r\n"), vec![b'x'; 65_536]),
            "/chunks" => {
                Reply::Endless(head("transfer-encoding: chunked\r\n"), b"4\r\nabcd\r\n".repeat(4_096))
            }
            "/announced" => Reply::Hang(head("content-length: 99999999999\r\n")),
            "/headers" => {
                Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-y: zzzzzzzzzzzz\r\n".repeat(100))
            }
            "/silent" => Reply::Hang(Vec::new()),
            _ => Reply::Hang(head("content-length: 10\r\n")),
        }
    })
    .await;
    let client = Client::builder().allow_private().max_time(Duration::from_millis(400)).build().unwrap();
    let fetch = async |path: &str| client.get(&server.url("127.0.0.1", path)).await.unwrap_err().kind();
    assert_eq!(fetch("/bomb").await, FetchErrorKind::TooLarge);
    assert_eq!(fetch("/announced").await, FetchErrorKind::TooLarge);
    assert_eq!(fetch("/silent").await, FetchErrorKind::TimedOut);
    assert_eq!(fetch("/stalled").await, FetchErrorKind::TimedOut);
    // The time is the other tests' too: these may reach either limit.
    let patient = Client::builder().allow_private().build().unwrap();
    for path in ["/endless", "/chunks"] {
        let error = patient.get(&server.url("127.0.0.1", path)).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::TooLarge, "{path}: {error}");
    }
    let error = patient.get(&server.url("127.0.0.1", "/headers")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn a_proxy_is_used_only_where_one_is_set_and_is_not_asked_for_private_addresses() {
    let proxy = plain().await;
    let client = names(&[
        ("proxy.test", &[&["127.0.0.1"]]),
        ("public.test", &[&["8.8.8.8"]]),
        ("inner.test", &[&["10.0.0.1"]]),
    ])
    .proxy(proxy.url("proxy.test", "/").parse().unwrap())
    .build()
    .unwrap();
    assert_eq!(&client.get("http://public.test/page").await.unwrap().body[..], b"hello");
    assert_eq!(proxy.paths(), ["http://public.test/page"]);
    for address in
        ["http://inner.test/", "http://127.0.0.1/", "http://169.254.169.254/", "http://proxy.test:9200/"]
    {
        assert_eq!(client.get(address).await.unwrap_err().kind(), FetchErrorKind::Refused, "{address}");
    }
    assert_eq!(proxy.paths().len(), 1);
}
