//! A gateway that is flooded, what the flood comes to, and how much memory it takes.

use bytes::Bytes;
use http::Response;
use narthex_testbed::Gateway;
use narthex_testbed::http2::{Frame, Frames, Http2, Http2Backend, Received, fields};
use narthex_testbed::objects::{FRONT, endpoint_slice, route};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};

#[global_allocator]
static COUNTING: Counting = Counting;
pub static BYTES: AtomicI64 = AtomicI64::new(0);
pub static PEAK: AtomicI64 = AtomicI64::new(0);

struct Counting;

fn count(bytes: i64) {
    let now = BYTES.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

fn signed(size: usize) -> i64 {
    size.cast_signed() as i64
}

// SAFETY: hands everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// One at a time: memory is counted for all of the process.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A gateway with a backend that answers with as many bytes as the path says, and `/held` never.
pub struct Scene {
    pub gw: Gateway,
    pub backend: Http2Backend,
    _alone: MutexGuard<'static, ()>,
}

/// What a flood came to.
#[derive(Debug)]
pub struct Figures {
    /// Frames, or groups of them, that were sent before the gateway closed.
    pub sent: u32,
    /// Code of the last GOAWAY.
    pub code: Option<u32>,
    /// More bytes than before, at the worst moment. Those of the test's own ends are among them.
    pub bytes: i64,
    /// The longest that another client waited for an answer meanwhile.
    pub other: Duration,
}

pub const CALM: u32 = 11;
pub const MIB: i64 = 1 << 20;

pub async fn scene(change: impl FnOnce(&mut translate::Settings)) -> Scene {
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

pub fn request(stream: u32, path: &str, flags: u8) -> Vec<u8> {
    let block = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "app.example"),
    ]);
    Frame::new(Frame::HEADERS, Frame::END_HEADERS | flags, stream, block).bytes()
}

pub fn window(stream: u32, by: u32) -> Vec<u8> {
    Frame::new(Frame::WINDOW_UPDATE, 0, stream, by.to_be_bytes()).bytes()
}

impl Scene {
    /// Sends what `next` gives for each number until the gateway closes, while another client asks on.
    pub async fn flood(&self, what: &str, start: Vec<u8>, next: impl FnMut(u32) -> Vec<u8>) -> Figures {
        let client = Frames::connect(self.gw.address(80)).await;
        self.flood_on(client, what, start, next).await
    }

    pub async fn flood_on(
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
    pub async fn counted(&self, floods: usize) {
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
