//! HTTP/2 on a real data plane: frames, and bytes that are none, from a client to a listener and on to another one.

use crate::bytes::Bytes;
use control::text::{Format, Outcome, items};
use ir::{Bind, BindAddress, Snapshot};
use proxy::{DataPlane, Options};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use telemetry::Telemetry;
use translate::{Objects, Settings, Translator};

/// A connection: no panic in a worker; it is over soon after the client has said its last; the next one is served.
///
/// The first byte says whether the rest are the client's bytes, or choices of which its frames are made.
pub fn http2(bytes: &[u8]) {
    let Some((mode, rest)) = bytes.split_first() else {
        return;
    };
    let sent = match mode % 4 {
        0 => rest.to_vec(),
        1 => [PREFACE, rest].concat(),
        _ => frames(Bytes(rest)),
    };
    let plane = plane();
    let answer = ask(plane.front, &sent);
    assert!(!PANICKED.load(Ordering::SeqCst), "a worker panicked");
    // What comes is frames, or an answer of HTTP/1.1.
    if sent.starts_with(PREFACE) && !answer.is_empty() {
        assert_frames(&answer);
    }
}

/// Sends all, says that it was all, and reads to the end.
fn ask(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(address).expect("the plane listens");
    tcp.set_read_timeout(Some(LONGEST)).expect("a socket");
    // It may have heard enough before.
    let _ = tcp.write_all(bytes);
    let _ = tcp.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = tcp.read_to_end(&mut answer) {
        assert!(
            !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "the connection stays open though its client is done"
        );
    }
    answer
}

/// RFC 9113 §4.1, §6.5: frames, the first of them settings. The last one may be cut by a reset.
fn assert_frames(mut bytes: &[u8]) {
    let mut first = true;
    while let Some(header) = bytes.first_chunk::<9>() {
        let [a, b, c, kind, ..] = *header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        assert!(!first || kind == 4, "the first frame has type {kind}");
        assert!(kind <= 9 && length <= 16_384, "type {kind}, {length} bytes");
        first = false;
        bytes = bytes.get(9 + length..).unwrap_or_default();
    }
}

/// A data plane with two listeners: `front` sends on what it gets to the other, over HTTP/2, which answers by itself.
struct Plane {
    front: SocketAddr,
    _inner: DataPlane,
}

fn plane() -> &'static Plane {
    static PLANE: OnceLock<Plane> = OnceLock::new();
    PLANE.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.store(true, Ordering::SeqCst);
            before(panic);
        }));
        let options = Options {
            workers: 1,
            telemetry: Telemetry::new(1),
            access_log: None,
            drain_timeout: Duration::ZERO,
        };
        let inner = DataPlane::start(options).expect("a data plane");
        let publish = |endpoint: SocketAddr, generation| {
            let applied = inner.publish(&snapshot(endpoint), generation);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            let applied = runtime.expect("a runtime").block_on(applied);
            assert!(applied.failed.is_empty(), "{applied:?}");
            let local = inner.local_addresses();
            let at = |last| {
                let found = local.iter().find(|(bind, _)| bind.ip == Some(loopback(last)));
                found.expect("it is open").1
            };
            (at(1), at(2))
        };
        let (_, back) = publish(([127, 0, 0, 1], 1).into(), 1);
        let (front, _) = publish(back, 2);
        Plane { front, _inner: inner }
    })
}

