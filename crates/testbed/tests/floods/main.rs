//! Clients of HTTP/2 that ask for much work, or much memory, with little effort (RFC 9113 §10.5): their connection is
//! closed, with a word that says why; what they made us hold is bounded; others are served meanwhile.
//!
//! Each test prints its figures: `cargo test -p narthex-testbed --test floods -- --nocapture`.
#![allow(clippy::unwrap_used)]
#![allow(unsafe_code)] // a global allocator that counts can't be written without

mod scene;

use http::Request;
use narthex_testbed::DEADLINE;
use narthex_testbed::http2::{Frame, Frames, Http2, fields};
use scene::{BYTES, CALM, MIB, PEAK, request, scene, window};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// What a client does wrong on a stream.
type Breach = fn(u32) -> Vec<u8>;

#[tokio::test]
async fn frames_without_use_close_the_connection() {
    let scene = scene(|_| {}).await;
    let open = || request(1, "/held", 0);
    let floods: Vec<(&str, Vec<u8>, Frame, u32)> = vec![
        ("PING", vec![], Frame::new(Frame::PING, 0, 0, [0; 8]), 2000),
        (
            "PING answered",
            vec![],
            Frame::new(Frame::PING, Frame::ACK, 0, [0; 8]),
            2000,
        ),
        (
            "SETTINGS",
            vec![],
            Frame::new(Frame::SETTINGS, 0, 0, [0, 4, 0, 0, 1, 0]),
            500,
        ),
        (
            "PRIORITY",
            vec![],
            Frame::new(Frame::PRIORITY, 0, 1, [0, 0, 0, 3, 1]),
            2000,
        ),
        (
            "WINDOW_UPDATE",
            vec![],
            Frame::new(Frame::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]),
            2000,
        ),
        (
            "WINDOW_UPDATE of a stream",
            open(),
            Frame::new(Frame::WINDOW_UPDATE, 0, 1, [0, 0, 0, 1]),
            2000,
        ),
        ("empty DATA", open(), Frame::new(Frame::DATA, 0, 1, []), 2000),
        (
            "DATA that is padding",
            open(),
            Frame::new(Frame::DATA, 8, 1, [255; 256]),
            2000,
        ),
        ("unknown frames", vec![], Frame::new(0x77, 0, 0, [0; 100]), 2000),
        (
            "unknown frames of a stream",
            open(),
            Frame::new(0x77, 0, 1, []),
            2000,
        ),
    ];
    let count = floods.len();
    for (what, start, frame, most) in floods {
        let bytes = frame.bytes();
        let figures = scene.flood(what, start, |_| bytes.clone()).await;
        assert_eq!(figures.code, Some(CALM), "{what}");
        // Some more are on their way before the word arrives.
        assert!(figures.sent <= most + 3000, "{what}");
        assert!(figures.bytes < 4 * MIB, "{what}");
    }
    scene.counted(count).await;
}

#[tokio::test]
async fn streams_that_are_begun_and_cancelled_close_the_connection() {
    // CVE-2023-44487.
    let scene = scene(|_| {}).await;
    let reset = |stream| Frame::new(Frame::RST_STREAM, 0, stream, 8_u32.to_be_bytes()).bytes();
    for path in ["/held", "/1000"] {
        let before = scene.backend.requests();
        let figures = scene
            .flood(&format!("rapid reset of {path}"), vec![], |number| {
                let stream = number * 2 + 1;
                [request(stream, path, Frame::END_STREAM), reset(stream)].concat()
            })
            .await;
        let asked = scene.backend.requests() - before;
        println!("  requests of the endpoint, those of the other client among them: {asked}");
        assert_eq!(figures.code, Some(CALM));
        assert!(figures.sent <= 1000 && figures.bytes < 16 * MIB, "{figures:?}");
    }
    // One after the other, each let in before it is cancelled.
    let mut client = Frames::connect(scene.gw.address(80)).await;
    let mut streams = 0;
    for number in 0..2000 {
        let stream = number * 2 + 1;
        let ping = Frame::new(Frame::PING, 0, 0, [1; 8]).bytes();
        let sent = client
            .send([request(stream, "/held", Frame::END_STREAM), ping].concat())
            .await;
        if sent.is_err() || client.next_of(Frame::PING).await.is_none() {
            break;
        }
        let _ = client.send(reset(stream)).await;
        streams += 1;
    }
    println!("slow reset: closed after {streams} streams");
    assert!(streams < 400);
}

