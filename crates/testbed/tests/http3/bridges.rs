//! Requests and responses through the gateway, with backends of either older version.

use super::{client, echo, front};
use http::{HeaderMap, Request, Response};
use narthex_testbed::Gateway;
use narthex_testbed::http2::{Http2Backend, Received, send};
use narthex_testbed::http3::Http3;
use narthex_testbed::scripted::{Scripted, ScriptedBackend, field};

const HOSTS: [&str; 2] = ["one.example", "two.example"];

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn length(path: &str) -> usize {
    path.rsplit('/')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Answers as the path says: `/echo`, `/size/N`, `/trailed/N` (with a trailer), `/status/N`, `/hint`.
async fn speak_one(peer: &mut Scripted) -> Option<()> {
    let head = peer.head().await?;
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    if field(&head, "expect").is_some() {
        peer.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    let (body, trailer) = peer.body(&head).await.ok()?;
    if path == "/hint" {
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
    }
    let seen: Vec<&str> = head.lines().skip(1).filter(|line| !line.is_empty()).collect();
    let fields = format!(
        "Seen: {method} {path}|{}\r\nSeen-Trailer: {}\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: x-hop\r\n\
         X-Hop: 1\r\nX-Mixed-Case: Yes\r\n",
        seen.join("|").to_lowercase(),
        trailer.replace("\r\n", "|").to_lowercase()
    );
    let content = if path == "/echo" {
        body
    } else {
        pattern(length(&path))
    };
    let mut bytes = match path.split('/').nth(1)? {
        "status" => format!("HTTP/1.1 {} X\r\n{fields}\r\n", length(&path)).into_bytes(),
        "trailed" => {
            let mut bytes = format!(
                "HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
                content.len()
            )
            .into_bytes();
            bytes.extend(&content);
            bytes.extend(b"\r\n0\r\nX-Sum: 42\r\nContent-Length: 3\r\n\r\n");
            bytes
        }
        _ => format!(
            "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n",
            content.len()
        )
        .into_bytes(),
    };
    if !matches!(path.split('/').nth(1)?, "status" | "trailed") && method != "HEAD" {
        bytes.extend(content);
    }
    peer.send(bytes).await.then_some(())
}

/// The same over HTTP/2.
async fn speak_two(mut received: Received) {
    let (method, path) = (received.head.method.to_string(), received.path().to_owned());
    let interim = |status: u16| {
        let head = Response::builder().status(status);
        let head = if status == 103 {
            head.header("link", "</a>")
        } else {
            head
        };
        head.body(()).unwrap()
    };
    if received.header("expect").is_some() {
        received.respond.send_informational(interim(100)).unwrap();
    }
    let Ok((body, trailer)) = received.read().await else {
        return;
    };
    if path == "/hint" {
        received.respond.send_informational(interim(103)).unwrap();
    }
    let lines = |map: &HeaderMap| {
        let lines = map
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap().to_lowercase()));
        lines.collect::<Vec<_>>().join("|")
    };
    let status = if path.starts_with("/status/") {
        length(&path) as u16
    } else {
        200
    };
    let content = match &*path {
        "/echo" => body,
        path if path.starts_with("/status/") => Vec::new(),
        path => pattern(length(path)),
    };
    let head = Response::builder()
        .status(status)
        .header(
            "seen",
            format!("{method} {path}|{}", lines(&received.head.headers)),
        )
        .header("seen-trailer", trailer.as_ref().map(lines).unwrap_or_default())
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .header("x-mixed-case", "Yes");
    let trailed = path.starts_with("/trailed");
    let head = if trailed {
        head
    } else {
        head.header("content-length", content.len())
    };
    let empty = method == "HEAD" || content.is_empty() && !trailed;
    let mut stream = received.begin(head.body(()).unwrap(), empty).unwrap();
    if !empty {
        send(&mut stream, &content, !trailed).await.unwrap();
        if trailed {
            let mut trailer = HeaderMap::new();
            trailer.insert("x-sum", "42".parse().unwrap());
            stream.send_trailers(trailer).unwrap();
        }
    }
}

