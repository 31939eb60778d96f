//! A client of HTTP/3 on `quinn`: what the tests ask with, and bare streams for what no client would send.

use crate::{Authority, DEADLINE};
use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use proxy::http::h3::frame::{self, Piece, Reader};
use proxy::http::h3::{Code, qpack, varint};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, VarInt};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use tokio::time::timeout;

/// A connection to the gateway.
pub struct Http3 {
    /// Its connection.
    pub connection: Connection,
    /// Its socket.
    pub endpoint: Endpoint,
    /// The client's control stream, if it has one.
    pub control: Option<SendStream>,
}

/// What connections are made by. Remembers sessions.
#[derive(Clone)]
pub struct Http3Settings {
    config: ClientConfig,
}

/// A request under way.
pub struct Http3Asked {
    /// The request's content.
    pub send: SendStream,
    /// The response.
    pub receive: RecvStream,
    reader: Reader,
    input: Bytes,
    /// Interim responses so far.
    pub interim: Vec<(u16, HeaderMap)>,
}

/// A whole response.
#[derive(Debug)]
pub struct Http3Answer {
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

/// How a stream or a connection was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The stream was reset, for this reason.
    Reset(u64),
    /// The connection was closed, for this reason.
    Closed(u64),
    /// The connection was lost otherwise.
    Lost,
}

impl Default for Http3Settings {
    fn default() -> Self {
        let mut tls = Arc::unwrap_or_clone(Authority::shared().client());
        tls.alpn_protocols = vec![b"h3".to_vec()];
        tls.enable_early_data = true;
        let tls = QuicClientConfig::try_from(tls).expect("the provider speaks QUIC");
        Self {
            config: ClientConfig::new(Arc::new(tls)),
        }
    }
}

impl Http3Settings {
    /// Connects, and says everything that a client has to say.
    pub async fn connect(&self, address: SocketAddr, name: &str) -> Http3 {
        let mut client = self.bare(address, name).await.expect("a handshake");
        client.begin().await;
        client
    }

    /// Connects and says nothing.
    pub async fn bare(&self, address: SocketAddr, name: &str) -> Result<Http3, ConnectionError> {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
        let connecting = endpoint
            .connect_with(self.config.clone(), address, name)
            .expect("a name");
        let connection = timeout(DEADLINE, connecting)
            .await
            .expect("a handshake in time")?;
        Ok(Http3 {
            connection,
            endpoint,
            control: None,
        })
    }

    /// Connects without waiting for the handshake. None: there is no session to resume. The future tells whether the gateway
    /// took what was sent ahead.
    pub async fn early(
        &self,
        address: SocketAddr,
        name: &str,
    ) -> Option<(Http3, impl Future<Output = bool> + use<>)> {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
        let connecting = endpoint
            .connect_with(self.config.clone(), address, name)
            .expect("a name");
        let (connection, accepted) = connecting.into_0rtt().ok()?;
        let mut client = Http3 {
            connection,
            endpoint,
            control: None,
        };
        client.begin().await;
        Some((client, accepted))
    }
}

impl Http3 {
    /// Connects for this server name.
    pub async fn connect(address: SocketAddr, name: &str) -> Self {
        Http3Settings::default().connect(address, name).await
    }

    /// Connects, and opens no stream.
    pub async fn bare(address: SocketAddr, name: &str) -> Self {
        let client = Http3Settings::default().bare(address, name).await;
        client.expect("a handshake")
    }

    async fn begin(&mut self) {
        let mut bytes = BytesMut::new();
        frame::write_control(64 * 1024, &mut bytes);
        self.control = Some(self.uni(&bytes).await);
    }

    /// Opens a stream in one direction with these bytes, its type included.
    pub async fn uni(&self, bytes: &[u8]) -> SendStream {
        let mut stream = timeout(DEADLINE, self.connection.open_uni())
            .await
            .expect("room for a stream")
            .expect("an open connection");
        // The gateway may have closed the connection for it already.
        let _ = stream.write_all(bytes).await;
        stream
    }