#[tokio::test]
async fn streams_that_we_are_made_to_reset_close_the_connection() {
    // CVE-2025-8671. The client breaks the protocol on each of its streams, and never resets one itself.
    let scene = scene(|_| {}).await;
    let breaches: &[(&str, u8, Breach)] = &[
        ("a window of nothing", Frame::END_STREAM, |stream| {
            window(stream, 0)
        }),
        ("a window beyond all", Frame::END_STREAM, |stream| {
            window(stream, i32::MAX as u32)
        }),
        ("content behind the end", Frame::END_STREAM, |stream| {
            Frame::new(Frame::DATA, 0, stream, [0; 10]).bytes()
        }),
        ("a head behind the end", Frame::END_STREAM, |stream| {
            request(stream, "/held", Frame::END_STREAM)
        }),
    ];
    for (what, flags, breach) in breaches {
        let before = scene.backend.requests();
        let figures = scene
            .flood(&format!("made to reset by {what}"), vec![], |number| {
                let stream = number * 2 + 1;
                [request(stream, "/held", *flags), breach(stream)].concat()
            })
            .await;
        let asked = scene.backend.requests() - before;
        assert!(
            figures
                .code
                .is_some_and(|code| code == CALM || code == 5 || code == 1),
            "{figures:?}"
        );
        assert!(figures.sent <= 1000 && figures.bytes < 16 * MIB, "{figures:?}");
        assert!(asked < 1000, "{asked}");
    }
}

#[tokio::test]
async fn a_head_without_end_closes_the_connection() {
    let scene = scene(|_| {}).await;
    let start = |block: &[u8]| Frame::new(Frame::HEADERS, Frame::END_STREAM, 1, block).bytes();
    let head = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "app.example"),
    ]);
    let empty = Frame::new(Frame::CONTINUATION, 0, 1, []).bytes();
    let small = Frame::new(Frame::CONTINUATION, 0, 1, fields(&[("a", "b")])).bytes();
    let value = "v".repeat(16_000);
    let large = Frame::new(Frame::CONTINUATION, 0, 1, fields(&[("a", &value)])).bytes();
    for (what, frame) in [("empty", empty), ("small", small), ("large", large)] {
        let what = format!("{what} CONTINUATION");
        let figures = scene.flood(&what, start(&head), |_| frame.clone()).await;
        assert_eq!(figures.code, Some(CALM), "{what}");
        assert!(figures.sent <= 3000 && figures.bytes < 8 * MIB, "{what}");
    }
}

#[tokio::test]
async fn a_few_bytes_that_stand_for_many_are_refused() {
    let scene = scene(|_| {}).await;
    // A field of 4,000 bytes into the table (RFC 7541 §6.2.1), then word of it (§6.1) again and again.
    let value = "v".repeat(3900);
    let mut put = fields(&[("bomb", &value)]);
    put[0] = 0x40;
    let start = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/10"),
        (":authority", "app.example"),
    ]);
    let flags = Frame::END_HEADERS | Frame::END_STREAM;
    let first = Frame::new(Frame::HEADERS, flags, 1, [&start[..], &put].concat()).bytes();
    let what = "HPACK: 16,000 times a field of 3,900 bytes";
    let figures = scene
        .flood(what, first, |number| {
            let block = [&start[..], &[0xbe; 16_000]].concat();
            Frame::new(Frame::HEADERS, flags, number * 2 + 3, block).bytes()
        })
        .await;
    assert_eq!(figures.code, Some(CALM));
    assert!(figures.sent <= 100 && figures.bytes < 8 * MIB, "{figures:?}");

    // Just above what a head may have is answered.
    let mut client = Http2::plain(scene.gw.address(80)).await;
    client.settled().await;
    let mut request = Request::get("http://app.example/10");
    for number in 0..12 {
        request = request.header(format!("x-{number}"), &value);
    }
    let answer = client
        .ask(request.body(()).unwrap(), true)
        .await
        .unwrap()
        .answer()
        .await;
    assert_eq!(answer.unwrap().status, 431);
    assert_eq!(client.get("http://app.example/10").await.status, 200);
}

