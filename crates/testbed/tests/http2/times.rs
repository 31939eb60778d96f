//! Clients that are slow, silent or gone, on streams and on connections.

use crate::{front, nobody};
use h2::Reason;
use http::Request;
use narthex_testbed::http2::{Frame, Frames, Http2, Http2Backend, fields};
use narthex_testbed::scripted::ScriptedBackend;
use narthex_testbed::{DEADLINE, Gateway};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(400);
/// A few times what any of the limits is set to here, and far below the usual ones.
const SOON: Duration = Duration::from_secs(8);

fn request(stream: u32, path: &str, flags: u8) -> Vec<u8> {
    let block = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "two.example"),
    ]);
    Frame::new(Frame::HEADERS, Frame::END_HEADERS | flags, stream, block).bytes()
}

/// Answers with as many bytes as the path says; `/held` never.
async fn sized() -> Http2Backend {
    Http2Backend::start(|mut received| async move {
        match received.path()[1..].parse::<usize>() {
            Ok(length) => received.answer(200, vec![0; length]).await,
            Err(_) => drop(received.reset().await),
        }
    })
    .await
}

async fn faults(gw: &Gateway, code: &str) -> f64 {
    let label = format!("code=\"{code}\"");
    let scrape = gw
        .metrics_when(|scrape| scrape.sum("narthex_faults_total", &[&label]) > 0.0)
        .await;
    scrape.sum("narthex_faults_total", &[&label])
}

#[tokio::test]
async fn a_body_that_pauses_is_a_408_and_other_streams_go_on() {
    let one = ScriptedBackend::start(|mut peer| async move {
        let head = peer.head().await.unwrap();
        let _ = peer.body(&head).await;
    })
    .await;
    let two = Http2Backend::start(|mut received| async move {
        if let Ok((body, _)) = received.read().await {
            received.answer(200, body).await;
        }
    })
    .await;
    let gw = front(one.address, two.address).settings(|settings| settings.http.timeouts.body_idle = SHORT);
    let gw = gw.start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    for host in ["one.example", "two.example"] {
        let request = Request::post(format!("http://{host}/")).body(()).unwrap();
        let mut slow = client.ask(request, false).await.unwrap();
        slow.send("a part", false).await.unwrap();
        assert_eq!(slow.head().await.unwrap().status(), 408, "{host}");
        assert_eq!(client.get("http://nowhere.example/").await.status, 404);
    }
    assert!(faults(&gw, "slow-body").await >= 2.0);
}

#[tokio::test]
async fn a_client_that_opens_no_window_loses_its_stream_alone() {
    let two = sized().await;
    let gw = front(nobody(), two.address).settings(|settings| settings.http.timeouts.send = SHORT);
    let gw = gw.start().await;
    let mut client = Http2::with(gw.address(80), |builder| {
        builder.initial_window_size(1000);
    })
    .await;
    let request = Request::get("http://two.example/100000").body(()).unwrap();
    let mut asked = client.ask(request, true).await.unwrap();
    let mut head = asked.head().await.unwrap();
    let mut got = 0;
    let end = loop {
        match head.body_mut().data().await.unwrap() {
            Ok(piece) => got += piece.len(),
            Err(error) => break error,
        }
    };
    assert_eq!((got, end.reason()), (1000, Some(Reason::INTERNAL_ERROR)));
    assert_eq!(client.get("http://nowhere.example/").await.status, 404);
    assert!(faults(&gw, "slow-client").await >= 1.0);
}

#[tokio::test]
async fn a_connection_without_streams_is_told_to_go_and_closed() {
    let two = sized().await;
    let gw = front(nobody(), two.address).settings(|settings| {
        settings.http.timeouts.keep_alive = SHORT;
        settings.http.timeouts.head = SHORT;
    });
    let gw = gw.start().await;
    // One that was used, one that never was, and one that answers nothing, not even PINGs.
    let mut used = Http2::plain(gw.address(80)).await;
    assert_eq!(used.get("http://two.example/10").await.body.len(), 10);
    assert!(used.end().await.is_ok());
    assert!(Http2::plain(gw.address(80)).await.end().await.is_ok());
    let began = Instant::now();
    let mut deaf = Frames::connect(gw.address(80)).await;
    assert_eq!(deaf.last_word().await, Some(0));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_preface_that_does_not_come_is_waited_for_as_a_head_is() {
    let gw = front(nobody(), nobody()).settings(|settings| settings.http.timeouts.head = SHORT);
    let gw = gw.start().await;
    for start in ["PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut client = gw.connect(80).await;
        let began = Instant::now();
        client.send(start).await.unwrap();
        let _ = client.rest().await;
        assert!(began.elapsed() < SOON, "{start:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_client_that_waits_in_silence_is_asked_whether_it_is_there() {
    let two = sized().await;
    let gw = front(nobody(), two.address).settings(|settings| settings.http.timeouts.send = SHORT);
    let gw = gw.start().await;
    let mut gone = Frames::connect(gw.address(80)).await;
    let began = Instant::now();
    gone.send(request(1, "/held", Frame::END_STREAM)).await.unwrap();
    let ping = gone.next_of(Frame::PING).await.unwrap();
    assert_eq!(ping.flags, 0);
    assert_eq!(
        gone.next_of(Frame::PING).await,
        None,
        "it is closed without an answer"
    );
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    // One that answers is asked again and again.
    let mut there = Frames::connect(gw.address(80)).await;
    there.send(request(1, "/held", Frame::END_STREAM)).await.unwrap();
    for _ in 0..4 {
        let ping = there.next_of(Frame::PING).await.unwrap();
        let pong = Frame::new(Frame::PING, Frame::ACK, 0, ping.payload);
        there.send(pong.bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed_in_bounded_time() {
    let two = sized().await;
    let gw = front(nobody(), two.address).settings(|settings| {
        settings.http.timeouts.send = SHORT;
        settings.http.timeouts.keep_alive = SHORT;
    });
    let gw = gw.start().await;
    // Windows without end, and nobody who reads.
    let mut client = Frames::with(gw.address(80), &[(4, i32::MAX as u32)]).await;
    let window = (i32::MAX as u32 - 65_535).to_be_bytes();
    client
        .send(Frame::new(Frame::WINDOW_UPDATE, 0, 0, window).bytes())
        .await
        .unwrap();
    for stream in 0..20 {
        client
            .send(request(stream * 2 + 1, "/1000000", Frame::END_STREAM))
            .await
            .unwrap();
    }
    let began = Instant::now();
    let open = |scrape: &narthex_testbed::Scrape| scrape.sum("narthex_downstream_open_connections", &[]);
    gw.metrics_when(|scrape| open(scrape) > 0.0).await;
    gw.metrics_when(|scrape| open(scrape) == 0.0).await;
    let took = began.elapsed();
    assert!(took < SOON, "{took:?}");
    println!("a stalled socket was closed after {took:?}");
    assert!(faults(&gw, "slow-client").await >= 1.0);
    assert!(took < DEADLINE);
}