    /// Opens a request's stream with these bytes.
    pub async fn raw(&self, bytes: &[u8]) -> Result<Http3Asked, Broken> {
        let opened = timeout(DEADLINE, self.connection.open_bi())
            .await
            .expect("room for a stream");
        let (mut send, receive) = opened.map_err(|error| lost(&error))?;
        let _ = send.write_all(bytes).await;
        Ok(Http3Asked {
            send,
            receive,
            reader: Reader::message(64 * 1024),
            input: Bytes::new(),
            interim: Vec::new(),
        })
    }

    /// Begins a request. `over`: it has no content.
    pub async fn ask(&self, request: &Request<()>, over: bool) -> Result<Http3Asked, Broken> {
        let mut asked = self.raw(&head(request)).await?;
        if over {
            let _ = asked.send.finish();
        }
        Ok(asked)
    }

    /// A GET request, and its answer.
    pub async fn get(&self, url: &str) -> Http3Answer {
        let request = Request::get(url).body(()).expect("a request");
        let asked = self.ask(&request, true).await.expect("an open connection");
        asked.answer().await.expect("an answer")
    }

    /// Goes on from another port.
    pub fn moves(&self) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        self.endpoint.rebind(socket).expect("a socket");
    }

    /// Waits until the gateway closes the connection, and tells why.
    pub async fn closed(&self) -> Broken {
        let error = timeout(DEADLINE, self.connection.closed()).await;
        lost(&error.expect("it closes in time"))
    }

    /// Waits for the gateway's control stream; what it says comes behind its type.
    pub async fn said(&self) -> (Reader, RecvStream) {
        let stream = timeout(DEADLINE, self.connection.accept_uni())
            .await
            .expect("in time");
        let mut stream = stream.expect("an open connection");
        let mut kind = [0];
        stream.read_exact(&mut kind).await.expect("a type");
        assert_eq!(kind[0], 0, "a control stream");
        (Reader::control(), stream)
    }
}

/// The next that is said on a control stream; none: it is over.
pub async fn heard((reader, stream): &mut (Reader, RecvStream)) -> Option<Piece> {
    let mut input = Bytes::new();
    loop {
        match reader
            .next(&mut input)
            .expect("the gateway keeps to the protocol")
        {
            Some(piece) => return Some(piece),
            None => {
                // Byte by byte, so that nothing is left over.
                let chunk = timeout(DEADLINE, stream.read_chunk(1, true))
                    .await
                    .expect("in time");
                input = chunk.ok()??.bytes;
            }
        }
    }
}

/// The frame of a request's head.
pub fn head(request: &Request<()>) -> BytesMut {
    let uri = request.uri();
    let protocol = request.extensions().get::<h2::ext::Protocol>();
    let mut fields = vec![
        (":method", request.method().as_str()),
        (":scheme", uri.scheme_str().unwrap_or("https")),
        (":path", uri.path_and_query().map_or("/", |path| path.as_str())),
    ];
    if let Some(authority) = uri.authority() {
        fields.push((":authority", authority.as_str()));
    }
    if let Some(protocol) = protocol {
        fields.push((":protocol", protocol.as_str()));
    }
    for (name, value) in request.headers() {
        fields.push((name.as_str(), value.to_str().expect("text")));
    }
    headers(&fields)
}

/// A HEADERS frame with these fields.
pub fn headers(fields: &[(&str, &str)]) -> BytesMut {
    let mut section = BytesMut::new();
    qpack::begin(&mut section);
    for (name, value) in fields {
        qpack::encode(name.as_bytes(), value.as_bytes(), &mut section);
    }
    self::frame(frame::HEADERS, &section)
}

/// A frame.
pub fn frame(kind: u64, payload: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    frame::header(kind, payload.len(), &mut out);
    out.extend_from_slice(payload);
    out
}

/// A number as QUIC writes it.
pub fn number(value: u64) -> BytesMut {
    let mut out = BytesMut::new();
    varint::write(value, &mut out);
    out
}

impl Http3Asked {
    /// Sends content. `last`: nothing follows.
    pub async fn send(&mut self, content: impl AsRef<[u8]>, last: bool) -> Result<(), Broken> {
        let content = frame(frame::DATA, content.as_ref());
        let sending = self.send.write_all(&content);
        timeout(DEADLINE, sending)
            .await
            .expect("a window")
            .map_err(|error| match error {
                quinn::WriteError::Stopped(code) => Broken::Reset(code.into_inner()),
                quinn::WriteError::ConnectionLost(error) => lost(&error),
                _ => Broken::Lost,
            })?;
        if last {
            let _ = self.send.finish();
        }
        Ok(())
    }

