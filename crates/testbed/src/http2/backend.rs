//! A backend of HTTP/2 without TLS, whose answers a test writes.

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Response, request};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A running backend. It lives as long as the test's runtime.
pub struct Http2Backend {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    leave: watch::Sender<usize>,
}

/// A request that came.
pub struct Received {
    /// How many came before it.
    pub number: usize,
    /// How many connections came before its own.
    pub connection: usize,
    /// Its head.
    pub head: request::Parts,
    /// Its content.
    pub content: RecvStream,
    /// To answer it.
    pub respond: SendResponse<Bytes>,
}

impl Http2Backend {
    /// Starts one that serves each request by `answer`, in a task of its own.
    pub async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Received) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        Self::with(|_| {}, answer).await
    }

    /// The same with other settings.
    pub async fn with<F, A>(change: impl FnOnce(&mut Builder), answer: F) -> Self
    where
        F: Fn(Received) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let mut builder = Builder::new();
        change(&mut builder);
        let backend = Self {
            address,
            connections: Arc::default(),
            requests: Arc::default(),
            leave: watch::channel(0).0,
        };
        let (connections, requests) = (Arc::clone(&backend.connections), Arc::clone(&backend.requests));
        let (told, answer) = (backend.leave.subscribe(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                let mut told = told.clone();
                told.mark_unchanged();
                tokio::spawn(connection(tcp, builder.clone(), number, requests, answer, told));
            }
        });
        backend
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Says on every connection that it goes, and serves what is under way there.
    pub fn leave(&self) {
        self.leave.send_modify(|times| *times += 1);
    }
}

async fn connection<F, A>(
    tcp: TcpStream,
    builder: Builder,
    number: usize,
    requests: Arc<AtomicUsize>,
    answer: Arc<F>,
    mut told: watch::Receiver<usize>,
) where
    F: Fn(Received) -> A + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let _ = tcp.set_nodelay(true);
    // A client that goes away is no concern of a backend.
    let Ok(mut connection) = builder.handshake::<_, Bytes>(tcp).await else {
        return;
    };
    loop {
        tokio::select! {
            request = connection.accept() => {
                let Some(Ok((request, respond))) = request else { return };
                let (head, content) = request.into_parts();
                tokio::spawn(answer(Received {
                    number: requests.fetch_add(1, Ordering::SeqCst),
                    connection: number,
                    head,
                    content,
                    respond,
                }));
            }
            Ok(()) = told.changed() => connection.graceful_shutdown(),
        }
    }
}

impl Received {
    /// Its path.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// First value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// Its whole content, and trailer fields.
    pub async fn read(&mut self) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
        super::read(&mut self.content).await
    }

    /// Sends a head. `over`: nothing follows.
    pub fn begin(&mut self, response: Response<()>, over: bool) -> Result<SendStream<Bytes>, h2::Error> {
        self.respond.send_response(response, over)
    }

    /// Answers with a status and content of known length. Whoever asked may be gone.
    pub async fn answer(mut self, status: u16, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let head = Response::builder()
            .status(status)
            .header("content-length", body.len())
            .body(())
            .expect("a response");
        if let Ok(mut stream) = self.begin(head, body.is_empty())
            && !body.is_empty()
        {
            let _ = super::send(&mut stream, body, true).await;
        }
    }

    /// Waits until the gateway takes it back, and tells the reason; none: the connection is gone.
    pub async fn reset(&mut self) -> Option<h2::Reason> {
        std::future::poll_fn(|cx| self.respond.poll_reset(cx)).await.ok()
    }
}
