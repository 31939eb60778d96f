//! Many streams at once: memory stays bounded, and those that read are not held up by those that don't.

use crate::{front, nobody};
use http::Request;
use narthex_testbed::DEADLINE;
use narthex_testbed::http2::{Http2, Http2Backend};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What somebody who reads may have to wait for, on a machine that is busy.
const SOON: Duration = Duration::from_secs(5);

/// Answers with as many bytes as the path says, and reads all that comes unless the path is `/deaf`.
async fn sized() -> Http2Backend {
    let change = |builder: &mut h2::server::Builder| {
        // Those that are not read must not take all of it.
        builder.initial_connection_window_size(8 << 20);
    };
    Http2Backend::with(change, |mut received| async move {
        if received.path() == "/deaf" {
            received.reset().await;
            return;
        }
        let Ok((body, _)) = received.read().await else {
            return;
        };
        let length = received.path()[1..].parse().unwrap_or(body.len());
        received.answer(200, vec![7; length]).await;
    })
    .await
}

#[tokio::test]
async fn a_hundred_streams_of_64_kib_pass_at_once() {
    let two = sized().await;
    let gw = front(nobody(), two.address).start().await;
    let mut client = Http2::with(gw.address(80), |builder| {
        // What one stream has of the client's window must not be all of it, as they are read one after the other.
        builder.initial_connection_window_size(8 << 20);
    })
    .await;
    client.settled().await;
    let mut under_way = Vec::new();
    for _ in 0..100 {
        let request = Request::get("http://two.example/65536").body(()).unwrap();
        under_way.push(client.ask(request, true).await.unwrap());
    }
    for asked in under_way {
        let answer = asked.answer().await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 65_536));
    }
}

#[tokio::test]
async fn clients_that_do_not_read_hold_up_nobody_at_the_same_endpoint() {
    let two = sized().await;
    let gw = front(nobody(), two.address).workers(1).start().await;
    // Each of these fills what one exchange may hold.
    let (mut slow, mut held) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let mut client = Http2::with(gw.address(80), |builder| {
            builder.initial_window_size(1);
        })
        .await;
        for _ in 0..5 {
            let request = Request::get("http://two.example/1000000").body(()).unwrap();
            let mut asked = client.ask(request, true).await.unwrap();
            held.push(asked.head().await.unwrap());
        }
        slow.push(client);
    }
    let began = Instant::now();
    let mut client = Http2::plain(gw.address(80)).await;
    let answer = timeout(DEADLINE, client.get("http://two.example/1000000")).await;
    assert_eq!(answer.unwrap().body.len(), 1_000_000);
    println!("beside 100 clients that don't read: {:?}", began.elapsed());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(two.connections() <= 2, "{}", two.connections());
}

#[tokio::test]
async fn streams_that_are_not_read_hold_up_no_other_stream_of_their_client() {
    let two = sized().await;
    let gw = front(nobody(), two.address).start().await;
    let mut client = Http2::with(gw.address(80), |builder| {
        builder
            .initial_window_size(1000)
            .initial_connection_window_size(1 << 20);
    })
    .await;
    client.settled().await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let request = Request::get("http://two.example/65536").body(()).unwrap();
        let mut asked = client.ask(request, true).await.unwrap();
        held.push(asked.head().await.unwrap());
    }
    let began = Instant::now();
    let answer = timeout(DEADLINE, client.get("http://two.example/65536"))
        .await
        .unwrap();
    assert_eq!(answer.body.len(), 65_536);
    println!("beside 100 streams that are not read: {:?}", began.elapsed());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn uploads_that_are_not_read_leave_room_for_others() {
    let two = sized().await;
    let gw = front(nobody(), two.address).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    client.settled().await;
    let mut stuck = Vec::new();
    for _ in 0..8 {
        let request = Request::post("http://two.example/deaf").body(()).unwrap();
        let mut asked = client.ask(request, false).await.unwrap();
        let sends = tokio::spawn(async move {
            let _ = narthex_testbed::http2::send(&mut asked.content, &vec![0; 4_000_000], true).await;
        });
        stuck.push(sends);
    }
    let request = Request::post("http://two.example/").body(()).unwrap();
    let mut asked = client.ask(request, false).await.unwrap();
    let began = Instant::now();
    asked.send(vec![1; 1_000_000], true).await.unwrap();
    assert_eq!(asked.answer().await.unwrap().body.len(), 1_000_000);
    println!("beside 8 uploads that nobody reads: {:?}", began.elapsed());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(stuck.iter().all(|sends| !sends.is_finished()));
}

#[tokio::test]
async fn more_exchanges_than_an_endpoint_allows_get_further_connections() {
    let two = Http2Backend::with(
        |builder| {
            builder.max_concurrent_streams(10);
        },
        |received| async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            received.answer(200, "x").await;
        },
    )
    .await;
    let gw = front(nobody(), two.address).workers(1).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    client.settled().await;
    // So that the endpoint's settings are known.
    client.get("http://two.example/").await;
    let mut under_way = Vec::new();
    for _ in 0..60 {
        let request = Request::get("http://two.example/").body(()).unwrap();
        under_way.push(client.ask(request, true).await.unwrap());
    }
    for asked in under_way {
        assert_eq!(asked.answer().await.unwrap().status, 200);
    }
    assert!(
        (2..=7).contains(&two.connections()),
        "{} connections",
        two.connections()
    );
}
