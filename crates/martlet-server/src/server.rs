//! Serving a router over TCP, with limits on what clients may hold, and an end that loses nothing.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::service::Service;
use stalled::WriteTimeout;

mod stalled;

/// How long a client may take to send the head of a request, and how long a connection may idle.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The head of a request, and what is buffered of an answer that the client does not read, in bytes.
const BUFFER: usize = 64 * 1024;
/// How long a client may not read anything of an answer.
const STALL_TIME: Duration = Duration::from_secs(30);
/// Connections at once: further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 10_000;
/// After this the server has ended, whatever its clients do.
const END_TIME: Duration = Duration::from_secs(10);

/// Serves `router` (that of [`router`](crate::router), or one that it is mounted into) until `shutdown` is ready. Then
/// nothing is taken in any more, streams of events end, runs have the grace time of the service's options to end, and what
/// is not done by then is done after the next start. This takes at most 10 s.
///
/// A client that needs more than 10 s for the head of a request, or that reads nothing of an answer for 30 s, is cut off. It
/// speaks HTTP/1.1 without TLS; put a proxy before it for more.
///
/// # Errors
/// If the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    service: Service,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let ending = CancellationToken::new();
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &permits) => accepted?,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, peer, permit) = accepted;
        let (router, ending) = (router.clone(), ending.clone());
        connections.spawn(async move {
            if let Err(error) = connection(stream, peer, router, ending).await {
                tracing::debug!(%error, %peer, "a connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    let deadline = Instant::now() + END_TIME;
    let left = async {
        // Streams end by themselves when the service begins to.
        let ((), ()) = tokio::join!(service.shut_down(), async {
            ending.cancel();
            while connections.join_next().await.is_some() {}
        });
    };
    if timeout_at(deadline, left).await.is_err() {
        tracing::warn!("some clients were cut off: they did not let go of their connections");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Events are small, and are to arrive when they happen.
                let _ = stream.set_nodelay(true);
                return Ok((stream, peer, permit));
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                // Most likely there are no file descriptors left: they come back as connections end.
                tracing::error!(%error, "no connection could be accepted");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    ending: CancellationToken,
) -> Result<(), hyper::Error> {
    let answer = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            request.extensions_mut().insert(ConnectInfo(peer));
            Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream, STALL_TIME)), answer);
    tokio::pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = ending.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
