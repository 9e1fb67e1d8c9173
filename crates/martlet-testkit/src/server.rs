//! A server on this machine that speaks HTTP as far as a test needs it.
//!
//! It is written on bare sockets: only so can it cut a message anywhere, see at once that a client is gone,
//! and hold ten thousand connections in little memory.

mod connection;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::captured::CapturedRequest;
use crate::reply::{Body, Reply};

/// So many requests are kept unless [`FakeServerBuilder::capture`] says otherwise.
const CAPTURED: usize = 1024;

/// What a fake server has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections that were opened.
    pub connections: usize,
    /// Connections that are open.
    pub open: usize,
    /// Requests that arrived whole.
    pub requests: usize,
    /// Requests that are being answered.
    pub in_flight: usize,
    /// The most of them at once.
    pub peak_in_flight: usize,
    /// Requests that were answered as they should be, faults included.
    pub answered: usize,
    /// Requests whose client went away before the answer was complete.
    pub aborted: usize,
}

type Respond = dyn Fn(&CapturedRequest) -> Reply + Send + Sync;

pub(crate) enum Behaviour {
    /// One answer for everything, written ahead.
    Constant { reply: Box<Reply>, prepared: Option<Prepared> },
    /// Answers in order.
    Script(Mutex<VecDeque<Reply>>),
    /// A function of the request.
    Function(Box<Respond>),
}

/// Both forms of a completion as whole HTTP responses.
pub(crate) struct Prepared {
    pub(crate) json: bytes::Bytes,
    pub(crate) stream: bytes::Bytes,
}

pub(crate) struct Shared {
    pub(crate) behaviour: Behaviour,
    capture: usize,
    captured: Mutex<Vec<CapturedRequest>>,
    next: AtomicUsize,
    counters: watch::Sender<Counters>,
}

impl Shared {
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        self.counters.send_modify(change);
    }

    pub(crate) fn next_index(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn captures(&self) -> bool {
        self.capture > 0
    }

    pub(crate) fn capture(&self, request: &CapturedRequest) {
        let mut captured = lock(&self.captured);
        if captured.len() < self.capture {
            captured.push(request.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn next_of(script: &Mutex<VecDeque<Reply>>) -> Reply {
    let next = lock(script).pop_front();
    next.unwrap_or_else(|| Reply::status(500, "the script of the fake server has no more replies"))
}

/// A fake OpenAI-compatible server on 127.0.0.1, on a thread and a clock of its own. It stops when it is dropped.
pub struct FakeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    counters: watch::Receiver<Counters>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Sets up a [`FakeServer`].
pub struct FakeServerBuilder {
    behaviour: Behaviour,
    capture: usize,
    port: u16,
}

impl FakeServer {
    /// Answers in order; when the replies are used up, with status 500.
    pub fn with_replies(replies: impl IntoIterator<Item = impl Into<Reply>>) -> Self {
        Self::builder_with_replies(replies).spawn_thread()
    }

    /// Answers with what `respond` makes of each request.
    pub fn with(respond: impl Fn(&CapturedRequest) -> Reply + Send + Sync + 'static) -> Self {
        Self::builder_with(respond).spawn_thread()
    }

    /// Always gives the same answer, prepared ahead: the fast path for load tests, which keeps no requests.
    pub fn always(reply: impl Into<Reply>) -> Self {
        Self::builder_always(reply).capture(0).spawn_thread()
    }

    /// Like [`FakeServer::with_replies`], to be set up further.
    pub fn builder_with_replies(replies: impl IntoIterator<Item = impl Into<Reply>>) -> FakeServerBuilder {
        FakeServerBuilder::new(Behaviour::Script(Mutex::new(replies.into_iter().map(Into::into).collect())))
    }

    /// Like [`FakeServer::with`], to be set up further.
    pub fn builder_with(
        respond: impl Fn(&CapturedRequest) -> Reply + Send + Sync + 'static,
    ) -> FakeServerBuilder {
        FakeServerBuilder::new(Behaviour::Function(Box::new(respond)))
    }

    /// Like [`FakeServer::always`], to be set up further.
    pub fn builder_always(reply: impl Into<Reply>) -> FakeServerBuilder {
        let reply = reply.into();
        let prepared = match &reply.body {
            Body::Completion(completion) if completion.piece_delay.is_zero() => Some(Prepared {
                json: connection::full(&reply, "application/json", &completion.to_json()),
                stream: connection::full(&reply, "text/event-stream", &completion.to_events().concat()),
            }),
            _ => None,
        };
        FakeServerBuilder::new(Behaviour::Constant { reply: Box::new(reply), prepared })
    }

    /// The base URL for clients, ending in `/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that were kept, in the order of their arrival.
    pub fn requests(&self) -> Vec<CapturedRequest> {
        lock(&self.shared.captured).clone()
    }

    /// What it has seen so far.
    pub fn counters(&self) -> Counters {
        *self.counters.borrow()
    }

    /// Waits until the counters are as `condition` asks, for as long as that takes: put a time limit around it.
    pub async fn wait_until(&self, condition: impl FnMut(&Counters) -> bool) -> Counters {
        let mut counters = self.counters.clone();
        let seen = counters.wait_for(condition).await.map(|counters| *counters);
        // The sender lives in `self`, so it cannot be gone.
        seen.unwrap_or_default()
    }

    /// Waits until `count` requests were given up by their clients.
    pub async fn wait_until_aborted(&self, count: usize) {
        self.wait_until(|counters| counters.aborted >= count).await;
    }

    /// Waits until `count` requests are being answered at once.
    pub async fn wait_until_in_flight(&self, count: usize) {
        self.wait_until(|counters| counters.in_flight >= count).await;
    }

    /// Waits for the thread to end, which it does only if the process is told to stop: for a program that is
    /// nothing but this server.
    pub fn serve_forever(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl FakeServerBuilder {
    fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, capture: CAPTURED, port: 0 }
    }

    /// How many requests are kept for [`FakeServer::requests`]. Default: the first 1024.
    #[must_use]
    pub fn capture(mut self, count: usize) -> Self {
        self.capture = count;
        self
    }

    /// The port. Default: 0, any that is free.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the server on a thread of its own.
    ///
    /// # Panics
    /// If the port or a thread cannot be had: there is no test without them.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its server")]
    pub fn spawn_thread(self) -> FakeServer {
        let (counters, receiver) = watch::channel(Counters::default());
        let shared = Arc::new(Shared {
            behaviour: self.behaviour,
            capture: self.capture,
            captured: Mutex::default(),
            next: AtomicUsize::new(0),
            counters,
        });
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("fake-server".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.expect("a runtime for the fake server");
                runtime.block_on(async {
                    let listener = listen(self.port).expect("a port for the fake server");
                    let address = listener.local_addr().expect("the address of the fake server");
                    let _ = ready.send(address);
                    tokio::select! {
                        () = accept(&listener, &shared) => {}
                        _ = stopped => {}
                    }
                });
            }
        });
        let thread = thread.expect("a thread for the fake server");
        let address = address.recv().expect("the fake server listens");
        FakeServer { address, shared, counters: receiver, stop: Some(stop), thread: Some(thread) }
    }
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    // Load tests open thousands of connections at once.
    socket.listen(16_384)
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(connection::serve(socket, Arc::clone(shared)));
                }
                // Out of descriptors: the next one may find some.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeServer")
            .field("address", &self.address)
            .field("counters", &self.counters())
            .finish()
    }
}
