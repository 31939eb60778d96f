//! What a message becomes between versions: each version of client with each version of backend.

use crate::front;
use bytes::Bytes;
use h2::ext::Protocol;
use http::{HeaderMap, Request, Response};
use narthex_testbed::Gateway;
use narthex_testbed::http2::{Http2, Http2Backend, Received};
use narthex_testbed::scripted::{Reader, Scripted, ScriptedBackend, field};
use std::fmt::Write as _;
use tokio::io::AsyncWriteExt as _;

/// What a client asks.
#[derive(Clone, Default)]
struct Ask<'a> {
    method: &'a str,
    path: &'a str,
    fields: &'a [(&'a str, &'a str)],
    body: Body,
}

/// A request's content, and how its end is told.
#[derive(Clone, Copy, Default, Debug)]
enum Body {
    #[default]
    None,
    Known(usize),
    Unknown(usize),
    Trailed(usize),
}

/// What a client gets. Names in lower case.
#[derive(Debug, Default)]
struct Got {
    interim: Vec<u16>,
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    trailer: Vec<(String, String)>,
}

/// Which versions meet.
const PAIRS: [(u8, u8); 4] = [(1, 1), (1, 2), (2, 1), (2, 2)];

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn length(path: &str) -> usize {
    path.rsplit('/')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

impl Got {
    fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(known, _)| known == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

async fn both() -> (Gateway, ScriptedBackend, Http2Backend) {
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
async fn ask(gw: &Gateway, (client, backend): (u8, u8), ask: Ask<'_>) -> Got {
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

async fn ask_one(gw: &Gateway, host: &str, ask: Ask<'_>) -> Got {
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

async fn ask_two(gw: &Gateway, host: &str, ask: Ask<'_>) -> Got {
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

#[tokio::test]
async fn bodies_pass_both_ways_whatever_their_size_and_framing() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        for size in [0, 1, 16_384, 100_000, 1_500_000] {
            for body in [Body::Known(size), Body::Unknown(size)] {
                let got = ask(
                    &gw,
                    pair,
                    Ask {
                        method: "POST",
                        path: "/echo",
                        body,
                        ..Ask::default()
                    },
                )
                .await;
                assert_eq!(got.status, 200, "{pair:?} {body:?}");
                assert!(got.body == pattern(size), "{pair:?} {body:?}: {}", got.body.len());
            }
        }
        for path in ["/length/70000", "/chunked/70000", "/length/0", "/chunked/0"] {
            let got = ask(
                &gw,
                pair,
                Ask {
                    method: "GET",
                    path,
                    ..Ask::default()
                },
            )
            .await;
            assert!(got.body == pattern(length(path)), "{pair:?} {path}");
            let known = path.starts_with("/length").then(|| length(path).to_string());
            if known.is_some() {
                assert_eq!(got.one("content-length"), known.as_deref(), "{pair:?} {path}");
            }
        }
    }
}

#[tokio::test]
async fn trailers_pass_both_ways_without_those_that_may_not_be_there() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let asked = Ask {
            method: "POST",
            path: "/trailed/5",
            fields: &[("te", "trailers")],
            body: Body::Trailed(10),
        };
        let asked = if pair.0 == 1 {
            Ask {
                fields: &[("TE", "trailers"), ("Connection", "TE")],
                ..asked
            }
        } else {
            asked
        };
        let got = ask(&gw, pair, asked).await;
        assert_eq!(got.body, pattern(5), "{pair:?}");
        assert_eq!(got.trailer, [("x-sum".into(), "42".into())], "{pair:?}");
        let seen = got
            .one("seen-trailer")
            .unwrap()
            .trim_end_matches('|')
            .to_ascii_lowercase();
        assert_eq!(seen, "x-check: 7", "{pair:?}");
        let seen = got.one("seen").unwrap().to_ascii_lowercase();
        assert!(seen.contains("te: trailers"), "{pair:?}: {seen}");
    }
}

#[tokio::test]
async fn interim_responses_pass() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let got = ask(
            &gw,
            pair,
            Ask {
                method: "GET",
                path: "/hint",
                ..Ask::default()
            },
        )
        .await;
        assert_eq!((&*got.interim, got.status), (&[103][..], 200), "{pair:?}");
        let asked = Ask {
            method: "POST",
            path: "/echo",
            fields: &[("expect", "100-continue")],
            body: Body::Known(100),
        };
        let got = ask(&gw, pair, asked).await;
        assert_eq!((got.status, got.body.len()), (200, 100), "{pair:?}");
    }
}