#[tokio::test]
async fn a_client_without_windows_makes_us_hold_little() {
    let scene = scene(|settings| settings.http.timeouts.send = Duration::from_secs(2)).await;
    let mut client = Frames::with(scene.gw.address(80), &[(4, 0)]).await;
    let before = BYTES.load(Relaxed);
    PEAK.store(before, Relaxed);
    let began = Instant::now();
    for stream in 0..128 {
        client
            .send(request(stream * 2 + 1, "/10000000", Frame::END_STREAM))
            .await
            .unwrap();
    }
    let mut other = Http2::plain(scene.gw.address(80)).await;
    let (mut resets, mut slowest) = (0, Duration::ZERO);
    while resets < 128 {
        let frame = client.next().await.expect("the connection stays");
        resets += u32::from(frame.kind == Frame::RST_STREAM);
        if frame.kind == Frame::PING && frame.flags == 0 {
            let pong = Frame::new(Frame::PING, Frame::ACK, 0, frame.payload);
            client.send(pong.bytes()).await.unwrap();
        }
        if resets % 16 == 1 {
            let asked = Instant::now();
            assert_eq!(other.get("http://app.example/100000").await.body.len(), 100_000);
            slowest = slowest.max(asked.elapsed());
        }
    }
    let bytes = PEAK.load(Relaxed) - before;
    println!(
        "128 requests of 10 MB and no window: {:.1} MiB; all reset after {:.1?}; another client waits {slowest:.1?} for 100 kB",
        bytes as f64 / MIB as f64,
        began.elapsed()
    );
    assert!(bytes < 64 * MIB, "{bytes}");
    assert!(began.elapsed() < DEADLINE);
}

#[tokio::test]
async fn a_window_that_opens_byte_by_byte_closes_the_connection() {
    let scene = scene(|_| {}).await;
    let client = Frames::with(scene.gw.address(80), &[(4, 0)]).await;
    let start = request(1, "/1000000", Frame::END_STREAM);
    let figures = scene
        .flood_on(client, "a window that opens byte by byte", start, |_| {
            window(1, 1)
        })
        .await;
    assert_eq!(figures.code, Some(CALM));
    assert!(figures.sent <= 5000 && figures.bytes < 8 * MIB, "{figures:?}");
}

#[tokio::test]
async fn a_socket_that_nobody_reads_makes_us_hold_little() {
    let scene = scene(|settings| {
        settings.http.timeouts.send = Duration::from_secs(2);
        settings.http.timeouts.keep_alive = Duration::from_secs(2);
    })
    .await;
    let mut client = Frames::with(scene.gw.address(80), &[(4, i32::MAX as u32)]).await;
    client.send(window(0, i32::MAX as u32 - 65_535)).await.unwrap();
    let before = BYTES.load(Relaxed);
    PEAK.store(before, Relaxed);
    let began = Instant::now();
    for stream in 0..128 {
        client
            .send(request(stream * 2 + 1, "/10000000", Frame::END_STREAM))
            .await
            .unwrap();
    }
    let open = "narthex_downstream_open_connections";
    scene.gw.metrics_when(|scrape| scrape.sum(open, &[]) == 0.0).await;
    let bytes = PEAK.load(Relaxed) - before;
    println!(
        "128 responses of 10 MB that nobody reads: {:.1} MiB; closed after {:.1?}",
        bytes as f64 / MIB as f64,
        began.elapsed()
    );
    assert!(bytes < 64 * MIB, "{bytes}");
}