    /// Breaks it off, both ways.
    pub fn cancel(&mut self) {
        let code = VarInt::from_u32(Code::REQUEST_CANCELLED.0);
        let _ = (self.send.reset(code), self.receive.stop(code));
    }

    /// The next of the response; none: that was all.
    pub async fn next(&mut self) -> Result<Option<Piece>, Broken> {
        loop {
            if let Some(piece) = self
                .reader
                .next(&mut self.input)
                .expect("the gateway keeps to the protocol")
            {
                return Ok(Some(piece));
            }
            let reading = self.receive.read_chunk(usize::MAX, true);
            match timeout(DEADLINE, reading).await.expect("something in time") {
                Ok(Some(chunk)) => self.input = chunk.bytes,
                Ok(None) => {
                    assert!(self.reader.may_end(), "cut within a frame");
                    return Ok(None);
                }
                Err(quinn::ReadError::Reset(code)) => return Err(Broken::Reset(code.into_inner())),
                Err(quinn::ReadError::ConnectionLost(error)) => return Err(lost(&error)),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits for the final response's head. Interim ones are kept.
    pub async fn head(&mut self) -> Result<(u16, HeaderMap), Broken> {
        loop {
            match self.next().await? {
                Some(Piece::Section(section)) => {
                    let (status, headers) = read_head(&section);
                    if status >= 200 {
                        return Ok((status, headers));
                    }
                    self.interim.push((status, headers));
                    self.reader.expect_head();
                }
                other => panic!("a head, not {other:?}"),
            }
        }
    }

    /// Waits for an interim response.
    pub async fn interim(&mut self) -> u16 {
        match self.next().await.expect("an interim response") {
            Some(Piece::Section(section)) => {
                let (status, headers) = read_head(&section);
                self.interim.push((status, headers));
                self.reader.expect_head();
                status
            }
            other => panic!("a head, not {other:?}"),
        }
    }

    /// So many bytes of content.
    pub async fn read(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        let mut content = Vec::new();
        while content.len() < count {
            match self.next().await? {
                Some(Piece::Data(mut data)) => {
                    content.extend_from_slice(&data);
                    data.advance(data.len());
                }
                other => panic!("content, not {other:?}"),
            }
        }
        Ok(content)
    }

    /// The rest of the content, to its end.
    pub async fn answer_rest(&mut self) -> Result<Vec<u8>, Broken> {
        let mut content = Vec::new();
        while let Some(piece) = self.next().await? {
            if let Piece::Data(data) = piece {
                content.extend_from_slice(&data);
            }
        }
        Ok(content)
    }

    /// Waits for all of the response.
    pub async fn answer(mut self) -> Result<Http3Answer, Broken> {
        let (status, headers) = self.head().await?;
        let (mut body, mut trailer) = (Vec::new(), None);
        while let Some(piece) = self.next().await? {
            match piece {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::Section(section) => trailer = Some(read_fields(&section).1),
                other => panic!("content, not {other:?}"),
            }
        }
        Ok(Http3Answer {
            status,
            headers,
            interim: self.interim,
            body,
            trailer,
        })
    }
}

impl Http3Answer {
    /// First value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn read_head(section: &[u8]) -> (u16, HeaderMap) {
    let (status, headers) = read_fields(section);
    (status.expect("a status"), headers)
}

fn read_fields(section: &[u8]) -> (Option<u16>, HeaderMap) {
    let (mut status, mut headers) = (None, HeaderMap::new());
    let read = qpack::decode(section, usize::MAX, |_, name, value| {
        if name == b":status" {
            status = std::str::from_utf8(value)
                .ok()
                .and_then(|status| status.parse().ok());
        } else {
            headers.append(
                HeaderName::from_lowercase(name).expect("a name"),
                HeaderValue::from_bytes(value).expect("a value"),
            );
        }
    });
    read.expect("a field section");
    (status, headers)
}

fn lost(error: &ConnectionError) -> Broken {
    match error {
        ConnectionError::ApplicationClosed(close) => Broken::Closed(close.error_code.into_inner()),
        _ => Broken::Lost,
    }
}