#[tokio::test]
async fn responses_without_content_have_none_and_keep_their_length() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let got = ask(
            &gw,
            pair,
            Ask {
                method: "HEAD",
                path: "/length/1234",
                ..Ask::default()
            },
        )
        .await;
        assert_eq!(
            (got.status, got.one("content-length"), got.body.len()),
            (200, Some("1234"), 0),
            "{pair:?}"
        );
        for status in [204, 304] {
            let path = format!("/status/{status}");
            let got = ask(
                &gw,
                pair,
                Ask {
                    method: "GET",
                    path: &path,
                    ..Ask::default()
                },
            )
            .await;
            assert_eq!(
                (got.status, got.one("content-length"), got.body.len()),
                (status, None, 0),
                "{pair:?}"
            );
        }
    }
}

#[tokio::test]
async fn fields_of_one_connection_stay_there() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let got = ask(
            &gw,
            pair,
            Ask {
                method: "GET",
                path: "/length/1",
                ..Ask::default()
            },
        )
        .await;
        for name in ["keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
            assert_eq!(got.one(name), None, "{pair:?}");
        }
        assert_eq!(got.all("set-cookie"), ["a=1", "b=2"], "{pair:?}");
        assert!(got.one("date").is_some(), "{pair:?}");
        let seen = got.one("seen").unwrap().to_ascii_lowercase();
        assert!(
            !seen.contains("|te:") && !seen.contains("connection:"),
            "{pair:?}: {seen}"
        );
        assert!(seen.contains("x-forwarded-proto: http"), "{pair:?}: {seen}");
    }
}

#[tokio::test]
async fn crumbs_of_cookies_reach_a_backend_as_one_field() {
    let (gw, ..) = both().await;
    for pair in [(2, 1), (2, 2)] {
        let fields = [
            ("cookie", "a=1"),
            ("accept", "x"),
            ("cookie", "b=2"),
            ("cookie", "c=3; d=4"),
        ];
        let asked = Ask {
            method: "GET",
            path: "/length/1",
            fields: &fields,
            ..Ask::default()
        };
        let got = ask(&gw, pair, asked).await;
        let seen = got.one("seen").unwrap().to_ascii_lowercase();
        assert!(seen.contains("|cookie: a=1; b=2; c=3; d=4|"), "{pair:?}: {seen}");
        assert_eq!(seen.matches("cookie:").count(), 1, "{pair:?}");
    }
}

#[tokio::test]
async fn the_authority_becomes_the_host_and_the_host_the_authority() {
    let (gw, ..) = both().await;
    for pair in PAIRS {
        let got = ask(
            &gw,
            pair,
            Ask {
                method: "GET",
                path: "/length/1",
                ..Ask::default()
            },
        )
        .await;
        let seen = got.one("seen").unwrap().to_ascii_lowercase();
        let host = if pair.1 == 1 { "one.example" } else { "two.example" };
        assert_eq!(seen.matches("|host: ").count(), 1, "{pair:?}: {seen}");
        assert!(seen.contains(&format!("|host: {host}|")), "{pair:?}: {seen}");
    }
}

#[tokio::test]
async fn answers_of_our_own_are_the_same_for_both_versions() {
    let (gw, ..) = both().await;
    for client in [1, 2] {
        for (method, to_head) in [("GET", false), ("HEAD", true), ("POST", false)] {
            let asked = Ask {
                method,
                path: "/",
                ..Ask::default()
            };
            let got = match client {
                1 => ask_one(&gw, "nowhere.example", asked).await,
                _ => ask_two(&gw, "nowhere.example", asked).await,
            };
            assert_eq!(
                (got.status, got.body.is_empty()),
                (404, to_head),
                "{client} {method}"
            );
            let length = got.one("content-length").unwrap().parse::<usize>().unwrap();
            assert!(to_head || length == got.body.len());
            assert_eq!(got.one("connection"), None);
        }
    }
    // RFC 9110 §9.3.6.
    let mut client = Http2::plain(gw.address(80)).await;
    let request = Request::builder()
        .method("CONNECT")
        .uri("one.example:443")
        .body(())
        .unwrap();
    let answer = client.ask(request, true).await.unwrap().answer().await.unwrap();
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn a_protocol_with_line_ends_in_it_adds_no_lines_to_a_request() {
    let (gw, ..) = both().await;
    for host in ["one.example", "two.example"] {
        let mut client = Http2::plain(gw.address(80)).await;
        client.settled().await;
        let request = Request::connect(format!("http://{host}/echo"));
        let request = request
            .extension(Protocol::from("websocket\r\nX-Evil: 1"))
            .body(())
            .unwrap();
        let answer = client.ask(request, false).await.unwrap().answer().await.unwrap();
        assert_eq!(answer.status, 400);
    }
}