fn loopback(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// The objects with their ports moved to free ones of loopback addresses: port 81 to 127.0.0.1, port 82 to 127.0.0.2.
fn snapshot(endpoint: SocketAddr) -> Snapshot {
    let text = OBJECTS
        .replace("ADDRESS", &endpoint.ip().to_string())
        .replace("PORT", &endpoint.port().to_string());
    let mut objects = Objects::default();
    for item in items(&text, Format::Yaml).expect("YAML") {
        if let Outcome::Object { object, .. } = item.outcome {
            objects.insert(object);
        }
    }
    let translation = Translator::new(Settings::default()).translate(&objects, 0);
    let snapshot = translation.snapshot;
    let binds = snapshot
        .binds
        .iter()
        .filter(|bind| bind.address.port > 80 && bind.address.port < 83);
    let binds = binds.map(|bind| {
        let address = BindAddress {
            ip: Some(loopback(bind.address.port as u8 - 80)),
            port: 0,
        };
        Arc::new(Bind {
            address,
            ..Bind::clone(bind)
        })
    });
    Snapshot {
        binds: binds.collect(),
        ..Snapshot::clone(&snapshot)
    }
}

/// Frames by choice: mostly well-formed, with all that is malformed now and then.
fn frames(mut choices: Bytes<'_>) -> Vec<u8> {
    let mut out = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    while !choices.0.is_empty() && out.len() < MOST {
        let kind = choices.one_of(&[1, 1, 1, 0, 0, 2, 3, 4, 6, 7, 8, 9, 5, 99]);
        let flags = choices.one_of(&[4, 5, 5, 1, 0, 8, 0x20, 0x2d]);
        let stream = choices.one_of(&[1_u32, 3, 5, 7, 9, 1, 0, 2, 3, u32::MAX]);
        let payload = match kind {
            1 | 9 => head(&mut choices),
            0 => vec![b'x'; choices.below(200)],
            8 | 3 => u32::from(choices.next()).to_be_bytes().to_vec(),
            2 => vec![0, 0, 0, choices.next(), choices.next()],
            4 => {
                let name = choices.one_of(&[1, 2, 3, 4, 5, 6, 8, 99]);
                vec![
                    0,
                    name,
                    0,
                    choices.one_of(&[0, 0, 1, 255]),
                    choices.next(),
                    choices.next(),
                ]
            }
            6 => vec![choices.next(); choices.one_of(&[8, 8, 8, 7])],
            _ => vec![choices.next(); choices.below(20)],
        };
        let length = (payload.len() as u32).to_be_bytes();
        out.extend([length[1], length[2], length[3], kind, flags]);
        out.extend(stream.to_be_bytes());
        out.extend(payload);
    }
    out
}

/// A block of fields (RFC 7541): literals, or bytes that are whatever they are.
fn head(choices: &mut Bytes<'_>) -> Vec<u8> {
    if choices.below(8) == 7 {
        let count = choices.below(40);
        return (0..count).map(|_| choices.next()).collect();
    }
    let mut block = Vec::new();
    let mut field = |name: &str, value: &str| {
        for text in [
            &[0][..],
            &[name.len() as u8],
            name.as_bytes(),
            &[value.len() as u8],
            value.as_bytes(),
        ] {
            block.extend(text);
        }
    };
    let method = choices.one_of(&["GET", "POST", "HEAD", "CONNECT", "OPTIONS", "get", "A B", ""]);
    field(":method", method);
    for (name, values) in [
        (":scheme", &["http", "http", "https", "", "ftp"][..]),
        (":path", &["/", "/up", "/up?x", "*", "", "/%2e%2e/x", "x", "/a b"]),
        (":authority", &["a", "a:80", "b", "", "u@a", "a b", "[::1]"]),
    ] {
        field(name, choices.one_of(values));
    }
    if choices.below(6) == 5 {
        field(
            ":protocol",
            choices.one_of(&["websocket", "h2c", "a\r\nb: c", ""]),
        );
    }
    for _ in 0..choices.below(6) {
        let (name, value) = choices.one_of(FIELDS);
        field(name, value);
    }
    block
}

/// What a head may have besides, and what it may not.
const FIELDS: &[(&str, &str)] = &[
    ("accept", "*/*"),
    ("cookie", "a=1"),
    ("cookie", "b=2"),
    ("content-length", "5"),
    ("content-length", "0"),
    ("content-length", "x"),
    ("te", "trailers"),
    ("te", "gzip"),
    ("expect", "100-continue"),
    ("expect", "x"),
    ("host", "a"),
    ("connection", "close"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "websocket"),
    ("X-Upper", "a"),
    ("x y", "a"),
    ("x", " a "),
    ("x", "a\r\nb: c"),
    ("x", "\0"),
    (":path", "/"),
    ("content_length", "5"),
    ("x-forwarded-for", "1.2.3.4, 5"),
    ("", ""),
];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a socket takes at once on any machine.
const MOST: usize = 32 * 1024;
/// How long a connection may last when its client is done: streams that wait for content see that none comes.
const LONGEST: Duration = Duration::from_secs(20);
static PANICKED: AtomicBool = AtomicBool::new(false);
const OBJECTS: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: narthex}
spec: {controllerName: narthex.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g, namespace: default}
spec:
  gatewayClassName: narthex
  listeners:
  - {name: front, port: 81, protocol: HTTP}
  - {name: back, port: 82, protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: front, namespace: default}
spec:
  parentRefs: [{name: g, sectionName: front}]
  rules: [{backendRefs: [{name: back, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: back, namespace: default}
spec:
  parentRefs: [{name: g, sectionName: back}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /there}}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: back, namespace: default}
spec: {ports: [{port: 80, appProtocol: kubernetes.io/h2c}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: back, namespace: default, labels: {kubernetes.io/service-name: back}}
addressType: IPv4
ports: [{port: PORT}]
endpoints: [{addresses: [\"ADDRESS\"], conditions: {ready: true}}]
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_passes_through_both_listeners() {
        let answer = ask(plane().front, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(
            answer.starts_with("http/1.1 302 ") && answer.contains("/there"),
            "{answer}"
        );
    }
}
