//! Clients of HTTP/2 that ask for much work, or much memory, with little effort (RFC 9113 §10.5): their connection is
//! closed, with a word that says why; what they made us hold is bounded; others are served meanwhile.
//!
//! Each test prints its figures: `cargo test -p narthex-testbed --test floods -- --nocapture`.
#![allow(clippy::unwrap_used)]
#![allow(unsafe_code)] // a global allocator that counts can't be written without

use bytes::Bytes;
use http::{Request, Response};
use narthex_testbed::http2::{Frame, Frames, Http2, Http2Backend, Received, fields};
use narthex_testbed::objects::{FRONT, endpoint_slice, route};
use narthex_testbed::{DEADLINE, Gateway};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};

#[global_allocator]
static COUNTING: Counting = Counting;
static BYTES: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

struct Counting;

fn count(bytes: i64) {
    let now = BYTES.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

// SAFETY: hands everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// One at a time: memory is counted for all of the process.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A gateway with a backend that answers with as many bytes as the path says, and `/held` never.
struct Scene {
    gw: Gateway,
    backend: Http2Backend,
    _alone: MutexGuard<'static, ()>,
}

/// What a flood came to.
#[derive(Debug)]
struct Figures {
    /// Frames, or groups of them, that were sent before the gateway closed.
    sent: u32,
    /// Code of the last GOAWAY.
    code: Option<u32>,
    /// More bytes than before, at the worst moment. Those of the test's own ends are among them.
    bytes: i64,
    /// The longest that another client waited for an answer meanwhile.
    other: Duration,
}

const CALM: u32 = 11;
const MIB: i64 = 1 << 20;

async fn scene(change: impl FnOnce(&mut translate::Settings)) -> Scene {
    let alone = ALONE.lock().await;
    let backend = Http2Backend::start(|mut received| async move {
        match received.path()[1..].parse::<usize>() {
            Ok(length) => answer(received, length).await,
            Err(_) => drop(received.reset().await),
        }
    })
    .await;
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: app, namespace: default}\n\
                   spec: {ports: [{port: 80, appProtocol: kubernetes.io/h2c}]}\n---\n";
    let rules = "  hostnames: [app.example]\n  rules: [{backendRefs: [{name: app, port: 80}]}]";
    let slice = endpoint_slice("app", "app", &[backend.address]);
    let yaml = [FRONT, service, &slice, &route("app", rules)].concat();
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .settings(change);
    let gw = gw.workers(1).start().await;
    Scene {
        gw,
        backend,
        _alone: alone,
    }
}

/// So many bytes that take no memory.
async fn answer(mut received: Received, length: usize) {
    static NOTHING: [u8; 16_384] = [0; 16_384];
    let Ok(mut stream) = received.begin(Response::new(()), false) else {
        return;
    };
    let mut left = length;
    while left > 0 {
        stream.reserve_capacity(NOTHING.len());
        while stream.capacity() == 0 {
            if !matches!(
                std::future::poll_fn(|cx| stream.poll_capacity(cx)).await,
                Some(Ok(_))
            ) {
                return;
            }
        }
        let count = stream.capacity().min(left).min(NOTHING.len());
        left -= count;
        if stream
            .send_data(Bytes::from_static(&NOTHING[..count]), left == 0)
            .is_err()
        {
            return;
        }
    }
}

fn request(stream: u32, path: &str, flags: u8) -> Vec<u8> {
    let block = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "app.example"),
    ]);
    Frame::new(Frame::HEADERS, Frame::END_HEADERS | flags, stream, block).bytes()
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    Frame::new(Frame::WINDOW_UPDATE, 0, stream, by.to_be_bytes()).bytes()
}

impl Scene {
    /// Sends what `next` gives for each number until the gateway closes, while another client asks on.
    async fn flood(&self, what: &str, start: Vec<u8>, next: impl FnMut(u32) -> Vec<u8>) -> Figures {
        let client = Frames::connect(self.gw.address(80)).await;
        self.flood_on(client, what, start, next).await
    }

    async fn flood_on(
        &self,
        mut client: Frames,
        what: &str,
        start: Vec<u8>,
        mut next: impl FnMut(u32) -> Vec<u8>,
    ) -> Figures {
        let tcp = client.tcp.into_std().unwrap();
        let mut reader = Frames::over(TcpStream::from_std(tcp.try_clone().unwrap()).unwrap());
        client = Frames::over(TcpStream::from_std(tcp).unwrap());
        let other = tokio::spawn(ask_on(self.gw.address(80)));
        client.send(start).await.unwrap();
        let before = BYTES.load(Relaxed);
        PEAK.store(before, Relaxed);
        let reads = tokio::spawn(async move { reader.last_word().await });
        let mut sent = 0;
        while !reads.is_finished() && sent < MOST {
            let group: Vec<u8> = (sent..sent + GROUP).flat_map(&mut next).collect();
            if client.send(group).await.is_err() {
                break;
            }
            sent += GROUP;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let bytes = PEAK.load(Relaxed) - before;
        let code = reads.await.unwrap();
        other.abort();
        let figures = Figures {
            sent,
            code,
            bytes,
            other: Duration::from_nanos(LONGEST.swap(0, Relaxed)),
        };
        println!("{what}: {figures:?}");
        assert!(
            figures.other < Duration::from_secs(2),
            "{what}: others wait: {figures:?}"
        );
        // And they go on.
        let mut client = Http2::plain(self.gw.address(80)).await;
        assert_eq!(client.get("http://app.example/10").await.body.len(), 10);
        figures
    }

    /// Whether floods were counted.
    async fn counted(&self, floods: usize) {
        let scrape = self
            .gw
            .metrics_when(|scrape| scrape.sum("narthex_faults_total", &["code=\"flood\""]) >= floods as f64);
        scrape.await;
    }
}

static LONGEST: AtomicU64 = AtomicU64::new(0);
/// Sent at once, then a moment for the gateway to say something.
const GROUP: u32 = 20;
/// Far more than any flood may take.
const MOST: u32 = 100_000;

async fn ask_on(address: std::net::SocketAddr) {
    let mut client = Http2::plain(address).await;
    loop {
        let began = Instant::now();
        assert_eq!(client.get("http://app.example/100").await.status, 200);
        LONGEST.fetch_max(began.elapsed().as_nanos() as u64, Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

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
    type Breach = fn(u32) -> Vec<u8>;
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
