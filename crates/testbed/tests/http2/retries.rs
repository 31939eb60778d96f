//! What is sent again to endpoints of HTTP/2, and what mirrors get.

use crate::{backend, front, nobody, to};
use h2::Reason;
use http::{Request, Response};
use narthex_testbed::http2::{Frame, Frames, Http2, Http2Backend};
use narthex_testbed::objects::FRONT;
use narthex_testbed::scripted::{Scripted, ScriptedBackend};
use narthex_testbed::{DEADLINE, Gateway};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;
use tokio::sync::{Notify, mpsc};

#[tokio::test]
async fn a_request_that_was_refused_is_sent_again_whatever_it_was() {
    let two = Http2Backend::start(|mut received| async move {
        // Every other one.
        if received.number % 2 == 0 {
            return received.respond.send_reset(Reason::REFUSED_STREAM);
        }
        let (body, _) = received.read().await.unwrap();
        received.answer(200, body).await;
    })
    .await;
    let gw = front(nobody(), two.address).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    assert_eq!(client.get("http://two.example/").await.status, 200);
    let request = Request::post("http://two.example/").body(()).unwrap();
    let answer = client.ask(request, true).await.unwrap().answer().await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(two.requests(), 4);
    let mut client = Scripted::connect(gw.address(80)).await;
    client
        .send("DELETE / HTTP/1.1\r\nHost: two.example\r\n\r\n")
        .await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!(two.requests(), 6);
}

#[tokio::test]
async fn an_endpoint_that_refuses_for_ever_is_a_503() {
    let two = Http2Backend::start(|mut received| async move {
        received.respond.send_reset(Reason::REFUSED_STREAM);
    })
    .await;
    let gw = front(nobody(), two.address).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    assert_eq!(client.get("http://two.example/").await.status, 503);
    assert_eq!(two.requests(), 4, "the first try and three more");
}

/// Takes a request on a connection of bare frames and does this with it; further connections are served.
async fn once<F, A>(first: F) -> std::net::SocketAddr
where
    F: Fn(Frames, u32) -> A + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut frames = Frames::over(tcp);
            frames
                .send(Frame::new(Frame::SETTINGS, 0, 0, []).bytes())
                .await
                .unwrap();
            frames.skip(24).await;
            if number == 0 {
                let head = frames.next_of(Frame::HEADERS).await.unwrap();
                first(frames, head.stream).await;
                continue;
            }
            tokio::spawn(async move {
                while let Some(head) = frames.next_of(Frame::HEADERS).await {
                    // `:status: 200` (RFC 7541, appendix A).
                    let flags = Frame::END_HEADERS | Frame::END_STREAM;
                    let answer = Frame::new(Frame::HEADERS, flags, head.stream, [0x88]);
                    frames.send(answer.bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    Frame::new(
        Frame::GOAWAY,
        0,
        0,
        [last.to_be_bytes(), code.to_be_bytes()].concat(),
    )
    .bytes()
}

#[tokio::test]
async fn a_request_that_a_goaway_leaves_out_is_sent_again_whatever_it_was() {
    for code in [0, 11] {
        let two = once(move |mut frames, _| async move {
            frames.send(goaway(0, code)).await.unwrap();
            // A reset of the socket would overtake it.
            tokio::spawn(async move { frames.last_word().await });
        })
        .await;
        let gw = front(nobody(), two).start().await;
        let mut client = Http2::plain(gw.address(80)).await;
        let request = Request::post("http://two.example/").body(()).unwrap();
        let answer = client.ask(request, true).await.unwrap().answer().await.unwrap();
        assert_eq!(answer.status, 200, "code {code}");
    }
}

#[tokio::test]
async fn a_request_that_a_goaway_covers_is_not_sent_again_when_its_connection_breaks() {
    for code in [0, 2] {
        let two = once(move |mut frames, stream| async move {
            frames.send(goaway(stream, code)).await.unwrap();
        })
        .await;
        let gw = front(nobody(), two).start().await;
        let mut client = Http2::plain(gw.address(80)).await;
        let request = Request::post("http://two.example/").body(()).unwrap();
        let answer = client.ask(request, true).await.unwrap().answer().await.unwrap();
        assert_eq!(answer.status, 502, "code {code}: it may have been carried out");
    }
}

#[tokio::test]
async fn an_endpoint_that_goes_finishes_what_is_under_way_and_gets_nothing_more() {
    let release = Arc::<Notify>::default();
    let held = Arc::clone(&release);
    let (tell, mut told) = mpsc::unbounded_channel();
    let two = Http2Backend::start(move |received| {
        let (held, tell) = (Arc::clone(&held), tell.clone());
        async move {
            tell.send(received.connection).unwrap();
            if received.path() == "/held" {
                held.notified().await;
            }
            received.answer(200, "done").await;
        }
    })
    .await;
    let gw = front(nobody(), two.address).workers(1).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    let held = Request::get("http://two.example/held").body(()).unwrap();
    let held = client.ask(held, true).await.unwrap();
    assert_eq!(told.recv().await, Some(0));
    two.leave();
    // Until the word has arrived, requests may still go there.
    let deadline = Instant::now() + DEADLINE;
    loop {
        assert_eq!(client.get("http://two.example/").await.status, 200);
        if told.recv().await == Some(1) {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "requests still go to a connection that goes"
        );
    }
    release.notify_one();
    let answer = held.answer().await.unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "done"));
}

#[tokio::test]
async fn a_rule_that_retries_sends_the_body_again() {
    let two = Http2Backend::start(|mut received| async move {
        let (body, _) = received.read().await.unwrap();
        let status = if received.number % 3 < 2 { 503 } else { 200 };
        received.answer(status, body).await;
    })
    .await;
    let rest = ", retry: {attempts: 2, codes: [503], backoff: 5ms}";
    let yaml = [
        FRONT,
        &backend("two", "kubernetes.io/h2c", &[two.address]),
        &to("two", rest),
    ]
    .concat();
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .start()
        .await;
    let body = vec![b'x'; 50_000];
    for known in [true, false] {
        let mut client = Http2::plain(gw.address(80)).await;
        let mut request = Request::post("http://two.example/");
        if known {
            request = request.header("content-length", body.len());
        }
        let mut asked = client.ask(request.body(()).unwrap(), false).await.unwrap();
        asked.send(&body, true).await.unwrap();
        let answer = asked.answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, body.len()),
            "known: {known}"
        );
    }
    let mut client = Scripted::connect(gw.address(80)).await;
    client.send("POST / HTTP/1.1\r\nHost: two.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(client.body(&head).await.unwrap().0, b"hello");
    assert_eq!(two.requests(), 9);
}