async fn both() -> (Gateway, Http3, (ScriptedBackend, Http2Backend)) {
    let one =
        ScriptedBackend::start(|mut peer| async move { while speak_one(&mut peer).await.is_some() {} }).await;
    let two = Http2Backend::start(speak_two).await;
    let gw = front(one.address, two.address).start().await;
    let client = client(&gw).await;
    (gw, client, (one, two))
}

#[tokio::test]
async fn a_request_is_answered() {
    let gw = echo().start().await;
    assert!(gw.serves_http3(443));
    let client = client(&gw).await;
    let answer = client.get("https://one.example/x?y").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = gw.last_request_to("default", "one").unwrap().to_string();
    assert!(
        seen.contains("/x?y") && seen.contains("\"x-forwarded-proto\":\"https\""),
        "{seen}"
    );
}

#[tokio::test]
async fn content_of_every_size_comes_back() {
    let (_gw, client, _backends) = both().await;
    for host in HOSTS {
        for size in [0, 1, 1000, 5000, 70_000, 3_000_000] {
            let answer = client.get(&format!("https://{host}/size/{size}")).await;
            assert_eq!(
                (answer.status, answer.header("content-length")),
                (200, Some(&*size.to_string()))
            );
            assert!(answer.body == pattern(size), "{host} {size}");
            assert_eq!(answer.header("x-mixed-case"), Some("Yes"));
            assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
            assert!(answer.header("x-hop").is_none() && answer.header("connection").is_none());
            assert!(answer.header("date").is_some() && answer.trailer.is_none());

            let request = Request::post(format!("https://{host}/echo")).body(()).unwrap();
            let mut asked = client.ask(&request, false).await.unwrap();
            let content = pattern(size);
            let pieces = content.chunks(100_000);
            for piece in pieces {
                asked.send(piece, false).await.unwrap();
            }
            asked.send.finish().unwrap();
            let answer = asked.answer().await.unwrap();
            assert!(answer.status == 200 && answer.body == content, "{host} {size}");
        }
    }
}

#[tokio::test]
async fn trailers_hints_and_expectations_pass() {
    let (_gw, client, _backends) = both().await;
    for host in HOSTS {
        let answer = client.get(&format!("https://{host}/trailed/5000")).await;
        assert_eq!((answer.status, answer.body.len()), (200, 5000));
        let trailer = answer.trailer.unwrap();
        assert_eq!(
            (trailer.len(), trailer["x-sum"].to_str().unwrap()),
            (1, "42"),
            "{host}"
        );

        let answer = client.get(&format!("https://{host}/hint")).await;
        let (status, fields) = &answer.interim[0];
        assert_eq!(
            (answer.status, *status, fields["link"].to_str().unwrap()),
            (200, 103, "</a>"),
            "{host}"
        );

        let request = Request::post(format!("https://{host}/echo"))
            .header("expect", "100-continue")
            .header("content-length", "5")
            .header("te", "trailers");
        let mut asked = client.ask(&request.body(()).unwrap(), false).await.unwrap();
        assert_eq!(asked.interim().await, 100, "{host}");
        asked.send("hello", false).await.unwrap();
        let trailer = narthex_testbed::http3::headers(&[("x-own", "1"), ("content-length", "9")]);
        asked.send.write_all(&trailer).await.unwrap();
        asked.send.finish().unwrap();
        let answer = asked.answer().await.unwrap();
        assert_eq!((answer.status, &*answer.text()), (200, "hello"), "{host}");
        if host == "two.example" {
            assert_eq!(answer.header("seen-trailer"), Some("x-own: 1"));
        }
    }
}

