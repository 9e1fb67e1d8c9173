use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use martlet_testkit::{FakeServer, Reply};

pub(crate) fn send(server: &FakeServer, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        socket,
        "POST /v1/x HTTP/1.1\r\nHost: h\r\nX-A: b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    socket
}

/// What arrives until `end`.
pub(crate) fn receive(socket: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        assert_eq!(socket.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn completions_take_the_form_that_is_asked_for() {
    for server in [FakeServer::always("Hello"), FakeServer::with(|_| Reply::text("Hello"))] {
        let whole = receive(&mut send(&server, "{}"), "}}");
        assert!(whole.contains("application/json") && whole.contains("\"content\":\"Hello\""), "{whole}");
        let stream = receive(&mut send(&server, "{\"stream\": true}"), "data: [DONE]\n\n");
        assert!(stream.contains("text/event-stream") && stream.contains("\"content\":\"Hell\""), "{stream}");
    }
}

#[test]
fn requests_are_kept_up_to_a_bound() {
    let server = FakeServer::builder_with_replies(["a", "b"]).capture(1).spawn_thread();
    for body in ["{\"n\":1}", "{\"n\":2}"] {
        receive(&mut send(&server, body), "}}");
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].json()["n"].as_u64(), requests[0].header("x-a")), (Some(1), Some("b")));
    assert_eq!(server.counters().requests, 2);
}

#[test]
fn a_connection_serves_several_requests_also_those_sent_ahead() {
    let server =
        FakeServer::with_replies([Reply::text("a").delay(Duration::from_millis(20)), Reply::text("b")]);
    let mut socket = send(&server, "{}");
    write!(socket, "POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
    assert!(receive(&mut socket, "}}").contains("\"a\""));
    assert!(receive(&mut socket, "}}").contains("\"b\""));
    assert_eq!(server.counters().connections, 1);
}

#[tokio::test]
async fn clients_that_go_away_are_counted() {
    let server = FakeServer::with_replies([Reply::never(), Reply::text("a")]);
    let socket = send(&server, "{}");
    server.wait_until_in_flight(1).await;
    drop(socket);
    server.wait_until_aborted(1).await;
    let mut socket = send(&server, "{}");
    receive(&mut socket, "}}");
    let counters = server.wait_until(|counters| counters.answered == 1).await;
    assert_eq!((counters.requests, counters.aborted, counters.in_flight), (2, 1, 0));
}

#[test]
fn dropping_the_server_closes_its_connections() {
    let server = FakeServer::with_replies([Reply::never()]);
    let mut socket = send(&server, "{}");
    drop(server);
    let mut rest = Vec::new();
    // Closed or reset, but not open.
    assert!(
        !matches!(socket.read_to_end(&mut rest), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    );
    assert!(rest.is_empty());
}

#[test]
fn one_thread_serves_thousands_at_once() {
    let server = FakeServer::always(Reply::text("OK").delay(Duration::from_millis(300)));
    let mut sockets: Vec<TcpStream> = (0..2000).map(|_| send(&server, "{}")).collect();
    for socket in &mut sockets {
        receive(socket, "}}");
    }
    let counters = server.counters();
    assert_eq!((counters.requests, counters.connections), (2000, 2000));
    assert!(counters.peak_in_flight > 100, "{counters:?}");
}