#[tokio::test]
async fn a_call_that_failed_at_once_is_tried_again_by_its_code() {
    let two = Http2Backend::start(|mut received| async move {
        received.read().await.unwrap();
        // Every other one fails, with the code that it asks for.
        let code = match received.number % 2 {
            0 => received.head.headers["x-code"].to_str().unwrap().to_owned(),
            _ => "0".to_owned(),
        };
        let head = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", code);
        received
            .respond
            .send_response(head.body(()).unwrap(), true)
            .unwrap();
    })
    .await;
    let yaml = [
        FRONT,
        &backend("two", "kubernetes.io/h2c", &[two.address]),
        &to("two", ", retry: {attempts: 1, codes: [504], backoff: 5ms}"),
    ];
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml.concat())
        .without_echo()
        .start()
        .await;
    let mut client = Http2::plain(gw.address(80)).await;
    let mut requests = 0;
    for (code, again) in [("14", true), ("4", true), ("13", false), ("5", false)] {
        let request = Request::post("http://two.example/a.B/C")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-code", code);
        let asked = client.ask(request.body(()).unwrap(), true).await.unwrap();
        let answer = asked.answer().await.unwrap();
        let expected = if again { "0" } else { code };
        assert_eq!(answer.headers["grpc-status"], expected);
        requests += if again { 2 } else { 1 };
        assert_eq!(two.requests(), requests, "{code}");
        if !again {
            // So that the next call is one that fails.
            requests += 1;
            assert_eq!(client.get("http://two.example/").await.status, 200);
        }
    }
}

#[tokio::test]
async fn mirrors_get_a_copy_in_their_own_version() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let two = Http2Backend::start(move |mut received| {
        let tell = tell.clone();
        async move {
            let (body, _) = received.read().await.unwrap();
            let host = received.head.uri.authority().unwrap().to_string();
            tell.send((received.head.method.clone(), host, body.len()))
                .unwrap();
            received.answer(500, "nobody reads this").await;
        }
    })
    .await;
    let one = ScriptedBackend::start(|mut peer| async move {
        while let Some(head) = peer.head().await {
            peer.body(&head).await.unwrap();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
    .await;
    let rest = ", filters: [{type: RequestMirror, requestMirror: {backendRef: {name: two, port: 80}}}]";
    let yaml = [
        FRONT,
        &backend("one", "http", &[one.address]),
        &backend("two", "kubernetes.io/h2c", &[two.address]),
        &to("one", rest),
    ]
    .concat();
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .start()
        .await;
    let mut client = Http2::plain(gw.address(80)).await;
    assert_eq!(client.get("http://one.example/").await.status, 200);
    let copy = told.recv().await.unwrap();
    assert_eq!((copy.0.as_str(), &*copy.1, copy.2), ("GET", "one.example", 0));
    let request = Request::post("http://one.example/").body(()).unwrap();
    let mut asked = client.ask(request, false).await.unwrap();
    asked.send(vec![0; 70_000], true).await.unwrap();
    assert_eq!(asked.answer().await.unwrap().status, 200);
    let copy = told.recv().await.unwrap();
    assert_eq!((copy.0.as_str(), copy.2), ("POST", 70_000));
    for _ in 0..100 {
        client.get("http://one.example/").await;
        told.recv().await.unwrap();
    }
    assert!(two.connections() <= 2, "copies share a connection of each worker");
}

#[tokio::test]
async fn who_waits_for_a_connection_that_fails_does_not_try_in_turn() {
    // A queue that is full takes nobody: connecting there never ends.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut full = Vec::new();
    while let Ok(Ok(tcp)) = tokio::time::timeout(
        Duration::from_millis(100),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        full.push(tcp);
    }
    let gw = front(nobody(), address).settings(|settings| {
        settings.upstream.connect_timeout = Duration::from_millis(500);
        settings.upstream.connect_tries = 1;
    });
    let gw = gw.workers(1).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    let began = Instant::now();
    let mut asked = Vec::new();
    for _ in 0..20 {
        let request = Request::get("http://two.example/").body(()).unwrap();
        asked.push(client.ask(request, true).await.unwrap());
    }
    for asked in asked {
        assert_eq!(asked.answer().await.unwrap().status, 504);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "twenty waited for {took:?}");
}
