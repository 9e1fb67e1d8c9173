//! One connection: requests in, answers out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Behaviour, Shared, next_of};
use crate::captured::CapturedRequest;
use crate::gate::Moment;
use crate::reply::{Body, Reply, Step};

/// What happens to the connection after an answer.
#[derive(PartialEq, Eq)]
enum Then {
    KeepAlive,
    Close,
}

/// Counts an open connection as long as it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.count(|counters| counters.open -= 1);
    }
}

/// Counts a request in flight as long as it lives; one that is dropped early was aborted.
struct InFlight {
    shared: Arc<Shared>,
    answered: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let answered = self.answered;
        self.shared.count(|counters| {
            counters.in_flight -= 1;
            if answered {
                counters.answered += 1;
            } else {
                counters.aborted += 1;
            }
        });
    }
}

pub(super) async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let _ = socket.set_nodelay(true);
    shared.count(|counters| {
        counters.connections += 1;
        counters.open += 1;
    });
    let _open = Open(Arc::clone(&shared));
    let mut buffer = BytesMut::new();
    // An error of the socket means that the client is gone, which the counters have noted.
    while let Ok(Some(request)) = read_request(&mut socket, &mut buffer, &shared).await {
        shared.count(|counters| {
            counters.requests += 1;
            counters.in_flight += 1;
            counters.peak_in_flight = counters.peak_in_flight.max(counters.in_flight);
        });
        let mut in_flight = InFlight { shared: Arc::clone(&shared), answered: false };
        if shared.captures() {
            shared.capture(&request);
        }
        match answer(&mut socket, &mut buffer, &request, &shared).await {
            Ok(then) => {
                in_flight.answered = true;
                if then == Then::Close {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// Reads a request; none if the client has closed the connection.
async fn read_request(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    shared: &Shared,
) -> io::Result<Option<CapturedRequest>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = buffer.split_to(end);
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let path = first.next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        // A load test keeps no requests and a function may look at any header.
        if shared.captures() || matches!(shared.behaviour, Behaviour::Function(_)) {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    drop(head);
    while buffer.len() < length {
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer.split_to(length).freeze();
    Ok(Some(CapturedRequest { method, path, headers, body, index: shared.next_index() }))
}

async fn answer(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    request: &CapturedRequest,
    shared: &Shared,
) -> io::Result<Then> {
    let made;
    let reply = match &shared.behaviour {
        Behaviour::Constant { reply, prepared: Some(prepared) } => {
            watch(socket, buffer, wait(reply.delay)).await?;
            let bytes = if request.wants_stream() { &prepared.stream } else { &prepared.json };
            socket.write_all(bytes).await?;
            return Ok(Then::KeepAlive);
        }
        Behaviour::Constant { reply, prepared: None } => reply,
        Behaviour::Script(script) => {
            made = next_of(script);
            &made
        }
        Behaviour::Function(respond) => {
            made = respond(request);
            &made
        }
    };
    watch(socket, buffer, wait(reply.delay)).await?;
    if let Some((gate, moment)) = &reply.until {
        watch(socket, buffer, gate.wait(*moment)).await?;
    }
    match &reply.body {
        Body::Completion(completion) if request.wants_stream() => {
            let pause = completion.piece_delay;
            let steps = completion.to_events().into_iter().flat_map(|event| {
                let pause = (!pause.is_zero()).then_some(Step::Pause(pause));
                pause.into_iter().chain([Step::Bytes(event)])
            });
            pieces(socket, buffer, reply, "text/event-stream", steps).await
        }
        Body::Completion(completion) => {
            socket.write_all(&full(reply, "application/json", &completion.to_json())).await?;
            Ok(Then::KeepAlive)
        }
        Body::Full { content_type, bytes } => {
            socket.write_all(&full(reply, content_type, bytes)).await?;
            Ok(Then::KeepAlive)
        }
        Body::Pieces { content_type, steps } => {
            pieces(socket, buffer, reply, content_type, steps.iter().cloned()).await
        }
        Body::Raw(bytes) => {
            socket.write_all(bytes).await?;
            Ok(Then::Close)
        }
        Body::Never => {
            watch(socket, buffer, std::future::pending()).await?;
            Ok(Then::Close)
        }
    }
}

async fn pieces(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    reply: &Reply,
    content_type: &str,
    steps: impl Iterator<Item = Step>,
) -> io::Result<Then> {
    let mut head = head(reply, content_type);
    head.push_str("transfer-encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    for step in steps {
        match step {
            Step::Bytes(bytes) if bytes.is_empty() => {}
            Step::Bytes(bytes) => {
                let mut piece = format!("{:x}\r\n", bytes.len()).into_bytes();
                piece.extend_from_slice(&bytes);
                piece.extend_from_slice(b"\r\n");
                socket.write_all(&piece).await?;
                // Lets a client that runs on other threads take the piece by itself.
                tokio::task::yield_now().await;
            }
            Step::Pause(pause) => watch(socket, buffer, wait(pause)).await?,
            Step::Until(gate) => watch(socket, buffer, gate.wait(Moment::Open)).await?,
            Step::Hang => watch(socket, buffer, std::future::pending()).await?,
            Step::Cut => return Ok(Then::Close),
        }
    }
    socket.write_all(b"0\r\n\r\n").await?;
    Ok(Then::KeepAlive)
}

async fn wait(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// Waits for `wait`, or fails as soon as the client closes its connection.
async fn watch(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    wait: impl Future<Output = ()>,
) -> io::Result<()> {
    let gone = async {
        loop {
            match socket.read_buf(buffer).await {
                Ok(0) => return io::Error::from(io::ErrorKind::ConnectionAborted),
                // The next request, sent ahead.
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    };
    tokio::select! {
        biased;
        () = wait => Ok(()),
        error = gone => Err(error),
    }
}

/// A whole response.
pub(super) fn full(reply: &Reply, content_type: &str, body: &[u8]) -> Bytes {
    let mut response = head(reply, content_type).into_bytes();
    response.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    response.extend_from_slice(body);
    response.into()
}

fn head(reply: &Reply, content_type: &str) -> String {
    let mut head = format!("HTTP/1.1 {} Fake\r\ncontent-type: {content_type}\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}
