//! A client of HTTP/2: one connection, any number of requests at once.

use crate::{Authority, DEADLINE};
use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{PingPong, Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// A connection to the gateway. It ends when this is dropped and its requests are over.
pub struct Http2 {
    ask: SendRequest<Bytes>,
    end: JoinHandle<Result<(), h2::Error>>,
    pings: Option<PingPong>,
}

/// A request under way.
pub struct Asked {
    response: ResponseFuture,
    /// Its content.
    pub content: SendStream<Bytes>,
    /// Interim responses so far.
    pub interim: Vec<(u16, HeaderMap)>,
}

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub headers: HeaderMap,
    /// Interim responses before it.
    pub interim: Vec<(u16, HeaderMap)>,
    /// Its content.
    pub body: Vec<u8>,
    /// Fields behind the content.
    pub trailer: Option<HeaderMap>,
}

impl Http2 {
    /// Connects without TLS, by prior knowledge.
    pub async fn plain(address: SocketAddr) -> Self {
        Self::with(address, |_| {}).await
    }

    /// The same with other settings.
    pub async fn with(address: SocketAddr, change: impl FnOnce(&mut Builder)) -> Self {
        let tcp = TcpStream::connect(address).await.expect("the gateway accepts");
        tcp.set_nodelay(true).expect("a socket");
        let mut builder = Builder::new();
        builder.enable_push(false);
        change(&mut builder);
        Self::over(tcp, &builder).await
    }

    /// Connects with TLS, for this server name.
    pub async fn tls(address: SocketAddr, name: &str) -> Self {
        Self::tls_as(address, name, Authority::shared().client()).await
    }

    /// The same as another client.
    pub async fn tls_as(address: SocketAddr, name: &str, client: Arc<ClientConfig>) -> Self {
        let mut config = Arc::unwrap_or_clone(client);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tcp = TcpStream::connect(address).await.expect("the gateway accepts");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
        let stream = stream.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(stream, &Builder::new()).await
    }

    async fn over<S>(stream: S, builder: &Builder) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (ask, mut connection): (_, Connection<S, Bytes>) =
            builder.handshake(stream).await.expect("a handshake");
        let pings = connection.ping_pong();
        Self {
            ask,
            end: tokio::spawn(connection),
            pings,
        }
    }

    /// Begins a request. `over`: it has no content.
    pub async fn ask(&mut self, request: Request<()>, over: bool) -> Result<Asked, h2::Error> {
        let ready = poll_fn(|cx| self.ask.poll_ready(cx));
        timeout(DEADLINE, ready).await.expect("room for a stream")?;
        let (response, content) = self.ask.send_request(request, over)?;
        Ok(Asked {
            response,
            content,
            interim: Vec::new(),
        })
    }

    /// A GET request, and its answer.
    pub async fn get(&mut self, url: &str) -> Answer {
        let request = Request::get(url).body(()).expect("a request");
        let asked = self.ask(request, true).await.expect("an open connection");
        asked.answer().await.expect("an answer")
    }

    /// Waits until the gateway's settings are known.
    pub async fn settled(&mut self) {
        let pings = self.pings.as_mut().expect("pings are ours");
        let pong = pings.ping(h2::Ping::opaque());
        timeout(DEADLINE, pong).await.expect("in time").expect("a pong");
    }

    /// Whether the gateway said that WebSockets can be asked for (RFC 8441 §3).
    pub fn knows_extended_connect(&self) -> bool {
        self.ask.is_extended_connect_protocol_enabled()
    }

    /// Requests that may be under way at once.
    pub fn streams(&self) -> usize {
        self.ask.current_max_send_streams()
    }

    /// Waits until the connection is over, and tells how it ended.
    pub async fn end(self) -> Result<(), h2::Error> {
        let Self { ask, end, .. } = self;
        let end = timeout(DEADLINE, end).await.expect("it ends in time");
        drop(ask);
        end.expect("no panic")
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.end.is_finished()
    }
}

impl Asked {
    /// Sends content as the windows allow. `last`: nothing follows.
    pub async fn send(&mut self, content: impl AsRef<[u8]>, last: bool) -> Result<(), h2::Error> {
        let sending = super::send(&mut self.content, content.as_ref(), last);
        timeout(DEADLINE, sending).await.expect("a window")
    }

    /// Breaks it off.
    pub fn reset(&mut self, reason: Reason) {
        self.content.send_reset(reason);
    }

    /// Waits for the final response's head. Interim ones are kept.
    pub async fn head(&mut self) -> Result<Response<RecvStream>, h2::Error> {
        let Self {
            response, interim, ..
        } = self;
        let head = poll_fn(|cx| {
            while let Poll::Ready(Some(Ok(head))) = response.poll_informational(cx) {
                interim.push((head.status().as_u16(), head.headers().clone()));
            }
            Pin::new(&mut *response).poll(cx)
        });
        timeout(DEADLINE, head).await.expect("a response in time")
    }

    /// Waits for an interim response.
    pub async fn interim(&mut self) -> u16 {
        let head = poll_fn(|cx| self.response.poll_informational(cx));
        let head = timeout(DEADLINE, head).await.expect("in time");
        head.expect("an interim response")
            .expect("no error")
            .status()
            .as_u16()
    }

    /// Waits for all of the response.
    pub async fn answer(mut self) -> Result<Answer, h2::Error> {
        let (head, mut content) = self.head().await?.into_parts();
        let read = super::read(&mut content);
        let (body, trailer) = timeout(DEADLINE, read).await.expect("content in time")?;
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            interim: self.interim,
            body,
            trailer,
        })
    }
}

impl Answer {
    /// First value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
