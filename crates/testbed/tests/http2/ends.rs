//! Streams that end early: cancelled, refused, answered before they were read.

use crate::{front, nobody};
use bytes::Bytes;
use h2::Reason;
use http::{Request, Response};
use narthex_testbed::http2::{Http2, Http2Backend};
use narthex_testbed::scripted::{Scripted, ScriptedBackend};
use tokio::sync::mpsc;

fn get(url: &str) -> Request<()> {
    Request::get(url).body(()).unwrap()
}

fn post(url: &str) -> Request<()> {
    Request::post(url).body(()).unwrap()
}

fn ok() -> Response<()> {
    Response::new(())
}

#[tokio::test]
async fn a_client_that_cancels_cancels_at_its_endpoint() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let tell_two = tell.clone();
    let one = ScriptedBackend::start(move |mut peer| {
        let tell = tell.clone();
        async move {
            peer.head().await.unwrap();
            tell.send("asked".to_owned()).unwrap();
            peer.closed().await;
            tell.send("closed".into()).unwrap();
        }
    })
    .await;
    let two = Http2Backend::start(move |mut received| {
        let tell = tell_two.clone();
        async move {
            tell.send("asked".to_owned()).unwrap();
            let reason = received.reset().await;
            tell.send(format!("{reason:?}")).unwrap();
        }
    })
    .await;
    let gw = front(one.address, two.address).start().await;
    for (host, end) in [("one", "closed"), ("two", "Some(CANCEL)")] {
        let mut client = Http2::plain(gw.address(80)).await;
        let url = format!("http://{host}.example/");
        let mut asked = client.ask(get(&url), true).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), "asked");
        asked.reset(Reason::CANCEL);
        assert_eq!(told.recv().await.unwrap(), end);
        // The connection goes on.
        let asked = client.ask(get("http://nowhere.example/"), true).await.unwrap();
        assert_eq!(asked.answer().await.unwrap().status, 404);
        // A client that is gone altogether.
        let asked = client.ask(get(&url), true).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), "asked");
        drop((asked, client));
        assert_eq!(told.recv().await.unwrap(), end);
    }
    // From HTTP/1.1 too.
    let mut client = Scripted::connect(gw.address(80)).await;
    client.send("GET / HTTP/1.1\r\nHost: two.example\r\n\r\n").await;
    assert_eq!(told.recv().await.unwrap(), "asked");
    drop(client);
    assert_eq!(told.recv().await.unwrap(), "Some(CANCEL)");
    gw.metrics_when(|scrape| scrape.sum("narthex_faults_total", &["code=\"client-gone\""]) >= 5.0)
        .await;
}

#[tokio::test]
async fn a_stream_that_an_endpoint_resets_is_a_502_before_its_head_and_broken_off_behind_it() {
    let two = Http2Backend::start(|mut received| async move {
        match received.path() {
            "/at-once" => received.respond.send_reset(Reason::INTERNAL_ERROR),
            _ => {
                let mut stream = received.begin(ok(), false).unwrap();
                stream.send_data(Bytes::from_static(b"half"), false).unwrap();
                // Until that was read, for a reset overtakes it.
                received.read().await.unwrap();
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
        }
    })
    .await;
    let gw = front(nobody(), two.address).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    assert_eq!(client.get("http://two.example/at-once").await.status, 502);

    let mut asked = client.ask(post("http://two.example/later"), false).await.unwrap();
    let mut head = asked.head().await.unwrap();
    assert_eq!(head.body_mut().data().await.unwrap().unwrap(), "half");
    asked.send("", true).await.unwrap();
    let end = head.body_mut().data().await.unwrap().unwrap_err();
    assert_eq!(end.reason(), Some(Reason::INTERNAL_ERROR));

    let mut client = Scripted::connect(gw.address(80)).await;
    client
        .send("POST /later HTTP/1.1\r\nHost: two.example\r\nContent-Length: 1\r\n\r\n")
        .await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!(client.exactly(6).await.unwrap(), b"4\r\nhal");
    client.send("x").await;
    client.closed().await;
}

#[tokio::test]
async fn an_endpoint_that_breaks_off_breaks_off_the_stream() {
    let one = ScriptedBackend::start(|mut peer| async move {
        peer.head().await.unwrap();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            .await;
    })
    .await;
    let gw = front(one.address, nobody()).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    let asked = client.ask(get("http://one.example/"), true).await.unwrap();
    let end = asked.answer().await.unwrap_err();
    assert_eq!(end.reason(), Some(Reason::INTERNAL_ERROR));
    assert_eq!(client.get("http://nowhere.example/").await.status, 404);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_was_read_is_passed_on() {
    let one = ScriptedBackend::start(|mut peer| async move {
        peer.head().await.unwrap();
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            .await;
    })
    .await;
    let two = Http2Backend::start(|mut received| async move {
        let head = Response::builder().status(403).body(()).unwrap();
        let mut stream = received.begin(head, false).unwrap();
        // RFC 9113 §8.1: behind it goes a reset without an error, as the content is dropped here.
        stream.send_data(Bytes::from_static(b"no"), true).unwrap();
    })
    .await;
    let gw = front(one.address, two.address).start().await;
    for host in ["one.example", "two.example"] {
        let mut client = Http2::plain(gw.address(80)).await;
        let mut asked = client.ask(post(&format!("http://{host}/")), false).await.unwrap();
        asked.send([0; 1000], false).await.unwrap();
        let answer = asked.answer().await.unwrap();
        assert_eq!((answer.status, &*answer.text()), (403, "no"), "{host}");
        assert_eq!(client.get("http://nowhere.example/").await.status, 404);

        let mut client = Scripted::connect(gw.address(80)).await;
        client
            .send(format!(
                "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2000\r\n\r\n"
            ))
            .await;
        client.send([0; 1000]).await;
        let head = client.head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 403 "), "{host}: {head}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_answered_and_its_stream_alone_ends() {
    let one = ScriptedBackend::start(|mut peer| async move {
        while let Some(head) = peer.head().await {
            if peer.body(&head).await.is_err() {
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
    .await;
    let two = Http2Backend::start(|mut received| async move {
        if received.read().await.is_ok() {
            received.answer(200, "").await;
        }
    })
    .await;
    let gw = front(one.address, two.address).settings(|settings| settings.http.limits.body = Some(1000));
    let gw = gw.start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    for host in ["one.example", "two.example"] {
        let url = format!("http://{host}/");
        let mut asked = client.ask(post(&url), false).await.unwrap();
        asked.send([0; 1000], true).await.unwrap();
        assert_eq!(asked.answer().await.unwrap().status, 200, "{host}");
        // Told before, and found out on the way.
        let known = Request::post(&url)
            .header("content-length", 1001)
            .body(())
            .unwrap();
        let asked = client.ask(known, false).await.unwrap();
        assert_eq!(asked.answer().await.unwrap().status, 413, "{host}");
        let mut asked = client.ask(post(&url), false).await.unwrap();
        asked.send([0; 1001], false).await.unwrap();
        assert_eq!(asked.answer().await.unwrap().status, 413, "{host}");
    }
}

#[tokio::test]
async fn an_endpoint_that_speaks_something_else_is_a_502() {
    let one = ScriptedBackend::start(|mut peer| async move {
        peer.head().await;
        peer.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .await;
    })
    .await;
    let gw = front(nobody(), one.address).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    assert_eq!(client.get("http://two.example/").await.status, 502);
    assert_eq!(client.get("http://one.example/").await.status, 502);
}
