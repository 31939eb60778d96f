//! The server behind every proxy under test: one thread, fixed answers, and an echo for upgraded connections.
//! Small on purpose: what it costs must not hide what a proxy costs.

mod calls;

use std::io;
use std::rc::Rc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Bytes of the body of every answer but those below.
pub const BODY: usize = 128;
/// Bytes of the answer to `/large`.
pub const LARGE: usize = 1 << 20;
/// Bytes of the answer to `/stream`, sent in chunks of [`CHUNK`], each in a write of its own.
pub const STREAM: usize = 10 * 1024;
/// Bytes of a chunk.
pub const CHUNK: usize = 2 * 1024;

/// `origin ADDR`: serves until killed.
pub fn run(words: &[String]) -> Result<(), String> {
    let address = words.first().ok_or("usage: origin ADDR")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let local = tokio::task::LocalSet::new();
    local
        .block_on(&runtime, serve(address))
        .map_err(|error| format!("{address}: {error}"))
}

async fn serve(address: &str) -> io::Result<()> {
    let answers = Rc::new(Answers::new());
    let address: std::net::SocketAddr = address.parse().map_err(io::Error::other)?;
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener: TcpListener = socket.listen(4096)?;
    let datagrams = UdpSocket::bind(address).await?;
    tokio::task::spawn_local(async move { drop(echo_datagrams(datagrams).await) });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = Rc::clone(&answers);
        // A client that goes away in mid-request is not the origin's business.
        tokio::task::spawn_local(async move { drop(connection(stream, &answers).await) });
    }
}

struct Answers {
    small: Vec<u8>,
    large: Vec<u8>,
    stream_head: Vec<u8>,
    chunk: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let whole = |bytes: usize| {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {bytes}\r\n\r\n");
            let mut answer = head.into_bytes();
            answer.resize(answer.len() + bytes, b'x');
            answer
        };
        let mut chunk = format!("{CHUNK:x}\r\n").into_bytes();
        chunk.resize(chunk.len() + CHUNK, b'x');
        chunk.extend(b"\r\n");
        Self {
            small: whole(BODY),
            large: whole(LARGE),
            stream_head: b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_vec(),
            chunk,
        }
    }
}

/// What a request asks for.
struct Request {
    head: usize,
    body: Body,
    upgrade: bool,
    close: bool,
    answer: Answer,
}

enum Body {
    Length(usize),
    Chunked,
}

enum Answer {
    Small,
    Large,
    Stream,
}

async fn connection(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut first = [0; 4];
    if stream.peek(&mut first).await? == first.len() && first == *b"PRI " {
        return calls::connection(stream).await;
    }
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let Some(request) = parse(&buffer[..filled])? else {
            continue;
        };
        if request.upgrade {
            return echo(stream).await;
        }
        skip_body(&mut stream, &mut buffer, request.head..filled, &request.body).await?;
        filled = 0;
        match request.answer {
            Answer::Small => stream.write_all(&answers.small).await?,
            Answer::Large => stream.write_all(&answers.large).await?,
            Answer::Stream => {
                stream.write_all(&answers.stream_head).await?;
                for _ in 0..STREAM / CHUNK {
                    stream.write_all(&answers.chunk).await?;
                    // Whoever else has something to do goes first, so that chunks arrive one by one.
                    tokio::task::yield_now().await;
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
        }
        if request.close {
            return Ok(());
        }
    }
}

fn parse(bytes: &[u8]) -> io::Result<Option<Request>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(head) = request.parse(bytes).map_err(io::Error::other)? else {
        return if bytes.len() < 32 * 1024 {
            Ok(None)
        } else {
            Err(io::Error::other("a request head over 32 KiB"))
        };
    };
    let mut body = Body::Length(0);
    let mut upgrade = false;
    let mut close = false;
    for field in request.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(field.value).map_err(io::Error::other)?;
            body = Body::Length(length.parse().map_err(io::Error::other)?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked;
        } else if field.name.eq_ignore_ascii_case("upgrade") && !field.value.is_empty() {
            upgrade = true;
        } else if field.name.eq_ignore_ascii_case("connection") {
            close = field.value.eq_ignore_ascii_case(b"close");
        }
    }
    let answer = match request.path {
        Some("/large") => Answer::Large,
        Some("/stream") => Answer::Stream,
        _ => Answer::Small,
    };
    Ok(Some(Request {
        head,
        body,
        upgrade,
        close,
        answer,
    }))
}

/// Reads a body to its end; `there` is what came with the head.
async fn skip_body(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    there: std::ops::Range<usize>,
    body: &Body,
) -> io::Result<()> {
    let mut seen = there.len();
    // The last bytes of a chunked body, wherever reads cut it; the load's bodies hold only x.
    let mut end = buffer[there].to_vec();
    loop {
        match body {
            Body::Length(length) if seen > *length => {
                return Err(io::Error::other("a second request at once"));
            }
            Body::Length(length) if seen == *length => return Ok(()),
            Body::Chunked if end.ends_with(b"0\r\n\r\n") => return Ok(()),
            _ => {}
        }
        let read = stream.read(buffer).await?;
        if read == 0 {
            return Err(io::Error::other("closed in mid-request"));
        }
        seen += read;
        if matches!(body, Body::Chunked) {
            end.extend_from_slice(&buffer[..read]);
            end.drain(..end.len().saturating_sub(8));
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    // The answer to the one key that the load sends (RFC 6455 §1.3).
    stream
        .write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )
        .await?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

async fn echo_datagrams(socket: UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (count, peer) = socket.recv_from(&mut buffer).await?;
        // One that can't be sent is lost, as datagrams may be.
        let _ = socket.send_to(&buffer[..count], peer).await;
    }
}
