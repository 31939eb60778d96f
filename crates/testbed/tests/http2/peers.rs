//! Clients and backends of both versions that tell the same about what they got.

use crate::front;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use narthex_testbed::Gateway;
use narthex_testbed::http2::{Http2, Http2Backend, Received};
use narthex_testbed::scripted::{Reader, Scripted, ScriptedBackend, field};
use std::fmt::Write as _;
use tokio::io::AsyncWriteExt as _;

/// What a client asks.
#[derive(Clone, Default)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub fields: &'a [(&'a str, &'a str)],
    pub body: Body,
}

/// A request's content, and how its end is told.
#[derive(Clone, Copy, Default, Debug)]
pub enum Body {
    #[default]
    None,
    Known(usize),
    Unknown(usize),
    Trailed(usize),
}

/// What a client gets. Names in lower case.
#[derive(Debug, Default)]
pub struct Got {
    pub interim: Vec<u16>,
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailer: Vec<(String, String)>,
}

/// Which versions meet.
pub const PAIRS: [(u8, u8); 4] = [(1, 1), (1, 2), (2, 1), (2, 2)];

pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

pub fn length(path: &str) -> usize {
    path.rsplit('/')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

impl Got {
    pub fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(known, _)| known == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

pub async fn both() -> (Gateway, ScriptedBackend, Http2Backend) {
    let one =
        ScriptedBackend::start(|mut peer| async move { while speak_one(&mut peer).await.is_some() {} }).await;
    let two = Http2Backend::start(speak_two).await;
    let gw = front(one.address, two.address).start().await;
    (gw, one, two)
}

/// The backend of HTTP/1.1. Tells what it got in a field `seen`.
async fn speak_one(peer: &mut Scripted) -> Option<()> {
    let head = peer.head().await?;
    let path = head.split(' ').nth(1)?.to_owned();
    let method = head.split(' ').next()?.to_owned();
    if field(&head, "expect").is_some() {
        peer.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    let (body, trailer) = peer.body(&head).await.ok()?;
    if path == "/hint" {
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-hop\r\nX-Hop: y\r\n\r\n")
            .await;
    }
    let seen = head
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("|");
    let trailer = trailer.replace("\r\n", "|");
    let mut out = format!(
        "Seen: {method} {path}|{seen}\r\nSeen-Trailer: {trailer}\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nX-Mixed-Case: Yes\r\n"
    );
    let content = match &*path {
        "/echo" => body,
        path => pattern(length(path)),
    };
    let answer = match path.split('/').nth(1).unwrap_or_default() {
        "status" => format!("HTTP/1.1 {} X\r\n{out}\r\n", length(&path)).into_bytes(),
        "chunked" | "trailed" => {
            let _ = write!(out, "Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n");
            let mut bytes = format!("HTTP/1.1 200 OK\r\n{out}").into_bytes();
            for piece in content.chunks(10_000) {
                bytes.extend(format!("{:x}\r\n", piece.len()).as_bytes());
                bytes.extend(piece);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n");
            if path.starts_with("/trailed") {
                bytes.extend(b"X-Sum: 42\r\nContent-Length: 3\r\n");
            }
            bytes.extend(b"\r\n");
            bytes
        }
        _ => {
            let mut bytes = format!(
                "HTTP/1.1 200 OK\r\n{out}Content-Length: {}\r\n\r\n",
                content.len()
            )
            .into_bytes();
            if method != "HEAD" {
                bytes.extend(content);
            }
            bytes
        }
    };
    peer.send(answer).await.then_some(())
}

/// The backend of HTTP/2. Tells the same.
async fn speak_two(mut received: Received) {
    let (method, path) = (received.head.method.clone(), received.path().to_owned());
    if received.header("expect").is_some() {
        let head = Response::builder().status(100).body(()).unwrap();
        received.respond.send_informational(head).unwrap();
    }
    let Ok((body, trailer)) = received.read().await else {
        return;
    };
    if path == "/hint" {
        let head = Response::builder()
            .status(103)
            .header("link", "</a>")
            .body(())
            .unwrap();
        received.respond.send_informational(head).unwrap();
    }
    let list = |map: &HeaderMap| {
        let lines = map
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        lines.collect::<Vec<_>>().join("|")
    };
    let authority = received
        .head
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    let seen = format!(
        "{method} {path}|host: {authority}|{}",
        list(&received.head.headers)
    );
    let mut head = Response::builder()
        .header("seen", seen)
        .header("seen-trailer", trailer.as_ref().map(list).unwrap_or_default())
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2");
    let content = match &*path {
        "/echo" => body,
        path => pattern(length(path)),
    };
    let kind = path.split('/').nth(1).unwrap_or_default();
    if kind == "status" {
        let head = head.status(length(&path) as u16).body(()).unwrap();
        received.begin(head, true).unwrap();
        return;
    }
    if !matches!(kind, "chunked" | "trailed") {
        head = head.header("content-length", content.len());
    }
    let over = method == "HEAD" || content.is_empty() && kind != "trailed";
    let mut stream = received.begin(head.body(()).unwrap(), over).unwrap();
    if over {
        return;
    }
    let _ = narthex_testbed::http2::send(&mut stream, &content, kind != "trailed").await;
    if kind == "trailed" {
        let mut trailer = HeaderMap::new();
        trailer.insert("x-sum", "42".parse().unwrap());
        trailer.insert("content-length", "3".parse().unwrap());
        stream.send_trailers(trailer).unwrap();
    }
}

/// Asks by a version, of the backend of a version.
pub async fn ask(gw: &Gateway, (client, backend): (u8, u8), ask: Ask<'_>) -> Got {
    let host = if backend == 1 {
        "one.example"
    } else {
        "two.example"
    };
    match client {
        1 => ask_one(gw, host, ask).await,
        _ => ask_two(gw, host, ask).await,
    }
}

pub async fn ask_one(gw: &Gateway, host: &str, ask: Ask<'_>) -> Got {
    let mut peer = Scripted::connect(gw.address(80)).await;
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", ask.method, ask.path);
    for (name, value) in ask.fields {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let (tell, content, trailer) = match ask.body {
        Body::None => (String::new(), None, ""),
        Body::Known(length) => (format!("Content-Length: {length}\r\n"), Some(length), ""),
        Body::Unknown(length) => ("Transfer-Encoding: chunked\r\n".into(), Some(length), ""),
        Body::Trailed(length) => (
            "Transfer-Encoding: chunked\r\n".into(),
            Some(length),
            "X-Check: 7\r\nAuthorization: no\r\n",
        ),
    };
    peer.send(head + &tell + "\r\n").await;
    if ask.fields.iter().any(|(name, _)| *name == "expect") {
        assert!(peer.head().await.unwrap().starts_with("HTTP/1.1 100 "));
    }
    let mut bytes = Vec::new();
    if let Some(length) = content {
        let chunked = !matches!(ask.body, Body::Known(_));
        for piece in pattern(length).chunks(9_000) {
            if chunked {
                bytes.extend(format!("{:x}\r\n", piece.len()).as_bytes());
            }
            bytes.extend(piece);
            if chunked {
                bytes.extend(b"\r\n");
            }
        }
        if chunked {
            bytes.extend(format!("0\r\n{trailer}\r\n").as_bytes());
        }
    }
    // Both ways at once: large bodies are echoed before they are complete.
    let Scripted { reader, writer } = &mut peer;
    let (sent, got) = tokio::join!(writer.write_all(&bytes), got_one(reader, ask.method));
    sent.unwrap();
    got
}

async fn got_one(reader: &mut Reader, method: &str) -> Got {
    let mut got = Got::default();
    let head = loop {
        let head = reader.head().await.unwrap();
        if !head.starts_with("HTTP/1.1 1") {
            break head;
        }
        got.interim.push(head[9..12].parse().unwrap());
    };
    let list = |lines: &str| {
        let lines = lines.lines().filter_map(|line| line.split_once(':'));
        let lines = lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        lines.collect::<Vec<_>>()
    };
    got.status = head[9..12].parse().unwrap();
    got.fields = list(&head);
    if method != "HEAD" && !matches!(got.status, 204 | 304) {
        let (body, trailer) = reader.body(&head).await.unwrap();
        (got.body, got.trailer) = (body, list(&trailer));
    }
    got
}

pub async fn ask_two(gw: &Gateway, host: &str, ask: Ask<'_>) -> Got {
    let mut client = Http2::plain(gw.address(80)).await;
    let uri = format!("http://{host}{}", ask.path);
    let mut request = Request::builder().method(ask.method).uri(uri);
    for (name, value) in ask.fields {
        request = request.header(*name, *value);
    }
    if let Body::Known(length) = ask.body {
        request = request.header("content-length", length);
    }
    let request = request.body(()).unwrap();
    let mut asked = client.ask(request, matches!(ask.body, Body::None)).await.unwrap();
    if ask.fields.iter().any(|(name, _)| *name == "expect") {
        assert_eq!(asked.interim().await, 100);
    }
    let (Body::Known(length) | Body::Unknown(length) | Body::Trailed(length)) = ask.body else {
        return got_two(asked.answer().await.unwrap());
    };
    let mut content = std::mem::replace(&mut asked.content, dangling(&mut client, host).await);
    let trailed = matches!(ask.body, Body::Trailed(_));
    let sends = tokio::spawn(async move {
        narthex_testbed::http2::send(&mut content, &pattern(length), !trailed)
            .await
            .unwrap();
        if trailed {
            let mut trailer = HeaderMap::new();
            trailer.insert("x-check", "7".parse().unwrap());
            trailer.insert("authorization", "no".parse().unwrap());
            content.send_trailers(trailer).unwrap();
        }
    });
    let answer = asked.answer().await.unwrap();
    sends.await.unwrap();
    got_two(answer)
}

/// The sending side of a stream that is over, to stand in for one that is used elsewhere.
async fn dangling(client: &mut Http2, host: &str) -> h2::SendStream<Bytes> {
    let request = Request::get(format!("http://{host}/status/204"))
        .body(())
        .unwrap();
    client.ask(request, true).await.unwrap().content
}

fn got_two(answer: narthex_testbed::http2::Answer) -> Got {
    let list = |map: &HeaderMap| {
        let fields = map.iter();
        fields
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    Got {
        interim: answer.interim.iter().map(|(status, _)| *status).collect(),
        status: answer.status,
        fields: list(&answer.headers),
        trailer: answer.trailer.as_ref().map(list).unwrap_or_default(),
        body: answer.body,
    }
}