#[tokio::test]
async fn what_has_no_content_has_none() {
    let (gw, client, _backends) = both().await;
    for host in HOSTS {
        let head = Request::head(format!("https://{host}/size/1234"))
            .body(())
            .unwrap();
        let answer = client.ask(&head, true).await.unwrap().answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, Some("1234")),
            "{host}"
        );
        assert!(answer.body.is_empty());
        for status in [204, 304] {
            let answer = client.get(&format!("https://{host}/status/{status}")).await;
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{host}");
        }
    }
    // Ours.
    let answer = client.get("https://nowhere.example/").await;
    assert_eq!((answer.status, answer.body.is_empty()), (404, false));
    let head = Request::head("https://nowhere.example/").body(()).unwrap();
    let answer = client.ask(&head, true).await.unwrap().answer().await.unwrap();
    assert_eq!((answer.status, answer.body.is_empty()), (404, true));
    gw.metrics_when(|scrape| scrape.sum("narthex_faults_total", &["code=\"no-route\""]) >= 2.0)
        .await;
}

#[tokio::test]
async fn backends_are_told_where_it_came_from() {
    let (_gw, client, _backends) = both().await;
    for host in HOSTS {
        let request = Request::get(format!("https://{host}/"))
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("x-forwarded-for", "9.9.9.9")
            .header("te", "trailers");
        let asked = client.ask(&request.body(()).unwrap(), true).await.unwrap();
        let answer = asked.answer().await.unwrap();
        let seen = answer.header("seen").unwrap();
        for line in [
            "cookie: a=1; b=2",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: https",
            "te: trailers",
        ] {
            assert!(seen.contains(line), "{host} {line}: {seen}");
        }
        assert!(!seen.contains("9.9.9.9"), "{seen}");
    }
}

#[tokio::test]
async fn a_call_of_grpc_and_its_status_pass() {
    let two = Http2Backend::start(|mut received| async move {
        assert_eq!(received.header("te"), Some("trailers"));
        let (message, _) = received.read().await.unwrap();
        let head = Response::builder()
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let mut stream = received.begin(head, false).unwrap();
        send(&mut stream, &message, false).await.unwrap();
        let mut trailer = HeaderMap::new();
        trailer.insert("grpc-status", "0".parse().unwrap());
        stream.send_trailers(trailer).unwrap();
    })
    .await;
    let gw = front(super::nobody(), two.address).start().await;
    let client = client(&gw).await;
    let request = || {
        Request::post("https://two.example/shop.Cart/Add")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap()
    };
    let mut asked = client.ask(&request(), false).await.unwrap();
    asked.send(b"\0\0\0\0\x02hi", true).await.unwrap();
    let answer = asked.answer().await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"\0\0\0\0\x02hi"[..]));
    assert_eq!(answer.trailer.unwrap()["grpc-status"], "0");
    // An answer of ours is one of gRPC too.
    let mut asked = client
        .ask(
            &Request::post("https://one.example/x.Y/Z")
                .header("content-type", "application/grpc")
                .body(())
                .unwrap(),
            false,
        )
        .await
        .unwrap();
    asked.send.finish().unwrap();
    let answer = asked.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("14")));
}

#[tokio::test]
async fn many_requests_at_once_are_all_answered() {
    let (_gw, client, _backends) = both().await;
    let mut asked = Vec::new();
    for index in 0..300 {
        let host = HOSTS[index % 2];
        let request = Request::get(format!("https://{host}/size/{}", index * 100))
            .body(())
            .unwrap();
        asked.push(tokio::spawn({
            let connection = client.connection.clone();
            let endpoint = client.endpoint.clone();
            async move {
                let client = Http3 {
                    connection,
                    endpoint,
                    control: None,
                };
                let answer = client.ask(&request, true).await.unwrap().answer().await.unwrap();
                assert!(answer.body == pattern(index * 100));
            }
        }));
    }
    for task in asked {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_slows_its_backend_down() {
    let (gw, client, (one, _two)) = both().await;
    let request = Request::get("https://one.example/size/30000000")
        .body(())
        .unwrap();
    let mut slow = client.ask(&request, true).await.unwrap();
    slow.head().await.unwrap();
    // Others on the connection are served meanwhile.
    for _ in 0..3 {
        assert_eq!(client.get("https://two.example/size/1000").await.body.len(), 1000);
    }
    assert_eq!(one.connections(), 1);
    let body = slow.answer_rest().await.unwrap();
    assert!(body == pattern(30_000_000));
    drop(gw);
}
